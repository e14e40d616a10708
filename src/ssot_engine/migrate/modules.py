"""The dotted names a file may be imported by, from where it stands."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

#: No package lies deeper.
_DEEPEST = 32


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A Python file among its packages."""

    #: As findings show it.
    path: str
    #: Names the module may have, the shortest first: folders without `__init__.py` above it may belong or not.
    names: tuple[str, ...]
    is_package: bool

    def absolute(self, level: int, module: str | None) -> tuple[str, ...]:
        """What `from .module import` of this level may mean, the shortest first; `level` 0 is the name itself."""
        if not level:
            return (module or "",)
        drop = level - 1 if self.is_package else level
        bases = (name.split(".") for name in self.names)
        kept = (parts[: len(parts) - drop] for parts in bases if len(parts) > drop)
        return tuple(".".join([*parts, *([module] if module else [])]) for parts in kept)


def place_of(file: Path, path: str) -> Place:
    """Where a file stands; `path` is what findings call it."""
    is_package = file.stem == "__init__"
    folder = file.parent.absolute()
    # Of a file with a dot in its name only the folder counts: it cannot be imported.
    own = () if is_package else (file.stem.replace(".", "-"),)
    names = []
    for parts in _packages(folder):
        dotted = ".".join([*parts, *own])
        if dotted:
            names.append(dotted)
    return Place(path=path, names=tuple(names), is_package=is_package)


@functools.lru_cache(maxsize=4096)
def _packages(folder: Path) -> tuple[tuple[str, ...], ...]:
    """The packages a folder may be, the shortest first: all it must be in, then one more folder at a time."""
    regular: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name:
        regular.insert(0, folder.name)
        folder = folder.parent
    found = [tuple(regular)]
    above: list[str] = []
    while folder.name.isidentifier() and len(above) < _DEEPEST:
        above.insert(0, folder.name)
        found.append((*above, *regular))
        folder = folder.parent
    return tuple(found)
