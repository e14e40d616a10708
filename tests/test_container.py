"""The container: what is refused at start, what lives how long, and how parts are replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dependency_injector import providers

from fakes import context_of, events_of, until
from running import Start, small_settings
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import ClosedError, ConfigError
from ssot_engine.eventlog.base import EventLog
from ssot_engine.events import RunStatus
from ssot_engine.registry import AgentRegistry
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.scope import NoScope
from ssot_engine.scoping.scoped import Scoped


@agent("echo")
async def echo(run: RunContext) -> str:
    return run.message


def small(container: type[ExecutionContainer] = ExecutionContainer) -> ExecutionContainer:
    return container.from_settings(small_settings())


# ------------------------------------------------------------------ what is refused


class NeedsTheEmitter(AgentWebSocketBridge):
    """A host's bridge that asks for what is made of it."""

    __slots__ = ()

    def __init__(self, context: UserExecutionContext, emitter: UnifiedWebSocketEmitter) -> None:
        super().__init__(context)


class Hub:
    """Lives as long as the process, and keeps a user's bridge."""

    def __init__(self, bridge: AgentWebSocketBridge) -> None:
        self.bridge = bridge


class Captive(ExecutionContainer):
    """A singleton that would hold a per-request object."""

    hub = providers.ThreadSafeSingleton(Hub, bridge=ExecutionContainer.bridge)


class WrongType(ExecutionContainer):
    """A registry that is none."""

    registry = providers.ThreadSafeSingleton(dict)


class WrongArguments(ExecutionContainer):
    """An emitter without its context."""

    emitter = Scoped(UnifiedWebSocketEmitter, bridge=ExecutionContainer.bridge)


@pytest.mark.parametrize(
    ("container", "says"),
    [
        (Captive, "'hub' is built once per process but would hold 'bridge', which is per scope"),
        (WrongType, "wants registry: AgentRegistry but is given 'registry', a dict"),
        (WrongArguments, "'emitter' cannot call UnifiedWebSocketEmitter: missing a required argument: 'context'"),
    ],
)
async def test_a_graph_that_cannot_work_does_not_start(container: type[ExecutionContainer], says: str) -> None:
    """Found by `running()`, with the names on the way, before anything is opened."""
    made = small(container)
    with pytest.raises(WiringError, match=says):
        async with made.running():
            pass
    with pytest.raises(ClosedError, match="not started"):
        await made.engine_factory().create_for_user(context_of())


async def test_parts_that_need_one_another_do_not_start() -> None:
    """A host's bridge asks for the emitter, which asks for the bridge: the error draws the circle."""
    container = small()
    container.bridge.override(Scoped(NeedsTheEmitter, context=container.context, emitter=container.emitter))
    with pytest.raises(WiringError, match=r"cycle: bridge -> .*emitter -> bridge"):
        async with container.running():
            pass


async def test_an_override_of_the_wrong_class_does_not_start() -> None:
    """What a test or host puts in for a part of a request must be of the class its users declare."""
    container = small()
    container.agent_factory.override(Scoped(AgentRegistry))
    with pytest.raises(
        WiringError, match="wants agent_factory: AgentInstanceFactory but is given 'agent_factory', a A"
    ):
        async with container.running():
            pass


@pytest.mark.parametrize(("name", "value"), [("registry", {}), ("event_log", "memory://"), ("tools", AgentRegistry())])
async def test_an_object_of_the_wrong_type_in_a_singletons_place_does_not_start(name: str, value: object) -> None:
    """It is found at the start, by what depends on it, not in a user's request."""
    container = ExecutionContainer.from_settings(small_settings())
    getattr(container, name).override(providers.Object(value))
    with pytest.raises(WiringError, match=f"is given '{name}', a {type(value).__name__}"):
        async with container.running():
            pass


def test_a_run_plane_that_is_not_there_is_refused() -> None:
    """Submitted runs execute here only: another address is an error, not ignored."""
    with pytest.raises(ConfigError, match="use local://"):
        ExecutionContainer.from_settings(small_settings(runs={"url": "postgresql://host/db"}))


def test_the_built_in_graph_is_sound() -> None:
    """`check` finds nothing, before and after parts were made."""
    container = small()
    container.check()
    container.engine_factory()
    container.check()


def test_a_model_that_nobody_runs_is_refused() -> None:
    """The setting names it, with what to do instead."""
    with pytest.raises(ConfigError, match=r"model\.name is 'gpt'.*register an agent that does"):
        ExecutionContainer.from_settings(small_settings(model={"name": "gpt"}))


async def test_a_log_that_cannot_be_opened_stops_the_start(tmp_path: Any) -> None:
    """The container did not run, and no task is left of it."""
    (tmp_path / "events.db").write_bytes(b"this is no database, however long one reads in it" * 100)
    before = asyncio.all_tasks()
    container = ExecutionContainer.from_settings(small_settings(events={"url": f"sqlite:///{tmp_path / 'events.db'}"}))
    with pytest.raises(ConfigError):
        async with container.running():
            pass
    assert not container.engine_factory().is_running
    await until(lambda: asyncio.all_tasks() == before)


