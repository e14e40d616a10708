"""One file, examined."""

from __future__ import annotations

import gc
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
from before_after import OLD, table

from ssot_engine.legacy.former import FormerModule, Table
from ssot_engine.migrate.findings import LeftAlone, Problem, Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning import examine as examining
from ssot_engine.migrate.scanning.examine import Examined, Task, examine
from ssot_engine.migrate.source import Edit, edited
from ssot_engine.migrate.static.exports import Exports


def examined(folder: Path, name: str, raw: bytes | str, task: Task | None = None, **more: Any) -> Examined:
    """What is said of a file with this content."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = raw.encode() if isinstance(raw, str) else raw
    file.write_bytes(raw)
    return examine(file, raw, task or Task(lookup=Lookup(table(OLD))), Exports([folder], []), **more)


def package(folder: Path, *names: str) -> None:
    """Folders that are packages."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").touch()


def test_file_is_rewritten_in_its_own_bytes(tmp_path: Path) -> None:
    """What is said of a file has its edits in offsets of its own bytes, and the digest of those."""
    raw = "# coding: latin-1\nname = 'é'\nfrom app.one import Old\n".encode("latin-1")
    found = examined(tmp_path, "consumer.py", raw)
    assert raw.replace(b"app.one import Old", b"new.alpha import New as Old") == edited(raw, found.edits)
    assert hashlib.sha256(raw).hexdigest() == found.digest
    assert [(3, Rule.IMPORT, "app.one.Old", "new.alpha.New")] == [
        (one.line, one.rule, one.old, one.new) for one in found.findings
    ]
    assert (tmp_path / "consumer.py").as_posix() == found.path == found.findings[0].path


def test_what_holds_nothing_has_nothing_to_say(tmp_path: Path) -> None:
    """A candidate that names no old module has neither findings nor edits nor a digest."""
    found = examined(tmp_path, "consumer.py", "app = one = 'app one'\n")
    assert Examined(path=(tmp_path / "consumer.py").as_posix()) == found


def test_findings_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Whoever found something: what is first in the file is told first."""
    text = "target = 'app.one.Old'\nfrom app.one import Same\nother = 'app.one.Two'\nimport app.whole\n"
    assert [1, 2, 3, 4] == [one.line for one in examined(tmp_path, "consumer.py", text).findings]


def test_configuration_is_examined_as_such(tmp_path: Path) -> None:
    """A file with an ending of configuration is no Python."""
    package(tmp_path, "new")
    (tmp_path / "new/alpha.py").write_text("class New: pass\n")
    found = examined(tmp_path, "settings.toml", 'engine = "app.one.Old"\n')
    assert [(Rule.CONFIG, "new.alpha.New")] == [(one.rule, one.new) for one in found.findings]
    assert b'engine = "new.alpha.New"\n' == edited((tmp_path / "settings.toml").read_bytes(), found.edits)


def test_any_other_file_is_python(tmp_path: Path) -> None:
    """A script without an ending, or what was given itself, is examined as Python."""
    text = "#!/usr/bin/env python3\nfrom app.one import Same\n"
    assert text.replace("app.one", "new.alpha").encode() == edited(text.encode(), examined(tmp_path, "run", text).edits)


# ------------------------------------------------------------------ what is left alone


def test_old_module_is_left_alone(tmp_path: Path) -> None:
    """The file of an old module is not rewritten, and that is told."""
    package(tmp_path, "app")
    found = examined(tmp_path, "app/one.py", "from app.whole import x\nclass Old: pass\n")
    left = LeftAlone(path=found.path, reason="is the old module 'app.one' itself", module="app.one")
    assert Examined(path=found.path, left_alone=left) == found


def test_module_without_packages_is_found(tmp_path: Path) -> None:
    """An old module is known as one also where no `__init__.py` says where its name begins."""
    assert examined(tmp_path, "app/pack/single.py", "import app.whole\n").left_alone is not None
    assert examined(tmp_path, "app/pack/double.py", "import app.whole\n").left_alone is None


def test_parts_of_an_old_package_are_left_alone(tmp_path: Path) -> None:
    """Of a package that moved whole every module is the old one's; of one whose names moved, only itself is."""
    package(tmp_path, "app", "app/whole", "app/one")
    text = "from app.again import Old\n"
    assert "is the old module 'app.whole' itself" == _left(examined(tmp_path, "app/whole/__init__.py", text))
    assert "belongs to the old module 'app.whole'" == _left(examined(tmp_path, "app/whole/deep/part.py", text))
    assert "is the old module 'app.one' itself" == _left(examined(tmp_path, "app/one/__init__.py", text))
    assert "" == _left(examined(tmp_path, "app/one/part.py", text))


