"""The doors that are functions: who gets which engine, in which shape of call, and what is refused."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from typing import Any
from unittest import mock

import pytest
from old_callers import Notified, echo, in_use, uses_old_doors

from fakes import context_of
from running import Start, assert_nothing_is_left
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ConfigError, EngineLimitReached, InvalidContext, RequestError
from ssot_engine.events import RunStatus
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.legacy import entry_points
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.entry_points import (
    configure_execution_engine_factory,
    create_request_scoped_engine,
    get_execution_engine_factory,
    user_execution_engine,
)
from ssot_engine.legacy.unified_factory import UnifiedExecutionEngineFactory
from ssot_engine.registry import AgentRegistry

pytestmark = uses_old_doors


# ----------------------------------------------------------------- create_from_legacy


async def test_it_makes_an_engine_of_what_was_brought(start: Start) -> None:
    """By keyword or by position, the engine has the caller's registry, bridge and context, and says how it came."""
    container = await in_use(start)
    registry, context = AgentRegistry([echo]), context_of()
    bridge = AgentWebSocketBridge.create_for_user(context)
    calls = [
        lambda: UserExecutionEngine.create_from_legacy(
            registry=registry, websocket_bridge=bridge, user_context=context
        ),
        lambda: UserExecutionEngine.create_from_legacy(registry, bridge, user_context=context),
        lambda: UserExecutionEngine.create_from_legacy(registry, bridge, context),
    ]
    for call in calls:
        engine = await call()
        assert type(engine) is UserExecutionEngine
        assert engine.is_compatibility_mode()
        assert engine.agent_factory.registry is registry
        assert engine.websocket_bridge is bridge
        assert engine.user_context is context
        assert [engine] == container.engine_factory().engines()
        await engine.cleanup()


async def test_nothing_but_a_registry_is_enough(start: Start) -> None:
    """Bridge and user are made for this call: a bridge that stores, and a user nobody else is."""
    container = await in_use(start)
    engine = await UserExecutionEngine.create_from_legacy(AgentRegistry([echo]), None)
    context = engine.get_user_context()
    assert context.user_id.startswith("legacy_compat_user_")
    assert {"compatibility_mode": True} == dict(context.metadata)
    assert RunStatus.COMPLETED == (await engine.run("echo", "hi")).status
    page = container.event_log().read_now(engine.websocket_bridge.key, None)
    assert page is not None
    assert ["agent_started", "agent_completed"] == [event.type for event in page.events]
    await engine.cleanup()


async def test_a_class_of_the_hosts_own_is_not_replaced_by_another(start: Start) -> None:
    """Asked through a subclass that the container does not make, the door refuses and names the setting."""

    class Mine(UserExecutionEngine):
        __slots__ = ()

    container = await in_use(start)
    with pytest.raises(TypeError, match=r"Mine\.create_from_legacy\(\) would not give a Mine: .*providers: {engine: "):
        await Mine.create_from_legacy(None, None, context_of())
    assert_nothing_is_left(container)
    container.engine.override(container.engine.built_by(Mine))
    engine = await Mine.create_from_legacy(None, None, context_of())
    assert type(engine) is Mine
    await engine.cleanup()
    container.engine.reset_override()


async def test_the_factorys_limits_hold(start: Start) -> None:
    """A door is no way around the user's cap; the error is still a ValueError, as old `except` clauses expect."""
    await in_use(start, engine={"max_engines_per_user": 1})
    first = await UserExecutionEngine.create_from_legacy(None, None, context_of())
    with pytest.raises(EngineLimitReached) as refused:
        await UserExecutionEngine.create_from_legacy(None, None, context_of())
    assert isinstance(refused.value, ValueError)
    await first.cleanup()


# ------------------------------------------------------------------------ the factory


async def test_the_factory_is_the_containers(start: Start) -> None:
    """Each call gets the one factory there is."""
    container = await in_use(start)
    assert container.engine_factory() is await get_execution_engine_factory()
    assert container.engine_factory() is await get_execution_engine_factory()


