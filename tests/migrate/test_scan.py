"""A whole tree, scanned."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from pathlib import Path

import pytest
from before_after import OLD, Written, table

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.findings import LeftAlone, Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning import scan as scanning
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.scan import Scanned, how_many, scan
from ssot_engine.migrate.scanning.workers import Job
from ssot_engine.migrate.source import edited

TASK = Task(lookup=Lookup(table(OLD)))

TREE = {
    "app/__init__.py": "",
    "app/one.py": "from app.whole import x\nclass Old: pass\n",
    "app/consumer.py": "from .one import Old\n",
    "app/relative/deep.py": "from .. import one\nfrom ..pack.single import Only\n",
    "other.py": "print('nothing of interest')\n",
    "tests/test_it.py": "from unittest import mock\nmock.patch('app.one.Old')\nimport app.whole as whole\n",
    "settings.toml": "engine = 'app.one.Same'\n",
    "broken.py": "from app.one import Old\nprint 'x'\n",
    "notes.txt": "app.one\n",
}


def plant(folder: Path, texts: dict[str, str]) -> None:
    """Files."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def apply(scanned: Scanned) -> int:
    """Make the edits of a scan; how many files have some."""
    changed = [one for one in scanned.examined if one.edits]
    for one in changed:
        Path(one.path).write_bytes(edited(Path(one.path).read_bytes(), one.edits))
    return len(changed)


def test_tree_is_scanned(tmp_path: Path) -> None:
    """Each file that holds something is examined; findings come in the order of paths and lines."""
    plant(tmp_path, TREE)
    found = scan([tmp_path], TASK)
    assert (8, 6) == (found.files, found.candidates)
    assert [
        ("app/consumer.py", 1, "app.one.Old"),
        ("app/relative/deep.py", 1, "app.one"),
        ("app/relative/deep.py", 2, "app.pack.single.Only"),
        ("settings.toml", 1, "app.one.Same"),
        ("tests/test_it.py", 2, "app.one.Old"),
        ("tests/test_it.py", 3, "app.whole"),
    ] == [(Path(one.path).relative_to(tmp_path).as_posix(), one.line, one.old) for one in found.findings]
    assert [(str(tmp_path / "broken.py"), 2)] == [(one.path, one.line) for one in found.problems]
    reason = "is the old module 'app.one' itself"
    assert (LeftAlone(path=str(tmp_path / "app/one.py"), reason=reason, module="app.one"),) == found.left_alone
    assert found.duration_s > 0


def test_processes_change_nothing(tmp_path: Path) -> None:
    """However many processes examine a tree, what they find is the same, in the same order."""
    plant(tmp_path, {f"{number}/{name}": text for number in range(4) for name, text in TREE.items()})
    one, two = (scan([tmp_path], TASK, processes=count) for count in (1, 2))
    assert (one.examined, one.problems, one.left_alone) == (two.examined, two.problems, two.left_alone)
    assert (1, 2) == (one.processes, two.processes)


def test_second_scan_finds_nothing_to_do(tmp_path: Path) -> None:
    """Once the edits are made, a scan has none left."""
    plant(tmp_path, TREE)
    assert apply(scan([tmp_path], TASK)) > 0
    assert 0 == apply(scan([tmp_path], TASK))


def test_what_is_left_alone_is_told_in_order(tmp_path: Path) -> None:
    """Folders that are not entered and files that are not rewritten are told together."""
    plant(tmp_path, {**TREE, ".git/x.py": "", "venv/y.py": "", "zz.py": "import app.one\n"})
    found = scan([tmp_path], TASK, exclude=["z*.py"])
    assert [".git", "app/one.py", "venv", "zz.py"] == [
        Path(one.path).relative_to(tmp_path).as_posix() for one in found.left_alone
    ]


def test_missing_path_is_refused(tmp_path: Path) -> None:
    """A path that is not there ends the scan before it begins."""
    with pytest.raises(ConfigError, match="does not exist"):
        scan([tmp_path, tmp_path / "none"], TASK)


def test_progress_is_told(tmp_path: Path) -> None:
    """While files are counted the whole is not known; then each candidate is told, of how many."""
    plant(tmp_path, TREE)
    told: list[tuple[int, int]] = []
    scan([tmp_path], TASK, told=lambda *each: told.append(each))
    assert [(number, 0) for number in range(1, 9)] + [(number, 6) for number in range(1, 7)] == told


def test_file_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    """A candidate that is gone when its turn comes is told; the others are examined."""
    plant(tmp_path, {"a.py": "import app.whole\n", "b.py": "import app.whole\n"})

    def told(done: int, total: int) -> None:
        if (done, total) == (2, 0):
            (tmp_path / "a.py").unlink()

    found = scan([tmp_path], TASK, told=told)
    assert ["a.py"] == [Path(one.path).name for one in found.problems]
    assert ["b.py"] == [Path(one.path).name for one in found.examined]


