"""Python before and after its imports were rewritten: what the tests of imports and uses share."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence

from ssot_engine.legacy.former import FormerModule, FormerName, Kind, Table
from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding
from ssot_engine.migrate.importing.imports import rewrite_imports
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.source import Source, edited

#: Old modules: a string is where the whole module went, a mapping where its names went; "!" is behaviour changed, "-"
#: is removed.
Written = Mapping[str, str | Mapping[str, str]]

OLD: Written = {
    "app.one": {
        "Old": "new.alpha.New",
        "Same": "new.alpha.Same",
        "Two": "new.alpha.Two",
        "Other": "new.beta.Other",
        "Gone": "-use a container",
        "Changed": "!new.beta.Changed",
        "old_*": "-use nothing",
    },
    "app.pack.single": {"Only": "new.alpha.Only", "First": "new.alpha.Primary"},
    "app.whole": "new.whole",
    "app.flat": "flat",
    "app.gone": "-delete it",
    "top": "new.top",
    "app.again": {"Old": "new.alpha.New", "Same": "new.alpha.Same"},
}


def table(written: Written, kept: Sequence[str] = ()) -> Table:
    """A table of old names in short; of the modules in `kept` the host's own file is used."""
    modules = {name: _module(name, one, is_kept=name in kept) for name, one in written.items()}
    return Table(modules=modules, source="table.yaml")


def _module(module: str, written: str | Mapping[str, str], *, is_kept: bool) -> FormerModule:
    if isinstance(written, str):
        return FormerModule(module=module, whole=_former(module, "", written), yields_to_host=is_kept)
    names = {name: _former(module, name, one) for name, one in written.items()}
    return FormerModule(module=module, names=names, yields_to_host=is_kept)


def _former(module: str, name: str, written: str) -> FormerName:
    marks = {"-": Kind.REMOVED, "!": Kind.BEHAVIOUR_CHANGED}
    replacement = written.lstrip("-!")
    kind = marks.get(written[0], Kind.MOVED if replacement.endswith(f".{name}") else Kind.RENAMED)
    reason = "it was so"
    return FormerName(
        module=module, name=name, kind=kind, reason=reason, replacement=replacement, since="0.1", removed_in="2.0"
    )


def draft_of(code: bytes, *, written: Written = OLD, module: str = "host.user", is_package: bool = False) -> Draft:
    """A file of the host, its imports worked out."""
    source = Source(code)
    place = Place(path="user.py", names=(module,), is_package=is_package)
    draft = Draft(source, place, Lookup(table(written)), Bindings(source.tree))
    rewrite_imports(draft)
    return draft


def migrated(
    code: bytes, *, written: Written = OLD, module: str = "host.user", is_package: bool = False
) -> tuple[bytes, list[Finding]]:
    """The bytes afterwards, and what was found; they parse, and a second run changes nothing."""
    draft = draft_of(code, written=written, module=module, is_package=is_package)
    after = edited(code, draft.edits)
    ast.parse(after)
    second = draft_of(after, written=written, module=module, is_package=is_package)
    assert [] == second.edits
    assert [] == [one for one in second.findings if not one.by_hand]
    assert bool(draft.edits) == any(not one.by_hand for one in draft.findings)
    return after, draft.findings


def after(before: str, *, written: Written = OLD, module: str = "host.user", is_package: bool = False) -> str:
    """The text afterwards."""
    text = textwrap.dedent(before).encode()
    return migrated(text, written=written, module=module, is_package=is_package)[0].decode()


def by_hand(before: str, *, written: Written = OLD, module: str = "host.user") -> list[tuple[int, str, str]]:
    """Line, rule and old name of what is left to a person."""
    _, findings = migrated(textwrap.dedent(before).encode(), written=written, module=module)
    return sorted((one.line, one.rule.value, one.old) for one in findings if one.by_hand)


def rewritten(before: str, *, written: Written = OLD, module: str = "host.user") -> list[tuple[int, str, str, str]]:
    """Line, rule, old and new name of what the tool rewrites."""
    _, findings = migrated(textwrap.dedent(before).encode(), written=written, module=module)
    return sorted((one.line, one.rule.value, one.old, one.new or "") for one in findings if not one.by_hand)
