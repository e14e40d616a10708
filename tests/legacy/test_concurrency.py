"""A thousand callers at once, each with a registry, a bridge and a user of its own."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Iterator
from typing import Any
from weakref import ref

import pytest
from old_callers import in_use, uses_old_doors
from structlog.testing import capture_logs

from fakes import check_thread, context_of, events_of
from running import Start, assert_nothing_is_left
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.events import RunStatus
from ssot_engine.legacy.entry_points import create_request_scoped_engine, user_execution_engine
from ssot_engine.registry import AgentRegistry
from ssot_engine.scoping.scoped import Scoped

pytestmark = uses_old_doors

CALLERS = 1_000
#: How many more blocks of memory a round may leave: caches of the interpreter's own. A leak has one for each caller.
SPARE_BLOCKS = CALLERS // 4


def registry_of(user: str) -> AgentRegistry:
    """A registry that no other caller has: its one agent answers with the user it was made for."""

    @agent("mine")
    async def mine(run: RunContext) -> str:
        await asyncio.sleep(0)
        return f"{user} asked by {run.user_id}"

    return AgentRegistry([mine])


class Caller:
    """One caller, and what it brings: a bridge of its user, an unbound one, or none."""

    def __init__(self, number: int, bridge: type[AgentWebSocketBridge] = AgentWebSocketBridge) -> None:
        self.user = f"user-{number}"
        self.context = context_of(self.user)
        self.registry = registry_of(self.user)
        self.bridge: AgentWebSocketBridge | None = None
        if number % 3 == 0:
            self.bridge = AgentWebSocketBridge.create_for_user(self.context)
        elif number % 3 == 1:
            self.bridge = bridge()

    async def engine(self) -> UserExecutionEngine:
        """The engine that the door gives it."""
        return await UserExecutionEngine.create_from_legacy(self.registry, self.bridge, self.context)

    def check(self, engine: UserExecutionEngine) -> None:
        """Nothing in the engine is another caller's."""
        assert engine.user_context is self.context
        assert engine.agent_factory.registry is self.registry
        bridge = engine.websocket_bridge
        assert bridge.user_context is self.context
        assert engine.websocket_emitter.websocket_bridge is bridge
        if self.bridge is not None and self.bridge.user_context is not None:
            assert bridge is self.bridge
        else:
            assert bridge is not self.bridge


async def one_round(container: ExecutionContainer, callers: list[Caller]) -> list[ref[Any]]:
    """All callers at once get their engines, and run their agents while all live; references to what they had."""
    engines = await asyncio.gather(*(caller.engine() for caller in callers))
    for caller, engine in zip(callers, engines, strict=True):
        caller.check(engine)
    for part in ("websocket_emitter", "agent_factory", "websocket_bridge"):
        assert len(callers) == len({id(getattr(engine, part)) for engine in engines})
    results = await asyncio.gather(*(engine.run("mine", "who?") for engine in engines))
    assert [f"{caller.user} asked by {caller.user}" for caller in callers] == [result.output for result in results]
    seen = [ref(one) for engine in engines for one in (engine, engine.websocket_bridge, engine.agent_factory.registry)]
    await asyncio.gather(*(engine.cleanup() for engine in engines))
    assert_nothing_is_left(container)
    await container.event_log().trim(time.time() + 1e9)
    return seen


async def test_nobody_sees_what_another_brought(start: Start) -> None:
    """A thousand calls at once: each engine, and what its agent answers, is of its own caller; then all is let go."""
    container = await in_use(start)
    before = {name: provider.overridden for name, provider in container.providers.items()}
    seen = await one_round(container, [Caller(number) for number in range(CALLERS)])
    gc.collect()
    assert 3 * CALLERS == len(seen)
    assert [] == [one for reference in seen if (one := reference()) is not None]
    assert before == {name: provider.overridden for name, provider in container.providers.items()}


async def test_memory_returns(start: Start) -> None:
    """After a further round as many blocks of memory are in use as before it: not one for each caller is kept."""
    container = await in_use(start)
    blocks = []
    for _ in range(3):
        await one_round(container, [Caller(number) for number in range(CALLERS)])
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[2] - blocks[1] < SPARE_BLOCKS


async def test_anonymous_callers_share_no_user(start: Start) -> None:
    """A thousand calls that bring nothing have a thousand users and threads."""
    container = await in_use(start)
    engines = await asyncio.gather(*(UserExecutionEngine.create_from_legacy(None) for _ in range(CALLERS)))
    contexts = [engine.user_context for engine in engines]
    for field in ("user_id", "thread_id", "run_id", "request_id"):
        assert CALLERS == len({getattr(context, field) for context in contexts})
    await asyncio.gather(*(engine.cleanup() for engine in engines))
    assert_nothing_is_left(container)


