"""What went wrong in the original at these doors, each made impossible: one test a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from old_callers import Notified, echo, in_use, uses_old_doors
from structlog.testing import capture_logs

from fakes import ALICE, check_thread, context_of, events_of, types_of, until
from running import Start, assert_nothing_is_left, small_settings
from ssot_engine import legacy
from ssot_engine.agents import Agent, RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ClosedError, ConfigError, InvalidContext, RequestError
from ssot_engine.events import RunStatus, ThreadKey
from ssot_engine.legacy import execution_factory
from ssot_engine.legacy.entry_points import (
    configure_execution_engine_factory,
    create_request_scoped_engine,
    get_execution_engine_factory,
    user_execution_engine,
)
from ssot_engine.legacy.unified_factory import UnifiedExecutionEngineFactory
from ssot_engine.registry import AgentRegistry
from ssot_engine.settings import Settings

pytestmark = uses_old_doors

create = UserExecutionEngine.create_from_legacy


@agent("endless")
async def endless(run: RunContext) -> None:
    """Never ends by itself."""
    await asyncio.Event().wait()


# ---------------------------------------------------------------------------- bridges


async def test_one_users_bridge_carries_no_event_of_another(start: Start) -> None:
    """A bridge made for A cannot serve an engine of B: no event of B reaches A's thread, not even with B's run id."""
    container = await in_use(start)
    bridge = AgentWebSocketBridge.create_for_user(context_of("alice"))
    for door in (
        lambda: create(None, bridge, context_of("bob")),
        lambda: create_request_scoped_engine(context_of("bob"), None, bridge),
        lambda: UnifiedExecutionEngineFactory.create_engine(websocket_bridge=bridge, user_context=context_of("bob")),
    ):
        with pytest.raises(InvalidContext, match=r"of user 'alice', .* cannot serve user 'bob'"):
            await door()
    engine = await create(None, bridge, context_of("alice"))
    with pytest.raises(InvalidContext):
        await engine.websocket_bridge.notify_agent_started("run-of-bob", "echo", user_context=context_of("bob"))
    await engine.cleanup()
    assert [] == events_of(container.event_log(), ALICE)


async def test_a_shared_bridge_without_a_context_loses_no_event(start: Start) -> None:
    """The same unbound bridge brought by two users: each has all events of their own run."""
    container = await in_use(start)
    shared = AgentWebSocketBridge()
    for user in ("alice", "bob"):
        engine = await create(None, shared, context_of(user))
        assert RunStatus.COMPLETED == (await engine.run("echo", "hi")).status
        await engine.cleanup()
        events = events_of(container.event_log(), ThreadKey(user, "t-1"))
        assert ["agent_started", "agent_completed"] == types_of(events)


async def test_a_host_that_answers_nothing_is_told_once(start: Start) -> None:
    """An object whose methods return None is no failure: each event reaches it once, and the run waits for nothing."""
    container = await in_use(start)
    host = Notified()
    with capture_logs() as entries:
        engine = await create(None, host, context_of())
        assert RunStatus.COMPLETED == (await engine.run("echo", "hi")).status
        await engine.cleanup()
    assert ["agent_started", "agent_completed"] == host.kinds
    assert [] == [entry for entry in entries if entry["event"].startswith("host_bridge")]
    check_thread(events_of(container.event_log()))


async def test_no_bridge_is_a_bridge_that_stores(start: Start) -> None:
    """A call without a bridge gets one whose notifications are in the log."""
    container = await in_use(start)
    for brought in ((None, None, context_of()), (AgentRegistry([echo]), None, context_of())):
        engine = await create(*brought)
        assert type(engine.websocket_bridge) is AgentWebSocketBridge
        assert await engine.websocket_bridge.notify_agent_started(f"by-hand-{brought[0] is None}", "someone")
        await engine.cleanup()
    check_thread(events_of(container.event_log()))


async def test_an_emitter_answers_true_and_takes_the_original_arguments(start: Start) -> None:
    """Each `notify_*` of an engine's emitter returns True, also with three arguments by position."""
    container = await in_use(start)
    engine = await create(None, None, context_of())
    emitter = engine.websocket_emitter
    assert await emitter.notify_agent_started("helper", {"message": "hi"}) is True
    assert await emitter.notify_agent_thinking("helper", "hm", 1) is True
    assert await emitter.notify_tool_executing("add", "helper", {"a": 1}) is True
    assert await emitter.notify_tool_completed("add", 1, "helper", 2.0) is True
    assert await emitter.notify_agent_error("helper", "odd") is True
    assert await emitter.notify_agent_completed("helper", "done", 3.0) is True
    await engine.cleanup()
    check_thread(events_of(container.event_log()))
    assert 6 == len(events_of(container.event_log()))


