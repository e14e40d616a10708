"""What the bodies of functions do to names and attributes outside of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# A module without any of these words needs no search.
_WORDS = (b"global", b":=", b"vars()", b"locals()", b"exec(", b"sys.modules", b"_convert_")
# What gives a module's names at its top level, and a function's in there.
_LOCAL = frozenset({"vars", "locals"})
_READS = frozenset({"get", "items", "keys", "values", "copy"})


class BodyFacts(NamedTuple):
    """What is kept of a function's body."""

    yields: bool
    #: Attributes it sets on its first argument; None among them if the source does not name one.
    stores: frozenset[str | None]
    #: The same for all other names, such as the object that `__new__` makes.
    stores_elsewhere: frozenset[str | None]


class ModuleChanges(NamedTuple):
    """What may happen to a module's names beside its top level."""

    #: Bound by some function, or within an expression.
    names: frozenset[str]
    #: Whether it binds names that its source does not spell.
    is_open: bool


def body_facts(node: ast.FunctionDef | ast.AsyncFunctionDef) -> BodyFacts:
    """Search a function's body."""
    first = next((one.arg for one in (*node.args.posonlyargs, *node.args.args)), None)
    yields = False
    stores: set[tuple[str, str | None]] = set()
    for inner in _own_nodes(node.body):
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            yields = True
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            if isinstance(inner.ctx, ast.Store):
                stores.add((inner.value.id, inner.attr))
            elif inner.attr == "__dict__":
                stores.add((inner.value.id, None))
        elif isinstance(inner, ast.Call) and inner.args and isinstance(inner.args[0], ast.Name):
            stores.update((inner.args[0].id, name) for name in _stored(inner))
    return BodyFacts(
        yields,
        frozenset(name for on, name in stores if on == first),
        frozenset(name for on, name in stores if on != first),
    )


def _stored(call: ast.Call) -> list[str | None]:
    """What a call sets on its first argument: `setattr` under whatever name, or `vars`."""
    if len(call.args) == 3 and isinstance(call.args[1], ast.Constant):
        return [name] if isinstance(name := call.args[1].value, str) else []
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return [None] if called == "vars" or "setattr" in called else []


def _own_nodes(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Every node of a function's body, but for the `yield` of functions inside of it."""
    for node, is_nested in _nodes(body):
        if not (is_nested and isinstance(node, (ast.Yield, ast.YieldFrom))):
            yield node


def _nodes(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it is in a function."""
    ahead: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while ahead:
        node, is_inside = ahead.pop()
        yield node, is_inside
        is_inside = is_inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        ahead += [(child, is_inside) for child in _children(node)]


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.iter_child_nodes`, at half its cost, without the marks for load and store."""
    for field in node._fields:
        value = getattr(node, field, None)
        if type(value) is list:
            yield from (child for child in value if isinstance(child, ast.AST))
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            yield value


# ------------------------------------------------------------------ modules


def module_changes(tree: ast.Module, text: bytes) -> ModuleChanges:
    """Search a module of this text."""
    if not any(word in text for word in _WORDS):
        return ModuleChanges(frozenset(), is_open=False)
    search = _Search()
    for node, is_inside in _nodes(tree.body):
        search.look(node, is_inside=is_inside)
    return ModuleChanges(frozenset(search.names), search.is_open or bool(search.namespaces - search.read))


class _Search:
    def __init__(self) -> None:
        self.names: set[str] = set()
        #: Calls that give a namespace, and expressions that are only read.
        self.namespaces: set[ast.AST] = set()
        self.read: set[ast.AST] = set()
        self.is_open = False

    def look(self, node: ast.AST, *, is_inside: bool) -> None:
        if isinstance(node, ast.Global):
            self.names.update(node.names)
        elif isinstance(node, ast.NamedExpr):
            self.names.add(node.target.id)
        elif isinstance(node, ast.Call):
            self._call(node, is_inside=is_inside)
        elif isinstance(node, ast.Subscript):
            self._subscript(node)
        elif isinstance(node, ast.Compare):
            self.read.update(node.comparators)
        elif isinstance(node, ast.Attribute) and node.attr in _READS:
            self.read.add(node.value)
        elif isinstance(node, ast.comprehension):
            self.read.add(node.iter)

    def _call(self, node: ast.Call, *, is_inside: bool) -> None:
        called = node.func
        if isinstance(called, ast.Attribute):
            # An enum's members become names of the module.
            self.is_open |= called.attr == "_convert_"
        elif isinstance(called, ast.Name):
            if called.id == "globals" or (called.id in _LOCAL and not is_inside and not node.args):
                self.namespaces.add(node)
            elif called.id == "setattr" and node.args:
                self.is_open |= "sys.modules" in ast.unparse(node.args[0])
            else:
                self.is_open |= called.id == "exec" and not is_inside

    def _subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read.add(node.value)
        elif ast.unparse(node.value).endswith("sys.modules"):
            self.is_open |= ast.unparse(node.slice) == "__name__"
