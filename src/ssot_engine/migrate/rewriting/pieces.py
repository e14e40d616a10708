"""Whether a file still parses once it is edited, found by parsing no more of it than was touched."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Sequence

from ssot_engine.migrate.source import Edit, NotReadable, Source, edited, parsed


def check_parses(source: Source, edits: Sequence[Edit]) -> None:
    """Parse what sorted edits make of a file: the statements they touch, and all of it only if that tells nothing.

    Raises:
        NotReadable: it would be no Python.
        ValueError: two edits overlap.
    """
    text = edited(source.utf8, edits)
    if _pieces_parse(source, edits):
        return
    try:
        parsed(text.decode("utf-8-sig"))
    except NotReadable as error:
        reason = f"would not parse once it is rewritten ({error.reason}); please report this"
        raise NotReadable(reason, error.line) from error


def _pieces_parse(source: Source, edits: Sequence[Edit]) -> bool:
    """Whether all lines of each touched statement of the module parse by themselves; if so the module does.

    It may be False for a module that parses, where statements share a line.
    """
    lines = _lines(source)
    starts = [start for start, _ in lines]
    touched: dict[int, list[Edit]] = {}
    for edit in edits:
        index = bisect_right(starts, edit.start) - 1
        if index < 0 or edit.end > lines[index][1]:
            return False
        touched.setdefault(index, []).append(edit)
    return all(_parses(source, *lines[index], own) for index, own in touched.items())


def _parses(source: Source, start: int, last: int, edits: Sequence[Edit]) -> bool:
    moved = [Edit(edit.start - start, edit.end - start, edit.new) for edit in edits]
    piece = edited(source.utf8[start : source.line_end(last)], moved)
    try:
        parsed(piece.decode())
    except NotReadable:
        return False
    return True


def _lines(source: Source) -> list[tuple[int, int]]:
    """Of each statement of a module where its first line begins, and where it ends."""
    return [
        (source.start(first) - first.col_offset, source.end(node))
        for node, first in ((node, _first(node)) for node in source.tree.body)
    ]


def _first(node: ast.stmt) -> ast.stmt | ast.expr:
    """What a statement begins with."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.decorator_list:
        return node.decorator_list[0]
    return node
