"""The report joins what the source says with what processes counted, and says what to do next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ssot_engine.legacy.census import Counting, Site, Tally, read
from ssot_engine.legacy.table import load_table
from ssot_engine.migrate.findings import Finding, LeftAlone, Problem, Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.reporting.folders import MOST, folders
from ssot_engine.migrate.reporting.progress import PackageProgress, Progress, progress
from ssot_engine.migrate.scanning.examine import Examined, Task
from ssot_engine.migrate.scanning.scan import Scanned, scan

HOST = {
    "table.yaml": """
        since: "0.9"
        removed_in: "9.0"
        reason: it moved
        modules:
          old.parts:
            names:
              Old: {kind: renamed, replacement: newer.parts.New}
              Same: {kind: moved, replacement: newer.parts.Same}
              Odd: {kind: behaviour_changed, replacement: newer.parts.Odd, reason: it is async}
          old.whole: {kind: moved, replacement: newer.whole}
    """,
    "src/newer/__init__.py": "",
    "src/newer/parts.py": "class New: pass\nclass Same: pass\ndef Odd(): pass\n",
    "src/newer/whole.py": "class W: pass\n",
    "src/app/__init__.py": "",
    "src/app/a.py": """\
        from old.parts import (
            Same,

            Old,
        )
        import old.parts as parts
        import old.whole


        def use():
            return (
                parts
                .Odd()
            )
    """,
    "src/app/b.py": """\
        from unittest.mock import patch
        import old.whole as w


        @patch(
            "old.parts.Old",
        )
        def decorated(x): pass


        def within():
            with patch("old.parts.Same"), \\
                patch("old.parts.Old"):
                pass


        def never():
            from old.parts import Odd
            return Odd
    """,
    "src/app/c.py": """\
        from importlib import import_module


        def dynamic(package):
            return getattr(
                import_module(package + ".parts"), "Old")
    """,
    "src/app/d.py": """\
        def read_from_text(text):
            module, _, name = text.rpartition(".")
            __import__(module)
            import sys
            return getattr(sys.modules[module], name)
    """,
    "src/app/settings.py": 'BACKEND = "old.parts.Same"\n',
    "src/app/done.py": "from newer.parts import New\nfrom newer import whole\n",
    "outside.py": "from old.parts import Same\n",
    "run.py": """\
        import sys, warnings
        warnings.simplefilter("ignore")
        sys.path.insert(0, "src")
        from ssot_engine.legacy.census import census
        from ssot_engine.legacy.redirects import install_redirects
        from ssot_engine.legacy.table import load_table
        install_redirects(load_table("table.yaml"))
        census.write_at_exit("census")
        from app import a, b, c, d, done, settings
        import outside
        for _ in range(3):
            a.use()
        b.decorated()
        b.within()
        c.dynamic("old")
        d.read_from_text(settings.BACKEND)
        exec("from old.parts import Old")
    """,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A host's tree, and the census of a process that ran it through real redirects."""
    root = tmp_path_factory.mktemp("host")
    for path, text in HOST.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(dedent(text))
    subprocess.run([sys.executable, "run.py"], cwd=root, check=True)
    return root


def scanned_of(root: Path) -> Scanned:
    """What is found in the host's sources, which are given relative to the working directory."""
    lookup = Lookup(load_table("table.yaml"))
    return scan([Path("src")], Task(lookup=lookup, count_adopted=True, roots=("src",)), processes=1)


@pytest.fixture
def told(host, monkeypatch) -> Progress:
    """The report on the host."""
    monkeypatch.chdir(host)
    return progress(scanned_of(host), read(host / "census"), host, [Path("src")])


def found_at(told: Progress) -> dict[tuple[str, int, str], tuple[int, str | None]]:
    """For each hot line, the uses and where its finding is."""
    return {
        (Path(hot.path).stem, hot.line, hot.door): (
            hot.uses,
            hot.finding and f"{Path(hot.finding.path).stem}:{hot.finding.line}",
        )
        for hot in told.hot
    }


def test_lines_that_were_used(told):
    """Each counted line comes with the finding of its statement, however many lines that has, or without one."""
    # Where in an expression of several lines the interpreter is, differs by its version.
    odd = told.hot[0].line
    late = max(line for stem, line, door in found_at(told) if (stem, door) == ("b", "old.parts.Old"))
    assert (True, True) == (odd in (11, 12, 13), late in (12, 13))
    expected = {
        ("a", 1, "old.parts.Same"): (1, "a:2"),
        ("a", 1, "old.parts.Old"): (1, "a:4"),
        ("a", 7, "old.whole"): (1, "a:7"),
        ("a", odd, "old.parts.Odd"): (3, "a:12"),
        ("b", 5, "old.parts.Old"): (2, "b:6"),
        ("b", 12, "old.parts.Same"): (2, "b:12"),
        ("b", late, "old.parts.Old"): (2, "b:13"),
        ("c", 5, "old.parts.Old"): (1, None),
        ("d", 5, "old.parts.Same"): (1, "settings:1"),
    }
    assert expected == found_at(told)
    assert [hot.uses for hot in told.hot] == sorted((hot.uses for hot in told.hot), reverse=True)
    assert ("src/app/a.py", "old.parts.Odd") == (told.hot[0].path, told.hot[0].door)


