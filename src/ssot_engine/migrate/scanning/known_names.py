"""Local names of files that other files may know: found in their text, so rather one too many than too few."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssot_engine.migrate.scanning.needles import any_of

#: For each name that has to stay the file because of which.
Known = dict[str, str]

_words = re.compile(rb"[\w\x80-\xff]+").findall
_is_relative = re.compile(rb"from[\s\\]*\.").search


def known_names(local: Mapping[str, Sequence[str]], files: Iterable[tuple[str, bytes]]) -> dict[str, Known]:
    """Which of the `local` names of files others of `files` may know: those that hold the name and the file's module.

    A package's own file is also reached by relative imports, which do not name it.
    """
    known: dict[str, Known] = {path: {} for path in local}
    owners: dict[bytes, list[tuple[str, bytes, bool]]] = {}
    for path, names in local.items():
        for name in names:
            owners.setdefault(name.encode(), []).append((path, *_module(path)))
    may_hold = any_of(name.decode() for name in owners)
    for path, raw in files:
        if not may_hold(raw):
            continue
        words = set(_words(raw))
        relative = _is_relative(raw) is not None
        for held in owners.keys() & words:
            for owner, module, is_package in owners[held]:
                if owner != path and (module in words or (is_package and relative)):
                    known[owner].setdefault(held.decode(), path)
    return known


def _module(path: str) -> tuple[bytes, bool]:
    """The last part of a file's module name, and whether it is a package."""
    file = Path(path)
    is_package = file.stem == "__init__"
    name = file.absolute().parent.name if is_package else file.stem
    return name.encode(), is_package
