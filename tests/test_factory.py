"""The factory: the one authority that makes, counts, limits, sweeps and closes engines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes import ALICE, check_thread, context_of, events_of, types_of, until
from running import Start, assert_nothing_is_left, small_settings
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import ClosedError, ConfigError, EngineLimitReached, ExecutionEngineFactoryError, InvalidContext
from ssot_engine.events import RunStatus
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.registry import AgentRegistry
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.scoped import Scoped
from ssot_engine.tools import ToolRegistry


@agent("endless")
async def endless(run: RunContext) -> None:
    await asyncio.Event().wait()


@agent("echo")
async def echo(run: RunContext) -> str:
    return run.message


# ----------------------------------------------------------------------- life cycle


async def test_a_factory_makes_engines_only_while_its_container_runs() -> None:
    """Before `running()` and after it, a request is a ClosedError that says so; a container runs once."""
    container = ExecutionContainer.from_settings(small_settings())
    factory = container.engine_factory()
    with pytest.raises(ClosedError, match="its container is not started"):
        await factory.create_for_user(context_of())
    async with container.running():
        assert factory.is_running
        async with factory.engine_for(context_of()) as engine:
            assert engine.is_active()
    with pytest.raises(ClosedError, match="its container is shut down"):
        async with factory.engine_for(context_of()):
            pass
    assert not factory.is_running
    with pytest.raises(ClosedError):
        async with container.running():
            pass
    assert_nothing_is_left(container)


async def test_shutdown_lets_runs_finish_and_cancels_those_that_do_not() -> None:
    """What ends within `engine.drain_timeout_s` completes; the rest is cancelled; all engines are closed."""
    release = asyncio.Event()

    @agent("finishes")
    async def finishes(run: RunContext) -> str:
        await release.wait()
        return "done"

    container = ExecutionContainer.from_settings(small_settings(engine={"drain_timeout_s": 0.2}))
    container.registry().register(finishes)
    container.registry().register(endless)
    async with container.running():
        factory = container.engine_factory()
        one = await factory.create_for_user(context_of("alice"))
        two = await factory.create_for_user(context_of("bob"))
        idle = await factory.create_for_user(context_of("carol"))
        quick, slow = one.stream("finishes", "go"), two.stream("endless", "go")
        asyncio.get_running_loop().call_later(0.03, release.set)
        await asyncio.gather(factory.shutdown(), factory.shutdown())
        assert RunStatus.COMPLETED == (await quick.result()).status
        assert RunStatus.CANCELLED == (await slow.result()).status
        assert not any(engine.is_active() for engine in (one, two, idle))
        assert (3, 3, 0) == tuple(
            factory.metrics()[name] for name in ("engines_created", "engines_closed", "engines_active")
        )
    assert_nothing_is_left(container)


async def test_a_request_that_waits_while_the_factory_shuts_down_gets_no_engine() -> None:
    """The slot that shutdown frees makes no engine that nobody would close."""
    container = ExecutionContainer.from_settings(
        small_settings(engine={"max_engines_per_user": 1, "when_full": "wait", "drain_timeout_s": 0.0})
    )
    async with container.running():
        factory = container.engine_factory()
        await factory.create_for_user(context_of())
        waiting = asyncio.create_task(factory.create_for_user(context_of()))
        await until(lambda: container.admission().engines.waiting == 1)
        await factory.shutdown()
        with pytest.raises(ClosedError, match="shut down"):
            await waiting
    assert_nothing_is_left(container)


class FailsToClose(AgentWebSocketBridge):
    """A host's bridge whose end goes wrong."""

    __slots__ = ()

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("cannot close")


async def test_an_engine_whose_parts_fail_to_close_is_closed_all_the_same(start: Start) -> None:
    """The error reaches who closes it; slot, engine and scope are gone, and a second close is quiet."""
    container = await start(
        prepare=lambda c: c.bridge.override(
            Scoped(FailsToClose, context=c.context, event_log=c.event_log, close="aclose")
        )
    )
    factory = container.engine_factory()
    engine = await factory.create_for_user(context_of())
    with pytest.raises(OSError, match="cannot close"):
        await engine.cleanup()
    assert not engine.is_active()
    assert_nothing_is_left(container)
    await engine.cleanup()


async def test_a_sweep_goes_on_when_one_engine_fails_to_close(start: Start) -> None:
    """The failure is told and counted once; every idle engine is gone, and none is swept again."""
    container = await start(
        prepare=lambda c: c.bridge.override(
            Scoped(FailsToClose, context=c.context, event_log=c.event_log, close="aclose")
        )
    )
    factory = container.engine_factory()
    for user in ("alice", "bob"):
        await factory.create_for_user(context_of(user))
    with capture_logs() as entries:
        assert 2 == await factory.sweep(time.monotonic() + 1_000)
        assert 0 == await factory.sweep(time.monotonic() + 1_000)
    assert 2 == [entry["event"] for entry in entries].count("engine_close_failed")
    assert (2, 2) == (factory.metrics()["engines_swept"], factory.metrics()["sweeps_failed"])


