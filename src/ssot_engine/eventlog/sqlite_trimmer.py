"""When events leave a SQLite event log: after their retention, above a thread's cap, or erased."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ssot_engine.eventlog.sqlite_cache import ThreadCache
from ssot_engine.eventlog.sqlite_retention import Cut, Erased, Expired, Retention
from ssot_engine.eventlog.sqlite_writer import SqliteWriter
from ssot_engine.events import ThreadKey

T = TypeVar("T")

#: Removing rows takes at most one part in this many of the time.
DUTY = 10


class Trimmer:
    """Removes rows a few at a time, by the helper thread, and rests in between so that appends are hardly held up."""

    def __init__(self, retention: Retention, writer: SqliteWriter, threads: ThreadCache) -> None:
        self._retention = retention
        self._writer = writer
        self._threads = threads
        self._at_work = asyncio.Lock()

    async def settle(self, due: Sequence[tuple[int, ThreadKey]], ended_before: float) -> int:
        """Events of runs that ended before a time leave their threads; how many went."""
        async with self._at_work:
            return sum(
                [await self._cut(key, partial(self._retention.settle, number, ended_before)) for number, key in due]
            )

    async def cap(self, max_events: int) -> int:
        """Threads in use that are longer than `max_events` lose their oldest events; how many went."""
        async with self._at_work:
            long = [thread for thread in self._threads if thread.is_stored and thread.length > max_events]
            return sum(
                [
                    await self._cut(thread.key, partial(self._retention.cap, thread.id, thread.shown - max_events))
                    for thread in long
                ]
            )

    async def expire(self, ended_before: float) -> None:
        """Records of runs that ended before a time go, with the events that were kept for them."""
        async with self._at_work:
            step = partial(self._retention.expire, ended_before)
            while (await self._remove(step, self._expired)).more:
                pass

    async def erase(self, key: ThreadKey, thread: int, upto: int) -> None:
        """A thread's events up to a seq go, and the runs that ended there."""
        async with self._at_work:
            step = partial(self._retention.erase, thread, upto)
            while (await self._remove(step, partial(self._erased, key))).more:
                pass

    async def _cut(self, key: ThreadKey, step: Callable[[], Cut]) -> int:
        gone, more = 0, True
        while more:
            cut = await self._remove(step, lambda cut: self._raise_floor(key, cut.floor))
            gone, more = gone + cut.gone, cut.more
        return gone

    async def _remove(self, step: Callable[[], T], then: Callable[[T], None]) -> T:
        """One step, then a rest in proportion."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        done = await self._writer.lend(step, then)
        await asyncio.sleep((loop.time() - started) * (DUTY - 1))
        return done

    # ------------------------------------------------------------ what memory learns

    def _raise_floor(self, key: ThreadKey, floor: int) -> None:
        thread = self._threads.get(key)
        if thread is not None:
            self._threads.raise_floor(thread, floor)

    def _erased(self, key: ThreadKey, erased: Erased) -> None:
        self._raise_floor(key, erased.floor)
        self._forget(erased.threads)

    def _expired(self, expired: Expired) -> None:
        self._forget(expired.threads)

    def _forget(self, keys: Sequence[ThreadKey]) -> None:
        """Threads are gone from the file. One that is written to goes back there, as it was, with its next event."""
        for key in keys:
            thread = self._threads.get(key)
            if thread is not None and thread.open_runs:
                thread.is_stored = False
                self._writer.batch.threads[thread] = None
            elif thread is not None:
                self._threads.remove(thread)
