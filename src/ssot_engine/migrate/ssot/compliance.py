"""Whether there is one source of truth: no engine, definition or singleton beside the canonical ones."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.ssot.constructions import Constructions, assigned, last_part
from ssot_engine.migrate.ssot.roles import FACTORY_CLASS, Role, Roles, roles_of

_Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_Assigned = ast.Assign | ast.AnnAssign
_COMPOUND = (ast.If, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.Match)

# Decorators that call a function once and keep what it returned.
_KEEPING = frozenset({"cache", "lru_cache", "alru_cache", "cached"})
# Decorators of functions whose name is not theirs alone: fixtures that are called as what they return.
_NOT_DEFINING = frozenset({"fixture", "overload"})


def words(lookup: Lookup) -> Iterable[str]:
    """Texts of which a file has at least one, or needs no look; as parts of words too."""
    roles = roles_of(lookup)
    wanted = {*roles.classes, *roles.makers}
    for name in roles.unique:
        # Spelled so, as the names alone are in most files.
        wanted |= {f"class {name}", f"{name} ="} if name[:1].isupper() else {f"def {name}"}
    return sorted(one for one in wanted if not any(other in one for other in wanted if other != one))


def inspect(draft: Draft) -> None:
    """Find constructions outside the factory, second definitions of canonical names, and singletons of modules."""
    _Inspection(draft, roles_of(draft.lookup)).report()


class _Inspection:
    def __init__(self, draft: Draft, roles: Roles) -> None:
        self._draft = draft
        self._roles = roles
        self._bindings = draft.bindings
        self._statements = list(_at_level(draft.source.tree.body))
        self._own = _own_name(draft, roles)
        defined = [one.name for one in self._statements if isinstance(one, _Defined)]
        self._made = Constructions(draft, roles, self._own, defined)
        self._kept: set[str] = set()

    def report(self) -> None:
        """Tell of everything there is."""
        self._engines()
        for statement in self._statements:
            self._definition(statement)
            self._kept_at(statement, in_class=False)
            if isinstance(statement, ast.ClassDef):
                self._kept_in_class(statement)
        self._kept_by_functions()

    # ------------------------------------------------------------------- engines

    def _engines(self) -> None:
        is_factory = self._roles.is_home(self._draft.place.names, FACTORY_CLASS)
        if is_factory and self._bindings.module.bound[FACTORY_CLASS]:
            return
        for call, made in self._made.calls.items():
            if made.role is Role.ENGINE and made.is_class:
                # What the file defines itself goes by its own name, which is the same wherever the tree stands.
                name = made.dotted.removeprefix(f"{self._own}.")
                self._draft.found(call, Rule.ENGINE_OUTSIDE_FACTORY, name, todo=self._instead(Role.ENGINE))

    # ------------------------------------------------------------------- definitions

    def _definition(self, statement: ast.stmt) -> None:
        if isinstance(statement, _Defined):
            if not _decorated(statement, _NOT_DEFINING):
                self._defined(statement, statement.name)
        elif isinstance(statement, _Assigned):
            for name, value in assigned(statement):
                if value is not None and _is_class_name(value) and not self._is_canonical(value, name):
                    self._defined(statement, name)

    def _is_canonical(self, value: ast.expr, name: str) -> bool:
        """Whether an alias is another word for the canonical class itself."""
        for dotted in self._made.meanings(value, self._bindings.module):
            became = self._draft.lookup.resolve(dotted)
            module, _, last = ((became and became.new) or dotted).rpartition(".")
            if last == name and self._roles.is_home([module], name):
                return True
        return False

    def _defined(self, at: ast.stmt, name: str) -> None:
        if name in self._roles.unique and not self._roles.is_home(self._draft.place.names, name):
            self._duplicate(at, name, self._roles.target(name), name)
        elif isinstance(at, ast.ClassDef) and (instead := self._roles.replacement(f"{self._own}.{name}")):
            # In its own old module: a second implementation of what is called otherwise now.
            self._duplicate(at, name, instead, instead.rpartition(".")[2])

    def _duplicate(self, at: ast.stmt, name: str, new: str | None, new_name: str) -> None:
        module = new.rpartition(".")[0] if new else "its canonical module"
        todo = f"delete it, and import {new_name} from {module}"
        old_module = self._draft.lookup.modules.get(self._own)
        if old_module is not None and not old_module.yields_to_host:
            todo = f"delete it once nothing imports it; {new or 'the canonical one'} is there instead"
        self._draft.found(at, Rule.DUPLICATE_DEFINITION, name, new=new, todo=todo)

    # ------------------------------------------------------------------- singletons

    def _kept_in_class(self, node: ast.ClassDef) -> None:
        for statement in _at_level(node.body):
            self._kept_at(statement, in_class=True, prefix=f"{node.name}.")

    def _kept_at(self, statement: ast.stmt, *, in_class: bool, prefix: str = "") -> None:
        if isinstance(statement, _Assigned):
            for name, value in assigned(statement):
                if role := self._held(value) or self._annotated(statement, in_class):
                    self._singleton(statement, prefix + name, role)
        elif isinstance(statement, _Defined) and not in_class and _decorated(statement, _KEEPING):
            inside = [one for one in self._made.calls.values() if one.scope.node is statement]
            if inside:
                self._singleton(statement, statement.name, inside[0].role)

    def _kept_by_functions(self) -> None:
        """Functions that declare `global name`, and give it an engine."""
        for name in self._bindings.module.bound if self._made.calls else ():
            for node, scope in self._bindings.names(name):
                if isinstance(node.ctx, ast.Store) and scope.elsewhere.get(name):
                    statement = self._bindings.parent(node)
                    role = self._held(statement.value) if isinstance(statement, _Assigned) else None
                    if role is not None:
                        self._singleton(node, name, role)

    def _singleton(self, at: ast.stmt | ast.expr, name: str, role: Role) -> None:
        if name not in self._kept:
            self._kept.add(name)
            self._draft.found(at, Rule.MODULE_SINGLETON, name, todo=self._instead(role))

    def _held(self, value: ast.expr | None) -> Role | None:
        """The role of what an expression constructs, also within a list, a dictionary or a condition."""
        if value is None or not self._made.calls:
            return None
        made = (self._made.calls.get(one) for one in _held(value) if isinstance(one, ast.Call))
        return next((one.role for one in made if one is not None), None)

    def _annotated(self, statement: _Assigned, in_class: bool) -> Role | None:
        """The role a name is declared to hold; in a class only if all instances share it."""
        if isinstance(statement, ast.Assign) or (in_class and not _is_shared(statement.annotation)):
            return None
        return self._made.role_of_annotation(statement.annotation, self._bindings.module)

    # ------------------------------------------------------------------- words

    def _instead(self, role: Role) -> str:
        """What to do instead of making or keeping one."""
        factory = self._roles.target(FACTORY_CLASS) or f"the {FACTORY_CLASS}"
        if not factory.startswith("ssot_engine."):
            return _KEPT_ELSEWHERE[role].format(factory=factory)
        return _KEPT_HERE[role]


_KEPT_HERE = {
    Role.ENGINE: "get it from the factory: `async with factory.engine_for(context) as engine`",
    Role.FACTORY: "keep none in the module: the container in use has it, `container.engine_factory()`",
    Role.BRIDGE: "keep none for all users: each engine has its own, `engine.websocket_bridge`",
    Role.EMITTER: "keep none for all users: each engine has its own, `engine.websocket_emitter`",
}
_KEPT_ELSEWHERE = {
    Role.ENGINE: "get it from {factory}, for one request at a time",
    Role.FACTORY: "keep none in the module: pass on the one {factory} of the application",
    Role.BRIDGE: "keep none for all users: give each engine its own when {factory} makes it",
    Role.EMITTER: "keep none for all users: give each engine its own when {factory} makes it",
}


def _own_name(draft: Draft, roles: Roles) -> str:
    """The module's dotted name: the one below a package that the table names, if there is one."""
    names = draft.place.names
    known = (name for name in names if name.partition(".")[0] in roles.roots)
    return next(known, names[0] if names else "")


