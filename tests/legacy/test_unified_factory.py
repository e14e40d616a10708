"""The original's second and third factory: each method leads to the container's one factory."""

from __future__ import annotations

from typing import Any

import pytest
from old_callers import Notified, echo, in_use, uses_old_doors

from fakes import context_of
from running import Start, assert_nothing_is_left
from ssot_engine import factory as canonical
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ConfigError, InvalidContext, RequestError
from ssot_engine.legacy import execution_factory, unified_factory
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.unified_factory import (
    UnifiedExecutionEngineFactory,
    UnifiedFactory,
    create_execution_engine_async,
    create_user_execution_engine_async,
)
from ssot_engine.registry import AgentRegistry
from ssot_engine.tools import ToolRegistry

pytestmark = uses_old_doors


def test_its_names_lead_to_one_class_each() -> None:
    """`UnifiedFactory` is the same class, and `ExecutionEngineFactory` the canonical one."""
    assert UnifiedFactory is UnifiedExecutionEngineFactory
    assert unified_factory.ExecutionEngineFactory is canonical.ExecutionEngineFactory
    assert all(vars(unified_factory)[name] for name in unified_factory.__all__)


@pytest.mark.parametrize(
    "make",
    [
        lambda context: UnifiedExecutionEngineFactory.create_engine(user_context=context),
        lambda context: UnifiedExecutionEngineFactory.create_engine({}, None, None, context),
        lambda context: UnifiedExecutionEngineFactory.create_user_engine(context),
        lambda context: UnifiedExecutionEngineFactory.create_user_engine(user_context=context, config=None),
        lambda context: UnifiedExecutionEngineFactory.create_for_user(context),
        lambda context: UnifiedExecutionEngineFactory.create_request_scoped_engine(context.request_id, context),
        lambda context: UnifiedExecutionEngineFactory.create_request_scoped_engine(user_context=context),
        lambda context: UnifiedExecutionEngineFactory.get_default_engine(context),
        lambda context: UnifiedFactory().create_for_user(context),
        lambda context: create_execution_engine_async(user_context=context),
        lambda context: create_user_execution_engine_async(context),
        lambda context: execution_factory.get_execution_engine_factory().create_execution_engine(context),
        lambda context: execution_factory.ExecutionEngineFactory().create_execution_engine(user_context=context),
    ],
)
async def test_each_method_makes_an_engine_of_the_one_factory(start: Start, make: Any) -> None:
    """It is a UserExecutionEngine for the context passed, counted and closed like any other."""
    container = await in_use(start)
    context = context_of()
    engine = await make(context)
    assert type(engine) is UserExecutionEngine
    assert engine.user_context is context
    assert engine.is_compatibility_mode()
    assert [engine] == container.engine_factory().engines()
    assert engine.agent_factory.registry is container.registry()
    await engine.cleanup()
    assert_nothing_is_left(container)


async def test_an_engine_has_what_its_call_brought(start: Start) -> None:
    """Registry, bridge and tools of `create_engine` are this engine's alone."""
    container = await in_use(start)
    registry, tools, bridge = AgentRegistry([echo]), ToolRegistry(), AgentWebSocketBridge.create_for_user(context_of())
    for create in (UnifiedExecutionEngineFactory.create_engine, create_execution_engine_async):
        engine = await create(
            registry=registry, websocket_bridge=bridge, user_context=context_of(), tool_dispatcher=tools
        )
        assert (registry, tools, bridge) == (
            engine.agent_factory.registry,
            engine.tool_registry,
            engine.websocket_bridge,
        )
        await engine.cleanup()
    assert registry is not container.registry()


async def test_a_request_id_of_its_own_is_kept(start: Start) -> None:
    """The engine's context has the request id that was passed, and everything else of the context."""
    await in_use(start)
    context = context_of()
    engine = await UnifiedExecutionEngineFactory.create_request_scoped_engine("req-77", context)
    mine = engine.user_context
    assert ("req-77", context.user_id, context.run_id) == (mine.request_id, mine.user_id, mine.run_id)
    await engine.cleanup()


