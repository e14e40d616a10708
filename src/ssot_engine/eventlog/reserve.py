"""Disk space kept back for the last events of running runs."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

#: Room for the ends of some hundred runs, in bytes.
RESERVE_BYTES = 524_288


class Reserve:
    """A file of allocated space: released when the disk is full, held again when there is room."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hold(self) -> bool:
        """Allocate the space; False if the disk has not enough."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(fd).st_size != RESERVE_BYTES:
                    _allocate(fd)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the space back; False if none was held, or none can be given."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False


def _allocate(fd: int) -> None:
    if sys.platform == "linux":
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
    else:
        os.pwrite(fd, bytes(RESERVE_BYTES), 0)
