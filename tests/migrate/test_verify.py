"""Whether new names resolve, and which of them a file takes already."""

from __future__ import annotations

from pathlib import Path

import pytest
from entries import former

from ssot_engine.legacy.former import FormerModule, Kind, Table
from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.linting.adopted import adopted_names
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.reporting.verify import Verified, verify
from ssot_engine.migrate.scanning.examine import Examined
from ssot_engine.migrate.scanning.scan import Scanned
from ssot_engine.migrate.source import Source
from ssot_engine.migrate.static.exports import Answer, Exports


def lookup() -> Lookup:
    """Names that went to `new.core`, a module that went to `new.whole`, and entries that lead nowhere."""
    entries = {
        "A": former("old", "A", "new.core.A"),
        "B": former("old", "B", "new.core.Missing", Kind.BEHAVIOUR_CHANGED),
        "C": former("old", "C", "new.dynamic.C"),
        "D": former("old", "D", "do without it", Kind.REMOVED),
    }
    modules = {
        "old": FormerModule(module="old", names=entries),
        "olden": FormerModule(module="olden", whole=former("olden", "", "new.whole")),
    }
    return Lookup(Table(modules=modules, source="table.yaml"))


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    """The new modules."""
    (tmp_path / "new").mkdir()
    texts = {"__init__": "", "core": "class A:\n  def run(self): ...", "whole": "x = 1", "dynamic": "exec('C = 1')"}
    for name, text in texts.items():
        (tmp_path / f"new/{name}.py").write_text(text)
    return Exports([tmp_path])


def scanned(*examined: Examined) -> Scanned:
    """A scan that found this."""
    return Scanned(
        files=1, candidates=1, examined=examined, problems=(), left_alone=(), processes=1, why_processes="",
        duration_s=0.0,
    )  # fmt: skip


def found(line: int, new: str | None, todo: str = "", path: str = "a.py") -> Finding:
    """A reference to an old name."""
    return Finding(path=path, line=line, column=1, rule=Rule.IMPORT, old="old.A", new=new, todo=todo)


def test_the_table_itself_is_verified(exports: Exports) -> None:
    """Every replacement is looked up, also without a tree: what is missing first, then what is not known."""
    assert [
        ("new.core.Missing", Answer.MISSING),
        ("new.dynamic.C", Answer.UNKNOWN),
        ("new.core.A", Answer.FOUND),
        ("new.whole", Answer.FOUND),
    ] == [(one.name, one.answer) for one in verify(scanned(), lookup(), exports)]
    assert {(("table.yaml",), 0)} == {(one.used_at, one.uses) for one in verify(scanned(), lookup(), exports)}


def test_uses_of_the_rewritten_tree_are_verified(exports: Exports) -> None:
    """What the tool rewrites and what is new already counts where it is; what a person has to change does not yet."""
    tree = scanned(
        Examined(
            path="a.py", findings=(found(1, "new.core.A"), found(2, "new.core.A.stop"), found(3, "new.no.Z", "do"))
        ),
        Examined(path="b.py", findings=(found(9, None),), adopted=(("new.core.A", 7), ("new.whole.y", 8))),
    )
    verified = {one.name: one for one in verify(tree, lookup(), exports)}
    assert {"new.core.A", "new.core.A.stop", "new.core.Missing", "new.dynamic.C", "new.whole", "new.whole.y"} == set(
        verified
    )
    assert (
        Verified(name="new.core.A", answer=Answer.FOUND, used_at=("a.py:1", "b.py:7"), uses=2) == verified["new.core.A"]
    )
    assert (Answer.MISSING, ("a.py:2",)) == (verified["new.core.A.stop"].answer, verified["new.core.A.stop"].used_at)
    assert (Answer.MISSING, ("b.py:8",)) == (verified["new.whole.y"].answer, verified["new.whole.y"].used_at)


def test_at_most_ten_places_are_told(exports: Exports) -> None:
    """All uses are counted, and the first ten places named, each once."""
    lines = [1, 1, *range(2, 30)]
    tree = scanned(Examined(path="a.py", findings=tuple(found(line, "new.core.A") for line in lines)))
    one = next(one for one in verify(tree, lookup(), exports) if one.name == "new.core.A")
    assert (30, tuple(f"a.py:{line}" for line in range(1, 11))) == (one.uses, one.used_at)


ADOPTED: list[tuple[str, list[tuple[str, int]]]] = [
    ("from new.core import A", [("new.core.A", 1)]),
    ("from new.core import (\n  A,\n  B as C,\n)", [("new.core.A", 2), ("new.core.B", 3)]),
    ("from new.core import *", [("new.core", 1)]),
    ("from new import core, other", [("new.core", 1)]),
    ("from new import core\ncore.A.run", [("new.core", 1), ("new.core.A", 2)]),
    ("import new.core as c\nc.A()\nc.B", [("new.core", 1), ("new.core.A", 2), ("new.core.B", 3)]),
    ("import new.core\nnew.core.A.run()\nnew.other.x", [("new.core", 1), ("new.core.A", 2)]),
    ("import new\nnew.core.A", [("new.core.A", 2)]),
    ("import new.core as c\ndef f(c): c.A", [("new.core", 1)]),
    ("import new.whole\nfrom new.whole import x", [("new.whole", 1), ("new.whole.x", 2)]),
    ("patch('new.core.A.run')\nimport_module('new.core')", [("new.core.A.run", 1), ("new.core", 2)]),
    ("log('new.core.A')\n'new.core.A'", []),
    ("from newer.core import A\nfrom other import new\nnew.core.A", []),
    ("from .core import A", [("new.core.A", 1)]),
]


@pytest.mark.parametrize(("code", "names"), ADOPTED)
def test_names_of_new_modules_are_counted(code: str, names: list[tuple[str, int]]) -> None:
    """Names that a file takes from new modules are told with their lines, by whatever way it takes them."""
    source = Source(code.encode())
    place = Place(path="host.py", names=("new.host",), is_package=False)
    assert names == list(adopted_names(Draft(source, place, lookup(), Bindings(source.tree))))
