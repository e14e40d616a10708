"""Facts about `chat`: it reads questions until it is told to stop, in one thread."""

from __future__ import annotations

import re
from pathlib import Path

from command import Command


def test_it_answers_each_line(command: Command) -> None:
    """Blank lines are passed over; the end of the input ends it."""
    done = command("chat", stdin="Which model is slowest?\n\nWhat is love?\n")
    assert done.exit_code == 0
    assert "sample-reasoner is slowest" in done.stdout
    assert "I do not know how to answer 'What is love?'" in done.stdout


def test_quit_ends_it(command: Command) -> None:
    """What comes after is not asked."""
    done = command("chat", stdin="/quit\nWhich model is slowest?\n")
    assert (0, "") == (done.exit_code, done.stdout)


def test_it_stays_in_one_thread(command: Command, slow_config: str) -> None:
    """The agent sees what was said before, and the thread's events are kept under the name it told."""
    done = command("chat", "counter", "--config", slow_config, stdin="first\nsecond\n")
    assert '"first"' in done.stdout
    thread = re.search(r"events (thread_\w+)", done.stderr)
    assert thread is not None
    assert command("events", thread[1]).stdout.count("agent_completed") == 2


def test_a_failing_run_does_not_end_it(command: Command, tmp_path: Path) -> None:
    """The next question is asked all the same."""
    missing = str(tmp_path / "none.csv")
    done = command("chat", "--data", missing, stdin="Which model is slowest?\nWhat is love?\n")
    assert (0, 2) == (done.exit_code, done.stderr.count("failed: usage log"))


def test_an_unknown_agent_is_refused_at_once(command: Command) -> None:
    """Before anything is typed."""
    done = command("chat", "nobody", stdin="hi\n")
    assert (2, True) == (done.exit_code, "registered are: 'data'" in done.stderr)
