"""Where a module's source stands, found without importing it or any package above it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder

import msgspec

# Packages that were installed for editing put such a finder in place of a path.
_EDITABLE = "__editable___"


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A module there is. Its source is no file if it is built in, an extension, in an archive or a plain folder."""

    module: str
    file: str | None = None
    #: A stub beside an extension, which tells what it holds.
    stub: str | None = None
    #: Where its submodules are looked for; empty if it can have none.
    folders: tuple[str, ...] = ()
    #: A folder without `__init__.py`: it has submodules, and no names of its own.
    is_namespace: bool = False

    @property
    def is_package(self) -> bool:
        """Whether it may have submodules."""
        return bool(self.folders)


class Locator:
    """Finds modules in folders, as the interpreter does, and remembers what it found."""

    def __init__(self, search: Sequence[str]) -> None:
        self._search = tuple(dict.fromkeys(entry or os.curdir for entry in search))
        self._listed: dict[str, frozenset[str]] = {}
        self._found: dict[str, Located | None] = {}

    def find(self, module: str) -> Located | None:
        """The module of this name; None if there is none."""
        if module not in self._found:
            self._found[module] = self._find(module)
        return self._found[module]

    def _find(self, module: str) -> Located | None:
        above, _, name = module.rpartition(".")
        if not above:
            return self._at_top(name)
        package = self.find(above)
        return None if package is None else self._in(module, name, package.folders)

    def _at_top(self, name: str) -> Located | None:
        if name in sys.builtin_module_names:
            return Located(module=name)
        return self._in(name, name, self._search) or _editable(name)

    def _in(self, module: str, name: str, folders: Iterable[str]) -> Located | None:
        portions: list[str] = []
        for folder in folders:
            path = os.path.join(folder, name)
            listed = self._names(folder)
            if name in listed and (found := self._package(module, path)) is not None:
                return found
            if (found := _plain(module, path, name, listed) or _archived(module, name, folder, listed)) is not None:
                return found
            if name in listed and os.path.isdir(path):
                portions.append(path)
        return Located(module=module, folders=tuple(portions), is_namespace=True) if portions else None

    def _package(self, module: str, path: str) -> Located | None:
        inner = _plain(module, os.path.join(path, "__init__"), "__init__", self._names(path))
        return None if inner is None else msgspec.structs.replace(inner, folders=(path,))

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]


def _plain(module: str, path: str, name: str, listed: frozenset[str]) -> Located | None:
    stub = f"{path}.pyi" if f"{name}.pyi" in listed else None
    if any(name + ending in listed for ending in EXTENSION_SUFFIXES):
        return Located(module=module, stub=stub)
    if f"{name}.py" in listed:
        return Located(module=module, file=f"{path}.py")
    return Located(module=module, stub=stub) if stub or f"{name}.pyc" in listed else None


def _archived(module: str, name: str, folder: str, listed: frozenset[str]) -> Located | None:
    """A module in an entry that is no folder, such as an archive."""
    if listed or not os.path.isfile(folder):
        return None
    spec = PathFinder.find_spec(name, [folder])
    return None if spec is None else Located(module=module, folders=tuple(spec.submodule_search_locations or ()))


def _editable(name: str) -> Located | None:
    """A package whose installation answers by a finder; only one that merely looks into a table is asked."""
    for finder in sys.meta_path:
        if not getattr(finder, "__module__", "").startswith(_EDITABLE):
            continue
        spec = finder.find_spec(name, None)
        if spec is not None:
            file = spec.origin if spec.origin is not None and spec.origin.endswith(".py") else None
            return Located(module=name, file=file, folders=tuple(spec.submodule_search_locations or ()))
    return None
