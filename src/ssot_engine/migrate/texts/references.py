"""Old dotted names as text spells them, and what is written in their place."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.importing.plans import new_modules
from ssot_engine.migrate.lookup import Became, Fate, Lookup
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.words import by_hand

#: Longer than any name: what is longer is not looked up.
_LONGEST = 1000
#: Up to so many roots, looking for one after the other is faster than one expression for all.
_FEW = 4


class Reference(NamedTuple):
    """An old dotted name at characters `start` to `end` of some text, and what becomes of it."""

    start: int
    end: int
    rule: Rule
    old: str
    new: str | None
    #: Empty if it is rewritten.
    todo: str
    #: What is written in its place; empty if that is left to a person.
    text: str

    def left(self, todo: str) -> Reference:
        """The same, left to a person."""
        return self if self.todo else self._replace(todo=todo, text="")


class References:
    """Finds old names in text. What moved to where nothing of its name is found is left to a person.

    A module without a dot in its name cannot be told from a word, so only `of` knows it.
    """

    def __init__(self, lookup: Lookup, exports: Exports, rule: Rule) -> None:
        self._lookup = lookup
        self._exports = exports
        self._rule = rule
        self._forms = _forms(lookup.roots)
        #: Whether the first part of an old name is anywhere in a text; quick, as most texts get no other look.
        self.may_hold = self._forms.may_hold

    def of(self, dotted: str) -> Reference | None:
        """The old name that a whole dotted name is; None if it is none."""
        became = self._became(dotted)
        return None if became is None else self._judged(became, dotted)

    def whole(self, text: str) -> Reference | None:
        """The old name that all of a text is, as `module.name`, `module:name` or `module.*`, blanks around it aside."""
        match = self._forms.whole.fullmatch(text)
        return None if match is None else self._read(match)

    def within(self, text: str) -> Iterator[Reference]:
        """All old names in a text that stand for themselves: no parts of longer words, of paths or of addresses."""
        for match in self._forms.within.finditer(text):
            found = self._read(match)
            if found is not None:
                yield found

    def beginning(self, text: str, *, goes_on: bool = False) -> Reference | None:
        """The old name that a text begins which the program completes: "old.module." or "old.module.{}".

        `goes_on`: the text itself is only the beginning, its end is the place where something is put in.
        """
        match = self._forms.beginning.fullmatch(text) if goes_on else self._forms.template.match(text)
        return None if match is None else self._begun(match["begun"], match.start("begun"), match.end("begun"))

    # ------------------------------------------------------------------- what becomes of it

    def _read(self, match: re.Match[str]) -> Reference | None:
        name, attributes = match["name"], match["attributes"]
        start, end = match.span("name")
        became = self._became(name)
        if became is None:
            return None
        if not attributes or became.name:
            return self._judged(became, name)._replace(start=start, end=end)
        found = self.of(f"{name}.{attributes}")
        if found is None:
            return None
        return found._replace(start=start, end=match.end("attributes"), text=_with_colon(found.text, attributes))

    def _became(self, dotted: str) -> Became | None:
        return self._lookup.old_name(dotted) if len(dotted) < _LONGEST else None

    def _judged(self, became: Became, dotted: str) -> Reference:
        if became.fate is not Fate.MOVED or became.new is None:
            rule, todo = by_hand(became, new_modules(self._lookup, became.module))
            return Reference(0, len(dotted), rule, dotted, None, todo, "")
        if self._exports.lacks(became.new):
            todo = f"{became.new} is not found; name the place where the new code binds or looks it up"
            return Reference(0, len(dotted), Rule.UNBOUND_NAME, dotted, became.new, todo, "")
        return Reference(0, len(dotted), self._rule, dotted, became.new, "", became.new)

    def _begun(self, text: str, start: int, end: int) -> Reference | None:
        complete, _, cut = text.replace(":", ".").rpartition(".")
        became = self._became(complete)
        if became is None and cut:
            became = self._became(f"{complete}.{cut}")
            if became is None:
                return self._cut(complete, cut, start, end)
            complete = f"{complete}.{cut}"
        if became is None:
            return None
        if became.fate is Fate.MOVED:
            todo = f"it is put together while the program runs; let it begin with {became.new}"
            return Reference(start, end, self._rule, complete, became.new, todo, "")
        return self._judged(became, complete)._replace(start=start, end=end)

    def _cut(self, package: str, cut: str, start: int, end: int) -> Reference | None:
        """Of a text that ends inside of a module's name."""
        begun = f"{package}.{cut}"
        siblings = (name for name in self._lookup.modules if name.rpartition(".")[0] == package)
        may_be = [name for name in siblings if name.startswith(begun)]
        if not package or not may_be:
            return None
        todo = f"it is put together while the program runs, and may become {may_be[0]}; write the new names"
        return Reference(start, end, self._rule, begun, None, todo, "")


def _with_colon(text: str, attributes: str) -> str:
    """A new name with its colon where the old one had it: before as many parts from its end."""
    parts = text.split(".")
    cut = len(parts) - attributes.count(".") - 1
    return f"{'.'.join(parts[:cut])}:{'.'.join(parts[cut:])}" if text else ""


class _Forms(NamedTuple):
    """How old names are found: quickly, as all of a text, anywhere in it, and as its beginning."""

    may_hold: Callable[[str], bool]
    whole: re.Pattern[str]
    within: re.Pattern[str]
    beginning: re.Pattern[str]
    template: re.Pattern[str]


@functools.lru_cache(maxsize=8)
def _forms(roots: frozenset[str]) -> _Forms:
    # None of the repetitions gives back what it took, so that none of this takes more than linear time.
    root = f"(?:{'|'.join(re.escape(name) for name in sorted(roots, reverse=True)) or '(?!)'})"
    name = rf"(?P<name>{root}(?:\.\w+)++)"
    # In "ignore::old.module.Warning:old.module" no attributes follow the colon.
    attributes = rf"(?::(?!{root}\b)(?P<attributes>[^\W\d]\w*+(?:\.\w+)*+))?+"
    begun = rf"(?P<begun>{root}(?:\.\w+)*+[.:]?+)"
    return _Forms(
        _any_of(roots),
        re.compile(rf"\s*+{name}{attributes}(?:\.\*)?+\s*+"),
        re.compile(rf"(?<![\w.@/\\]){name}{attributes}(?![\w/@]|-\w)"),
        re.compile(begun),
        re.compile(rf"{begun}(?:(?<=[.:])\Z|\{{|%[sdr(])"),
    )


def _any_of(roots: frozenset[str]) -> Callable[[str], bool]:
    if len(roots) > _FEW:
        search = re.compile("|".join(map(re.escape, roots))).search
        return lambda text: search(text) is not None

    def holds(text: str) -> bool:
        # A loop, not any(): the generator of any() costs more than all else here.
        for root in roots:  # noqa: SIM110
            if root in text:
                return True
        return False

    return holds
