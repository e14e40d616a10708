"""Reads the file of a SQLite event log: what is committed, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from ssot_engine.errors import ConfigError, LogCorrupt, LogUnavailable
from ssot_engine.eventlog.base import Page, RunRecord, page_status
from ssot_engine.events import Event, Position, RunStatus, ThreadKey

#: Marks the file as ours, and the version of its tables.
APPLICATION_ID = 0x73736F74
SCHEMA_VERSION = 1

#: A page read from the file ends after this many bytes of events.
PAGE_BYTES = 4_194_304

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def error_code(error: sqlite3.Error) -> int:
    """SQLite's extended result code; 0 for an error of Python's own."""
    return getattr(error, "sqlite_errorcode", 0)


def failure(path: Path, error: sqlite3.Error | msgspec.DecodeError) -> ConfigError:
    """A storage error as one of ours."""
    if isinstance(error, msgspec.DecodeError) or error_code(error) & 0xFF in _CORRUPT:
        return LogCorrupt(str(path), str(error))
    return LogUnavailable(url_of(path), str(error))


def url_of(path: Path) -> str:
    """How the log of a file is named in settings and errors."""
    return f"sqlite:///{path}"


def check_kind(db: sqlite3.Connection, path: Path) -> Literal["empty", "ours"]:
    """Whether the file is new or an event log.

    Raises:
        LogCorrupt: it is a database of something else.
        ConfigError: it was written by another version.
    """
    ours, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    if not ours and not _pragma(db, "schema_version"):
        return "empty"
    if ours != APPLICATION_ID:
        raise LogCorrupt(str(path), "it is a SQLite database, but not one of ssot-engine")
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"event log {str(path)!r} has schema {version}, this version of ssot-engine knows schema {SCHEMA_VERSION}; "
            "use the version that wrote it, or move the file away to start empty"
        )
    return "ours"


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"pragma {name}").fetchone()[0])


# ---------------------------------------------------------------- an event as stored


class Body(msgspec.Struct, frozen=True, gc=False):
    """An event as it is stored and goes on the wire, without the epoch: another epoch must not make it lie."""

    type: str
    thread_id: str
    run_id: str
    user_id: str
    agent_name: str
    seq: int
    run_seq: int
    span: int
    parent: int | None
    timestamp: float
    raw: msgspec.Raw = msgspec.field(name="payload")


decode_body = msgspec.json.Decoder(Body).decode
_encode = msgspec.json.Encoder().encode


def encode_body(event: Event) -> str:
    """The JSON text under which an event is stored."""
    return _encode(
        Body(
            event.type,
            event.thread_id,
            event.run_id,
            event.user_id,
            event.agent_name,
            event.seq,
            event.run_seq,
            event.span,
            event.parent,
            event.timestamp,
            event.raw,
        )
    ).decode()


def decode_event(text: str, epoch: str) -> Event:
    """The event stored as `text`."""
    body = decode_body(text)
    return Event(
        body.type,
        body.thread_id,
        body.run_id,
        body.user_id,
        body.agent_name,
        epoch,
        body.seq,
        body.run_seq,
        body.span,
        body.parent,
        body.timestamp,
        body.raw,
    )


# ------------------------------------------------------------------------- rows


class ThreadRow(NamedTuple):
    """A thread in the file. `floor` is the seq of the newest event that left it, `head` of the newest event."""

    id: int
    generation: int
    floor: int
    head: int


class StoredRun(NamedTuple):
    """A run in the file, as far as it takes to go on with it. `ordinal` is the run_seq up to which it is known."""

    id: int
    key: ThreadKey
    attempt: int
    status: RunStatus | None
    ordinal: int


def epoch_of(base: str, generation: int) -> str:
    """The epoch of a thread made after `generation` times threads were forgotten whole."""
    return f"{base}.{generation}" if generation else base


_THREAD = """
    select id, generation, trimmed, coalesce((select max(seq) from event where thread = thread.id), 0)
    from thread where owner = ? and name = ?"""

_RECORD = """
    select run.owner, thread.name, run.name, run.agent_name, run.attempt, run.status, run.started_at, run.ended_at,
        run.message, run.idempotency_key, event.body, run.id
    from run join thread on thread.id = run.thread
        left join event on event.thread = run.thread and event.seq = run.last"""


class SqliteReader:
    """A read-only connection. Every method is one look at the file; none keeps a transaction open.

    Raises:
        LogCorrupt: the file is damaged, or what is in it is no event.
        LogUnavailable: it cannot be read.
    """

    def __init__(self, path: Path, timeout_s: float = 0.0) -> None:
        """Open the file at `path`, an absolute path. `timeout_s` is how long a call may block on another process."""
        self._path = path
        with self._failures():
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=timeout_s
            )
            self._db.execute("pragma query_only = on")

    def check(self) -> None:
        """Make sure that the file is an event log, with something in it."""
        with self._failures():
            if check_kind(self._db, self._path) == "empty":
                raise LogUnavailable(url_of(self._path), "nothing was ever written to it")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # ------------------------------------------------------------------ threads

    def epoch(self) -> tuple[str, int]:
        """The file's epoch, and how often threads were forgotten whole."""
        meta = dict(self._rows("select name, value from meta where name in ('epoch', 'generation')"))
        return meta["epoch"], int(meta["generation"])

    def thread(self, key: ThreadKey) -> ThreadRow | None:
        """The thread's row."""
        for number, generation, floor, newest in self._rows(_THREAD, key):
            return ThreadRow(number, generation, floor, max(floor, newest))
        return None

    def head(self, thread: int) -> int:
        """The seq of the newest event in a thread that is in the file; 0 if none is kept."""
        return int(self._rows("select coalesce(max(seq), 0) from event where thread = ?", (thread,))[0][0])

    def position(self, key: ThreadKey) -> Position:
        """Where the thread's next event will follow."""
        with self._failures(), self._one_view():
            return self._state(key)[1]

    def page(self, key: ThreadKey, after: Position | None, limit: int) -> Page:
        """The events after a position."""
        with self._failures(), self._one_view():
            thread, position = self._state(key)
            epoch, head = position.epoch, position.seq
            floor = thread.floor if thread else 0
            status = page_status(after, epoch, floor, head)
            if status != "ok" or thread is None:
                return Page(status, (), epoch, floor, head)
            return Page("ok", self._events(thread.id, after.seq if after else 0, limit, epoch), epoch, floor, head)

    def _state(self, key: ThreadKey) -> tuple[ThreadRow | None, Position]:
        base, generation = self.epoch()
        thread = self.thread(key)
        if thread is None:
            return None, Position(epoch_of(base, generation), 0)
        return thread, Position(epoch_of(base, thread.generation), thread.head)

    def _events(self, thread: int, after: int, limit: int, epoch: str) -> list[Event]:
        events: list[Event] = []
        size_bytes = 0
        rows = self._db.execute(
            "select body from event where thread = ? and seq > ? order by seq limit ?", (thread, after, limit)
        )
        for (text,) in rows:
            events.append(decode_event(text, epoch))
            size_bytes += len(text)
            if size_bytes > PAGE_BYTES:
                break
        rows.close()
        return events

    def snapshot(self, key: ThreadKey, upto: int) -> tuple[Event, ...]:
        """The critical events with a seq of at most `upto`, oldest first."""
        with self._failures(), self._one_view():
            thread, position = self._state(key)
            if thread is None:
                return ()
            rows = self._db.execute(
                "select body from event where thread = ? and seq <= ? and critical order by seq", (thread.id, upto)
            )
            return tuple(decode_event(text, position.epoch) for (text,) in rows)

    # --------------------------------------------------------------------- runs

    def stored_run(self, user_id: str, run_id: str) -> StoredRun | None:
        """The run's row, to go on with."""
        rows = self._rows(
            "select run.id, thread.id, thread.name, attempt, status, ordinal from run"
            " join thread on thread.id = run.thread where run.owner = ? and run.name = ?",
            (user_id, run_id),
        )
        for number, thread, thread_id, attempt, status, ordinal in rows:
            if status is not None:
                return StoredRun(number, ThreadKey(user_id, thread_id), attempt, RunStatus(status), ordinal)
            return StoredRun(number, ThreadKey(user_id, thread_id), attempt, None, self._newest_ordinal(thread, number))
        return None

    def _newest_ordinal(self, thread: int, run: int) -> int:
        rows = self._rows(
            "select body from event where thread = ? and run = ? order by seq desc limit 1", (thread, run)
        )
        with self._failures():
            return decode_body(rows[0][0]).run_seq if rows else 0

    def record(self, user_id: str, run_id: str) -> RunRecord | None:
        """What is known of one run."""
        records = self._records(f"{_RECORD} where run.owner = ? and run.name = ?", (user_id, run_id))
        return next(iter(records.values()), None)

    def records(self, open: bool | None, user_id: str | None, limit: int) -> dict[int, RunRecord]:
        """Run records by the ids of their rows, newest first."""
        chosen = {True: "run.ended_at is null", False: "run.ended_at is not null", None: "true"}[open]
        if user_id is None:
            return self._records(f"{_RECORD} where {chosen} order by run.id desc limit ?", (limit,))
        return self._records(
            f"{_RECORD} where run.owner = ? and {chosen} order by run.id desc limit ?", (user_id, limit)
        )

    def recent(self, key: ThreadKey, limit: int) -> list[RunRecord]:
        """The thread's newest ended runs, at most `limit`, oldest first."""
        thread = self.thread(key)
        if thread is None:
            return []
        records = self._records(
            f"{_RECORD} where run.thread = ? and run.ended_at is not null order by run.id desc limit ?",
            (thread.id, limit),
        )
        return list(records.values())[::-1]

    def _records(self, sql: str, parameters: tuple[Any, ...]) -> dict[int, RunRecord]:
        with self._failures():
            return {row[-1]: _record(*row[:-1]) for row in self._db.execute(sql, parameters)}

    # ---------------------------------------------------------------- retention

    def due_threads(self, ended_before: float) -> list[tuple[int, ThreadKey]]:
        """Threads with runs that ended before a time and still have events beyond the critical ones."""
        rows = self._rows(
            "select distinct thread.id, thread.owner, thread.name from run join thread on thread.id = run.thread"
            " where settled = 0 and ended_at <= ?",
            (ended_before,),
        )
        return [(number, ThreadKey(owner, name)) for number, owner, name in rows]

    # ----------------------------------------------------------------- workings

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        with self._failures():
            return self._db.execute(sql, parameters).fetchall()

    @contextmanager
    def _one_view(self) -> Iterator[None]:
        """Everything read inside is of one moment."""
        self._db.execute("begin")
        try:
            yield
        finally:
            self._db.execute("rollback")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise failure(self._path, error) from error


def _record(
    owner: str,
    thread: str,
    run_id: str,
    agent_name: str,
    attempt: int,
    status: str | None,
    started_at: float,
    ended_at: float | None,
    message: str,
    idempotency_key: str | None,
    body: str | None,
) -> RunRecord:
    return RunRecord(
        key=ThreadKey(owner, thread),
        run_id=run_id,
        agent_name=agent_name,
        attempt=attempt,
        status=None if status is None else RunStatus(status),
        started_at=started_at,
        ended_at=ended_at,
        message=message,
        idempotency_key=idempotency_key,
        ending=None if body is None else decode_body(body).raw,
    )