def test_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A file that is gone once it was listed is told once, and the others are examined."""
    plant(tmp_path, {"a.py": "", "b.py": "import app.whole\n", "c.py": "import app.whole\n"})

    def told(done: int, total: int) -> None:
        if (done, total) == (1, 0):
            (tmp_path / "b.py").unlink()

    found = scan([tmp_path], TASK, told=told)
    reason = "cannot be read: No such file or directory; scan again"
    assert [(str(tmp_path / "b.py"), reason)] == [(one.path, one.reason) for one in found.problems]
    assert (2, 1) == (found.files, len(found.findings))


def test_interrupt_is_not_caught(tmp_path: Path) -> None:
    """Who interrupts a scan is obeyed."""
    plant(tmp_path, TREE)

    def told(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan([tmp_path], TASK, told=told)


# ------------------------------------------------------------------ how many processes


MANY = [Job(f"{number}.py", 100_000) for number in range(100)]


@pytest.mark.parametrize(
    ("asked", "jobs", "cores", "count", "why"),
    [
        (None, MANY[:4], 8, 1, "4 candidates of 400.0 kB: more processes would not be faster"),
        (None, [], 8, 1, "0 candidates of 0.0 kB: more processes would not be faster"),
        (None, MANY, 1, 1, "100 candidates of 10.0 MB, 1 processor"),
        (None, MANY, 4, 4, "100 candidates of 10.0 MB, 4 processors"),
        (None, MANY, 64, 10, "100 candidates of 10.0 MB, 64 processors"),
        (3, MANY, 1, 3, "3 asked for, 100 candidates of 10.0 MB"),
        (3, MANY[:2], 8, 2, "3 asked for, 2 candidates of 200.0 kB"),
        (3, [], 8, 1, "3 asked for, 0 candidates of 0.0 kB"),
    ],
)
def test_processes_are_as_many_as_help(
    asked: int | None, jobs: list[Job], cores: int, count: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many processes as there are processors and work for; as many as were asked for, if so; always with the why."""
    monkeypatch.setattr(scanning, "_cores", lambda: cores)
    assert (count, why) == how_many(asked, jobs)


# ------------------------------------------------------------------ renaming


RENAMED = Task(lookup=Lookup(table(OLD)), rename_uses=True)
USER = "from app.one import Old\nmade = Old()\n"


def _rewritten(folder: Path, name: str, processes: int = 1) -> tuple[str, list[str]]:
    """A file once it is rewritten, and the notes of what was found in it."""
    found = {Path(one.path): one for one in scan([folder], RENAMED, processes=processes).examined}[folder / name]
    return edited((folder / name).read_bytes(), found.edits).decode(), [one.note for one in found.findings]


@pytest.mark.parametrize("processes", [1, 2])
def test_uses_are_renamed(processes: int, tmp_path: Path) -> None:
    """A local name nobody else knows follows its class, and so do its uses."""
    plant(tmp_path, {"host/consumer.py": USER, "host/other.py": USER})
    text, notes = _rewritten(tmp_path, "host/consumer.py", processes)
    assert "from new.alpha import New\nmade = New()\n" == text
    assert not [note for note in notes if "keeps its name" in note]


@pytest.mark.parametrize("name", ["tests/test_it.py", "settings.yaml"])
def test_name_that_another_file_knows_is_kept(name: str, tmp_path: Path) -> None:
    """A name that any other file may reach through the consumer stays, and the finding says because of whom."""
    plant(tmp_path, {"host/consumer.py": USER, name: "patch: 'host.consumer.Old'\n"})
    text, notes = _rewritten(tmp_path, "host/consumer.py")
    assert "from new.alpha import New as Old\nmade = Old()\n" == text
    assert [f"keeps its name here, which {str(tmp_path / name)!r} may use"] == notes


# ------------------------------------------------------------------ real code


#: Modules that a library's own files import everywhere, one of them with its names gone to several places.
MADE_UP: Written = {
    "collections.abc": "new_abc",
    "unittest.mock": "new_mock",
    "functools": {"wraps": "new_functools.wrapping", "partial": "newer.partial", "lru_cache": "-cache by hand"},
    "test.support": "new_support",
    "types": {
        "FunctionType": "new_types.Function",
        "ModuleType": "new_types.Module",
        "SimpleNamespace": "!new_types.Bag",
    },
    "encodings.aliases": "new_aliases",
}


def test_holds_on_real_code(tmp_path: Path) -> None:
    """A part of the standard library, rewritten by a made-up table: all parses, and a second scan has nothing to do."""
    library = Path(sysconfig.get_paths()["stdlib"])
    every = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    parts = [path for path in every if "bad" in path.name or path.parent.name == "data"] + every[::30]
    for path in parts:
        target = tmp_path / path.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    before = _parseable(tmp_path)
    task = Task(lookup=Lookup(table(MADE_UP)), ssot=True, count_adopted=True)
    found = scan([tmp_path], task, processes=1)
    assert not [one for one in found.problems if "report this" in one.reason]
    assert {Rule.IMPORT, Rule.REMOVED} <= {one.rule for one in found.findings}
    assert apply(found) > 10
    assert before == _parseable(tmp_path)
    assert 0 == apply(scan([tmp_path], task, processes=1))


def _parseable(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*.py") if _parses(path)}


def _parses(path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return True
