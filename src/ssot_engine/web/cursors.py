"""Cursors on the event log, one per followed thread: each reads, lets text gather, and sends frames."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import NoReturn

from ssot_engine.eventlog.base import EventLog, Page
from ssot_engine.events import CRITICAL, Event, Position, ThreadKey
from ssot_engine.web.deliveries import Deliveries
from ssot_engine.web.frames import Ev, Reset, encode

#: The most events of a frame, and the most bytes of its events; a larger event has a frame of its own.
MAX_EVENTS = 500
MAX_BYTES = 262_144
#: What an event has on the wire beside its payload, in bytes.
_EVENT_BYTES = 400

SendFrame = Callable[[bytes], Awaitable[None]]


class ThreadCursor:
    """Where one connection stands in one thread. The log is its only buffer: it reads on when its frame was sent."""

    __slots__ = ("_after", "_coalesce_s", "_deliveries", "_is_replay", "_key", "_log", "_send")

    def __init__(
        self,
        log: EventLog,
        key: ThreadKey,
        after: Position | None,
        send: SendFrame,
        deliveries: Deliveries,
        coalesce_s: float,
    ) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._send = send
        self._deliveries = deliveries
        self._coalesce_s = coalesce_s
        #: Not yet at the events that came since it reads.
        self._is_replay = True

    async def run(self) -> NoReturn:
        """Send what is there and what comes, for ever.

        Raises:
            Gone: the client is.
            ClosedError: the log was closed.
            LogUnavailable: it cannot be read.
        """
        log, key, now = self._log, self._key, self._log.loop.time
        gather_until = 0.0
        while True:
            page = log.read_now(key, self._after, MAX_EVENTS)
            if page is None:
                page = await log.read(key, self._after, MAX_EVENTS)
            if page.status != "ok":
                await self._reset(page)
                continue
            if page.events:
                await self._deliver(page.events)
                gather_until = now() + self._coalesce_s
                if page.events[-1].seq < page.head:
                    # A long way behind: others get their turn between two frames.
                    await asyncio.sleep(0)
                    continue
            self._is_replay = False
            await log.changed(key, page.head)
            if now() < gather_until:
                await self._gather(gather_until)

    async def _gather(self, until: float) -> None:
        """Wait while all that is new is text, so that it shares a frame."""
        page = self._log.read_now(self._key, self._after, MAX_EVENTS)
        if page is not None and _is_text(page):
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._log.changed(self._key, page.head, critical=True)

    async def _deliver(self, events: Sequence[Event]) -> None:
        for part in _parts(events) if len(events) > 1 else (events,):
            await self._send(encode(Ev(part)))
            newest = part[-1]
            self._after = Position(newest.epoch, newest.seq)
            self._deliveries.sent(part, is_replay=self._is_replay)

    async def _reset(self, page: Page) -> None:
        position = Position(page.epoch, page.floor)
        snapshot = await self._log.snapshot(self._key, page.floor)
        frame = Reset(self._key.thread_id, position.epoch, position.seq, page.status, snapshot)
        await self._send(encode(frame))
        self._after = position
        self._deliveries.resets += 1


def _is_text(page: Page) -> bool:
    """Whether nothing of a page has to go at once."""
    if page.status != "ok" or len(page.events) == MAX_EVENTS:
        return False
    return all(event.type not in CRITICAL for event in page.events)


def _parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in pieces that each fit a frame."""
    first, size = 0, 0
    for index, event in enumerate(events):
        size += len(event.raw) + _EVENT_BYTES
        if size > MAX_BYTES and index > first:
            yield events[first:index]
            first, size = index, len(event.raw) + _EVENT_BYTES
    yield events[first:]
