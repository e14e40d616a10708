"""The inside of string literals: where their text stands in the file, and types that are written as strings."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from ssot_engine.migrate.source import Source

_PREFIXES = (b"", b"r", b"R", b"u", b"U")
_QUOTES = (b'"""', b"'''", b'"', b"'")

#: What a type is written with.
_OF_TYPES = (
    ast.Attribute, ast.BinOp, ast.BitOr, ast.Call, ast.Constant, ast.List, ast.Load, ast.Name,
    ast.Starred, ast.Subscript, ast.Tuple, ast.UnaryOp, ast.USub, ast.keyword,
)  # fmt: skip


def string_of(node: ast.Constant) -> str:
    """The value of a constant that is a string."""
    assert isinstance(node.value, str)
    return node.value


def text_start(source: Source, node: ast.Constant) -> int | None:
    """Where the text of a string begins; None if its literal does not hold it as it is.

    That is so of several literals that are joined, of escapes, and inside of an f-string, where Python 3.11 may tell a
    wrong place.
    """
    try:
        start, written = source.start(node), source.text(node)
    except IndexError:
        return None
    text = string_of(node).encode(errors="replace")
    for quote in _QUOTES:
        before, _, _ = written.partition(quote)
        if before in _PREFIXES and written == b"".join((before, quote, text, quote)):
            return start + len(before) + len(quote)
    return None


class Chain(NamedTuple):
    """A dotted name in a type that is written as a string."""

    dotted: str
    #: Where it stands in the UTF-8 of the text; None if it is not written there as it is.
    offset: int | None


def chains_in(text: str) -> list[Chain]:
    """The dotted names of a type, in their order; none if the text is no type."""
    tree = expression_in(text)
    if tree is None or not all(isinstance(node, _OF_TYPES) for node in ast.walk(tree)):
        return []
    begin = len(text[: len(text) - len(text.lstrip())].encode())
    return sorted(_chains(tree, text.encode(), begin), key=lambda one: one.offset or 0)


def expression_in(text: str) -> ast.expr | None:
    """What a text says as an expression, spaces around it left out; None if it is none."""
    try:
        with warnings.catch_warnings():
            # About invalid escapes in its strings.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _chains(tree: ast.expr, text: bytes, begin: int) -> Iterator[Chain]:
    ahead: list[ast.AST] = [tree]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Attribute) and (dotted := dotted_name(node)) is not None:
            yield Chain(dotted, _offset(text, dotted, node, begin))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Behind one quote, or it is not there.
            own = _offset(text, node.value, node, begin + 1)
            yield from (Chain(one.dotted, own if one.dotted == node.value else None) for one in chains_in(node.value))
        else:
            ahead += ast.iter_child_nodes(node)


def _offset(text: bytes, dotted: str, node: ast.expr, begin: int) -> int | None:
    start = begin + node.col_offset
    is_there = node.lineno == 1 and text.startswith(dotted.encode(errors="replace"), start)
    return start if is_there else None


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` of such an expression; None of any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
