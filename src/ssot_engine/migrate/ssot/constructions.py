"""Where a file makes engines, factories, bridges and emitters, by what its names mean."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssot_engine.migrate.bindings import Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.ssot.roles import Role, Roles

# Methods of a class that return an instance, and of those the ones that say of what.
_makes = re.compile(r"(?:create|make|build|new|from|for|get|default|instance|shared)(?:_\w+)?").fullmatch
_of_what = re.compile(r"\w*_(engine|factory|bridge|emitter)(?:_async)?").fullmatch

# Types around another one whose values hold such an object, unlike those of `type[X]` or `Callable[..., X]`.
_HOLDING = frozenset({
    "Annotated", "ClassVar", "DefaultDict", "Deque", "Dict", "Final", "List", "Mapping", "MutableMapping", "Optional",
    "OrderedDict", "Set", "Tuple", "Union", "WeakSet", "WeakValueDictionary", "defaultdict", "deque", "dict", "list",
    "set", "tuple",
})  # fmt: skip


class Constructed(NamedTuple):
    """A call that returns such an object."""

    role: Role
    #: The class or function that is called.
    dotted: str
    #: Where the call stands.
    scope: Scope
    #: Whether it is the class itself that is called, or a subclass.
    is_class: bool


class Constructions:
    """What the names of a file mean, as far as it concerns roles. `own` is its module, `defined` what that defines."""

    def __init__(self, draft: Draft, roles: Roles, own: str, defined: Iterable[str]) -> None:
        self._roles = roles
        self._bindings = draft.bindings
        self._place = draft.place
        # A module without a name is called as what it defines.
        names = (*draft.place.names, own) if own else tuple(defined)
        self._own_roots = frozenset(name.partition(".")[0] for name in names)
        #: By call.
        self.calls: dict[ast.Call, Constructed] = {}
        self._meanings: dict[tuple[Scope, str], list[str]] = {}
        self._ahead: list[tuple[Scope, str, str]] = []
        for name in defined:
            if name in roles.classes or name in roles.makers:
                self._means(self._bindings.module, name, f"{own}.{name}" if own else name)
        self._imports()
        while self._ahead:
            self._follow(*self._ahead.pop())

    # ------------------------------------------------------------------- what is asked

    def meanings(self, node: ast.expr, scope: Scope) -> list[str]:
        """The dotted names an expression may stand for; none if the file does not tell, or it has no role."""
        match node:
            case ast.Name(id=name):
                inner = self._bindings.where(name, scope)
                return self._meanings.get((inner, name), []) if inner is not None else []
            case ast.Attribute(value=value, attr=name):
                return [f"{dotted}.{name}" for dotted in self.meanings(value, scope)]
            case _:
                return []

    def role_of_annotation(self, node: ast.expr, scope: Scope) -> Role | None:
        """The role of what a name of this type holds."""
        match node:
            case ast.Constant(value=str(text)):
                inner = _type_in(text)
                return self.role_of_annotation(inner, scope) if inner is not None else None
            case ast.BinOp(left=left, right=right):
                return self.role_of_annotation(left, scope) or self.role_of_annotation(right, scope)
            case ast.Subscript(value=value, slice=inner):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                holds = last_part(value) in _HOLDING
                return (
                    next(filter(None, (self.role_of_annotation(one, scope) for one in parts)), None) if holds else None
                )
            case _:
                roles = (self._role(dotted) for dotted in self.meanings(node, scope))
                return next(filter(None, roles), None)

    def _role(self, dotted: str) -> Role | None:
        return self._roles.of_class(dotted, self._own_roots)

    # ------------------------------------------------------------------- what names mean

    def _imports(self) -> None:
        for at in self._bindings.imports:
            if isinstance(at.node, ast.ImportFrom):
                self._import_from(at.node, at.scope)
                continue
            for alias in at.node.names:
                root = alias.name.partition(".")[0]
                if self._is_ours(root):
                    self._means(at.scope, alias.asname or root, alias.name if alias.asname else root)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = self._module(node)
        if module is None:
            return
        for alias in node.names:
            dotted = f"{module}.{alias.name}"
            if alias.name == "*":
                self._star(module)
            elif self._is_ours(module.partition(".")[0]) or self._role(dotted):
                self._means(scope, alias.asname or alias.name, dotted)

    def _module(self, node: ast.ImportFrom) -> str | None:
        found = self._place.absolute(node.level, node.module)
        known = (one for one in found if one.partition(".")[0] in self._roles.roots)
        return next(known, found[0] if found else None)

    def _is_ours(self, root: str) -> bool:
        return root in self._roles.roots or root in self._own_roots

    def _star(self, module: str) -> None:
        if not self._is_ours(module.partition(".")[0]):
            return
        for name in (*self._roles.classes, *self._roles.makers):
            for node, scope in self._bindings.names(name):
                if self._bindings.where(name, scope) is None:
                    self._use(node, scope, f"{module}.{name}")

    def _means(self, scope: Scope, name: str, dotted: str) -> None:
        scope = self._bindings.where(name, scope) or scope
        meanings = self._meanings.setdefault((scope, name), [])
        if dotted not in meanings:
            meanings.append(dotted)
            self._ahead.append((scope, name, dotted))

    # ------------------------------------------------------------------- how they are used

    def _follow(self, scope: Scope, name: str, dotted: str) -> None:
        # Most names that are imported could only be modules, and most uses of them are no way to a name within.
        is_way = not self._role(dotted) and not self._roles.of_maker(dotted, self._own_roots)
        for node, inner in self._bindings.names(name):
            if is_way and not isinstance(self._bindings.parent(node), ast.Attribute):
                continue
            if isinstance(node.ctx, ast.Load) and self._bindings.where(name, inner) is scope:
                self._use(node, inner, dotted)

    def _use(self, node: ast.expr, scope: Scope, dotted: str) -> None:
        """One use of a name, and of what is reached through it: `module.Class`."""
        whole = node
        while (role := self._role(dotted)) is None:
            parent = self._bindings.parent(whole)
            if not isinstance(parent, ast.Attribute):
                self._maker(whole, parent, scope, dotted)
                return
            whole, dotted = parent, f"{dotted}.{parent.attr}"
        self._class(whole, scope, dotted, role)

    def _maker(self, node: ast.expr, parent: ast.AST | None, scope: Scope, dotted: str) -> None:
        role = self._roles.of_maker(dotted, self._own_roots)
        if role is not None and isinstance(parent, ast.Call) and parent.func is node:
            self.calls.setdefault(parent, Constructed(role, dotted, scope, is_class=False))

    def _class(self, node: ast.expr, scope: Scope, dotted: str, role: Role) -> None:
        match self._bindings.parent(node):
            case ast.Call(func=called) as call if called is node:
                self.calls.setdefault(call, Constructed(role, dotted, scope, is_class=True))
            case ast.Attribute(attr=name) as method if _makes(name):
                self._method(method, scope, dotted, role)
            case ast.ClassDef(name=name, bases=bases) if node in bases:
                self._means(scope, name, dotted)
            case ast.Assign() | ast.AnnAssign() as alias if alias.value is node:
                for name, _ in assigned(alias):
                    self._means(scope, name, dotted)

    def _method(self, method: ast.Attribute, scope: Scope, dotted: str, role: Role) -> None:
        call = self._bindings.parent(method)
        if isinstance(call, ast.Call) and call.func is method:
            what = _of_what(method.attr)
            made = Constructed(Role(what[1]) if what else role, f"{dotted}.{method.attr}", scope, is_class=False)
            self.calls.setdefault(call, made)


def assigned(statement: ast.Assign | ast.AnnAssign) -> Iterator[tuple[str, ast.expr | None]]:
    """The names an assignment binds, each with its value: of `a, b = x, y` its own one."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        yield from _pairs(target, statement.value)


def _pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case ast.Tuple(elts=inner), ast.Tuple(elts=values) if len(inner) == len(values):
            for one, its in zip(inner, values, strict=True):
                yield from _pairs(one, its)
        case ast.Tuple(elts=inner) | ast.List(elts=inner), _:
            for one in inner:
                yield from _pairs(one, value)


def last_part(node: ast.expr) -> str:
    """`Name` of `module.Name`; empty of any other expression."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _type_in(text: str) -> ast.expr | None:
    """The type an annotation in quotes names."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
