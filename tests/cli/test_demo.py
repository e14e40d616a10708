"""Facts about the demonstration: it ends by itself, shows both users, and fails when a check does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from command import Command
from usage_logs import HEADER

from ssot_engine.cli.demo import Outcome, conclude
from ssot_engine.cli.evidence import Check
from ssot_engine.cli.show import FIVE_EVENTS


def test_it_runs_as_a_module_and_ends_by_itself() -> None:
    """`python -m ssot_engine demo`: exit status 0, both answers, all checks held, no temporary file left."""
    before = set(Path(tempfile.gettempdir()).glob("ssot-engine-demo-*"))
    done = subprocess.run([sys.executable, "-m", "ssot_engine", "demo"], capture_output=True, text=True, timeout=60)
    assert (0, "") == (done.returncode, done.stderr)
    assert "support-chat is 52.7% of the cost" in done.stdout
    assert "sample-reasoner is slowest" in done.stdout
    assert "FAILED" not in done.stdout
    assert before >= set(Path(tempfile.gettempdir()).glob("ssot-engine-demo-*"))


def test_both_timelines_name_the_five_events(command: Command) -> None:
    """Printed literally, for each of the two users."""
    lines = command("demo").stdout.splitlines()
    for user in ("alice", "bob"):
        mine = [line for line in lines if line.startswith(f"{user} ")]
        assert [] == [name for name in FIVE_EVENTS if not any(f"  {name} " in line for line in mine)]


def test_its_figures_are_those_of_the_events(command: Command) -> None:
    """The document holds every event; what the checks say can be counted in it."""
    done = command("demo", "--json")
    document = json.loads(done.stdout)
    assert (0, True) == (done.exit_code, document["passed"])
    assert ["alice", "bob"] == [run["user_id"] for run in document["runs"]]
    for run in document["runs"]:
        assert {run["user_id"]} == {event["user_id"] for event in run["events"]}
        assert list(range(1, len(run["events"]) + 1)) == [event["seq"] for event in run["events"]]
    counts = [len(run["events"]) for run in document["runs"]]
    figures = {check["claim"]: check["figures"] for check in document["checks"]}
    assert f"alice {counts[0]} of {counts[0]}, bob {counts[1]} of {counts[1]}" == figures["events delivered live"]
    assert f"0 in {2 * sum(counts)} events read" == figures["cross-user events"]
    assert figures["left open"] == "0 engines, 0 scopes, 0 tasks"
    assert figures["shared mutable objects"].startswith("0 besides the ")
    assert len({run["engine_id"] for run in document["runs"]}) == 2


def test_it_takes_the_users_own_log(command: Command, tmp_path: Path) -> None:
    """Both questions are answered from the file."""
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\n2026-09-01T10:00:00Z,gpt-4o,1000,100,500,ok,my-feature,\n")
    done = command("demo", "--data", str(path))
    assert done.exit_code == 0
    assert "my-feature is 100.0% of the cost" in done.stdout
    assert f"data: {path}, 1 call" in done.stdout


def test_a_run_that_fails_fails_the_demo(command: Command, tmp_path: Path) -> None:
    """A bad row: its place is told, and the exit status is 1; with --skip-bad-rows it is counted."""
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\n2026-09-01T10:00:00Z,gpt-4o,1,1,5,ok,chat,\nyesterday,gpt-4o,1,1,5,ok,chat,\n")
    done = command("demo", "--data", str(path))
    assert done.exit_code == 1
    assert f"failed: {path} row 3, column 'time'" in done.stdout
    assert done.stderr == "the demo failed: see above\n"
    assert "skipped: 1 bad row" in command("demo", "--data", str(path), "--skip-bad-rows").stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_a_check_that_fails_fails_the_demo(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """It says which, and the exit status is 1."""
    failed = Outcome(told=(), checks=(Check("order, no holes", False, "alice 1 to 7"),), elapsed_s=0.1)
    assert conclude(failed, None, as_json) == 1
    shown = capsys.readouterr().out
    assert ('"passed": false' if as_json else "FAILED  order, no holes") in shown
