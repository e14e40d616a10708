"""A response that streams a thread's events: it reads from its cursor, paces itself, and says why it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ssot_engine.errors import ClosedError, LogUnavailable, RequestError, UnknownRun
from ssot_engine.eventlog.base import Page, Reset, is_last
from ssot_engine.events import CRITICAL, Event, Position
from ssot_engine.logs import get_logger
from ssot_engine.web.access import UserAccess
from ssot_engine.web.deliveries import Wire
from ssot_engine.web.outlet import ABORT
from ssot_engine.web.site import Site

#: How long a stream may be silent before a comment says that it lives, in seconds; proxies cut idle connections at 30.
KEEP_ALIVE_S = 15.0
#: From so many bytes on, what is ready is written.
WRITE_BYTES = 65_536
#: How many events are read at a time, and how many bytes of them a stuck reader may hold in memory.
PAGE_EVENTS = 250
HELD_BYTES = 524_288
#: What a reader gets to take each of the last writes, in seconds, when the server ends the stream.
FAREWELL_S = 1.0

_COMMENT = b":\n\n"

_log = get_logger("ssot_engine.web.streams")


class Ending(StrEnum):
    """Why a stream ends; its values are said on the wire."""

    RUN_ENDED = "run_ended"
    RESTART = "restart"
    EXPIRED = "expired"
    UNAVAILABLE = "unavailable"
    #: The reader went away, or was cut off because it did not read. Nobody is told.
    GONE = "gone"


#: What a person is told about each ending.
DETAILS = {
    Ending.RUN_ENDED: "the run has ended",
    Ending.RESTART: "the server is about to stop; connect again from the last id",
    Ending.EXPIRED: "the sign-in has expired; sign in, then connect again from the last id",
    Ending.UNAVAILABLE: "the event log does not answer; connect again from the last id",
}


class View(Protocol):
    """How a wire says what happens, as bytes of a `text/event-stream`."""

    #: Under which name its readers are counted.
    wire: Wire

    def opening(self) -> bytes:
        """What comes before all events."""

    def event(self, event: Event) -> bytes:
        """One event."""

    def reset(self, reset: Reset) -> bytes:
        """Events are gone."""

    def ending(self, ending: Ending) -> bytes:
        """The last words."""


@dataclass(frozen=True, slots=True)
class Following:
    """What a stream reads: a thread from a position; with `run_id` that run alone, up to its last event.

    `is_live` waits for more when all is read; a run that has ended needs no waiting.
    """

    thread_id: str
    after: Position | None
    run_id: str | None = None
    is_live: bool = True


Begin = Callable[[], Awaitable[Following]]
"""Called once the stream has its place among the user's readers; what it raises is the response."""


