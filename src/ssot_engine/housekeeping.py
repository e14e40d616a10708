"""What a container does now and then while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ssot_engine.logs import get_logger

log = get_logger("ssot_engine.housekeeping")


class Housekeeping:
    """Repeats chores, each in its own rhythm, until it is closed. A chore that fails is told, and tried again."""

    def __init__(self, *chores: tuple[Callable[[], Awaitable[object]], float]) -> None:
        self.tasks = [asyncio.create_task(_repeat(chore, interval_s)) for chore, interval_s in chores]

    async def aclose(self) -> None:
        """Stop; a chore under way is cancelled."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def _repeat(chore: Callable[[], Awaitable[object]], interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            await chore()
        except Exception as error:
            # A chore must not end with its first failure: the next one may well succeed.
            log.error("chore_failed", chore=getattr(chore, "__qualname__", repr(chore)), error=repr(error))
