"""What a SQLite event log keeps in memory: threads in use with their newest events, and the runs that are open."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from ssot_engine.eventlog.base import Draft, Page, RunRecord, Waiters, page_status
from ssot_engine.events import Event, Position, RunStatus, ThreadKey

#: What an event, and a thread, cost in memory beside their texts, in bytes.
EVENT_OVERHEAD = 300
THREAD_OVERHEAD = 700
#: Newest events of one thread kept in memory: readers further behind read the file.
RECENT_EVENTS = 2048


class CachedThread:
    """A thread in use. `head` is the seq given out last, `shown` the newest that is committed."""

    __slots__ = (
        "epoch", "floor", "generation", "head", "id", "in_doubt", "is_stored", "key", "open_runs", "recent", "shown",
        "size_bytes", "waiters",
    )  # fmt: skip

    def __init__(self, id: int, key: ThreadKey, epoch: str, generation: int, floor: int, head: int, is_stored: bool):
        self.id = id
        self.key = key
        self.epoch = epoch
        self.generation = generation
        self.floor = floor
        self.head = self.shown = head
        self.is_stored = is_stored
        #: A commit failed; the file says what became of it.
        self.in_doubt = False
        #: The newest committed events, the last of them at `shown`.
        self.recent: list[Event] = []
        self.size_bytes = 0
        self.open_runs = 0
        self.waiters = Waiters()

    @property
    def is_busy(self) -> bool:
        """Somebody reads it live, or writes to it."""
        return self.waiters.are_there or self.open_runs > 0 or self.head != self.shown

    @property
    def length(self) -> int:
        """How many events are kept."""
        return self.shown - self.floor

    @property
    def position(self) -> Position:
        """Where the next event will follow."""
        return Position(self.epoch, self.head)

    def page(self, after: Position | None, limit: int) -> Page | None:
        """The events after a position; None if they are in the file only."""
        status = page_status(after, self.epoch, self.floor, self.shown)
        if status != "ok":
            return Page(status, (), self.epoch, self.floor, self.shown)
        start = (0 if after is None else after.seq) - self.shown + len(self.recent)
        if start < 0:
            return None
        return Page("ok", self.recent[start : start + limit], self.epoch, self.floor, self.shown)

    def forget(self, count: int) -> int:
        """Drop the oldest `count` events from memory; the bytes that frees."""
        freed = sum(len(event.raw) + EVENT_OVERHEAD for event in self.recent[:count])
        del self.recent[:count]
        self.size_bytes -= freed
        return freed


class OpenRun:
    """A run that has not ended. `ordinal` is the run_seq accepted last, `stored_ordinal` the newest committed."""

    __slots__ = (
        "agent_name", "attempt", "ended_at", "has_hole", "id", "idempotency_key", "is_stored", "last", "message",
        "ordinal", "run_id", "started_at", "status", "stored_ordinal", "thread",
    )  # fmt: skip

    def __init__(self, id: int, thread: CachedThread, run_id: str, attempt: int = 1, ordinal: int = 0):
        self.id = id
        self.thread = thread
        self.run_id = run_id
        self.attempt = attempt
        self.ordinal = self.stored_ordinal = ordinal
        self.is_stored = True
        #: What its terminal event says, which is queued at seq `last`. Once that is committed the run is not open.
        self.status: RunStatus | None = None
        self.ended_at = 0.0
        self.last = 0
        #: Events after `ordinal` were refused and have not been repeated.
        self.has_hole = False
        self.agent_name = self.message = ""
        self.idempotency_key: str | None = None
        self.started_at = 0.0

    @classmethod
    def begun(
        cls, id: int, thread: CachedThread, run_id: str, agent_name: str, message: str, idempotency_key: str | None
    ) -> OpenRun:
        """A new run; it goes to the file with its first events."""
        run = cls(id, thread, run_id)
        run.is_stored = False
        run.agent_name, run.message, run.idempotency_key = agent_name, message, idempotency_key
        run.started_at = time.time()
        return run

    @property
    def key(self) -> ThreadKey:
        """Its thread's key."""
        return self.thread.key

    def accepts(self, drafts: Sequence[Draft]) -> bool:
        """Whether events may be stored without leaving out others that were refused before them."""
        if self.has_hole and drafts[0].run_seq <= self.ordinal + 1:
            self.has_hole = False
        return not self.has_hole

    def rewind(self) -> None:
        """What was not committed is refused."""
        self.has_hole = self.has_hole or self.ordinal > self.stored_ordinal
        self.ordinal = self.stored_ordinal
        self.status, self.last = None, 0

    def record(self) -> RunRecord:
        """What is known of a run that is not in the file yet."""
        return RunRecord(
            key=self.key,
            run_id=self.run_id,
            agent_name=self.agent_name,
            attempt=self.attempt,
            status=None,
            started_at=self.started_at,
            ended_at=None,
            message=self.message,
            idempotency_key=self.idempotency_key,
            ending=None,
        )


