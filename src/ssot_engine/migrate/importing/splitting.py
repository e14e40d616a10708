"""A from-import whose names went to several modules is written as several statements, comments and all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ssot_engine.migrate.importing.plans import Plan, Target
from ssot_engine.migrate.importing.statements import Where, head_of, own_indent, pragma_in, where, written
from ssot_engine.migrate.source import Source

_comment = re.compile(rb"#[^\r\n]*")
_broken = re.compile(rb"[\r\n#]")


class Group(NamedTuple):
    """Names that come from one module."""

    #: None: they are modules themselves, and imported plainly.
    module: str | None
    #: Index of the item, and what it becomes; None: it stays as it is.
    entries: list[tuple[int, Target | None]]


def groups_of(plan: Plan) -> list[Group]:
    """What comes from each module, in the order of first appearance.

    Where a local name is bound twice, in the order of the statement: the last one counts.
    """
    groups: list[Group] = []
    every = [local for item in plan.items for local in {target.local for target in plan.binds(item)}]
    is_clear = len(every) == len(set(every))
    for index, item in enumerate(plan.items):
        entries: list[tuple[str | None, Target | None]] = [(plan.module, None)] if item.stays else []
        entries += [(target.module if target.name else None, target) for target in item.targets]
        for module, target in entries:
            _group(groups if is_clear else groups[-1:], module, groups).entries.append((index, target))
    return groups


def _group(among: Iterable[Group], module: str | None, groups: list[Group]) -> Group:
    found = next((one for one in among if one.module == module), None)
    if found is None:
        found = Group(module, [])
        groups.append(found)
    return found


def split(source: Source, plan: Plan, groups: Sequence[Group]) -> bytes:
    """The statements that take the place of one, each with the comments of its names."""
    node = plan.at.node
    assert isinstance(node, ast.ImportFrom)
    writer = _Writer(source, node)
    parts: list[bytes] = []
    for module, entries in groups:
        if module is None:
            parts += [writer.plain(index, target, is_first=not parts) for index, target in entries if target]
        else:
            opening = writer.opening if module == plan.module else f"from {module} import".encode()
            parts.append(writer.names(opening, entries, is_first=not parts))
    return writer.joined(parts)


class _Notes:
    """The comments of a parenthesised import, by the name they are next to."""

    def __init__(self, source: Source, node: ast.ImportFrom, begin: int) -> None:
        #: Behind the parenthesis.
        self.head = b""
        self.before: list[list[bytes]] = [[] for _ in node.names]
        self.behind: list[list[bytes]] = [[] for _ in node.names]
        #: In lines of their own after the last name.
        self.after: list[list[bytes]] = [[] for _ in node.names]
        starts = [source.start(alias) for alias in node.names]
        for comment in _comment.finditer(source.utf8, begin, source.end(node)):
            index = sum(start <= comment.start() for start in starts) - 1
            end = begin if index < 0 else min(comment.start(), source.end(node.names[index]))
            is_same_line = not _broken.search(source.utf8[end : comment.start()])
            self._put(index, comment[0].rstrip(), is_same_line=is_same_line)

    def _put(self, index: int, text: bytes, *, is_same_line: bool) -> None:
        if is_same_line and index < 0:
            self.head = text
        elif is_same_line:
            self.behind[index].append(text)
        elif index + 1 < len(self.before):
            self.before[index + 1].append(text)
        else:
            self.after[index].append(text)

    def of(self, index: int) -> list[bytes]:
        """All comments of a name."""
        return [*self.before[index], *self.behind[index], *self.after[index]]


class _Writer:
    """Writes statements in the manner of the one they come from."""

    def __init__(self, source: Source, node: ast.ImportFrom) -> None:
        head = head_of(source, node)
        self._source = source
        self._node = node
        self._at: Where = where(source, node)
        self._notes = _Notes(source, node, head.end)
        self._spans_lines = re.search(rb"[\r\n]", source.text(node)) is not None
        step = b"\t" if b"\t" in self._at.indent else b"    "
        closing = own_indent(source, source.end(node) - 1) if self._spans_lines else None
        self._inner = own_indent(source, source.start(node.names[0])) or self._at.indent + step
        self._closing = self._at.indent if closing is None else closing
        #: The statement's own beginning.
        self.opening = source.utf8[source.start(node) : head.end]

    def plain(self, index: int, target: Target, *, is_first: bool) -> bytes:
        """A module that is no other's: there are no parentheses for comments, so they stand around it."""
        text = b"import " + written(target)
        if not self._at.is_alone:
            return text
        head = self._head(is_first=is_first)
        behind = b"  ".join([text, *self._notes.behind[index], *self._notes.after[index]])
        return (self._at.eol + self._at.indent).join([*([head] if head else []), *self._notes.before[index], behind])

    def names(self, opening: bytes, entries: Sequence[tuple[int, Target | None]], *, is_first: bool) -> bytes:
        """Names of one module, in several lines if the original was and there is a reason."""
        head = self._head(is_first=is_first)
        has_notes = bool(head) or any(self._notes.of(index) for index, _ in entries)
        if not has_notes and not (self._spans_lines and len(entries) > 1):
            return opening + b" " + b", ".join(self._name(*entry) for entry in entries)
        lines = [opening + b" (" + (b"  " + head if head else b"")]
        lines += [self._inner + line for entry in entries for line in self._lines(*entry)]
        return self._at.eol.join([*lines, self._closing + b")"])

    def joined(self, parts: Sequence[bytes]) -> bytes:
        """All of them in one place: each in a line of its own, unless they share theirs with something else."""
        if not self._at.is_alone:
            return b"; ".join(parts)
        pragma = pragma_in(self._at.comment)
        return ((b"  " + pragma if pragma else b"") + self._at.eol + self._at.indent).join(parts)

    def _head(self, *, is_first: bool) -> bytes:
        return self._notes.head if is_first else pragma_in(self._notes.head)

    def _lines(self, index: int, target: Target | None) -> list[bytes]:
        text = b"  ".join([self._name(index, target) + b",", *self._notes.behind[index]])
        return [*self._notes.before[index], text, *self._notes.after[index]]

    def _name(self, index: int, target: Target | None) -> bytes:
        if target is not None:
            return written(target)
        alias = self._node.names[index]
        text = self._source.text(alias)
        return written(Target("", alias.name, alias.asname or "")) if _broken.search(text) else text