async def test_configuring_gives_the_same_factory_with_other_providers(start: Start) -> None:
    """Bridge and managers reach the engines made from then on; the factory stays what it was."""
    host, pool, cache = Notified(), object(), object()
    container = await in_use(start)
    factory = await get_execution_engine_factory()
    assert factory is await configure_execution_engine_factory(host, database_session_manager=pool, redis_manager=cache)
    async with user_execution_engine(context_of()) as engine:
        assert (pool, cache) == (engine.database_session_manager, engine.redis_manager)
        await engine.run("echo", "hi")
        with pytest.raises(ConfigError, match="while 1 engines are open"):
            await configure_execution_engine_factory(websocket_bridge=AgentWebSocketBridge())
    assert ["agent_started", "agent_completed"] == host.kinds
    for provider in (container.bridge, container.database_session_manager, container.redis_manager):
        provider.reset_override()


async def test_a_factory_answers_to_its_former_methods(start: Start) -> None:
    """`create_execution_engine` and `user_execution_scope` are create_for_user and engine_for."""
    await in_use(start)
    factory = await get_execution_engine_factory()
    engine = await factory.create_execution_engine(context_of())
    assert [engine] == factory.engines()
    await factory.cleanup_engine(engine)
    async with factory.user_execution_scope(context_of()) as engine:
        assert [engine] == factory.engines()
    assert [] == factory.engines()


# ----------------------------------------------------------- create_request_scoped_engine


CONTEXT, REGISTRY, BRIDGE = context_of(), AgentRegistry([echo]), AgentWebSocketBridge.create_for_user(context_of())


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ("c", {}),
        ("", {"context": "c"}),
        ("", {"user_context": "c"}),
        ("", {"registry": "r", "user_context": "c", "websocket_bridge": "b"}),
        ("", {"registry": "r", "user_context": "c", "websocket_bridge": "b", "max_concurrent_executions": "3"}),
        ("rbc", {}),
        ("crb", {}),
        ("rcb", {}),
        ("crb3", {}),
        ("crb", {"max_concurrent_executions": "3"}),
        ("rb", {"user_context": "c"}),
        ("r-c", {}),
        ("c--", {}),
        ("c", {"registry": "r", "websocket_bridge": "b"}),
    ],
)
async def test_each_counted_shape_makes_the_same_engine(start: Start, args: str, kwargs: dict[str, str]) -> None:
    """In whatever order, the engine has the context, registry and bridge that were passed."""
    container = await in_use(start)
    context, registry = context_of(), AgentRegistry([echo])
    bridge = AgentWebSocketBridge.create_for_user(context)
    values = {"c": context, "r": registry, "b": bridge, "3": 3, "-": None}
    engine = await create_request_scoped_engine(
        *(values[letter] for letter in args), **{name: values[letter] for name, letter in kwargs.items()}
    )
    letters = {*args, *kwargs.values()}
    assert engine.user_context is context
    assert engine.agent_factory.registry is (registry if "r" in letters else container.registry())
    assert (engine.websocket_bridge is bridge) is ("b" in letters)
    assert (3 if "3" in letters else 10) == engine.max_runs
    assert [engine] == container.engine_factory().engines()
    await engine.cleanup()


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "without a UserExecutionContext"),
        ((None, None, None), {}, "without a UserExecutionContext"),
        ((REGISTRY, BRIDGE), {}, "without a UserExecutionContext"),
        (("alice",), {}, "'alice' is none of a UserExecutionContext, an AgentRegistry and a bridge"),
        ((REGISTRY, object(), CONTEXT), {}, "is none of"),
        ((CONTEXT, context_of("bob")), {}, "user_context was passed twice"),
        ((CONTEXT,), {"user_context": context_of("bob")}, "user_context was passed twice"),
        ((REGISTRY, BRIDGE, REGISTRY), {"user_context": CONTEXT}, "registry was passed twice"),
        ((), {"context": CONTEXT, "user_context": CONTEXT}, "context= and user_context= at once"),
        ((CONTEXT, REGISTRY, BRIDGE, "3"), {}, "'3' is none of"),
        ((CONTEXT,), {"max_concurrent_executions": 0}, "max_concurrent_executions 0 is no number of runs"),
        ((CONTEXT,), {"max_concurrent_executions": True}, "max_concurrent_executions True is no number of runs"),
        ((CONTEXT,), {"llm_manager": object()}, "does not take llm_manager="),
    ],
)
async def test_another_shape_is_refused_at_once(args: Any, kwargs: Any, says: str) -> None:
    """What is missing, double or of no known kind raises where the call stands, and the right call is shown."""
    with pytest.raises(TypeError, match=says) as refused:
        create_request_scoped_engine(*args, **kwargs)
    assert "engine = await create_request_scoped_engine(context)" in str(refused.value)


