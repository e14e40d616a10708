"""The edits that make an import statement what its plan says."""

from __future__ import annotations

import ast
import re

from ssot_engine.migrate.importing.plans import Item, Plan
from ssot_engine.migrate.importing.splitting import groups_of, split
from ssot_engine.migrate.importing.statements import head_of, where, written
from ssot_engine.migrate.source import Edit, Source, edited

_word = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_gap = rb"(?:[ \t\f]|\\\r?\n|\\\r)*"
_module_name = re.compile(_word.pattern + rb"(?:" + _gap + rb"\." + _gap + _word.pattern + rb")*")
_broken = re.compile(rb"[\r\n#]")


def edits_of(source: Source, plan: Plan) -> list[Edit]:
    """What is to be changed of a statement; nothing if its plan changes nothing."""
    node = plan.at.node
    if not plan.changes:
        return []
    if not any(item.stays or item.targets for item in plan.items):
        return [_without_line(source, node)]
    if isinstance(node, ast.Import):
        return _modules(source, plan)
    groups = groups_of(plan)
    module = groups[0].module if len(groups) == 1 else None
    if module is not None and all(len(item.targets) + item.stays == 1 for item in plan.items):
        return _in_place(source, node, plan, module)
    return [Edit(source.start(node), source.end(node), split(source, plan, groups))]


def merged_edit(source: Source, node: ast.Try, plan: Plan) -> Edit:
    """One of its statements in the place of a whole try."""
    kept = plan.at.node
    text = _text(source, source.start(kept), source.end(kept), edits_of(source, plan))
    deep, shallow = where(source, kept).indent, where(source, node).indent
    first, *rest = text.splitlines(keepends=True)
    text = b"".join([first, *(shallow + line.removeprefix(deep) for line in rest)])
    return Edit(source.start(node), source.end(node), text)


def _text(source: Source, start: int, end: int, edits: list[Edit]) -> bytes:
    return edited(source.utf8[start:end], [Edit(one.start - start, one.end - start, one.new) for one in edits])


def _without_line(source: Source, node: ast.stmt) -> Edit:
    start, end = source.line_start(source.start(node)), source.line_end(source.end(node))
    eol = source.eol_at(end) if end < len(source.utf8) else b""
    return Edit(start, end + len(eol), b"")


# ------------------------------------------------------------------ import a, b as c


def _modules(source: Source, plan: Plan) -> list[Edit]:
    kept = [item for item in plan.items if item.stays or item.targets]
    between = _between(source, plan)
    edits = [_module(source, item, between) for item in kept if item.targets]
    if len(kept) == len(plan.items):
        return edits
    texts = []
    for item in kept:
        start, end = source.start(item.alias), source.end(item.alias)
        texts.append(_text(source, start, end, [edit for edit in edits if start <= edit.start < end]))
    return [Edit(source.start(plan.items[0].alias), source.end(plan.items[-1].alias), b", ".join(texts))]


def _between(source: Source, plan: Plan) -> bytes:
    """What stands between modules that take the place of one: a statement of one module stays such a one."""
    at = where(source, plan.at.node)
    is_own_line = len(plan.items) == 1 and at.is_alone and not at.comment
    return at.eol + at.indent + b"import " if is_own_line else b", "


def _module(source: Source, item: Item, between: bytes) -> Edit:
    start, end = source.start(item.alias), source.end(item.alias)
    if not item.stays and len(item.targets) == 1 and item.alias.asname == (item.targets[0].asname or None):
        found = _module_name.match(source.utf8, start, end)
        assert found is not None
        return Edit(start, found.end(), item.targets[0].module.encode())
    texts = [source.text(item.alias)] if item.stays else []
    return Edit(start, end, between.join([*texts, *(written(target) for target in item.targets)]))


# ------------------------------------------------------------------ from a import b


def _in_place(source: Source, node: ast.ImportFrom, plan: Plan, module: str) -> list[Edit]:
    """All names come from one module: its name is replaced, and theirs."""
    head = head_of(source, node)
    edits = [_name(source, item) for item in plan.items if item.targets]
    if module != plan.module:
        before = b"" if source.utf8[head.module_start - 1 : head.module_start].isspace() else b" "
        after = b" " if _word.match(source.utf8, head.module_end) else b""
        edits.append(Edit(head.module_start, head.module_end, before + module.encode() + after))
    return [edit for edit in edits if source.utf8[edit.start : edit.end] != edit.new]


def _name(source: Source, item: Item) -> Edit:
    start, end, target = source.start(item.alias), source.end(item.alias), item.targets[0]
    stays_as = item.alias.asname and (target.asname or _broken.search(source.utf8[start:end]))
    if not stays_as:
        return Edit(start, end, written(target))
    found = _word.match(source.utf8, start)
    assert found is not None
    return Edit(start, found.end(), target.name.encode())