async def test_an_emitter_leaves_no_task_and_no_event_behind(start: Start) -> None:
    """It starts no task, can be made without a loop, and what was emitted before its engine ended is stored."""
    bridge = AgentWebSocketBridge(context_of())
    assert "alice" == await asyncio.to_thread(lambda: UnifiedWebSocketEmitter(bridge, context_of()).user_id)
    container = await in_use(start)
    before = asyncio.all_tasks()
    engine = await create(None, None, context_of())
    await engine.websocket_emitter.notify_agent_started("helper")
    for number in range(25):
        await engine.websocket_emitter.notify_agent_thinking("helper", f"thought {number}")
    assert before == asyncio.all_tasks()
    await engine.cleanup()
    assert before == asyncio.all_tasks()
    events = events_of(container.event_log())
    check_thread(events)
    assert 27 == len(events)


async def test_callers_without_a_context_are_not_one_user(start: Start) -> None:
    """Two callers who say nothing of a user, with or without a bridge, share no user, thread or run."""
    await in_use(start)
    shared = AgentWebSocketBridge()
    engines = [await create(None, bridge) for bridge in (None, None, shared, shared)]
    for field in ("user_id", "thread_id", "run_id"):
        assert 4 == len({getattr(engine.user_context, field) for engine in engines})
    assert shared.user_context is None
    for engine in engines:
        await engine.cleanup()


# -------------------------------------------------------------------- life and limits


async def test_an_engine_that_was_cleaned_up_is_gone_at_once(start: Start) -> None:
    """Its place is free and its figures are right without waiting for any sweep."""
    container = await in_use(start, engine={"max_engines_per_user": 1})
    for _ in range(3):
        engine = await create(None, None, context_of())
        await engine.cleanup()
        assert not engine.is_active()
        assert_nothing_is_left(container)
    counted = container.engine_factory().metrics()
    assert (3, 3, 0) == tuple(counted[name] for name in ("engines_created", "engines_closed", "engines_active"))


async def test_cleaning_up_an_engine_of_nobody_is_refused(start: Start) -> None:
    """The factory ends its own engines, and says so of any other; an engine that has ended is left alone."""
    container = await in_use(start)
    other = await start(echo)
    factory = await get_execution_engine_factory()
    engine = await create(None, None, context_of())
    foreign = await other.engine_factory().create_for_user(context_of())
    unknown: Any
    for unknown in (foreign, None, object(), engine.engine_id):
        with pytest.raises(RequestError, match="is no engine of this factory"):
            await factory.cleanup_engine(unknown)
    assert foreign.is_active()
    assert engine.is_active()
    await factory.cleanup_engine(engine)
    await factory.cleanup_engine(engine)
    assert not engine.is_active()
    await foreign.cleanup()
    assert_nothing_is_left(container)


async def test_an_engines_end_cancels_what_it_runs(start: Start) -> None:
    """No agent goes on after `cleanup()`: its run ends cancelled, once, and nothing it touches is gone under it."""
    container = await in_use(start, endless)
    engine = await create(None, None, context_of())
    stream = engine.stream("endless", "go")
    await until(lambda: "agent_started" in types_of(events_of(container.event_log())))
    await engine.cleanup()
    assert RunStatus.CANCELLED == (await stream.result()).status
    assert ["agent_started", "agent_completed"] == types_of(events_of(container.event_log()))
    assert_nothing_is_left(container)


async def test_engines_of_one_moment_do_not_replace_one_another(start: Start) -> None:
    """Many engines of one user and run at once have an id each, and all of them are counted."""
    container = await in_use(start, engine={"max_engines_per_user": 50})
    context = context_of()
    engines = await asyncio.gather(*(create(None, None, context) for _ in range(50)))
    assert 50 == len({engine.engine_id for engine in engines})
    assert 50 == len(container.engine_factory().engines())
    with pytest.raises(ValueError, match="already runs 50 engines"):
        await create(None, None, context)
    for engine in engines:
        await engine.cleanup()


