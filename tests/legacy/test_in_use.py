"""The container in use: named or a default one, on each event loop, and what becomes of the one before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from old_callers import Notified, echo, uses_old_doors
from old_callers import in_use as use_one
from structlog.testing import capture_logs

from fakes import context_of, until
from running import Start, assert_nothing_is_left, small_settings
from ssot_engine import current, legacy
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ClosedError, ConfigError
from ssot_engine.events import RunStatus
from ssot_engine.legacy import in_use as in_use_module
from ssot_engine.legacy.brought import bridge_of
from ssot_engine.legacy.deprecation import used
from ssot_engine.legacy.in_use import UNTOUCHED, configure, in_use, restore, snapshot
from ssot_engine.registry import AgentRegistry
from ssot_engine.settings import Settings
from ssot_engine.testing.leaks import Watch

pytestmark = uses_old_doors


def entries_named(entries: Any, name: str) -> list[Any]:
    """The log's entries of that name."""
    return [entry for entry in entries if entry["event"] == name]


# ------------------------------------------------------------------------ the default


async def test_the_default_is_built_once_and_says_so() -> None:
    """However many ask at first, they get one container, which runs on their loop; one entry tells of it."""
    with capture_logs() as entries:
        got = await asyncio.gather(*(in_use() for _ in range(100)))
    assert 1 == len({id(container) for container in got})
    assert got[0].engine_factory().is_running
    assert asyncio.get_running_loop() is got[0].event_log().loop
    [told] = entries_named(entries, "default_container_started")
    assert ("warning", "memory://", []) == (told["log_level"], told["events_url"], told["configured"])
    assert "legacy.use(container)" in told["advice"]


def test_each_loop_has_its_own_which_ends_with_it() -> None:
    """A second loop gets another container; the first one's was shut down when its loop was."""

    async def ask() -> tuple[ExecutionContainer, UserExecutionEngine]:
        container = await in_use()
        return container, await container.engine_factory().create_for_user(context_of())

    with capture_logs() as entries:
        (one, first), (two, second) = asyncio.run(ask()), asyncio.run(ask())
        asyncio.run(in_use())
    assert one is not two
    assert [] == entries_named(entries, "container_abandoned")
    for container, engine in ((one, first), (two, second)):
        assert not engine.is_active()
        assert not container.engine_factory().is_running
        assert_nothing_is_left(container)
    assert 1 == len(in_use_module._homes)


def test_two_threads_at_once_have_one_each() -> None:
    """Two loops that live at the same time do not share a container."""
    met = threading.Barrier(2, timeout=5)
    got: list[ExecutionContainer] = []

    async def ask() -> None:
        container = await in_use()
        await asyncio.to_thread(met.wait)
        assert container is await in_use()
        got.append(container)

    threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 == len({id(container) for container in got})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_is_just_closed_abandons_its_container() -> None:
    """It cannot be drained any more; the next loop's first call says so, with what was open."""
    loop = asyncio.new_event_loop()
    container = loop.run_until_complete(in_use())
    engine = loop.run_until_complete(container.engine_factory().create_for_user(context_of()))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with capture_logs() as entries:
        asyncio.run(in_use())
    [told] = entries_named(entries, "container_abandoned")
    assert 1 == told["engines_open"]
    assert "event loop was closed before it was drained" in told["reason"]
    asyncio.run(engine.cleanup())


async def test_a_caller_who_gives_up_stops_nobody_else() -> None:
    """The first caller is cancelled while the container starts: the others get it all the same."""
    first, second = asyncio.create_task(in_use()), asyncio.create_task(in_use())
    await asyncio.sleep(0)
    first.cancel()
    container = await second
    assert container.engine_factory().is_running
    assert container is await in_use()


