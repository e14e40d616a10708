"""A thread for calls that block, which a busy event loop cannot starve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

#: How often a loop gives way while the thread has work, and for how long, in seconds. A loop that never idles lets go
#: of the interpreter lock for moments too short for a waiting thread to win it; a real sleep hands it over.
GIVE_WAY_EVERY_S = 0.002
GIVE_WAY_S = 0.0001


class HelperThread:
    """Runs blocking calls one after another, in the order they came, for the event loop that made it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._under_way = 0
        self._giving_way = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """A future of what `job` returns. Cancelling it only stops waiting."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._under_way += 1
        self._jobs.put((job, future))
        if not self._giving_way:
            self._giving_way = True
            self._loop.call_later(GIVE_WAY_EVERY_S, self._give_way)
        return future

    def close(self) -> None:
        """End the thread once the calls before this one are done."""
        self._jobs.put(None)

    def _give_way(self) -> None:
        self._giving_way = self._under_way > 0
        if self._giving_way:
            time.sleep(GIVE_WAY_S)
            self._loop.call_later(GIVE_WAY_EVERY_S, self._give_way)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, future = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = function()
            except BaseException as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._settle, future, result, error)
            except RuntimeError:  # the loop is closed: nobody waits
                return
            # What a call returned must not live until the next one.
            del job, function, future, result, error

    def _settle(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._under_way -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
