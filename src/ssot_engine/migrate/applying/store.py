"""The folder with the journals of a tree, which one process at a time works with."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ssot_engine.errors import ConfigError, RequestError
from ssot_engine.migrate.applying.atomic import remove_if_there, said, write_all
from ssot_engine.migrate.applying.git_tree import top_of
from ssot_engine.migrate.applying.journal import Draft, Journal

_FOLDER = Path(".ssot-engine", "migrate")
_LOCK = "lock"
_IGNORED = ".gitignore"
_SUFFIX = ".journal"


def real(path: Path) -> Path:
    """The path without links above it; its last part may be one, unless it leads to a folder."""
    return Path(os.path.realpath(path)) if path.is_dir() else Path(os.path.realpath(path.parent), path.name)


def store_for(paths: Sequence[Path]) -> Store:
    """Where an apply to these real paths keeps its journal: at the top of their work tree, or in what they share."""
    shared = Path(os.path.commonpath(paths))
    folder = shared if shared.is_dir() else shared.parent
    return Store(top_of(folder) or folder)


def newest_journal(place: Path) -> Journal | None:
    """The last one with a file at or below a real path that could be put back."""
    newest = (next(store.journals_of(place), None) for store in stores_above(place))
    return max((one for one in newest if one is not None), key=lambda one: one.at, default=None)


def stores_above(place: Path) -> list[Store]:
    """The stores there are at a path or above it."""
    stores = (Store(folder) for folder in (place, *place.parents))
    return [store for store in stores if os.access(store.folder, os.R_OK | os.X_OK)]


class Store:
    """The journals of the files below `anchor`, of which the last is on top."""

    def __init__(self, anchor: Path) -> None:
        self.anchor = anchor
        self.folder = anchor / _FOLDER

    def within(self, path: Path) -> str | None:
        """A real path from the anchor, "" for the anchor itself; None if it is elsewhere."""
        if not path.is_relative_to(self.anchor):
            return None
        inside = path.relative_to(self.anchor).as_posix()
        return "" if inside == "." else inside

    def journals(self) -> Iterator[Journal]:
        """All of them, the newest first."""
        files = (self._file(number) for number in sorted(self._numbers(), reverse=True))
        return (Journal(file) for file in files if os.access(file, os.R_OK))

    def journals_of(self, place: Path) -> Iterator[Journal]:
        """Those with a file at or below a real path that could be put back, the newest first."""
        inside = self.within(place) or ""
        return (one for one in self.journals() if next(one.entries(inside), None) is not None)

    def draft(self, table: str) -> Draft:
        """A journal to be written, on top of the others."""
        return Draft(self._file(max(self._numbers(), default=0) + 1), table)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works with it meanwhile. It is made before, and removed afterwards if there is no journal in it.

        Raises:
            RequestError: somebody else does.
            ConfigError: its folder cannot be made.
        """
        try:
            fd = self._prepared()
        except OSError as error:
            raise ConfigError(f"folder {str(self.folder)!r} for journals cannot be used: {said(error)}") from error
        try:
            yield
        finally:
            self._remove_if_empty()
            os.close(fd)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:04}{_SUFFIX}"

    def _numbers(self) -> list[int]:
        """The numbers of the journals. What was not completed does not count: nothing was replaced by then."""
        names = (name.removesuffix(_SUFFIX) for name in os.listdir(self.folder) if name.endswith(_SUFFIX))
        return [int(name) for name in names if name.isdecimal()]

    def _prepared(self) -> int:
        """Take the lock, and have the folder as it should be."""
        fd = self._lock()
        try:
            self._tidy()
        except BaseException:
            self._remove_if_empty()
            os.close(fd)
            raise
        return fd

    def _lock(self) -> int:
        """Take the lock; whoever had it before may have removed the file, and then it locks nobody out."""
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                fd = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(fd), os.stat(self.folder / _LOCK)):
                        return fd
            except BlockingIOError as error:
                os.close(fd)
                raise RequestError(
                    f"another apply or rollback is at work in {str(self.anchor)!r}; wait until it has ended"
                ) from error
            os.close(fd)

    def _tidy(self) -> None:
        """Have git leave the folder alone, and remove what was killed before it was a journal."""
        ignored = self.folder / _IGNORED
        if not ignored.exists() or ignored.read_bytes() != b"*\n":
            # A tree of somebody else may come with a link here.
            fd = os.open(ignored, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                write_all(fd, b"*\n")
            finally:
                os.close(fd)
        for name in os.listdir(self.folder):
            if f"{_SUFFIX}." in name:
                remove_if_there(self.folder / name)

    def _remove_if_empty(self) -> None:
        # Somebody may keep something else there, or have removed it all.
        with contextlib.suppress(OSError):
            if self._numbers():
                return
            for name in (_IGNORED, _LOCK):
                remove_if_there(self.folder / name)
            self.folder.rmdir()
            self.folder.parent.rmdir()
