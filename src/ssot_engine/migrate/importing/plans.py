"""What is to become of an import statement: values, worked out before any byte is changed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ssot_engine.migrate.bindings import ImportAt
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.lookup import Became, Fate, Lookup
from ssot_engine.migrate.words import by_hand, scattered


class Target(NamedTuple):
    """A binding: `from module import name as asname`; without a name, `import module as asname`."""

    module: str
    name: str = ""
    asname: str = ""

    @property
    def local(self) -> str:
        """What the file calls it; of `import a.b` the root."""
        return self.asname or self.name or self.module.partition(".")[0]

    @property
    def dotted(self) -> str:
        """The whole name of what is bound."""
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def is_plain(self) -> bool:
        """Whether it is `import a.b`, which binds the root and is used through it."""
        return not self.name and not self.asname


class Item:
    """One of the names of an import statement."""

    __slots__ = ("alias", "became", "old", "own", "rule", "stays", "targets", "todo")

    def __init__(self, alias: ast.alias, old: str, own: tuple[Target, ...], became: Became | None) -> None:
        self.alias = alias
        #: Its whole dotted name.
        self.old = old
        #: What it may bind now; several of a relative import, as the top package is not known.
        self.own = own
        #: What the table says; None if it is no old name.
        self.became = became
        #: What is bound instead, or beside it if it stays.
        self.targets: list[Target] = []
        self.stays = True
        #: What a person has to do about it.
        self.rule = Rule.IMPORT
        self.todo = ""

    @property
    def changes(self) -> bool:
        """Whether anything is written."""
        return bool(self.targets) or not self.stays

    @property
    def is_plain(self) -> bool:
        """Whether it is an item of the form `import a.b`."""
        return any(own.is_plain for own in self.own)

    @property
    def local(self) -> str:
        """What the file calls it."""
        return self.own[0].local

    def become(self, target: Target) -> None:
        """Bind this instead."""
        self.targets = [target]
        self.stays = False

    def leave(self, rule: Rule, todo: str) -> None:
        """Leave it to a person."""
        self.rule, self.todo = rule, todo


class Plan:
    """An import statement, item by item."""

    __slots__ = ("at", "collapsed", "is_left", "items", "module")

    def __init__(self, at: ImportAt, module: str, items: list[Item]) -> None:
        self.at = at
        #: From where names are imported, absolutely; empty of a plain import.
        self.module = module
        self.items = items
        #: Another branch of its try imports the same, so it stays as it is.
        self.is_left = False
        #: Its try is replaced as a whole.
        self.collapsed = False

    @property
    def changes(self) -> bool:
        """Whether the statement is written anew."""
        return not self.is_left and any(item.changes for item in self.items)

    def binds(self, item: Item) -> Iterator[Target]:
        """What an item of it binds in the end."""
        is_changed = item.changes and not self.is_left
        if is_changed:
            yield from item.targets
        if item.stays or not is_changed:
            yield from item.own


def new_module(became: Became) -> str:
    """The module that what moved has to be imported from."""
    assert became.former is not None
    return became.former.target[0] if became.former.name else became.former.replacement


def new_modules(lookup: Lookup, module: str) -> set[str]:
    """Where the names of an old module went."""
    every = (lookup.resolve(f"{module}.{name}") for name in lookup.modules[module].names)
    return {new_module(one) for one in every if one is not None and one.fate is Fate.MOVED}


def bound_as(dotted: str, local: str, *, explicitly: bool = False) -> Target:
    """How a dotted name is imported under a local one; `explicitly` writes `as` even if they are equal."""
    module, _, leaf = dotted.rpartition(".")
    if not module:
        return Target(leaf, "", "" if leaf == local else local)
    return Target(module, leaf, local if local != leaf or explicitly else "")


def plan_of(draft: Draft, at: ImportAt) -> Plan:
    """The plan of a statement, as far as it does not depend on what the file does with the names."""
    if isinstance(at.node, ast.Import):
        return Plan(at, "", [_module_item(draft, alias) for alias in at.node.names])
    modules = draft.place.absolute(at.node.level, at.node.module) or ("",)
    module = _known(draft.lookup, modules)
    return Plan(at, module, [_name_item(draft, alias, module, modules) for alias in at.node.names])


def _known(lookup: Lookup, modules: tuple[str, ...]) -> str:
    """The longest of them that is an old module, or above or below one; else the longest."""
    known = [one for one in modules if one in lookup.parents or lookup.resolve(one) is not None]
    return max(known or modules, key=len)


def _module_item(draft: Draft, alias: ast.alias) -> Item:
    became = draft.lookup.old_name(alias.name)
    if became is not None and became.fate is Fate.UNKNOWN:
        became = None
    item = Item(alias, alias.name, (Target(alias.name, "", alias.asname or ""),), became)
    if became is None:
        return item
    if became.fate is Fate.BY_HAND:
        item.leave(*by_hand(became))
    elif became.new is not None and alias.asname:
        item.become(Target(became.new, "", alias.asname))
    return item


def _name_item(draft: Draft, alias: ast.alias, module: str, modules: tuple[str, ...]) -> Item:
    local = alias.asname or alias.name
    explicitly = alias.asname == alias.name
    own = tuple(bound_as(f"{one}.{alias.name}", local, explicitly=explicitly) for one in modules)
    old = f"{module}.{alias.name}"
    if alias.name == "*":
        return _star_item(draft, Item(alias, old, own, draft.lookup.old_name(module)), module)
    became = draft.lookup.old_name(old)
    if became is not None and became.fate is Fate.UNKNOWN and became.module != module:
        # A module below an old one: the table speaks of names only.
        became = None
    if became is not None and became.new is not None and draft.is_missing(became.new):
        # Who looks at what the new modules bind tells of it.
        became = None
    item = Item(alias, old, own, became)
    if became is None or became.fate is Fate.SCATTERED:
        return item
    if became.new is None:
        item.leave(*by_hand(became))
    elif became.name and not alias.asname and local in draft.unaliased:
        item.become(bound_as(became.new, became.new.rpartition(".")[2]))
    else:
        item.become(bound_as(became.new, local, explicitly=explicitly))
    return item


def _star_item(draft: Draft, item: Item, module: str) -> Item:
    became = item.became
    if became is None or became.fate is Fate.UNKNOWN:
        item.became = None
    elif became.new is not None:
        item.become(Target(became.new, "*"))
    elif became.fate is Fate.BY_HAND:
        item.leave(*by_hand(became))
    else:
        item.leave(Rule.STAR_IMPORT, scattered(new_modules(draft.lookup, module)))
    return item
