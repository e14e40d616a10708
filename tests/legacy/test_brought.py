"""What callers bring: for their own call only, checked by its class, and given to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from old_callers import Notified, echo, in_use, uses_old_doors

from fakes import context_of, events_of
from running import Start, assert_nothing_is_left
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import InvalidContext, RequestError
from ssot_engine.events import ThreadKey
from ssot_engine.legacy.brought import WrongArgument, bridge_of, brought, by_kind, registry_of, tools_of
from ssot_engine.legacy.host_bridge import HostBridge
from ssot_engine.registry import AgentRegistry
from ssot_engine.tools import ToolDispatcher, ToolRegistry

pytestmark = uses_old_doors

create = UserExecutionEngine.create_from_legacy


# ---------------------------------------------------------------------------- bridges


async def test_a_bridge_of_another_user_is_refused(start: Start) -> None:
    """Or of another thread: the error names both owners, nothing is held, and no event went anywhere."""
    container = await in_use(start)
    for owner in (context_of("bob"), context_of(thread_id="t-2")):
        bridge = AgentWebSocketBridge.create_for_user(owner)
        with pytest.raises(InvalidContext, match="cannot serve user 'alice', thread 't-1'"):
            await create(None, bridge, context_of())
        assert bridge.event_log is None
    assert_nothing_is_left(container)


async def test_a_bound_bridge_brings_its_context(start: Start) -> None:
    """Without a context the engine is that of the bridge's user: nobody anonymous is made."""
    await in_use(start, legacy={"anonymous_context": "refuse"})
    context = context_of()
    bridge = AgentWebSocketBridge.create_for_user(context)
    engine = await create(None, bridge)
    assert engine.user_context is context
    assert engine.websocket_bridge is bridge
    await engine.cleanup()


async def test_an_unbound_bridge_is_never_bound(start: Start) -> None:
    """Each engine gets a sibling of it; it may be brought by everybody at once, also without a context."""
    container = await in_use(start)
    shared = AgentWebSocketBridge()
    engines = [await create(None, shared, context_of(user)) for user in ("alice", "bob")]
    engines.append(await create(None, shared))
    for engine in engines:
        await engine.run("echo", engine.user_context.user_id)
        assert engine.websocket_bridge is not shared
        key = ThreadKey(engine.user_context.user_id, engine.user_context.thread_id)
        assert key == engine.websocket_bridge.key
        assert {key.user_id} == {event.user_id for event in events_of(container.event_log(), key)}
    assert (None, None) == (shared.user_context, shared.event_log)
    for engine in engines:
        await engine.cleanup()


async def test_a_hosts_own_object_is_told_after_the_log(start: Start) -> None:
    """When the object hears of an event, a reader can have it already."""
    container = await in_use(start)
    seen: list[int] = []

    class Looks(Notified):
        async def notify_agent_completed(self, run_id: str, agent_name: str, **about: Any) -> None:
            seen.append(len(events_of(container.event_log())))

    engine = await create(None, Looks(), context_of())
    assert type(engine.websocket_bridge) is HostBridge
    await engine.run("echo", "hi")
    await engine.cleanup()
    assert [2] == seen


@pytest.mark.parametrize(
    "mock", [AsyncMock(), AsyncMock(spec=AgentWebSocketBridge), MagicMock(spec=AgentWebSocketBridge)]
)
async def test_a_mock_of_a_bridge_is_told_like_a_hosts_object(start: Start, mock: Any) -> None:
    """It claims to be a bridge, but its methods store nothing: the built-in way is kept, and the mock is told."""
    container = await in_use(start)
    engine = await create(None, mock, context_of())
    await engine.run("echo", "hi")
    await engine.cleanup()
    mock.notify_agent_started.assert_awaited_once()
    mock.notify_agent_completed.assert_awaited_once()
    assert 2 == len(events_of(container.event_log()))


class Blocking:
    """Has the methods, but none can be awaited."""

    def notify_agent_started(self) -> None: ...
    def notify_agent_thinking(self) -> None: ...
    def notify_tool_executing(self) -> None: ...
    def notify_tool_completed(self) -> None: ...
    def notify_agent_completed(self) -> None: ...


