"""What old code costs: `python tests/bench/bench_legacy.py [--rounds N]`.

Imports are repeated from a module of the host, where the interpreter's own filters hide the warning; each is counted.
Engines are made and ended. Every round runs every contender, in process CPU time; of the imports the least time of the
rounds is taken, of the engines the median ratio within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any

from bench_runs import cpu
from figures import Figure, table

from ssot_engine import legacy
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.legacy.census import census
from ssot_engine.legacy.redirects import RedirectFinder, install_redirects, uninstall_redirects
from ssot_engine.registry import AgentRegistry
from ssot_engine.settings import Settings

#: The most that each may cost.
NAME_US, MISS_US, ALIAS_FACTOR, ENGINE_FACTOR = 5.0, 1.0, 1.2, 2.0
#: Operations in one measurement.
IMPORTS, ENGINES = 50_000, 2000

_CALLERS = """
def from_new():
    from ssot_engine.engine import UserExecutionEngine

def from_names():
    from netra_backend.app.agents.supervisor.user_execution_engine import UserExecutionEngine

def new_registry():
    from ssot_engine.registry import AgentRegistry

def from_alias():
    from netra_backend.app.core.agent_registry import AgentRegistry
"""

Operation = Callable[[], Awaitable[None]]


def seconds(operation: Callable[[], object], times: int) -> float:
    """CPU seconds of one call."""
    before = process_time()
    for _ in range(times):
        operation()
    return (process_time() - before) / times


def imports(rounds: int) -> list[Figure]:
    """Repeated imports by old and by new names, and an import that is none of ours."""
    install_redirects()
    finder = next(finder for finder in sys.meta_path if isinstance(finder, RedirectFinder))
    host: dict[str, Any] = {"__name__": "host"}
    exec(compile(_CALLERS, "host.py", "exec"), host)
    contenders: dict[str, Callable[[], object]] = {
        name: host[name] for name in ("from_new", "from_names", "new_registry", "from_alias")
    }
    contenders["miss"] = lambda: finder.find_spec("json.decoder", None, None)
    contenders["nothing"] = lambda: None
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, operation in contenders.items():
            times[name].append(seconds(operation, IMPORTS))
    counted = sum(site.count for site in census.sites() if site.file == "host.py")
    uninstall_redirects()
    # The alias is counted at its first import.
    assert counted == rounds * IMPORTS + 1, counted
    least = {name: min(each) * 1e6 for name, each in times.items()}
    return [
        Figure("import of an old name, counted", least["from_names"], "us", NAME_US, f"new {least['from_new']:.2f} us"),
        Figure("import that is none of ours", least["miss"] - least["nothing"], "us", MISS_US, "find_spec alone"),
        Figure("repeated import from an alias", least["from_alias"] / least["new_registry"], "x new", ALIAS_FACTOR),
    ]


# ------------------------------------------------------------------------ engines


def context() -> UserExecutionContext:
    """A context as a request would give it."""
    return UserExecutionContext("user-1", "thread-1", "run-1", "req-1", {"tenant": "acme"})


def by_factory(container: ExecutionContainer) -> Operation:
    """An engine as it is made today."""

    async def once() -> None:
        engine = await container.engine_factory().create_for_user(context())
        await engine.cleanup()

    return once


def by_factory_bringing(container: ExecutionContainer) -> Operation:
    """The same, where the caller brings a registry and a bridge."""

    async def once() -> None:
        mine = context()
        bridge = AgentWebSocketBridge.create_for_user(mine)
        engine = await container.engine_factory().create_for_user(mine, registry=AgentRegistry(), bridge=bridge)
        await engine.cleanup()

    return once


async def by_door() -> None:
    """An engine by the old door."""
    engine = await UserExecutionEngine.create_from_legacy(AgentRegistry(), None, context())
    await engine.cleanup()


async def by_door_bringing() -> None:
    """The same, with a bridge."""
    mine = context()
    bridge = AgentWebSocketBridge.create_for_user(mine)
    engine = await UserExecutionEngine.create_from_legacy(AgentRegistry(), bridge, mine)
    await engine.cleanup()


async def engines(rounds: int) -> list[Figure]:
    """The old door beside the factory."""
    settings = Settings(agents={"offline": False, "entry_points": False})
    async with ExecutionContainer.from_settings(settings).running() as container:
        legacy.use(container)
        pairs: dict[str, tuple[Operation, Operation]] = {
            "registry and context": (by_door, by_factory(container)),
            "bridge as well": (by_door_bringing, by_factory_bringing(container)),
        }
        found = []
        for name, (door, factory) in pairs.items():
            times = [(await cpu(door, ENGINES), await cpu(factory, ENGINES)) for _ in range(rounds)]
            ratio = statistics.median(one / other for one, other in times)
            mine, theirs = (statistics.median(each) * 1e6 for each in zip(*times, strict=True))
            note = f"{mine:.1f} us, by the factory {theirs:.1f} us"
            found.append(Figure(f"create_from_legacy, {name}", ratio, "x create_for_user", ENGINE_FACTOR, note))
        legacy.use(None)
    return found


def figures(rounds: int) -> list[Figure]:
    """All of them."""
    return [*imports(rounds), *asyncio.run(engines(rounds))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    print(table(figures(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
