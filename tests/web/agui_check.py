"""What AG-UI 1.0 demands of a run's events, as its npm client checks it, and some that it does not check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ag_ui.core import Event
from pydantic import TypeAdapter

_read = TypeAdapter(Event).validate_python

TERMINAL = ("RUN_FINISHED", "RUN_ERROR")

_OPENS = {
    "TEXT_MESSAGE_START": ("text", "messageId"),
    "REASONING_START": ("thought", "messageId"),
    "REASONING_MESSAGE_START": ("reasoning", "messageId"),
    "TOOL_CALL_START": ("call", "toolCallId"),
    "SUBAGENT_STARTED": ("agent", "subagentRunId"),
}
_NEEDS = {
    "TEXT_MESSAGE_CONTENT": ("text", "messageId"),
    "REASONING_MESSAGE_CONTENT": ("reasoning", "messageId"),
    "TOOL_CALL_ARGS": ("call", "toolCallId"),
}
_CLOSES = {
    "TEXT_MESSAGE_END": ("text", "messageId"),
    "REASONING_MESSAGE_END": ("reasoning", "messageId"),
    "REASONING_END": ("thought", "messageId"),
    "TOOL_CALL_END": ("call", "toolCallId"),
    "SUBAGENT_FINISHED": ("agent", "subagentRunId"),
    "SUBAGENT_ERROR": ("agent", "subagentRunId"),
}


def check_agui(events: Sequence[dict[str, Any]], *, is_whole: bool = True) -> None:
    """Every event is valid; RUN_STARTED is first; what opens closes, for whom it opened; one terminal event, last."""
    used: set[tuple[str, str]] = set()
    opened: dict[tuple[str, str], str | None] = {}
    for event in events:
        _read(event)
        kind, owner = event["type"], event.get("subagentRunId")
        if place := _OPENS.get(kind):
            key = (place[0], event[place[1]])
            assert key not in used, f"{key} is used twice"
            used.add(key)
            opened[key] = owner
        elif place := _NEEDS.get(kind):
            assert opened[place[0], event[place[1]]] == owner
        elif place := _CLOSES.get(kind):
            assert opened.pop((place[0], event[place[1]])) == owner
        if owner is not None and kind not in ("SUBAGENT_FINISHED", "SUBAGENT_ERROR"):
            assert ("agent", owner) in opened, f"{kind} of an agent that is not at work"
    kinds = [event["type"] for event in events]
    assert ["RUN_STARTED"] == kinds[:1]
    assert 1 == kinds.count("RUN_STARTED")
    if is_whole:
        assert not opened, f"left open: {list(opened)}"
        assert kinds[-1] in TERMINAL
        assert 1 == sum(kind in TERMINAL for kind in kinds)


def texts(events: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Each text message of the run, by id."""
    found: dict[str, str] = {}
    for event in events:
        if event["type"] == "TEXT_MESSAGE_CONTENT":
            found[event["messageId"]] = found.get(event["messageId"], "") + event["delta"]
    return found
