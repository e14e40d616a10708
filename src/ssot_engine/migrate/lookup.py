"""What became of a dotted name, asked of a table of old names."""

from __future__ import annotations

import re
from enum import StrEnum
from fnmatch import translate

import msgspec

from ssot_engine.legacy.former import FormerModule, FormerName, Kind, Table


class Fate(StrEnum):
    """What can be done about an old name."""

    #: It has a new name, which means the same.
    MOVED = "moved"
    #: Its entry is never applied: `former` says why, and what to do.
    BY_HAND = "by_hand"
    #: The table knows its module and says nothing of it.
    UNKNOWN = "unknown"
    #: It is a module whose names went to several places.
    SCATTERED = "scattered"


class Became(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an old dotted name."""

    fate: Fate
    #: The old module in it.
    module: str
    #: Its name in that module; empty if the module itself is meant.
    name: str
    #: Attributes behind that: ("method",) in old.module.Name.method.
    tail: tuple[str, ...]
    #: The new dotted name with the tail; only for what moved.
    new: str | None = None
    #: The table's entry, where there is one.
    former: FormerName | None = None

    @property
    def door(self) -> str:
        """The old name without the tail."""
        return f"{self.module}.{self.name}" if self.name else self.module


class Lookup:
    """A table, arranged for finding old names in source. It can be pickled."""

    def __init__(self, table: Table) -> None:
        self.modules = table.modules
        #: Where the table was read; that file is never rewritten.
        self.source = table.source
        #: Packages above old modules.
        self.parents = frozenset(parent for name in table.modules for parent in _above(name))
        #: First parts of all old modules.
        self.roots = frozenset(name.partition(".")[0] for name in table.modules)
        #: Dotted names that replace old ones.
        live = [one for one in self._entries() if one.kind is not Kind.REMOVED]
        self.targets = frozenset(one.replacement for one in live)
        #: The modules they are in.
        self.target_modules = frozenset(one.target[0] if one.name else one.replacement for one in live)
        self._doors: dict[str, list[str]] = {}
        for one in live:
            self._doors.setdefault(one.replacement, []).append(one.door)
        self._patterns = {
            name: [(re.compile(translate(key)).fullmatch, one) for key, one in module.names.items() if "*" in key]
            for name, module in table.modules.items()
        }

    def _entries(self) -> list[FormerName]:
        modules = self.modules.values()
        whole = [module.whole for module in modules if module.whole is not None]
        return [*whole, *(one for module in modules for one in module.names.values())]

    def resolve(self, dotted: str) -> Became | None:
        """What became of `old.module`, `old.module.Name` or `old.module.Name.attribute`; None if it is no old name.

        Of several old modules that begin the name, the longest counts.
        """
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            module = self.modules.get(".".join(parts[:end]))
            if module is not None:
                return self._within(module, parts[end:])
        return None

    def old_name(self, dotted: str) -> Became | None:
        """What became of a dotted name; None also where the host's own file answers it."""
        if dotted.partition(".")[0] not in self.roots:
            return None
        became = self.resolve(dotted)
        if became is None or became.fate not in (Fate.UNKNOWN, Fate.SCATTERED):
            return became
        return None if self.modules[became.module].yields_to_host else became

    def doors_to(self, target: str) -> list[str]:
        """The old names that a new one replaces."""
        return self._doors.get(target, [])

    def _within(self, module: FormerModule, rest: list[str]) -> Became:
        name, tail = (rest[0] if rest else ""), tuple(rest[1:])
        if module.whole is not None:
            new = ".".join([module.whole.replacement, *rest])
            return _became(module.module, name, tail, module.whole, new)
        if not name:
            return Became(fate=Fate.SCATTERED, module=module.module, name="", tail=())
        former = self._named(module, name)
        if former is None:
            return Became(fate=Fate.UNKNOWN, module=module.module, name=name, tail=tail)
        return _became(module.module, name, tail, former, ".".join([former.replacement, *tail]))

    def _named(self, module: FormerModule, name: str) -> FormerName | None:
        exact = module.names.get(name)
        if exact is not None:
            return exact
        return next((one for matches, one in self._patterns[module.module] if matches(name)), None)


def _became(module: str, name: str, tail: tuple[str, ...], former: FormerName, new: str) -> Became:
    if former.kind in (Kind.REMOVED, Kind.BEHAVIOUR_CHANGED):
        return Became(fate=Fate.BY_HAND, module=module, name=name, tail=tail, former=former)
    return Became(fate=Fate.MOVED, module=module, name=name, tail=tail, former=former, new=new)


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
