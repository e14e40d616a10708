"""Chains of attributes behind a module's name in a file, and what the table says of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from ssot_engine.migrate.bindings import Bindings, Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.importing.plans import new_modules
from ssot_engine.migrate.lookup import Became, Fate
from ssot_engine.migrate.words import by_hand

_gap = rb"(?:[ \t\f\r\n]|\\\r?\n|\\\r)*"


class Use(NamedTuple):
    """A chain that begins with a module's name, and what became of it."""

    scope: Scope
    #: Of `a.b.c` the nodes `a`, `a.b` and `a.b.c`.
    links: tuple[ast.Name | ast.Attribute, ...]
    #: Its whole name, as if the module in it were not aliased.
    dotted: str
    became: Became | None

    @property
    def old_links(self) -> int:
        """How many of its links are the old name; the rest are attributes of that."""
        return len(self.links) - (len(self.became.tail) if self.became else 0)


def uses_of(draft: Draft, local: str, scope: Scope, module: str) -> list[Use]:
    """Every use of a name that means the binding of `scope`, which is a module; in the order of the file."""
    found = []
    for name, inner in draft.bindings.meaning(local, scope):
        links = tuple(_links(draft.bindings, name))
        dotted = ".".join([module, *(link.attr for link in links if isinstance(link, ast.Attribute))])
        found.append(Use(inner, links, dotted, draft.lookup.old_name(dotted)))
    return sorted(found, key=lambda use: (use.links[0].lineno, use.links[0].col_offset))


def _links(bindings: Bindings, name: ast.Name) -> Iterator[ast.Name | ast.Attribute]:
    yield name
    inner: ast.expr = name
    while isinstance(outer := bindings.parent(inner), ast.Attribute):
        yield outer
        inner = outer


def head_of(became: Became) -> str:
    """The new dotted name without the attributes behind the old name."""
    assert became.new is not None
    parts = became.new.split(".")
    return ".".join(parts[: len(parts) - len(became.tail)])


def span_of(draft: Draft, use: Use) -> tuple[int, int] | None:
    """Where the old name of a chain stands; None if that is not certain.

    There may be a comment or a parenthesis in it, and where an f-string has its parts the parser does not always know.
    """
    links = use.links[: use.old_links]
    words = [link.id if isinstance(link, ast.Name) else link.attr for link in links]
    try:
        start, end = draft.source.start(links[0]), draft.source.end(links[-1])
    except IndexError:
        return None
    pattern = (_gap + rb"\." + _gap).join(re.escape(word.encode()) for word in words)
    return (start, end) if re.fullmatch(pattern, draft.source.utf8[start:end]) else None


def is_missing(draft: Draft, use: Use) -> bool:
    """Whether the new module lacks the name; who looks at what the new modules bind tells of it."""
    became = use.became
    return became is not None and became.new is not None and draft.is_missing(head_of(became))


def names_in_types(draft: Draft, root: str, scope: Scope) -> list[str]:
    """Dotted names that begin with `root` in annotations of a scope that are written as strings."""
    chains = re.compile(rf"(?<![\w.]){re.escape(root)}(?:\.\w+)+")
    strings = (text for text in draft.bindings.strings if draft.bindings.is_annotation(text) and _is_in(text, scope))
    texts = (str(text.value) for text in strings)
    return [dotted for text in texts if root in text for dotted in chains.findall(text)]


def _is_in(text: ast.Constant, scope: Scope) -> bool:
    """Whether a string stands between the first and the last line of a scope."""
    node = scope.node
    if not isinstance(node, ast.stmt):
        return scope.is_module
    return node.lineno <= text.lineno <= (node.end_lineno or node.lineno)


def tell(draft: Draft, use: Use, why: str = "") -> None:
    """A use of an old name that a person has to change."""
    became = use.became
    assert became is not None
    if is_missing(draft, use):
        return
    if became.new is not None:
        todo = f"import {became.new} and use that"
        draft.found(use.links[0], Rule.USE, use.dotted, new=became.new, todo=f"{why}; {todo}" if why else todo)
        return
    targets = new_modules(draft.lookup, became.module) if became.fate is Fate.SCATTERED else ()
    rule, todo = by_hand(became, targets)
    draft.found(use.links[0], rule, use.dotted, todo=todo)
