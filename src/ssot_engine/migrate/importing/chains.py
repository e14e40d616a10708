"""Modules that are imported by their whole names, and used by them: `import old.module`, `old.module.Name`."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Sequence

from ssot_engine.migrate.bindings import Bindings, ImportAt, Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.importing.plans import Item, Plan, Target, new_module, new_modules
from ssot_engine.migrate.importing.uses import Use, head_of, is_missing, names_in_types, span_of, tell, uses_of
from ssot_engine.migrate.lookup import Became, Fate
from ssot_engine.migrate.words import scattered

#: How often a scope binds a package's name by importing a module below it.
Roots = Counter[tuple[Scope, str]]


class Chains:
    """A root that `import root.module` binds in a scope, and every chain that begins with it."""

    def __init__(self, draft: Draft, scope: Scope, root: str, found: Sequence[tuple[Plan, Item]], roots: Roots) -> None:
        self._draft = draft
        self._scope = scope
        self._root = root
        self._found = found
        self._items = [item for _, item in found]
        self._names = [item.alias.name for _, item in found]
        self._roots = roots
        #: New modules that chains need, by the name of the item they hang on.
        self._needs: dict[str, list[str]] = defaultdict(list)
        #: Names of items that chains keep.
        self._held: set[str] = set()
        #: Names that stay, in chains and in types.
        self._others: list[str] = []
        self._taken: set[int] = set()

    def work_out(self) -> None:
        """Complete the items, and rewrite the chains."""
        uses = uses_of(self._draft, self._root, self._scope, self._root)
        is_old = any(item.became for item in self._items) or any(use.became for use in uses)
        if not is_old or self._stays_bound(uses):
            return
        why = "" if self._is_pure() else f"{self._root!r} is bound in another way here as well"
        for use in uses:
            self._follow(use, why)
        self._follow_types()
        for item in self._items:
            self._complete(item, why)
        self._keep_root()

    def _stays_bound(self, uses: Sequence[Use]) -> bool:
        """Whether `import old` became `import new as old`, with which nothing else changes."""
        whole = self._items[0].became
        if whole is None or whole.new is None or any(name != self._root for name in self._names):
            return False
        if any(use.became and (use.became.module != self._root or is_missing(self._draft, use)) for use in uses):
            return False
        for item in self._items:
            item.become(Target(whole.new, "", "" if whole.new == self._root else self._root))
        return True

    def _is_pure(self) -> bool:
        is_here = all(plan.at.scope is self._scope for plan, _ in self._found)
        return is_here and self._scope.bound[self._root] == len(self._items)

    # ------------------------------------------------------------------- the chains

    def _follow(self, use: Use, why: str) -> None:
        became, anchor = use.became, _nearest(self._names, use.dotted)
        if became is None or (became.fate is Fate.UNKNOWN and self._is_submodule(became)):
            self._others.append(use.dotted)
        elif became.new is None or is_missing(self._draft, use) or (why := why or self._why_not(use, became, anchor)):
            self._held.add(anchor)
            self._others.append(use.dotted)
            tell(self._draft, use, why)
        else:
            start, end = span_of(self._draft, use) or (0, 0)
            self._taken.add(start)
            self._draft.edit(start, end, head_of(became).encode())
            self._draft.found(start, Rule.USE, use.dotted, new=became.new)
            self._need(anchor, new_module(became))

    def _is_submodule(self, became: Became) -> bool:
        """Whether an unknown name of an old module is a module below it that is imported."""
        return any(f"{name}.".startswith(f"{became.door}.") for name in self._names)

    def _need(self, anchor: str, module: str) -> None:
        if module not in self._needs[anchor]:
            self._needs[anchor].append(module)

    def _why_not(self, use: Use, became: Became, anchor: str) -> str:
        """Why a chain that moved is left to a person; empty if it is not."""
        new_root = head_of(became).partition(".")[0]
        span = span_of(self._draft, use)
        if not isinstance(use.links[use.old_links - 1].ctx, ast.Load) and became.former and became.former.name:
            return "it is assigned to here, which other users of the new name would not see"
        if not self._is_free(new_root, use.scope):
            return f"{new_root!r} is another thing here"
        if not self._is_sure(anchor):
            return f"{anchor!r} is imported in one branch only"
        if span is None or span[0] in self._taken:
            return "where it stands is not certain"
        return ""

    def _is_sure(self, anchor: str) -> bool:
        """Whether an import has run wherever the root is bound."""
        blocks = [plan.at.block for plan, item in self._found if item.alias.name == anchor]
        if any(block is getattr(self._scope.node, "body", None) for block in blocks):
            return True
        return all(any(plan.at.block is block for block in blocks) for plan, _ in self._found)

    def _is_free(self, new_root: str, inner: Scope) -> bool:
        """Whether `new_root`, imported in this scope, means the new package in `inner`, and no other use changes."""
        bindings, scope = self._draft.bindings, self._scope
        if new_root == self._root:
            return True
        if scope.bound[new_root] != self._roots[scope, new_root] or new_root in scope.elsewhere:
            return False
        outer = scope if scope.bound[new_root] else bindings.where(new_root, scope)
        if outer is not scope and not scope.is_module and _is_used_in(bindings, new_root, scope):
            return False
        return bindings.where(new_root, inner) is outer

    def _follow_types(self) -> None:
        """Types that are written as strings need their new modules imported as well."""
        for dotted in names_in_types(self._draft, self._root, self._scope):
            became, anchor = self._draft.lookup.old_name(dotted), _nearest(self._names, dotted)
            if became is not None and became.new is not None:
                self._need(anchor, new_module(became))
                continue
            self._others.append(dotted)
            if became is not None and not self._is_submodule(became):
                self._held.add(anchor)

    # ------------------------------------------------------------------- the items

    def _complete(self, item: Item, why: str) -> None:
        name, became = item.alias.name, item.became
        needs, is_held = self._needs[name], name in self._held
        if became is None or became.fate is Fate.BY_HAND:
            item.targets = [Target(module) for module in needs]
            return
        if became.new is not None and not is_held:
            new_root = became.new.partition(".")[0]
            why = why or ("" if self._is_free(new_root, self._scope) else f"{new_root!r} is another thing here")
            if not why:
                needs = [became.new, *(one for one in needs if not f"{became.new}.".startswith(f"{one}."))]
        item.targets = [Target(module) for module in needs]
        item.stays = bool(why or is_held or not needs)
        if item.stays:
            self._explain(item, became, why, is_held)

    def _explain(self, item: Item, became: Became, why: str, is_held: bool) -> None:
        modules = {target.module for target in item.targets} or new_modules(self._draft.lookup, became.module)
        rule = Rule.SCATTERED_MODULE if became.new is None or (is_held and not why) else Rule.IMPORT
        if why:
            item.leave(rule, f"{why}; import {became.new or ', '.join(sorted(modules))} under a name that is free")
        elif is_held:
            item.leave(rule, "uses of it below are left to a person; delete it once they are changed")
        else:
            item.leave(rule, scattered(modules))

    def _keep_root(self) -> None:
        """What else is used through the root must find it bound."""
        stay = [(plan, item.alias.name) for plan, item in self._found if item.stays]
        for plan, item in self._found if self._others else ():
            bound = [target.module for target in item.targets if target.local == self._root]
            before = [name for other, name in stay if _has_run(plan.at, other.at)]
            if item.stays or self._is_covered(item, [*bound, *before]):
                continue
            if above := self._above(item.alias.name):
                item.targets.insert(0, Target(above))
            else:
                item.stays = True
                item.leave(Rule.IMPORT, f"it stays imported, as nothing else binds {self._root!r}, which is used below")

    def _is_covered(self, item: Item, names: list[str]) -> bool:
        """Whether the other chains find what they need in these imports."""
        above = item.alias.name.rpartition(".")[0]
        needed = {_common(dotted, above) for dotted in self._others}
        return all(any(_common(name, one) == one for name in names) for one in needed)

    def _above(self, name: str) -> str:
        """The nearest package above a module that is no old one itself; empty if there is none."""
        above = name.rpartition(".")[0]
        while above and self._draft.lookup.old_name(above) is not None:
            above = above.rpartition(".")[0]
        return above


def _is_used_in(bindings: Bindings, name: str, scope: Scope) -> bool:
    """Whether a name that `scope` does not bind is used in it."""
    meant = bindings.where(name, scope)
    return any(_is_in(inner, scope) and bindings.where(name, inner) is meant for _, inner in bindings.names(name))


def _is_in(scope: Scope | None, outer: Scope) -> bool:
    while scope is not None and scope is not outer:
        scope = scope.parent
    return scope is outer


def _has_run(mine: ImportAt, other: ImportAt) -> bool:
    """Whether another import has run when what comes after mine does: only imports are between, if it is later."""
    if other.block is not mine.block:
        return False
    first, last = mine.block.index(mine.node), mine.block.index(other.node)
    return all(isinstance(one, (ast.Import, ast.ImportFrom)) for one in mine.block[first:last])


def _nearest(names: Sequence[str], dotted: str) -> str:
    """The imported name a chain most likely comes by: of those that share most with it, the shortest."""
    return max(names, key=lambda name: (len(_common(name, dotted)), -len(name)))


def _common(one: str, other: str) -> str:
    """The dotted name with which both begin."""
    parts = []
    for mine, its in zip(one.split("."), other.split("."), strict=False):
        if mine != its:
            break
        parts.append(mine)
    return ".".join(parts)
