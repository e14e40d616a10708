"""Promise 2: nothing mutable is reachable from two users' engines except what the container declares."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from running import Start
from ssot_engine import offline
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.testing.audit import assert_isolated

Pair = tuple[UserExecutionEngine, UserExecutionEngine]
SHARED_BY_A_MODULE: dict[str, str] = {}


class Gate:
    """Holds up the agents of one user."""

    def __init__(self) -> None:
        self.waiting = 0
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        self.waiting += 1
        await self.opened.wait()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            while self.waiting < count:
                await asyncio.sleep(0)


#: By user: a gate that both users' agents waited at would itself be shared.
gates: dict[str, Gate] = {}


@pytest.fixture(autouse=True)
def _gates() -> None:
    gates.update(alice=Gate(), bob=Gate())


@agent
async def adder(run: RunContext) -> AsyncIterator[str]:
    """Thinks, calls a tool and an agent, streams, and waits at the gate on the way."""
    run.emit.thinking("adding", 1)
    notes = [await run.tools.call("add", a=1, b=2)]
    notes.append(await run.agents.call("helper", run.message))
    yield f"for {run.user_id}: "
    yield str(notes)


@agent
async def helper(run: RunContext) -> str:
    """Waits at the gate inside the adder's run."""
    await run.tools.call("pass_gate", user_id=run.user_id)
    return run.message.upper()


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def pass_gate(user_id: str) -> None:
    """Waits until the test lets the user go on."""
    await gates[user_id].wait()


def context(user_id: str, metadata: dict[str, Any] | None = None) -> UserExecutionContext:
    return UserExecutionContext.from_request(user_id, "t-1", "run-1", metadata=metadata)


@pytest.fixture
async def engines(start: Start) -> AsyncIterator[Callable[..., Awaitable[tuple[ExecutionContainer, Pair]]]]:
    """`await engines(agent, …)`: a running container, and in it an engine of alice and one of bob."""
    opened: list[UserExecutionEngine] = []

    async def make(*agents: object, **options: Any) -> tuple[ExecutionContainer, Pair]:
        container = await start(*agents, **options)
        factory = container.engine_factory()
        opened.extend([await factory.create_for_user(context(user)) for user in ("alice", "bob")])
        return container, (opened[-2], opened[-1])

    yield make
    for engine in opened:
        await engine.cleanup()


async def test_idle_engines_share_nothing(engines: Any) -> None:
    """Two engines that were just made, the built-in team among their agents, share nothing mutable."""
    team = offline.agents()
    container, (alice, bob) = await engines(*team.agents, adder, helper, tools=[*team.tools, add, pass_gate])
    assert_isolated(alice, bob, container)


async def test_engines_in_mid_run_share_nothing(engines: Any) -> None:
    """Two engines whose runs wait in a tool of a nested agent share nothing mutable."""
    container, (alice, bob) = await engines(adder, helper, tools=[add, pass_gate])
    runs = [asyncio.create_task(engine.run("adder", "hi")) for engine in (alice, bob)]
    streams = [engine.stream("adder", "hi") for engine in (alice, bob)]
    for gate in gates.values():
        await gate.wait_for(2)
    assert_isolated(alice, bob, container)
    for gate in gates.values():
        gate.opened.set()
    results = [*await asyncio.gather(*runs), *[await stream.result() for stream in streams]]
    assert ["for alice: [3, 'HI']", "for bob: [3, 'HI']"] * 2 == [result.output for result in results]
    assert_isolated(alice, bob, container)


async def test_engines_of_one_user_share_nothing(engines: Any) -> None:
    """Two engines for one context share the frozen context and nothing that can change."""
    container, (alice, _) = await engines(adder)
    async with container.engine_factory().engine_for(alice.user_context) as second:
        assert_isolated(alice, second, container)


async def test_metadata_that_came_from_one_dict_is_not_shared(start: Start) -> None:
    """Two contexts made from the same mutable metadata share none of it."""
    container = await start(adder)
    metadata = {"plan": "free", "tags": ["a"]}
    factory = container.engine_factory()
    async with (
        factory.engine_for(context("alice", metadata)) as alice,
        factory.engine_for(context("bob", metadata)) as bob,
    ):
        assert_isolated(alice, bob, container)


async def test_audit_is_fast(engines: Any) -> None:
    """Two idle engines are audited in less than 300 ms."""
    team = offline.agents()
    container, (alice, bob) = await engines(*team.agents, helper, tools=team.tools)
    began = time.perf_counter()
    assert_isolated(alice, bob, container)
    assert time.perf_counter() - began < 0.3


