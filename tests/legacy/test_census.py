"""Facts about the census: what it counts, where it stops, and what it leaves for the report."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from running import Start
from ssot_engine.errors import ConfigError
from ssot_engine.legacy import census as owner
from ssot_engine.legacy.census import Census, Counting, Site, Tally, append, census, read, together
from ssot_engine.legacy.deprecation import LegacyWarning, used
from ssot_engine.web.app import create_site
from ssot_engine.web.telemetry import registry

#: A program that uses two doors, one of them twice, and may fork in between.
PROGRAM = """
import os, sys
from ssot_engine.legacy.census import census
census.write_at_exit(sys.argv[1])
census.record("old.a", "app.py", 1)
census.record("old.a", "app.py", 1)
if "fork" in sys.argv and os.fork() == 0:
    census.record("old.b", "worker.py", 2)
    sys.exit()
if "worker" in sys.argv:
    import multiprocessing
    census.write_at_exit(sys.argv[1])
    worker = multiprocessing.get_context("fork").Process(target=census.record, args=("old.b", "worker.py", 2))
    worker.start()
    worker.join()
census.record("old.c", "app.py", 3)
if "fork" in sys.argv:
    os.wait()
"""


def site(door: str = "old.a", file: str = "app.py", line: int = 1, count: int = 1, first_at: float = 1.0) -> Site:
    """A site as a tally has it."""
    return Site(door=door, file=file, line=line, count=count, first_at=first_at, counting=Counting.EVERY_USE)


def counted(tally: Tally) -> dict[str, int]:
    """How often each door was used."""
    return {one.door: one.count for one in tally.sites}


# ----------------------------------------------------------------------------- counting


def test_the_first_use_of_a_door_at_a_line_is_told_from_the_others() -> None:
    """Another line, file or door is another site."""
    mine = Census()
    uses = [("a", "x.py", 1), ("a", "x.py", 1), ("a", "x.py", 2), ("a", "y.py", 1), ("b", "x.py", 1), ("a", "x.py", 1)]
    assert [True, False, True, True, True, False] == [mine.record(*use) for use in uses]
    assert (6, 4, 0) == (mine.uses, mine.known_sites, mine.overflow)


def test_sites_come_with_the_most_used_first() -> None:
    """Each with its number, its first time, and what the number means."""
    mine = Census()
    before = time.time()
    mine.record("module", "x.py", 1, Counting.FIRST_IMPORT)
    for _ in range(3):
        mine.record("door", "x.py", 9)
    first, second = mine.sites()
    assert ("door", "x.py", 9, 3, "every use") == (first.door, first.file, first.line, first.count, first.counting)
    assert ("module", 1, "first import") == (second.door, second.count, second.counting)
    assert before <= second.first_at <= first.first_at <= time.time()


def test_a_full_census_counts_further_sites_together() -> None:
    """What it knows it goes on counting; nothing else is kept."""
    mine = Census(max_sites=2)
    assert [True, True, False, False] == [mine.record("door", "x.py", line) for line in range(4)]
    assert mine.record("door", "x.py", 1) is False
    assert (2, 2, 5) == (mine.known_sites, mine.overflow, mine.uses)
    mine.clear()
    assert Tally() == mine.tally()
    assert mine.record("door", "x.py", 3) is True


def test_of_threads_at_one_line_one_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no use is lost, even if the others come while the first is being written down."""

    class Slow(owner._Count):
        def __init__(self, counting: Counting) -> None:
            super().__init__(counting)
            time.sleep(0.02)  # lets the other threads run

    monkeypatch.setattr(owner, "_Count", Slow)
    mine, firsts, at_once = Census(), [], threading.Barrier(8)

    def use() -> None:
        at_once.wait()
        firsts.append(mine.record("door", "x.py", 1))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [False] * 7 + [True] == sorted(firsts)
    assert 8 == mine.uses


