"""What modules export, read from their source: nothing of a host is imported or run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ssot_engine.migrate.literals import expression_in
from ssot_engine.migrate.static.answers import Answer, Definition, Parameters
from ssot_engine.migrate.static.classes import Definitions
from ssot_engine.migrate.static.leads import Leads

__all__ = ["Answer", "Definition", "Exports", "Parameters"]


class Exports:
    """Answers for names of modules that are found below `roots`, then on `search` (default: sys.path).

    A root is a folder that is imported from, or whose `src` is; or a package, of which the folder it is in is meant.
    """

    def __init__(self, roots: Sequence[Path] = (), search: Sequence[str] | None = None) -> None:
        below = [str(folder) for root in map(_outside, roots) for folder in (root, root / "src")]
        self._leads = Leads([*below, *(sys.path if search is None else search)])
        self._definitions = Definitions(self._leads)
        self._defined: dict[str, Definition | None] = {}

    def resolves(self, dotted: str) -> Answer:
        """Whether `module.Name.attribute` would be found."""
        lead, rest = self._leads.of(dotted)
        if not rest or lead.answer is not Answer.FOUND:
            return lead.answer
        definition = self._definitions.of(lead)
        for name in rest:
            if definition is None:
                return Answer.UNKNOWN
            found = definition.attributes.get(name)
            if found is None or found.is_of_instances:
                # Names between double underscores may be made by the interpreter.
                return Answer.UNKNOWN if definition.is_open or name.startswith("__") else Answer.MISSING
            if not found.is_certain:
                return Answer.UNKNOWN
            definition = found
        return Answer.FOUND

    def lacks(self, dotted: str) -> bool:
        """Whether the module of a name is found, and has not that name. Of a module that is not found, nobody knows."""
        return self._is_module_found(dotted) and self.resolves(dotted) is Answer.MISSING

    def _is_module_found(self, dotted: str) -> bool:
        above = dotted.rpartition(".")[0]
        while above and self.resolves(above) is not Answer.FOUND:
            above = above.rpartition(".")[0]
        return bool(above)

    def is_module(self, dotted: str) -> Answer:
        """Whether a module of that name can be imported; unknown where nothing of its package is found."""
        lead, rest = self._leads.of(dotted)
        if lead.is_module and not rest:
            return Answer.FOUND
        above, _, _ = dotted.rpartition(".")
        is_package = bool(above) and self._leads.of(above)[0].is_module
        # A package's `__getattr__` makes names, and no modules to import from.
        if is_package:
            return Answer.MISSING
        return self.is_module(above) if above else Answer.UNKNOWN

    def definition(self, dotted: str) -> Definition | None:
        """The class or function a dotted name leads to, also through imports of other modules; None: not known."""
        if dotted not in self._defined:
            self._defined[dotted] = self._define(dotted)
        return self._defined[dotted]

    def returned(self, function: Definition) -> Definition | None:
        """What a function says that its result is an instance of; None: not known."""
        named = expression_in(function.returns)
        return None if named is None else self._definitions.of(self._leads.expression(function.module, named))

    def _define(self, dotted: str) -> Definition | None:
        lead, rest = self._leads.of(dotted)
        definition = self._definitions.of(lead)
        for name in rest:
            definition = None if definition is None else definition.attributes.get(name)
        return definition


def _outside(root: Path) -> Path:
    """The folder a root is imported from."""
    folder = root.absolute()
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
