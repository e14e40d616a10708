"""What is to become of one file, while it is being worked out."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from ssot_engine.migrate.bindings import Bindings, ImportAt
from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.source import Edit, Source


class KeptAlias(NamedTuple):
    """A local name that stays the old one: `from old import Old` became `from new import New as Old`."""

    #: As the file calls it.
    local: str
    #: As its new module calls it.
    new_leaf: str
    import_at: ImportAt
    alias: ast.alias


class Draft:
    """A file, and what is collected about it: edits in offsets of `source.utf8`, and findings."""

    def __init__(self, source: Source, place: Place, lookup: Lookup, bindings: Bindings) -> None:
        self.source = source
        self.place = place
        self.lookup = lookup
        self.bindings = bindings
        self.edits: list[Edit] = []
        self.findings: list[Finding] = []
        #: Local names that differ from their new ones; filled when the imports are worked out.
        self.kept: list[KeptAlias] = []
        #: Local names to be written without `as`, whoever sets them renames their uses too; before the imports.
        self.unaliased: frozenset[str] = frozenset()
        #: Whether a new dotted name is certainly not there.
        self.is_missing: Callable[[str], bool] = lambda dotted: False

    def edit(self, start: int, end: int, new: bytes) -> None:
        """Replace some bytes."""
        self.edits.append(Edit(start, end, new))

    def found(
        self,
        at: ast.stmt | ast.expr | ast.alias | int,
        rule: Rule,
        old: str,
        *,
        new: str | None = None,
        todo: str = "",
        note: str = "",
    ) -> None:
        """Tell of something at a node, or at an offset."""
        line, column = self.source.place(at if isinstance(at, int) else self.source.start(at))
        self.findings.append(
            Finding(path=self.place.path, line=line, column=column, rule=rule, old=old, new=new, todo=todo, note=note)
        )