@pytest.mark.parametrize(
    ("kwargs", "argument"),
    [
        ({"user_context": "alice"}, "user_context"),
        ({"user_context": CONTEXT, "registry": {}}, "registry"),
        ({"user_context": CONTEXT, "websocket_bridge": object()}, "websocket_bridge"),
    ],
)
async def test_a_named_argument_of_another_class_is_refused(start: Start, kwargs: Any, argument: str) -> None:
    """The error names the argument, and holds nothing."""
    container = await in_use(start)
    with pytest.raises(RequestError, match=f"^{argument} "):
        await create_request_scoped_engine(**kwargs)
    assert_nothing_is_left(container)


async def test_an_engines_own_limit_of_runs_holds(start: Start) -> None:
    """`max_concurrent_executions` lowers the setting for this engine; it cannot raise it."""
    await in_use(start, engine={"max_concurrent_runs_per_engine": 4})
    engine = await create_request_scoped_engine(context_of(), max_concurrent_executions=1)
    stream = engine.stream("echo", "hi")
    with pytest.raises(EngineLimitReached, match="already has 1 runs going on"):
        await engine.run("echo", "hi")
    await stream.result()
    await engine.cleanup()
    engine = await create_request_scoped_engine(context_of(run_id="run-2"), max_concurrent_executions=99)
    assert 4 == engine.max_runs
    await engine.cleanup()


async def test_an_engine_that_was_not_awaited_says_so(start: Start) -> None:
    """The original had a function of this name that was not awaited: used so, the call refuses, with the right one."""
    await in_use(start)
    call: Any = create_request_scoped_engine(context_of())
    with pytest.raises(AttributeError, match=r"was asked for 'run'; call `engine = await create_request_scoped_engine"):
        call.run("echo", "hi")
    with pytest.raises(TypeError, match="not awaited yet was entered; call `engine = await"), call:
        pass
    engine = await call
    assert "hi" == (await engine.run("echo", "hi")).output
    await engine.cleanup()


async def test_the_call_can_be_a_task(start: Start) -> None:
    """What must be awaited may be given to a task or to gather; a cancelled one leaves nothing."""
    container = await in_use(start)
    one, two = await asyncio.gather(
        asyncio.create_task(create_request_scoped_engine(context_of())),
        create_request_scoped_engine(context_of("bob")),
    )
    assert ["alice", "bob"] == [engine.user_context.user_id for engine in (one, two)]
    task = asyncio.create_task(create_request_scoped_engine(context_of("carol")))
    assert "EngineCall" in repr(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for engine in (one, two):
        await engine.cleanup()
    assert_nothing_is_left(container)


# ------------------------------------------------------------------- user_execution_engine


async def test_the_block_has_an_engine_that_ends_with_it(start: Start) -> None:
    """By position or keyword; the engine is closed also if the block raises."""
    container = await in_use(start)
    async with user_execution_engine(context_of()) as engine:
        assert engine.is_compatibility_mode()
        assert [engine] == container.engine_factory().engines()
    for block in (user_execution_engine(context=context_of()), user_execution_engine(user_context=context_of())):
        with pytest.raises(KeyError):
            async with block as engine:
                raise KeyError
        assert not engine.is_active()
    assert_nothing_is_left(container)


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        (("alice", object()), {}, "was given 'alice', <object"),
        ((CONTEXT, object()), {}, "was given UserExecutionContext"),
        ((), {}, "was given nothing"),
        ((None,), {}, "was given nothing"),
        (("alice",), {}, "was given 'alice'"),
        ((), {"context": CONTEXT, "user_context": CONTEXT}, "was given UserExecutionContext"),
        ((CONTEXT,), {"timeout": 3}, "was given UserExecutionContext"),
    ],
)
async def test_other_arguments_than_one_context_are_refused(args: Any, kwargs: Any, told: str) -> None:
    """Two positional arguments, as eighteen callers pass, raise at the call, with the right one shown."""
    with pytest.raises(TypeError, match=told) as refused:
        user_execution_engine(*args, **kwargs)
    assert str(refused.value).endswith("write `async with user_execution_engine(context) as engine:`")


