"""Imports of old modules and names, and uses through them, become those of the new ones."""

from __future__ import annotations

import ast
import functools
from collections import Counter, defaultdict
from collections.abc import Sequence

from ssot_engine.migrate.bindings import Scope
from ssot_engine.migrate.draft import Draft, KeptAlias
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.importing.aliases import follow_alias
from ssot_engine.migrate.importing.branches import drop_doubles, settle_branches
from ssot_engine.migrate.importing.chains import Chains, Roots
from ssot_engine.migrate.importing.import_edits import edits_of, merged_edit
from ssot_engine.migrate.importing.plans import Item, Plan, plan_of
from ssot_engine.migrate.importing.statements import has_comment, where
from ssot_engine.migrate.importing.uses import is_missing, tell, uses_of
from ssot_engine.migrate.lookup import Fate
from ssot_engine.migrate.static.answers import Answer
from ssot_engine.migrate.static.exports import Exports


def rewrite_imports(draft: Draft, exports: Exports | None = None) -> None:
    """Work out every import statement of a file that names old modules, and the uses through it.

    With `exports`, names their new modules do not bind stay on the old path; the lint tells of them.
    """
    if exports is not None:
        draft.is_missing = functools.partial(_is_missing, exports)
    plans: dict[ast.stmt, Plan] = {at.node: plan_of(draft, at) for at in draft.bindings.imports}
    _follow_uses(draft, list(plans.values()))
    for plan in plans.values():
        _keep_comments(draft, plan)
    merged = settle_branches(draft, plans)
    for plan in plans.values():
        for item in plan.items:
            _tell(draft, plan, item)
    drop_doubles(draft, plans)
    for plan in plans.values():
        if not plan.collapsed:
            draft.edits += edits_of(draft.source, plan)
    for node, plan in merged:
        draft.edits.append(merged_edit(draft.source, node, plan))


def _follow_uses(draft: Draft, plans: Sequence[Plan]) -> None:
    """Complete the plans by what the file does with the modules it imports."""
    plain: dict[tuple[Scope, str], list[tuple[Plan, Item]]] = defaultdict(list)
    scattered: dict[tuple[Scope, str, str], list[Item]] = defaultdict(list)
    for plan in plans:
        for item in plan.items:
            scope = draft.bindings.where(item.local, plan.at.scope) or plan.at.scope
            if item.is_plain:
                plain[scope, item.local].append((plan, item))
            elif item.became is None:
                _tell_of_packages(draft, scope, item)
            elif item.became.fate is Fate.SCATTERED and item.alias.name != "*":
                scattered[scope, item.local, item.became.module].append(item)
            elif item.changes:
                _check_module(draft, scope, item)
    for (scope, local, module), items in scattered.items():
        follow_alias(draft, scope, local, module, items)
    roots = _roots(plans)
    for (scope, root), found in plain.items():
        if root in draft.lookup.roots:
            Chains(draft, scope, root, found, roots).work_out()


def _is_missing(exports: Exports, new: str) -> bool:
    module = new.rpartition(".")[0]
    return exports.resolves(module) is Answer.FOUND and exports.resolves(new) is Answer.MISSING


def _check_module(draft: Draft, scope: Scope, item: Item) -> None:
    """A module that moved whole stays where a name is taken from it which the new one does not bind."""
    if item.became is not None and not item.became.name:
        new = item.targets[0].dotted
        if any(is_missing(draft, use) for use in uses_of(draft, item.local, scope, item.old)):
            item.leave(
                Rule.SCATTERED_MODULE,
                f"names that are used of it are not in {new}; change those uses, then import {new}",
            )
            item.targets, item.stays = [], True


def _roots(plans: Sequence[Plan]) -> Roots:
    found: Roots = Counter()
    for plan in plans:
        for item in plan.items:
            every = list(plan.binds(item))
            if all(one.is_plain for one in every):
                found.update({(plan.at.scope, one.local) for one in every})
    return found


def _tell_of_packages(draft: Draft, scope: Scope, item: Item) -> None:
    """Old names that are used through a package above them, or through a module that the host keeps."""
    for own in item.own:
        if own.dotted in draft.lookup.parents or own.dotted in draft.lookup.modules:
            for use in uses_of(draft, own.local, scope, own.dotted):
                if use.became is not None:
                    tell(draft, use)


def _keep_comments(draft: Draft, plan: Plan) -> None:
    """A plain import has no parentheses to hold comments that stand in the middle of a line."""
    for item in plan.items:
        becomes_plain = plan.module and any(not target.name for target in item.targets)
        if becomes_plain and has_comment(draft.source, plan.at.node) and not where(draft.source, plan.at.node).is_alone:
            item.leave(Rule.IMPORT, f"write `import {item.targets[0].module}`, and find a place for the comment")
            item.targets, item.stays = [], True


def _tell(draft: Draft, plan: Plan, item: Item) -> None:
    if item.became is None:
        return
    new = item.became.new
    if plan.is_left and item.changes and not item.todo:
        todo = "both branches would import the same; keep only the one that imports the new name"
        draft.found(item.alias, Rule.DUPLICATE_BRANCH, item.old, new=new, todo=todo)
        return
    if not item.todo:
        new = new or ", ".join(target.dotted for target in item.targets) or None
    draft.found(item.alias, item.rule, item.old, new=new, todo=item.todo)
    _note_alias(draft, plan, item)


def _note_alias(draft: Draft, plan: Plan, item: Item) -> None:
    """Remember a local name that is no longer the name of what it is."""
    if not plan.changes or not plan.module or item.alias.asname or item.became is None or not item.became.name:
        return
    for target in item.targets:
        if target.name and target.name != item.alias.name:
            draft.kept.append(KeptAlias(item.alias.name, target.name, plan.at, item.alias))