def test_lines_that_were_not_used(told):
    """Cold is what no process went through; an alias, of which only the first import is counted, is not."""
    assert 1 == told.cold
    assert any("went through" in step and "src/app/b.py:18 first" in step for step in told.next_steps)


def test_what_is_done(told):
    """References to new names are done; the rest is left to the tool or to a person."""
    assert (2, 8, 3, 14) == (told.total.done, told.total.pending, told.total.by_hand, told.total.uses)
    assert 100.0 * 2 / 13 == told.total.percent
    assert ["src/app"] == [one.package for one in told.packages]


def test_the_next_steps(told, host):
    """First what the tool does, then by hand what is used most, then what only the run showed."""
    apply, first, *_ = told.next_steps
    assert "run `ssot-engine migrate apply src`: it rewrites 8 references in 3 files" == apply
    assert first.startswith("change by hand first: src/app/a.py:12, used 3 times: check this use")
    assert any(step.startswith("look at src/app/c.py:5, which used old.parts.Old once") for step in told.next_steps)
    assert (
        f"scan as well what else uses old names: 1 use from other files, {host}/outside.py:1 first" in told.next_steps
    )
    assert "look for texts that are run as code: 1 use from <string>, of old.parts.Old most" in told.next_steps


def test_without_a_census(host, monkeypatch):
    """Nothing is hot or cold, and the last step says how to count."""
    monkeypatch.chdir(host)
    told = progress(scanned_of(host), None, host, [Path("src")])
    assert ((), 0, 0) == (told.hot, told.cold, told.total.uses)
    assert "ssot-engine migrate report src --census" in told.next_steps[-1]


def test_the_same_each_time(told, host):
    """The order depends on nothing but what was found and counted."""
    tally = read(host / "census")
    again = progress(scanned_of(host), Tally(sites=tally.sites[::-1]), host, [Path("src")])
    assert told == again


# ---------------------------------------------------------------------- made by hand


def finding(path: str = "a.py", line: int = 1, old: str = "old.parts.Old", todo: str = "") -> Finding:
    """A finding at a line."""
    return Finding(path=path, line=line, column=1, rule=Rule.IMPORT, old=old, todo=todo)


def scanned(*examined: Examined, problems: tuple[Problem, ...] = (), left: tuple[LeftAlone, ...] = ()) -> Scanned:
    """What a scan found."""
    return Scanned(
        files=9, candidates=len(examined), examined=examined, problems=problems, left_alone=left, processes=1,
        why_processes="asked for", duration_s=0.1,
    )  # fmt: skip


def site(file: str, line: int = 1, door: str = "old.parts.Old", count: int = 1) -> Site:
    """A counted line."""
    return Site(door=door, file=file, line=line, count=count, first_at=1.0, counting=Counting.EVERY_USE)


def test_lines_changed_since(tmp_path):
    """A line that names something new by now is not hot; the report says to count again."""
    (tmp_path / "a.py").write_text("from new.parts import (\n    New)\n")
    tally = Tally(sites=(site(str(tmp_path / "a.py"), count=5),))
    told = progress(scanned(Examined(path="a.py", adopted=(("new.parts.New", 2),))), tally, tmp_path)
    assert () == told.hot
    assert told.next_steps[0].startswith("remove the census file and count again: 5 uses")


def test_the_same_name_in_two_statements(tmp_path):
    """Of two statements that name the same, only the one that ran is hot."""
    (tmp_path / "a.py").write_text("from old.parts import Old\nif False:\n    from old.parts import Old\n")
    found = scanned(Examined(path="a.py", findings=(finding(line=1), finding(line=3))))
    told = progress(found, Tally(sites=(site(str(tmp_path / "a.py"), 1),)), tmp_path)
    assert 1 == told.cold
    assert [finding(line=1)] == [hot.finding for hot in told.hot]


