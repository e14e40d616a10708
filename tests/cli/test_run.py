"""Facts about `run`: where the answer goes, what the exit status says, how Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from command import QUESTION, Command, slow_run

from ssot_engine.cli.show import FIVE_EVENTS
from ssot_engine.offline.answers import answer
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.sample import sample_log


def test_the_answer_alone_goes_to_standard_output(command: Command) -> None:
    """It can be piped; the timeline and everything else goes to standard error."""
    done = command("run", "supervisor", QUESTION)
    assert done.exit_code == 0
    assert f"{answer(QUESTION, sample_log(), PriceTable.load())}\n" == done.stdout
    assert [] == [name for name in FIVE_EVENTS if name not in done.stderr]


def test_with_json_it_prints_the_runs_events(command: Command) -> None:
    """One object per line, the last says how the run ended."""
    done = command("run", "supervisor", QUESTION, "--json", "--user", "alice", "--thread", "t-1")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert list(range(1, len(events) + 1)) == [event["seq"] for event in events]
    assert {("alice", "t-1")} == {(event["user_id"], event["thread_id"]) for event in events}
    assert ("agent_completed", "completed") == (events[-1]["type"], events[-1]["payload"]["status"])
    assert done.stderr == ""


def test_the_events_stay_for_later(command: Command, log_path: Path) -> None:
    """They are kept below the state directory, and the printed command reads them."""
    done = command("run", "supervisor", QUESTION)
    assert log_path.is_file()
    again = done.stderr.splitlines()[-1].partition("ssot-engine ")[2].split()
    assert "agent_completed" in command(*again).stdout


def test_a_thread_goes_on(command: Command, slow_config: str) -> None:
    """A later run of the thread sees what was said; a value is printed as JSON."""
    common = ("--thread", "t-1", "--config", slow_config)
    command("run", "counter", "first", *common)
    done = command("run", "counter", "second", *common)
    assert {"earlier": ["first"]} == json.loads(done.stdout)


def test_an_unknown_agent_names_the_known_ones(command: Command) -> None:
    """Exit status 2, one paragraph."""
    done = command("run", "nobody", "hi")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: unknown agent 'nobody'; registered are: 'data', 'optimize', 'report', 'supervisor', 'triage'\n"
    )


def test_a_failing_run_says_why(command: Command, tmp_path: Path) -> None:
    """Exit status 1, and the agent's own text."""
    done = command("run", "supervisor", QUESTION, "--data", str(tmp_path / "none.csv"))
    assert done.exit_code == 1
    assert f"failed: usage log '{tmp_path}/none.csv' cannot be read: No such file or directory" in done.stderr


def test_a_run_that_takes_too_long_is_stopped(command: Command, slow_config: str) -> None:
    """Exit status 1, and it says so."""
    done = command("run", "slow", "", "--timeout", "0.2", "--config", slow_config)
    assert (1, "begun \n") == (done.exit_code, done.stdout)
    assert "timed_out" in done.stderr


def test_a_timeout_of_nothing_is_refused(command: Command) -> None:
    """The caller's mistake: exit status 2."""
    done = command("run", "supervisor", QUESTION, "--timeout", "0")
    assert (2, True) == (done.exit_code, "pass seconds above 0" in done.stderr)


def test_a_second_writer_is_told_who_the_first_is(command: Command, slow_config: str) -> None:
    """Exit status 2, with the pid and what to do."""
    with slow_run(slow_config) as first:
        done = command("run", "supervisor", QUESTION)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    assert done.exit_code == 2
    assert f"is in use by pid {first.pid}" in done.stderr


def test_ctrl_c_cancels_the_run_and_shows_the_receipt(command: Command, slow_config: str) -> None:
    """The run ends cancelled in the log, the receipt says that nothing acts any more, exit status 1."""
    with slow_run(slow_config) as process:
        process.send_signal(signal.SIGINT)
        output, notes = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output == "\n"
    assert "nothing of it acts any more" in notes
    assert "Traceback" not in notes
    last = json.loads(command("events", "t-slow", "--user", "alice", "--json").stdout.splitlines()[-1])
    assert ("agent_completed", "cancelled") == (last["type"], last["payload"]["status"])
