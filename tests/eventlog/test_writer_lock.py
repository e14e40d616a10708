"""The lock of one file to one writer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ssot_engine.errors import LogInUse
from ssot_engine.eventlog.writer_lock import WriterLock


def may_lock_elsewhere(path: Path) -> bool:
    """Whether another process can take the lock."""
    code = (
        "import fcntl, sys\nwith open(sys.argv[1], 'r+') as side:\n    fcntl.lockf(side, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    return not subprocess.run([sys.executable, "-c", code, f"{path}.lock"], capture_output=True).returncode


def test_of_many_threads_one_gets_the_lock(tmp_path):
    """Threads that ask at the same moment: one has the lock, and the others do not take it away by failing."""
    path = tmp_path / "file"
    for _ in range(50):
        got: list[WriterLock] = []
        gate = threading.Barrier(8)

        def ask(gate: threading.Barrier = gate, got: list[WriterLock] = got) -> None:
            gate.wait()
            with contextlib.suppress(LogInUse):
                got.append(WriterLock(path))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(got)
        got[0].release()


def test_a_refused_second_lock_leaves_the_first(tmp_path):
    """Closing a descriptor of the side file would drop the lock; being refused opens none."""
    lock = WriterLock(tmp_path / "file")
    with pytest.raises(LogInUse):
        WriterLock(tmp_path / "file")
    assert not may_lock_elsewhere(tmp_path / "file")
    lock.release()
    lock.release()
    assert may_lock_elsewhere(tmp_path / "file")
    assert (tmp_path / "file.lock").exists()


def test_two_files_have_two_locks(tmp_path):
    """Locks of different files do not meet."""
    locks = [WriterLock(tmp_path / name) for name in ("a", "b")]
    locks[0].release()
    assert not may_lock_elsewhere(tmp_path / "b")
    locks[1].release()
