"""Which files may hold something: a look at their bytes, which is all that most of them get."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence

from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.ssot.compliance import words
from ssot_engine.migrate.texts.configs import ENDINGS, UTF16

#: Up to so many words, looking for one after the other is faster than one expression for all.
_FEW = 24

# What may stand around a dot: white space, continued lines and, in brackets, comments. Nothing of it is ever tried in
# another way, which for a line of many "#" would never end.
_GAP = rb"(?:[\s\\]++|#[^\r\n]*+)*+"
_DOT = _GAP + rb"\." + _GAP

_is_relative = re.compile(rb"from[\s\\]*\.").search
_ascii = re.compile(r"[\x00-\x7f]+")
_dotted = re.compile(r"\w+(\.\w+)*").fullmatch


class Needles:
    """What tells candidates for a task from other files.

    Whatever names an old module holds the last part of its name, and the first one too unless it imports relatively
    from within a folder of that name. Within a package that is an old module itself the last may be missing likewise.
    """

    def __init__(self, task: Task) -> None:
        lookup = task.lookup
        targets = _target_modules(lookup)
        self._old = _Modules(lookup.modules)
        self._new = _Modules(targets)
        self._has_word = any_of(words(lookup)) if task.ssot else None
        self._folder: str | None = None
        self._parts: frozenset[str] = frozenset()

    def hold(self, path: str, raw: bytes) -> bool:
        """Whether a file has to be examined."""
        if path.endswith(ENDINGS):
            # Of ASCII, UTF-16 has every second byte 0.
            return self._old.may_be_in(raw.replace(b"\0", b"") if raw.startswith(UTF16) else raw, is_python=False)
        parts = self._parts_above(path)
        if self._old.may_be_in(raw, parts) or self._new.may_be_in(raw, parts):
            return True
        return self._has_word is not None and self._has_word(raw)

    def _parts_above(self, path: str) -> frozenset[str]:
        """The names of the folders a file is in; files come folder by folder."""
        folder = os.path.dirname(path)
        if folder != self._folder:
            self._folder = folder
            self._parts = frozenset(os.path.abspath(folder).split(os.sep))
        return self._parts


class _Modules:
    """Some modules, and whether bytes may name one of them."""

    def __init__(self, names: Iterable[str]) -> None:
        under: dict[str, list[str]] = {}
        for name in names:
            under.setdefault(name.partition(".")[0], []).append(name)
        self._roots = [_Root(root, sorted(each)) for root, each in sorted(under.items())]

    def may_be_in(self, raw: bytes, folders: frozenset[str] = frozenset(), *, is_python: bool = True) -> bool:
        """Whether to look closer at a file that stands in these folders."""
        return any(root.may_be_in(raw, folders, is_python) for root in self._roots)


class _Root:
    """Modules whose names begin with the same part."""

    def __init__(self, root: str, names: Sequence[str]) -> None:
        self._root = root
        self._has_root = any_of([root])
        self._leaves = frozenset(name.rpartition(".")[2] for name in names)
        self._has_leaf = any_of(self._leaves)
        self._mentions = [_Mention(name) for name in names]

    def may_be_in(self, raw: bytes, folders: frozenset[str], is_python: bool) -> bool:
        if self._root in folders and _is_relative(raw):
            return self._has_leaf(raw) or not self._leaves.isdisjoint(folders)
        if not (self._has_root(raw) and self._has_leaf(raw)):
            return False
        return not is_python or any(one.is_in(raw) for one in self._mentions)


class _Mention:
    """Whether Python's bytes can mean a module, where they hold its first and its last part.

    They do if they hold all of it, an import from or of a package above it under another name, or a string that begins
    with one of its later parts: the rest may be in the string before, or in another argument.
    """

    def __init__(self, name: str) -> None:
        self.leaf = _key(name.rpartition(".")[2])
        self._name = name

    def is_in(self, raw: bytes) -> bool:
        """Whether to look closer."""
        return self.leaf in raw and any(search(raw) for search in self._searches)

    @functools.cached_property
    def _searches(self) -> list[Callable[[bytes], object]]:
        parts = [re.escape(part).encode() for part in self._name.split(".")]
        if len(parts) == 1 or not self._name.isascii():
            return [bool]
        above = _nested(parts[:-1]) + rb"[\s\\]+(?:import|as)\b"
        later = [b"\\.".join(parts[at:]) for at in range(1, len(parts))]
        begins = b"|".join(rb"(?<=[\"']%b)|(?<=[\"']\.%b)" % (each, each) for each in later)
        expressions = (_DOT.join(parts), above, parts[-1] + b"(?:" + begins + b")")
        return [re.compile(one).search for one in expressions]


def _nested(parts: Sequence[bytes]) -> bytes:
    """An expression for a package or one above it."""
    inner = b""
    for part in reversed(parts[1:]):
        inner = b"(?:" + _DOT + part + inner + b")?"
    return parts[0] + inner


def _target_modules(lookup: Lookup) -> set[str]:
    """Modules that new names are in, and those that took the place of whole ones."""
    whole = {one.whole.replacement for one in lookup.modules.values() if one.whole is not None}
    names = {target.rpartition(".")[0] for target in lookup.targets - whole}
    return {name for name in whole | names if _dotted(name)}


def any_of(texts: Iterable[str]) -> Callable[[bytes], bool]:
    """What tells whether bytes hold one of these words, or something longer."""
    every = {_key(text) for text in texts}
    least = sorted(one for one in every if not any(other != one and other in one for other in every))
    if len(least) > _FEW:
        search = re.compile(b"|".join(map(re.escape, least))).search
        return lambda raw: search(raw) is not None

    def holds(raw: bytes) -> bool:
        # A loop, not any(): the generator of any() costs as much as one search.
        for one in least:  # noqa: SIM110
            if one in raw:
                return True
        return False

    return holds


def _key(text: str) -> bytes:
    """The longest part of a text that is the same in all encodings."""
    return max(_ascii.findall(text), key=len, default="").encode()
