"""Facts about how events and texts are shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ssot_engine.cli.show import event_line, gist, one_line, printable, style_of
from ssot_engine.events import Event


def event(type: str, **payload: Any) -> Event:
    """An event half a second after second 1."""
    raw = msgspec.Raw(msgspec.json.encode(payload))
    return Event(type, "t-1", "run-1", "alice", "data", "e", 4, 4, 0, None, 1.5, raw)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\rb", r"a\rb"),
        ("x\u202ey", r"x\u202ey"),
        ("half \ud800", r"half \ud800"),
        ("two\nlines\tand naïve 文字", "two\nlines\tand naïve 文字"),
    ],
)
def test_what_acts_on_a_terminal_is_written_as_an_escape(text: str, shown: str) -> None:
    """Nobody's data moves the cursor; lines, tabs and every script stay."""
    assert shown == printable(text)


def test_one_line_stays_one_line() -> None:
    """Whatever white space is in it."""
    assert one_line(" a\n b\t\tc ") == "a b c"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (event("agent_started", message="why?"), '"why?"'),
        (event("agent_thinking", reasoning="hm"), "hm"),
        (event("message_delta", text="piece"), "piece"),
        (event("tool_executing", tool_name="add", parameters={"a": 1, "b": "x"}), 'add(a=1, b="x")'),
        (event("tool_completed", tool_name="add", status="completed", result=3, execution_time_ms=1.25), "add 1.2 ms"),
        (
            event(
                "tool_completed", tool_name="add", status="failed", result={"message": "no"}, execution_time_ms=1234.5
            ),
            "add failed 1,234.5 ms: no",
        ),
        (event("agent_completed", status="cancelled", error=None, execution_time_ms=2), "cancelled 2.0 ms"),
        (event("agent_error", error_message="broken"), "broken"),
        (event("custom", name="chart", data=1), "chart"),
    ],
)
def test_the_gist_of_each_event(told: Event, expected: str) -> None:
    """In some words."""
    assert expected == gist(told)


def test_a_line_has_time_name_agent_and_gist() -> None:
    """Seconds since the first event, to the millisecond."""
    line = event_line(event("agent_thinking", reasoning="hm"), 1.0)
    assert line.plain == "  0.500  agent_thinking      data        hm"


def test_what_did_not_complete_is_red() -> None:
    """A failed tool call as well as a cancelled run."""
    assert style_of(event("tool_completed", status="failed")) == "red"
    assert style_of(event("agent_completed", status="cancelled")) == "red"
    assert style_of(event("agent_completed", status="completed")) == "bold"
