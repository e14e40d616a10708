"""The files below some paths: which are looked at, which are left alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.findings import LeftAlone, Problem
from ssot_engine.migrate.texts.configs import ENDINGS

#: Folders nobody's own source is in.
LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", "venv", ".tox", ".nox", ".eggs"})

#: What rolls a migration back is kept in such a folder.
OWN_FOLDER = ".ssot-engine"

#: Endings of Python's files.
PYTHON_ENDINGS = (".py", ".pyi", ".pyw")

_LOOKED_AT = (*PYTHON_ENDINGS, *ENDINGS)


class Tree:
    """Files below the given paths, each once, in the order of their names. Links are not followed.

    Files are those that end as Python's or as configuration, and scripts without an ending whose first line calls
    Python; a file that is given itself is taken whatever its name. Folders of caches (`__pycache__`) are left out
    without a word, all else that is left out is told in `left_alone`.

    `exclude` are patterns as in a .gitignore: `*` and `?` stand for characters of one name, `**` for any number of
    folders; a pattern with a "/" in it is matched against the path below what was given and against the whole path,
    one without against each name. What matches a folder leaves out all of it.

    Raises:
        ConfigError: a path does not exist, or is neither file nor folder; a pattern is none.
    """

    def __init__(self, paths: Sequence[Path], exclude: Sequence[str] = ()) -> None:
        #: Grows while the files are walked through.
        self.left_alone: list[LeftAlone] = []
        #: Grows likewise: folders that cannot be read, links that were given.
        self.problems: list[Problem] = []
        self._excluded = _patterns(exclude)
        self._given = [_Given.of(path) for _, path in sorted((path.as_posix(), path) for path in set(paths))]
        self._reals = [given.real for given in self._given]
        #: Real paths of what was met, as far as it could be met twice.
        self._met: set[str] = set()

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self.names())

    def names(self) -> Iterator[str]:
        """The same files as texts, which take less time to make."""
        self.left_alone.clear()
        self.problems.clear()
        self._met.clear()
        for given in self._given:
            if given.is_link:
                self._trouble(given.name, f"is a symbolic link, and links are not followed; give {given.real!r} itself")
            elif self._is_new(given.real) and not self._is_excluded(given.name, given.name.rpartition("/")[2]):
                yield from self._files(given) if given.is_folder else self._file(given.name)

    def _file(self, path: str) -> Iterator[str]:
        if self._is_shown(path):
            yield path

    def _files(self, given: _Given) -> Iterator[str]:
        """Files of a folder and those below it, however deep."""
        open_folders = [self._folder(_Folder(given.name, "", given.real))]
        while open_folders:
            found = next(open_folders[-1], None)
            if found is None:
                open_folders.pop()
            elif isinstance(found, _Folder):
                open_folders.append(self._folder(found))
            else:
                yield found

    def _folder(self, folder: _Folder) -> Iterator[str | _Folder]:
        """Files of a folder, and the folders in it that are to be entered."""
        try:
            with os.scandir(folder.path) as listed:
                entries = sorted(((_sorted_as(entry), entry) for entry in listed), key=_first)
        except OSError as error:
            self._trouble(folder.path, f"cannot be read: {error.strerror}; give yourself the right, or exclude it")
            return
        if folder.below and any(key == "pyvenv.cfg" for key, _ in entries):
            self._leave(folder.path, "is a virtual environment")
            return
        prefix = "" if folder.path == "." else folder.path if folder.path.endswith("/") else f"{folder.path}/"
        for key, entry in entries:
            name, path = entry.name, prefix + entry.name
            below, real = folder.below + key, f"{folder.real}/{name}"
            if key.endswith("/"):
                if self._is_entered(path, below[:-1], name) and self._is_new(real):
                    yield _Folder(path, below, real)
            elif entry.is_symlink():
                self._link(path, name)
            elif self._is_looked_at(path, entry) and self._is_taken(path, below, real):
                yield path

    def _is_entered(self, path: str, below: str, name: str) -> bool:
        if name == "__pycache__" or self._is_excluded(path, below):
            return False
        if (reason := _left_out(name)) is not None:
            self._leave(path, reason)
        return reason is None

    def _is_looked_at(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Whether its name or its first line says so."""
        if entry.name.endswith(_LOOKED_AT):
            return entry.is_file(follow_symlinks=False)
        if "." in entry.name or not entry.is_file(follow_symlinks=False):
            return False
        try:
            return _is_script(path)
        except OSError as error:
            self._leave(path, f"may be a script, but cannot be read: {error.strerror}")
            return False

    def _is_taken(self, path: str, below: str, real: str) -> bool:
        return self._is_shown(path) and not self._is_excluded(path, below) and self._is_new(real)

    def _is_excluded(self, path: str, below: str) -> bool:
        """Whether a pattern says so; `below` is the path below what was given."""
        pattern = self._excluded(path, below)
        if pattern is not None:
            self._leave(path, f"is excluded by {pattern!r}")
        return pattern is not None

    def _link(self, path: str, name: str) -> None:
        """Tell of a link that leads to what would be looked at, and is not looked at elsewhere."""
        target = os.path.realpath(path)
        is_folder = os.path.isdir(target)
        if not is_folder and not name.endswith(_LOOKED_AT):
            return
        is_found = is_folder or target.endswith(_LOOKED_AT)
        if not (is_found and os.path.exists(target) and any(_is_in(target, real) for real in self._reals)):
            self._leave(path, f"is a symbolic link to {target!r}, and links are not followed")

    def _is_new(self, real: str) -> bool:
        """Whether it was not met before; where one path was given, nothing is met twice."""
        if len(self._given) == 1:
            return True
        is_new = real not in self._met
        self._met.add(real)
        return is_new

    def _is_shown(self, path: str) -> bool:
        """Whether findings can show a path: one that is not in UTF-8 they cannot."""
        try:
            path.encode()
        except UnicodeEncodeError:
            self._trouble(path, "its name is not in UTF-8; rename it")
            return False
        return True

    def _leave(self, path: str, reason: str) -> None:
        self.left_alone.append(LeftAlone(path=_printable(path), reason=reason))

    def _trouble(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path=_printable(path), reason=reason))


