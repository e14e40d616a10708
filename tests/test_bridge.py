"""The bridge: whose events they are, where they go, and runs driven by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes import ALICE, BOB, check_thread, context_of, events_of, types_of
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.errors import ClosedError, ConfigError, InvalidContext, RunConflict
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import EventRefused


def a_bridge(user_id: str = "alice") -> tuple[AgentWebSocketBridge, MemoryEventLog]:
    log = MemoryEventLog()
    return AgentWebSocketBridge(context_of(user_id), log), log


# -------------------------------------------------------------------------- ownership


def test_a_bridge_for_a_user_needs_no_loop_and_no_container() -> None:
    """Made in plain code it knows its thread; it has no log until an engine adopts it."""
    context = context_of()
    bridge = AgentWebSocketBridge.create_for_user(context)
    assert bridge.user_context is context
    assert ALICE == bridge.key
    assert bridge.event_log is None


@pytest.mark.parametrize("wrong", [None, "alice", {"user_id": "alice"}])
def test_a_bridge_is_made_for_a_context_or_not_at_all(wrong: Any) -> None:
    """Nothing stands in for a missing user."""
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        AgentWebSocketBridge.create_for_user(wrong)
    if wrong is not None:
        with pytest.raises(InvalidContext, match="from_request"):
            AgentWebSocketBridge(wrong)


def test_an_unbound_bridge_belongs_to_nobody() -> None:
    """It has no thread; bound siblings are made of it, one per context, and it stays unbound."""
    log = MemoryEventLog()
    unbound = AgentWebSocketBridge(None, log)
    with pytest.raises(ClosedError, match="is bound to no user"):
        _ = unbound.key
    siblings = [unbound.for_context(context_of(user)) for user in ("alice", "bob")]
    assert [ALICE, BOB] == [sibling.key for sibling in siblings]
    assert all(sibling.event_log is log for sibling in siblings)
    assert unbound.user_context is None


def test_minimal_bridges_share_nothing() -> None:
    """Two made for testing have two users, two threads and two logs."""
    one, two = (AgentWebSocketBridge.create_minimal_for_testing() for _ in range(2))
    assert one.key.user_id != two.key.user_id
    assert one.event_log is not two.event_log


def test_a_bridge_serves_its_own_context_only() -> None:
    """Another user, and another thread of the same user, are refused by name."""
    bridge, _ = a_bridge()
    assert bridge.for_context(context_of("alice", "another-run")) is bridge
    for other in (context_of("bob"), context_of("alice", thread_id="t-2")):
        with pytest.raises(InvalidContext, match=r"of user 'alice', thread 't-1'. cannot serve user"):
            bridge.for_context(other)


def test_a_bridge_has_one_log() -> None:
    """The same log again is fine; another one is refused."""
    bridge, log = a_bridge()
    bridge.adopt(log)
    with pytest.raises(ConfigError, match="this bridge sends to 'memory://' already"):
        bridge.adopt(MemoryEventLog())


def test_a_minimal_bridge_moves_only_to_a_memory_log() -> None:
    """A container with a real log refuses it."""
    bridge = AgentWebSocketBridge.create_minimal_for_testing()
    other = MemoryEventLog()
    other.url = "sqlite:///events.db"
    with pytest.raises(ConfigError, match=r"create_minimal_for_testing\(\) is refused"):
        bridge.adopt(other)
    log = MemoryEventLog()
    bridge.adopt(log)
    assert bridge.event_log is log


async def test_without_user_or_log_nothing_is_told_and_the_error_says_so() -> None:
    """Events are never dropped in silence."""
    with pytest.raises(ClosedError, match="is bound to no user"):
        await AgentWebSocketBridge(None, MemoryEventLog()).notify_agent_started("r", "agent")
    with pytest.raises(ClosedError, match="has no event log yet"):
        await AgentWebSocketBridge(context_of()).notify_agent_started("r", "agent")


async def test_two_users_with_one_thread_and_run_id_have_two_threads() -> None:
    """On one log, and at the same time."""
    log = MemoryEventLog()
    for user in ("alice", "bob"):
        bridge = AgentWebSocketBridge(context_of(user), log)
        await bridge.notify_agent_started("run-1", f"agent of {user}")
        await bridge.notify_agent_completed("run-1", f"agent of {user}")
    for key in (ALICE, BOB):
        events = events_of(log, key)
        check_thread(events)
        assert {(key.user_id, f"agent of {key.user_id}")} == {(event.user_id, event.agent_name) for event in events}


# ---------------------------------------------------------------------------- by hand


async def test_a_run_driven_by_hand_tells_the_five_events_and_an_error() -> None:
    """Each call returns True once its event is stored; payloads are those of the table."""
    bridge, log = a_bridge()
    assert await bridge.notify_agent_started("r", "helper", {"message": "hi", "plan": "pro"})
    assert await bridge.notify_agent_thinking("r", "helper", "hm", 2, 25.0)
    assert await bridge.notify_tool_executing("r", "add", "helper", {"a": 1, "api_key": "x"})
    assert await bridge.notify_tool_completed("r", "add", {"sum": 2}, "helper", 4.0)
    assert await bridge.notify_agent_error("r", "helper", "password=hunter2 refused", {"agent_step": "login"})
    assert await bridge.notify_agent_completed("r", "helper", "done", 9.0)
    events = events_of(log)
    check_thread(events)
    assert [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_error",
        "agent_completed",
    ] == types_of(events)
    assert all(("alice", "t-1", "r") == (event.user_id, event.thread_id, event.run_id) for event in events)
    started, thinking, executing, tool_done, error, completed = (event.payload for event in events)
    assert ("hi", {"plan": "pro"}) == (started["message"], started["context"])
    assert ("hm", 2, 25.0) == tuple(thinking[key] for key in ("reasoning", "step_number", "progress_percentage"))
    assert {"a": 1, "api_key": "[redacted]"} == executing["parameters"]
    assert executing["call_id"] == tool_done["call_id"]
    assert ({"sum": 2}, 4.0) == (tool_done["result"], tool_done["execution_time_ms"])
    assert "password=[redacted] refused" == error["error_message"]
    assert "login" == error["error_context"]["agent_step"]
    assert ("completed", "done", 9.0) == tuple(completed[key] for key in ("status", "result", "execution_time_ms"))


async def test_an_error_event_has_its_user() -> None:
    """It goes the way of every event: to the user's thread, with the user's id."""
    bridge, log = a_bridge()
    await bridge.notify_agent_started("r", "helper")
    await bridge.notify_agent_error("r", "helper", "broken")
    error = events_of(log)[-1]
    assert ("agent_error", "alice", "t-1") == (error.type, error.user_id, error.thread_id)


async def test_calls_of_one_tool_are_ended_oldest_first() -> None:
    """By hand a call has no id of the caller's own; ids are made, and pair up."""
    bridge, log = a_bridge()
    await bridge.notify_agent_started("r", "helper")
    for number in (1, 2):
        await bridge.notify_tool_executing("r", "add", "helper", {"number": number})
    for number in (1, 2):
        await bridge.notify_tool_completed("r", "add", number)
    with pytest.raises(EventRefused, match="no call of 'add' is open"):
        await bridge.notify_tool_completed("r", "add", 3)
    calls = [event.payload for event in events_of(log)[1:]]
    assert [1, 2] == [payload["parameters"]["number"] for payload in calls[:2]]
    assert [payload["call_id"] for payload in calls[:2]] == [payload["call_id"] for payload in calls[2:]]


