"""Killing the process that writes a SQLite event log loses nothing it promised."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).parent / "chaos.py"
FIGURES = re.compile(
    r"(\d+) kills: (\d+) acknowledged, (\d+) acknowledged lost, (\d+) visible lost, (\d+) seq reused, (\d+) holes, (.*)"
)


def torment(*arguments: str) -> tuple[int, list[int], str]:
    """The harness's exit status, its figures, and all it said."""
    done = subprocess.run(
        [sys.executable, str(CHAOS), *arguments], capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    found = FIGURES.match(done.stdout)
    assert found, done.stdout + done.stderr
    return done.returncode, [int(figure) for figure in found.groups()[:6]], done.stdout + done.stderr


def test_kills_lose_nothing():
    """Nothing acknowledged or seen is lost, no place is used twice, every run ends exactly once."""
    status, (kills, acknowledged, *wrong), said = torment("--kills", "5", "--seed", "7")
    assert (0, 5, [0, 0, 0, 0]) == (status, kills, wrong), said
    assert "every run exactly one terminal" in said
    assert acknowledged > 1000, said


def test_showing_before_storing_is_found_out():
    """The same harness fails a log that shows events before they are stored: it can see what it looks for."""
    status, (_, _, acknowledged_lost, visible_lost, reused, _), said = torment(
        "--kills", "5", "--seed", "7", "--show-before-commit"
    )
    assert 1 == status, said
    assert min(acknowledged_lost, visible_lost, reused) > 0, said
    assert "complained" not in said
