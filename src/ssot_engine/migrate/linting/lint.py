"""Uses that the new class or function does not bear, although the import is right."""

from __future__ import annotations

import ast
import difflib

import msgspec

from ssot_engine.migrate.bindings import Bindings, Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.linting.arguments import shown, wrong_arguments
from ssot_engine.migrate.linting.awaiting import misuse
from ssot_engine.migrate.linting.instances import Declared, declared, is_doubted, is_told
from ssot_engine.migrate.linting.taken import Bound, Meanings, Taken, bound_names, taken
from ssot_engine.migrate.linting.variables import Variable, variable_of
from ssot_engine.migrate.static.answers import Answer, Definition
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.words import wrong_call

# What patches an attribute that has to be there, and the keyword that says it need not.
_PATCHES = {"object": "create", "setattr": "raising", "delattr": "raising"}
_MOST_SHOWN = 6


def lint_uses(draft: Draft, exports: Exports) -> None:
    """Find missing attributes, wrong arguments and calls nobody awaits, of names imported from old or new modules.

    Names whose definitions are not known are left alone, and so is what a call with `*` or `**` leaves open.
    """
    meanings = Meanings(draft, exports)
    lint = _Lint(draft, exports, meanings)
    bounds: dict[tuple[str, Scope], Bound] = {}
    for bound in bound_names(draft, meanings):
        lint.check_bound(bound)
        bounds.setdefault((bound.local, bound.owner), bound)
    for bound in bounds.values():
        for one in taken(draft, meanings, bound):
            lint.check(one)
    for typed in declared(draft, meanings, bounds):
        lint.check_declared(typed)


