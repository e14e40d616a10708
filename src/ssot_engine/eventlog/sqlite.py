"""The event log in one SQLite file: one process writes it, and what it acknowledged survives its death."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ssot_engine.errors import ClosedError, ConfigError, LogUnavailable, RunConflict, StaleAttempt, UnknownRun
from ssot_engine.eventlog.base import PAGE_SIZE, Ack, Draft, EventLog, Page, RunRecord, ending_status, is_terminal
from ssot_engine.eventlog.helper_thread import HelperThread
from ssot_engine.eventlog.sqlite_cache import OpenRun, ThreadCache
from ssot_engine.eventlog.sqlite_catalog import Catalog
from ssot_engine.eventlog.sqlite_file import SqliteFile, Synchronous
from ssot_engine.eventlog.sqlite_reader import SqliteReader, StoredRun, url_of
from ssot_engine.eventlog.sqlite_retention import Retention
from ssot_engine.eventlog.sqlite_trimmer import Trimmer
from ssot_engine.eventlog.sqlite_writer import Batch, SqliteWriter
from ssot_engine.events import Event, Position, ThreadKey

#: How often a log opened to read looks for more, in seconds.
POLL_INTERVAL_S = 0.1


class LogStats(msgspec.Struct, frozen=True):
    """How large a log is. `wal_bytes` grows while an outside program keeps a read transaction open."""

    file_bytes: int
    wal_bytes: int
    memory_bytes: int
    pending_bytes: int
    open_runs: int
    is_full: bool


class SqliteEventLog(EventLog):
    """Keeps events in a file until retention lets them go, and the newest of them in memory too.

    An ended run's events stay `retention_s` seconds, at most `max_events_per_thread` of a thread; then its critical
    events stay with its record for `run_retention_s`. Both hold from one `trim` to the next. `max_bytes` bounds what is
    kept in memory, not the file. `synchronous` "normal" survives the death of the process; "full" a power loss too, at
    an fsync per commit; after a power loss under "normal" readers are told by another epoch.

    With `read_only` any number of processes may read the file that another one writes; they see what is committed.

    Look-ups of one thread or one run block the event loop for some tens of microseconds when the file is cached by the
    system. Pages, snapshots and lists are read on a thread of their own.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention_s: float = 600.0,
        max_events_per_thread: int = 10_000,
        run_retention_s: float = 604_800.0,
        max_bytes: int = 268_435_456,
        synchronous: Synchronous = "normal",
        read_only: bool = False,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self.url = url_of(self.path)
        self.epoch = ""
        self._retention_s = retention_s
        self._max_events = max_events_per_thread
        self._run_retention_s = run_retention_s
        self._read_only = read_only
        self._file = SqliteFile(self.path, synchronous)
        self._threads = ThreadCache(max_bytes)
        self._writer: SqliteWriter | None = None
        self._is_open = False

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """The log that `sqlite:///relative.db` or `sqlite:////absolute.db` names; `?synchronous=full` is an option.

        Raises:
            ConfigError: it names no file, or has an option there is not.
        """
        parts = urlsplit(url)
        path = unquote(parts.path).removeprefix("/")
        if parts.scheme != "sqlite" or parts.netloc or parts.fragment or not path or path.startswith(":memory:"):
            raise ConfigError(
                f"events.url {url!r} names no file; write sqlite:///relative.db or sqlite:////absolute.db"
            )
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name != "synchronous" or value not in ("normal", "full"):
                raise ConfigError(
                    f"events.url {url!r} has an unknown option {name}={value}; known are synchronous=normal and "
                    "synchronous=full"
                )
            options[name] = value
        return cls(path, **options)

    async def open(self) -> int:
        """Make the log ready.

        Raises:
            LogInUse: another process writes the file, or this one does already.
            LogCorrupt: it is damaged, or no event log.
            ConfigError: it cannot be written; to read: there is none.
        """
        if self._is_open or self._writer is not None:
            raise ClosedError(f"event log {self.url!r} was opened before; make another object of it")
        await super().open()
        if self._read_only:
            self._open_to_read()
            return 0
        helper = HelperThread("event-log-write")
        try:
            swept = await helper.call(self._file.open)
            self._open_readers()
        except BaseException:
            # When cancelled: by the time the thread is told, the file is open.
            helper.call(self._file.close)
            helper.close()
            raise
        self.epoch = self._file.epoch
        self._helper = helper
        self._catalog = Catalog(self._file, self._look, self._threads)
        self._writer = SqliteWriter(self._file, self, helper)
        self._trimmer = Trimmer(Retention(self._file), self._writer, self._threads)
        return swept

    def _open_to_read(self) -> None:
        if not self.path.is_file():
            raise ConfigError(
                f"event log {str(self.path)!r} does not exist; start what writes it, or correct events.url"
            )
        self._open_readers()
        try:
            self._look.check()
            self.epoch, _ = self._look.epoch()
        except BaseException:
            self._close_readers()
            raise

    def _open_readers(self) -> None:
        self._look = SqliteReader(self.path)
        self._pages = SqliteReader(self.path, timeout_s=1.0)
        self._reading = HelperThread("event-log-read")
        self._is_open = True

    def _close_readers(self) -> None:
        self._is_open = False
        self._reading.call(self._pages.close)
        self._reading.close()
        self._look.close()

    # ------------------------------------------------------------------ writing

    def begin(
        self,
        key: ThreadKey,
        run_id: str,
        *,
        agent_name: str = "",
        message: str = "",
        idempotency_key: str | None = None,
        takeover: bool = False,
    ) -> int:
        """Register a run; its row goes to the file with its first events, in one transaction."""
        writer = self._writing()
        if writer.is_full:
            raise self._is_full()
        run = self._catalog.run(key.user_id, run_id)
        if isinstance(run, OpenRun) and takeover and run.status is None and run.key == key:
            return self._take_over(run, writer)
        if run is not None:
            raise RunConflict(run_id, self._catalog.record(key.user_id, run_id))
        identity = None if idempotency_key is None else _storable(idempotency_key)
        self._catalog.begin(key, run_id, _storable(agent_name), _storable(message), identity)
        return 1

    def _take_over(self, run: OpenRun, writer: SqliteWriter) -> int:
        run.attempt += 1
        if run.is_stored:
            writer.batch.attempts[run] = None
            writer.arm()
        return run.attempt

    def submit(self, key: ThreadKey, drafts: Sequence[Draft], *, attempt: int) -> Ack:
        """Queue events of one run for the commit at the end of this turn of the loop.

        After some were refused, those that follow them are refused as well, until the run goes on where it stopped;
        only its end is stored all the same.
        """
        writer = self._writing()
        is_end = bool(drafts) and is_terminal(drafts[-1])
        return writer.batch.shared_ack(is_end) if self._accept(writer, key, drafts, attempt, is_end) else None

    async def append(self, key: ThreadKey, drafts: Sequence[Draft], *, attempt: int) -> Position:
        """Store events of one run; the position of the last. While much is queued it waits.

        Who appends to one run from several tasks awaits one append before the next: ordinals say what is known.
        """
        await self._writing().room()
        writer = self._writing()
        is_end = bool(drafts) and is_terminal(drafts[-1])
        is_queued = self._accept(writer, key, drafts, attempt, is_end)
        position = self.head(key)
        if is_queued:
            run = self._catalog.run(key.user_id, drafts[0].run_id)
            await writer.batch.own_ack(is_end)
            if is_end and isinstance(run, OpenRun):
                # An end that had to be queued once more has another place than it got at first.
                return Position(position.epoch, run.last)
        return position

    def _accept(
        self, writer: SqliteWriter, key: ThreadKey, drafts: Sequence[Draft], attempt: int, is_end: bool
    ) -> bool:
        """Check and queue events; whether there is a commit to wait for."""
        if not drafts:
            return False
        run = self._catalog.run(key.user_id, drafts[0].run_id)
        if run is None or run.key != key:
            raise UnknownRun(drafts[0].run_id)
        is_known = drafts[-1].run_seq <= run.ordinal
        if attempt != run.attempt or (run.status is not None and not is_known):
            raise StaleAttempt(drafts[0].run_id, attempt, run.attempt, run.status)
        if isinstance(run, StoredRun) or (is_known and run.ordinal == run.stored_ordinal):
            return False
        if not is_known:
            if writer.is_full or run.has_hole:
                self._admit(writer, run, drafts, is_end)
            self.queue(writer.batch, run, drafts)
            writer.arm()
        return True

    def _admit(self, writer: SqliteWriter, run: OpenRun, drafts: Sequence[Draft], is_end: bool) -> None:
        """Refuse events that have no room, or would hide that earlier ones were refused."""
        if writer.is_full and not is_end:
            run.has_hole = True
            raise self._is_full()
        if not run.accepts(drafts) and not is_end:
            raise LogUnavailable(self.url, f"run {run.run_id!r} had events refused after its {run.ordinal}.")

    def queue(self, batch: Batch, run: OpenRun, drafts: Sequence[Draft]) -> None:
        """Give events that are not known yet their places, and add them to a batch."""
        thread, newest = run.thread, drafts[-1]
        status = ending_status(newest.raw) if is_terminal(newest) else None
        key, epoch, seq, known = thread.key, thread.epoch, thread.head, run.ordinal
        events = []
        for draft in drafts:
            if draft.run_seq > known:
                seq += 1
                events.append(
                    Event(
                        draft.type,
                        key.thread_id,
                        draft.run_id,
                        key.user_id,
                        draft.agent_name,
                        epoch,
                        seq,
                        draft.run_seq,
                        draft.span,
                        draft.parent,
                        draft.timestamp,
                        draft.raw,
                    )
                )
        batch.add(run, events)
        thread.head = seq
        if status is not None:
            run.status, run.ended_at, run.last = status, newest.timestamp, thread.head
            batch.ends[run] = drafts
        if not run.has_hole:
            run.ordinal = newest.run_seq

    # ------------------------------------------------------- what the writer tells

    def committed(self, batch: Batch) -> None:
        """The batch is in the file: show it."""
        for thread in batch.threads:
            thread.is_stored = True
        for run in batch.runs:
            run.is_stored = True
        for run in batch.ends:
            self._catalog.remove(run)
        self._threads.show(batch.sources, batch.events)

    def refused(self, batch: Batch, *, in_doubt: bool) -> None:
        """The batch is not in the file: take back what was given out."""
        for run in set(batch.sources):
            run.rewind()
            run.thread.head = run.thread.shown
            run.thread.in_doubt = in_doubt

    def broke(self) -> None:
        """Nothing will be written or read any more; who waits is to notice."""
        self._threads.wake_all()

    # ------------------------------------------------------------------ reading

    def head(self, key: ThreadKey) -> Position:
        """Where the thread's next event will follow."""
        self._check_open()
        thread = self._threads.get(key)
        return self._look.position(key) if thread is None else thread.position

    def read_now(self, key: ThreadKey, after: Position | None, limit: int = PAGE_SIZE) -> Page | None:
        """`read`, if the events are in memory; None if they are in the file only."""
        self._check_open()
        thread = self._threads.get(key)
        return None if thread is None else thread.page(after, limit)

    async def read(self, key: ThreadKey, after: Position | None = None, limit: int = PAGE_SIZE) -> Page:
        """At most `limit` events after a position, oldest first; of the file at most some megabytes."""
        page = self.read_now(key, after, limit)
        return await self._reading.call(partial(self._pages.page, key, after, limit)) if page is None else page

    async def snapshot(self, key: ThreadKey, upto: int) -> tuple[Event, ...]:
        """The critical events still kept of the thread with a seq of at most `upto`, oldest first."""
        self._check_open()
        return await self._reading.call(partial(self._pages.snapshot, key, upto))

    def changed(self, key: ThreadKey, seen: int, *, critical: bool = False) -> Awaitable[None]:
        """Wait until the thread may have events after seq `seen`; a log opened to read looks ten times a second."""
        self._check_open()
        if self._read_only:
            return self._poll(key, seen)
        thread = self._catalog.thread(key)
        waiter = thread.waiters.add(self.loop, critical=critical)
        if thread.shown > seen:
            waiter.set_result(None)
        return waiter

    async def _poll(self, key: ThreadKey, seen: int) -> None:
        while self._is_open and self._look.position(key).seq == seen:  # noqa: ASYNC110
            # Nothing tells this process when another one commits.
            await asyncio.sleep(POLL_INTERVAL_S)

    def wake(self, key: ThreadKey) -> None:
        """Let everybody who waits for the thread look again."""
        thread = self._threads.get(key)
        if thread is not None:
            thread.waiters.wake()

    async def run(self, user_id: str, run_id: str) -> RunRecord | None:
        """The record of a user's run; None if there is none, or it is another user's."""
        self._check_open()
        return self._look.record(user_id, run_id) if self._read_only else self._catalog.record(user_id, run_id)

    async def runs(
        self, *, open: bool | None = None, user_id: str | None = None, limit: int = PAGE_SIZE
    ) -> list[RunRecord]:
        """Run records, newest first; `open` keeps those that have not (or have) ended."""
        self._check_open()
        begun: dict[int, RunRecord] = {}
        if not self._read_only and open is not False:
            runs = self._catalog.unstored_runs()
            begun = {run.id: run.record() for run in runs if user_id in (None, run.key.user_id)}
        records = begun | await self._reading.call(partial(self._pages.records, open, user_id, limit))
        # Ids are given out in the order in which runs begin.
        return [records[number] for number in sorted(records, reverse=True)[:limit]]

    def recent(self, key: ThreadKey, limit: int) -> list[RunRecord]:
        """The thread's ended runs, oldest first, at most `limit`."""
        self._check_open()
        return self._look.recent(key, limit)

    # ---------------------------------------------------------------- retention

    async def trim(self, now: float | None = None) -> int:
        """Let go of what is past its retention, a few rows at a time; how many events went from their threads."""
        now = time.time() if now is None else now
        self._writing()
        ended_before = now - self._retention_s
        due = await self._reading.call(partial(self._pages.due_threads, ended_before))
        gone = await self._trimmer.settle(due, ended_before) + await self._trimmer.cap(self._max_events)
        await self._trimmer.expire(now - self._run_retention_s)
        return gone

    async def drop(self, key: ThreadKey) -> None:
        """Erase a thread with its events and run records, as they are now; the freed space is overwritten."""
        writer = self._writing()
        for run in self._catalog.open_runs(key):
            raise RunConflict(run.run_id, self._catalog.record(key.user_id, run.run_id))
        thread = self._catalog.thread(key)
        await self._trimmer.erase(key, thread.id, thread.shown)
        await writer.lend(partial(self._file.checkpoint, "truncate"))

    # ------------------------------------------------------------------ closing

    def stats(self) -> LogStats:
        """How large the log is, in bytes."""
        return LogStats(
            file_bytes=_size(self.path),
            wal_bytes=_size(self.path.with_name(f"{self.path.name}-wal")),
            memory_bytes=self._threads.size_bytes,
            pending_bytes=self._writer.batch.size_bytes if self._writer else 0,
            open_runs=0 if self._read_only else len(self._catalog),
            is_full=self._writer is not None and self._writer.is_full,
        )

    async def aclose(self) -> None:
        """Store what is queued, leave the file complete and let another writer in. Safe to call twice."""
        if not self._is_open:
            return
        self._close_readers()
        self._threads.wake_all()
        if self._writer is not None:
            await self._writer.close()
            self._helper.close()

    def _check_open(self) -> None:
        if not self._is_open or (self._writer is not None and self._writer.broken is not None):
            raise self._refusal()

    def _writing(self) -> SqliteWriter:
        writer = self._writer
        if writer is None or not self._is_open or writer.broken is not None:
            raise self._refusal()
        return writer

    def _refusal(self) -> ClosedError | LogUnavailable:
        if not self._is_open:
            return ClosedError(f"event log {self.url!r} is not open; it is used between open() and aclose()")
        if self._writer is not None and self._writer.broken is not None:
            return LogUnavailable(self.url, self._writer.broken.reason)
        return ClosedError(f"event log {self.url!r} is open to read only; the process that opened it to write writes")

    def _is_full(self) -> LogUnavailable:
        return LogUnavailable(self.url, "the disk is full, so only the ends of runs are stored")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _storable(text: str) -> str:
    """The text as it is, but for lone surrogates, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
