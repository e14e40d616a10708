"""What an operator decides about old code: anonymous users, bridges that fail, and how loud a use is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from old_callers import echo, in_use, uses_old_doors
from structlog.testing import capture_logs

from fakes import check_thread, context_of, events_of
from running import Start, assert_nothing_is_left, small_settings
from ssot_engine import legacy
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import InvalidContext
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.entry_points import create_request_scoped_engine, get_execution_engine_factory
from ssot_engine.legacy.in_use import in_use as container_in_use
from ssot_engine.legacy.unified_factory import UnifiedExecutionEngineFactory
from ssot_engine.registry import AgentRegistry
from ssot_engine.scoping.scoped import Scoped
from ssot_engine.settings import Settings, packaged

pytestmark = uses_old_doors

create = UserExecutionEngine.create_from_legacy


# -------------------------------------------------------------- legacy.anonymous_context


async def test_an_anonymous_user_is_made_where_it_is_allowed(start: Start) -> None:
    """By default `create_from_legacy` makes one for each call, and the log tells its id."""
    await in_use(start)
    with capture_logs() as entries:
        engines = [await create(AgentRegistry()) for _ in range(2)]
    users = [engine.user_context.user_id for engine in engines]
    assert 2 == len(set(users))
    told = [entry for entry in entries if entry["event"] == "anonymous_context_made"]
    assert [("warning", user) for user in users] == [(entry["log_level"], entry["user_id"]) for entry in told]
    for engine in engines:
        await engine.cleanup()


async def test_an_anonymous_user_is_refused_where_it_is_not(start: Start) -> None:
    """With `refuse` the call raises, names the setting and how to make a context, and holds nothing."""
    container = await in_use(start, legacy={"anonymous_context": "refuse"})
    for bridge in (None, AgentWebSocketBridge()):
        with pytest.raises(InvalidContext, match=r"legacy\.anonymous_context is 'refuse'; pass .*from_request\("):
            await create(AgentRegistry(), bridge)
    assert_nothing_is_left(container)
    assert 0 == container.engine_factory().metrics()["engines_created"]


@pytest.mark.parametrize(
    "call",
    [
        UnifiedExecutionEngineFactory.create_engine,
        UnifiedExecutionEngineFactory.create_user_engine,
        UnifiedExecutionEngineFactory.create_for_user,
        UnifiedExecutionEngineFactory.create_request_scoped_engine,
        UnifiedExecutionEngineFactory.get_default_engine,
        lambda: UnifiedExecutionEngineFactory.create_engine(
            websocket_bridge=AgentWebSocketBridge.create_for_user(context_of())
        ),
    ],
)
async def test_no_other_door_makes_an_anonymous_user(start: Start, call: Any) -> None:
    """Even where it is allowed, only `create_from_legacy` does; the others need a context."""
    container = await in_use(start, legacy={"anonymous_context": "allow"})
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        await call()
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        await container.engine_factory().create_for_user(None)  # type: ignore[arg-type]
    assert_nothing_is_left(container)


def test_production_refuses_anonymous_users() -> None:
    """The shipped production settings have both strict policies."""
    settings = Settings.load(packaged("production.yaml"))
    assert "refuse" == settings.legacy.anonymous_context
    assert "fail" == settings.engine.bridge_failure
    assert ("allow", "default", None, None) == tuple(vars(Settings().legacy).values())


# ---------------------------------------------------------------- engine.bridge_failure


class CannotBeBuilt(AgentWebSocketBridge):
    """A host's bridge whose server is away."""

    __slots__ = ()

    def __init__(self, context: Any = None, event_log: Any = None) -> None:
        if context is not None:
            raise ConnectionError("no server")
        super().__init__()


def with_broken_bridge(container: ExecutionContainer) -> None:
    """No bridge of this container can be built."""
    container.bridge.override(
        Scoped(CannotBeBuilt, context=container.context, event_log=container.event_log, close="aclose")
    )