async def test_a_plain_with_is_refused() -> None:
    """`with` without `async`, or `await`, is a TypeError that shows the right call; nothing was opened."""
    right = r"write `async with user_execution_engine\(context\) as engine:`"
    with pytest.raises(TypeError, match=right), user_execution_engine(context_of()):  # type: ignore[attr-defined]
        pass
    with pytest.raises(TypeError, match=right):
        await user_execution_engine(context_of())


# ------------------------------------------------------------------------ how it is told


def shapes_of_doors() -> list[Any]:
    """Each door as a call that needs no container."""
    engine: Any = UserExecutionEngine
    return [
        pytest.param(lambda: engine.create_from_legacy(None), id="create_from_legacy"),
        pytest.param(lambda: create_request_scoped_engine(CONTEXT), id="create_request_scoped_engine"),
        pytest.param(lambda: user_execution_engine(CONTEXT), id="user_execution_engine"),
        pytest.param(lambda: get_execution_engine_factory(), id="get_execution_engine_factory"),
        pytest.param(lambda: configure_execution_engine_factory(), id="configure_execution_engine_factory"),
    ]


@pytest.mark.parametrize("call", shapes_of_doors())
def test_the_line_that_calls_is_told(call: Any) -> None:
    """The warning stands at the caller's line, at the call and not where it is awaited, and names what to use."""
    with pytest.warns(LegacyWarning, match="goes in 1.0; use `") as told:
        coroutine = call()
    if inspect.iscoroutine(coroutine) or inspect.isawaitable(coroutine):
        getattr(coroutine, "close", lambda: None)()
    assert [(__file__, call.__code__.co_firstlineno)] == [(str(one.filename), one.lineno) for one in told]


def test_a_refused_warning_begins_nothing() -> None:
    """With `-W error` a door raises where it is called; no coroutine is left that nobody awaits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LegacyWarning)
        for call in shapes_of_doors():
            with pytest.raises(LegacyWarning):
                call.values[0]()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (UserExecutionEngine, "create_from_legacy"),
        (UserExecutionEngine, "execute_agent"),
        (ExecutionEngineFactory, "create_execution_engine"),
        (UnifiedExecutionEngineFactory, "create_engine"),
        (UnifiedExecutionEngineFactory, "create_for_user"),
        (entry_points, "get_execution_engine_factory"),
        (entry_points, "configure_execution_engine_factory"),
        (entry_points, "create_request_scoped_engine"),
    ],
)
async def test_a_patched_door_can_be_awaited(owner: Any, name: str) -> None:
    """What stands in for a door in a test is an AsyncMock, as for the coroutine function that it was."""
    with mock.patch.object(owner, name) as stand_in:
        stand_in.return_value = "patched"
        assert "patched" == await getattr(owner, name)(None)


def test_every_door_is_listed() -> None:
    """What the module offers is what stands in its list."""
    assert all(callable(getattr(entry_points, name)) for name in entry_points.__all__)
    assert UserExecutionContext is type(CONTEXT)
    with pytest.raises(InvalidContext):
        entry_points.context_of(None)
