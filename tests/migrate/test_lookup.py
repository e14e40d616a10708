"""An old dotted name is found by the longest old module that begins it, and its fate is what the table says."""

from __future__ import annotations

import pickle
from textwrap import dedent

import pytest

from ssot_engine.legacy.table import load_table
from ssot_engine.migrate.lookup import Fate, Lookup

TABLE = dedent("""
    since: "1.0"
    removed_in: "2.0"
    reason: it moved
    modules:
      old.whole: {kind: moved, replacement: new.whole}
      old.whole.part: {kind: renamed, replacement: new.piece}
      old.gone: {kind: removed, replacement: do it otherwise}
      old.parts:
        names:
          Same: {kind: moved, replacement: new.parts.Same}
          Old: {kind: renamed, replacement: new.other.New}
          Gone: {kind: removed, replacement: write it yourself}
          Odd: {kind: behaviour_changed, replacement: new.parts.Odd, reason: it is async now}
          get_*: {kind: removed, replacement: ask the factory}
          get_kept: {kind: moved, replacement: new.parts.get_kept}
      single: {kind: moved, replacement: new.single}
""")


@pytest.fixture(params=["as it is", "pickled"])
def lookup(request, tmp_path):
    """The table above; also as another process gets it."""
    path = tmp_path / "table.yaml"
    path.write_text(TABLE)
    made = Lookup(load_table(path))
    return made if request.param == "as it is" else pickle.loads(pickle.dumps(made))


FATES = {
    "old.whole": (Fate.MOVED, "old.whole", "", (), "new.whole"),
    "old.whole.X": (Fate.MOVED, "old.whole", "X", (), "new.whole.X"),
    "old.whole.X.method.y": (Fate.MOVED, "old.whole", "X", ("method", "y"), "new.whole.X.method.y"),
    "old.whole.part": (Fate.MOVED, "old.whole.part", "", (), "new.piece"),
    "old.whole.part.X": (Fate.MOVED, "old.whole.part", "X", (), "new.piece.X"),
    "old.whole.partly": (Fate.MOVED, "old.whole", "partly", (), "new.whole.partly"),
    "old.gone": (Fate.BY_HAND, "old.gone", "", (), None),
    "old.gone.X.y": (Fate.BY_HAND, "old.gone", "X", ("y",), None),
    "old.parts": (Fate.SCATTERED, "old.parts", "", (), None),
    "old.parts.Same": (Fate.MOVED, "old.parts", "Same", (), "new.parts.Same"),
    "old.parts.Old.method": (Fate.MOVED, "old.parts", "Old", ("method",), "new.other.New.method"),
    "old.parts.Gone": (Fate.BY_HAND, "old.parts", "Gone", (), None),
    "old.parts.Odd.x": (Fate.BY_HAND, "old.parts", "Odd", ("x",), None),
    "old.parts.get_it": (Fate.BY_HAND, "old.parts", "get_it", (), None),
    "old.parts.get_kept": (Fate.MOVED, "old.parts", "get_kept", (), "new.parts.get_kept"),
    "old.parts.forget_it": (Fate.UNKNOWN, "old.parts", "forget_it", (), None),
    "old.parts.Older": (Fate.UNKNOWN, "old.parts", "Older", (), None),
    "single.X": (Fate.MOVED, "single", "X", (), "new.single.X"),
}


@pytest.mark.parametrize(("name", "expected"), FATES.items())
def test_fates(lookup, name, expected):
    """Each name becomes what its entry says; a star is asked last."""
    found = lookup.resolve(name)
    assert expected == (found.fate, found.module, found.name, found.tail, found.new)


@pytest.mark.parametrize("name", ["old", "old.wholesome", "old.whole_2.X", "older.whole", "x.old.whole", "", "singles"])
def test_no_old_name(lookup, name):
    """A name that only looks like an old one, or is a package above them, is none."""
    assert lookup.resolve(name) is None


def test_what_stands_in_the_way(lookup):
    """An entry that is never applied comes with its reason and what to do."""
    found = lookup.resolve("old.parts.get_it.x")
    assert ("get_*", "ask the factory") == (found.former.name, found.former.replacement)
    assert "it is async now" == lookup.resolve("old.parts.Odd").former.reason
    assert lookup.resolve("old.parts.Nobody").former is None


def test_doors(lookup):
    """The door is what the census counts: the old name without attributes of it."""
    assert "old.parts.Old" == lookup.resolve("old.parts.Old.method").door
    assert "old.whole" == lookup.resolve("old.whole").door


def test_what_to_look_for(lookup):
    """First parts, packages above and new names are known at once."""
    assert {"old", "single"} == lookup.roots
    assert {"old", "old.whole"} == lookup.parents
    assert {
        "new.whole", "new.piece", "new.parts.Same", "new.other.New", "new.parts.Odd", "new.parts.get_kept",
        "new.single",
    } == lookup.targets  # fmt: skip
