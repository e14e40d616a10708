"""Names that a file takes from old or new modules, each with the new class or function it will mean."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssot_engine.legacy.former import Kind
from ssot_engine.migrate.bindings import Bindings, Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.linting.adopted import new_names
from ssot_engine.migrate.lookup import Fate
from ssot_engine.migrate.static.answers import Definition
from ssot_engine.migrate.static.exports import Exports


class Taken(NamedTuple):
    """An expression that means a new class, function or module."""

    node: ast.expr
    scope: Scope
    #: As the source names it, dotted and without its aliases.
    written: str
    #: What it will mean.
    new: str
    #: None for a module, and for what is not known.
    definition: Definition | None
    #: Why what it means behaves differently; mostly empty.
    reason: str


class Bound(NamedTuple):
    """A local name that an import binds, and the dotted name it stands for."""

    local: str
    owner: Scope
    dotted: str
    alias: ast.alias
    #: Whether the import takes a name from a module.
    is_name: bool


class Meanings:
    """What old and new dotted names mean once the file is rewritten."""

    def __init__(self, draft: Draft, exports: Exports) -> None:
        self._lookup = draft.lookup
        self._exports = exports
        self.names = new_names(draft.lookup)
        #: First parts of all old and new names.
        self.roots = draft.lookup.roots | self.names.roots
        self._above = draft.lookup.parents | self.names.parents | self.names.modules

    def new(self, dotted: str) -> tuple[str, str]:
        """Its new name and why that behaves differently; both empty if there is none."""
        became = self._lookup.resolve(dotted)
        if became is None:
            parent = dotted.rpartition(".")[0]
            is_near = self.names.is_within(dotted) or parent in self.names.parents
            return (dotted if is_near else ""), ""
        if became.new is not None:
            return became.new, ""
        former = became.former
        if became.fate is Fate.BY_HAND and former is not None and former.kind is Kind.BEHAVIOUR_CHANGED:
            return ".".join([former.replacement, *became.tail]), former.reason
        return "", ""

    def may_lead_on(self, dotted: str) -> bool:
        """Whether what it has may be an old or a new name."""
        return dotted in self._above or dotted in self._lookup.modules

    def definition(self, dotted: str, new: str) -> Definition | None:
        """What a new name stands for, if an old name leads there, or the table does."""
        found = self._exports.definition(new)
        if found is None or new != dotted:
            return found
        is_ours = {new, found.dotted} & self._lookup.targets or new.rpartition(".")[0] in self.names.whole
        return found if is_ours else None


def bound_names(draft: Draft, meanings: Meanings) -> list[Bound]:
    """Local names that imports bind to what may be an old or a new name, and nothing else does."""
    found = [
        Bound(local, owner, dotted, alias, is_name)
        for local, scope, dotted, alias, is_name in _imported(draft, meanings)
        if (owner := draft.bindings.where(local, scope)) is not None
    ]
    many = Counter((one.local, one.owner) for one in found)
    meant: dict[tuple[str, Scope], set[str]] = {}
    for one in found:
        meant.setdefault((one.local, one.owner), set()).add(meanings.new(one.dotted)[0] or one.dotted)
    return [
        one
        for one in found
        if len(meant[one.local, one.owner]) == 1
        and _is_alone(draft.bindings, one.local, one.owner, many[one.local, one.owner])
    ]


def _imported(draft: Draft, meanings: Meanings) -> Iterator[tuple[str, Scope, str, ast.alias, bool]]:
    for at in draft.bindings.imports:
        for alias in at.node.names:
            if alias.name != "*" and (dotted := _known(draft, meanings, at.node, alias)):
                is_name = isinstance(at.node, ast.ImportFrom)
                local = alias.asname or (alias.name if is_name else dotted)
                yield local, at.scope, dotted, alias, is_name


def _known(draft: Draft, meanings: Meanings, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The dotted name that an import binds; "" if it leads to no old or new name."""
    if isinstance(node, ast.Import):
        names: Iterable[str] = [alias.name if alias.asname else alias.name.partition(".")[0]]
    elif not node.level and node.module is not None and node.module.partition(".")[0] not in meanings.roots:
        return ""
    else:
        names = (f"{module}.{alias.name}" for module in draft.place.absolute(node.level, node.module))
    return next((name for name in names if meanings.new(name)[0] or meanings.may_lead_on(name)), "")


def _is_alone(bindings: Bindings, local: str, owner: Scope, imports: int) -> bool:
    """Whether a name is bound by these imports only, or else where one of them failed."""
    deleted = sum(isinstance(name.ctx, ast.Del) for name in bindings.uses(local, owner))
    others = owner.bound[local] - imports - deleted
    return others <= 0 or others == sum(
        _binds(statement, local) for one in bindings.tries for handler in one.handlers for statement in handler.body
    )


def _binds(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return statement.name == name
    if isinstance(statement, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return any((alias.asname or alias.name.partition(".")[0]) == name for alias in statement.names)
    return False


def taken(draft: Draft, meanings: Meanings, bound: Bound) -> Iterator[Taken]:
    """Every use of a local name, as far as it leads to a new class, function or module."""
    for name, scope in draft.bindings.meaning(bound.local, bound.owner):
        if isinstance(name.ctx, ast.Load):
            one = _taken(draft.bindings, meanings, bound.dotted, name, scope)
            if one is not None:
                yield one


def _taken(bindings: Bindings, meanings: Meanings, dotted: str, node: ast.expr, scope: Scope) -> Taken | None:
    """Follow a chain to the first class or function in it, or else to the last new module."""
    module: Taken | None = None
    while True:
        new, reason = meanings.new(dotted)
        definition = meanings.definition(dotted, new) if new else None
        if definition is not None:
            return Taken(node, scope, dotted, new, definition, reason)
        if new:
            module = Taken(node, scope, dotted, new, None, "")
        outer = bindings.parent(node)
        if not isinstance(outer, ast.Attribute) or not meanings.may_lead_on(dotted):
            return module
        node, dotted = outer, f"{dotted}.{outer.attr}"