def test_files_by_any_of_their_names(tmp_path, monkeypatch):
    """A counted file is found again behind a link, and where its name was relative."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.py").write_text("from old.parts import Old\n")
    (tmp_path / "link").symlink_to("real")
    found = scanned(Examined(path="real/a.py", findings=(finding("real/a.py"),)))
    tally = Tally(sites=(site("link/a.py", count=2), site(str(tmp_path / "real/a.py"), count=3)))
    (hot,) = progress(found, tally, tmp_path).hot
    assert ("real/a.py", 5, finding("real/a.py")) == (hot.path, hot.uses, hot.finding)


def test_a_file_that_is_gone(tmp_path):
    """A counted file that cannot be read any more is matched by the line alone."""
    found = scanned(Examined(path="a.py", findings=(finding(line=3), finding(line=4))))
    (hot,) = progress(found, Tally(sites=(site(str(tmp_path / "a.py"), 4),)), tmp_path).hot
    assert hot.finding is not None
    assert 4 == hot.finding.line


def test_code_in_no_file(tmp_path):
    """Code that is in no file is not taken for a file of the tree."""
    told = progress(scanned(), Tally(sites=(site("<string>"),)), tmp_path)
    assert ((), 0) == (told.hot, told.total.uses)
    assert told.next_steps[0].startswith("look for texts that are run as code: 1 use from <string>")


def test_no_room_in_the_census(tmp_path):
    """Uses the census had no room for are told."""
    told = progress(scanned(), Tally(overflow=7), tmp_path)
    assert any("7 uses the census had no room" in step for step in told.next_steps)


def test_problems_come_first(tmp_path):
    """A file that could not be examined comes before everything else."""
    problem = Problem(path="x.py", reason="cannot be parsed: invalid syntax", line=4)
    found = scanned(Examined(path="a.py", findings=(finding(),)), problems=(problem,))
    first, second, *_ = progress(found, None, tmp_path).next_steps
    assert "correct 1 file that could not be examined, x.py:4 first: cannot be parsed: invalid syntax" == first
    assert second == "run `ssot-engine migrate apply .`: it rewrites 1 reference in 1 file"


OWN = LeftAlone(path="old/parts.py", reason="as its reason may say", module="old.parts")


def test_old_modules_that_can_go(tmp_path):
    """An old module can be deleted once neither the source nor a process refers to it."""
    delete = "delete old/parts.py: nothing refers to old.parts any more"
    assert delete in progress(scanned(left=(OWN,)), Tally(), tmp_path).next_steps
    still_found = scanned(Examined(path="a.py", findings=(finding(),)), left=(OWN,))
    assert delete not in progress(still_found, Tally(), tmp_path).next_steps
    still_used = Tally(sites=(site("/elsewhere/x.py"),))
    assert delete not in progress(scanned(left=(OWN,)), still_used, tmp_path).next_steps


def test_when_all_is_done(tmp_path):
    """With nothing found and nothing counted, old names may raise, and CI keeps them away."""
    raise_, check = progress(scanned(), Tally(), tmp_path, [tmp_path / "my src"]).next_steps
    assert raise_.startswith("set legacy.warn: error")
    assert "`ssot-engine migrate check 'my src'`" in check


def test_nothing_to_do_is_all_done():
    """Where there are no references, all of them are done."""
    assert 100.0 == PackageProgress(package="x", done=0, pending=0, by_hand=0, uses=0).percent


# ---------------------------------------------------------------------- folders


def test_folders_below_what_all_share():
    """Folders are told from where they differ, and a folder's own files under its own name."""
    weights = {"src/app/core/a.py": 5, "src/app/core/b.py": 5, "src/app/web/v1/c.py": 5, "src/app/main.py": 5}
    assert {
        "src/app/core/a.py": "src/app/core",
        "src/app/core/b.py": "src/app/core",
        "src/app/web/v1/c.py": "src/app/web/v1",
        "src/app/main.py": "src/app",
    } == folders(weights)


def test_the_fullest_folders_in_detail():
    """A folder that holds little is one line; one that holds much is told in its parts."""
    weights = {f"big/{part}/x.py": 100 for part in "abc"} | {f"small/{part}/x.py": 5 for part in "de"}
    assert {"big/a", "big/b", "big/c", "small"} == set(folders(weights).values())


def test_no_more_folders_than_fit():
    """What does not fit, or is too small, is counted to the folder above."""
    weights = {f"p{number:02}/x.py": 10 + number for number in range(40)} | {"tiny/x.py": 1}
    found = folders(weights)
    assert MOST == len(set(found.values()))
    assert ("p39", ".", ".") == (found["p39/x.py"], found["p00/x.py"], found["tiny/x.py"])


@pytest.mark.parametrize("weights", [{}, {"a.py": 0}, {"a/b.py": 1}])
def test_next_to_no_folders(weights):
    """Few files have few folders."""
    assert len(weights) == len(folders(weights))
