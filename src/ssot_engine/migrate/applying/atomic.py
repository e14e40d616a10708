"""A file replaced at once: whoever reads it, at whatever moment, sees all of the old bytes or all of the new ones."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

_REMEDIES = {
    errno.EACCES: "change its permissions or those of its folder",
    errno.EPERM: "run as the user it belongs to",
    errno.ENOSPC: "free space on its disk",
    errno.EDQUOT: "free space in your quota",
    errno.EROFS: "mount its disk for writing",
}


class Refused(Exception):
    """A file that is not replaced. `reason` says why and what to do; it is as it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Held(msgspec.Struct, frozen=True):
    """What a file held at one moment."""

    raw: bytes
    status: os.stat_result

    @property
    def mode(self) -> int:
        """Its permission bits."""
        return stat.S_IMODE(self.status.st_mode)


def held(path: Path) -> Held:
    """What the file at `path` holds now.

    Raises:
        Refused: there is none, or it is no regular file.
    """
    try:
        _check_kind(os.lstat(path).st_mode)
        # A pipe put there meanwhile would be waited on, and a link followed.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            _check_kind(status.st_mode)
            return Held(file.read(), status)
    except FileNotFoundError as error:
        raise Refused("is gone; scan again") from error
    except OSError as error:
        raise Refused(f"cannot be read: {said(error)}") from error


def _check_kind(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise Refused("is a symbolic link; name its target")
    if not stat.S_ISREG(mode):
        raise Refused("is no regular file; leave it out")


def check_writable(path: Path, now: Held) -> None:
    """Refuse what its owner protected, even where this user could replace it all the same.

    Raises:
        Refused: the file is read-only, or not this user's to change.
    """
    if not now.mode & 0o222:
        raise Refused("is read-only; make it writable (chmod u+w) or leave it out")
    if not os.access(path, os.W_OK):
        raise Refused("may not be written by this user; change its permissions or leave it out")


def replace(path: Path, new: bytes, *, temporary: Path, mode: int, now: Held | None) -> None:
    """Make `new` the bytes of the file, with permission bits `mode` and the owner and attributes it has `now`.

    The new bytes are on disk before they take the name. Of a file with several names, this one is parted from the
    others, which keep the old bytes.

    Raises:
        Refused: the disk, the folder or the owner does not allow it, or the file changed since `now`.
    """
    try:
        _write(temporary, new, mode, path, now)
        try:
            _check_same(path, now)
            os.replace(temporary, path)
        except BaseException:
            # Ctrl-C may come between the replacing and the next line: the name is gone then, and what came is raised.
            remove_if_there(temporary)
            raise
    except OSError as error:
        raise Refused(f"cannot be replaced: {said(error)}") from error


def _check_same(path: Path, now: Held | None) -> None:
    """Whether it is still the file that was read; this leaves a moment before the replacing, not its whole time."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if now is None:
            return
        raise Refused("is gone; scan again") from None
    if now is not None and _identity(status) != _identity(now.status):
        raise Refused("was changed by somebody at this moment; scan again")


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)


def _write(temporary: Path, new: bytes, mode: int, path: Path, now: Held | None) -> None:
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, new)
        # The owner first: changing it takes special permission bits away.
        if now is not None:
            _keep_owner(fd, now.status)
        os.fchmod(fd, mode)
        if now is not None:
            _keep_attributes(fd, path)
        os.fsync(fd)
    except BaseException:
        remove_if_there(temporary)
        raise
    finally:
        os.close(fd)


def _keep_owner(fd: int, like: os.stat_result) -> None:
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) == (like.st_uid, like.st_gid):
        return
    try:
        os.fchown(fd, like.st_uid, like.st_gid)
    except PermissionError as error:
        raise Refused(
            f"belongs to user {like.st_uid} and group {like.st_gid}, which this user cannot keep; run as its owner"
        ) from error


def _keep_attributes(fd: int, path: Path) -> None:
    if sys.platform != "linux":
        return
    # Some file systems have none, and some attributes only the system sets.
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.setxattr(fd, name, os.getxattr(path, name, follow_symlinks=False))


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in as many pieces as the system takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def remove_if_there(path: Path) -> None:
    """Remove a file that may be gone, as may its folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def sync_folders(folders: Iterable[Path]) -> None:
    """Have the names in these folders on disk; one that is gone meanwhile has none to lose."""
    for folder in folders:
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def said(error: OSError) -> str:
    """What the system said, and what to do about it."""
    remedy = _REMEDIES.get(error.errno or 0, "correct that and repeat")
    return f"{(error.strerror or type(error).__name__).lower()}; {remedy}"
