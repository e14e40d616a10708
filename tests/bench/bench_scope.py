"""What a scope costs beside the same constructors called by hand: `python tests/bench/bench_scope.py [rounds]`.

One operation = open, build five objects, close two. Every round runs every contender, and a ratio compares two times
of the same round, in process CPU time, so that a busy machine disturbs both alike. Absolute times are not reported.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from dependency_injector import providers

if __package__:
    from .graph import AgentFactory, Bridge, Context, Emitter, Engine, Hub, Registry, Settings
else:
    from graph import AgentFactory, Bridge, Context, Emitter, Engine, Hub, Registry, Settings

from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer

#: The promise: opening, building and closing through `async with` costs at most this many times the work by hand.
TARGET = 4.5

_ROUND_S = 0.02
_BASE = "by hand"
_PROMISED = "async with open_scope"

Operation = Callable[[], Awaitable[None]]


class App(ScopedContainer):
    """The graph as a container."""

    settings = providers.Singleton(Settings)
    registry = providers.Singleton(Registry, settings=settings)
    hub = providers.Singleton(Hub, settings=settings)

    context = Given(Context)
    bridge = Scoped(Bridge, context=context, hub=hub, close="aclose")
    emitter = Scoped(Emitter, bridge=bridge, context=context)
    agent_factory = Scoped(AgentFactory, registry=registry, emitter=emitter)
    engine = Scoped(Engine, context=context, agent_factory=agent_factory, emitter=emitter, close="aclose")


def contenders() -> dict[str, Operation]:
    """Each does the same work: five objects built once, two closed once."""
    app = App()
    app.check()
    registry, hub = app.registry(), app.hub()

    async def by_hand() -> None:
        context = Context()
        bridge = Bridge(context, hub)
        try:
            emitter = Emitter(bridge, context)
            engine = Engine(context, AgentFactory(registry, emitter), emitter)
            await engine.aclose()
        finally:
            await bridge.aclose()

    async def exit_stack() -> None:
        async with AsyncExitStack() as stack:
            context = Context()
            bridge = Bridge(context, hub)
            stack.push_async_callback(bridge.aclose)
            emitter = Emitter(bridge, context)
            engine = Engine(context, AgentFactory(registry, emitter), emitter)
            stack.push_async_callback(engine.aclose)

    async def explicit() -> None:
        scope = app.open_scope(context=Context())
        try:
            scope.get(app.engine)
        finally:
            await scope.aclose()

    async def entered() -> None:
        async with app.open_scope(context=Context()) as scope:
            scope.get(app.engine)

    async def overridden() -> None:
        context = Context()
        bridge = Bridge(context, hub)
        async with app.open_scope(context=context, bridge=bridge, registry=registry) as scope:
            scope.get(app.engine)
        await bridge.aclose()

    return {
        _BASE: by_hand,
        "by hand, AsyncExitStack": exit_stack,
        "open_scope, aclose": explicit,
        _PROMISED: entered,
        "async with, two overrides": overridden,
    }


def ratios(rounds: int) -> dict[str, float]:
    """The median cost of each contender, as a multiple of the work by hand."""
    return {name: statistics.median(each) for name, each in asyncio.run(_measured(rounds)).items()}


async def _measured(rounds: int) -> dict[str, list[float]]:
    operations = contenders()
    counts = {name: await _count(operation) for name, operation in operations.items()}
    found: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        gc.collect()
        times = {name: await _time_s(operation, counts[name]) for name, operation in operations.items()}
        for name, time_s in times.items():
            found[name].append(time_s / times[_BASE])
    return found


async def _count(operation: Operation) -> int:
    """How often to run it for one measurement; warms it up on the way."""
    await _time_s(operation, 200)
    return max(20, int(_ROUND_S / await _time_s(operation, 200)))


async def _time_s(operation: Operation, count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        await operation()
    return (time.process_time() - start) / count


def main() -> None:
    """Print a table; exit with status 1 if the promise is not kept."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    found = asyncio.run(_measured(rounds))
    print(f"python {sys.version.split()[0]}, {rounds} rounds, times the work by hand")
    print(f"{'':28}{'median':>8}{'min':>8}")
    for name, each in found.items():
        print(f"{name:28}{statistics.median(each):8.2f}{min(each):8.2f}")
    kept = statistics.median(found[_PROMISED]) <= TARGET
    print(f"target: {_PROMISED} <= {TARGET}: {'kept' if kept else 'MISSED'}")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