# ---------------------------------------------------------------------------- sweep


async def test_a_sweep_closes_idle_engines_and_never_one_that_runs(start: Start) -> None:
    """However old it is, an engine with a run goes on; idle time counts from the end of its last run."""
    container = await start(endless, echo)
    factory = container.engine_factory()
    idle = await factory.create_for_user(context_of("alice"))
    busy = await factory.create_for_user(context_of("bob"))
    await idle.run("echo", "hi")
    stream = busy.stream("endless", "go")
    now = time.monotonic()
    assert 0 == await factory.sweep(now + 299)
    assert 1 == await factory.sweep(now + 100_000)
    assert (False, True) == (idle.is_active(), busy.is_active())
    with pytest.raises(ClosedError, match=idle.engine_id):
        await idle.run("echo", "hi")
    assert (stream.run_id,) == busy.active_runs
    await busy.cancel(stream.run_id)
    assert busy.idle_since >= now
    assert 1 == await factory.sweep(time.monotonic() + 301)
    assert 2 == factory.metrics()["engines_swept"]


async def test_a_sweep_spares_an_engine_that_begins_to_run_meanwhile(start: Start) -> None:
    """While a sweep closes one engine, the next one on its list starts a run: it is left alone."""
    closing, go_on = asyncio.Event(), asyncio.Event()

    class ClosesSlowly(AgentWebSocketBridge):
        __slots__ = ()

        async def aclose(self) -> None:
            closing.set()
            await go_on.wait()
            await super().aclose()

    container = await start(
        endless,
        prepare=lambda c: c.bridge.override(
            Scoped(ClosesSlowly, context=c.context, event_log=c.event_log, close="aclose")
        ),
    )
    factory = container.engine_factory()
    await factory.create_for_user(context_of("alice"))
    late = await factory.create_for_user(context_of("bob"))
    sweep = asyncio.create_task(factory.sweep(time.monotonic() + 1_000))
    await closing.wait()
    stream = late.stream("endless", "go")
    go_on.set()
    assert 1 == await sweep
    assert late.is_active()
    assert (stream.run_id,) == late.active_runs
    await late.cleanup()


async def test_a_running_container_sweeps_by_itself(start: Start) -> None:
    """An engine that a caller forgot is closed after `engine.idle_timeout_s`."""
    container = await start(engine={"idle_timeout_s": 0.02, "sweep_interval_s": 0.02})
    engine = await container.engine_factory().create_for_user(context_of())
    await until(lambda: not engine.is_active())


# ----------------------------------------------------------------------------- caps


async def test_a_user_gets_so_many_engines_and_the_process_so_many(start: Start) -> None:
    """Both caps refuse with 429 and the setting's name; a closed engine makes room at once."""
    container = await start(engine={"max_engines_per_user": 2, "max_engines": 3})
    factory = container.engine_factory()
    hers = [await factory.create_for_user(context_of()) for _ in range(2)]
    with pytest.raises(EngineLimitReached) as own:
        await factory.create_for_user(context_of())
    assert (
        "user 'alice': already runs 2 engines; wait for one to finish or raise engine.max_engines_per_user (now 2)"
        == str(own.value)
    )
    assert isinstance(own.value, ExecutionEngineFactoryError)
    his = await factory.create_for_user(context_of("bob"))
    with pytest.raises(EngineLimitReached, match="all 3 engines of this process are in use") as total:
        await factory.create_for_user(context_of("carol"))
    assert ("engine.max_engines_per_user", "engine.max_engines") == (own.value.setting, total.value.setting)
    await hers.pop().cleanup()
    other = await factory.create_for_user(context_of("carol"))
    for engine in (*hers, his, other):
        await engine.cleanup()
    assert 2 == factory.metrics()["limit_refusals"]


async def test_with_wait_a_request_gets_the_next_free_engine(start: Start) -> None:
    """It queues, is served when another engine closes, and is refused after `engine.wait_timeout_s`."""
    container = await start(
        engine={"max_engines_per_user": 1, "when_full": "wait", "wait_timeout_s": 0.05, "max_waiting": 1}
    )
    factory = container.engine_factory()
    first = await factory.create_for_user(context_of())
    waiting = asyncio.create_task(factory.create_for_user(context_of()))
    await until(lambda: container.admission().engines.waiting == 1)
    with pytest.raises(EngineLimitReached):
        await factory.create_for_user(context_of())
    await first.cleanup()
    second = await waiting
    with pytest.raises(EngineLimitReached):
        await factory.create_for_user(context_of())
    await second.cleanup()


