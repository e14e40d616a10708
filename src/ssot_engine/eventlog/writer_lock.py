"""The lock that keeps a file to one writing process, and says who has it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from threading import Lock

from ssot_engine.errors import LogInUse

#: Files this process writes, and the process that said so: a forked child inherits the entry, not the lock.
_held: dict[Path, int] = {}
_registry = Lock()


class WriterLock:
    """Held from its making until `release`, or until the process ends in whatever way.

    The lock is a record lock on `<file>.lock`: a forked child does not keep it, as it would an `flock`. The system does
    not refuse a second one to the same process, and drops it when any descriptor of the side file is closed; so the
    process remembers what it has. The side file is never removed: whoever waits on a removed file locks nothing.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock of the file at `path`, which is a real path: two names of one file have one lock.

        Raises:
            LogInUse: another process, or this one, has it.
            OSError: the side file cannot be opened.
        """
        with _registry:
            if _held.get(path) == os.getpid():
                raise LogInUse(str(path), f"this process (pid {os.getpid()})")
            self._path = path
            self._fd: int | None = _lock(path)
            _held[path] = os.getpid()

    def release(self) -> None:
        """Let another writer in. Safe to call twice."""
        with _registry:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
                del _held[self._path]


def _lock(path: Path) -> int:
    """Lock the side file and write down who did; its descriptor."""
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
        os.close(fd)
        raise LogInUse(str(path), holder or None) from error
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"pid {os.getpid()} since {since}\n".encode(), 0)
    return fd