def _left(found: Examined) -> str:
    return "" if found.left_alone is None else found.left_alone.reason


def test_module_that_is_the_hosts_own_is_rewritten(tmp_path: Path) -> None:
    """A module which the table leaves to the host is a file like any other."""
    modules = dict(table(OLD).modules)
    modules["app.one"] = FormerModule(module="app.one", names=modules["app.one"].names, yields_to_host=True)
    task = Task(lookup=Lookup(Table(modules=modules, source="table.yaml")))
    package(tmp_path, "app")
    found = examined(tmp_path, "app/one.py", "from app.again import Old\n", task)
    assert (None, 1) == (found.left_alone, len(found.findings))


def test_old_module_is_still_inspected(tmp_path: Path) -> None:
    """Second definitions of canonical names are where the old modules are: they are found there, and stay."""
    written = {"app.one": {"ExecutionEngineFactory": "ssot_engine.factory.ExecutionEngineFactory"}}
    task = Task(lookup=Lookup(table(written)), ssot=True)
    package(tmp_path, "app")
    found = examined(tmp_path, "app/one.py", "class ExecutionEngineFactory:\n    pass\n", task)
    assert "is the old module 'app.one' itself" == _left(found)
    assert [Rule.DUPLICATE_DEFINITION] == [one.rule for one in found.findings]
    assert () == found.edits


def test_product_is_left_alone(tmp_path: Path) -> None:
    """The files of this package are not rewritten; a host's folder that is only called so is."""
    package(tmp_path, "ssot_engine", "ssot_engine/deep")
    text = "from app.one import Old\n"
    assert "belongs to ssot_engine itself" == _left(examined(tmp_path, "ssot_engine/deep/module.py", text))
    assert "" == _left(examined(tmp_path / "checkouts", "ssot_engine/app/consumer.py", text))


def test_product_is_rewritten_by_a_table_of_its_own_names(tmp_path: Path) -> None:
    """A table whose old names are this package's is meant for its files."""
    task = Task(lookup=Lookup(table({"ssot_engine.old": "ssot_engine.new"})))
    package(tmp_path, "ssot_engine")
    found = examined(tmp_path, "ssot_engine/module.py", "import ssot_engine.old as old\n", task)
    assert ("", 1) == (_left(found), len(found.edits))


def test_table_is_left_alone(tmp_path: Path) -> None:
    """The table that is asked is not rewritten, however its path is written."""
    (tmp_path / "deep").mkdir()
    given = Table(modules=table(OLD).modules, source=str(tmp_path / "deep/../names.yaml"))
    found = examined(tmp_path, "names.yaml", "app.one: {}\n", Task(lookup=Lookup(given)))
    assert "is the table of old names itself" == _left(found)


# ------------------------------------------------------------------ what goes wrong


def test_file_that_does_not_parse_is_a_problem(tmp_path: Path) -> None:
    """A file the parser refuses is told with its line."""
    found = examined(tmp_path, "consumer.py", "from app.one import Old\nprint 'x'\n")
    assert found.problem is not None
    assert (found.path, 2) == (found.problem.path, found.problem.line)
    assert "cannot be parsed" in found.problem.reason


NESTED = "x = " + "-" * 50_000 + "1\nfrom app.one import Old\n"
CHAIN = "x = a" + ".b" * 50_000 + "\nfrom app.one import Old\n"
SUM = "x = " + "+".join(["1"] * 50_000) + "\nfrom app.one import Old\n"


@pytest.mark.parametrize("text", [NESTED, CHAIN, SUM, "x = " + "(" * 500 + ")" * 500 + "\nfrom app.one import Old\n"])
def test_file_that_is_too_deep_is_a_problem(text: str, tmp_path: Path) -> None:
    """However deep an expression is nested: the file is rewritten or told, and nothing is raised."""
    found = examined(tmp_path, "consumer.py", text)
    assert (found.problem is None) == bool(found.edits)