@pytest.mark.parametrize("wrong", [object(), "bridge", {}, Blocking(), MagicMock(), AgentWebSocketBridge])
async def test_what_is_no_bridge_is_refused(start: Start, wrong: Any) -> None:
    """The error lists the methods that are missing; no engine and no user was made for it."""
    container = await in_use(start)
    with pytest.raises(WrongArgument, match=r"websocket_bridge .* lacks .*notify_agent_completed as async") as refused:
        await create(None, wrong)
    assert isinstance(refused.value, ValueError)
    assert_nothing_is_left(container)


# --------------------------------------------------------------------- all the others


@pytest.mark.parametrize("wrong", [object(), {}, [echo], AgentRegistry, MagicMock(spec=AgentRegistry)])
async def test_what_is_no_registry_is_refused(start: Start, wrong: Any) -> None:
    """Also a mock that claims to be one: it would find no agent."""
    container = await in_use(start)
    with pytest.raises(WrongArgument, match=r"registry .* not an AgentRegistry"):
        await create(wrong, None, context_of())
    assert_nothing_is_left(container)


@pytest.mark.parametrize("wrong", ["alice", {"user_id": "alice"}, object(), MagicMock()])
async def test_what_is_no_context_is_refused(start: Start, wrong: Any) -> None:
    """A wrong context is an error, and never becomes an anonymous user."""
    container = await in_use(start)
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        await create(AgentRegistry(), None, wrong)
    assert_nothing_is_left(container)


def test_tools_come_as_registry_or_dispatcher() -> None:
    """Both lead to the registry; anything else is refused."""
    tools = ToolRegistry()
    assert tools is tools_of(tools)
    assert tools is tools_of(ToolDispatcher(tools))
    with pytest.raises(WrongArgument, match=r"tool_dispatcher .* neither a ToolRegistry nor a ToolDispatcher"):
        tools_of(object())


def test_none_brings_nothing() -> None:
    """What is None is left to the container; what is not is an override of its provider."""
    registry, bridge, tools = AgentRegistry(), AgentWebSocketBridge(), ToolRegistry()
    assert (None, {}) == brought(None, registry=None, websocket_bridge=None, tool_dispatcher=None)
    assert (None, {"registry": registry, "bridge": bridge, "tools": tools}) == brought(
        registry=registry, websocket_bridge=bridge, tool_dispatcher=tools
    )
    assert registry is registry_of(registry)
    assert bridge is bridge_of(bridge)


def test_arguments_by_position_are_told_apart_by_what_they_are() -> None:
    """Order does not matter, None is left out, and a keyword counts as well."""
    context, registry, bridge = context_of(), AgentRegistry(), Notified()
    found = {"user_context": context, "registry": registry, "websocket_bridge": bridge}
    assert found == by_kind((bridge, None, context), {"registry": registry, "user_context": None}, "call it right")
    with pytest.raises(TypeError, match=r"registry was passed twice, .*; call it right"):
        by_kind((AgentRegistry(),), {"registry": registry}, "call it right")


# ------------------------------------------------------------------ for that call only


async def test_two_callers_at_once_see_only_their_own(start: Start) -> None:
    """What one brings is in force while the other's engine is made, runs and ends; the container's is untouched."""
    container = await in_use(start)
    before = {name: provider.overridden for name, provider in container.providers.items()}

    async def one(user: str) -> None:
        registry, host = AgentRegistry([echo]), Notified()
        engine = await create(registry, host, context_of(user))
        await asyncio.sleep(0)
        assert engine.agent_factory.registry is registry
        await engine.run("echo", user)
        await engine.cleanup()
        assert ["agent_started", "agent_completed"] == host.kinds
        assert user == host.told[-1][1]["result"]

    await asyncio.gather(*(one(f"user-{number}") for number in range(20)))
    assert before == {name: provider.overridden for name, provider in container.providers.items()}
    assert isinstance(WrongArgument("registry", None, "is none"), RequestError)
