"""Facts about `events`: which it prints, from where on, and that it never writes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from command import QUESTION, Command, started


@pytest.fixture
def kept(command: Command) -> int:
    """Alice's thread `t-1` with one run in it; how many events it has."""
    done = command("run", "supervisor", QUESTION, "--user", "alice", "--thread", "t-1", "--json")
    return len(done.stdout.splitlines())


def seqs(text: str) -> list[int]:
    """The seq of each JSON line."""
    return [json.loads(line)["seq"] for line in text.splitlines()]


def test_it_prints_a_thread_oldest_first(command: Command, kept: int) -> None:
    """One line per event, each with its seq, name, agent and gist."""
    lines = command("events", "t-1", "--user", "alice").stdout.splitlines()
    assert kept == len(lines)
    assert lines[0].split()[:4] == ["1", "0.000", "agent_started", "supervisor"]
    assert lines[0].endswith(f'"{QUESTION}"')
    assert "agent_completed" in lines[-1]


def test_after_and_limit_choose_a_part(command: Command, kept: int) -> None:
    """`--after 3 --limit 2` are events 4 and 5."""
    done = command("events", "t-1", "--user", "alice", "--after", "3", "--limit", "2", "--json")
    assert [4, 5] == seqs(done.stdout)


def test_a_position_beyond_the_end_is_told(command: Command, kept: int) -> None:
    """It belongs to another history: a reset, then what there is."""
    lines = command("events", "t-1", "--user", "alice", "--after", "999", "--json").stdout.splitlines()
    assert json.loads(lines[0])["reset"]["reason"] == "ahead"
    assert list(range(1, kept + 1)) == seqs("\n".join(lines[1:]))


def test_another_users_thread_is_unknown(command: Command, kept: int) -> None:
    """Bob sees nothing of it, not even that it is there; alice is told the threads she has."""
    bobs = command("events", "t-1", "--user", "bob")
    assert (2, "") == (bobs.exit_code, bobs.stdout)
    assert "no events of user 'bob' in thread 't-1'" in bobs.stderr
    assert "they have none there" in bobs.stderr
    assert "their newest threads: t-1" in command("events", "t-2", "--user", "alice").stderr


def test_following_shows_what_comes_later(command: Command, kept: int) -> None:
    """A second process writes while this one reads; Ctrl-C ends it without a traceback."""
    with started("events", "t-1", "--user", "alice", "--follow", "--json") as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(kept)]
        assert command("run", "supervisor", QUESTION, "--user", "alice", "--thread", "t-1").exit_code == 0
        seen += [process.stdout.readline() for _ in range(kept)]
        process.send_signal(signal.SIGINT)
        _, notes = process.communicate(timeout=30)
    assert list(range(1, 2 * kept + 1)) == seqs("".join(seen))
    assert (0, "") == (process.returncode, notes)


def test_a_missing_log_is_told(command: Command, log_path: Path) -> None:
    """Reading makes no file."""
    done = command("events", "t-1")
    assert (2, False) == (done.exit_code, log_path.exists())
    assert f"event log '{log_path}' does not exist" in done.stderr


def test_a_log_in_memory_cannot_be_read(command: Command) -> None:
    """It belongs to the process that writes it."""
    done = command("events", "t-1", "--events-url", "memory://")
    assert (2, True) == (done.exit_code, "cannot be read from another process" in done.stderr)