async def test_names_that_only_look_alike_are_two_users(start: Start) -> None:
    """`a_b`, `c` and `a`, `b_c` are two users and two runs, whatever joins them in a key."""
    container = await in_use(start, engine={"max_engines_per_user": 1})
    one = await create(None, None, UserExecutionContext.from_request("a_b", "t-1", "c"))
    two = await create(None, None, UserExecutionContext.from_request("a", "t-1", "b_c"))
    for engine in (one, two):
        await engine.run("echo", "hi")
        key = engine.websocket_bridge.key
        assert [engine.user_context.run_id] * 2 == [event.run_id for event in events_of(container.event_log(), key)]
        await engine.cleanup()


async def test_after_shutdown_no_engine_is_made(start: Start) -> None:
    """By no door, whether it was asked for before or after; the error says what to do."""
    container = await in_use(start)
    factory = await get_execution_engine_factory()
    await factory.shutdown()
    for door in (
        lambda: create(None, None, context_of()),
        lambda: create_request_scoped_engine(context_of()),
        lambda: user_execution_engine(context_of()).__aenter__(),
        lambda: UnifiedExecutionEngineFactory.create_for_user(context_of()),
        lambda: factory.create_execution_engine(context_of()),
    ):
        with pytest.raises(ClosedError, match="shut down"):
            await door()
    assert_nothing_is_left(container)


async def test_shutdown_counts_what_it_closed(start: Start) -> None:
    """Engines that are being made while it shuts down do not survive it, and the figures are what happened."""
    container = await in_use(start, engine={"max_engines": 5, "when_full": "wait"})
    held = [await create(None, None, context_of(f"user-{number}")) for number in range(5)]
    late = [asyncio.create_task(create(None, None, context_of(f"late-{number}"))) for number in range(3)]
    await until(lambda: container.admission().engines.waiting == 3)
    await held.pop().cleanup()
    await container.engine_factory().shutdown()
    assert all(isinstance(one, ClosedError) for one in await asyncio.gather(*late, return_exceptions=True))
    counted = container.engine_factory().metrics()
    assert (5, 5, 0) == tuple(counted[name] for name in ("engines_created", "engines_closed", "engines_active"))
    assert_nothing_is_left(container)


async def test_configuring_leaks_no_factory(start: Start) -> None:
    """The factory stays the same object however often it is configured; one that is replaced is drained."""
    old = await in_use(start)
    factory = await get_execution_engine_factory()
    tasks = asyncio.all_tasks()
    for _ in range(3):
        assert factory is await configure_execution_engine_factory(AgentWebSocketBridge())
    assert tasks == asyncio.all_tasks()
    assert 1 == len(old.bridge.overridden)
    old.bridge.reset_override()
    engine = await create(None, None, context_of())
    await legacy.use(await start(echo))
    assert not engine.is_active()
    assert not factory.is_running


def test_no_lock_is_tied_to_the_first_loop() -> None:
    """What one event loop configured and used serves the next one as well."""

    async def ask() -> str:
        factory = await configure_execution_engine_factory(AgentWebSocketBridge())
        async with asyncio.timeout(5):
            engines = await asyncio.gather(*(factory.create_for_user(context_of(f"user-{n}")) for n in range(20)))
        for engine in engines:
            await engine.cleanup()
        return "served"

    assert ["served"] * 3 == [asyncio.run(ask()) for _ in range(3)]


# ------------------------------------------------------------------ other doors' engines


async def test_no_door_gives_another_class_in_silence(start: Start) -> None:
    """Where an engine cannot be made the error is raised: nothing isolated, minimal or fake stands in for it."""
    container = await in_use(start)
    factory = execution_factory.get_execution_engine_factory()
    assert type(await _closed(factory.create_execution_engine(context_of()))) is UserExecutionEngine

    def broken() -> UserExecutionEngine:
        raise LookupError("no engine today")

    container.agent_factory.override(type(container.agent_factory)(broken))
    for door in (
        lambda: factory.create_execution_engine(context_of()),
        lambda: create(None, None, context_of()),
        lambda: UnifiedExecutionEngineFactory.create_engine(user_context=context_of()),
    ):
        with pytest.raises(LookupError, match="no engine today"):
            await door()
    container.agent_factory.reset_override()
    assert_nothing_is_left(container)


