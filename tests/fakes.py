"""Small real fakes shared by the tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import Draft, EventLog
from ssot_engine.events import Event, ThreadKey

ALICE = ThreadKey("alice", "t-1")
BOB = ThreadKey("bob", "t-1")


def draft(type: str, run_seq: int, run_id: str = "run-1", span: int = 0, **payload: Any) -> Draft:
    """An event as an emitter hands it to a log."""
    return Draft(type, run_id, "writer", run_seq, span, None, time.time(), msgspec.Raw(msgspec.json.encode(payload)))


def deltas(first: int, count: int, run_id: str = "run-1") -> list[Draft]:
    """`count` message deltas with consecutive ordinals from `first`."""
    return [draft("message_delta", first + i, run_id, text=f"piece {first + i}") for i in range(count)]


def ending(run_seq: int, run_id: str = "run-1", status: str = "completed") -> Draft:
    """A run's terminal event."""
    return draft("agent_completed", run_seq, run_id, status=status, result=None, execution_time_ms=1.0, message="")


# ------------------------------------------------------------------- runs of engines


def context_of(user_id: str = "alice", run_id: str = "run-1", thread_id: str = "t-1") -> UserExecutionContext:
    """A request of a user, in the thread that `ALICE` and `BOB` name."""
    return UserExecutionContext.from_request(user_id, thread_id, run_id)


async def until(fact: Callable[[], object], limit_s: float = 3.0) -> None:
    """Wait for a state, under a time limit."""
    async with asyncio.timeout(limit_s):
        while not fact():
            await asyncio.sleep(0.001)


def events_of(log: EventLog, key: ThreadKey = ALICE) -> list[Event]:
    """All events of a thread in a memory log, oldest first."""
    page = log.read_now(key, None, 1_000_000)
    assert page is not None
    assert page.status == "ok"
    return list(page.events)


def types_of(events: Iterable[Event]) -> list[str]:
    """What kinds of events these are."""
    return [event.type for event in events]


def check_thread(events: Sequence[Event], *, open_runs: int = 0) -> None:
    """What must hold of every thread: dense order, one last event per run, and each call and span closed before it."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    runs: dict[str, list[Event]] = {}
    for event in events:
        runs.setdefault(event.run_id, []).append(event)
    still_open = [mine for mine in runs.values() if mine[-1].type != "agent_completed"]
    assert len(still_open) == open_runs, [types_of(mine) for mine in still_open]
    for mine in runs.values():
        kinds = types_of(mine)
        assert kinds[0] == "agent_started"
        assert kinds.count("agent_started") == 1
        assert kinds.count("agent_completed") == (mine not in still_open)
        assert [event.run_seq for event in mine] == list(range(1, len(mine) + 1))
        if mine not in still_open:
            _check_pairs(mine)


def _check_pairs(events: Sequence[Event]) -> None:
    calls: dict[str, Event] = {}
    spans: dict[int, Event] = {}
    for event in events:
        match event.type:
            case "tool_executing":
                calls[event.payload["call_id"]] = event
            case "tool_completed":
                began = calls.pop(event.payload["call_id"])
                assert (began.agent_name, began.span, began.parent) == (event.agent_name, event.span, event.parent)
            case "subagent_started":
                spans[event.span] = event
            case "subagent_completed":
                began = spans.pop(event.span)
                assert (began.agent_name, began.parent) == (event.agent_name, event.parent)
    assert not calls
    assert not spans