class _Lint:
    """Looks at the uses in one file."""

    def __init__(self, draft: Draft, exports: Exports, meanings: Meanings) -> None:
        self._draft = draft
        self._bindings: Bindings = draft.bindings
        self._exports = exports
        self._meanings = meanings
        #: Reads of variables that were followed.
        self._read: set[ast.expr] = set()

    # ------------------------------------------------------------------- what is imported

    def check_bound(self, bound: Bound) -> None:
        """A name that its new module does not have."""
        new, _ = self._meanings.new(bound.dotted)
        if bound.is_name and new:
            self._check_name(bound.alias, bound.dotted, new)

    def _check_name(self, at: ast.alias | ast.expr, written: str, new: str) -> None:
        module, _, name = new.rpartition(".")
        is_ours = written != new or self._meanings.names.is_within(new)
        is_known = is_ours and self._exports.resolves(module) is Answer.FOUND
        if is_known and self._exports.resolves(new) is Answer.MISSING:
            todo = f"{module} has no name {name!r}; take it from where it is, or remove this use"
            self._draft.found(at, Rule.UNBOUND_NAME, written, new=new, todo=todo)

    # ------------------------------------------------------------------- what is used

    def check(self, one: Taken) -> None:
        """A use of a class, function or module."""
        if one.definition is not None:
            self._follow(one, one.definition, on_class=one.definition.is_class)
            return
        if isinstance(one.node, ast.Attribute) and isinstance(one.node.ctx, ast.Load):
            self._check_name(one.node, one.written, one.new)
        if (name := self._patched(one.node)) is not None:
            self._check_name(one.node, f"{one.written}.{name}", f"{one.new}.{name}")

    def check_declared(self, one: Declared) -> None:
        """What a variable holds that is declared to hold an instance."""
        if one.taken.definition is not None:
            self._follow_variable(one.taken, one.taken.definition, one.variable)

    def _follow_instance(self, one: Taken, meant: Definition, *, is_exact: bool) -> None:
        """Look at what is done to an instance, and to each variable it is given to.

        `is_exact` if it is of that very class, and none that derives from it.
        """
        self._follow(one, meant, on_class=False)
        variable = variable_of(self._bindings, one.node, one.scope)
        if variable is not None and (is_exact or not is_doubted(self._draft, variable)):
            self._follow_variable(one, meant, variable, is_exact=is_exact)

    def _follow_variable(self, one: Taken, meant: Definition, variable: Variable, *, is_exact: bool = False) -> None:
        for load, scope in variable.loads:
            if load not in self._read:
                self._read.add(load)
                self._follow_instance(one._replace(node=load, scope=scope), meant, is_exact=is_exact)

    def _follow(self, one: Taken, meant: Definition, *, on_class: bool) -> None:
        """Go along the attributes behind a class, an instance or a function, and look at what is done to the last."""
        is_method, is_instance = False, not on_class and meant.is_class
        while isinstance(outer := self._bindings.parent(one.node), ast.Attribute):
            found = self._attribute(one, outer, outer.attr, meant, on_class=on_class)
            if found is None or not isinstance(outer.ctx, ast.Load):
                return
            if found.dotted.rpartition(".")[0] != meant.dotted:
                # What a class inherits may give an instance of its own.
                found = msgspec.structs.replace(found, returns="")
            is_method, is_instance, meant = not found.is_class, False, found
            one = one._replace(node=outer, written=f"{one.written}.{outer.attr}")
        call = self._bindings.parent(one.node)
        if isinstance(call, ast.Call) and call.func is one.node and not is_instance:
            self._call(one, call, meant, instance_first=is_method and on_class and meant.takes_instance)
        elif meant.is_class and (name := self._patched(one.node)) is not None:
            self._attribute(one, one.node, name, meant, on_class=on_class)

    def _attribute(
        self, one: Taken, at: ast.expr, name: str, meant: Definition, *, on_class: bool
    ) -> Definition | None:
        """An attribute of a class or an instance; tells if there is none."""
        found = meant.attributes.get(name)
        if found is not None and not (on_class and found.is_of_instances):
            return found
        is_set = isinstance(at, ast.Attribute) and not isinstance(at.ctx, ast.Load)
        if not (meant.is_open or name.startswith("__") or is_set or self._is_provided(at, name)):
            todo = _lacks(name, meant, is_on_instances=found is not None)
            self._tell(one._replace(written=f"{one.written}.{name}"), at, Rule.MISSING_ATTRIBUTE, meant, todo)
        return None

    def _is_provided(self, at: ast.expr, name: str) -> bool:
        """Whether the file sets the attribute on the same name, or asks first whether it is there."""
        others = self._alike(at.value if isinstance(at, ast.Attribute) else at)
        outers = [self._bindings.parent(other) for other in others]
        return any(_sets(outer) == name or _asks(outer) == name for outer in outers)

    def _alike(self, node: ast.expr) -> list[ast.expr]:
        """The names that are spelt like a name, or the attributes that are like an attribute of a name."""
        if isinstance(node, ast.Name):
            return [other for other, _ in self._bindings.names(node.id)]
        if not isinstance(node, ast.Attribute):
            return []
        outers = (self._bindings.parent(inner) for inner in self._alike(node.value))
        return [outer for outer in outers if isinstance(outer, ast.Attribute) and outer.attr == node.attr]

    def _patched(self, node: ast.expr) -> str | None:
        """The attribute that a call patches on what is its first argument."""
        call = self._bindings.parent(node)
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or len(call.args) < 2:
            return None
        first, second = call.args[:2]
        keyword = _PATCHES.get(call.func.attr)
        if keyword is None or first is not node or any(one.arg in (keyword, None) for one in call.keywords):
            return None
        return second.value if isinstance(second, ast.Constant) and isinstance(second.value, str) else None

    # ------------------------------------------------------------------- calls

    def _call(self, one: Taken, call: ast.Call, meant: Definition, *, instance_first: bool) -> None:
        if meant.parameters is not None:
            wrong = wrong_arguments(call, meant.parameters, instance_first=instance_first)
            if wrong:
                called = shown(meant.name.rpartition(".")[2], meant.parameters)
                self._tell(one, call, Rule.WRONG_ARGUMENTS, meant, wrong_call(meant.dotted, wrong, called))
        if meant.is_async and (what := self._misuse(one, call)):
            where = "" if _is_in_async(one.scope) else ", in a function that is async itself"
            self._tell(one, call, Rule.NOT_AWAITED, meant, f"await this call{where}: it gives a coroutine, {what}")
        if meant.is_class:
            self._follow_instance(one._replace(node=call), meant, is_exact=True)
        elif (returned := self._exports.returned(meant)) is not None and is_told(returned):
            self._follow_result(one, call, meant, returned)

    def _follow_result(self, one: Taken, call: ast.Call, called: Definition, returned: Definition) -> None:
        """Look at what is done to the instance that a call gives, once it is awaited if it has to be."""
        awaited = self._bindings.parent(call)
        result = call if not called.is_async else awaited if isinstance(awaited, ast.Await) else None
        if result is not None:
            one = one._replace(node=result, written=f"{one.written}()", new=returned.dotted)
            self._follow_instance(one, returned, is_exact=False)

    def _misuse(self, one: Taken, call: ast.Call) -> str:
        """What is done to the coroutine of a call; where the old call gave none, anything but awaiting it is wrong."""
        is_awaited = isinstance(self._bindings.parent(call), ast.Await)
        if not is_awaited and any(map(self._gave_a_value, self._draft.lookup.doors_to(one.new))):
            return "and the old call gave its result"
        return misuse(self._bindings, call, one.scope)

    def _gave_a_value(self, door: str) -> bool:
        """Whether an old name is known, and is a function that is not async."""
        old = self._exports.definition(door)
        return old is not None and not old.is_async and not old.is_class and old.parameters is not None

    def _tell(self, one: Taken, at: ast.expr, rule: Rule, meant: Definition, todo: str) -> None:
        self._draft.found(at, rule, one.written, new=meant.dotted, todo=todo, note=one.reason)


def _sets(node: ast.AST | None) -> str | None:
    """The attribute that is set."""
    return node.attr if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) else None


def _asks(node: ast.AST | None) -> str | None:
    """The attribute that `hasattr` or `getattr` asks for."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or len(node.args) < 2:
        return None
    asked = node.args[1]
    if node.func.id not in ("hasattr", "getattr") or not isinstance(asked, ast.Constant):
        return None
    return asked.value if isinstance(asked.value, str) else None


def _lacks(name: str, meant: Definition, *, is_on_instances: bool) -> str:
    if is_on_instances:
        return f"{meant.dotted} itself has no attribute {name!r}; ask one of its instances for it"
    public = [one for one, its in meant.attributes.items() if not one.startswith("_") and its.module != "builtins"]
    close = " or ".join(map(repr, difflib.get_close_matches(name, public, n=2)))
    advice = f"use {close}" if close else f"use what it has ({_some(public)})"
    return f"{meant.dotted} has no attribute {name!r}; {advice}, or remove this use"


def _some(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"{', '.join(names[:_MOST_SHOWN]) or 'nothing public'}{more}"


def _is_in_async(scope: Scope) -> bool:
    """Whether `await` may stand in a scope."""
    inner: Scope | None = scope
    while inner is not None and (inner.is_comprehension or inner.is_class):
        inner = inner.parent
    return inner is not None and isinstance(inner.node, ast.AsyncFunctionDef)