class ThreadCache:
    """Threads by key, the longest untouched first, and the bytes of their events; a byte cap lets the oldest go."""

    def __init__(self, max_bytes: int) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._threads: dict[ThreadKey, CachedThread] = {}

    def __len__(self) -> int:
        return len(self._threads)

    def __iter__(self) -> Iterator[CachedThread]:
        return iter(tuple(self._threads.values()))

    def get(self, key: ThreadKey) -> CachedThread | None:
        """The thread, if it is in memory."""
        return self._threads.get(key)

    def add(self, thread: CachedThread) -> None:
        """Keep a thread."""
        if self.size_bytes > self._max_bytes:
            self._evict()
        self._threads[thread.key] = thread
        self.size_bytes += THREAD_OVERHEAD

    def show(self, runs: Sequence[OpenRun], events: Sequence[Event]) -> None:
        """Committed events, each with its run, become visible, and their readers are told."""
        moved: dict[CachedThread, list[Event]] = {}
        for run, event in zip(runs, events, strict=True):
            thread = run.thread
            thread.recent.append(event)
            thread.size_bytes += len(event.raw) + EVENT_OVERHEAD
            self.size_bytes += len(event.raw) + EVENT_OVERHEAD
            run.stored_ordinal = event.run_seq
            moved.setdefault(thread, []).append(event)
        for thread, mine in moved.items():
            thread.shown = thread.recent[-1].seq
            self._touch(thread)
            thread.waiters.tell(mine)
        if self.size_bytes > self._max_bytes:
            self._evict()

    def _touch(self, thread: CachedThread) -> None:
        if len(thread.recent) > RECENT_EVENTS + (RECENT_EVENTS >> 2):
            self.size_bytes -= thread.forget(len(thread.recent) - RECENT_EVENTS)
        # The order of the dict is the order of use.
        if self._threads.pop(thread.key, None) is not None:
            self._threads[thread.key] = thread

    def raise_floor(self, thread: CachedThread, floor: int) -> None:
        """Events up to `floor` are gone from the file, and leave memory too."""
        thread.floor = floor
        oldest = thread.shown - len(thread.recent) + 1
        if oldest <= floor:
            self.size_bytes -= thread.forget(floor - oldest + 1)

    def remove(self, thread: CachedThread) -> None:
        """Let a thread go; who waits for it looks again."""
        if self._threads.get(thread.key) is thread:
            del self._threads[thread.key]
            self.size_bytes -= thread.forget(len(thread.recent)) + THREAD_OVERHEAD
        thread.waiters.wake()

    def _evict(self) -> None:
        """Down to 7/8 of the cap: of threads in use the events go, the others go whole."""
        for thread in tuple(self._threads.values()):
            if self.size_bytes <= self._max_bytes - (self._max_bytes >> 3):
                return
            if thread.is_busy:
                self.size_bytes -= thread.forget(len(thread.recent))
            else:
                self.remove(thread)

    def wake_all(self) -> None:
        """Everybody who waits looks again."""
        for thread in self._threads.values():
            thread.waiters.wake()