@pytest.mark.parametrize(
    "raw",
    [
        b"from app.one import Old\nx = '\xff'\n",
        b"# coding: nonsense\nfrom app.one import Old\n",
        b"# coding: ascii\nfrom app.one import Old\nx = '\xff'\n",
        b"from app.one import Old\n\0\n",
    ],
)
def test_bytes_that_are_no_text_are_a_problem(raw: bytes, tmp_path: Path) -> None:
    """A file in no encoding is told, with a reason."""
    found = examined(tmp_path, "consumer.py", raw)
    assert found.problem is not None
    assert (found.path, ()) == (found.problem.path, found.edits)


def _planted(monkeypatch: pytest.MonkeyPatch, *edits: Edit) -> None:
    def faulty(draft: Any, *_: object) -> None:
        draft.edits += edits

    monkeypatch.setattr(examining, "rewrite", faulty)


def test_edits_that_would_break_a_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If what we made of a file did not parse it would not be written, and be our defect."""
    _planted(monkeypatch, Edit(0, 4, b"form"))
    found = examined(tmp_path, "consumer.py", "from app.one import Old\n")
    assert found.problem is not None
    assert "would not parse once it is rewritten" in found.problem.reason
    assert found.problem.reason.endswith("please report this")
    assert () == found.edits


def test_edits_that_overlap_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two edits of the same bytes are our defect, and no change of the file."""
    _planted(monkeypatch, Edit(0, 4, b"from"), Edit(2, 6, b"om a"))
    found = examined(tmp_path, "consumer.py", "from app.one import Old\n")
    reason = "could not be examined (ValueError: edits overlap at byte 2); please report this"
    assert Problem(path=found.path, reason=reason) == found.problem


def test_collector_is_as_it_was(tmp_path: Path) -> None:
    """Python's collector pauses while a file is examined, and is on or off afterwards as it was before."""
    examined(tmp_path, "consumer.py", "print 'x'\n")
    assert gc.isenabled()
    gc.disable()
    try:
        examined(tmp_path, "consumer.py", "import app.one\n")
        assert not gc.isenabled()
    finally:
        gc.enable()


# ------------------------------------------------------------------ what a task asks for beyond


def test_adopted_names_are_found_if_asked(tmp_path: Path) -> None:
    """References to new names are found where the task asks for it, each with its line."""
    lookup = Lookup(table(OLD))
    text = "from new.alpha import New\nfrom new.beta import Other\n"
    found = examined(tmp_path, "consumer.py", text, Task(lookup=lookup, count_adopted=True))
    assert (("new.alpha.New", 1), ("new.beta.Other", 2)) == found.adopted
    assert () == examined(tmp_path, "consumer.py", text, Task(lookup=lookup)).adopted


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "x: 1\n# new.alpha.New\nkey: [new.alpha.New, 'new.beta:run', news.alpha]\n",
         [("new.alpha.New", 3), ("new.beta", 3)]),
        ("a.toml", 'a = "see new.alpha.New and new.beta.Other"\n', [("new.alpha.New", 1), ("new.beta.Other", 1)]),
        ("a.ini", "[s]\nnew.alpha.New = 1\n", [("new.alpha.New", 2)]),
        ("b.toml", "new.alpha.New = = 1\n", []),
    ],
)  # fmt: skip
def test_adopted_names_of_configuration(tmp_path: Path, name: str, text: str, expected: list[tuple[str, int]]) -> None:
    """New names in keys and values count, those in comments do not, nor does a file that cannot be read."""
    task = Task(lookup=Lookup(table(OLD)), count_adopted=True)
    assert expected == list(examined(tmp_path, name, text, task).adopted)


def test_names_are_renamed_if_asked(tmp_path: Path) -> None:
    """A task that renames is told which names could be; those that are given are."""
    task = Task(lookup=Lookup(table(OLD)), rename_uses=True)
    text = "from app.one import Old\nmade = Old()\n"
    first = examined(tmp_path, "consumer.py", text, task)
    assert ("Old",) == first.renamable
    assert b"from new.alpha import New as Old\nmade = Old()\n" == edited(text.encode(), first.edits)
    second = examined(tmp_path, "consumer.py", text, task, rename=frozenset({"Old"}))
    assert b"from new.alpha import New\nmade = New()\n" == edited(text.encode(), second.edits)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on the parser reads every f-string")
def test_newer_syntax_is_a_problem(tmp_path: Path) -> None:
    """A file in newer Python than ours is told, not guessed at."""
    found = examined(tmp_path, "consumer.py", "from app.one import Old\nx = f'{d['a']}'\n")
    assert found.problem is not None