async def test_agents_and_tools_come_before_the_start(start: Start) -> None:
    """A running container takes no more of either."""
    container = await start(echo)
    with pytest.raises(ClosedError, match="agent 'late' comes too late"):
        container.registry().register(echo, "late")
    with pytest.raises(ClosedError, match="comes too late"):
        container.tools().register(lambda: None, "late")


# ------------------------------------------------------------------- how long it lives


async def test_one_per_process_and_one_per_request(start: Start) -> None:
    """Singletons are one; context, bridge, emitter, agents and engine are each scope's own, and reach one another."""
    container = await start(echo)
    for provider in ("settings", "event_log", "registry", "tools", "admission", "metrics", "control", "engine_factory"):
        assert getattr(container, provider)() is getattr(container, provider)()
    async with (
        container.open_scope(context=context_of("alice")) as one,
        container.open_scope(context=context_of("bob")) as two,
    ):
        for name in ("context", "bridge", "emitter", "agent_factory", "engine"):
            provider = getattr(container, name)
            assert one.get(provider) is one.get(provider)
            assert one.get(provider) is not two.get(provider)
        engine = one.get(container.engine)
        assert engine.websocket_emitter is one.get(container.emitter)
        assert engine.agent_factory is one.get(container.agent_factory)
        assert engine.websocket_bridge is one.get(container.bridge)
        assert engine.user_context is one.get(container.context)
    assert 0 == container.open_scopes


async def test_two_containers_share_nothing(start: Start) -> None:
    """Each has its own log, registry, counts and caps."""
    one, two = await start(echo, engine={"max_engines": 1}), await start()
    async with one.engine_factory().engine_for(context_of()) as engine:
        await engine.run("echo", "hi")
        async with two.engine_factory().engine_for(context_of()) as other:
            assert [] == other.get_available_agents()
    assert [] == events_of(two.event_log())
    assert (1, 0) == (one.metrics().runs_started, two.metrics().runs_started)


def test_a_part_of_a_request_needs_a_request() -> None:
    """Outside a scope there is no engine to get."""
    with pytest.raises(NoScope):
        small().engine()


# -------------------------------------------------------------------- how it is replaced


class TellsMore(AgentWebSocketBridge):
    """A host's bridge, built from the same parts."""

    __slots__ = ()


class HostsContainer(ExecutionContainer):
    bridge = Scoped(
        TellsMore, context=ExecutionContainer.context, event_log=ExecutionContainer.event_log, close="aclose"
    )
    database_session_manager = providers.Object("sessions")


async def test_a_subclass_replaces_parts_for_all_that_use_them(start: Start) -> None:
    """The engine of a host's container has the host's bridge and managers."""
    container = await start(echo, container=HostsContainer)
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert type(engine.websocket_bridge) is TellsMore
        assert "sessions" == engine.database_session_manager
        assert RunStatus.COMPLETED == (await engine.run("echo", "hi")).status


async def test_settings_replace_a_part_by_its_dotted_name(start: Start) -> None:
    """`providers: {bridge: package.module.Class}`; what is no bridge, or not there, is refused with its name."""
    container = await start(echo, providers={"bridge": f"{__name__}.TellsMore"})
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert "TellsMore" == type(engine.websocket_bridge).__name__
    for wrong in ("builtins.dict", f"{__name__}.Nowhere", "nowhere.Class"):
        with pytest.raises(ConfigError, match="'bridge' is replaced by"):
            ExecutionContainer.from_settings(small_settings(providers={"bridge": wrong}))


async def test_one_scope_may_have_a_part_of_its_own(start: Start) -> None:
    """Beside it, at the same time, others have the container's."""
    container = await start(echo)
    mine = AgentWebSocketBridge(context_of(), container.event_log())
    async with (
        container.open_scope(context=context_of(), bridge=mine) as special,
        container.open_scope(context=context_of("bob")) as plain,
    ):
        assert special.get(container.engine).websocket_bridge is mine
        assert plain.get(container.engine).websocket_bridge is not mine


async def test_housekeeping_survives_a_chore_that_fails(start: Start) -> None:
    """A log whose trim raises is trimmed again at the next turn."""
    from ssot_engine.eventlog.memory import MemoryEventLog

    class TrimsBadly(MemoryEventLog):
        tries = 0

        async def trim(self, now: float | None = None) -> int:
            self.tries += 1
            raise OSError("not now")

    log = TrimsBadly()
    await start(prepare=lambda c: c.event_log.override(providers.Object(log)), events={"trim_interval_s": 0.005})
    await until(lambda: log.tries >= 3)


async def test_what_a_crash_left_open_is_ended_at_the_next_start(start: Start, tmp_path: Any) -> None:
    """Runs open in the file are `lost`, once, before the first engine is made."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    first = ExecutionContainer.from_settings(small_settings(events={"url": url}))
    log: EventLog = first.event_log()
    await log.open()
    bridge = AgentWebSocketBridge(UserExecutionContext("alice", "t-1", "run-1"), log)
    await bridge.notify_agent_started("run-1", "helper")
    await log.aclose()
    container = await start(events={"url": url})
    record = await container.event_log().run("alice", "run-1")
    assert record is not None
    assert RunStatus.LOST == record.status