async def test_out_of_order_is_refused_by_hand_too() -> None:
    """Before the start, after the end, twice, or with another user's context: an error, and no event."""
    bridge, log = a_bridge()
    for early in (
        bridge.notify_agent_thinking("r", "helper", "x"),
        bridge.notify_tool_executing("r", "add"),
        bridge.notify_tool_completed("r", "add"),
        bridge.notify_agent_error("r", "helper", "x"),
        bridge.notify_agent_completed("r", "helper"),
    ):
        with pytest.raises(EventRefused, match="it has not started here, or it has ended"):
            await early
    await bridge.notify_agent_started("r", "helper")
    with pytest.raises(EventRefused):
        await bridge.notify_agent_started("r", "helper")
    with pytest.raises(InvalidContext):
        await bridge.notify_agent_thinking("r", "helper", "x", user_context=context_of("bob"))
    await bridge.notify_agent_completed("r", "helper")
    with pytest.raises(EventRefused):
        await bridge.notify_agent_thinking("r", "helper", "x")
    with pytest.raises(RunConflict):
        await bridge.notify_agent_started("r", "helper")
    assert ["agent_started", "agent_completed"] == types_of(events_of(log))
    assert () == bridge._voices


async def test_the_bridges_end_cancels_what_was_left_open_by_hand() -> None:
    """One last event each, with open tools closed; then the bridge makes no further voice."""
    bridge, log = a_bridge()
    for run_id in ("r-1", "r-2"):
        await bridge.notify_agent_started(run_id, "helper")
        await bridge.notify_tool_executing(run_id, "add")
    await bridge.notify_agent_completed("r-2", "helper")
    await bridge.aclose()
    await bridge.aclose()
    events = events_of(log)
    check_thread(events)
    assert "cancelled" == events[-1].payload["status"]
    with pytest.raises(ClosedError, match="is closed; its scope has ended"):
        await bridge.notify_agent_started("r-3", "helper")


async def test_a_voice_is_one_per_run() -> None:
    """Asked again it is the same; an engine that wants to drive the run itself meets a conflict."""
    bridge, _ = a_bridge()
    voice = bridge.for_run("r")
    assert voice is bridge.for_run("r")
    with pytest.raises(RunConflict):
        bridge.for_run("r", driven=True)
    driven = bridge.for_run("r-2", driven=True)
    driven.started("agent", "", {})
    with pytest.raises(EventRefused, match="the engine that runs it writes this event itself"):
        await bridge.notify_agent_completed("r-2", "agent")
    await bridge.notify_agent_thinking("r-2", "helper", "an agent of older code may speak through the bridge")
    with pytest.raises(RunConflict):
        bridge.for_run("r-2", driven=True)


async def test_making_a_bridge_starts_no_task_and_keeps_no_events() -> None:
    """There is nothing to forget: no background task, no history."""
    before = asyncio.all_tasks()
    bridge, log = a_bridge()
    await bridge.notify_agent_started("r", "helper")
    await bridge.notify_agent_completed("r", "helper")
    assert before == asyncio.all_tasks()
    assert () == bridge._voices
    assert not hasattr(bridge, "__dict__")
    assert 2 == len(events_of(log))
