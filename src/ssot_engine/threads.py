"""Synchronous functions in threads that never keep the process from ending."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from typing import Any


def in_thread(function: Callable[[], Any], name: str) -> asyncio.Future[Any]:
    """Call `function` in a daemon thread with the caller's context variables; a future of what it returns.

    Nothing stops a thread: cancelling the future only stops waiting for it.
    """
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    waiting: asyncio.Future[Any] | None = future
    context = copy_context()

    def body() -> None:
        nonlocal waiting
        # The loop may be closed by the end: then nobody waits.
        with contextlib.suppress(RuntimeError):
            try:
                result = context.run(function)
            except BaseException as raised:
                loop.call_soon_threadsafe(_settle, waiting, None, raised)
            else:
                loop.call_soon_threadsafe(_settle, waiting, result, None)
        # An error's traceback holds this frame: it must hold neither the error nor the future that has it.
        waiting = None

    Thread(target=body, name=name, daemon=True).start()
    return future


def _settle(future: asyncio.Future[Any] | None, result: Any, error: BaseException | None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the function raised StopIteration"))
    else:
        future.set_exception(error)
