"""Where dotted names lead: through modules, re-exports and star imports, without running any of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ssot_engine.migrate.source import NotReadable, Source
from ssot_engine.migrate.static.answers import Answer
from ssot_engine.migrate.static.located import Located, Locator
from ssot_engine.migrate.static.outline import Bound, Class, Function, Import, Outline, Star, Value, outline_of


class Lead(NamedTuple):
    """What a dotted name leads to: a name in the module that defines it, or a module if `name` is empty."""

    answer: Answer
    #: How far it was followed, where that is known.
    module: str = ""
    name: str = ""
    #: None for a module, for what is not known, and where branches differ.
    meaning: Function | Class | Value | None = None

    @property
    def is_module(self) -> bool:
        """Whether it is a module."""
        return self.answer is Answer.FOUND and not self.name


_MISSING = Lead(Answer.MISSING)
_UNKNOWN = Lead(Answer.UNKNOWN)

# Every module has them, or may.
_OF_MODULES = frozenset({
    "__annotations__", "__builtins__", "__cached__", "__class__", "__dict__", "__doc__", "__file__", "__loader__",
    "__name__", "__package__", "__spec__",
})  # fmt: skip


class Leads:
    """Follows names in modules that are found in folders, in their order. What was read is kept."""

    def __init__(self, search: Sequence[str]) -> None:
        self._locator = Locator(search)
        self._outlines: dict[str, Outline | None] = {}
        self._leads: dict[tuple[str, str], Lead] = {}
        self._asked: set[tuple[str, str]] = set()

    def of(self, dotted: str) -> tuple[Lead, tuple[str, ...]]:
        """Where a dotted name leads, and the attributes behind it, of what is no module."""
        root, *rest = dotted.split(".")
        lead = self._module(root)
        while rest and lead.is_module:
            lead = self.name_in(lead.module, rest.pop(0))
        return lead, tuple(rest)

    def _module(self, module: str) -> Lead:
        return _MISSING if self._locator.find(module) is None else Lead(Answer.FOUND, module)

    def expression(self, module: str, node: ast.expr) -> Lead:
        """Where a name, or a chain of attributes, leads in a module's code."""
        if isinstance(node, ast.Name):
            lead = self.name_in(module, node.id)
            return self._for_checkers(module, node.id) if lead.answer is Answer.MISSING else lead
        if isinstance(node, ast.Attribute):
            lead = self.expression(module, node.value)
            return self.name_in(lead.module, node.attr) if lead.is_module else _UNKNOWN
        return _UNKNOWN

    def outline(self, module: str) -> Outline | None:
        """What the source of a module binds; None if there is none that could be read."""
        if module not in self._outlines:
            located = self._locator.find(module)
            self._outlines[module] = None if located is None else _read(located)
        return self._outlines[module]

    # ------------------------------------------------------------------- names of modules

    def name_in(self, module: str, name: str) -> Lead:
        """Where a name of a module leads."""
        key = module, name
        if key in self._leads:
            return self._leads[key]
        if key in self._asked:
            # Modules that import a name from each other, and none defines it.
            return _UNKNOWN
        self._asked.add(key)
        lead = self._leads[key] = self._name_in(module, name)
        self._asked.discard(key)
        return lead

    def _name_in(self, module: str, name: str) -> Lead:
        located = self._locator.find(module)
        if located is None:
            return self._in_attribute(module, name)
        if (instead := self._instead(module)) is not None:
            return self.name_in(instead, name)
        lead = self._own(located, name)
        if lead.answer is Answer.FOUND:
            return lead
        if name in _OF_MODULES or (name == "__path__" and located.is_package):
            return Lead(Answer.FOUND, module, name, Value())
        # The interpreter may make other such names.
        return _UNKNOWN if name.startswith("__") and lead.answer is Answer.MISSING else lead

    def _instead(self, module: str) -> str | None:
        """The module that one puts in its own place."""
        outline = self.outline(module)
        bound = None if outline is None or outline.instead is None else outline.names.get(outline.instead)
        lead = _MISSING if bound is None else self._bound(bound, module, "")
        return lead.module if lead.is_module and lead.module != module else None

    def _in_attribute(self, module: str, name: str) -> Lead:
        """A name in a module that has no file: some make an attribute one, as `os` does with `os.path`."""
        above, _, attribute = module.rpartition(".")
        lead = self.name_in(above, attribute) if above else _MISSING
        if lead.is_module:
            return _perhaps(self.name_in(lead.module, name))
        return lead if lead.answer is Answer.MISSING else _UNKNOWN

    def _own(self, located: Located, name: str) -> Lead:
        """A name that a module binds, or a package's submodule."""
        outline = self.outline(located.module)
        bound = None if outline is None else outline.names.get(name)
        lead = _MISSING if bound is None else self._bound(bound, located.module, name)
        if lead.answer is not Answer.FOUND and located.is_package:
            inner = self._module(f"{located.module}.{name}")
            lead = lead if inner.answer is Answer.MISSING else inner
        if bound is not None or lead.answer is Answer.FOUND or located.is_namespace:
            return lead
        return Lead(Answer.UNKNOWN, located.module, name) if outline is None else self._unbound(outline, located, name)

    def _unbound(self, outline: Outline, located: Located, name: str) -> Lead:
        """A name that comes from a star import, or that a module makes when it runs."""
        lead = self._starred(outline, name)
        if lead.answer is not Answer.MISSING or not outline.is_open:
            return lead
        # Names that are imported for checkers, and answered by `__getattr__` when it runs.
        lead = self._for_checkers(located.module, name)
        return _UNKNOWN if lead.answer is Answer.MISSING else lead

    def _for_checkers(self, module: str, name: str) -> Lead:
        outline = self.outline(module)
        bound = None if outline is None else outline.for_checkers.get(name)
        return _MISSING if bound is None else self._bound(bound, module, name)

    def _bound(self, bound: Bound, module: str, name: str) -> Lead:
        found = [self._meant(meaning, module, name) for meaning in bound.meanings if not isinstance(meaning, Star)]
        stars = (self._through(meaning.module, name) for meaning in bound.meanings if isinstance(meaning, Star))
        found += [lead for lead in stars if lead.answer is not Answer.MISSING]
        if len(found) == 1:
            return found[0] if bound.is_certain else _perhaps(found[0])
        answers = {one.answer for one in found}
        if answers == {Answer.MISSING}:
            return _MISSING
        is_found = bound.is_certain and Answer.FOUND in answers
        return Lead(Answer.FOUND if is_found else Answer.UNKNOWN, module, name)

    def _meant(self, meaning: Import | Function | Class | Value, module: str, name: str) -> Lead:
        if isinstance(meaning, Import):
            if self._locator.find(meaning.module.partition(".")[0]) is None:
                # A dependency that is not installed here may be where the host runs.
                return _UNKNOWN
            return self.name_in(*meaning) if meaning.name else self._module(meaning.module)
        if isinstance(meaning, Value) and meaning.alias is not None:
            lead = self.expression(module, meaning.alias)
            if lead.answer is Answer.FOUND and not isinstance(lead.meaning, Value):
                return lead
        return Lead(Answer.FOUND, module, name, meaning)

    # ------------------------------------------------------------------- star imports

    def _starred(self, outline: Outline, name: str) -> Lead:
        for module, is_certain in reversed(outline.stars):
            lead = self._through(module, name)
            if lead.answer is not Answer.MISSING:
                return lead if is_certain else _perhaps(lead)
        return _MISSING

    def _through(self, module: str, name: str) -> Lead:
        """What a star import of a module gives for a name."""
        outline = self.outline(module)
        if outline is None:
            return _UNKNOWN
        is_public = self._is_public(outline, module, name)
        if is_public is False:
            return _MISSING
        lead = self.name_in(module, name)
        return lead if is_public else _perhaps(lead)

    def _is_public(self, outline: Outline, module: str, name: str) -> bool | None:
        """Whether a star import takes a name; None if that is only known when the module runs."""
        if "__all__" not in outline.names:
            return not name.startswith("_")
        public = outline.lists.get("__all__")
        if public is None or name in public:
            return None if public is None else True
        parts = [self._is_public_in(self.expression(module, part), name) for part in outline.public_of]
        return True if True in parts else None if None in parts else False

    def _is_public_in(self, lead: Lead, name: str) -> bool | None:
        outline = self.outline(lead.module) if lead.is_module else None
        return None if outline is None else self._is_public(outline, lead.module, name)


def _read(located: Located) -> Outline | None:
    file = located.file or located.stub
    if file is None:
        return None
    package = located.module if located.is_package else located.module.rpartition(".")[0]
    try:
        source = Source(Path(file).read_bytes())
    except (OSError, NotReadable):
        return None
    outline = outline_of(source.tree, package, source.utf8, is_stub=located.file is None)
    # A stub need not tell everything.
    outline.is_open |= located.file is None
    return outline


def _perhaps(lead: Lead) -> Lead:
    """The same, where it is not certain."""
    return lead._replace(answer=Answer.UNKNOWN) if lead.answer is Answer.FOUND else lead
