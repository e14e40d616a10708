"""Where a value is used that was given to a variable, or to an attribute of `self`."""

from __future__ import annotations

import ast
from typing import NamedTuple

from ssot_engine.migrate.bindings import Bindings, Scope


class Variable(NamedTuple):
    """What an assignment gives a value to, which has no other value."""

    shown: str
    #: Where it is read, each with its scope.
    loads: tuple[tuple[ast.expr, Scope], ...]
    #: Whether nothing outside of a function can read it.
    is_local: bool


def variable_of(bindings: Bindings, value: ast.expr, scope: Scope) -> Variable | None:
    """The variable that a value in `scope` is given to; None if it is given to none, or that has other values too."""
    statement = bindings.parent(value)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    if isinstance(target, ast.Name):
        return _name(bindings, target, scope)
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return _attribute(bindings, target, target.value.id, scope)
    return None


def _name(bindings: Bindings, target: ast.Name, scope: Scope) -> Variable | None:
    owner = bindings.where(target.id, scope)
    if owner is None or owner.is_class or owner.bound[target.id] != 1:
        return None
    loads = tuple(one for one in bindings.meaning(target.id, owner) if isinstance(one[0].ctx, ast.Load))
    return Variable(target.id, loads, is_local=not owner.is_module)


def _attribute(bindings: Bindings, target: ast.Attribute, name: str, scope: Scope) -> Variable | None:
    """Of the first argument of a method, in all methods of the class."""
    owner = _class_of(scope, name)
    if owner is None:
        return None
    loads: list[tuple[ast.expr, Scope]] = []
    for use, inner in bindings.names(name):
        outer = bindings.parent(use)
        if not isinstance(outer, ast.Attribute) or outer.attr != target.attr or _class_of(inner, name) is not owner:
            continue
        if isinstance(outer.ctx, ast.Load):
            loads.append((outer, inner))
        elif outer is not target:
            return None
    return Variable(f"{name}.{target.attr}", tuple(loads), is_local=False)


def _class_of(scope: Scope, name: str) -> Scope | None:
    """The class whose method's first argument is called so, as seen in a scope."""
    inner: Scope | None = scope
    while inner is not None and not inner.bound[name]:
        inner = inner.parent
    if inner is None or not isinstance(inner.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    arguments = [*inner.node.args.posonlyargs, *inner.node.args.args]
    is_first = bool(arguments) and arguments[0].arg == name and inner.bound[name] == 1
    return inner.parent if is_first and inner.parent is not None and inner.parent.is_class else None
