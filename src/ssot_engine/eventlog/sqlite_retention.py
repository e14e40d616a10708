"""What leaves the file of a SQLite event log, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

from ssot_engine.eventlog.sqlite_file import SqliteFile, transaction
from ssot_engine.events import ThreadKey

#: Rows removed by one transaction.
CHUNK_ROWS = 64


class Cut(NamedTuple):
    """What one step did to a thread: the seq of the newest event that is gone, how many went, whether to go on."""

    floor: int
    gone: int
    more: bool


class Expired(NamedTuple):
    """What one step did to old records: the threads that went with them, and whether to go on."""

    threads: list[ThreadKey]
    more: bool


class Erased(NamedTuple):
    """What one step of an erasure did: the seq up to which events are gone, the thread if it went, whether to go on."""

    floor: int
    threads: list[ThreadKey]
    more: bool


class Retention:
    """Each method is one transaction of at most 64 rows. Call it while nothing else uses the file's connection."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def settle(self, thread: int, ended_before: float) -> Cut:
        """Events of runs that ended before a time leave the thread, as far as no other run's stand before them."""
        return self._cut(thread, lambda seq, ended_at: ended_at is not None and ended_at <= ended_before)

    def cap(self, thread: int, upto: int) -> Cut:
        """Events up to a seq leave the thread, whatever their runs do."""
        return self._cut(thread, lambda seq, ended_at: seq <= upto)

    def _cut(self, thread: int, may_go: Callable[[int, float | None], bool]) -> Cut:
        """The thread's oldest events go while they may; critical ones stay in the file, below the floor."""
        db = self._file.db
        with transaction(db):
            (floor,) = db.execute("select trimmed from thread where id = ?", (thread,)).fetchone() or (0,)
            rows = db.execute(
                "select n, seq, critical, ended_at from event join run on run.id = event.run"
                " where event.thread = ? and seq > ? order by seq limit ?",
                (thread, floor, CHUNK_ROWS),
            ).fetchall()
            going = list(takewhile(lambda row: may_go(row[1], row[3]), rows))
            if going:
                floor = going[-1][1]
                db.executemany("delete from event where n = ?", [(n,) for n, _, critical, _ in going if not critical])
                db.execute("update thread set trimmed = ? where id = ?", (floor, thread))
            db.execute("update run set settled = 1 where thread = ? and settled = 0 and last <= ?", (thread, floor))
        return Cut(floor, len(going), len(going) == CHUNK_ROWS)

    def expire(self, ended_before: float) -> Expired:
        """The oldest settled run that ended before a time goes: its critical events, then its record."""
        db = self._file.db
        with transaction(db):
            run = db.execute(
                "select run.id, run.thread from run where settled = 1 and ended_at <= ? order by ended_at limit 1",
                (ended_before,),
            ).fetchone()
            if run is None:
                return Expired([], False)
            number, thread = run
            if self._remove(thread, "run = ? and seq <= (select last from run where id = ?)", (number, number)):
                return Expired([], True)
            db.execute("delete from run where id = ?", (number,))
            return Expired(self._forget_if_empty(thread), True)

    def erase(self, thread: int, upto: int) -> Erased:
        """The thread's events up to a seq go, critical or not; with the last of them its ended runs and the thread.

        The freed space is overwritten.
        """
        db = self._file.db
        db.execute("pragma secure_delete = on")
        try:
            with transaction(db):
                newest = db.execute(
                    "select max(seq) from (select seq from event where thread = ? and seq <= ? order by seq limit ?)",
                    (thread, upto, CHUNK_ROWS),
                ).fetchone()[0]
                if newest is not None:
                    db.execute("delete from event where thread = ? and seq <= ?", (thread, newest))
                    db.execute("update thread set trimmed = max(trimmed, ?) where id = ?", (newest, thread))
                    return Erased(newest, [], True)
                db.execute("delete from run where thread = ? and last <= ?", (thread, upto))
                return Erased(upto, self._forget_if_empty(thread), False)
        finally:
            db.execute("pragma secure_delete = off")

    def _remove(self, thread: int, where: str, parameters: tuple[int, ...]) -> bool:
        """Remove some rows of a thread; whether there may be more."""
        removed = self._file.db.execute(
            f"delete from event where n in (select n from event where thread = ? and {where} limit {CHUNK_ROWS})",
            (thread, *parameters),
        )
        return removed.rowcount == CHUNK_ROWS

    def _forget_if_empty(self, thread: int) -> list[ThreadKey]:
        """Nothing left of a thread: it goes, and threads made from now on have another epoch."""
        db = self._file.db
        gone = db.execute(
            "select owner, name from thread where id = ? and not exists(select 1 from run where thread = ?)"
            " and not exists(select 1 from event where thread = ?)",
            (thread, thread, thread),
        ).fetchall()
        if gone:
            db.execute("delete from thread where id = ?", (thread,))
            self._file.begin_generation()
        return [ThreadKey(*row) for row in gone]
