"""What the SQLite event log does with its file: locks, crashes, full disks, damage, restarts."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fakes import ALICE, BOB, deltas, draft, ending
from ssot_engine.errors import ClosedError, ConfigError, LogCorrupt, LogInUse, LogUnavailable, UnknownRun
from ssot_engine.eventlog import sqlite_file, sqlite_writer
from ssot_engine.eventlog.base import Draft
from ssot_engine.eventlog.reserve import RESERVE_BYTES
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.eventlog.sqlite_cache import RECENT_EVENTS
from ssot_engine.events import Position, RunStatus, ThreadKey

LATER = 10_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "events.db"


@pytest.fixture
async def open_log(path: Path) -> AsyncIterator[Any]:
    """Opens logs that are closed after the test."""
    logs: list[SqliteEventLog] = []

    async def open_one(at: Path = path, **options: Any) -> SqliteEventLog:
        log = SqliteEventLog(at, **options)
        await log.open()
        logs.append(log)
        return log

    yield open_one
    for log in logs:
        await log.aclose()


@pytest.fixture
async def log(open_log: Any) -> SqliteEventLog:
    """A log with default options."""
    return await open_log()


def wide(run_seq: int, size: int = 2000, run_id: str = "run-1") -> Draft:
    """A delta of some size in bytes."""
    return draft("message_delta", run_seq, run_id, text="y" * size)


def tables(path: Path, sql: str) -> list[Any]:
    """What the file says, to a program of its own."""
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def change(path: Path, sql: str) -> None:
    """Change the file from outside."""
    db = sqlite3.connect(path)
    try:
        with db:
            db.execute(sql)
    finally:
        db.close()


async def seqs(log: SqliteEventLog, key: ThreadKey = ALICE) -> list[int]:
    """The places of all events that are kept."""
    return [event.seq async for event in log.follow(key, live=False)]


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process with `SqliteEventLog` and the fakes at hand; it runs the body of a coroutine."""
    lines = "\n".join(f"    {line}" for line in code.strip().splitlines())
    program = (
        "import asyncio, os, sys, time\n"
        "from fakes import ALICE, deltas, draft, ending\n"
        "from ssot_engine.eventlog.sqlite import SqliteEventLog\n"
        f"async def main():\n{lines}\n"
        "asyncio.run(main())\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process said until it ended."""
    out, err = process.communicate(timeout=20)
    return out.strip(), err.strip()


OPEN = "log = SqliteEventLog(sys.argv[1]); await log.open()"


# ------------------------------------------------------------------ one writer


@pytest.mark.parametrize("through", ["path", "symlink", "directory symlink"])
async def test_a_second_process_is_refused(log, path, tmp_path, through):
    """One process writes a file; another is told its pid and since when, by whatever name it comes."""
    other = {"path": path, "symlink": tmp_path / "link.db", "directory symlink": tmp_path / "dir" / path.name}[through]
    if through == "symlink":
        other.symlink_to(path)
    if through == "directory symlink":
        other.parent.symlink_to(tmp_path)
    code = (
        f"from ssot_engine.errors import LogInUse\ntry:\n    {OPEN}\nexcept LogInUse as error:\n    print(error.holder)"
    )
    out, err = finished(child(code, other))
    assert "" == err
    holder, _, since = out.partition(" since ")
    assert f"pid {os.getpid()}" == holder
    assert abs(time.time() - _seconds(since)) < 60


def _seconds(text: str) -> float:
    import calendar

    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


async def test_the_same_process_is_refused_too(log, path, tmp_path):
    """The system would let one process lock twice; we do not."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(LogInUse, match="this process"):
            await SqliteEventLog(name).open()
    assert 0 == (await log.append(ALICE, [], attempt=1)).seq


async def test_a_closed_log_may_be_opened_by_another(log, path):
    """Closing lets the next writer in."""
    await log.aclose()
    assert ("opened", "") == finished(child(f"{OPEN}; print('opened'); await log.aclose()", path))


async def test_a_forked_child_does_not_keep_the_lock(path):
    """After its parent was killed a child that goes on living is no writer."""
    parent = child(f"{OPEN}\nif os.fork():\n    print('forked', flush=True)\ntime.sleep(20)", path)
    try:
        assert "forked\n" == parent.stdout.readline()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.send_signal(signal.SIGKILL)
        parent.wait(5)
        try:
            assert Path(f"/proc/{children[0]}").exists()
            log = SqliteEventLog(path)
            await log.open()
            await log.aclose()
        finally:
            os.kill(int(children[0]), signal.SIGKILL)
    finally:
        parent.stdout.close()
        parent.stderr.close()


async def test_an_open_that_failed_lets_the_next_one_in(path):
    """What cannot be opened is not kept locked."""
    path.write_bytes(b"garbage garbage!" * 300)
    for _ in range(2):
        with pytest.raises(LogCorrupt):
            await SqliteEventLog(path).open()
    path.unlink()
    log = SqliteEventLog(path)
    await log.open()
    await log.aclose()


async def test_a_cancelled_open_lets_the_next_one_in(path):
    """Who gives up waiting for `open` leaves nothing behind."""
    opening = asyncio.ensure_future(SqliteEventLog(path).open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    async with asyncio.timeout(5):
        while True:
            try:
                log = SqliteEventLog(path)
                await log.open()
                break
            except LogInUse:
                await asyncio.sleep(0.01)
    await log.aclose()


# -------------------------------------------------------------------- the place


async def test_the_file_is_private_and_its_directory_made(tmp_path, open_log):
    """Events are for their user: nobody else on the machine may read the file."""
    path = tmp_path / "deep" / "down" / "events.db"
    log = await open_log(path)
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 3), attempt=1)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///events.db", "events.db"),
        ("sqlite:///a/b.db?synchronous=full", "a/b.db"),
        ("sqlite:////var/a%20b.db", "/var/a b.db"),
        ("sqlite:///events.db?synchronous=normal", "events.db"),
    ],
)
def test_a_url_names_a_file(url, path):
    """Three slashes and a relative path, four and an absolute one."""
    assert Path(os.path.realpath(path)) == SqliteEventLog.from_url(url).path


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://", "sqlite:///", "sqlite://host/events.db", "sqlite:///:memory:", "sqlite:///e.db#x", "redis:///e.db",
        "sqlite:///e.db?synchronous=off", "sqlite:///e.db?sync=full", "sqlite:///e.db?synchronous=",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused(url):
    """What names no file, or has an option there is not, is a mistake in the settings."""
    with pytest.raises(ConfigError, match=r"events\.url"):
        SqliteEventLog.from_url(url)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    """The path is in the message, whatever is wrong with it."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "events.db", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            await SqliteEventLog(path).open()


async def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """A read-only file system: the path is told, the lock let go, the file left as it was."""
    with mounted(tmp_path / "disk", "2m") as disk:
        path = disk / "events.db"
        log = SqliteEventLog(path)
        await log.open()
        await log.aclose()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for _ in range(2):
            with pytest.raises(ConfigError, match=str(path)):
                await SqliteEventLog(path).open()


async def test_before_open_nothing_works(path):
    """A log is used between `open` and `aclose`."""
    log = SqliteEventLog(path)
    await log.aclose()
    with pytest.raises(ClosedError):
        log.begin(ALICE, "run-1")
    with pytest.raises(ClosedError):
        await log.read(ALICE)
    with pytest.raises(ClosedError):
        log.recent(ALICE, 1)
    assert not path.exists()


# --------------------------------------------------------------------- restarts


async def test_everything_survives_a_restart(open_log):
    """Events, places, records and positions are the same after the log was closed and opened."""
    log = await open_log()
    log.begin(ALICE, "done", agent_name="writer", message="hi", idempotency_key="k")
    await log.append(ALICE, [draft("agent_started", 1, "done"), *deltas(2, 5, "done"), ending(7, "done")], attempt=1)
    log.begin(BOB, "done")
    await log.append(BOB, [ending(1, "done")], attempt=1)
    before = [await log.read(ALICE), await log.runs(), log.recent(ALICE, 5), await log.snapshot(ALICE, 9)]
    await log.aclose()
    again = await open_log()
    assert before == [
        await again.read(ALICE),
        await again.runs(),
        again.recent(ALICE, 5),
        await again.snapshot(ALICE, 9),
    ]
    assert Position(log.epoch, 7) == again.head(ALICE)
    assert Position(log.epoch, 7) == await again.append(ALICE, [ending(7, "done")], attempt=1)
    again.begin(ALICE, "next")
    assert 8 == (await again.append(ALICE, deltas(1, 1, "next"), attempt=1)).seq


async def test_runs_of_a_killed_process_are_ended_as_lost(path, open_log):
    """Every run that was open gets one terminal event and a record that says so, and only those."""
    code = f"""
{OPEN}
for name in "abc":
    log.begin(ALICE, name, agent_name="writer")
    await log.append(ALICE, [draft("agent_started", 1, name), draft("tool_executing", 2, name)], attempt=1)
await log.append(ALICE, [ending(3, "b")], attempt=1)
log.begin(ALICE, "never wrote")
os.kill(os.getpid(), 9)
"""
    finished(child(code, path))
    log = SqliteEventLog(path)
    assert 2 == await log.open()
    events = [event async for event in log.follow(ALICE, live=False)]
    assert list(range(1, 10)) == [event.seq for event in events]
    lost = [event for event in events if event.payload.get("status") == "lost"]
    assert [("a", 8, 3, "writer"), ("c", 9, 3, "writer")] == [
        (event.run_id, event.seq, event.run_seq, event.agent_name) for event in lost
    ]
    assert {"agent_completed"} == {event.type for event in lost}
    records = {record.run_id: record for record in await log.runs()}
    assert {"a": "lost", "b": "completed", "c": "lost"} == {
        name: str(record.status) for name, record in records.items()
    }
    assert "lost" == records["a"].outcome["status"]
    assert [] == await log.runs(open=True)
    await log.aclose()
    again = await open_log()
    assert 9 == again.head(ALICE).seq
    with pytest.raises(UnknownRun):
        await again.append(ALICE, deltas(1, 1, "never wrote"), attempt=1)


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ([], True),
        (["clean"], True),
        (["boot"], False),
        (["boot", "clean"], True),
        (["boot", "full"], True),
        (["inode"], False),
        (["inode", "clean"], False),
    ],
)
async def test_the_epoch_changes_when_events_may_be_missing(path, open_log, changes, is_kept):
    """Kept after a clean stop and after a kill; changed after an unclean stop under another boot, or of a copy."""
    finished(
        child(
            f"{OPEN}\nlog.begin(ALICE, 'r')\nawait log.append(ALICE, deltas(1, 2, 'r'), attempt=1)\nos._exit(1)", path
        )
    )
    (before,) = tables(path, "select value from meta where name = 'epoch'")[0]
    updates = {"clean": "1", "boot": "another", "full": "full", "inode": "1"}
    names = {"full": "synchronous"}
    for name in changes:
        change(path, f"update meta set value = '{updates[name]}' where name = '{names.get(name, name)}'")
    log = await open_log()
    assert is_kept == (before == log.epoch)
    page = await log.read(ALICE, Position(before, 1))
    assert "ok" if is_kept else "epoch_changed" == page.status
    assert {log.epoch} == {event.epoch for event in (await log.read(ALICE)).events}