def test_a_use_inside_of_a_use_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the garbage collector finds an object whose finaliser uses an old door."""
    mine = Census()

    class Nested(owner._Count):
        def __init__(self, counting: Counting) -> None:
            super().__init__(counting)
            if not mine.known_sites:
                monkeypatch.undo()
                mine.record("inner", "x.py", 2)

    monkeypatch.setattr(owner, "_Count", Nested)
    user = threading.Thread(target=mine.record, args=("outer", "x.py", 1), daemon=True)
    user.start()
    user.join(timeout=5)
    assert not user.is_alive()
    assert ["inner", "outer"] == [one.door for one in mine.sites()]


def test_a_use_is_counted_even_if_its_warning_is_an_error() -> None:
    """The census says what is left, whatever the filters do."""
    census.clear()
    with pytest.raises(LegacyWarning):
        used("old.door", "new.door", since="0.1", removed_in="1.0")
    (one,) = census.sites()
    assert ("old.door", __file__, 1) == (one.door, one.file, one.count)


# ------------------------------------------------------------------------- a metric


async def test_the_count_is_a_metric_without_names(start: Start) -> None:
    """One number for the uses and one for the lines; no label grows with the host's files."""
    census.clear()
    container = await start(web={"page": False}, auth={"dev_users": ("alice",)})
    metrics = registry(create_site(container))
    for line in (1, 1, 2):
        census.record("old.door", "secret_file.py", line)
    assert 3 == metrics.get_sample_value("ssot_engine_legacy_uses_total")
    assert 2 == metrics.get_sample_value("ssot_engine_legacy_sites")
    assert [] == [
        sample for family in metrics.collect() for sample in family.samples if "secret_file" in str(sample.labels)
    ]


# --------------------------------------------------------------------------- its file


def run(path: Path, *arguments: str) -> None:
    """The program, in a process of its own."""
    subprocess.run([sys.executable, "-c", PROGRAM, str(path), *arguments], check=True, timeout=30)


def test_a_process_that_ends_leaves_its_census(tmp_path: Path) -> None:
    """A second one adds to it."""
    path = tmp_path / "census.jsonl"
    run(path)
    run(path)
    assert {"old.a": 4, "old.c": 2} == counted(read(path))
    assert 2 == len(path.read_bytes().splitlines())


def test_a_forked_process_leaves_only_its_own_uses(tmp_path: Path) -> None:
    """Those before the fork are its parent's."""
    path = tmp_path / "census.jsonl"
    run(path, "fork")
    assert {"old.a": 2, "old.b": 1, "old.c": 1} == counted(read(path))


def test_a_worker_of_a_pool_leaves_its_uses_too(tmp_path: Path) -> None:
    """Forked by multiprocessing it ends without atexit; however often the file was named, it writes once."""
    path = tmp_path / "census.jsonl"
    run(path, "worker")
    assert {"old.a": 2, "old.b": 1, "old.c": 1} == counted(read(path))
    assert 2 == len(path.read_bytes().splitlines())


def test_a_process_that_used_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike one that never ended; the last call of write_at_exit decides whether and where."""
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(owner.atexit, "register", ends.append)
    monkeypatch.setattr(owner.atexit, "unregister", lambda function: ends.clear())
    mine, path = Census(), tmp_path / "census.jsonl"
    mine.write_at_exit(tmp_path / "other.jsonl")
    mine.write_at_exit(None)
    assert [] == ends
    mine.write_at_exit(path)
    (end,) = ends
    end()
    assert Tally() == read(path)
    assert [path] == list(tmp_path.iterdir())


def test_a_census_that_cannot_be_written_keeps_no_process_from_ending(tmp_path: Path) -> None:
    """The loss is told on standard error."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "no" / "census.jsonl")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert 0 == ended.returncode
    assert "census_not_written" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_tallies_are_added_site_by_site() -> None:
    """The earliest first use stays, and so does what had no room."""
    one = Tally(sites=(site(count=2, first_at=5.0), site("old.b")), overflow=1)
    other = Tally(sites=(site(count=3, first_at=4.0),), overflow=2)
    assert Tally(sites=(site(count=5, first_at=4.0), site("old.b")), overflow=3) == together([one, other])
    assert together([one, other]) == together([other, one])
    assert 9 == together([one, other]).uses


def test_lines_of_many_writers_stay_whole(tmp_path: Path) -> None:
    """Workers that end at the same moment do not write into one another's lines."""
    path = tmp_path / "census.jsonl"
    tally = Tally(sites=tuple(site(line=line) for line in range(200)))
    threads = [threading.Thread(target=append, args=(path, tally)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {16} == {one.count for one in read(path).sites}


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    """The text says what to do."""
    with pytest.raises(ConfigError, match=r"No such file.*set legacy\.census_file"):
        read(tmp_path / "none.jsonl")
    for content in (b"hello\n", b'{"sites": 3}\n', b"\xff\xfe\n"):
        (tmp_path / "other.txt").write_bytes(content)
        with pytest.raises(ConfigError, match="is no census file"):
            read(tmp_path / "other.txt")