async def test_one_users_wait_holds_up_nobody_else(start: Start) -> None:
    """While a user at the cap waits, another gets an engine at once."""
    container = await start(engine={"max_engines_per_user": 1, "when_full": "wait"})
    factory = container.engine_factory()
    first = await factory.create_for_user(context_of())
    waiting = asyncio.create_task(factory.create_for_user(context_of()))
    await until(lambda: container.admission().engines.waiting == 1)
    async with asyncio.timeout(0.5), factory.engine_for(context_of("bob")):
        assert not waiting.done()
    waiting.cancel()
    await asyncio.wait((waiting,))
    await first.cleanup()


async def test_a_slot_is_given_back_whatever_goes_wrong_in_the_block(start: Start) -> None:
    """An error, a cancel and an exit inside `engine_for` each close the engine."""
    container = await start()
    factory = container.engine_factory()
    for error in (ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            async with factory.engine_for(context_of()):
                raise error
    assert_nothing_is_left(container)
    assert 4 == factory.metrics()["engines_closed"]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("wrong", [None, "alice", {"user_id": "alice"}, object()])
async def test_what_is_no_context_gets_no_engine(start: Start, wrong: Any) -> None:
    """Nothing stands in for a missing context: no anonymous user, no guess."""
    container = await start()
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        await container.engine_factory().create_for_user(wrong)


async def test_strict_ids_refuse_placeholder_prefixes_where_the_engine_is_made(start: Start) -> None:
    """`context.strict_ids` on: `test_user` is refused; a real id, and a long one, is not."""
    container = await start(context={"strict_ids": True})
    factory = container.engine_factory()
    with pytest.raises(InvalidContext, match="user_id 'test_user' begins like a placeholder"):
        await factory.create_for_user(context_of("test_user"))
    for user in ("alice", "default_user", "temp_" + "x" * 20):
        async with factory.engine_for(context_of(user)):
            pass


# -------------------------------------------------------------------------- brought


async def test_a_bridge_of_another_user_or_thread_is_refused(start: Start) -> None:
    """A brought bridge must be of the context's user and thread; nothing is held after the refusal."""
    container = await start()
    factory = container.engine_factory()
    for owner in (context_of("bob"), context_of("alice", thread_id="t-2")):
        bridge = AgentWebSocketBridge.create_for_user(owner)
        with pytest.raises(InvalidContext, match="cannot serve user 'alice', thread 't-1'"):
            await factory.create_for_user(context_of(), bridge=bridge)
    with pytest.raises(InvalidContext, match="is no AgentWebSocketBridge"):
        await factory.create_for_user(context_of(), bridge=object())
    with pytest.raises(InvalidContext, match="bridge None is no AgentWebSocketBridge"):
        await factory.create_for_user(context_of(), bridge=None)


async def test_a_brought_bridge_carries_that_engines_events(start: Start) -> None:
    """Of the user's own bridge the engine makes use itself; of an unbound one, of a sibling bound to the context."""
    container = await start(echo)
    factory = container.engine_factory()
    mine = AgentWebSocketBridge.create_for_user(context_of())
    async with factory.engine_for(context_of(), bridge=mine) as engine:
        assert engine.websocket_bridge is mine
        await engine.run("echo", "hi")
    unbound = AgentWebSocketBridge()
    async with factory.engine_for(context_of("bob"), bridge=unbound) as engine:
        assert engine.websocket_bridge is not unbound
        assert unbound.user_context is None
        assert "bob" == engine.websocket_bridge.key.user_id
        await engine.run("echo", "hi")
    check_thread(events_of(container.event_log()))


async def test_a_bridge_the_factory_made_ends_runs_driven_by_hand_with_its_engine(start: Start) -> None:
    """A run that was started by hand on the engine's bridge and left open is cancelled when the engine ends."""
    container = await start()
    async with container.engine_factory().engine_for(context_of(), bridge=AgentWebSocketBridge()) as engine:
        await engine.websocket_emitter.notify_agent_started("by hand")
    events = events_of(container.event_log())
    check_thread(events)
    assert "cancelled" == events[-1].payload["status"]


async def test_registry_and_tools_can_be_brought_for_one_engine(start: Start) -> None:
    """They serve that engine only, also beside others at the same time."""

    def shout(text: str) -> str:
        return text.upper()

    @agent("loud")
    async def loud(run: RunContext) -> Any:
        return await run.tools.call("shout", text=run.message)

    container = await start(echo)
    factory = container.engine_factory()
    brought = {"registry": AgentRegistry([loud]), "tools": ToolRegistry([shout])}
    async with (
        factory.engine_for(context_of("alice"), **brought) as special,
        factory.engine_for(context_of("bob")) as plain,
    ):
        assert "HI" == (await special.run("loud", "hi")).output
        assert ["loud"] == [info.name for info in special.get_available_agents()]
        assert ["echo"] == [info.name for info in plain.get_available_agents()]
        assert [] == await plain.get_available_tools()


@pytest.mark.parametrize(
    ("brought", "says"),
    [
        ({"registry": {}}, "'registry' must be a AgentRegistry, got dict"),
        ({"tools": None}, "'tools' must be a ToolRegistry, got NoneType"),
        ({"registri": AgentRegistry()}, "did you mean 'registry'"),
        ({"event_log": None}, "event_log"),
        ({"context": context_of()}, "context"),
    ],
)
async def test_what_cannot_be_brought_is_refused_and_holds_no_slot(
    start: Start, brought: dict[str, Any], says: str
) -> None:
    """A wrong type, an unknown name, or what the whole process shares: an error with the name, and no engine."""
    container = await start()
    with pytest.raises((WiringError, TypeError), match=says):
        await container.engine_factory().create_for_user(context_of(), **brought)
    assert_nothing_is_left(container)


# -------------------------------------------------------------------------- degrade


class CannotBeBuilt(AgentWebSocketBridge):
    """A host's bridge whose server is away."""

    __slots__ = ()

    def __init__(self, context: UserExecutionContext, event_log: Any) -> None:
        raise ConnectionError("no server")


def with_broken_bridge(container: ExecutionContainer) -> None:
    container.bridge.override(
        Scoped(CannotBeBuilt, context=container.context, event_log=container.event_log, close="aclose")
    )


async def test_a_bridge_that_cannot_be_built_is_stood_in_for(start: Start) -> None:
    """With `degrade` the built-in bridge serves this scope: no event is lost, and event, entry and metric say so."""
    container = await start(echo, prepare=with_broken_bridge)
    factory = container.engine_factory()
    with capture_logs() as entries:
        async with factory.engine_for(context_of()) as engine:
            assert engine.degraded
            assert type(engine.websocket_bridge) is AgentWebSocketBridge
            assert "hi" == (await engine.run("echo", "hi")).output
            await engine.websocket_bridge.notify_agent_started("by-hand", "someone")
    events = events_of(container.event_log())
    check_thread(events)
    assert ["agent_started", "agent_completed"] == types_of(e for e in events if e.run_id == "run-1")
    assert events[0].payload["context"]["degraded"] is True
    assert 1 == factory.metrics()["bridges_degraded"]
    by_event = {entry["event"]: entry for entry in entries}
    assert "ConnectionError('no server')" == by_event["bridge_degraded"]["error"]
    assert by_event["run_finished"]["degraded"] is True


async def test_with_fail_a_bridge_that_cannot_be_built_fails_the_request(start: Start) -> None:
    """`engine.bridge_failure: fail` raises what the bridge raised, and holds nothing."""
    container = await start(prepare=with_broken_bridge, engine={"bridge_failure": "fail"})
    factory = container.engine_factory()
    with pytest.raises(ConnectionError, match="no server"):
        await factory.create_for_user(context_of())
    assert_nothing_is_left(container)
    assert (0, 1) == (factory.metrics()["engines_created"], factory.metrics()["engines_failed"])


async def test_nothing_stands_in_for_another_part_that_cannot_be_built(start: Start) -> None:
    """Only a host's own bridge is replaced: the error of any other part is raised, once, with nothing held."""

    class Broken(AgentInstanceFactory):
        def __init__(self, registry: AgentRegistry, emitter: UnifiedWebSocketEmitter) -> None:
            raise LookupError("no agents")

    container = await start(
        prepare=lambda c: c.agent_factory.override(Scoped(Broken, registry=c.registry, emitter=c.emitter))
    )
    with pytest.raises(LookupError, match="no agents"):
        await container.engine_factory().create_for_user(context_of())
    assert_nothing_is_left(container)
    assert 1 == container.engine_factory().metrics()["engines_failed"]


async def test_a_bridge_for_testing_is_refused_by_a_real_log(start: Start, tmp_path: Any) -> None:
    """A container whose log is a file refuses it with the URL; one whose log is memory takes it."""
    container = await start(echo)
    minimal = AgentWebSocketBridge.create_minimal_for_testing()
    async with container.engine_factory().engine_for(context_of(), bridge=minimal) as engine:
        await engine.run("echo", "hi")
    check_thread(events_of(container.event_log(), ALICE))
    real = await start(events={"url": f"sqlite:///{tmp_path / 'events.db'}"})
    with pytest.raises(ConfigError, match=r"is refused by a container whose events\.url is 'sqlite:///"):
        await real.engine_factory().create_for_user(context_of(), bridge=minimal)