async def test_a_clean_stop_is_noted_and_a_start_unnotes_it(log, path, open_log):
    """The file says that it is in use before anything is written to it, and that it is complete after."""
    clean = "select value from meta where name = 'clean'"
    assert [("0",)] == tables(path, clean)
    await log.aclose()
    assert [("1",)] == tables(path, clean)
    assert not path.with_name("events.db-wal").exists()


async def test_a_restored_copy_is_another_history(log, path, open_log):
    """A file that was copied back may lack what readers saw, so its epoch changes."""
    await log.aclose()
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)
    assert log.epoch != (await open_log()).epoch


async def test_full_synchronisation_is_asked_of_sqlite(tmp_path):
    """`synchronous=full` reaches the connection that commits; normal is the default."""
    for query, level in (("", 1), ("?synchronous=full", 2)):
        log = SqliteEventLog.from_url(f"sqlite:///{tmp_path}/{level}.db{query}")
        await log.open()
        assert (level,) == log._file.db.execute("pragma synchronous").fetchone()
        await log.aclose()


async def test_what_is_queued_is_not_visible(log):
    """Nobody sees an event before it is committed, and nobody stands behind it."""
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 1), attempt=1)
    ack = log.submit(ALICE, deltas(2, 1), attempt=1)
    assert ([], "ahead", 1) == (
        log.read_now(ALICE, Position(log.epoch, 1)).events,
        log.read_now(ALICE, Position(log.epoch, 2)).status,
        log.read_now(ALICE, None).head,
    )
    assert [(1,)] == tables(log.path, "select seq from event")
    await ack
    assert [2] == [event.seq for event in log.read_now(ALICE, Position(log.epoch, 1)).events]


