"""Facts about `legacy`: a program whose old imports are answered, and the report of what used them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from command import Command

from ssot_engine.cli.legacy import is_over
from ssot_engine.cli.script import run_code, run_file
from ssot_engine.errors import ConfigError
from ssot_engine.legacy.census import Counting, Site, Tally, append

OLD_IMPORT = "from netra_backend.app.agents.supervisor.execution_engine_factory import ExecutionEngineFactory"
OLD_NAME = "netra_backend.app.agents.supervisor.execution_engine_factory.ExecutionEngineFactory"
PAST, FUTURE = "2020-01-01", "2999-01-01"


def executed(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`ssot-engine legacy exec` in a process of its own, with settings of section `legacy`."""
    named = {f"SSOT_ENGINE_LEGACY__{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "ssot_engine", "legacy", "exec", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **named},
    )  # fmt: skip


# ------------------------------------------------------------------ exec, as a command


def test_a_script_runs_with_its_old_imports_answered(tmp_path: Path) -> None:
    """With its own arguments, as `__main__`, beside its neighbours; its warnings name its lines, its status is kept."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "neighbour.py").write_text("HERE = True\n")
    script = tmp_path / "folder" / "script.py"
    script.write_text(
        f"import json, pickle, sys, neighbour\n{OLD_IMPORT}\n"
        "class Mine: pass\n"
        "pickle.loads(pickle.dumps(Mine()))\n"
        "print(json.dumps([sys.argv, __name__, __file__, ExecutionEngineFactory.__module__]))\n"
        "sys.exit(7)\n"
    )
    ended = executed("--report", "--", "folder/script.py", "--its-option", "-c")
    assert 7 == ended.returncode
    assert [["folder/script.py", "--its-option", "-c"], "__main__", str(script), "ssot_engine.factory"] == json.loads(
        ended.stdout
    )
    assert f"{script}:2: RemovedIn" in ended.stderr
    assert f"{script}:2" in ended.stderr.partition("uses: 1, old doors: 1, lines: 1")[2]


@pytest.mark.parametrize("arguments", [("-m", "pack", "--", "-q", "x"), ("--", "-m", "pack", "-q", "x")])
def test_a_module_runs_with_its_old_imports_answered(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's `__main__` is found from the working directory on, with its own arguments; its status is kept."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "__main__.py").write_text(
        f"import json, sys\n{OLD_IMPORT}\n"
        "print(json.dumps([sys.argv[1:], __name__, ExecutionEngineFactory.__module__]))\nsys.exit(7)\n"
    )
    monkeypatch.chdir(tmp_path)
    ended = executed(*arguments)
    assert (7, [["-q", "x"], "__main__", "ssot_engine.factory"]) == (ended.returncode, json.loads(ended.stdout))


def test_a_module_that_is_not_there_is_refused() -> None:
    """With its name and status 2."""
    ended = executed("-m", "no_such.module")
    assert (2, True) == (ended.returncode, "'no_such.module' is not found" in ended.stderr)


def test_what_processes_used_is_reported_later(tmp_path: Path, command: Command) -> None:
    """Each leaves its census in the file that the settings name; the gate closes after its day."""
    file = str(tmp_path / "census.jsonl")
    for after, status in ((FUTURE, 0), (PAST, 1)):
        ended = executed("--", "-c", OLD_IMPORT, census_file=file, fail_after=after)
        assert status == ended.returncode, ended.stderr
        assert (status == 1) == (f"legacy.fail_after ({PAST}) has passed" in ended.stderr)
    listed = json.loads(command("legacy", "report", "--json", "--file", file).stdout)
    assert [(OLD_NAME, "<string>", 1, 2)] == [
        (site["door"], site["file"], site["line"], site["count"]) for site in listed["sites"]
    ]


def test_an_old_import_can_be_an_error(tmp_path: Path) -> None:
    """`legacy.warn` holds for a program before it has any container."""
    ended = executed("-c", OLD_IMPORT, warn="error")
    assert 1 == ended.returncode
    assert ended.stderr.splitlines()[-1].startswith("ssot_engine.legacy.deprecation.RemovedIn")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [((), "there is nothing to run"), (("none.py",), "'none.py' cannot be read: No such file")],
)
def test_what_cannot_be_run_is_refused(command: Command, arguments: tuple[str, ...], problem: str) -> None:
    """Before anything of it has run: status 2."""
    refused = command("legacy", "exec", *arguments)
    assert 2 == refused.exit_code
    assert problem in refused.stderr


# ------------------------------------------------------------- exec, the program itself


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a program changes of the interpreter is put back."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return iter([None])


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(0)", 0),
        ("import sys; sys.exit(9)", 9),
        ("import sys; sys.exit(True)", 1),
        ("import sys; sys.exit('it is over')", 1),
        ("raise KeyError('lost')", 1),
        ("raise KeyboardInterrupt", 130),
        ("x = = 1", 1),
        ("import asyncio; await asyncio.sleep(0)", 0),
        ("import asyncio; await asyncio.sleep(0); raise KeyError('lost')", 1),
        ("import asyncio, sys; await asyncio.sleep(0); sys.exit(5)", 5),
    ],
)
def test_a_programs_status_is_the_commands(code: str, status: int) -> None:
    """Ended, left, failed, interrupted or not even Python; with `await` outside functions too."""
    assert status == run_code(code, [])


@pytest.mark.usefixtures("in_process")
def test_a_failing_program_is_told_as_the_interpreter_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own lines and no others."""
    script = tmp_path / "script.py"
    script.write_text("def fall():\n    raise KeyError('lost')\nfall()\n")
    assert 1 == run_file(str(script), [])
    told = capsys.readouterr().err
    files = [line.split('"')[1] for line in told.splitlines() if line.startswith("  File ")]
    assert [str(script), str(script)] == files
    assert "KeyError: 'lost'" == told.splitlines()[-1]


