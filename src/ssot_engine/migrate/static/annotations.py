"""What annotations say of values."""

from __future__ import annotations

import ast

from ssot_engine.migrate.literals import dotted_name, expression_in


def unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation without its quotes; None if what stands in them is no expression."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return expression_in(annotation.value)
    return annotation


def class_in(annotation: ast.expr | None) -> str:
    """The dotted name of the only class a value may be of, besides None; "" if there are more, or it tells in parts."""
    match unquoted(annotation):
        case ast.Name() | ast.Attribute() as plain:
            return dotted_name(plain) or ""
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _besides_none([left, right])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inside):
            if name == "Optional":
                return class_in(inside)
            if name == "Union" and isinstance(inside, ast.Tuple):
                return _besides_none(inside.elts)
    return ""


def _besides_none(parts: list[ast.expr]) -> str:
    others = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
    return class_in(others[0]) if len(others) == 1 else ""