async def test_closing_stores_what_is_queued(open_log):
    """What was submitted and not waited for is in the file after `aclose`."""
    log = await open_log()
    log.begin(ALICE, "run-1")
    ack = log.submit(ALICE, [*deltas(1, 5), ending(6)], attempt=1)
    await log.aclose()
    assert None is ack.result()
    assert [1, 2, 3, 4, 5, 6] == await seqs(await open_log())


# ------------------------------------------------------------------- damage


async def test_what_is_no_database_is_refused_and_left(path):
    """A file of something else is an error with its path, and keeps its content."""
    path.write_bytes(b"garbage garbage!" * 300)
    with pytest.raises(LogCorrupt, match=str(path)):
        await SqliteEventLog(path).open()
    assert b"garbage garbage!" * 300 == path.read_bytes()


async def test_a_database_of_something_else_is_refused_and_left(path):
    """Another program's database gets no tables of ours."""
    change(path, "create table theirs(x)")
    with pytest.raises(LogCorrupt, match="not one of ssot-engine"):
        await SqliteEventLog(path).open()
    assert [("theirs",)] == tables(path, "select name from sqlite_master")
    assert [("delete",)] == tables(path, "pragma journal_mode")


async def test_a_schema_of_another_version_is_refused(log, path):
    """What a later version wrote is not touched by this one."""
    await log.aclose()
    change(path, "pragma user_version = 99")
    with pytest.raises(ConfigError, match="schema 99"):
        await SqliteEventLog(path).open()