def _at_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body and of the blocks in it that are no functions or classes; not a script's own part."""
    for statement in body:
        yield statement
        if isinstance(statement, _COMPOUND) and not _is_main(statement):
            for block in _blocks(statement):
                yield from _at_level(block)


def _blocks(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, ())
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _is_main(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case _:
            return False


def _held(value: ast.expr) -> Iterator[ast.expr]:
    """An expression, or what it awaits, chooses from or collects."""
    match value:
        case ast.Await(value=inner) | ast.NamedExpr(value=inner) | ast.Starred(value=inner):
            yield from _held(inner)
        case ast.IfExp(body=one, orelse=other):
            yield from (*_held(one), *_held(other))
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _held(part)
        case ast.Dict(values=parts):
            for part in parts:
                yield from _held(part)
        case _:
            yield value


def _decorated(node: _Defined, names: Collection[str]) -> bool:
    """Whether one of the decorators is called so, with or without arguments."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if last_part(called) in names:
            return True
    return False


def _is_class_name(value: ast.expr) -> bool:
    name = last_part(value)
    return name[:1].isupper() and name != "Any"


def _is_shared(annotation: ast.expr) -> bool:
    """Whether a class's name is declared to be the class's, and not of each instance."""
    return isinstance(annotation, ast.Subscript) and last_part(annotation.value) == "ClassVar"
