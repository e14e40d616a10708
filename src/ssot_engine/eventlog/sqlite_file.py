"""The file of a SQLite event log as its one writer has it: lock, schema, epoch, orphaned runs, commits, checkpoints."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ssot_engine.errors import ConfigError, LogUnavailable
from ssot_engine.eventlog.reserve import Reserve
from ssot_engine.eventlog.sqlite_reader import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    check_kind,
    decode_body,
    encode_body,
    error_code,
    failure,
    url_of,
)
from ssot_engine.eventlog.writer_lock import WriterLock
from ssot_engine.events import AgentCompleted, Event, RunStatus

Synchronous = Literal["normal", "full"]

# A rowid table and one small index: clustering events by thread costs 2.5 times the CPU. `last` is the seq of a run's
# terminal event, `ordinal` the run_seq up to which its events are known; both are set when it ends. A run is `settled`
# once all of its events but the critical ones have left their thread. One index finds open, due and expired runs.
SCHEMA = """
create table meta(name text primary key, value text not null) without rowid;
create table thread(id integer primary key, owner text not null, name text not null, generation integer not null,
    trimmed integer not null, unique(owner, name));
create table run(id integer primary key, owner text not null, name text not null, thread integer not null,
    agent_name text not null, message text not null, idempotency_key text, started_at real not null,
    attempt integer not null, status text, ended_at real, last integer, ordinal integer not null default 0,
    settled integer not null default 0, unique(owner, name));
create index run_of_thread on run(thread);
create index run_by_end on run(settled, ended_at);
create table event(n integer primary key, thread integer not null, seq integer not null, run integer not null,
    critical integer not null, body text not null);
create unique index event_at on event(thread, seq)
"""

INSERT_THREAD = "insert into thread(id, owner, name, generation, trimmed) values(?, ?, ?, ?, ?)"
INSERT_RUN = (
    "insert into run(id, owner, name, thread, agent_name, message, idempotency_key, started_at, attempt)"
    " values(?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
RAISE_ATTEMPT = "update run set attempt = ? where id = ?"
END_RUN = "update run set attempt = ?, status = ?, ended_at = ?, last = ?, ordinal = ? where id = ?"
INSERT_EVENT = "insert into event(thread, seq, run, critical, body) values(?, ?, ?, ?, ?)"

#: How long opening waits for another process that has the file locked, in seconds.
OPEN_TIMEOUT_S = 5.0
#: How often the file is compared with the one that was opened, in seconds.
IDENTITY_INTERVAL_S = 1.0

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_full(error: sqlite3.Error) -> bool:
    """Whether there was no room: on the disk, or under SQLite's own limit."""
    return error_code(error) in _FULL


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has the file locked for a moment."""
    return error_code(error) & 0xFF in _BUSY


class SqliteFile:
    """One connection that writes and checkpoints, so that no commit ever meets a checkpoint of another connection."""

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        """`path` is a real path; nothing is touched before `open`."""
        self.path = path
        self.url = url_of(path)
        self.epoch = ""
        #: How often threads were forgotten whole.
        self.generation = 0
        #: The ids the next thread and the next run get.
        self.next_thread = self.next_run = 1
        self.reserve = Reserve(path.with_name(f"{path.name}.reserve"))
        self.has_reserve = False
        self._synchronous = synchronous
        self._lock: WriterLock | None = None
        self._db: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._looked_at = 0.0

    # ------------------------------------------------------------------ opening

    def open(self) -> int:
        """Make the file ready to write; how many runs of a crashed writer were ended as `lost`.

        Raises:
            LogInUse: another writer has it.
            LogCorrupt: it is damaged, or no event log.
            ConfigError: its directory or itself cannot be written, or its schema is of another version.
        """
        try:
            return self._open()
        except BaseException as error:
            self._let_go()
            if isinstance(error, sqlite3.Error):
                raise self._cannot_open(error) from error
            if isinstance(error, msgspec.DecodeError):
                raise failure(self.path, error) from error
            if isinstance(error, OSError):
                raise self._cannot_write(error.strerror or str(error)) from error
            raise

    def _open(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = WriterLock(self.path)
        # Only ever opened to create it: closing any descriptor of a file drops the locks SQLite holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db = self._db = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=OPEN_TIMEOUT_S
        )
        is_new = check_kind(db, self.path) == "empty"
        self._configure(db)
        with transaction(db):
            if is_new:
                _create(db)
            self._note_start(db)
            swept = self._sweep(db)
            self.next_thread, self.next_run = _next_ids(db)
        db.execute(f"pragma synchronous = {self._synchronous}")
        db.execute("pragma busy_timeout = 0")
        self.has_reserve = self.reserve.hold()
        return swept

    def _configure(self, db: sqlite3.Connection) -> None:
        if db.execute("pragma journal_mode = wal").fetchone()[0] != "wal":
            raise self._cannot_write("its file system has no write-ahead logging; give a path on a local disk")
        # The note that the file is in use must be on the disk before anything is written after it.
        for setting in (
            "synchronous = full",
            "wal_autocheckpoint = 0",
            "journal_size_limit = 67108864",
            "cache_size = -16384",
            "secure_delete = off",
            "temp_store = memory",
        ):
            db.execute(f"pragma {setting}")

    def _note_start(self, db: sqlite3.Connection) -> None:
        """Keep the epoch if nothing that a reader saw can be missing, else change it."""
        status = self.path.stat()
        self._identity = (status.st_dev, status.st_ino)
        meta = dict(db.execute("select name, value from meta"))
        boot = _boot_id()
        if meta.get("inode") != str(status.st_ino) or not (
            meta["boot"] == boot or meta["clean"] == "1" or meta["synchronous"] == "full"
        ):
            meta["epoch"] = secrets.token_hex(6)
        self.epoch, self.generation = meta["epoch"], int(meta.get("generation", 0))
        meta |= {"boot": boot, "inode": str(status.st_ino), "clean": "0", "synchronous": self._synchronous}
        meta["generation"] = str(self.generation)
        db.executemany("insert or replace into meta values(?, ?)", meta.items())

    def _sweep(self, db: sqlite3.Connection) -> int:
        """End every open run as `lost`, with the one event that says so."""
        orphans = db.execute(
            "select run.id, run.thread, run.name, run.owner, thread.name, agent_name, started_at, attempt, trimmed"
            " from run join thread on thread.id = run.thread where settled = 0 and ended_at is null"
        ).fetchall()
        for orphan in orphans:
            _end_as_lost(db, *orphan)
        return len(orphans)

    def _cannot_open(self, error: sqlite3.Error) -> ConfigError:
        if error_code(error) & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return self._cannot_write(str(error))
        return failure(self.path, error)

    def _cannot_write(self, reason: str) -> ConfigError:
        return ConfigError(
            f"event log {str(self.path)!r} cannot be opened to write: {reason}; "
            "make the file and its directory writable, or give another events.url"
        )

    # ------------------------------------------------------------------ writing

    @property
    def db(self) -> sqlite3.Connection:
        """The connection that writes."""
        if self._db is None:
            raise sqlite3.ProgrammingError("the file is not open")
        return self._db

    def check_identity(self, now: float) -> None:
        """Make sure, once a second, that the path still leads to the file that is open.

        Raises:
            LogUnavailable: the file was removed or replaced; what is written now would be lost.
        """
        if now - self._looked_at < IDENTITY_INTERVAL_S:
            return
        self._looked_at = now
        try:
            status = self.path.stat()
        except OSError as error:
            raise LogUnavailable(self.url, f"its file is gone ({error.strerror}); restart the process") from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise LogUnavailable(self.url, "its file was replaced by another one; restart the process")

    def write(self, statements: Iterable[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        """Commit statements, each with the rows it is run for: all or none."""
        db = self.db
        with transaction(db):
            for sql, rows in statements:
                if rows:
                    db.executemany(sql, rows)

    def begin_generation(self) -> None:
        """Inside a transaction that forgets a thread: threads made from now on have another epoch."""
        self.generation += 1
        self.db.execute("update meta set value = ? where name = 'generation'", (str(self.generation),))

    def checkpoint(self, mode: Literal["passive", "truncate"] = "passive") -> None:
        """Move what is committed from the write-ahead log into the file, as far as no reader is in the way."""
        self.db.execute(f"pragma wal_checkpoint({mode})").fetchall()

    def probe(self) -> bool:
        """Whether there is room again: for the reserve, and for a row."""
        try:
            self.checkpoint("truncate")
            self.has_reserve = self.reserve.hold()
            if self.has_reserve:
                self._try_a_row()
        except (sqlite3.Error, OSError):
            return False
        return self.has_reserve

    def _try_a_row(self) -> None:
        db = self.db
        db.execute("begin immediate")
        try:
            db.execute(INSERT_EVENT, (0, 0, 0, 0, "x" * 65_536))
        finally:
            if db.in_transaction:
                db.execute("rollback")

    # ------------------------------------------------------------------ closing

    def close(self) -> None:
        """Leave the file complete on the disk, and let another writer in. Never raises for a file that is gone."""
        try:
            self._note_end()
        except (sqlite3.Error, LogUnavailable):
            # Not noted as clean: the next start looks closer, and changes the epoch if it must.
            pass
        finally:
            self._let_go()

    def _note_end(self) -> None:
        self.check_identity(self._looked_at + IDENTITY_INTERVAL_S)
        self.checkpoint("truncate")
        self.db.execute("pragma synchronous = full")
        self.db.execute("update meta set value = '1' where name = 'clean'")
        self.checkpoint("truncate")

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Everything inside is committed, or nothing is."""
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


