"""Which names a module binds and uses where, by the language's scoping rules; all from one walk over its tree."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_ComprehensionNode = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

# Fields of nodes that hold no node a name, a string or an import could be in.
_PLAIN = frozenset({
    "arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "module", "op", "ops",
    "rest", "simple", "str", "type_comment", "type_ignores",
})  # fmt: skip


class Scope:
    """A module, class, function, comprehension or list of type parameters, and the names it binds."""

    __slots__ = ("bound", "elsewhere", "is_class", "is_comprehension", "is_module", "is_types", "node", "parent")

    def __init__(self, node: ast.AST, parent: Scope | None, *, is_types: bool = False) -> None:
        self.node = node
        self.parent = parent
        self.is_module = parent is None
        self.is_class = isinstance(node, ast.ClassDef) and not is_types
        self.is_comprehension = isinstance(node, _ComprehensionNode)
        #: Whether it is the scope of the type parameters around `node`; such a scope sees the names of a class.
        self.is_types = is_types
        #: How often each name is bound here.
        self.bound: Counter[str] = Counter()
        #: Names declared `global` (True) or `nonlocal` (False) here.
        self.elsewhere: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"<Scope {type(self.node).__name__} {getattr(self.node, 'name', '')}>"


class ImportAt(NamedTuple):
    """An import statement and where it stands."""

    node: ast.Import | ast.ImportFrom
    scope: Scope
    #: The statements of the same block, itself among them.
    block: Sequence[ast.stmt]


class Typed(NamedTuple):
    """A parameter for one value, or the target of an assignment, that is given a type."""

    node: ast.arg | ast.AnnAssign
    #: Where it stands, and where the names of its type are looked up.
    scope: Scope
    outer: Scope


class Bindings:
    """What one walk over a module's tree tells of its names."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree, None)
        #: Every import statement, in the order of the file.
        self.imports: list[ImportAt] = []
        #: Every string that is neither a docstring nor a part of an f-string, in the order of the file.
        self.strings: list[ast.Constant] = []
        #: Every f-string.
        self.joined: list[ast.JoinedStr] = []
        #: Everything that is given a type.
        self.typed: list[Typed] = []
        #: Every try statement.
        self.tries: list[ast.Try | ast.TryStar] = []
        #: Every name that is declared `global` or `nonlocal` somewhere.
        self.declared: set[str] = set()
        self._names: dict[str, list[tuple[ast.Name, Scope]]] = {}
        #: The uses of a name by the scope that binds it, of those names that were asked for.
        self._meanings: dict[str, dict[Scope | None, list[tuple[ast.Name, Scope]]]] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        self._annotations: set[ast.AST] = set()
        self._ahead: list[tuple[ast.AST, Scope]] = []
        self._walk(tree)
        self.imports.sort(key=lambda one: _position(one.node))
        self.strings.sort(key=_position)
        self.joined.sort(key=_position)

    # ------------------------------------------------------------------- what is asked

    def where(self, name: str, scope: Scope) -> Scope | None:
        """The scope whose binding a name means that is used in `scope`; None if nothing in the file binds it."""
        inner: Scope | None = scope
        own: Scope | None = scope
        while inner is not None:
            if inner is own or not inner.is_class:
                if (is_global := inner.elsewhere.get(name)) is not None:
                    return self._declared(name, inner, is_global)
                if inner.bound[name]:
                    return inner
            if inner is own and inner.is_types:
                own = inner.parent
            inner = inner.parent
        return None

    def _declared(self, name: str, scope: Scope, is_global: bool) -> Scope | None:
        if is_global:
            return self.module
        outer = scope.parent
        while outer is not None and (outer.is_class or not outer.bound[name] or name in outer.elsewhere):
            outer = outer.parent
        return outer

    def names(self, name: str) -> Sequence[tuple[ast.Name, Scope]]:
        """Every use of a name as a variable, with the scope it stands in; not those that bind it by other words."""
        return self._names.get(name, ())

    def meaning(self, name: str, scope: Scope) -> Sequence[tuple[ast.Name, Scope]]:
        """Every use of a name (load, store or delete) that means the binding of `scope`, with the scope it stands in.

        They are told apart once for each name: there may be as many scopes that bind it as uses.
        """
        if name not in self._meanings:
            by_scope = self._meanings[name] = defaultdict(list)
            for node, inner in self.names(name):
                by_scope[self.where(name, inner)].append((node, inner))
        return self._meanings[name].get(scope, ())

    def uses(self, name: str, scope: Scope) -> list[ast.Name]:
        """The same uses, without their scopes."""
        return [node for node, _ in self.meaning(name, scope)]

    def used_names(self) -> Iterable[str]:
        """Every name that is used as a variable."""
        return self._names

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What a name, attribute, call, `await`, subscript or string is directly part of; None for any other node."""
        return self._parents.get(node)

    def is_annotation(self, string: ast.Constant) -> bool:
        """Whether a string stands where a type does: in an annotation, at any depth of it."""
        return string in self._annotations

    # ------------------------------------------------------------------- the walk

    def _walk(self, tree: ast.Module) -> None:
        self._body(tree.body, self.module, may_have_docstring=True)
        ahead, handlers, fields = self._ahead, _HANDLERS, _FIELDS
        while ahead:
            node, scope = ahead.pop()
            handler = handlers.get(type(node))
            if handler is not None:
                handler(self, node, scope)
                continue
            for field in fields[type(node)]:
                value = getattr(node, field, None)
                if type(value) is list:
                    if value and isinstance(value[0], ast.stmt):
                        self._body(value, scope)
                    else:
                        for child in value:
                            if child is not None:
                                self._child(node, child, scope)
                elif value is not None:
                    self._child(node, value, scope)

    def _child(self, node: ast.AST, child: ast.AST, scope: Scope) -> None:
        if type(child) in _WITH_PARENT:
            self._parents[child] = node
        self._ahead.append((child, scope))

    def _children(self, node: ast.AST, children: Iterable[ast.AST | None], scope: Scope) -> None:
        for child in children:
            if child is not None:
                self._child(node, child, scope)

    def _body(self, block: Sequence[ast.stmt], scope: Scope, *, may_have_docstring: bool = False) -> None:
        block_rest = block[1:] if may_have_docstring and block and _is_text(block[0]) else block
        for statement in block_rest:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._import(statement, scope, block)
            else:
                self._ahead.append((statement, scope))

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope, block: Sequence[ast.stmt]) -> None:
        self.imports.append(ImportAt(node, scope, block))
        for alias in node.names:
            name = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
            if name != "*":
                scope.bound[name] += 1

    def _name(self, node: ast.Name, scope: Scope) -> None:
        self._names.setdefault(node.id, []).append((node, scope))
        if not isinstance(node.ctx, ast.Load):
            scope.bound[node.id] += 1

    def _string(self, node: ast.Constant, scope: Scope) -> None:
        if type(node.value) is str:
            self.strings.append(node)

    def _f_string(self, node: ast.JoinedStr, scope: Scope) -> None:
        self.joined.append(node)
        self._expressions_of(node, scope)

    def _expressions_of(self, node: ast.JoinedStr, scope: Scope) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self._child(part, part.value, scope)
                if isinstance(part.format_spec, ast.JoinedStr):
                    self._expressions_of(part.format_spec, scope)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        scope.bound[node.name] += 1
        self._children(node, node.decorator_list, scope)
        self._children(node, (*node.args.defaults, *node.args.kw_defaults), scope)
        around = self._type_parameters(node, scope)
        own = Scope(node, around)
        self._arguments(node.args, around, own)
        if node.returns is not None:
            self._annotation(node, node.returns, around)
        self._body(node.body, own, may_have_docstring=True)

    def _lambda(self, node: ast.Lambda, scope: Scope) -> None:
        own = Scope(node, scope)
        self._children(node, (*node.args.defaults, *node.args.kw_defaults), scope)
        self._arguments(node.args, scope, own)
        self._child(node, node.body, own)

    def _arguments(self, node: ast.arguments, outer: Scope, own: Scope) -> None:
        every = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
        for argument in every:
            if argument is None:
                continue
            own.bound[argument.arg] += 1
            if argument.annotation is not None:
                self._annotation(argument, argument.annotation, outer)
                if argument is not node.vararg and argument is not node.kwarg:
                    self.typed.append(Typed(argument, own, outer))

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        scope.bound[node.name] += 1
        self._children(node, node.decorator_list, scope)
        around = self._type_parameters(node, scope)
        self._children(node, (*node.bases, *node.keywords), around)
        own = Scope(node, around)
        self._body(node.body, own, may_have_docstring=True)

    def _type_parameters(self, node: ast.AST, scope: Scope) -> Scope:
        """The scope that signature and body stand in: that of the type parameters, if there are any."""
        parameters = getattr(node, "type_params", ())
        if not parameters:
            return scope
        around = Scope(node, scope, is_types=True)
        for parameter in parameters:
            around.bound[parameter.name] += 1
            types = (getattr(parameter, "bound", None), getattr(parameter, "default_value", None))
            self._children(parameter, types, around)
        return around

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        self._annotation(node, node.annotation, scope)
        self.typed.append(Typed(node, scope, scope))
        if isinstance(node.target, ast.Name) and not node.simple and node.value is None:
            # (name): int binds nothing.
            self._names.setdefault(node.target.id, []).append((node.target, scope))
            return
        self._children(node, (node.target, node.value), scope)

    def _annotation(self, node: ast.AST, annotation: ast.expr, scope: Scope) -> None:
        self._child(node, annotation, scope)
        if isinstance(annotation, (ast.Name, ast.Attribute)):
            return
        self._annotations.update(_strings_of_type(annotation))

    def _comprehension(self, node: _ComprehensionNode, scope: Scope) -> None:
        own = Scope(node, scope)
        for index, part in enumerate(node.generators):
            self._child(part, part.iter, own if index else scope)
            self._children(part, (part.target, *part.ifs), own)
        if isinstance(node, ast.DictComp):
            self._children(node, (node.key, node.value), own)
        else:
            self._child(node, node.elt, own)

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> None:
        outer = scope
        while outer.is_comprehension and outer.parent is not None:
            outer = outer.parent
        self._child(node, node.target, outer)
        self._child(node, node.value, scope)

    def _handler(self, node: ast.ExceptHandler, scope: Scope) -> None:
        if node.name:
            scope.bound[node.name] += 1
        self._children(node, (node.type,), scope)
        self._body(node.body, scope)

    def _try(self, node: ast.Try | ast.TryStar, scope: Scope) -> None:
        self.tries.append(node)
        for block in (node.body, node.orelse, node.finalbody):
            self._body(block, scope)
        self._children(node, node.handlers, scope)

    def _global(self, node: ast.Global, scope: Scope) -> None:
        self.declared.update(node.names)
        for name in node.names:
            scope.elsewhere[name] = True
            self.module.bound[name] += 1

    def _nonlocal(self, node: ast.Nonlocal, scope: Scope) -> None:
        self.declared.update(node.names)
        for name in node.names:
            scope.elsewhere[name] = False

    def _match_name(self, node: ast.MatchAs | ast.MatchStar, scope: Scope) -> None:
        if node.name:
            scope.bound[node.name] += 1
        self._children(node, (getattr(node, "pattern", None),), scope)

    def _match_mapping(self, node: ast.MatchMapping, scope: Scope) -> None:
        if node.rest:
            scope.bound[node.rest] += 1
        self._children(node, (*node.keys, *node.patterns), scope)

    def _type_alias(self, node: ast.AST, scope: Scope) -> None:
        self._child(node, vars(node)["name"], scope)
        self._child(node, vars(node)["value"], self._type_parameters(node, scope))

    def _match_constant(self, node: ast.MatchSingleton, scope: Scope) -> None:
        """Of True, False and None nothing is to be told."""


def _position(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _strings_of_type(annotation: ast.expr) -> list[ast.Constant]:
    """The strings of a type that are types themselves; not what `Literal` lists or `Annotated` adds."""
    found: list[ast.Constant] = []
    ahead = [annotation]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Constant):
            if type(node.value) is str:
                found.append(node)
        elif isinstance(node, ast.Subscript):
            ahead += _types_in(node)
        elif isinstance(node, (ast.BinOp, ast.Tuple, ast.List, ast.Starred)):
            ahead += [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
    return found


def _types_in(node: ast.Subscript) -> list[ast.expr]:
    name = getattr(node.value, "attr", None) or getattr(node.value, "id", None)
    if name == "Literal":
        return []
    if name == "Annotated" and isinstance(node.slice, ast.Tuple):
        return node.slice.elts[:1]
    return [node.slice]


def _node_types() -> list[type[ast.AST]]:
    found: list[type[ast.AST]] = [ast.AST]
    for one in found:
        found += one.__subclasses__()
    return found


_FIELDS = {one: tuple(field for field in one._fields if field not in _PLAIN) for one in _node_types()}
_FIELDS |= {ast.Global: (), ast.Nonlocal: (), ast.alias: ()}

#: Whose `parent` is kept.
_WITH_PARENT = frozenset({ast.Name, ast.Attribute, ast.Call, ast.Await, ast.Constant, ast.JoinedStr, ast.Subscript})

_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Name: Bindings._name,
    ast.Constant: Bindings._string,
    ast.JoinedStr: Bindings._f_string,
    ast.FunctionDef: Bindings._function,
    ast.AsyncFunctionDef: Bindings._function,
    ast.Lambda: Bindings._lambda,
    ast.ClassDef: Bindings._class,
    ast.AnnAssign: Bindings._annotated,
    ast.ListComp: Bindings._comprehension,
    ast.SetComp: Bindings._comprehension,
    ast.DictComp: Bindings._comprehension,
    ast.GeneratorExp: Bindings._comprehension,
    ast.NamedExpr: Bindings._walrus,
    ast.ExceptHandler: Bindings._handler,
    ast.Try: Bindings._try,
    ast.TryStar: Bindings._try,
    ast.Global: Bindings._global,
    ast.Nonlocal: Bindings._nonlocal,
    ast.MatchAs: Bindings._match_name,
    ast.MatchStar: Bindings._match_name,
    ast.MatchMapping: Bindings._match_mapping,
    ast.MatchSingleton: Bindings._match_constant,
}
if (_alias := getattr(ast, "TypeAlias", None)) is not None:
    _HANDLERS[_alias] = Bindings._type_alias