async def test_damaged_pages_are_told_with_the_path(log, path):
    """Damage is found when it is met, at the opening or by the first read, and never answered with less."""
    log.begin(ALICE, "run-1")
    for first in range(1, 2000, 50):
        await log.append(ALICE, deltas(first, 50), attempt=1)
    await log.append(ALICE, [ending(2001)], attempt=1)
    await log.aclose()
    content = bytearray(path.read_bytes())
    for offset in range(8192, len(content) - 4096, 20_480):
        content[offset : offset + 600] = os.urandom(600)
    path.write_bytes(content)
    with pytest.raises(LogCorrupt, match=str(path)):
        await _read_everything(SqliteEventLog(path))


async def _read_everything(log: SqliteEventLog) -> None:
    try:
        await log.open()
        for seq in range(0, 2001, 50):
            await log.read(ALICE, Position(log.epoch, seq), 50)
    finally:
        await log.aclose()


async def test_a_body_that_is_no_event_is_told(log, path):
    """A row that SQLite can read and we cannot is damage too."""
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 2), attempt=1)
    change(path, "update event set body = '{}' where seq = 2")
    with pytest.raises(LogCorrupt):
        await log._reading.call(lambda: log._pages.page(ALICE, None, 10))


# ----------------------------------------------------------------- a full disk


class Disk:
    """A small file system of its own, for as long as the block lasts."""

    def __init__(self, path: Path, size: str) -> None:
        self._path = path
        self._size = size

    def __enter__(self) -> Path:
        self._path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self._path)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"cannot mount a tmpfs ({done.stderr.strip()}); run as root to test full and read-only disks")
        return self._path

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self._path)], check=True)


mounted = Disk


async def fill(log: SqliteEventLog) -> int:
    """Append deltas until there is no room; the ordinal of the newest that was stored."""
    for ordinal in range(1, 5000):
        try:
            await log.append(ALICE, [wide(ordinal)], attempt=1)
        except LogUnavailable as error:
            if "full" not in error.reason:
                raise
            return ordinal - 1
    raise AssertionError("5000 events fit")