async def test_a_start_that_fails_is_told_to_all_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every caller gets the error; once its cause is gone the next call starts a container."""
    monkeypatch.setenv("SSOT_ENGINE_EVENTS__URL", "sqlite:////proc/no/such/place.db")
    errors = await asyncio.gather(in_use(), in_use(), return_exceptions=True)
    assert all(isinstance(error, ConfigError) for error in errors), errors
    monkeypatch.delenv("SSOT_ENGINE_EVENTS__URL")
    assert (await in_use()).engine_factory().is_running


async def test_after_its_shutdown_nothing_is_made() -> None:
    """A default container that was shut down is not quietly followed by another."""
    factory = (await in_use()).engine_factory()
    await factory.shutdown()
    with pytest.raises(ClosedError, match=r"was shut down .* legacy\.use\(container\)"):
        await in_use()
    with pytest.raises(ClosedError):
        await UserExecutionEngine.create_from_legacy(AgentRegistry())


# -------------------------------------------------------------------------- named ones


async def test_a_named_container_that_runs_is_taken_as_it_is(start: Start) -> None:
    """Its host started it and ends it; the doors only lead there."""
    container = await start(echo)
    await legacy.use(container)
    assert container is await in_use()
    assert {} == {key: home for key, home in in_use_module._homes.items() if key[0] is container}
    await legacy.use(None)


def test_a_named_container_that_does_not_run_is_started() -> None:
    """By the first door, once; it ends with that loop, and is refused on the next."""
    container = ExecutionContainer.from_settings(small_settings())
    legacy.use(container)

    async def ask() -> None:
        got = await asyncio.gather(in_use(), in_use())
        assert [container, container] == got
        assert container.engine_factory().is_running

    with capture_logs() as entries:
        asyncio.run(ask())
    assert [] == entries_named(entries, "default_container_started")
    assert not container.engine_factory().is_running
    with pytest.raises(ClosedError, match="shut down"):
        asyncio.run(in_use())


async def test_a_container_of_another_loop_is_refused(start: Start) -> None:
    """What runs on one loop cannot serve another: the error says where it is and what to do."""
    container = await use_one(start)

    def elsewhere() -> Any:
        with pytest.raises(ClosedError, match=r"runs on an event loop of another thread; .*legacy\.use") as refused:
            asyncio.run(in_use())
        return refused.value

    await asyncio.to_thread(elsewhere)
    assert container is await in_use()


async def test_a_container_that_starts_is_not_started_elsewhere_too() -> None:
    """While one loop starts it, another is refused: it is opened once."""
    go_on = asyncio.Event()

    class Slow(ExecutionContainer):
        @asynccontextmanager
        async def running(self, *, freeze: bool = True) -> AsyncIterator[Any]:
            await go_on.wait()
            async with ExecutionContainer.running(self, freeze=freeze) as container:
                yield container

    container = Slow.from_settings(small_settings())
    legacy.use(container)
    first = asyncio.create_task(in_use())
    await asyncio.sleep(0)

    def elsewhere() -> None:
        with pytest.raises(ClosedError, match="of another thread"):
            asyncio.run(in_use())

    await asyncio.to_thread(elsewhere)
    go_on.set()
    assert container is await first


@pytest.mark.parametrize("wrong", [object(), ExecutionContainer, Settings])
def test_what_is_no_container_is_refused(wrong: Any) -> None:
    """The error names it; the container in use stays."""
    with pytest.raises(ConfigError, match="is no container"):
        legacy.use(wrong)
    assert current.chosen() is None


# ------------------------------------------------------------------------ one after another


async def test_another_container_drains_the_one_before(start: Start) -> None:
    """Its runs finish, its engines close, and it makes no more; the next engine is of the new one."""
    release = asyncio.Event()

    @agent("finishes")
    async def finishes(run: RunContext) -> str:
        await release.wait()
        return "done"

    old = await use_one(start, finishes, engine={"drain_timeout_s": 5.0})
    engine = await UserExecutionEngine.create_from_legacy(None, None, context_of())
    stream = engine.stream("finishes", "go")
    new = await start(echo)
    handover = legacy.use(new)
    await until(lambda: not old.engine_factory().is_running)
    late = await UserExecutionEngine.create_from_legacy(None, None, context_of("bob"))
    assert [late] == new.engine_factory().engines()
    assert engine.is_active()
    release.set()
    await handover
    assert RunStatus.COMPLETED == (await stream.result()).status
    assert not engine.is_active()
    assert_nothing_is_left(old)
    await late.cleanup()


async def test_the_default_is_drained_when_one_is_named(start: Start) -> None:
    """It ends altogether: no engine, no task of it is left; and naming none again begins another default."""
    default = await in_use()
    engine = await UserExecutionEngine.create_from_legacy(None, None, context_of())
    await legacy.use(await start(echo))
    assert not engine.is_active()
    assert not default.engine_factory().is_running
    await until(lambda: all(task.done() for task in default.own_tasks))
    assert_nothing_is_left(default)
    await legacy.use(None)
    another = await in_use()
    assert default is not another
    await legacy.use(await start(echo))
    assert not another.engine_factory().is_running


async def test_the_same_again_changes_nothing(start: Start) -> None:
    """Naming the container in use drains nothing."""
    container = await use_one(start)
    await legacy.use(container)
    assert container.engine_factory().is_running


async def test_a_thread_without_a_loop_may_name_another(start: Start) -> None:
    """The old one is drained on its own loop, whoever named the new one."""
    default = await in_use()
    engine = await default.engine_factory().create_for_user(context_of())
    new = await start(echo)
    await asyncio.to_thread(legacy.use, new)
    await until(lambda: not engine.is_active())
    await until(lambda: default.open_scopes == 0)
    assert new is await in_use()


# ------------------------------------------------------------------------ its providers


async def test_what_is_configured_reaches_every_engine_from_then_on() -> None:
    """Registry, bridge and the host's managers are those that were configured; a second call replaces the first."""
    host, pool = Notified(), object()
    first, second = AgentRegistry([echo]), AgentRegistry()
    configure("configure", registry=first, database_session_manager=pool)
    configure("configure", registry=second, redis_manager=None)
    container = await in_use()
    assert second is container.registry()
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert pool is engine.database_session_manager
        assert engine.redis_manager is None
    configure("configure", registry=first)
    configure("configure", bridge=bridge_of(host))
    async with container.engine_factory().engine_for(context_of()) as engine:
        await engine.run("echo", "hi")
    assert ["agent_started", "agent_completed"] == host.kinds


