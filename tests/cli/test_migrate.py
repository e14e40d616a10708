"""Facts about `migrate`: what it prints, what it writes, and with which status it ends."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from command import Command, started

from ssot_engine.cli.app import app
from ssot_engine.cli.migrate import Asked, patches, scanned_by
from ssot_engine.legacy.census import Counting, Site, Tally, append
from ssot_engine.migrate.findings import Problem

FACTORY = "netra_backend.app.agents.supervisor.execution_engine_factory"
UNIFIED = "netra_backend.app.agents.execution_engine_unified_factory"
OLD = f"from {FACTORY} import ExecutionEngineFactory  # the one\n"
NEW = "from ssot_engine.factory import ExecutionEngineFactory  # the one\n"
REMOVED = f"from {UNIFIED} import EngineConfig\n"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A tree with one file to rewrite, one to change by hand, and one that is nobody's business."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "routes.py").write_text(f'"""Routes."""\n{OLD}\nfactory = ExecutionEngineFactory\n')
    (folder / "config.py").write_text(REMOVED)
    (folder / "other.py").write_text("import os\n")
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder and the sha256 of what it holds."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not {".ssot-engine", ".git"} & {*file.parts}
    }


def git(folder: Path, *arguments: str) -> None:
    """A command of git, which must succeed."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_scan_is_an_overview(host: Path, command: Command) -> None:
    """It counts what would be rewritten, says once what a person has to change and where, and ends with 1."""
    ended = command("migrate", "scan", str(host))
    assert 1 == ended.exit_code
    assert f"{FACTORY}.ExecutionEngineFactory" in ended.stdout
    assert "set them in the section engine of ssot_engine.Settings" in ended.stdout
    assert f"{host}/config.py:1" in ended.stdout
    assert "1 reference in 1 file to rewrite, 1 to change by hand; 3 files in " in ended.stdout
    assert "`ssot-engine migrate diff` shows the rewriting, `apply` does it" in ended.stdout
    assert "migrate diff" not in command("migrate", "scan", str(host / "other.py")).stdout


def test_check_prints_a_line_for_each_finding(host: Path, command: Command) -> None:
    """With path, line and column first, as editors jump to it."""
    ended = command("migrate", "check", str(host))
    assert 1 == ended.exit_code
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(f"{host}/config.py:1:")
    assert f"removed {UNIFIED}.EngineConfig: " in lines[0]
    assert lines[1].startswith(f"{host}/routes.py:2:")
    assert lines[1].endswith("becomes ssot_engine.factory.ExecutionEngineFactory")


def test_the_readme_shows_what_check_prints(command: Command) -> None:
    """Its example is true but for the time it takes."""
    Path("jobs.py").write_text(f"from {UNIFIED} import UnifiedFactory, EngineConfig\n")
    said = command("migrate", "check", "jobs.py").stdout
    shown = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert re.sub(r"[\d.]+ s$", "", said.rstrip()) in shown


def test_a_finding_is_one_line(tmp_path: Path, command: Command) -> None:
    """A line feed in the name of a file does not make a line of its own, which could pass for another finding."""
    (tmp_path / "a\nother.py").write_text(OLD)
    finding, end = command("migrate", "check", str(tmp_path)).stdout.splitlines()
    assert finding.startswith(f"{tmp_path}/a\\nother.py:1:")
    assert end.startswith("1 reference in 1 file to rewrite")


def test_a_clean_tree_ends_with_0(host: Path, command: Command) -> None:
    """And says that it is clean."""
    ended = command("migrate", "check", str(host / "other.py"))
    assert (0, True) == (ended.exit_code, "clean: nothing to change in 1 file in " in ended.stdout)


def test_no_file_is_not_called_clean(host: Path, command: Command) -> None:
    """Where all is excluded, or a folder is empty, it says that nothing was looked at."""
    ended = command("migrate", "check", str(host), "--exclude", "*")
    assert (0, True) == (ended.exit_code, "nothing was looked at: " in ended.stdout)
    assert "clean" not in ended.stdout


