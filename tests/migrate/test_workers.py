"""Processes that examine files, and what becomes of files they die of."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from before_after import OLD, table
from fatal_lookup import FatalLookup

from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning import workers
from ssot_engine.migrate.scanning.examine import Examined, Task
from ssot_engine.migrate.scanning.workers import Job, Workers

CONSUMER = "from app.one import Old\n"
FATAL = "from app.one import fatal\n"


def jobs(folder: Path, texts: dict[str, str]) -> list[Job]:
    """Files to examine."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [Job(str(folder / name), len(text)) for name, text in texts.items()]


def done(every: list[Job], task: Task, processes: int = 2) -> list[Examined]:
    """What is said of each file, in their order."""
    with Workers(processes, task) as pool:
        found = dict(pool.examine(every))
    assert list(range(len(every))) == sorted(found)
    return [found[index] for index in range(len(every))]


def children() -> list[str]:
    """Processes this one has started and not ended."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture
def nobody_is_left() -> Iterator[None]:
    """After the test there is no process that was not there before."""
    if sys.platform != "linux":
        pytest.skip("children are counted in /proc, which only Linux has")
    before = set(children())
    yield
    for child in set(children()) - before:
        # A thread reaps each; one that is not ended keeps this waiting, and the test's time limit tells.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, int(child), os.WEXITED | os.WNOWAIT)


@pytest.mark.usefixtures("nobody_is_left")
def test_each_file_is_examined(tmp_path: Path) -> None:
    """Every file gets its answer, whichever process gave it."""
    every = jobs(tmp_path, {f"m{number}.py": CONSUMER * (number + 1) for number in range(20)})
    found = done(every, Task(lookup=Lookup(table(OLD))))
    assert [job.path for job in every] == [one.path for one in found]
    assert list(range(1, 21)) == [len(one.findings) for one in found]


def test_names_to_rename_reach_the_process(tmp_path: Path) -> None:
    """A file is examined with the names that may be renamed in it."""
    (job,) = jobs(tmp_path, {"m.py": "from app.one import Old\nOld()\n"})
    (found,) = done([job._replace(rename=frozenset({"Old"}))], Task(lookup=Lookup(table(OLD)), rename_uses=True))
    assert b"New as Old" not in b"".join(edit.new for edit in found.edits)


def test_modules_of_the_working_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process runs no file of the folder it is started in, whatever module of the library it is named like."""
    every = jobs(tmp_path, {"a.py": CONSUMER})
    for name in ("signal.py", "sitecustomize.py", "pickle.py", "ssot_engine.py"):
        (tmp_path / name).write_text(f"open('ran', 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    (found,) = done(every, Task(lookup=Lookup(table(OLD))))
    assert 1 == len(found.findings)
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("nobody_is_left")
def test_file_that_ends_its_process_is_a_problem(tmp_path: Path) -> None:
    """The file a process dies of is told; the others of its portion are examined."""
    every = jobs(tmp_path, {"a.py": CONSUMER, "b.py": FATAL, "c.py": CONSUMER, "d.py": FATAL, "e.py": CONSUMER})
    found = done(every, Task(lookup=FatalLookup(table(OLD), tmp_path / "kills")))
    reason = f"ended the process that examined it (status {-signal.SIGKILL}); exclude it, and please report this"
    assert [None, reason, None, reason, None] == [one.problem.reason if one.problem else None for one in found]
    assert [1, 0, 1, 0, 1] == [len(one.findings) for one in found]
    # Each has a second chance, alone.
    assert 4 == len((tmp_path / "kills").read_bytes())


def test_process_that_dies_of_something_else(tmp_path: Path) -> None:
    """A process that was ended once, by whatever, costs no file its answer."""
    every = jobs(tmp_path, {"a.py": CONSUMER, "b.py": FATAL, "c.py": CONSUMER})
    found = done(every, Task(lookup=FatalLookup(table(OLD), tmp_path / "kills", times=1)))
    assert [None, None, None] == [one.problem for one in found]


def test_file_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    """A file that cannot be read any more is told, and the others are examined."""
    every = jobs(tmp_path, {"a.py": CONSUMER, "b.py": CONSUMER})
    Path(every[0].path).unlink()
    gone, there = done(every, Task(lookup=Lookup(table(OLD))))
    assert gone.problem is not None
    assert "cannot be read: No such file or directory" in gone.problem.reason
    assert 1 == len(there.findings)


def test_without_processes_files_are_examined_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started, this one does the work."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = done(jobs(tmp_path, {"a.py": CONSUMER, "b.py": CONSUMER}), Task(lookup=Lookup(table(OLD))))
    assert [1, 1] == [len(one.findings) for one in found]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_without_room_for_processes_files_are_examined_here(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no room for one more process, this one does the work likewise."""

    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refused)
    found = done(jobs(tmp_path, {"a.py": CONSUMER, "b.py": CONSUMER}), Task(lookup=Lookup(table(OLD))))
    assert [1, 1] == [len(one.findings) for one in found]


def test_no_interpreter_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is not there is an error of who asked, raised where the answers are awaited."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        done(jobs(tmp_path, {"a.py": CONSUMER}), Task(lookup=Lookup(table(OLD))))


@pytest.mark.usefixtures("nobody_is_left")
def test_interrupt_ends_the_processes(tmp_path: Path) -> None:
    """Who leaves before all is done leaves no process behind, and nothing more is begun."""
    every = [
        job._replace(size_bytes=10**6) for job in jobs(tmp_path, {f"m{number}.py": CONSUMER for number in range(200)})
    ]
    pool = Workers(2, Task(lookup=Lookup(table(OLD))))

    def interrupted() -> None:
        with pool:
            for _ in pool.examine(every):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join()
    assert pool._chunks


def test_portions_are_of_one_size() -> None:
    """The largest files come first, and many small ones go together."""
    sizes = [10, 500_000, 20, 300_000, 150_000, 30]
    chunks = workers._chunks([Job(str(size), size) for size in sizes])
    assert [["500000"], ["300000"], ["150000", "30", "20", "10"]] == [[job.path for _, job in one] for one in chunks]
    assert [1, 3, 4, 5, 2, 0] == [index for one in chunks for index, _ in one]