async def test_configuring_is_refused_while_an_engine_is_open() -> None:
    """The engine was made without it; once it is closed the call is served. Nothing is changed by the refusal."""
    container = await in_use()
    registry = container.registry()
    engine = await container.engine_factory().create_for_user(context_of())
    with pytest.raises(ConfigError, match=r"set_defaults\(\) came while 1 engines are open"):
        configure("set_defaults", registry=AgentRegistry())
    assert registry is container.registry()
    await engine.cleanup()
    configure("set_defaults", registry=AgentRegistry())
    assert registry is not container.registry()


async def test_a_bridge_of_one_user_is_not_for_everybody() -> None:
    """A bound bridge cannot be configured for the process: the error names its user."""
    with pytest.raises(ConfigError, match="bridge of user 'alice' for everybody"):
        configure("configure", bridge=AgentWebSocketBridge.create_for_user(context_of()))
    assert {} == snapshot().configuration


async def test_configured_bridges_are_never_shared() -> None:
    """An unbound bridge that was configured stays unbound: each engine has a sibling of its own."""
    template = AgentWebSocketBridge()
    configure("configure", bridge=template)
    factory = (await in_use()).engine_factory()
    async with factory.engine_for(context_of()) as one, factory.engine_for(context_of("bob")) as two:
        assert 3 == len({id(bridge) for bridge in (template, one.websocket_bridge, two.websocket_bridge)})
        assert ["alice", "bob"] == [engine.websocket_bridge.key.user_id for engine in (one, two)]
    assert template.user_context is None


def test_configuration_outlives_a_loop() -> None:
    """What was configured before any loop ran holds on each; the entry of each start names it."""
    registry = AgentRegistry([echo])
    configure("configure", registry=registry)
    with capture_logs() as entries:
        for _ in range(2):
            assert registry is asyncio.run(in_use()).registry()
    assert [["registry"], ["registry"]] == [
        entry["configured"] for entry in entries_named(entries, "default_container_started")
    ]


async def test_a_named_containers_configuration_is_its_own(start: Start) -> None:
    """It reaches that container and no default one."""
    container = await use_one(start)
    before = container.registry()
    configure("configure", registry=AgentRegistry())
    assert before is not container.registry()
    assert {} == snapshot().configuration
    container.registry.reset_override()


# ---------------------------------------------------------------------- for the test kit


def test_what_is_process_wide_can_be_put_back() -> None:
    """A snapshot knows which container is named and what is configured; afterwards both are as before."""
    before = snapshot()
    container = ExecutionContainer.from_settings(small_settings(legacy={"warn": "error"}))
    configure("configure", registry=AgentRegistry())
    legacy.use(container)
    assert (container, ["registry"]) == (snapshot().named, list(snapshot().configuration))
    restore(before)
    assert UNTOUCHED == snapshot()
    used("a door", "another", since="0.1", removed_in="1.0")


def test_the_test_kit_blames_no_default_container() -> None:
    """Its tasks and configuration are nobody's leak and are put back; an engine left open in it is one."""
    with closing(asyncio.new_event_loop()) as loop:
        watch = Watch(loop)
        configure("configure", registry=AgentRegistry([echo]))
        container = loop.run_until_complete(in_use())
        watch.everything()
        assert [] == watch.found
        assert UNTOUCHED == snapshot()
        assert container.engine_factory().is_running
        watch = Watch(loop)
        engine = loop.run_until_complete(UserExecutionEngine.create_from_legacy(None, None, context_of()))
        watch.everything()
        assert 1 == len(watch.found)
        assert f"engine {engine.engine_id} of user 'alice'" in watch.found[0]
        handover = legacy.use(ExecutionContainer.from_settings(small_settings()))
        watch.everything()
        assert UNTOUCHED == snapshot()
        loop.run_until_complete(finished(handover))


def test_a_test_that_imports_the_container_itself_is_put_back_too() -> None:
    """Nothing was known before it: what it named and configured goes all the same."""
    configure("configure", registry=AgentRegistry())
    legacy.use(ExecutionContainer.from_settings(small_settings(legacy={"warn": "error"})))
    Watch(None, known=()).everything()
    assert UNTOUCHED == snapshot()


async def finished(handover: Any) -> None:
    """Waits until the container before is drained."""
    await handover