async def until(condition: Any) -> None:
    """Wait for a state."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_on_a_full_disk_runs_still_end(tmp_path):
    """Deltas are refused, what was acknowledged is there, and the end of a run reaches its readers and the file."""
    with mounted(tmp_path / "disk", "2m") as disk:
        log = SqliteEventLog(disk / "events.db")
        await log.open()
        names = [f"run-{n}" for n in range(1, 21)]
        for name in names:
            log.begin(ALICE, name)
        stored = await fill(log)
        assert (True, stored) == (log.stats().is_full, log.head(ALICE).seq)
        for name in names:
            with pytest.raises(LogUnavailable):
                log.submit(ALICE, [wide(1, 10, name)], attempt=1) if name != "run-1" else log.submit(
                    ALICE, [wide(stored + 1, 10)], attempt=1
                )
        with pytest.raises(LogUnavailable):
            log.begin(BOB, "another")
        reader = log.follow(ALICE, log.head(ALICE))
        for number, name in enumerate(names, 1):
            position = await log.append(ALICE, [ending(stored + 2 if number == 1 else 2, name)], attempt=1)
            assert stored + number == position.seq
            assert (name, "agent_completed") == ((event := await anext(reader)).run_id, event.type)
        await log.aclose()
        rows = tables(disk / "events.db", "select count(*), max(seq) from event")
        assert [(stored + 20, stored + 20)] == rows
        assert [("ok",)] == tables(disk / "events.db", "pragma integrity_check")


async def test_when_there_is_room_again_everything_is_accepted(tmp_path):
    """A full log looks for room by itself, takes its reserve back, and goes on where each run stopped."""
    with mounted(tmp_path / "disk", "3m") as disk:
        (disk / "other").write_bytes(bytes(1_200_000))
        log = SqliteEventLog(disk / "events.db")
        await log.open()
        log.begin(ALICE, "run-1")
        stored = await fill(log)
        assert not (disk / "events.db.reserve").exists()
        (disk / "other").unlink()
        await until(lambda: not log.stats().is_full)
        assert RESERVE_BYTES == (disk / "events.db.reserve").stat().st_blocks * 512
        with pytest.raises(LogUnavailable, match="refused after"):
            log.submit(ALICE, [wide(stored + 2)], attempt=1)
        assert stored + 2 == (await log.append(ALICE, [wide(stored + 1), wide(stored + 2)], attempt=1)).seq
        assert list(range(1, stored + 3)) == await seqs(log)
        await log.aclose()


async def test_the_end_of_a_run_is_spared_where_its_batch_is_too_large(tmp_path):
    """Of what is queued together and does not fit, the end of a run is stored and the rest refused."""
    with mounted(tmp_path / "disk", "2m") as disk:
        log = SqliteEventLog(disk / "events.db")
        await log.open()
        log.begin(ALICE, "small")
        log.begin(ALICE, "large")
        large = log.submit(ALICE, [wide(n, 100_000, "large") for n in range(1, 41)], attempt=1)
        first = log.submit(ALICE, [wide(1, 10, "small")], attempt=1)
        assert Position(log.epoch, 1) == await log.append(ALICE, [ending(2, "small")], attempt=1)
        for ack in (large, first):
            with pytest.raises(LogUnavailable):
                await ack
        assert ["agent_completed"] == [event.type async for event in log.follow(ALICE, live=False)]
        assert RunStatus.COMPLETED == (await log.run("alice", "small")).status
        await log.aclose()


async def test_a_log_may_be_opened_on_a_full_disk(tmp_path):
    """Without room for its reserve a log starts full: it can be read, and takes ends of runs only."""
    with mounted(tmp_path / "disk", "2m") as disk:
        log = SqliteEventLog(disk / "events.db")
        await log.open()
        log.begin(ALICE, "run-1")
        await log.append(ALICE, [*deltas(1, 5), ending(6)], attempt=1)
        await log.aclose()
        (disk / "events.db.reserve").unlink()
        (disk / "other").write_bytes(bytes(1_500_000))
        again = SqliteEventLog(disk / "events.db")
        await again.open()
        assert (True, 6) == (again.stats().is_full, len(await seqs(again)))
        with pytest.raises(LogUnavailable):
            again.begin(ALICE, "run-2")
        (disk / "other").unlink()
        await until(lambda: not again.stats().is_full)
        again.begin(ALICE, "run-2")
        await again.aclose()


@pytest.fixture
def short_patience(monkeypatch):
    """What is tried again for some seconds is tried for a shorter while; in seconds."""
    monkeypatch.setattr(sqlite_writer, "RETRY_WINDOW_S", 0.7)
    return 0.7


async def test_an_end_that_finds_no_room_in_time_is_refused(log, short_patience):
    """Where the reserve does not help either, the end of a run is tried for some seconds; it may be repeated."""
    pages = log._file.db.execute("pragma page_count").fetchone()[0]
    log._file.db.execute(f"pragma max_page_count = {pages + 20}")
    log.begin(ALICE, "run-1")
    stored = await fill(log)
    filler = [wide(stored + 1, 60_000), ending(stored + 2)]
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match="full"):
        await log.append(ALICE, filler, attempt=1)
    assert time.monotonic() - started >= short_patience
    assert None is (await log.run("alice", "run-1")).status
    log._file.db.execute("pragma max_page_count = 100000")
    assert stored + 2 == (await log.append(ALICE, filler, attempt=1)).seq
    assert list(range(1, stored + 3)) == await seqs(log)


# ------------------------------------------------------------- other programs


async def test_an_outside_lock_is_waited_out_without_holding_the_loop(log, path):
    """While another program has the file locked appends wait, and the event loop goes on."""
    log.begin(ALICE, "run-1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    waiting = asyncio.ensure_future(log.append(ALICE, deltas(1, 3), attempt=1))
    longest, before = 0.0, time.monotonic()
    for _ in range(30):
        await asyncio.sleep(0.01)
        longest, before = max(longest, time.monotonic() - before), time.monotonic()
    assert (False, True) == (waiting.done(), longest < 0.2)
    assert [] == (await log.read(ALICE)).events
    other.execute("rollback")
    other.close()
    assert 3 == (await asyncio.wait_for(waiting, 5)).seq


async def test_an_outside_lock_that_stays_refuses(log, path, short_patience):
    """After some seconds appends fail typed, nothing of them is kept, and they may be repeated."""
    log.begin(ALICE, "run-1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    first = log.submit(ALICE, deltas(1, 3), attempt=1)
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match="locked"):
        await first
    assert time.monotonic() - started >= short_patience
    with pytest.raises(LogUnavailable, match="refused after"):
        log.submit(ALICE, deltas(4, 1), attempt=1)
    other.execute("rollback")
    other.close()
    assert 4 == (await log.append(ALICE, deltas(1, 4), attempt=1)).seq
    assert [1, 2, 3, 4] == await seqs(log)


async def test_too_much_under_way_makes_appends_wait(log, path):
    """Above 8 MiB queued `append` waits for room, and `submit` does not."""
    log.begin(ALICE, "run-1")
    log.begin(BOB, "run-1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    for number in range(1, 101):
        log.submit(ALICE, [wide(number, 100_000)], attempt=1)
    waiting = asyncio.ensure_future(log.append(BOB, deltas(1, 1), attempt=1))
    await asyncio.sleep(0.05)
    assert (False, 0) == (waiting.done(), log.head(BOB).seq)
    other.execute("rollback")
    other.close()
    assert 1 == (await asyncio.wait_for(waiting, 5)).seq


@pytest.mark.parametrize("what", ["unlinked", "replaced"])
async def test_a_file_that_went_away_is_noticed(log, path, what, monkeypatch):
    """A file removed or replaced under the log: all is refused once it is looked at, waiting readers included."""
    monkeypatch.setattr(sqlite_file, "IDENTITY_INTERVAL_S", 0.2)
    for key in (ALICE, BOB):
        log.begin(key, "run-1")
    await log.append(ALICE, deltas(1, 1), attempt=1)
    reader = asyncio.ensure_future(anext(log.follow(ALICE, log.head(ALICE))))
    if what == "unlinked":
        path.unlink()
    else:
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
    started = time.monotonic()
    number = await _append_until_refused(log)
    assert time.monotonic() - started < 2
    with pytest.raises(LogUnavailable):
        await log.read(ALICE)
    with pytest.raises(LogUnavailable):
        log.begin(ALICE, "run-2")
    with pytest.raises(LogUnavailable):
        await log.append(ALICE, [ending(number)], attempt=1)
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(reader, 5)


async def _append_until_refused(log: SqliteEventLog) -> int:
    for number in range(1, 100):
        try:
            await log.append(BOB, deltas(number, 1), attempt=1)
        except LogUnavailable as error:
            if "file" not in error.reason:
                raise
            return number
        await asyncio.sleep(0.05)
    raise AssertionError("a hundred appends were accepted")


async def test_a_commit_that_failed_is_looked_up(log, path):
    """What a failed commit left is read from the file, and nothing of it takes a place twice."""
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 2), attempt=1)
    third = """replace(body, '"seq":2', '"seq":3')"""
    change(
        path,
        "insert into event(thread, seq, run, critical, body)"
        f" select thread, 3, run, 0, {third} from event where seq = 2",
    )
    acks = [log.submit(ALICE, deltas(number, 1), attempt=1) for number in (3, 4)]
    for ack in acks:
        with pytest.raises(LogUnavailable, match="UNIQUE"):
            await asyncio.shield(ack)
    assert 5 == (await log.append(ALICE, deltas(3, 2), attempt=1)).seq
    assert [1, 2, 3, 4, 5] == await seqs(log)
    assert 2 + 4 == (await log.append(ALICE, [ending(5)], attempt=1)).seq


async def test_an_outside_reader_makes_the_log_grow_only_while_it_reads(log, path):
    """An open read transaction elsewhere keeps the write-ahead log from starting over; `stats` shows it."""
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 1), attempt=1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin")
    other.execute("select count(*) from event").fetchone()
    number = 1

    async def write(count: int) -> int:
        nonlocal number
        for _ in range(count):
            await log.append(ALICE, [wide(number + 1 + n) for n in range(50)], attempt=1)
            number += 50
        return log.stats().wal_bytes

    during = await write(200)
    other.execute("rollback")
    other.close()
    after = await write(200)
    assert during > 20_000_000
    assert after < during + 15_000_000
    await log.aclose()
    assert 0 == log.stats().wal_bytes


async def test_checkpoints_keep_the_write_ahead_log_short(log):
    """Without outside readers the write-ahead log starts over again and again."""
    log.begin(ALICE, "run-1")
    for number in range(1, 20_000, 50):
        await log.append(ALICE, [wide(number + n, 1000) for n in range(50)], attempt=1)
    assert log.stats().wal_bytes < 15_000_000
    assert log.stats().file_bytes > 15_000_000


# --------------------------------------------------------------------- memory


async def test_what_left_memory_is_read_from_the_file(open_log):
    """A small memory changes nothing of what is read."""
    log = await open_log(max_bytes=20_000)
    whole = []
    for number in range(1, 9):
        key = ThreadKey("alice", f"t-{number}")
        log.begin(key, f"run-{number}")
        await log.append(
            key, [*[wide(n, 100, f"run-{number}") for n in range(1, 51)], ending(51, f"run-{number}")], attempt=1
        )
        whole.append(await seqs(log, key))
    assert [list(range(1, 52))] * 8 == whole
    assert log.stats().memory_bytes <= 20_000


async def test_an_open_run_stays_known_when_memory_is_short(open_log):
    """Threads with open runs stay; suppression and places go on."""
    log = await open_log(max_bytes=1000)
    keys = [ThreadKey("alice", f"t-{n}") for n in range(20)]
    for n, key in enumerate(keys):
        log.begin(key, f"run-{n}")
    for first in range(1, 20, 2):
        for n, key in enumerate(keys):
            reader = log.follow(key, log.head(key))
            waiting = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0)
            for _ in range(2):
                assert first + 1 == (await log.append(key, deltas(first, 2, f"run-{n}"), attempt=1)).seq
            assert first == (await asyncio.wait_for(waiting, 5)).seq
    for key in keys:
        assert list(range(1, 21)) == await seqs(log, key)


async def test_one_thread_keeps_a_bounded_number_of_events_in_memory(log):
    """A long thread is read from the file at its beginning, and from memory at its end."""
    log.begin(ALICE, "run-1")
    for first in range(1, 4001, 100):
        await log.append(ALICE, deltas(first, 100), attempt=1)
    assert None is log.read_now(ALICE, None)
    assert 1000 == len(log.read_now(ALICE, Position(log.epoch, 4000 - RECENT_EVENTS), 1000).events)
    assert list(range(1, 4001)) == await seqs(log)


async def test_a_page_of_large_events_is_short(log):
    """A page from the file holds some megabytes at most; reading on gives the rest."""
    log.begin(ALICE, "run-1")
    for number in range(1, 41):
        await log.append(ALICE, [wide(number, 250_000)], attempt=1)
    page = await log._reading.call(lambda: log._pages.page(ALICE, None, 1000))
    assert 17 == len(page.events)
    assert list(range(1, 41)) == await seqs(log)


# ------------------------------------------------------------------- retention


async def test_trimming_goes_on_beside_appends(open_log):
    """Rows are removed a few at a time; what is written meanwhile is whole."""
    log = await open_log(retention_s=10.0)
    for number in range(3):
        log.begin(ALICE, f"old-{number}")
        drafts = [*deltas(1, 199, f"old-{number}"), ending(200, f"old-{number}")]
        await log.append(ALICE, drafts, attempt=1)
    log.begin(ALICE, "open")
    trimming = asyncio.ensure_future(log.trim(time.time() + LATER))
    written = 0
    while not trimming.done():
        written += 1
        await log.append(ALICE, deltas(written, 1, "open"), attempt=1)
        await asyncio.sleep(0.001)
    assert (600, True) == (await trimming, written > 10)
    page = await log.read(ALICE, Position(log.epoch, 600))
    assert list(range(601, 601 + written)) == [event.seq for event in page.events]
    assert "gap" == (await log.read(ALICE, Position(log.epoch, 599))).status
    assert 3 + written == tables(log.path, "select count(*) from event")[0][0]


async def test_a_trim_that_was_cut_short_is_finished_later(open_log, path):
    """A trim that stopped midway left a whole thread, and the next one goes on."""
    log = await open_log(retention_s=10.0)
    log.begin(ALICE, "old")
    await log.append(ALICE, [*deltas(1, 299, "old"), ending(300, "old")], attempt=1)
    trimming = asyncio.ensure_future(log.trim(time.time() + LATER))
    await until(lambda: log._threads.get(ALICE).floor > 0)
    trimming.cancel()
    await asyncio.gather(trimming, return_exceptions=True)
    await log.aclose()
    ((floor,),) = tables(path, "select trimmed from thread")
    assert (0, True) == (floor % 64, 64 <= floor < 300)
    again = await open_log(retention_s=10.0)
    assert 300 - floor == await again.trim(time.time() + LATER)
    assert [(1,)] == tables(path, "select count(*) from event")


async def test_floors_and_records_survive_a_restart(open_log):
    """What was trimmed stays a gap after a restart, and kept events stay kept."""
    log = await open_log()
    for name in ("old", "newer"):
        log.begin(ALICE, name)
        await log.append(ALICE, [draft("agent_started", 1, name), *deltas(2, 3, name), ending(5, name)], attempt=1)
    await log.trim(time.time() + LATER)
    before = await log.snapshot(ALICE, 99)
    await log.aclose()
    again = await open_log()
    page = await again.read(ALICE)
    assert ("gap", 10, 10) == (page.status, page.floor, page.head)
    assert [1, 5, 6, 10] == [event.seq for event in await again.snapshot(ALICE, 99)]
    assert before == await again.snapshot(ALICE, 99)


async def test_an_erased_text_is_not_in_the_file(log, path):
    """`drop` overwrites what it frees, in the file and in the write-ahead log."""
    log.begin(ALICE, "run-1", message="my-secret-name")
    await log.append(ALICE, [wide(1), draft("custom", 2, name="x", data="my-secret-name"), ending(3)], attempt=1)
    log.begin(BOB, "run-1")
    await log.append(BOB, [*deltas(1, 3), ending(4)], attempt=1)
    await log.drop(ALICE)
    await log.aclose()
    assert b"my-secret-name" not in path.read_bytes()
    assert not path.with_name("events.db-wal").exists()


@pytest.mark.parametrize("writes", [True, False])
async def test_a_thread_used_while_it_is_erased_goes_on(open_log, writes):
    """A run that begins during an erasure keeps its thread; only what was there before goes."""
    log = await open_log()
    log.begin(ALICE, "old")
    await log.append(ALICE, [*deltas(1, 199, "old"), ending(200, "old")], attempt=1)
    dropping = asyncio.ensure_future(log.drop(ALICE))
    await asyncio.sleep(0)
    log.begin(ALICE, "new")
    written = 0
    while not dropping.done():
        if writes:
            written += 1
            await log.append(ALICE, deltas(written, 1, "new"), attempt=1)
        await asyncio.sleep(0.001)
    await dropping
    await log.append(ALICE, [ending(written + 1, "new")], attempt=1)
    expected = list(range(201, 202 + written))
    page = await log.read(ALICE, Position(log.epoch, 200))
    assert (expected, None) == ([event.seq for event in page.events], await log.run("alice", "old"))
    await log.aclose()
    again = await open_log()
    page = await again.read(ALICE, Position(log.epoch, 200))
    assert (expected, RunStatus.COMPLETED) == ([e.seq for e in page.events], (await again.run("alice", "new")).status)


# ----------------------------------------------------------------- read only


async def test_readers_in_other_processes_see_what_is_committed(log, path):
    """A log opened to read follows the writer's file without a lock, and writes nothing."""
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 2), attempt=1)
    code = """
log = SqliteEventLog(sys.argv[1], read_only=True)
assert 0 == await log.open()
async for event in log.follow(ALICE):
    print(event.seq, flush=True)
    if event.type == "agent_completed":
        break
print([str(record.status) for record in await log.runs()])
await log.aclose()
"""
    readers = [child(code, path) for _ in range(2)]
    for reader in readers:
        assert ["1\n", "2\n"] == [await asyncio.to_thread(reader.stdout.readline) for _ in range(2)]
    await log.append(ALICE, deltas(3, 1), attempt=1)
    await log.append(ALICE, [ending(4)], attempt=1)
    for reader in readers:
        assert ("3\n4\n['completed']", "") == await asyncio.to_thread(finished, reader)


