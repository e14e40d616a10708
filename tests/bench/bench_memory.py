"""What a live user costs in memory: `python tests/bench/bench_memory.py [--large] [--top]`.

Users are held in the middle of a run: their tool waits at a gate. A fresh process takes each figure, ours and the
baseline's alike; both keep what they told their reader. Then the gate opens, all runs end, the log lets everything go,
and what is left is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import linecache
import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import ref

import baseline
from bench_runs import Collected
from figures import Figure, table
from product import Product, weather_agent

from ssot_engine.container import ExecutionContainer
from ssot_engine.logs import configure_logging
from ssot_engine.settings import Settings

#: The most a live user may take, and what 10,000 users may take each as a multiple of what 100 do.
TARGET_KIB = 11.0
TARGET_GROWTH = 1.1

WARM_UPS = 5
KIB = 1024


class Gate:
    """A tool that keeps each caller until it is opened."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._all_here = asyncio.Event()
        self._missing = 0

    async def weather(self, city: str) -> str:
        """Get the weather for a city, once the gate is open."""
        self._missing -= 1
        if not self._missing:
            self._all_here.set()
        await self._opened.wait()
        return f"sunny in {city}"

    async def gathered(self, users: int) -> None:
        """Close the gate and wait until so many callers stand at it."""
        self._opened.clear()
        self._missing = users
        await self._all_here.wait()

    def open(self) -> None:
        """Let everybody through, now and from now on."""
        self._opened.set()


@asynccontextmanager
async def ours(gate: Gate) -> AsyncIterator[Product]:
    """A container with room for everybody, whose only tool is the gate."""
    configure_logging("info", "json", open(os.devnull, "w"))  # noqa: SIM115 — open as long as the process
    limits = {"max_engines": 1_000_000}
    settings = Settings(engine=limits, agents={"offline": False, "entry_points": False})
    container = ExecutionContainer.from_settings(settings)
    container.registry().register(weather_agent)
    container.tools().register(gate.weather, "weather")
    async with container.running():
        yield Product(container)


class Meter:
    """Bytes in use since it was made: of the process, or of Python's allocations alone."""

    def __init__(self, is_traced: bool) -> None:
        self._is_traced = is_traced
        gc.collect()
        if is_traced:
            tracemalloc.start()
        self._before = self._now()

    def _now(self) -> int:
        if self._is_traced:
            return tracemalloc.get_traced_memory()[0]
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def grown(self) -> int:
        """How many more now."""
        gc.collect()
        return self._now() - self._before


async def hold(
    request: Callable[[str, Any], Awaitable[Any]],
    gate: Gate,
    users: int,
    is_traced: bool,
    look: Callable[[], None],
    end: Callable[[], Awaitable[None]],
) -> dict[str, float]:
    """Bytes per user: while all wait at the gate, and after `end` was awaited. `look` is called in between."""
    gate.open()
    for number in range(WARM_UPS):
        await request(f"warm-{number}", Collected())
    await end()
    meter = Meter(is_traced)
    tasks = [asyncio.create_task(request(f"user-{number}", Collected())) for number in range(users)]
    await gate.gathered(users)
    live = meter.grown()
    look()
    gate.open()
    answers = await asyncio.gather(*tasks)
    assert answers == [f"answer: sunny in user-{number}" for number in range(users)]
    del tasks, answers
    await asyncio.sleep(0)  # the loop's current step holds the gathered tasks
    await end()
    return {"live": live / users, "left": meter.grown() / users}


async def hold_ours(users: int, is_traced: bool, report: Callable[[], None]) -> dict[str, float]:
    """Our users; `alive` counts their engines and contexts that somebody still holds at the end."""
    gate = Gate()
    watched: list[ref[Any]] = []
    async with ours(gate) as product:

        def look() -> None:
            report()
            for engine in product.factory.engines():
                watched.extend((ref(engine), ref(engine.user_context)))

        async def end() -> None:
            await product.forget()
            gc.collect()
            alive.append(sum(each() is not None for each in watched))
            watched.clear()

        alive: list[int] = []
        found = await hold(product.request, gate, users, is_traced, look, end)
    return {**found, "alive": alive[-1]}


