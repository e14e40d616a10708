"""Conditions that tell of the interpreter, and not of what a program does: which branch of them is taken."""

from __future__ import annotations

import ast
import operator
import os
import sys
from collections.abc import Callable

_CHECKED = frozenset({"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"})

_KNOWN: dict[str, object] = {
    "sys.version_info": tuple(sys.version_info),
    "sys.version_info[0]": sys.version_info[0],
    "sys.version_info[:2]": tuple(sys.version_info[:2]),
    "sys.version_info.major": sys.version_info[0],
    "sys.platform": sys.platform,
    "os.name": os.name,
    "__name__": "",
}

_COMPARISONS: dict[type[ast.cmpop], Callable[..., object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def decided(test: ast.expr, *, is_checked: bool = False) -> bool | None:
    """What a condition is; None if that is only known when it runs. `is_checked` if a type checker reads it."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decided(test.operand, is_checked=is_checked)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        return _combined(test, [decided(part, is_checked=is_checked) for part in test.values])
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(ast.unparse(test.left), test.ops[0], test.comparators[0])
    if isinstance(test, (ast.Name, ast.Attribute)):
        text = ast.unparse(test)
        return is_checked if text in _CHECKED else __debug__ if text == "__debug__" else None
    return None


def _combined(test: ast.BoolOp, parts: list[bool | None]) -> bool | None:
    decides = isinstance(test.op, ast.Or)
    if decides in parts:
        return decides
    return None if None in parts else not decides


def _compared(left: str, relation: ast.cmpop, right: ast.expr) -> bool | None:
    compare = _COMPARISONS.get(type(relation))
    if compare is None or left not in _KNOWN:
        return None
    try:
        return bool(compare(_KNOWN[left], ast.literal_eval(right)))
    except (ValueError, TypeError):
        # Compared with what is no literal, or with one of another type.
        return None
