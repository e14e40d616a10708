"""New names that a file takes from their new modules already."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from ssot_engine.migrate.bindings import ImportAt
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.source import NotReadable
from ssot_engine.migrate.texts.config_text import format_of

# What takes a dotted name as its first argument; elsewhere it may be a text like any other.
_TAKE_NAMES = frozenset(
    {"patch", "multiple", "setattr", "delattr", "import_module", "__import__", "find_spec", "importorskip"}
)

_dotted = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.\w+)+").finditer


class NewNames:
    """The modules that a table's replacements are in, or are."""

    def __init__(self, lookup: Lookup) -> None:
        #: Modules that took an old one's place whole.
        self.whole = frozenset(
            module.whole.replacement
            for module in lookup.modules.values()
            if module.whole is not None and module.whole.replacement in lookup.targets
        )
        names = lookup.targets - self.whole
        #: Modules that names went to.
        self.modules = self.whole | {name.rpartition(".")[0] for name in names}
        #: Packages above them, and the first parts of all.
        self.parents = frozenset(parent for module in self.modules for parent in _above(module))

        self.roots = frozenset(module.partition(".")[0] for module in self.modules)

    def is_within(self, dotted: str) -> bool:
        """Whether a dotted name is a new module, or a name in one."""
        return dotted in self.modules or any(parent in self.modules for parent in _above(dotted))


@functools.lru_cache(maxsize=8)
def new_names(lookup: Lookup) -> NewNames:
    """The new modules of a table, worked out once."""
    return NewNames(lookup)


def adopted_names(draft: Draft) -> tuple[tuple[str, int], ...]:
    """Every reference to a new module or to a name in one: the dotted name and its line, in the order of the file."""
    new = new_names(draft.lookup)
    found = [*_imported(draft, new), *_in_strings(draft, new)]
    return tuple(sorted(set(found), key=lambda one: (one[1], one[0])))


def adopted_in_config(raw: bytes, path: str, lookup: Lookup) -> tuple[tuple[str, int], ...]:
    """The same of a YAML, TOML or INI file, in its keys and values; nothing of one that cannot be read."""
    new = new_names(lookup)
    if not any(root.encode() in raw for root in new.roots):
        return ()
    try:
        text, form = raw.decode("utf-8-sig"), format_of(path)
        form.meaning(text)
    except (UnicodeDecodeError, NotReadable):
        return ()
    return tuple(
        (match[0], text.count("\n", 0, part.start + match.start()) + 1)
        for part in form.parts(text)
        for match in _dotted(text[part.start : part.end])
        if new.is_within(match[0])
    )


def _imported(draft: Draft, new: NewNames) -> Iterator[tuple[str, int]]:
    for one in draft.bindings.imports:
        if isinstance(one.node, ast.Import):
            for alias in one.node.names:
                yield from _module(draft, new, one, alias)
        else:
            yield from _names(draft, new, one, one.node)


def _module(draft: Draft, new: NewNames, one: ImportAt, alias: ast.alias) -> Iterator[tuple[str, int]]:
    if not (new.is_within(alias.name) or alias.name in new.parents):
        return
    if new.is_within(alias.name):
        yield alias.name, alias.lineno
    root = alias.name.partition(".")[0]
    yield from _uses(draft, new, one, alias.asname or root, alias.name if alias.asname else root)


def _names(draft: Draft, new: NewNames, one: ImportAt, node: ast.ImportFrom) -> Iterator[tuple[str, int]]:
    modules = draft.place.absolute(node.level, node.module)
    module = next((name for name in modules if new.is_within(name) or name in new.parents), None)
    if module is None:
        return
    for alias in node.names:
        dotted = module if alias.name == "*" else f"{module}.{alias.name}"
        if new.is_within(dotted):
            yield dotted, alias.lineno
        if dotted in new.modules or dotted in new.parents:
            yield from _uses(draft, new, one, alias.asname or alias.name, dotted)


def _uses(draft: Draft, new: NewNames, one: ImportAt, local: str, means: str) -> Iterator[tuple[str, int]]:
    """Names of new modules that are reached through a local name of a module or package."""
    owner = draft.bindings.where(local, one.scope)
    for name in draft.bindings.uses(local, owner) if owner is not None else ():
        dotted, node = means, draft.bindings.parent(name)
        while isinstance(node, ast.Attribute):
            dotted = f"{dotted}.{node.attr}"
            if dotted not in new.modules and new.is_within(dotted):
                yield dotted, node.lineno
                break
            node = draft.bindings.parent(node)


def _in_strings(draft: Draft, new: NewNames) -> Iterator[tuple[str, int]]:
    for string in draft.bindings.strings:
        text = str(string.value)
        if "." in text and text.replace(".", "_").isidentifier() and new.is_within(text):
            call = draft.bindings.parent(string)
            if isinstance(call, ast.Call) and call.args[:1] == [string] and _called(call.func) in _TAKE_NAMES:
                yield text, string.lineno


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