def _create(db: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"pragma application_id = {APPLICATION_ID}")
    db.execute(f"pragma user_version = {SCHEMA_VERSION}")


def _next_ids(db: sqlite3.Connection) -> tuple[int, int]:
    thread, run = (
        db.execute(f"select coalesce(max(id), 0) + 1 from {table}").fetchone()[0] for table in ("thread", "run")
    )
    return thread, run


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        # Unknown: every unclean stop counts as a power loss.
        return secrets.token_hex(8)


def _end_as_lost(
    db: sqlite3.Connection,
    run: int,
    thread: int,
    run_id: str,
    user_id: str,
    thread_id: str,
    agent_name: str,
    started_at: float,
    attempt: int,
    floor: int,
) -> None:
    newest = db.execute(
        "select body from event where thread = ? and run = ? order by seq desc limit 1", (thread, run)
    ).fetchone()
    seen = decode_body(newest[0]) if newest else None
    head = db.execute("select coalesce(max(seq), 0) from event where thread = ?", (thread,)).fetchone()[0]
    now = time.time()
    ordinal, seq = (seen.run_seq if seen else 0) + 1, max(head, floor) + 1
    payload = AgentCompleted(
        status=RunStatus.LOST,
        result=None,
        execution_time_ms=round(max(0.0, (seen.timestamp if seen else now) - started_at) * 1e3, 3),
        message="the process that ran it ended",
    )
    raw = msgspec.Raw(msgspec.json.encode(payload))
    event = Event("agent_completed", thread_id, run_id, user_id, agent_name, "", seq, ordinal, 0, None, now, raw)
    db.execute(INSERT_EVENT, (thread, seq, run, 1, encode_body(event)))
    db.execute(END_RUN, (attempt, RunStatus.LOST.value, now, seq, ordinal, run))
