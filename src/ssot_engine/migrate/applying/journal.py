"""The record of an apply: what every file held before, on disk before the first file is replaced.

A journal is a file of JSON lines: a head, one line for each file, and a line that says all are there. What happens
afterwards is appended: the end of the apply, and the numbers of files that it refused or that were put back.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.applying.atomic import remove_if_there, said, sync_folders, write_all

_VERSION = 1
_UNFINISHED_SUFFIX = ".new"
_Content = TypeVar("_Content", bound=msgspec.Struct)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an apply."""

    #: From the folder the journal is for; "/" between its parts. Bytes that are no text are kept as surrogates.
    path: str
    #: Permission bits.
    mode: int
    #: sha256 in hex of the bytes before and after.
    before: str
    after: str
    #: The bytes before: compressed, in base64.
    packed: str

    @property
    def original(self) -> bytes:
        """The bytes before.

        Raises:
            ValueError: they are not those that were put in.
        """
        try:
            raw = zlib.decompress(base64.b64decode(self.packed, validate=True))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if digest(raw) != self.before:
            raise ValueError("its checksum is another")
        return raw

    def is_below(self, place: str) -> bool:
        """Whether the file is `place` or in it; "" is everything."""
        return not place or self.path == place or self.path.startswith(f"{place}/")


def digest(raw: bytes) -> str:
    """Their sha256 in hex."""
    return hashlib.sha256(raw).hexdigest()


def entry(path: str, mode: int, raw: bytes, new: bytes) -> Entry:
    """The entry of a file that holds `raw` and shall hold `new`."""
    packed = base64.b64encode(zlib.compress(raw, 6)).decode()
    return Entry(path=path, mode=mode, before=digest(raw), after=digest(new), packed=packed)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    version: int
    #: In seconds since 1970.
    at: float
    table: str
    #: Part of the names of temporary files, so that they can be told from anybody else's.
    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]+$")]


class Draft:
    """A journal being written. It becomes one by `commit`; until then nothing of it counts."""

    def __init__(self, file: Path, table: str) -> None:
        self._file = file
        self._temporary = file.with_name(file.name + _UNFINISHED_SUFFIX)
        self._count = 0
        self._fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        head = _Head(version=_VERSION, at=time.time(), table=table, token=secrets.token_hex(4))
        write_all(self._fd, _line(msgspec.structs.asdict(head)))

    def add(self, one: Entry) -> None:
        """Put in what a file held."""
        write_all(self._fd, _line(msgspec.structs.asdict(one)))
        self._count += 1

    def commit(self) -> Journal:
        """Have it all on disk and under its name."""
        write_all(self._fd, _line({"ready": self._count}))
        os.fsync(self._fd)
        os.rename(self._temporary, self._file)
        # The folders may be as new as the file.
        sync_folders(self._file.parents[:3])
        return Journal(self._file)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *reason: object) -> None:
        """Leave nothing of what was not committed."""
        os.close(self._fd)
        remove_if_there(self._temporary)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


class Journal:
    """The journal in `file`. Its contents are read line by line, each time anew.

    Raises:
        ConfigError: it is damaged, or from another version of this program.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        first = next(self._lines(), {})
        if first.get("version") != _VERSION:
            raise ConfigError(f"journal {str(file)!r} is not of version {_VERSION}; use the ssot-engine that wrote it")
        head = self._converted(first, _Head)
        #: In seconds since 1970.
        self.at = head.at
        self.table = head.table
        self._token = head.token
        #: Whether the apply came to its end.
        self.finished = False
        #: Files in it.
        self.count = 0
        self._closed: set[int] = set()
        self._read()

    @property
    def anchor(self) -> Path:
        """The folder its paths are in: the journal moves with it."""
        return self.file.parents[2]

    @property
    def size_bytes(self) -> int:
        """Its size on disk."""
        return self.file.stat().st_size

    def entries(self, place: str = "") -> Iterator[tuple[int, Entry]]:
        """The files at or below `place` that could be put back, each with its number."""
        for number, one in self._all():
            if number not in self._closed and one.is_below(place):
                yield number, one

    def target(self, one: Entry) -> Path:
        """Where the file is."""
        return self.anchor / one.path

    def temporary(self, number: int, one: Entry) -> Path:
        """The name its new bytes have before they take its own; short, as names have a limit."""
        return self.target(one).with_name(f".ssot-engine-{self._token}-{number}.tmp")

    def finish(self, refused: Sequence[int] = ()) -> None:
        """Note that the apply came to its end, and which files it left as they were."""
        self._append({"finished": time.time(), "closed": sorted(refused)})
        self._closed.update(refused)
        self.finished = True

    def close(self, numbers: Sequence[int]) -> bool:
        """Note that these files were put back: what is done with them from now on is no business of the journal.

        With the last of its files the journal goes; returns whether it is still there.
        """
        self._closed.update(numbers)
        if next(self.entries(), None) is None:
            self.remove()
            return False
        if numbers:
            self._append({"closed": numbers})
        return True

    def remove_temporaries(self) -> None:
        """Remove what a killed apply or rollback left; one that must stay is in the way of its file only."""
        for number, one in self._all():
            with contextlib.suppress(OSError):
                remove_if_there(self.temporary(number, one))

    def remove(self) -> None:
        """Leave nothing of it."""
        remove_if_there(self.file)
        sync_folders([self.file.parent])

    def _all(self) -> Iterator[tuple[int, Entry]]:
        number = 0
        for line in self._lines():
            if "packed" in line:
                yield number, self._entry(line)
                number += 1

    def _entry(self, line: dict[str, Any]) -> Entry:
        one = self._converted(line, Entry)
        path = PurePosixPath(one.path)
        if path.is_absolute() or ".." in path.parts:
            raise self._damaged(f"path {one.path!r} leaves its folder")
        return one

    def _converted(self, line: dict[str, Any], kind: type[_Content]) -> _Content:
        try:
            return msgspec.convert(line, kind)
        except msgspec.ValidationError as error:
            raise self._damaged(str(error)) from error

    def _read(self) -> None:
        ready: object = None
        for line in self._lines():
            match line:
                case {"packed": _}:
                    self.count += 1
                case {"ready": ready}:
                    pass
                case {"closed": list(numbers)}:
                    self._closed.update(numbers)
                    self.finished = self.finished or "finished" in line
        if ready != self.count:
            raise self._damaged(f"it has {self.count} files and should have {ready or 'more'}")

    def _lines(self) -> Iterator[dict[str, Any]]:
        ready = False
        with self._opened() as lines:
            for raw in lines:
                try:
                    line = json.loads(raw)
                except ValueError as error:
                    # What was being appended when the process was killed.
                    if ready or not raw.strip():
                        continue
                    raise self._damaged(str(error)) from error
                if not isinstance(line, dict):
                    raise self._damaged("a line is no object")
                ready = ready or "ready" in line
                yield line

    def _opened(self) -> BinaryIO:
        try:
            return self.file.open("rb")
        except OSError as error:
            raise ConfigError(f"journal {str(self.file)!r} cannot be read: {said(error)}") from error

    def _append(self, value: dict[str, Any]) -> None:
        fd = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            # The line before may have been cut off by a kill.
            write_all(fd, b"\n" + _line(value))
            os.fsync(fd)
        finally:
            os.close(fd)

    def _damaged(self, problem: str) -> ConfigError:
        return ConfigError(
            f"journal {str(self.file)!r} is damaged: {problem}; restore its files by other means, then delete it"
        )
