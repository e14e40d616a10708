"""Imports that would come out twice: in the branches of a try, or next to each other."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.importing.plans import Item, Plan, Target
from ssot_engine.migrate.importing.statements import can_vanish, has_comment

_MISSING = frozenset({"ImportError", "ModuleNotFoundError"})

Plans = Mapping[ast.stmt, Plan]


def settle_branches(draft: Draft, plans: Plans) -> list[tuple[ast.Try, Plan]]:
    """Leave or merge branches of a try that would import the same; which try becomes which statement."""
    merged = []
    for node in sorted(draft.bindings.tries, key=lambda one: one.lineno):
        if isinstance(node, ast.Try):
            first = [plans[one] for one in node.body if one in plans]
            rest = [plans[one] for one in _imports(node.handlers) if one in plans]
            if first and rest and any(plan.changes for plan in (*first, *rest)):
                if _is_one(draft, node, first, rest):
                    first[0].collapsed = rest[0].collapsed = True
                    merged.append((node, first[0]))
                else:
                    _leave(first, rest)
    return merged


def _imports(handlers: Sequence[ast.ExceptHandler]) -> Iterator[ast.stmt]:
    """The imports of handlers, and of the branches in them."""
    ahead: list[ast.AST] = list(handlers)
    while ahead:
        node = ahead.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, (ast.ExceptHandler, ast.Try, ast.If)):
            ahead += ast.iter_child_nodes(node)


def _is_one(draft: Draft, node: ast.Try, first: list[Plan], rest: list[Plan]) -> bool:
    """Whether the try is nothing but two ways to the same import."""
    source = draft.source
    if len(node.body) != 1 or len(node.handlers) != 1 or node.orelse or node.finalbody:
        return False
    handler = node.handlers[0]
    region = source.utf8[source.start(node) : source.line_end(source.end(node))]
    is_plain = len(handler.body) == 1 and handler.body[0] is rest[0].at.node and not handler.name and b"#" not in region
    if not is_plain or not _is_for_missing(handler.type):
        return False
    mine, other = first[0], rest[0]
    is_clear = not any(item.todo for item in (*mine.items, *other.items))
    return is_clear and _covers(mine, other) and _covers(other, mine)


def _covers(mine: Plan, other: Plan) -> bool:
    """Whether each thing the one binds, the other binds as well."""
    there = set(_bound(other))
    return all(any(target in there for target in mine.binds(item)) for item in mine.items)


def _bound(plan: Plan) -> Iterator[Target]:
    return (target for item in plan.items for target in plan.binds(item))


def _is_for_missing(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return all(isinstance(one, ast.Name) and one.id in _MISSING for one in kinds)


def _leave(first: Iterable[Plan], rest: Iterable[Plan]) -> None:
    """Of two branches that would import the same, one stays as it is: the second, unless that is the new one."""
    mine = {target for plan in first for target in _bound(plan)}
    for plan in rest:
        if _becomes_any(plan, mine):
            plan.is_left = True
    present = {own for plan in rest for item in plan.items if not item.changes for own in item.own}
    for plan in first:
        if _becomes_any(plan, present):
            plan.is_left = True


def _becomes_any(plan: Plan, there: set[Target]) -> bool:
    changed = [item for item in plan.items if item.changes]
    if not plan.changes or any(item.is_plain for item in changed):
        return False
    return any(target in there for item in changed for target in item.targets)


# ------------------------------------------------------------------ next to each other


def drop_doubles(draft: Draft, plans: Plans) -> None:
    """Bind nothing a second time that an import next to it binds already."""
    seen: set[int] = set()
    for plan in list(plans.values()):
        if plan.changes and id(plan.at.block) not in seen:
            seen.add(id(plan.at.block))
            for run in _runs(plan.at.block, plans):
                _drop(draft, run)


def _runs(block: Sequence[ast.stmt], plans: Plans) -> Iterator[list[Plan]]:
    """Imports with nothing but strings between them."""
    run: list[Plan] = []
    for statement in block:
        plan = plans.get(statement)
        if plan is not None:
            run.append(plan)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield run
            run = []
    yield run


def _drop(draft: Draft, run: list[Plan]) -> None:
    if not any(plan.changes for plan in run) or any(target.name == "*" for plan in run for target in _bound(plan)):
        return
    there = {own for plan in run for item in plan.items if item.stays or plan.is_left for own in item.own}
    ways = Counter(target.local for target in {_way(target) for plan in run for target in _bound(plan)})
    for plan in run:
        if plan.changes and not plan.collapsed:
            _drop_from(draft, plan, there, ways)
        there.update(_bound(plan))


def _way(target: Target) -> Target:
    """Plain imports below one root do not contradict each other."""
    return Target(target.local) if target.is_plain else target


def _drop_from(draft: Draft, plan: Plan, there: set[Target], ways: Counter[str]) -> None:
    kept: dict[Item, list[Target]] = {}
    mine = set(there)
    for item in plan.items:
        kept[item] = [target for target in item.targets if target not in mine or ways[target.local] > 1]
        mine.update(item.targets)
    if all(kept[item] == item.targets for item in plan.items):
        return
    is_gone = not any(item.stays or kept[item] for item in plan.items)
    if can_vanish(draft.source, plan.at.node) if is_gone else not has_comment(draft.source, plan.at.node):
        for item in plan.items:
            item.targets = kept[item]