# ---------------------------------------------------------------------------- planted faults


class Remembering:
    """An agent that keeps what users said."""

    name = "remembering"

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def execute(self, run: RunContext) -> None:
        self.seen.append(run.message)


class CachingBridge(AgentWebSocketBridge):
    """A bridge over a dict of its module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = SHARED_BY_A_MODULE


def remembering_in_a_default(run: RunContext, seen: list[str] = []) -> None:  # noqa: B006
    seen.append(run.message)


def remembering_in_a_closure() -> Callable[[RunContext], None]:
    seen: list[str] = []

    def remembering(run: RunContext) -> None:
        seen.append(run.message)

    return remembering


def tool_with_a_cache(key: str, cache: dict = {}) -> str:  # type: ignore[type-arg]  # noqa: B006
    return str(cache.setdefault(key, key))


def caching_bridges(container: ExecutionContainer) -> None:
    container.bridge.override(container.bridge.built_by(CachingBridge))


@pytest.mark.parametrize(
    ("agents", "options", "path"),
    [
        ([Remembering()], {}, "Reach.agents['remembering'].seen"),
        ([agent("remembering")(remembering_in_a_default)], {}, ".agents['remembering'].function.__defaults__[0]"),
        ([agent("remembering")(remembering_in_a_closure())], {}, ".agents['remembering'].function.closure.seen >"),
        ([], {"tools": [tool_with_a_cache]}, "Reach.tools['tool_with_a_cache'].__defaults__[0]"),
        ([], {"prepare": caching_bridges}, "Reach.engine.websocket_emitter.websocket_bridge.cache"),
    ],
)
async def test_planted_fault_is_found(engines: Any, agents: list[object], options: dict[str, Any], path: str) -> None:
    """State that all users share by an agent, a tool or a bridge is found, with the way to it from both engines."""
    container, (alice, bob) = await engines(*agents, **options)
    with pytest.raises(AssertionError, match=r"'alice' .* and 'bob' .* share 1 mutable object\(s\)") as failure:
        assert_isolated(alice, bob, container)
    assert str(failure.value).count(path) == 2, str(failure.value)


class NoCopy(UserExecutionContext):
    """A context that keeps the caller's own metadata."""

    __slots__ = ("kept",)


async def test_shared_metadata_is_found(start: Start) -> None:
    """Contexts that kept the caller's dict would share it, and the audit would say so."""
    container = await start(adder)
    metadata: dict[str, object] = {"plan": "free"}
    contexts = [NoCopy.from_request(user, "t-1", "run-1") for user in ("alice", "bob")]
    for made in contexts:
        object.__setattr__(made, "kept", metadata)
    factory = container.engine_factory()
    async with factory.engine_for(contexts[0]) as alice, factory.engine_for(contexts[1]) as bob:
        with pytest.raises(AssertionError, match=r"\._context\.kept"):
            assert_isolated(alice, bob, container)


async def test_part_that_two_engines_were_given_is_found(start: Start) -> None:
    """A bridge handed to two engines is found; only what the container declares may be shared."""
    container = await start(adder)
    factory = container.engine_factory()
    bridge = AgentWebSocketBridge.create_for_user(context("alice"))
    async with (
        factory.engine_for(context("alice"), bridge=bridge) as first,
        factory.engine_for(context("alice"), bridge=bridge) as second,
    ):
        with pytest.raises(AssertionError, match=r"share 1 mutable.*\n  AgentWebSocketBridge"):
            assert_isolated(first, second, container)


class Hoarding:
    """An agent with a variable that outlives its steps."""

    name = "hoarding"

    async def execute(self, run: RunContext) -> None:
        hoard = SHARED_BY_A_MODULE
        await gates[run.user_id].wait()
        hoard[run.user_id] = run.message


async def test_state_shared_in_mid_run_is_found(engines: Any) -> None:
    """What a running agent holds in a local variable is audited, too."""
    container, (alice, bob) = await engines(Hoarding())
    streams = [engine.stream("hoarding", "hi") for engine in (alice, bob)]
    for gate in gates.values():
        await gate.wait_for(1)
    with pytest.raises(AssertionError, match=r"dict \{\}"):
        assert_isolated(alice, bob, container)
    for gate in gates.values():
        gate.opened.set()
    for stream in streams:
        await stream.result()
    SHARED_BY_A_MODULE.clear()