async def hold_baseline(users: int, is_traced: bool, report: Callable[[], None]) -> dict[str, float]:
    """The same by hand."""
    gate = Gate()
    baseline.TOOLS["weather"] = gate.weather

    async def nothing_to_end() -> None:
        return

    return await hold(baseline.request, gate, users, is_traced, report, nothing_to_end)


HOLDERS = {"ours": hold_ours, "baseline": hold_baseline}


def fresh(who: str, users: int, how: str) -> dict[str, float]:
    """`hold` in a process of its own; `how` is rss or traced."""
    command = [sys.executable, __file__, "--hold", who, str(users), how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def resident(who: str, users: int, repeats: int) -> tuple[float, float]:
    """KiB of the process per user, live and when all have gone, medians of several processes."""
    found = [fresh(who, users, "rss") for _ in range(repeats)]
    live, left = (statistics.median(each[when] for each in found) / KIB for when in ("live", "left"))
    return live, left


def figures(sizes: Sequence[int], repeats: int) -> list[Figure]:
    """All figures for these numbers of users, ascending."""
    return [resident_figure(users, repeats) for users in sizes] + allocated_figures(sizes[0], sizes[-1])


def resident_figure(users: int, repeats: int) -> Figure:
    """What the system counts. With few users it is flattered by room that the imports left free."""
    (mine, left), (theirs, _) = resident("ours", users, repeats), resident("baseline", users, repeats)
    note = f"baseline {theirs:.1f} KiB, {mine / theirs:.2f} x; {left:.1f} KiB stay with the process at the end"
    return Figure(f"RSS per live user, {users:,} users", mine, "KiB", TARGET_KIB, note)


def allocated_figures(few: int, many: int) -> list[Figure]:
    """What Python's allocator counts, and what is left of users that have gone."""
    small, large = fresh("ours", few, "traced"), fresh("ours", many, "traced")
    theirs = fresh("baseline", many, "traced")
    growth = f"{small['live'] / KIB:.1f} to {large['live'] / KIB:.1f} KiB"
    beside = f"baseline {theirs['live'] / KIB:.1f} KiB, {large['live'] / theirs['live']:.2f} x"
    left = f"baseline {theirs['left']:.0f} bytes: tables that grew with the crowd, and verdicts on ids (8,192 are kept)"
    return [
        Figure(f"allocated per live user, {many:,} users", large["live"] / KIB, "KiB", None, beside),
        Figure(f"growth of that, {few:,} to {many:,} users", large["live"] / small["live"], "x", TARGET_GROWTH, growth),
        Figure(f"left of each of {many:,} users that have gone", large["left"], "bytes", None, left),
        Figure("their engines and contexts still alive", large["alive"], "objects", 0),
    ]


def print_top(users: int, count: int = 12) -> None:
    """The source lines whose allocations a live user holds, largest first."""
    for line in tracemalloc.take_snapshot().statistics("lineno")[:count]:
        frame = line.traceback[0]
        where = "/".join(Path(frame.filename).parts[-2:])
        source = linecache.getline(frame.filename, frame.lineno).strip()[:70]
        print(f"{line.size / users:7.0f} B {line.count / users:5.1f} objects  {where}:{frame.lineno}  {source}")


def show_top(users: int, count: int) -> None:
    """Where the bytes of a live user go."""
    print(f"bytes and objects per live user, {users:,} users, by source line:")
    asyncio.run(hold_ours(users, True, lambda: print_top(users, count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per figure")
    parser.add_argument("--large", action="store_true", help="10,000 users too")
    parser.add_argument("--top", nargs="?", type=int, const=12, help="print the largest source lines instead")
    parser.add_argument("--hold", nargs=3, metavar=("WHO", "USERS", "HOW"), help="one figure, in this process")
    options = parser.parse_args()
    if options.hold:
        who, users, how = options.hold
        print(json.dumps(asyncio.run(HOLDERS[who](int(users), how == "traced", lambda: None))))
    elif options.top:
        show_top(1000, options.top)
    else:
        print(table(figures([100, 1000, *([10_000] if options.large else [])], options.repeats)))


if __name__ == "__main__":
    main()