async def _closed(call: Any) -> UserExecutionEngine:
    """The engine that the call makes, ended."""
    engine: UserExecutionEngine = await call
    await engine.cleanup()
    return engine


async def test_no_engine_is_kept_for_all_users(start: Start) -> None:
    """Whichever door is asked again, for the same or another user, each call makes an engine of its own."""
    container = await in_use(start)
    engines = []
    for user in ("alice", "bob", "alice"):
        engines += [
            await create(None, None, context_of(user)),
            await create_request_scoped_engine(context_of(user)),
            await UnifiedExecutionEngineFactory.get_default_engine(context_of(user)),
        ]
    assert 9 == len({engine.engine_id for engine in engines})
    assert ["alice"] * 3 + ["bob"] * 3 + ["alice"] * 3 == [engine.user_context.user_id for engine in engines]
    for engine in engines:
        await engine.cleanup()
    assert_nothing_is_left(container)


async def test_an_agent_is_never_a_coroutine(start: Start) -> None:
    """A recipe that must be awaited is refused when it is registered; what an engine keeps of a recipe is an agent."""

    async def late() -> Agent:
        return echo

    registry = AgentRegistry()
    registry.register_factory("now", lambda: echo)
    with pytest.raises(ConfigError, match="the recipe of agent 'late' is a coroutine function"):
        registry.register_factory("late", late)
    await in_use(start)
    engine = await create(registry, None, context_of())
    assert "hi" == (await engine.run("now", "hi")).output
    assert {"now": echo} == engine.agent_factory._own
    await engine.cleanup()


async def test_a_context_with_metadata_opens_a_block(start: Start) -> None:
    """The block takes any context, and its engine's agents can read the metadata."""

    @agent("plan")
    async def plan(run: RunContext) -> Any:
        return dict(run.context.metadata)

    await in_use(start, plan)
    context = UserExecutionContext.from_request("alice", "t-1", "run-1", metadata={"plan": "pro"})
    async with user_execution_engine(context) as engine:
        assert {"plan": "pro"} == (await engine.run("plan", "which?")).output


async def test_tools_are_those_that_were_registered(start: Start) -> None:
    """An engine without tools says so: no made-up tool is ever listed."""

    def lookup(name: str) -> str:
        """Looks a name up."""
        return name

    await in_use(start, tools=[lookup])
    engine = await create(None, None, context_of())
    assert ["lookup"] == [tool.name for tool in await engine.get_available_tools()]
    dispatcher = await engine.get_tool_dispatcher()
    assert ["lookup"] == dispatcher.get_available_tools()
    await engine.cleanup()
    await legacy.use(await start(echo))
    bare = await create(AgentRegistry(), None, context_of())
    assert [] == await bare.get_available_tools()
    assert [] == bare.get_available_agents()
    await bare.cleanup()


async def test_each_limit_has_one_source(start: Start) -> None:
    """By whatever door an engine comes, its limits and times are the settings'; a call can only lower its own runs."""
    container = await in_use(start, echo, endless, engine={"max_concurrent_runs_per_engine": 2, "run_timeout_s": 0.05})
    doors = (
        lambda: create(None, None, context_of()),
        lambda: create_request_scoped_engine(context_of(), max_concurrent_executions=50),
        lambda: UnifiedExecutionEngineFactory.create_for_user(context_of()),
        lambda: container.engine_factory().create_for_user(context_of()),
    )
    engines = [await door() for door in doors]
    assert {2} == {engine.max_runs for engine in engines}
    assert {id(container.settings().engine)} == {id(engine.control.settings) for engine in engines}
    assert RunStatus.TIMED_OUT == (await engines[0].run("endless", "go")).status
    for engine in engines:
        await engine.cleanup()
    assert Settings().engine.run_timeout_s == 300.0
    assert small_settings().engine.max_concurrent_runs_per_engine == 10
    assert ExecutionContainer.from_settings(small_settings()).settings().engine.max_engines_per_user == 10