@pytest.mark.parametrize("door", [UnifiedExecutionEngineFactory.configure, UnifiedExecutionEngineFactory.set_defaults])
async def test_what_is_configured_is_everybodys(start: Start, door: Any) -> None:
    """Every engine from then on has it; while one is open a further call is refused."""
    host, registry, tools = Notified(), AgentRegistry([echo]), ToolRegistry()
    container = await in_use(start)
    door(registry=registry, websocket_bridge=host, tool_dispatcher=tools)
    engine = await UnifiedExecutionEngineFactory.create_for_user(context_of())
    assert (registry, tools) == (engine.agent_factory.registry, engine.tool_registry)
    await engine.run("echo", "hi")
    with pytest.raises(ConfigError, match="while 1 engines are open"):
        door(registry=AgentRegistry())
    await engine.cleanup()
    assert ["agent_started", "agent_completed"] == host.kinds
    for provider in (container.registry, container.bridge, container.tools):
        provider.reset_override()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: UnifiedExecutionEngineFactory.configure(config={"max_concurrent": 3}),
            "limits and times are settings",
        ),
        (lambda: UnifiedExecutionEngineFactory.set_defaults({"timeout": 3}), "limits and times are settings"),
        (lambda: UnifiedExecutionEngineFactory.configure(registry=object()), "not an AgentRegistry"),
        (lambda: UnifiedExecutionEngineFactory.configure(websocket_bridge=object()), "is no AgentWebSocketBridge"),
        (lambda: UnifiedExecutionEngineFactory.configure(tool_dispatcher=object()), "neither a ToolRegistry nor"),
        (lambda: execution_factory.ExecutionEngineFactory(config=object()), "limits and times are settings"),
        (
            lambda: execution_factory.get_execution_engine_factory().configure(websocket_bridge_factory=object()),
            "is no AgentWebSocketBridge",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(call: Any, says: str) -> None:
    """A configuration that nobody reads, or an object of another class, is a TypeError; nothing was configured."""
    with pytest.raises(TypeError, match=says):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: UnifiedExecutionEngineFactory.create_engine({"max_concurrent": 3}, user_context=context_of()),
        lambda: UnifiedExecutionEngineFactory.create_user_engine(context_of(), {"max_concurrent": 3}),
        lambda: create_user_execution_engine_async(context_of(), config={"max_concurrent": 3}),
    ],
)
async def test_an_engine_with_a_configuration_of_its_own_is_refused(call: Any) -> None:
    """It would run under the process's limits, whatever it says."""
    with pytest.raises(TypeError, match="would have no effect"):
        await call()


async def test_the_third_factory_ends_the_engines_of_a_request(start: Start) -> None:
    """By the request's id; an unknown one is an error, and the figures are the one factory's."""
    container = await in_use(start)
    factory = execution_factory.ExecutionEngineFactory()
    mine, other = (
        await factory.create_execution_engine(context_of()),
        await factory.create_execution_engine(context_of("bob")),
    )
    assert 2 == (await factory.get_factory_metrics())["engines_active"]
    await factory.cleanup_context(mine.user_context.request_id)
    assert (False, True) == (mine.is_active(), other.is_active())
    with pytest.raises(RequestError, match="no engine of request"):
        await factory.cleanup_context(mine.user_context.request_id)
    await other.cleanup()
    with pytest.raises(InvalidContext):
        await factory.create_execution_engine(None)
    pool, registry = object(), AgentRegistry()
    factory.configure(agent_registry=registry, db_connection_pool=pool)
    assert (pool, registry) == (container.database_session_manager(), container.registry())
    container.database_session_manager.reset_override()
    container.registry.reset_override()


@pytest.mark.parametrize(
    "call",
    [
        lambda: UnifiedExecutionEngineFactory.configure(),
        lambda: UnifiedExecutionEngineFactory.set_defaults(),
        lambda: UnifiedExecutionEngineFactory.create_engine(),
        lambda: UnifiedExecutionEngineFactory.create_user_engine(),
        lambda: UnifiedExecutionEngineFactory.create_request_scoped_engine(),
        lambda: UnifiedExecutionEngineFactory.create_for_user(),
        lambda: UnifiedExecutionEngineFactory.get_default_engine(),
        lambda: create_execution_engine_async(),
        lambda: create_user_execution_engine_async(),
        lambda: execution_factory.get_execution_engine_factory(),
    ],
)
def test_the_line_that_calls_is_told(call: Any) -> None:
    """Each method warns where it is called."""
    with pytest.warns(LegacyWarning) as told:
        coroutine = call()
    if coroutine is not None and not isinstance(coroutine, execution_factory.ExecutionEngineFactory):
        coroutine.close()
    assert [(__file__, call.__code__.co_firstlineno)] == [(one.filename, one.lineno) for one in told]