def test_one_bad_file_stops_no_other(host: Path, command: Command) -> None:
    """A file that cannot be parsed is an error with its line, status 2; the others are rewritten."""
    (host / "bad.py").write_text(f"{OLD}def f(:\n")
    ended = command("migrate", "apply", str(host))
    assert 2 == ended.exit_code
    assert f"error: {host}/bad.py:2: cannot be parsed" in ended.stdout
    assert "\n1 reference rewritten in 1 file, 1 to change by hand, 1 problem\n" in ended.stdout
    assert NEW in (host / "routes.py").read_text()


def test_json_is_one_document(host: Path, command: Command) -> None:
    """With the same numbers, every finding and every problem."""
    document = json.loads(command("migrate", "scan", str(host), "--json").stdout)
    assert (1, 1, 0, 3) == tuple(document["summary"][key] for key in ("to_rewrite", "by_hand", "problems", "files"))
    assert {"removed", "import"} == {one["rule"] for one in document["findings"]}
    assert [] == document["problems"]


def test_diff_applies_with_git(host: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `diff` prints is what `apply` would do."""
    git(host, "init", "-q")
    git(host, "add", ".")
    git(host, "commit", "-qm", "before")
    monkeypatch.chdir(host)
    ended = command("migrate", "diff", ".")
    assert 1 == ended.exit_code
    subprocess.run(["git", "apply", "-"], input=ended.stdout_bytes, cwd=host, check=True)
    by_git = digests(host)
    git(host, "checkout", "-q", ".")
    command("migrate", "apply", ".")
    assert by_git == digests(host)


def test_diff_applies_in_a_folder_below(host: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder within the work tree too, where git goes by its top and would skip names from elsewhere."""
    (host / "sub").mkdir()
    (host / "link").symlink_to("sub")
    (host / "sub" / "deep.py").write_text(OLD)
    git(host, "init", "-q")
    for folder, given in (("sub", "."), (".", "link/deep.py")):
        monkeypatch.chdir(host / folder)
        ended = command("migrate", "diff", given)
        subprocess.run(["git", "apply", "-"], input=ended.stdout_bytes, check=True)
        assert NEW == (host / "sub" / "deep.py").read_text()
        (host / "sub" / "deep.py").write_text(OLD)


def test_diff_of_files_that_changed_since_the_scan(host: Path) -> None:
    """A file that is gone or another by then is a problem; the patches of the others are whole."""
    for name in ("changed.py", "gone.py"):
        (host / name).write_text(OLD)
    scanned = scanned_by(Asked(paths=(host,)))
    (host / "changed.py").write_text(f"import os\n{OLD}")
    (host / "gone.py").unlink()
    problems: list[Problem] = []
    assert [True] == [name.endswith("routes.py") for name, _ in patches(scanned, problems)]
    reasons = {Path(one.path).name: one.reason for one in problems}
    assert {"changed.py": "was changed since it was scanned; scan again", "gone.py": "is gone; scan again"} == reasons


def test_apply_and_rollback(host: Path, command: Command) -> None:
    """Apply rewrites and lists the rest; a second one changes nothing; rollback gives every byte back."""
    before = digests(host)
    applied = command("migrate", "apply", str(host))
    assert 1 == applied.exit_code
    assert "1 reference rewritten in 1 file, 1 to change by hand\n" in applied.stdout
    assert applied.stdout.endswith("take it back with `ssot-engine migrate rollback host`\n")
    assert f'"""Routes."""\n{NEW}\nfactory = ExecutionEngineFactory\n' == (host / "routes.py").read_text()
    after = digests(host)
    assert "nothing rewritten, 1 to change by hand\n" in command("migrate", "apply", str(host)).stdout
    assert after == digests(host)
    assert "the shipped table: 1 file, 1 as applied" in command("migrate", "status", str(host)).stdout
    restored = command("migrate", "rollback", str(host))
    assert (0, True) == (restored.exit_code, "put back as before the last apply: 1 file\n" in restored.stdout)
    assert before == digests(host)
    assert "nothing was applied here" in command("migrate", "status", str(host)).stdout
    again = command("migrate", "rollback", str(host))
    assert (2, True) == (again.exit_code, "error: " in again.stderr)


def test_interrupted_apply_says_how_to_take_it_back(tmp_path: Path, command: Command) -> None:
    """Ctrl-C ends an apply at once with 130; it says what was written and how it is put back, without a traceback."""
    for number in range(600):
        (tmp_path / f"m{number}.py").write_text(OLD)
    before = digests(tmp_path)
    with started("migrate", "apply", str(tmp_path)) as process:
        deadline = time.monotonic() + 60
        while (tmp_path / "m0.py").read_text() == OLD and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (130, True) == (process.returncode, said.startswith("interrupted: "))
    assert "Traceback" not in said
    assert f"put them back with `ssot-engine migrate rollback {tmp_path}`" in said
    unfinished = command("migrate", "status", str(tmp_path))
    assert (1, True) == (unfinished.exit_code, "with `ssot-engine migrate rollback .`" in unfinished.stdout)
    assert 0 == command("migrate", "rollback", str(tmp_path)).exit_code
    assert before == digests(tmp_path)


def test_diff_as_json(host: Path, command: Command) -> None:
    """One document, with each file's patch."""
    document = json.loads(command("migrate", "diff", str(host), "--json").stdout)
    (only,) = document["patches"]
    assert (True, True) == (only["path"].endswith("routes.py"), f"+{NEW}" in only["patch"])


def test_several_paths_are_rolled_back(host: Path, command: Command) -> None:
    """Those without an apply are left out; status lists each apply once."""
    before = digests(host)
    (host / "sub").mkdir()
    command("migrate", "apply", str(host))
    paths = (str(host / "sub"), str(host / "routes.py"))
    assert 1 == len(command("migrate", "status", *paths).stdout.splitlines())
    assert 0 == command("migrate", "rollback", *paths).exit_code
    assert before == digests(host)


def test_paths_within_each_other_are_rolled_back_once(host: Path, command: Command) -> None:
    """A path that is given twice, or is in another one, does not reach the apply before the last."""
    command("migrate", "apply", str(host))
    between = digests(host)
    (host / "more.py").write_text(OLD)
    command("migrate", "apply", str(host))
    assert 0 == command("migrate", "rollback", str(host), f"{host}/../host", str(host / "routes.py")).exit_code
    assert {**between, "more.py": hashlib.sha256(OLD.encode()).hexdigest()} == digests(host)


def test_a_folder_whose_name_is_no_text(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON the bytes that are no text are escaped, as they are elsewhere."""
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "routes.py").write_text(OLD)
    monkeypatch.chdir(folder)
    applied = json.loads(command("migrate", "apply", ".", "--json").stdout)
    assert f"{tmp_path}/\\udcff/.ssot-engine/migrate/0001.journal" == applied["applied"]["journal"]
    (past,) = json.loads(command("migrate", "status", ".", "--json").stdout)
    assert applied["applied"]["journal"] == past["journal"]
    assert 0 == command("migrate", "rollback", str(folder), "--json").exit_code


def test_an_edited_file_is_refused(host: Path, command: Command) -> None:
    """Rollback leaves a file that was edited since as it is, says how to go on, and ends with 2."""
    command("migrate", "apply", str(host))
    edited = (host / "routes.py").read_text() + "mine = 1\n"
    (host / "routes.py").write_text(edited)
    ended = command("migrate", "rollback", str(host))
    assert (2, edited) == (ended.exit_code, (host / "routes.py").read_text())
    assert "--discard-edits" in ended.stdout
    assert 0 == command("migrate", "rollback", str(host), "--discard-edits").exit_code
    assert OLD in (host / "routes.py").read_text()


def test_a_dirty_tree_is_refused(host: Path, command: Command) -> None:
    """Changes that git does not have are asked about before anything is written."""
    git(host, "init", "-q")
    git(host, "add", ".")
    git(host, "commit", "-qm", "before")
    (host / "other.py").write_text("import sys\n")
    before = digests(host)
    ended = command("migrate", "apply", str(host))
    assert (2, before) == (ended.exit_code, digests(host))
    assert "--allow-dirty" in ended.stderr
    assert 1 == command("migrate", "apply", str(host), "--allow-dirty").exit_code


def test_a_baseline_only_falls(host: Path, command: Command) -> None:
    """What it accepts is not reported; what is new is; what is gone is told."""
    baseline = host / "baseline.json"
    assert 0 == command("migrate", "check", "--ssot", "--write-baseline", str(baseline), str(host)).exit_code
    (host / "more.py").write_text(REMOVED)
    ended = command("migrate", "check", "--ssot", "--baseline", str(baseline), str(host))
    assert 1 == ended.exit_code
    assert f"{host}/more.py:1:" in ended.stdout
    assert f"{host}/config.py" not in ended.stdout
    (host / "more.py").unlink()
    (host / "config.py").unlink()
    ended = command("migrate", "check", "--ssot", "--baseline", str(baseline), str(host))
    assert (0, True) == (ended.exit_code, "gone from the baseline: 1 finding; " in ended.stdout)


def test_sarif_is_written(host: Path, command: Command) -> None:
    """Beside what is printed, for tools that review code."""
    target = host / "found.sarif"
    command("migrate", "check", "--ssot", "--sarif", str(target), str(host))
    log = json.loads(target.read_text())
    assert ("2.1.0", 2) == (log["version"], len(log["runs"][0]["results"]))


def test_sarif_on_standard_output_is_one_document(host: Path, command: Command) -> None:
    """`--sarif -` prints nothing beside it, and is refused where --json would be printed too."""
    ended = command("migrate", "check", "--sarif", "-", str(host))
    assert (1, "2.1.0") == (ended.exit_code, json.loads(ended.stdout)["version"])
    both = command("migrate", "check", "--sarif", "-", "--json", str(host))
    assert (2, "") == (both.exit_code, both.stdout)
    assert "name a file for --sarif" in both.stderr


def test_what_a_baseline_accepts_is_not_called_clean(host: Path, command: Command) -> None:
    """The last line says that nothing is left which is not accepted, and the one before how much is."""
    baseline = host / "baseline.json"
    ended = command("migrate", "check", "--write-baseline", str(baseline), str(host))
    accepted, last = ended.stdout.splitlines()
    assert "accepted by the baseline: 2 findings" == accepted
    assert last.startswith("clean: nothing that is not accepted in 3 files in ")


def test_old_modules_are_told_in_one_line(host: Path, command: Command) -> None:
    """What is left alone for one reason takes one line; folders of git and of the toolkit none, `--json` has all."""
    git(host, "init", "-q")
    folder = host / "netra_backend" / "app" / "agents" / "supervisor"
    folder.mkdir(parents=True)
    for name in ("execution_engine_factory", "execution_engine"):
        (folder / f"{name}.py").write_text(f"from {UNIFIED} import UnifiedFactory\n")
    told = [line for line in command("migrate", "scan", str(host)).stdout.splitlines() if "left alone" in line]
    assert [f"left alone: {folder}/execution_engine.py and 1 more: is an old module itself"] == told
    document = json.loads(command("migrate", "scan", str(host), "--json").stdout)
    assert f"{host}/.git" in [one["path"] for one in document["left_alone"]]


MADE_BY_THE_CONTAINER = {
    "agents.supervisor.user_execution_engine.UserExecutionEngine": "factory.engine_for(context)",
    "agents.supervisor.execution_engine_factory.ExecutionEngineFactory": "`container.engine_factory()`",
    "websocket_core.unified_emitter.UnifiedWebSocketEmitter": "`engine.websocket_emitter`",
    "agents.supervisor.agent_instance_factory.AgentInstanceFactory": "`engine.agent_factory`",
}


@pytest.mark.parametrize(("old", "instead"), MADE_BY_THE_CONTAINER.items())
def test_what_the_container_makes_is_asked_of_it(old: str, instead: str, host: Path, command: Command) -> None:
    """An old call that does not fit is told where such an object comes from, not the arguments that only we have."""
    module, _, name = f"netra_backend.app.{old}".rpartition(".")
    (host / "made.py").write_text(f"from {module} import {name}\n{name}(1, 2, 3, websocket_manager=4)\n")
    told = command("migrate", "check", str(host / "made.py")).stdout.splitlines()[1]
    assert (True, True, False) == (" wrong_arguments " in told, instead in told, "call it as" in told)


def test_ssot_finds_a_second_authority(host: Path, command: Command) -> None:
    """Constructions outside the factory, second definitions and singletons of modules."""
    (host / "second.py").write_text(
        "from ssot_engine.engine import UserExecutionEngine\n"
        "class ExecutionEngineFactory:\n"
        "    def make(self):\n"
        "        return UserExecutionEngine()\n"
        "_factory = ExecutionEngineFactory()\n"
    )
    ended = command("migrate", "check", "--ssot", str(host / "second.py"))
    assert 1 == ended.exit_code
    found = [line.split(" ")[1] for line in ended.stdout.splitlines() if line.startswith(str(host))]
    assert {"duplicate_definition", "engine_outside_factory", "module_singleton"} <= set(found)


def test_verify_lists_names_that_do_not_resolve(host: Path, command: Command, tmp_path: Path) -> None:
    """A table whose new name does not exist is found out before anything is applied."""
    table = tmp_path / "table.yaml"
    entry = {
        "kind": "moved",
        "reason": "r",
        "replacement": "ssot_engine.nowhere.Thing",
        "since": "1",
        "removed_in": "2",
    }
    table.write_text(yaml.safe_dump({"modules": {"netra_backend.app.old": {"names": {"Thing": entry}}}}))
    (host / "third.py").write_text("from netra_backend.app.old import Thing\n")
    ended = command("migrate", "verify", str(host), "--table", str(table))
    assert 1 == ended.exit_code
    assert f"ssot_engine.nowhere.Thing does not resolve; used at {host}/third.py:1" in ended.stdout
    assert ended.stdout.endswith("\n1 new name: 1 does not resolve\n")
    assert 0 == command("migrate", "verify", str(host)).exit_code


def test_report_joins_source_and_census(host: Path, command: Command) -> None:
    """Progress in per cent, the lines processes went through, and what to do next."""
    census = host / "census.jsonl"
    site = Site(
        door=f"{FACTORY}.ExecutionEngineFactory", file=str(host / "routes.py"), line=2, count=1204, first_at=1.0,
        counting=Counting.EVERY_USE,
    )  # fmt: skip
    append(census, Tally(sites=(site,)))
    ended = command("migrate", "report", str(host), "--census", str(census))
    assert 1 == ended.exit_code
    assert "0 %" in ended.stdout
    assert "1,204" in ended.stdout
    assert "ssot-engine migrate apply" in ended.stdout
    command("migrate", "apply", str(host))
    assert "50 %" in command("migrate", "report", str(host)).stdout


def test_report_says_how_many_lines_it_does_not_show(host: Path, command: Command) -> None:
    """The lines used most are shown, and that there are more."""
    census = host / "census.jsonl"
    (host / "routes.py").write_text(OLD * 12)
    sites = [
        Site(
            door=f"{FACTORY}.ExecutionEngineFactory", file=str(host / "routes.py"), line=line, count=1, first_at=1.0,
            counting=Counting.EVERY_USE,
        )
        for line in range(1, 13)
    ]  # fmt: skip
    append(census, Tally(sites=tuple(sites)))
    assert (
        "\n  and 2 more; `--json` has all\n" in command("migrate", "report", str(host), "--census", str(census)).stdout
    )


@pytest.mark.parametrize("word", ["scan", "check", "diff", "apply", "verify", "report", "status", "rollback"])
def test_a_path_that_is_not_there_is_refused(word: str, command: Command) -> None:
    """With its name and status 2."""
    ended = command("migrate", word, "nowhere")
    assert (2, True) == (ended.exit_code, "'nowhere'" in ended.stderr)


def test_rollback_of_a_path_that_is_not_there_says_so(host: Path, command: Command) -> None:
    """Which a misspelt path is; one that is there, and was never applied, is not called missing."""
    assert "'nowhere', which does not exist; name a path" in command("migrate", "rollback", "nowhere").stderr
    assert "does not exist" not in command("migrate", "rollback", str(host)).stderr


def test_help_says_what_options_do(command: Command) -> None:
    """The two whose names do not say it."""
    said = " ".join(command("migrate", "apply", "--help").stdout.replace("│", " ").split())
    assert "At most this many processes." in said
    assert "Rename uses in a file too" in said


def test_hooks_are_commands() -> None:
    """Each entry of the hooks for pre-commit is a command line that takes file names."""
    hooks = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        program, *words = shlex.split(hook["entry"])
        assert "ssot-engine" == program
        with pytest.raises(SystemExit) as ended:
            app([*words, str(Path(__file__))], prog_name="ssot-engine")
        assert ended.value.code in (0, 1)