@pytest.mark.parametrize("brought", [None, CannotBeBuilt()], ids=["the container's", "brought"])
async def test_with_degrade_the_built_in_bridge_stands_in(start: Start, brought: Any) -> None:
    """Both doors serve: the run is in the log, and event, entry and metric say that it was degraded."""
    container = await in_use(start, prepare=with_broken_bridge)
    doors = [lambda: create(None, brought, context_of())]
    doors.append(lambda: create_request_scoped_engine(user_context=context_of(), websocket_bridge=brought))
    for number, door in enumerate(doors, 1):
        with capture_logs() as entries:
            engine = await door()
        assert engine.degraded
        assert engine.is_compatibility_mode()
        assert type(engine.websocket_bridge) is AgentWebSocketBridge
        assert ["ConnectionError('no server')"] == [
            entry["error"] for entry in entries if entry["event"] == "bridge_degraded"
        ]
        assert number == container.engine_factory().metrics()["bridges_degraded"]
        if number == 1:
            await engine.run("echo", "hi")
        await engine.cleanup()
    events = events_of(container.event_log())
    check_thread(events)
    assert events[0].payload["context"]["degraded"] is True
    assert_nothing_is_left(container)


@pytest.mark.parametrize("brought", [None, CannotBeBuilt()], ids=["the container's", "brought"])
async def test_with_fail_both_doors_raise(start: Start, brought: Any) -> None:
    """`engine.bridge_failure: fail` raises what the bridge raised, and holds nothing."""
    container = await in_use(start, prepare=with_broken_bridge, engine={"bridge_failure": "fail"})
    for door in (
        lambda: create(None, brought, context_of()),
        lambda: create_request_scoped_engine(user_context=context_of(), websocket_bridge=brought),
        lambda: container.engine_factory().create_for_user(context_of()),
    ):
        with pytest.raises(ConnectionError, match="no server"):
            await door()
    assert_nothing_is_left(container)


async def test_a_bridge_of_another_user_is_no_failure_to_stand_in_for(start: Start) -> None:
    """With `degrade` too it is refused: nothing is built for a caller who brings somebody else's."""
    container = await in_use(start, engine={"bridge_failure": "degrade"})
    with pytest.raises(InvalidContext):
        await create(None, AgentWebSocketBridge.create_for_user(context_of("bob")), context_of())
    assert 0 == container.engine_factory().metrics()["bridges_degraded"]


# ------------------------------------------------------------------------- legacy.warn


async def test_a_use_can_be_made_an_error(start: Start) -> None:
    """With `error` a door raises at the call, before anything is made; another container's setting replaces it."""
    container = await in_use(start, legacy={"warn": "error"})
    for door in (lambda: create(None), lambda: get_execution_engine_factory(), UnifiedExecutionEngineFactory.configure):
        with pytest.raises(LegacyWarning, match="is deprecated since"):
            door()
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert not engine.is_compatibility_mode()
    await legacy.use(await start(echo))
    assert (await get_execution_engine_factory()).is_running


def test_what_a_container_said_of_old_doors_goes_with_it() -> None:
    """Else no door could start the default container, whose own setting holds from its start on."""

    async def ask() -> None:
        legacy.use(ExecutionContainer.from_settings(small_settings(legacy={"warn": "error"})))
        await legacy.use(None)
        assert (await get_execution_engine_factory()).is_running

    asyncio.run(ask())


def test_the_default_containers_settings_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody named a container: the environment's policy holds from its start on."""
    monkeypatch.setenv("SSOT_ENGINE_LEGACY__WARN", "error")

    async def ask() -> None:
        await container_in_use()
        with pytest.raises(LegacyWarning):
            create(None)

    asyncio.run(ask())


async def test_a_census_file_is_written_at_the_end(start: Start, tmp_path: Any) -> None:
    """`legacy.census_file` of the container in use says where to; without it nothing is written."""
    path = tmp_path / "census.jsonl"
    await in_use(start, legacy={"census_file": str(path)})
    assert path == legacy.census.census._file
    legacy.use(ExecutionContainer.from_settings(small_settings()))
    assert legacy.census.census._file is None