@pytest.mark.usefixtures("in_process")
def test_what_leaves_with_a_text_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, as the interpreter does."""
    assert 1 == run_code("raise SystemExit('it is over')", [])
    assert "it is over\n" == capsys.readouterr().err


@pytest.mark.usefixtures("in_process")
def test_a_program_sees_nothing_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its names are those of a fresh module, and our future imports are not its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "print(sorted(n for n in globals() if n[0] != '_'))\ndef f(x: int): ...\nprint(f.__annotations__)\n"
    )
    assert 0 == run_file(str(script), [])
    assert "[]\n{'x': <class 'int'>}\n" == capsys.readouterr().out


@pytest.mark.usefixtures("in_process")
def test_a_scripts_encoding_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first line may say which."""
    script = tmp_path / "script.py"
    script.write_bytes("# coding: latin-1\nprint('\u00fc')\n".encode("latin-1"))
    assert 0 == run_file(str(script), [])
    assert "\u00fc\n" == capsys.readouterr().out


def test_a_folder_is_no_script(tmp_path: Path) -> None:
    """It is refused by its name."""
    with pytest.raises(ConfigError, match="Is a directory"):
        run_file(str(tmp_path), [])


# ----------------------------------------------------------------------------- report


def site(door: str, line: int, count: int, counting: Counting = Counting.EVERY_USE) -> Site:
    """A site of `host.py`."""
    return Site(door=door, file="/srv/host.py", line=line, count=count, first_at=1.0, counting=counting)


@pytest.fixture
def written(tmp_path: Path) -> str:
    """A census file of one process."""
    sites = (site("old.door", 3, 12), site("old.module", 1, 1, Counting.FIRST_IMPORT))
    append(tmp_path / "census.jsonl", Tally(sites=sites, overflow=2))
    return str(tmp_path / "census.jsonl")


def test_the_report_names_doors_and_lines(command: Command, written: str) -> None:
    """What can only be counted once is marked, and so is what had no room."""
    shown = command("legacy", "report", "--file", written)
    assert 0 == shown.exit_code
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    assert "uses: 15, old doors: 2, lines: 2" == " ".join(lines[0])
    assert ["12", "/srv/host.py:3", "old.door"] in lines
    assert ["1*", "/srv/host.py:1", "old.module"] in lines
    assert "* Only the first import in a process can be seen" in shown.stdout
    assert "2 of the uses are at lines" in shown.stdout


def test_the_report_as_json(command: Command, written: str) -> None:
    """One document; `counting` says what a number means."""
    listed = json.loads(command("legacy", "report", "--json", "--file", written).stdout)
    assert (15, 2, None, False) == tuple(listed[key] for key in ("uses", "overflow", "fail_after", "failed"))
    assert ["every use", "first import"] == [site["counting"] for site in listed["sites"]]


@pytest.mark.parametrize(("after", "status"), [(PAST, 1), (FUTURE, 0)])
def test_the_report_is_a_gate_after_its_day(
    command: Command, written: str, monkeypatch: pytest.MonkeyPatch, after: str, status: int
) -> None:
    """For people and for programs; the file may be named by the settings."""
    monkeypatch.setenv("SSOT_ENGINE_LEGACY__FAIL_AFTER", after)
    monkeypatch.setenv("SSOT_ENGINE_LEGACY__CENSUS_FILE", written)
    shown = command("legacy", "report")
    assert (status, bool(status)) == (shown.exit_code, "has passed" in shown.stderr)
    as_json = command("legacy", "report", "--json")
    assert status == as_json.exit_code
    assert (after, bool(status)) == tuple(json.loads(as_json.stdout)[key] for key in ("fail_after", "failed"))


DAY, USED = date(2027, 3, 1), Tally(overflow=1)


@pytest.mark.parametrize(
    ("tally", "fail_after", "today", "over"),
    [
        (USED, DAY, date(2027, 3, 1), False),
        (USED, DAY, date(2027, 3, 2), True),
        (Tally(), DAY, date(2027, 3, 2), False),
        (USED, None, date(2027, 3, 2), False),
    ],
)
def test_the_named_day_is_the_last_on_which_old_doors_may_be_used(
    tally: Tally, fail_after: date | None, today: date, over: bool
) -> None:
    """Without uses, or without a day, the gate stays open."""
    assert over is is_over(tally, fail_after, today)


def test_nothing_used_is_said(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty census is good news, and passes the gate."""
    append(tmp_path / "census.jsonl", Tally())
    monkeypatch.setenv("SSOT_ENGINE_LEGACY__FAIL_AFTER", PAST)
    shown: Any = command("legacy", "report", "--file", str(tmp_path / "census.jsonl"))
    assert (0, "no old door was used") == (shown.exit_code, shown.stdout.strip())


def test_a_report_of_no_file_says_what_to_set(command: Command) -> None:
    """Status 2, like any wrong setting."""
    refused = command("legacy", "report")
    assert 2 == refused.exit_code
    assert "set legacy.census_file" in refused.stderr