def _is_script(file: str) -> bool:
    """Whether the first line of a file calls Python."""
    with open(file, "rb", buffering=0) as stream:
        first = stream.read(200).split(b"\n", 1)[0]
    return first.startswith(b"#!") and b"python" in first


class _Folder(NamedTuple):
    """A folder that is walked through."""

    path: str
    #: Below what was given, with a "/", for patterns; empty for that itself.
    below: str
    #: Without links above it.
    real: str


class _Given(NamedTuple):
    """A path as it was given."""

    name: str
    real: str
    is_folder: bool
    is_link: bool

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at it.

        Raises:
            ConfigError: it does not exist, or is neither file nor folder.
        """
        name, is_link, is_folder = path.as_posix(), path.is_symlink(), path.is_dir()
        if not is_link and not path.exists():
            raise ConfigError(f"path {name!r} does not exist; correct it")
        if not is_link and not is_folder and not path.is_file():
            raise ConfigError(f"path {name!r} is neither a file nor a folder; give one")
        return cls(name, os.path.realpath(path), is_folder, is_link)


def _first(pair: tuple[str, object]) -> str:
    return pair[0]


def _printable(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()


def _sorted_as(entry: os.DirEntry[str]) -> str:
    """What puts entries in the order their whole paths have."""
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _left_out(name: str) -> str | None:
    """Why a folder of that name is left out; None if it is not."""
    if name in LEFT_OUT:
        return "holds no source of the host's own"
    if name == OWN_FOLDER:
        return "holds what migrations are rolled back with"
    return "holds what an installation wrote" if name.endswith(".egg-info") else None


def _is_in(target: str, folder: str) -> bool:
    return target == folder or target.startswith(folder.rstrip(os.sep) + os.sep)


# ------------------------------------------------------------------ patterns


def _patterns(exclude: Sequence[str]) -> Callable[[str, str], str | None]:
    """What tells which pattern matches a path, given whole and below its root."""
    compiled = [(pattern, "/" in pattern.rstrip("/"), _compiled(pattern)) for pattern in exclude if pattern.strip("/")]

    def matching(path: str, below: str) -> str | None:
        name = below.rpartition("/")[2]
        for pattern, is_path, matches in compiled:
            if (matches(below) or matches(path)) if is_path else matches(name):
                return pattern
        return None

    return matching


def _compiled(pattern: str) -> Callable[[str], object]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])", pattern.removeprefix("./").rstrip("/"))
    try:
        return re.compile("".join(map(_translated, parts)), re.DOTALL).fullmatch
    except re.error as error:
        raise ConfigError(f"pattern {pattern!r} to exclude is none: {error}; correct it") from error


def _translated(part: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in known:
        return known[part]
    if part.startswith("[") and part.endswith("]"):
        inner = part[1:-1].replace("\\", "\\\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(part)
