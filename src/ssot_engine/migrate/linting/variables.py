"""Where a value is used that was given to a variable, or to an attribute of `self`."""

from __future__ import annotations

import ast
from typing import NamedTuple

from ssot_engine.migrate.bindings import Bindings, Scope


class Variable(NamedTuple):
    """What has one value, or none."""

    shown: str
    #: Where it is read, each with its scope.
    loads: tuple[tuple[ast.expr, Scope], ...]
    #: Whether nothing outside of a function can read it.
    is_local: bool


def variable_of(bindings: Bindings, value: ast.expr, scope: Scope) -> Variable | None:
    """The variable that a value in `scope` is given to; None if it is given to none, or that has other values too."""
    statement = bindings.parent(value)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return variable_at(bindings, statement.targets[0], scope)
    if isinstance(statement, ast.AnnAssign) and statement.value is value:
        return variable_at(bindings, statement.target, scope)
    return None


def variable_at(bindings: Bindings, target: ast.expr, scope: Scope) -> Variable | None:
    """The variable that a statement in `scope` has as its target; None if it is none, or has other values too."""
    if isinstance(target, ast.Name):
        return variable_named(bindings, target.id, scope)
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        first = target.value.id
        owner = _class_of(scope, first)
        if owner is not None and owner.bound[target.attr] == _blanks(owner, target.attr):
            return _attribute(bindings, owner, first, target.attr, stores=1)
    return None


def variable_named(bindings: Bindings, name: str, scope: Scope) -> Variable | None:
    """The variable of a function or module that is called so in `scope`; None if it is bound more than once."""
    owner = bindings.where(name, scope)
    if owner is None or owner.is_class or owner.bound[name] != 1 or name in bindings.declared:
        return None
    loads = tuple(one for one in bindings.meaning(name, owner) if isinstance(one[0].ctx, ast.Load))
    return Variable(name, loads, is_local=not owner.is_module)


def field_of(bindings: Bindings, name: str, scope: Scope) -> Variable | None:
    """What the body of a class binds, as methods read it of `self`; None if it is bound more than once."""
    return _attribute(bindings, scope, "self", name, stores=0) if scope.bound[name] == 1 else None


def _attribute(bindings: Bindings, owner: Scope, first: str, attribute: str, *, stores: int) -> Variable | None:
    """Of the first argument of a method, in all methods of the class; None if it is not bound so many times."""
    loads: list[tuple[ast.expr, Scope]] = []
    for use, inner in bindings.names(first):
        outer = bindings.parent(use)
        if not isinstance(outer, ast.Attribute) or outer.attr != attribute or _class_of(inner, first) is not owner:
            continue
        if isinstance(outer.ctx, ast.Load):
            loads.append((outer, inner))
        else:
            stores -= 1
    return Variable(f"{first}.{attribute}", tuple(loads), is_local=False) if stores == 0 else None


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


def _blanks(owner: Scope, name: str) -> int:
    """How many statements in the body of a class name an attribute of its instances without giving it a value."""
    assert isinstance(owner.node, ast.ClassDef)
    return sum(_is_blank(statement, name) for statement in owner.node.body)


def _is_blank(statement: ast.stmt, name: str) -> bool:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=bound)], value=value)
            | ast.AnnAssign(target=ast.Name(id=bound), value=value)
        ):
            return bound == name and (value is None or (isinstance(value, ast.Constant) and value.value is None))
    return False
