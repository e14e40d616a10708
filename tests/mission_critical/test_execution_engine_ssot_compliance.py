"""One authority makes every engine: what the guide's compliance test states, by our own names.

Nobody named a container here: the doors make the default one, each test's on its own event loop.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.events import RunStatus
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.legacy.entry_points import (
    create_request_scoped_engine,
    get_execution_engine_factory,
    user_execution_engine,
)
from ssot_engine.legacy.in_use import in_use
from ssot_engine.legacy.unified_factory import UnifiedExecutionEngineFactory
from ssot_engine.registry import AgentRegistry
from ssot_engine.testing.audit import assert_isolated

pytestmark = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")

CRITICAL_METHODS = (
    "notify_agent_started",
    "notify_agent_thinking",
    "notify_tool_executing",
    "notify_tool_completed",
    "notify_agent_completed",
)


def request_of(name: str, **metadata: Any) -> UserExecutionContext:
    """A request of a user, with ids as the guide makes them."""
    return UserExecutionContext.from_request_supervisor(
        user_id=f"{name}_user",
        thread_id=f"{name}_thread",
        run_id=f"{name}_run",
        request_id=f"{name}_request",
        metadata=metadata,
    )


@pytest.fixture
async def container() -> AsyncIterator[ExecutionContainer]:
    """The process's container; at the end none of its engines may be open."""
    container = await in_use()
    yield container
    assert [] == container.engine_factory().engines()
    assert container.open_scopes == 0


async def test_a_registry_alone_gets_an_engine(container: ExecutionContainer) -> None:
    """Without a bridge and a user, `create_from_legacy` makes both: a real bridge, a marked user of its own."""
    engine = await UserExecutionEngine.create_from_legacy(
        registry=AgentRegistry(), websocket_bridge=None, user_context=None
    )
    assert type(engine) is UserExecutionEngine
    assert isinstance(engine.websocket_bridge, AgentWebSocketBridge)
    assert engine.get_user_context().user_id.startswith("legacy_compat_")
    assert engine.is_compatibility_mode() is True
    await engine.cleanup()
    assert not engine.is_active()


async def test_every_door_ends_at_one_factory(container: ExecutionContainer) -> None:
    """Engines of all doors are of one class, counted by one factory, and of the context that was passed."""
    context = request_of("ssot")
    factory = await get_execution_engine_factory()
    assert type(factory) is ExecutionEngineFactory
    assert factory is container.engine_factory()
    engines = [
        await factory.create_for_user(context),
        await create_request_scoped_engine(context),
        await UserExecutionEngine.create_from_legacy(AgentRegistry(), None, context),
        await UnifiedExecutionEngineFactory.create_engine(user_context=context),
    ]
    async with user_execution_engine(context) as engine:
        assert [*engines, engine] == factory.engines()
        for one in (*engines, engine):
            assert type(one) is UserExecutionEngine
            assert one.get_user_context() is context
            assert one.websocket_emitter.websocket_bridge is one.websocket_bridge
            assert one.agent_factory.emitter is one.websocket_emitter
    assert engines == factory.engines()
    for one in engines:
        await one.cleanup()


async def test_users_at_once_share_nothing(container: ExecutionContainer) -> None:
    """Engines of several users, made at the same time, have nothing in common that could change but the container's."""
    factory = await get_execution_engine_factory()
    contexts = [request_of(f"concurrent_{number}") for number in range(3)]
    engines = await asyncio.gather(*(factory.create_for_user(context) for context in contexts))
    assert contexts == [engine.get_user_context() for engine in engines]
    assert [context.user_id for context in contexts] == [engine.websocket_emitter.user_id for engine in engines]
    assert 3 == len({engine.engine_id for engine in engines})
    for part in ("websocket_emitter", "websocket_bridge", "agent_factory"):
        assert 3 == len({id(getattr(engine, part)) for engine in engines})
    assert_isolated(engines[0], engines[1], container)
    for engine in engines:
        await engine.cleanup()


async def test_an_engine_can_tell_its_user_everything(container: ExecutionContainer) -> None:
    """Emitter and bridge of an engine are connected, and have each method that an event needs."""
    context = request_of("websocket")
    async with user_execution_engine(context) as engine:
        assert context.user_id == engine.websocket_emitter.user_id
        assert engine.websocket_emitter.websocket_bridge is engine.websocket_bridge
        for speaker in (engine.websocket_bridge, engine.websocket_emitter):
            assert all(inspect.iscoroutinefunction(getattr(speaker, name)) for name in CRITICAL_METHODS)
        assert await engine.websocket_emitter.notify_agent_started("helper")
        assert await engine.websocket_emitter.notify_agent_completed("helper", "done")
        page = await container.event_log().read(engine.websocket_bridge.key)
        assert ["agent_started", "agent_completed"] == [event.type for event in page.events]


async def test_a_user_who_asks_gets_an_answer(container: ExecutionContainer) -> None:
    """The golden path: an active engine with agents and tools answers, and every event of it is in the log."""
    context = request_of("golden_path", user_message="Where does my LLM spend go?")
    async with user_execution_engine(context) as engine:
        assert engine.is_active()
        assert len(engine.get_available_agents()) > 0
        tools = await engine.get_available_tools()
        assert len(tools) > 0
        assert (await engine.get_tool_dispatcher()).has_tool(tools[0].name)
        result = await engine.run("supervisor", context.metadata["user_message"])
        assert RunStatus.COMPLETED == result.status
        assert result.output
        page = await container.event_log().read(engine.websocket_bridge.key)
        types = [event.type for event in page.events]
        assert ("agent_started", "agent_completed") == (types[0], types[-1])
        assert {"tool_executing", "tool_completed"} <= set(types)
        assert {context.user_id} == {event.user_id for event in page.events}
    assert not engine.is_active()