async def test_a_reader_writes_nothing(log, open_log):
    """A log opened to read refuses every change."""
    reader = await open_log(read_only=True)
    with pytest.raises(ClosedError, match="read only"):
        reader.begin(ALICE, "run-1")
    with pytest.raises(ClosedError, match="read only"):
        await reader.append(ALICE, deltas(1, 1), attempt=1)
    with pytest.raises(ClosedError, match="read only"):
        await reader.trim()
    with pytest.raises(ClosedError, match="read only"):
        await reader.drop(ALICE)


async def test_a_reader_answers_as_the_writer_does(log, open_log):
    """Pages, heads, records and snapshots are the same from the file as from memory."""
    log.begin(ALICE, "done", message="hi")
    await log.append(ALICE, [draft("agent_started", 1, "done"), *deltas(2, 5, "done"), ending(7, "done")], attempt=1)
    log.begin(ALICE, "open")
    await log.append(ALICE, deltas(1, 3, "open"), attempt=1)
    reader = await open_log(read_only=True)
    assert log.epoch == reader.epoch
    for after in (None, *(Position(log.epoch, seq) for seq in (0, 3, 10, 11)), Position("another", 1)):
        assert await log.read(ALICE, after) == await reader.read(ALICE, after)
    for key in (ALICE, BOB):
        assert (log.head(key), log.recent(key, 3)) == (reader.head(key), reader.recent(key, 3))
        assert await log.snapshot(key, 9) == await reader.snapshot(key, 9)
    assert await log.runs() == await reader.runs()
    assert await log.run("alice", "open") == await reader.run("alice", "open")
    assert None is await reader.run("bob", "open")


