"""Variables that hold an instance of a new class because they are declared to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ssot_engine.migrate.bindings import Bindings, Scope, Typed
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.linting.taken import Bound, Meanings, Taken
from ssot_engine.migrate.linting.variables import Variable, field_of, variable_at, variable_named
from ssot_engine.migrate.literals import dotted_name
from ssot_engine.migrate.source import Source
from ssot_engine.migrate.static.annotations import class_in
from ssot_engine.migrate.static.answers import Definition

# Functions that are asked what a value is, or what it has.
_ASK = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "type", "callable"})
_TESTS = (ast.If, ast.While, ast.IfExp, ast.Assert, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.comprehension)

_ignored = re.compile(rb"#\s*(?:type|pyright|ty):\s*ignore").search


class Declared(NamedTuple):
    """A variable that is declared to hold an instance."""

    variable: Variable
    #: Its type.
    taken: Taken


def declared(draft: Draft, meanings: Meanings, bounds: Mapping[tuple[str, Scope], Bound]) -> Iterator[Declared]:
    """Parameters, variables and attributes whose only type besides None is a new class, by names that are bound so."""
    roots = {local for local, _ in bounds}
    for typed in draft.bindings.typed:
        named = class_in(typed.node.annotation)
        if named.partition(".")[0] not in roots:
            continue
        taken = _taken(draft.bindings, meanings, bounds, typed, named)
        variable = None if taken is None else _variable(draft.bindings, typed)
        if taken is not None and variable is not None and not is_doubted(draft, variable):
            yield Declared(variable, taken)


def _taken(
    bindings: Bindings, meanings: Meanings, bounds: Mapping[tuple[str, Scope], Bound], typed: Typed, named: str
) -> Taken | None:
    """The class that a type in the file names."""
    root, *rest = named.split(".")
    owner = bindings.where(root, typed.outer)
    bound = None if owner is None else bounds.get((root, owner))
    if bound is None or typed.node.annotation is None:
        return None
    dotted = ".".join([bound.dotted, *rest])
    new, reason = meanings.new(dotted)
    meant = meanings.definition(dotted, new) if new else None
    if meant is None or not is_told(meant):
        return None
    return Taken(typed.node.annotation, typed.outer, dotted, new, meant, reason)


def _variable(bindings: Bindings, typed: Typed) -> Variable | None:
    if isinstance(typed.node, ast.arg):
        return variable_named(bindings, typed.node.arg, typed.scope)
    if _is_of_subclass(typed.node.value):
        return None
    if isinstance(typed.node.target, ast.Name) and typed.scope.is_class:
        return field_of(bindings, typed.node.target.id, typed.scope)
    return variable_at(bindings, typed.node.target, typed.scope)


def _is_of_subclass(value: ast.expr | None) -> bool:
    """Whether what a declared variable is given may tell more of its class than its type does."""
    match value:
        case ast.Await():
            return _is_of_subclass(value.value)
        case ast.Call():
            name = dotted_name(value.func)
            return name is None or any(part.lstrip("_")[:1].isupper() for part in name.split("."))
        case None | ast.Name() | ast.Attribute() | ast.Subscript() | ast.Constant():
            return False
    return True


def is_told(meant: Definition) -> bool:
    """Whether a class tells what something has that is declared to be of it."""
    return meant.is_class and not meant.is_abstract


def is_doubted(draft: Draft, variable: Variable) -> bool:
    """Whether the file asks what a value is or has, or hides from checkers how it is used: it may be of a subclass."""
    return any(_asks(draft.bindings, load) or _is_hidden(draft.source, load) for load, _ in variable.loads)


def _is_hidden(source: Source, load: ast.expr) -> bool:
    end = source.end(load)
    return _ignored(source.utf8, end, source.line_end(end)) is not None


def _asks(bindings: Bindings, load: ast.expr) -> bool:
    parent = bindings.parent(load)
    if not isinstance(parent, ast.Call) or parent.func is load:
        return isinstance(parent, ast.Match)
    called = dotted_name(parent.func) or ""
    return called in _ASK or isinstance(bindings.parent(parent), _TESTS)