async def test_all_doors_at_once(start: Start) -> None:
    """Callers of different doors at the same moment do not meet either."""
    container = await in_use(start)

    async def by_block(number: int) -> None:
        context = context_of(f"user-{number}")
        async with user_execution_engine(context) as engine:
            await asyncio.sleep(0)
            assert engine.user_context is context
            assert engine.agent_factory.registry is container.registry()

    async def by_call(number: int) -> None:
        context, registry = context_of(f"user-{number}"), AgentRegistry()
        engine = await create_request_scoped_engine(registry, None, context)
        await asyncio.sleep(0)
        assert (context, registry) == (engine.user_context, engine.agent_factory.registry)
        await engine.cleanup()

    async def by_class(number: int) -> None:
        caller = Caller(number)
        engine = await caller.engine()
        await asyncio.sleep(0)
        caller.check(engine)
        await engine.cleanup()

    doors = (by_block, by_call, by_class)
    await asyncio.gather(*(doors[number % 3](number) for number in range(300)))
    assert_nothing_is_left(container)


# ------------------------------------------------------------------ with failures injected


class Flaky(AgentWebSocketBridge):
    """A host's bridge that often cannot be bound to a user."""

    __slots__ = ()
    chance = random.Random(0)
    failed: set[str]

    def __init__(self, context: Any = None, event_log: Any = None) -> None:
        if context is not None and self.chance.random() < 0.3:
            self.failed.add(context.user_id)
            raise ConnectionError("no server")
        super().__init__(context, event_log)


def with_flaky_bridges(container: ExecutionContainer) -> None:
    """The container's own bridges fail like those that are brought."""
    container.bridge.override(Scoped(Flaky, context=container.context, event_log=container.event_log, close="aclose"))


@pytest.fixture
def failures() -> Iterator[set[str]]:
    """The users whose bridge failed; the same in each run of the test."""
    Flaky.chance, Flaky.failed = random.Random(20_251_209), set()
    yield Flaky.failed
    del Flaky.failed


async def test_with_degrade_nothing_is_lost(start: Start, failures: set[str]) -> None:
    """Whose bridge fails, brought or the container's, gets the built-in one: every run is in the log, whole."""
    container = await in_use(start, prepare=with_flaky_bridges)
    callers = [Caller(number, Flaky) for number in range(CALLERS)]
    with capture_logs() as entries:
        engines = await asyncio.gather(*(caller.engine() for caller in callers))
    assert 150 < len(failures) < 250
    assert failures == {engine.user_context.user_id for engine in engines if engine.degraded}
    assert failures == {entry["user_id"] for entry in entries if entry["event"] == "bridge_degraded"}
    assert len(failures) == container.engine_factory().metrics()["bridges_degraded"]
    results = await asyncio.gather(*(engine.run("mine", "who?") for engine in engines))
    for caller, engine, result in zip(callers, engines, results, strict=True):
        caller.check(engine)
        assert RunStatus.COMPLETED == result.status
        events = events_of(container.event_log(), engine.websocket_bridge.key)
        check_thread(events)
        assert caller.user == events[0].user_id
        assert (caller.user in failures) == events[0].payload["context"].get("degraded", False)
    await asyncio.gather(*(engine.cleanup() for engine in engines))
    assert_nothing_is_left(container)


async def test_with_fail_only_those_calls_fail(start: Start, failures: set[str]) -> None:
    """Each call whose bridge fails raises what the bridge raised and holds nothing; all others are served."""
    container = await in_use(start, prepare=with_flaky_bridges, engine={"bridge_failure": "fail"})
    callers = [Caller(number, Flaky) for number in range(CALLERS)]
    got = await asyncio.gather(*(caller.engine() for caller in callers), return_exceptions=True)
    assert 150 < len(failures) < 250
    engines = []
    for caller, one in zip(callers, got, strict=True):
        if caller.user in failures:
            assert isinstance(one, ConnectionError), one
        else:
            assert isinstance(one, UserExecutionEngine), one
            caller.check(one)
            engines.append(one)
    assert len(engines) == container.engine_factory().metrics()["engines_active"]
    assert CALLERS - len(failures) == len(engines)
    await asyncio.gather(*(engine.cleanup() for engine in engines))
    assert_nothing_is_left(container)
