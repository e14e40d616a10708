"""What a module or a class binds at its top level, read from its source; of all else nothing is kept."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ssot_engine.migrate.static.changes import BodyFacts, body_facts, module_changes
from ssot_engine.migrate.static.conditions import decided


class Import(NamedTuple):
    """A name that is taken from elsewhere; an empty `name` is the module itself."""

    module: str
    name: str


class Function(NamedTuple):
    """A function, without its body."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    facts: BodyFacts
    #: Whether others of its name stand before it, which say what it gives for what.
    is_overloaded: bool = False


class Class(NamedTuple):
    """A class; `body` is its own block."""

    node: ast.ClassDef
    body: Outline


class Value(NamedTuple):
    """Anything else. `alias` is set where it is but another name of something."""

    alias: ast.Name | ast.Attribute | None = None


class Star(NamedTuple):
    """Whatever a module has of that name, as all its public names are taken; nothing if it has none."""

    module: str


Meaning = Import | Function | Class | Value | Star


class Bound(NamedTuple):
    """What a name may mean at the end of a block."""

    #: More than one where branches differ.
    meanings: tuple[Meaning, ...]
    #: Whether it is bound whatever branch is taken.
    is_certain: bool = True


_Names = dict[str, Bound]


class Outline:
    """The names of a block. `package` is what a relative import starts from; a stub is read, and never run."""

    def __init__(self, block: Sequence[ast.stmt], package: str, *, is_stub: bool = False) -> None:
        self.names: _Names = {}
        #: Names that only a type checker imports.
        self.for_checkers: _Names = {}
        #: Names that are given a type, in the order of the source.
        self.declared: dict[str, ast.AnnAssign] = {}
        #: Modules whose public names are all taken, and whether they certainly are.
        self.stars: list[tuple[str, bool]] = []
        #: What `__all__` and `__slots__` list; None if the source does not spell it.
        self.lists: dict[str, frozenset[str] | None] = {}
        #: Modules whose `__all__` is a part of this one's.
        self.public_of: list[ast.expr] = []
        #: Attributes that are set on names of this block; None among them if the source does not name one.
        self.set_on: dict[str, set[str | None]] = {}
        #: What stands for the module from its first import on, if it puts that in its place.
        self.instead: str | None = None
        #: Whether it may have names that its source does not spell.
        self.is_open = False
        self.is_stub = is_stub
        self._package = package
        self._is_certain = True
        self._block(block, self.names)

    # ------------------------------------------------------------------- blocks

    def _block(self, block: Iterable[ast.stmt], names: _Names) -> bool:
        """Whether it comes to its end."""
        for statement in block:
            if (handler := _STATEMENTS.get(type(statement))) is not None:
                handler(self, statement, names)
            if isinstance(statement, (ast.Raise, ast.Return, ast.Continue, ast.Break)) or _exits(statement):
                return False
        return True

    def _branch(self, block: Iterable[ast.stmt], names: _Names) -> _Names | None:
        """The names after a block that may not be run; None if it does not come to its end."""
        after, was_certain = dict(names), self._is_certain
        self._is_certain = False
        goes_on = self._block(block, after)
        self._is_certain = was_certain
        return after if goes_on else None

    def _if(self, node: ast.If, names: _Names) -> None:
        taken = decided(node.test, is_checked=self.is_stub)
        if taken is None:
            _merge(names, [self._branch(node.body, names), self._branch(node.orelse, names)])
            return
        if not taken and decided(node.test, is_checked=True):
            self._block(node.body, self.for_checkers)
        self._block(node.body if taken else node.orelse, names)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, names: _Names) -> None:
        before = dict(names)
        if not isinstance(node, ast.While):
            self._bind([node.target], names)
        _merge(names, [before, self._branch([*node.body, *node.orelse], names)])

    def _with(self, node: ast.With | ast.AsyncWith, names: _Names) -> None:
        self._bind((item.optional_vars for item in node.items if item.optional_vars is not None), names)
        self._block(node.body, names)

    def _try(self, node: ast.Try | ast.TryStar, names: _Names) -> None:
        if not node.handlers:
            self._block([*node.body, *node.orelse, *node.finalbody], names)
            return
        whole = self._branch([*node.body, *node.orelse], names)
        torn: _Names = {}
        _merge(torn, [dict(names), whole])
        _merge(names, [whole, *(self._branch(handler.body, torn) for handler in node.handlers)])
        self._block(node.finalbody, names)

    def _match(self, node: ast.Match, names: _Names) -> None:
        _merge(names, [dict(names), *(self._branch(case.body, names) for case in node.cases)])

    # ------------------------------------------------------------------- definitions and imports

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: _Names) -> None:
        facts, node.body = body_facts(node), []
        before = names.get(node.name)
        is_overloaded = before is not None and any(isinstance(one, Function) for one in before.meanings)
        names[node.name] = Bound((Function(node, facts, is_overloaded),))

    def _class(self, node: ast.ClassDef, names: _Names) -> None:
        body, node.body = Outline(node.body, self._package, is_stub=self.is_stub), []
        names[node.name] = Bound((Class(node, body),))
        # Its members become names of the module.
        self.is_open |= any("global_enum" in ast.unparse(decorator) for decorator in node.decorator_list)

    def _import(self, node: ast.Import, names: _Names) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            names[alias.asname or root] = Bound((Import(alias.name if alias.asname else root, ""),))

    def _import_from(self, node: ast.ImportFrom, names: _Names) -> None:
        module = _absolute(self._package, node.level, node.module)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append((module, self._is_certain))
                # Any of the names until here may be another from now on.
                for name, bound in names.items():
                    names[name] = bound._replace(meanings=(*bound.meanings, Star(module)))
            else:
                names[alias.asname or alias.name] = Bound((Import(module, alias.name),))

    # ------------------------------------------------------------------- assignments

    def _assign(self, node: ast.Assign, names: _Names) -> None:
        first = node.targets[0]
        is_own = isinstance(first, ast.Subscript) and ast.unparse(first).endswith("sys.modules[__name__]")
        if is_own and isinstance(node.value, ast.Name):
            self.instead = node.value.id
        self._bind(node.targets, names, node.value)

    def _annotated(self, node: ast.AnnAssign, names: _Names) -> None:
        if isinstance(node.target, ast.Name):
            self.declared[node.target.id] = node
        if node.value is not None or self.is_stub:
            self._bind([node.target], names, node.value)

    def _added(self, node: ast.AugAssign, names: _Names) -> None:
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            self._list("__all__", node.value)

    def _expression(self, node: ast.Expr, names: _Names) -> None:
        call = node.value
        if not isinstance(call, ast.Call) or not call.args:
            return
        called, first = call.func, call.args[0]
        if isinstance(called, ast.Name) and called.id == "setattr" and isinstance(first, ast.Name):
            name = call.args[1] if len(call.args) > 1 else None
            told = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
            self.set_on.setdefault(first.id, set()).add(told)
        elif isinstance(called, ast.Attribute) and ast.unparse(called.value) == "__all__":
            self._list("__all__", ast.List([first]) if called.attr == "append" else first)

    def _delete(self, node: ast.Delete, names: _Names) -> None:
        for target in node.targets:
            for one in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                if isinstance(one, ast.Name):
                    names.pop(one.id, None)

    def _type_alias(self, node: ast.stmt, names: _Names) -> None:
        names[vars(node)["name"].id] = Bound((Value(),))

    def _bind(self, targets: Iterable[ast.expr], names: _Names, value: ast.expr | None = None) -> None:
        for target in targets:
            if isinstance(target, ast.Name):
                names[target.id] = Bound((Value(value if isinstance(value, (ast.Name, ast.Attribute)) else None),))
                if target.id in ("__all__", "__slots__") and value is not None:
                    self.lists[target.id] = frozenset()
                    self._list(target.id, value)
            elif isinstance(target, (ast.Tuple, ast.List)):
                self._bind(target.elts, names)
            elif isinstance(target, ast.Starred):
                self._bind([target.value], names)
            elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                self.set_on.setdefault(target.value.id, set()).add(target.attr)

    def _list(self, name: str, value: ast.expr) -> None:
        """Add a part of `__all__` or `__slots__`."""
        known = self.lists.get(name)
        parts = _parts(value)
        texts = [one.value for one in parts or () if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if isinstance(value, ast.BinOp):
            self._list(name, value.left)
            self._list(name, value.right)
        elif isinstance(value, ast.Attribute) and value.attr == "__all__":
            self.public_of.append(value.value)
        else:
            is_spelt = known is not None and parts is not None and len(texts) == len(parts)
            self.lists[name] = known.union(texts) if known is not None and is_spelt else None


def outline_of(tree: ast.Module, package: str, text: bytes, *, is_stub: bool = False) -> Outline:
    """The outline of a module with this text. Its tree is used up."""
    changes = module_changes(tree, text)
    outline = Outline(tree.body, package, is_stub=is_stub)
    outline.is_open |= changes.is_open or "__getattr__" in outline.names
    for name in changes.names - outline.names.keys():
        outline.names[name] = Bound((Value(),), is_certain=False)
    return outline


# ------------------------------------------------------------------ branches


def _merge(names: _Names, branches: Sequence[_Names | None]) -> None:
    """Let `names` be what they are after one of the branches was taken; None is one that ends the block."""
    taken = [branch for branch in branches if branch is not None]
    every = dict.fromkeys(name for branch in taken for name in branch)
    merged = {name: _one_of([branch.get(name) for branch in taken]) for name in every}
    names.clear()
    names.update(merged)


def _one_of(found: Sequence[Bound | None]) -> Bound:
    first = found[0]
    if first is not None and all(one is first for one in found):
        return first
    meanings = dict.fromkeys(meaning for one in found if one is not None for meaning in one.meanings)
    return Bound(tuple(meanings), all(one is not None and one.is_certain for one in found))


# ------------------------------------------------------------------ parts


def _exits(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    return ast.unparse(statement.value.func) in ("sys.exit", "os._exit", "exit", "quit")


def _parts(value: ast.expr) -> Sequence[ast.expr | None] | None:
    """What a display of texts is made of; None if it is none."""
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return value.elts
    if isinstance(value, ast.Dict):
        return value.keys
    return [value] if isinstance(value, ast.Constant) else None


def _absolute(package: str, level: int, module: str | None) -> str:
    """The module that an import in `package` names."""
    if not level:
        return module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


_STATEMENTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.If: Outline._if,
    ast.For: Outline._loop,
    ast.AsyncFor: Outline._loop,
    ast.While: Outline._loop,
    ast.With: Outline._with,
    ast.AsyncWith: Outline._with,
    ast.Try: Outline._try,
    ast.TryStar: Outline._try,
    ast.Match: Outline._match,
    ast.FunctionDef: Outline._function,
    ast.AsyncFunctionDef: Outline._function,
    ast.ClassDef: Outline._class,
    ast.Import: Outline._import,
    ast.ImportFrom: Outline._import_from,
    ast.Assign: Outline._assign,
    ast.AnnAssign: Outline._annotated,
    ast.AugAssign: Outline._added,
    ast.Expr: Outline._expression,
    ast.Delete: Outline._delete,
}
if (_alias := getattr(ast, "TypeAlias", None)) is not None:
    _STATEMENTS[_alias] = Outline._type_alias
