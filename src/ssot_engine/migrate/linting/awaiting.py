"""What certainly goes wrong with a coroutine: it is used as if it were its result, or nobody awaits it."""

from __future__ import annotations

import ast

from ssot_engine.migrate.bindings import Bindings, Scope
from ssot_engine.migrate.linting.variables import variable_of

# A coroutine's own; all but `close` are for who drives it.
_OF_COROUTINES = frozenset({
    "close", "send", "throw", "__await__", "cr_await", "cr_code", "cr_frame", "cr_origin", "cr_running", "cr_suspended",
})  # fmt: skip

_NOBODY = "which nobody awaits"


def misuse(bindings: Bindings, call: ast.Call, scope: Scope) -> str:
    """What is done to the coroutine that a call in `scope` gives; "" if it is awaited or handed on.

    Who takes it as an argument, returns it or keeps it may await it.
    """
    if done := _done_to(bindings.parent(call), call):
        return done
    variable = variable_of(bindings, call, scope)
    if variable is None:
        return ""
    if not variable.loads:
        return _NOBODY if variable.is_local else ""
    all_done = [_done_to(bindings.parent(load), load) for load, _ in variable.loads]
    return f"{all_done[0]} as {variable.shown!r}" if all(all_done) else ""


def _done_to(parent: ast.AST | None, node: ast.expr) -> str:
    """What the expression or statement around a coroutine does to it."""
    match parent:
        case ast.Expr():
            return _NOBODY
        case ast.Attribute() if parent.attr not in _OF_COROUTINES:
            return f"whose attribute {parent.attr!r} is asked for"
        case ast.Subscript() if parent.value is node:
            return "which is indexed"
        case ast.Call() if parent.func is node:
            return "which is called"
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert() if parent.test is node:
            return "which is tested"
        case ast.UnaryOp(op=ast.Not()):
            return "which is tested"
        case ast.BoolOp() if node in parent.values[:-1]:
            return "which is tested"
        case ast.Compare():
            return "which is compared"
        case ast.BinOp() | ast.UnaryOp():
            return "which is reckoned with"
        case ast.For() | ast.AsyncFor() | ast.comprehension() if parent.iter is node:
            return "which is iterated over"
        case ast.withitem():
            return "which is entered"
        case ast.FormattedValue():
            return "which is put into a text"
    return ""
