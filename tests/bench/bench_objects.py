"""What a container adds to its own five objects: `python tests/bench/bench_objects.py [--rounds N]`.

One operation = make a context with two metadata keys, open a scope, build bridge, emitter, agent factory and engine,
end them. Beside it the same constructors called by hand, with the same endings. Every round runs every contender; a
ratio compares two times of the same round, in process CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable

from bench_runs import cpu
from figures import Figure, table

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.settings import Settings

#: The most a scope may cost, as a multiple of the work by hand.
TARGET = 2.0
#: Operations in one measurement.
TIMES = 2000

Operation = Callable[[], Awaitable[None]]


def make_context() -> UserExecutionContext:
    """A context as a web framework's request would give it."""
    metadata = {"tenant": "acme", "locale": "en-GB"}
    return UserExecutionContext("user-1", "thread-1", "run-1", "req-1", metadata)


def by_hand(container: ExecutionContainer) -> Operation:
    """The constructors, and the endings in reverse order."""
    log, registry, tools, control = container.event_log(), container.registry(), container.tools(), container.control()

    async def once() -> None:
        context = make_context()
        bridge = AgentWebSocketBridge(context, log)
        try:
            emitter = UnifiedWebSocketEmitter(bridge, context)
            agents = AgentInstanceFactory(registry, emitter)
            engine = UserExecutionEngine(context, agents, emitter, tools, control, None, None)
            if (ending := engine.stop()) is not None:
                await ending
        finally:
            await bridge.aclose()

    return once


def entered(container: ExecutionContainer) -> Operation:
    """A scope as a block."""

    async def once() -> None:
        async with container.open_scope(context=make_context()) as scope:
            scope.get(container.engine)

    return once


def explicit(container: ExecutionContainer) -> Operation:
    """A scope that is held and closed by its holder."""

    async def once() -> None:
        scope = container.open_scope(context=make_context())
        try:
            scope.get(container.engine)
        finally:
            await scope.aclose()

    return once


async def context_alone() -> None:
    """The part that both have in common."""
    make_context()


async def measured(rounds: int) -> dict[str, list[float]]:
    """Contender → CPU seconds of one operation, by round."""
    settings = Settings(agents={"offline": False, "entry_points": False})
    async with ExecutionContainer.from_settings(settings).running() as container:
        contenders = {
            "by hand": by_hand(container),
            "async with open_scope": entered(container),
            "open_scope, aclose": explicit(container),
            "the context alone": context_alone,
        }
        for operation in contenders.values():
            await cpu(operation, TIMES)
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, operation in contenders.items():
                times[name].append(await cpu(operation, TIMES))
    return times


def figures(rounds: int) -> list[Figure]:
    """Each contender as a multiple of the work by hand, median of the rounds."""
    times = asyncio.run(measured(rounds))
    base = times.pop("by hand")
    found = []
    for name, each in times.items():
        ratio = statistics.median(one / other for one, other in zip(each, base, strict=True))
        note = f"{statistics.median(each) * 1e6:.2f} us, by hand {statistics.median(base) * 1e6:.2f} us"
        found.append(Figure(f"own five objects, {name}", ratio, "x by hand", TARGET if "scope" in name else None, note))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    print(table(figures(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