async def test_a_reader_needs_a_file(path):
    """To read what is not there is an error that names it, and makes no file."""
    with pytest.raises(ConfigError, match=f"{path}.*does not exist"):
        await SqliteEventLog(path, read_only=True).open()
    assert [] == list(path.parent.iterdir())


async def test_a_reader_of_what_is_no_log_is_told(path):
    """Garbage, another program's database, one of another version, or an empty one: a reader says what it is."""
    path.write_bytes(b"garbage garbage!" * 300)
    with pytest.raises(LogCorrupt):
        await SqliteEventLog(path, read_only=True).open()
    path.unlink()
    path.touch()
    with pytest.raises(LogUnavailable, match="nothing was ever written"):
        await SqliteEventLog(path, read_only=True).open()
    change(path, "create table theirs(x)")
    with pytest.raises(LogCorrupt, match="not one of ssot-engine"):
        await SqliteEventLog(path, read_only=True).open()
    change(path, "pragma application_id = 1936945012")
    with pytest.raises(ConfigError, match="schema 0"):
        await SqliteEventLog(path, read_only=True).open()


async def test_one_object_is_opened_once(log):
    """A log that is open, or was, is not opened again; another object of the same file is."""
    for _ in range(2):
        with pytest.raises(ClosedError, match="opened before"):
            await log.open()
        await log.aclose()


async def test_a_killed_writers_file_can_be_read(path, open_log):
    """What a killed process left is readable at once, its runs still open."""
    finished(
        child(
            f"{OPEN}\nlog.begin(ALICE, 'r')\nawait log.append(ALICE, deltas(1, 2, 'r'), attempt=1)\nos._exit(1)", path
        )
    )
    reader = await open_log(read_only=True)
    assert ([1, 2], None) == (await seqs(reader), (await reader.run("alice", "r")).status)
