"""The queue in front of the file of a SQLite event log: what is committed when, and what if it cannot be."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

from ssot_engine.errors import LogUnavailable
from ssot_engine.eventlog.base import Draft
from ssot_engine.eventlog.helper_thread import HelperThread
from ssot_engine.eventlog.sqlite_cache import CachedThread, OpenRun
from ssot_engine.eventlog.sqlite_file import (
    END_RUN,
    INSERT_EVENT,
    INSERT_RUN,
    INSERT_THREAD,
    RAISE_ATTEMPT,
    SqliteFile,
    is_busy,
    is_full,
)
from ssot_engine.eventlog.sqlite_reader import encode_body, failure
from ssot_engine.events import CRITICAL, Event
from ssot_engine.logs import get_logger

T = TypeVar("T")

#: Bytes queued above which `append` waits.
MAX_PENDING_BYTES = 8_388_608
#: Events committed between two checkpoints.
CHECKPOINT_ROWS = 2000
#: How long a commit is tried again while the file is locked, or a run's end finds no room, and how often, in seconds.
RETRY_WINDOW_S = 5.0
RETRY_INTERVAL_S = 0.02
#: How soon and how often a full disk is looked at, in seconds.
FIRST_PROBE_S = 0.05
PROBE_INTERVAL_S = 1.0

_log = get_logger(__name__)


class Batch:
    """Everything queued for one commit, and who waits for it."""

    __slots__ = (
        "_acks", "_end_acks", "_loop", "attempts", "ends", "events", "rows", "runs", "size_bytes", "sources",
        "threads",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: Rows that are new or change; a dict is a set that keeps its order.
        self.threads: dict[CachedThread, None] = {}
        self.runs: dict[OpenRun, None] = {}
        self.attempts: dict[OpenRun, None] = {}
        #: Events with their runs and their rows, side by side.
        self.events: list[Event] = []
        self.rows: list[tuple[Any, ...]] = []
        self.sources: list[OpenRun] = []
        #: Runs that end, with the events of the append that ends them.
        self.ends: dict[OpenRun, Sequence[Draft]] = {}
        self.size_bytes = 0
        #: Who waits, the ack that is shared first; apart from them who ends a run, which may succeed on its own.
        self._acks: list[asyncio.Future[None]] = []
        self._end_acks: list[asyncio.Future[None]] = []

    @property
    def is_empty(self) -> bool:
        """Nothing waits to be committed."""
        return not (self.events or self.attempts)

    def add(self, run: OpenRun, events: Sequence[Event]) -> None:
        """Queue events of one run that have their places; all or none."""
        rows = [(run.thread.id, event.seq, run.id, int(event.type in CRITICAL), encode_body(event)) for event in events]
        if not run.thread.is_stored:
            self.threads[run.thread] = None
        if not run.is_stored:
            self.runs[run] = None
        self.rows += rows
        for event in events:
            self.events.append(event)
            self.sources.append(run)
            self.size_bytes += len(event.raw)

    def shared_ack(self, is_end: bool) -> asyncio.Future[None]:
        """The future that tells of the commit to everybody who does not wait alone."""
        acks = self._end_acks if is_end else self._acks
        if not acks:
            ack = self._loop.create_future()
            ack.add_done_callback(_mark_retrieved)
            acks.append(ack)
        return acks[0]

    def own_ack(self, is_end: bool) -> asyncio.Future[None]:
        """A future for one who waits and may be cancelled."""
        self.shared_ack(is_end)
        ack = self._loop.create_future()
        (self._end_acks if is_end else self._acks).append(ack)
        return ack

    def take_end_acks(self, other: Batch) -> None:
        """Who ended runs in another batch waits for this one."""
        self._end_acks, other._end_acks = other._end_acks, []

    def settle(self, error: Exception | None = None) -> None:
        """Tell who waits."""
        for ack in chain(self._acks, self._end_acks):
            if ack.done():
                continue
            if error is None:
                ack.set_result(None)
            else:
                ack.set_exception(error)

    def statements(self) -> list[tuple[str, list[tuple[Any, ...]]]]:
        """What to store, in the order in which rows need each other."""
        return [
            (INSERT_THREAD, [(t.id, *t.key, t.generation, t.floor) for t in self.threads]),
            (INSERT_RUN, [_run_row(run) for run in self.runs]),
            (RAISE_ATTEMPT, [(run.attempt, run.id) for run in self.attempts]),
            (INSERT_EVENT, self.rows),
            (END_RUN, [(r.attempt, r.status, r.ended_at, r.last, r.ordinal, r.id) for r in self.ends]),
        ]


def _run_row(run: OpenRun) -> tuple[Any, ...]:
    return (
        run.id,
        run.key.user_id,
        run.run_id,
        run.thread.id,
        run.agent_name,
        run.message,
        run.idempotency_key,
        run.started_at,
        run.attempt,
    )


def _mark_retrieved(ack: asyncio.Future[None]) -> None:
    """Nobody has to wait for an ack, so nobody is warned that nobody did."""
    if not ack.cancelled():
        ack.exception()


class Keeper(Protocol):
    """Who queues, and is told what became of it."""

    def committed(self, batch: Batch) -> None:
        """It is in the file: show it."""

    def refused(self, batch: Batch, *, in_doubt: bool) -> None:
        """It is not in the file: take back what was given out. `in_doubt`: look there before going on."""

    def queue(self, batch: Batch, run: OpenRun, drafts: Sequence[Draft]) -> None:
        """Add events of a run to a batch once more."""

    def broke(self) -> None:
        """Nothing will be written or read any more."""


class SqliteWriter:
    """Commits, on the event loop, what was queued in one turn of it.

    A commit is a `write` without an `fsync`. What is slow, checkpoints and removals, is done by a helper thread on the
    same connection, and commits wait meanwhile. A file locked from outside is tried again for some seconds. When the
    disk is full, what is queued goes where the reserve was; then only ends of runs are accepted until there is room.
    """

    def __init__(self, file: SqliteFile, keeper: Keeper, helper: HelperThread) -> None:
        self._loop = asyncio.get_running_loop()
        self.batch = Batch(self._loop)
        #: Only ends of runs are accepted.
        self.is_full = not file.has_reserve
        #: Why nothing can be written any more.
        self.broken: LogUnavailable | None = None
        self._file = file
        self._keeper = keeper
        self._helper = helper
        self._is_armed = False
        #: The helper thread has the file; what it is to do next.
        self._is_lent = False
        self._jobs: deque[Callable[[], None]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._failing_since: float | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._rows_since_checkpoint = 0
        self._is_closing = False
        if self.is_full:
            self._probe_in(FIRST_PROBE_S)

    # ------------------------------------------------------------------ commits

    def arm(self) -> None:
        """Commit the batch at the end of this turn of the loop, or once the file is free."""
        if not (self._is_armed or self._is_lent or self._retry):
            self._is_armed = True
            self._loop.call_soon(self.flush)

    async def room(self) -> None:
        """Wait while too many bytes are queued."""
        while self.batch.size_bytes > MAX_PENDING_BYTES:
            await asyncio.wait((self.batch.shared_ack(False),))

    def flush(self) -> None:
        """Commit the batch now, unless the helper thread has the file."""
        self._is_armed = False
        batch = self.batch
        if self._is_lent or batch.is_empty:
            return
        try:
            self._file.check_identity(self._loop.time())
            self._file.write(batch.statements())
        except LogUnavailable as error:
            self._break(error)
        except sqlite3.Error as error:
            self._failed(error)
        else:
            self.batch = Batch(self._loop)
            self._failing_since = None
            self._keeper.committed(batch)
            batch.settle()
            self._count(len(batch.events))

    def _count(self, rows: int) -> None:
        self._rows_since_checkpoint += rows
        if self._rows_since_checkpoint >= CHECKPOINT_ROWS:
            self._rows_since_checkpoint = 0
            self.lend(self._file.checkpoint).add_done_callback(self._checkpointed)

    def _checkpointed(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()):
            _log.warning("event_log_checkpoint_failed", path=str(self._file.path), error=str(error))

    # ----------------------------------------------------------------- failures

    def _failed(self, error: sqlite3.Error) -> None:
        problem = LogUnavailable(self._file.url, str(error))
        if is_full(error):
            if self._fill_up(problem):
                self.flush()
                return
            self._refuse(problem, spare_ends=True)
        elif not is_busy(error):
            self._refuse(problem, in_doubt=True)
        if not self.batch.is_empty:
            self._try_again_or_give_up(problem)

    def _try_again_or_give_up(self, problem: LogUnavailable) -> None:
        now = self._loop.time()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since < RETRY_WINDOW_S:
            if self._retry is None:
                self._retry = self._loop.call_later(RETRY_INTERVAL_S, self._try_again)
        else:
            self._failing_since = None
            self._refuse(problem)

    def _try_again(self) -> None:
        self._retry = None
        self.flush()

    def _refuse(self, problem: LogUnavailable, *, spare_ends: bool = False, in_doubt: bool = False) -> None:
        """Give the batch up; with `spare_ends` what ends a run stays queued."""
        batch, self.batch = self.batch, Batch(self._loop)
        self._keeper.refused(batch, in_doubt=in_doubt)
        if spare_ends:
            self.batch.take_end_acks(batch)
            for run, drafts in batch.ends.items():
                run.accepts(drafts)
                self._keeper.queue(self.batch, run, drafts)
        batch.settle(problem)

    def _break(self, problem: LogUnavailable) -> None:
        _log.error("event_log_lost", path=str(self._file.path), reason=problem.reason)
        self.broken = problem
        self._refuse(problem)
        self._keeper.broke()

    def _fill_up(self, problem: LogUnavailable) -> bool:
        """The disk is full. Whether the reserve made some room."""
        if not self.is_full:
            _log.error("event_log_full", path=str(self._file.path), reason=problem.reason)
            self.is_full = True
            self._probe_in(FIRST_PROBE_S)
        self._file.has_reserve = False
        return self._file.reserve.release()

    def _probe_in(self, delay_s: float) -> None:
        if not self._is_closing:
            self._probe = self._loop.call_later(delay_s, lambda: self.lend(self._file.probe, self._probed))

    def _probed(self, has_room: bool) -> None:
        if has_room:
            _log.warning("event_log_recovered", path=str(self._file.path))
            self.is_full = False
        else:
            self._probe_in(PROBE_INTERVAL_S)

    # ------------------------------------------------------------ helper thread

    def lend(self, job: Callable[[], T], then: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        """Let the helper thread use the file for one call; commits wait until it is done.

        `then` gets what it returned, on the loop and before the next commit, whether or not anybody still waits.
        """
        result: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append(partial(self._start, job, then, result))
        self._next_job()
        return result

    def _next_job(self) -> None:
        if self._jobs and not self._is_lent:
            self._is_lent = True
            self._jobs.popleft()()

    def _start(self, job: Callable[[], T], then: Callable[[T], None] | None, result: asyncio.Future[T]) -> None:
        self._helper.call(job).add_done_callback(partial(self._returned, then, result))

    def _returned(self, then: Callable[[T], None] | None, result: asyncio.Future[T], done: asyncio.Future[T]) -> None:
        self._is_lent = False
        error = done.exception()
        if error is None and then is not None:
            then(done.result())
        if not result.done():
            if error is None:
                result.set_result(done.result())
            else:
                result.set_exception(failure(self._file.path, error) if isinstance(error, sqlite3.Error) else error)
        self.flush()
        self._next_job()

    # ------------------------------------------------------------------ closing

    async def close(self) -> None:
        """Commit what is queued, or give it up, and close the file."""
        while not self.batch.is_empty:
            ack = self.batch.shared_ack(False)
            self.flush()
            if not ack.done():
                await asyncio.wait((ack,))
        self._is_closing = True
        if self._probe is not None:
            self._probe.cancel()
        await self.lend(self._file.close)
