"""Every reference of a generated host is migrated or told, whatever its shape, and nothing else changes.

What a file means is found by running it, before and after; `tests/chaos/migrate_corpus.py` does the same for longer.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import corpus_rows
import pytest
from corpus import BLOCKS, LINES, Module, sweep, trees
from corpus_shapes import SHAPES
from corpus_world import BY_HAND
from hypothesis import HealthCheck, Phase, given, settings
from oracle import Ours, Wrong, judge

#: How often the sweep takes each shape, each time in another wrap.
OF_EACH = 4

Judged = dict[str, list[Wrong]]


def by_path(wrong: Sequence[Wrong]) -> Judged:
    """What is wrong, by the file it is in."""
    found: Judged = {}
    for one in wrong:
        found.setdefault(one.module.path, []).append(one)
    return found


def text(wrong: Sequence[Wrong]) -> str:
    """The first few, to be read."""
    return "\n\n".join(map(str, wrong[:5]))


@pytest.fixture(scope="module")
def swept() -> list[list[Module]]:
    """Every shape in several wraps, each in a file of its own; lists of a file and its companions."""
    return list(sweep(1, OF_EACH))


@pytest.fixture(scope="module")
def sweep_judged(swept: list[list[Module]], tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """One migration of all of them."""
    modules = [module for group in swept for module in group]
    return by_path(judge(tmp_path_factory.mktemp("sweep") / "host", modules, Ours()))


@pytest.fixture(scope="module")
def rows_judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """One migration of all rows."""
    return by_path(judge(tmp_path_factory.mktemp("rows") / "host", list(corpus_rows.MODULES.values()), Ours()))


# ------------------------------------------------------------------ the toolkit


@pytest.mark.parametrize("row", sorted(corpus_rows.MODULES))
def test_row(rows_judged: Judged, row: str) -> None:
    """An input shape of the contract becomes what the contract says."""
    wrong = rows_judged.get(corpus_rows.MODULES[row].path, [])
    assert not wrong, text(wrong)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shape(swept: list[list[Module]], sweep_judged: Judged, name: str) -> None:
    """A shape is migrated or told wherever it stands: in functions, classes, try, one-liners, packages, any layout."""
    groups = [group for group in swept if group[0].placed[0].name == name]
    assert OF_EACH == len(groups)
    wrong = [one for group in groups for module in group for one in sweep_judged.get(module.path, [])]
    assert not wrong, text(wrong)


def test_nothing_else_of_the_host_changes(swept: list[list[Module]], sweep_judged: Judged, rows_judged: Judged) -> None:
    """Old modules, new ones, the table and all modes stay as they are."""
    own = {module.path for group in swept for module in group} | {one.path for one in corpus_rows.MODULES.values()}
    wrong = [one for path, found in [*sweep_judged.items(), *rows_judged.items()] if path not in own for one in found]
    assert not wrong, text(wrong)


@settings(
    max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(modules=trees())
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, modules: list[Module]) -> None:
    """Shapes that stand in one file together do not disturb each other."""
    folder = tmp_path_factory.mktemp("tree")
    try:
        wrong = judge(folder / "host", modules, Ours())
        assert not wrong, text(wrong)
    finally:
        shutil.rmtree(folder)


def test_renamed_uses_mean_the_same(tmp_path: Path) -> None:
    """Where local names follow the new ones, every file still tells what it told."""
    modules = [module for group in sweep(2, 2) for module in group]
    wrong = judge(tmp_path / "host", modules, Ours(rename_uses=True), uses_stay=False)
    assert not wrong, text(wrong)


# ------------------------------------------------------------------ the corpus


def test_every_shape_and_every_wrap_is_met(swept: list[list[Module]]) -> None:
    """The sweep leaves none out."""
    placed = [one for group in swept for module in group for one in module.placed]
    assert set(SHAPES) == {one.name for one in placed}
    assert {*BLOCKS, *LINES} <= {wrap for one in placed for wrap in one.wraps}
    rows = {one.row for one in placed} | {one.placed[0].row for one in corpus_rows.MODULES.values() if one.placed}
    assert {*range(1, 32), 34} - {30} <= rows
    layouts = Counter(_layout(module.raw) for group in swept for module in group)
    assert {"crlf", "cr", "lf", "bom", "latin-1", "open end"} <= {one for names in layouts for one in names}


def _layout(raw: bytes) -> tuple[str, ...]:
    names = [
        ("crlf", b"\r\n" in raw),
        ("cr", bool(re.search(rb"\r(?!\n)", raw))),
        ("lf", bool(re.search(rb"(?<!\r)\n", raw))),
        ("bom", raw.startswith(b"\xef\xbb\xbf")),
        ("latin-1", b"coding: latin-1" in raw),
        ("open end", not raw.endswith((b"\r", b"\n"))),
    ]
    return tuple(name for name, holds in names if holds)


def test_by_hand_names_are_all_met(swept: list[list[Module]]) -> None:
    """Each kind of name that no tool may lead anywhere is among the shapes."""
    rules = {rule for group in swept for one in group[0].placed for _, rules in one.piece.by_hand for rule in rules}
    assert {rule for names in BY_HAND.values() for rule in names.values()} <= rules
