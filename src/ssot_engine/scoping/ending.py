"""What a scope's ending needs: the builds under way have settled, and of several errors one is raised."""

from __future__ import annotations

import asyncio
import inspect
from types import CodeType
from typing import Any

_POLL_S = 0.001


class Turn:
    """Whose turn it is to build with coroutines: one task at a time, and that task again."""

    __slots__ = ("lock", "owner")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.owner: asyncio.Task[Any] | None = None


async def settled(lock: Any, turn: Turn | None, errors: list[BaseException]) -> None:
    """Wait for the builds of other threads and tasks, so that what they open is closed too.

    A cancellation does not end the wait; it is added to `errors`.
    """
    task = asyncio.current_task()
    while True:
        try:
            if turn is not None and turn.owner not in (None, task):
                async with turn.lock:
                    pass
            elif lock.acquire(False):
                lock.release()
                return
            else:
                await asyncio.sleep(_POLL_S)
        except asyncio.CancelledError as error:
            errors.append(error)


def outcome(errors: list[BaseException]) -> BaseException:
    """The one error to raise: a cancellation or an exit alone, with the others as notes; else all that failed.

    Empties the list, which the errors' own tracebacks reach: it would be a cycle.
    """
    stopping = [error for error in errors if not isinstance(error, Exception)]
    if stopping:
        chosen = min(stopping, key=lambda error: isinstance(error, asyncio.CancelledError))
        for error in errors:
            if error is not chosen and not isinstance(error, asyncio.CancelledError):
                chosen.add_note(f"also, while closing the scope: {error!r}")
    elif len(errors) == 1:
        chosen = errors[0]
    else:
        chosen = BaseExceptionGroup("several objects of a scope failed to close", errors)
    errors.clear()
    return chosen


def runs_twice(method: CodeType, owner: object) -> bool:
    """Whether this method of this object is on the stack twice: it was called, at any depth, by itself.

    What a task awaits is on the stack while it runs, so this asks nothing of the calls that are the rule.
    """
    frame, found = inspect.currentframe(), 0
    while frame is not None:
        found += frame.f_code is method and frame.f_locals.get("self") is owner
        frame = frame.f_back
    return found > 1