class EventStream(Response):
    """Streams what `begin` says to follow, as `view` puts it. A reader that goes ends the stream and nothing else."""

    media_type = "text/event-stream"

    def __init__(
        self, site: Site, access: UserAccess, begin: Begin, view: View, *, keep_alive_s: float = KEEP_ALIVE_S
    ) -> None:
        self.status_code = 200
        self.background = None
        self._site = site
        self._access = access
        self._begin = begin
        self._view = view
        self._keep_alive_s = keep_alive_s
        # A proxy that buffers would hold events back.
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one reader.

        Raises:
            TooManyRequests: the user has as many readers as it may.
        """
        with self._site.deliveries.reader(self._access.user_id, self._view.wire):
            following = await self._begin()
            delivery = _Delivery(self._site, self._access, following, self._view, send, self._keep_alive_s)
            if not await delivery.run(receive, self.raw_headers):
                _abort(scope)


def _abort(scope: Scope) -> None:
    """Drop the connection; the last bytes would wait for a reader that may never read."""
    if (abort := scope.get("extensions", {}).get(ABORT)) is not None:
        abort()


class _Delivery:
    """One reader being served."""

    def __init__(
        self, site: Site, access: UserAccess, following: Following, view: View, send: Send, keep_alive_s: float
    ) -> None:
        web = site.container.settings().web
        self._site = site
        self._access = access
        self._log = access.log
        self._key = access.key(following.thread_id)
        self._after = following.after
        self._run_id = following.run_id
        self._is_live = following.is_live
        self._view = view
        self._send = send
        self._keep_alive_s = keep_alive_s
        self._coalesce_s = web.coalesce_s
        self._send_timeout_s = web.send_timeout_s
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._changed: asyncio.Future[None] | None = None
        self._ending: Ending | None = None
        self._limit = asyncio.timeout(None)
        self._is_sending = False
        self._written_at = 0.0
        #: Not yet at the events that came since it reads.
        self._is_replay = True

    async def run(self, receive: Receive, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Serve until there is a reason to end; whether the reader took everything up to then."""
        try:
            with self._watching(receive):
                async with self._limit:
                    await self._put({"type": "http.response.start", "status": 200, "headers": headers})
                    await self._write(self._view.opening())
                    await self._follow()
                    await self._close()
        except TimeoutError:
            if not self._limit.expired():
                raise
            self._count_cut_off()
            return False
        return True

    # ------------------------------------------------------------------------- reasons to end

    @contextmanager
    def _watching(self, receive: Receive) -> Iterator[None]:
        watchers = [
            self._loop.create_task(self._watch_reader(receive), name="stream reader"),
            self._loop.create_task(self._watch_server(), name="stream server"),
        ]
        expires_at = self._access.identity.expires_at
        expiry = None
        if expires_at is not None:
            expiry = self._loop.call_later(max(0.0, expires_at - time.time()), self._end, Ending.EXPIRED)
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            if expiry is not None:
                expiry.cancel()
            if self._changed is not None:
                self._changed.cancel()

    async def _watch_reader(self, receive: Receive) -> None:
        # The body of a GET is of no use, and one that is too long is no reason to be kept waiting.
        with suppress(RequestError):
            while (await receive())["type"] != "http.disconnect":
                pass
        self._end(Ending.GONE)

    async def _watch_server(self) -> None:
        await self._site.stopping.wait()
        self._end(Ending.RESTART)

    def _end(self, ending: Ending) -> None:
        """The stream is to end, for the first reason there is; a send that is blocked gets little more time."""
        if self._ending is None or ending is Ending.GONE:
            self._ending = ending
            self._awake.set()
            when = self._limit.when()
            if self._is_sending and when is not None:
                self._limit.reschedule(min(when, self._loop.time() + FAREWELL_S))

    def _count_cut_off(self) -> None:
        """A reader that did not read is left without a word, since it would not read that either."""
        if self._ending is None:
            self._site.deliveries.slow_closed += 1
            _log.info("stream_cut_off", wire=self._view.wire, send_timeout_s=self._send_timeout_s)

    # ---------------------------------------------------------------------------- reading

    async def _follow(self) -> None:
        try:
            while self._ending is None:
                await self._step(await self._read())
            if self._ending is Ending.RESTART:
                await self._drain()
        except (LogUnavailable, ClosedError) as error:
            # The response has begun, so this is the last place that can tell the reader.
            _log.warning("stream_interrupted", wire=self._view.wire, error=str(error))
            self._end(Ending.UNAVAILABLE)

    async def _drain(self) -> None:
        """What is in the log already, such as the ends of runs that the server's stop has ended."""
        while (page := await self._read()).status == "ok" and page.events and not self._is_barred():
            await self._forward(page.events)

    def _is_barred(self) -> bool:
        """Whether nothing more may be sent, even if there is."""
        return self._ending in (Ending.GONE, Ending.EXPIRED)

    async def _read(self) -> Page:
        page = self._log.read_now(self._key, self._after, PAGE_EVENTS)
        return _bounded(await self._log.read(self._key, self._after, PAGE_EVENTS) if page is None else page)

    async def _step(self, page: Page) -> None:
        if page.status != "ok":
            await self._reset(page)
        elif page.events:
            wait_s = self._written_at + self._coalesce_s - self._loop.time()
            if wait_s > 0 and _may_wait(page.events):
                await self._sleep(page.head, wait_s)
            else:
                await self._forward(page.events)
        elif self._is_live:
            self._is_replay = False
            await self._idle(page.head)
        else:
            self._end(Ending.RUN_ENDED)

    async def _reset(self, page: Page) -> None:
        snapshot = tuple(self._wanted(await self._log.snapshot(self._key, page.floor)))
        self._after = Position(page.epoch, page.floor)
        self._site.deliveries.resets += 1
        await self._write(self._view.reset(Reset(self._key, self._after, page.status, snapshot)))
        if self._run_id is not None:
            self._is_live = await self._is_open(self._run_id)
            self._end_after(snapshot)

    async def _is_open(self, run_id: str) -> bool:
        """Whether there is more of the run to come; what a log has lost it may know no more."""
        try:
            return (await self._access.record(run_id)).status is None
        except UnknownRun:
            return False

    def _wanted(self, events: Sequence[Event]) -> Sequence[Event]:
        return events if self._run_id is None else [event for event in events if event.run_id == self._run_id]

    def _end_after(self, events: Sequence[Event]) -> None:
        if self._run_id is not None and events and is_last(events[-1]):
            self._end(Ending.RUN_ENDED)

    async def _sleep(self, seen: int, limit_s: float) -> None:
        """Wait until the thread may have moved, the stream is to end, or the time is over."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.ensure_future(self._log.changed(self._key, seen))
            self._changed.add_done_callback(lambda _: self._awake.set())
        timer = self._loop.call_later(limit_s, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            timer.cancel()
        self._awake.clear()

    async def _idle(self, head: int) -> None:
        silent_until = self._written_at + self._keep_alive_s
        await self._sleep(head, max(0.0, silent_until - self._loop.time()))
        if self._ending is None and self._loop.time() >= silent_until:
            await self._write(_COMMENT)

    # ---------------------------------------------------------------------------- writing

    async def _forward(self, events: Sequence[Event]) -> None:
        wanted = self._wanted(events)
        for batch, frames in self._batches(wanted):
            await self._write(frames)
            self._site.deliveries.sent(batch, is_replay=self._is_replay)
            if self._is_barred():
                return
        self._after = events[-1].position
        self._end_after(wanted)

    def _batches(self, events: Sequence[Event]) -> Iterator[tuple[Sequence[Event], bytes]]:
        """What is written at once: some events, oldest first, and their bytes."""
        start, frames = 0, bytearray()
        for index, event in enumerate(events, 1):
            frames += self._view.event(event)
            if len(frames) >= WRITE_BYTES or index == len(events):
                yield events[start:index], bytes(frames)
                start, frames = index, bytearray()

    async def _write(self, frames: bytes) -> None:
        if frames:
            await self._put({"type": "http.response.body", "body": frames, "more_body": True})
            self._written_at = self._loop.time()

    async def _put(self, message: dict[str, object]) -> None:
        """Hand over to the transport, for at most the time a reader may leave things unread."""
        self._is_sending = True
        limit_s = self._send_timeout_s if self._ending is None else FAREWELL_S
        self._limit.reschedule(self._loop.time() + limit_s)
        await self._send(message)
        self._limit.reschedule(None)
        self._is_sending = False
        # A send that need not wait does not yield either, and the other readers want their turn.
        await asyncio.sleep(0)

    async def _close(self) -> None:
        if self._ending is not None and self._ending is not Ending.GONE:
            await self._write(self._view.ending(self._ending))
            await self._put({"type": "http.response.body", "body": b"", "more_body": False})


def _bounded(page: Page) -> Page:
    """The page, or as many of its events as a reader may hold, at least one; the rest is read again."""
    size_bytes = 0
    for count, event in enumerate(page.events):
        size_bytes += len(event.raw)
        if size_bytes > HELD_BYTES and count:
            return msgspec.structs.replace(page, events=page.events[:count])
    return page


def _may_wait(events: Sequence[Event]) -> bool:
    """Whether these may share a write with what follows: text may, and not for long."""
    return len(events) < PAGE_EVENTS and not any(event.type in CRITICAL for event in events)
