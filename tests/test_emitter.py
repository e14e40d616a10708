"""The emitter of one engine."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from fakes import check_thread, context_of, events_of, types_of
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import InvalidContext, RunConflict
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import EventRefused


def test_an_emitter_is_made_outside_a_loop_and_shows_whose_it_is() -> None:
    """No task starts with it; ids are the context's, whatever characters they have."""
    context = context_of("auth0|123", "run-1", "a b@c")
    bridge = AgentWebSocketBridge.create_for_user(context)
    emitter = UnifiedWebSocketEmitter(bridge, context)
    assert ("auth0|123", "a b@c", "run-1") == (emitter.user_id, emitter.thread_id, emitter.run_id)
    assert emitter.websocket_bridge is bridge


@pytest.mark.parametrize("other", [context_of("bob"), context_of("alice", "run-1", "t-2")])
def test_an_emitter_of_one_user_takes_no_bridge_of_another(other: UserExecutionContext) -> None:
    """What it told would be in the other's thread, under the ids of its own."""
    with pytest.raises(InvalidContext, match="cannot serve"):
        UnifiedWebSocketEmitter(AgentWebSocketBridge.create_for_user(other), context_of("alice", "run-1"))


async def test_an_emitters_methods_are_the_bridges_for_the_contexts_run() -> None:
    """The same events as by the bridge, without naming the run; each call says True when its event is stored."""
    log = MemoryEventLog()
    context = context_of()
    emitter = UnifiedWebSocketEmitter(AgentWebSocketBridge(context, log), context)
    answers = [
        await emitter.notify_agent_started("helper", {"message": "hi"}),
        await emitter.notify_agent_thinking("helper", "hm", 1, 10.0),
        await emitter.notify_tool_executing("add", "helper", {"a": 1}),
        await emitter.notify_tool_completed("add", 2, "helper", 3.0),
        await emitter.notify_agent_error("helper", "broken"),
        await emitter.notify_agent_completed("helper", "done", 5.0),
    ]
    assert [True] * 6 == answers
    events = events_of(log)
    check_thread(events)
    assert {"run-1"} == {event.run_id for event in events}
    assert 6 == len(events)


@pytest.mark.parametrize(
    "name",
    [
        "notify_agent_started",
        "notify_agent_thinking",
        "notify_tool_executing",
        "notify_tool_completed",
        "notify_agent_completed",
        "notify_agent_error",
    ],
)
def test_emitter_and_bridge_have_one_signature(name: str) -> None:
    """The emitter's parameters are the bridge's in their order, without the run and what older code passes besides."""
    own = list(inspect.signature(getattr(UnifiedWebSocketEmitter, name)).parameters)
    bridge = list(inspect.signature(getattr(AgentWebSocketBridge, name)).parameters)
    without = [parameter for parameter in bridge if parameter not in ("run_id", "trace_context", "user_context")]
    assert without == own


async def test_by_hand_and_by_engine_do_not_mix_in_one_run(start: Start) -> None:
    """A run that was started by hand cannot be driven by the engine too; the other way round only it may end it."""

    @agent("agent")
    async def waits(run: RunContext) -> None:
        await asyncio.Event().wait()

    container = await start(waits)
    factory = container.engine_factory()
    async with factory.engine_for(context_of()) as engine:
        await engine.websocket_emitter.notify_agent_started("helper")
        with pytest.raises(RunConflict):
            await engine.run("agent", "go")
        await engine.websocket_emitter.notify_agent_completed("helper")
    async with factory.engine_for(context_of("alice", "run-2")) as engine:
        engine.stream("agent", "go")
        await engine.websocket_emitter.notify_agent_thinking("helper", "through the emitter")
        with pytest.raises(EventRefused, match="the engine that runs it writes this event itself"):
            await engine.websocket_emitter.notify_agent_completed("helper")
        with pytest.raises(EventRefused):
            await engine.websocket_emitter.notify_agent_started("helper")
    events = events_of(container.event_log())
    check_thread(events)
    assert "agent_thinking" in types_of(event for event in events if event.run_id == "run-2")
