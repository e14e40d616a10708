"""What CPython's own compiler says of a module's names, put next to what `Bindings` says."""

from __future__ import annotations

import ast
import symtable
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ssot_engine.migrate.bindings import Bindings, Scope

_KINDS = {
    ast.ListComp: "listcomp", ast.SetComp: "setcomp", ast.DictComp: "dictcomp", ast.GeneratorExp: "genexpr",
    ast.Lambda: "lambda",
}  # fmt: skip
#: Since 3.12 these are no scopes to the compiler, where that makes no difference.
_INLINED = frozenset({"listcomp", "setcomp", "dictcomp"})
_COMPREHENSIONS = _INLINED | {"genexpr"}
#: Names the compiler makes up.
_MADE_UP = frozenset({"__class__", "__classdict__", "__type_params__"})
#: Tables of types, which `Bindings` counts to the scope they stand in.
_LAZY = frozenset({"TypeVar bound", "type variable", "TYPE_VARIABLE", "type alias", "TYPE_ALIAS"})
_TYPE_PARAMETERS = frozenset({"type parameter", "type parameters", "TYPE_PARAMETERS"})

_Key = tuple[str, int, bool]
_Inner = dict[Scope | None, dict[_Key, list[Scope]]]


class _Region:
    """The tables that are one scope to `Bindings`, below those of the scopes around it."""

    def __init__(self, table: symtable.SymbolTable, above: Sequence[_Region]) -> None:
        self.tables = [table]
        self.kind = _kind(table)
        self.path = (*above, self)
        self.inner: dict[_Key, list[symtable.SymbolTable]] = defaultdict(list)
        for one in self.tables:
            for child in one.get_children():
                if _kind(child) in _LAZY:
                    self.tables.append(child)
                else:
                    key = (child.get_name(), child.get_lineno(), _kind(child) in _TYPE_PARAMETERS)
                    self.inner[key].append(child)

    @property
    def key(self) -> _Key:
        table = self.tables[0]
        return table.get_name(), table.get_lineno(), self.kind in _TYPE_PARAMETERS

    def symbols(self) -> dict[str, list[symtable.Symbol]]:
        """Every name of it a programmer wrote."""
        found: dict[str, list[symtable.Symbol]] = defaultdict(list)
        for table in self.tables:
            for one in table.get_symbols():
                if _is_written(one.get_name()) and _is_used(one):
                    found[one.get_name()].append(one)
        return found

    def means(self, name: str) -> _Region:
        """The scope whose name it is that is used here; the module if it is global or of nobody."""
        around = self.path[-2] if self.kind in _TYPE_PARAMETERS else self
        if around.kind == "class" and any(one.is_local() for one in around.symbols().get(name, ())):
            # In types the compiler leaves it to the run, which looks in the class first.
            return around
        if any(one.is_global() for one in self.symbols()[name]):
            return self.path[0]
        seen = self
        for region in reversed(self.path):
            is_visible = region.kind != "class" or region is seen
            if is_visible and any(one.is_local() for one in region.symbols().get(name, ())):
                return region
            if region is seen and region.kind in _TYPE_PARAMETERS:
                seen = region.path[-2]
        return self.path[0]


def disagreements(code: str) -> tuple[int, list[str]]:
    """How many scopes were compared, and where the two differ: names used in a scope, and which scope they mean."""
    # Annotations that are kept as text are not in the compiler's tables.
    code = code.replace("from __future__ import annotations", "pass")
    bindings = Bindings(ast.parse(code))
    scopes, used = _scopes(bindings)
    inner: _Inner = defaultdict(lambda: defaultdict(list))
    for scope in scopes:
        inner[scope.parent][_key(scope)].append(scope)
    found: list[str] = []
    compared = 0
    ahead = [(bindings.module, _Region(symtable.symtable(code, "<code>", "exec"), ()))]
    while ahead:
        scope, region = ahead.pop()
        inlined: set[str] = set()
        for key, theirs in inner[scope].items():
            tables = region.inner.get(key, [])
            if len(tables) < len(theirs):
                if key[0] not in _INLINED:
                    found.append(f"{region.key}: no {key} in it")
                inlined |= {name for one in theirs for name in _within(one, inner, used)}
            elif len(tables) == 1:
                ahead.append((theirs[0], _Region(tables[0], region.path)))
        if region.key[0] != "top" or scope.is_module:
            # `symtable` takes every scope of the name "top" for a module.
            compared += 1
            found += _compare(bindings, scope, used[scope], region, inlined)
    return compared, found


def _within(scope: Scope, inner: _Inner, used: dict[Scope, set[str]]) -> Iterator[str]:
    """The names of a comprehension, and of those in it, which became part of the function it stands in."""
    yield from (*used[scope], *scope.bound)
    for theirs in inner[scope].values():
        for one in theirs:
            yield from _within(one, inner, used)


def _compare(bindings: Bindings, scope: Scope, used: set[str], region: _Region, inlined: set[str]) -> Iterator[str]:
    symbols = region.symbols()
    ours = {name for name in (*used, *scope.bound, *scope.elsewhere) if _is_written(name)}
    declared_elsewhere = ours - symbols.keys() if scope.is_module else set()
    for name in sorted(ours - symbols.keys() - declared_elsewhere):
        yield f"{region.key}: {name} is not in it"
    for name in sorted(symbols.keys() - ours - inlined - _walrus(region)):
        yield f"{region.key}: {name} is in it too"
    for name in sorted(ours & symbols.keys()):
        actual = bindings.where(name, scope) or bindings.module
        expected = region.means(name)
        if _key(actual) != expected.key:
            yield f"{region.key}: {name} should mean {expected.key}, means {_key(actual)}"


def _is_written(name: str) -> bool:
    is_mangled = name.startswith("_") and "__" in name and not name.endswith("__")
    return not (name in _MADE_UP or name.startswith(".") or is_mangled)


def _is_used(symbol: symtable.Symbol) -> bool:
    """Whether it stands here itself, instead of only in a scope within."""
    return symbol.is_referenced() or symbol.is_local() or symbol.is_declared_global() or symbol.is_nonlocal()


def _walrus(region: _Region) -> set[str]:
    """Names a comprehension assigns to the function around it; they are in its own table too."""
    if region.kind != "function" or region.key[0] not in _COMPREHENSIONS:
        return set()
    return {name for name, symbols in region.symbols().items() if all(one.is_assigned() for one in symbols)}


def _scopes(bindings: Bindings) -> tuple[set[Scope], dict[Scope, set[str]]]:
    used: dict[Scope, set[str]] = defaultdict(set)
    for name in bindings.used_names():
        for _, scope in bindings.names(name):
            used[scope].add(name)
    known = {*used, bindings.module, *(one.scope for one in bindings.imports)}
    for scope in list(known):
        outer = scope.parent
        while outer is not None:
            known.add(outer)
            outer = outer.parent
    return known, used


def _key(scope: Scope) -> _Key:
    if isinstance(scope.node, ast.Module):
        return "top", 0, False
    node = scope.node
    name = _KINDS.get(type(node)) or getattr(node, "name", "")
    return name.id if isinstance(name, ast.Name) else name, getattr(node, "lineno", 0), scope.is_types


def _kind(table: symtable.SymbolTable) -> str:
    return str(getattr(table.get_type(), "value", table.get_type()))
