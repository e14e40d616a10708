"""What one request costs beside the same request written by hand, in one process: `python tests/bench/bench_runs.py`.

Every slice of ours is paired with a slice of the baseline next to it; ratios are of process CPU time, medians over the
rounds. W1r: `engine_for(context)` whole, context ready, against making the baseline's objects. W2: one request.
W3: 1,000 (and 10,000) users at once. deltas: 200 pieces of text. live: bytes of a user in the middle of a run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any

import baseline
from product import Product, product

#: Workload → the most it may cost, as a multiple of the baseline.
TARGETS = {"W1r": 4.0, "W2": 3.0, "W3 1,000": 2.5, "W3 10,000": 3.0, "200 deltas": 0.8}


class Collected:
    """Takes every event, as an application would."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def __call__(self, kind: str, payload: Any) -> None:
        self.events.append((kind, payload))


async def cpu(operation: Callable[[], Awaitable[Any]], times: int) -> float:
    """CPU seconds of one operation."""
    gc.collect()
    before = process_time()
    for _ in range(times):
        await operation()
    return (process_time() - before) / times


async def at_once(request: Callable[[str, Any], Awaitable[Any]], users: int) -> None:
    """All users at the same moment; the answers are theirs."""
    sinks = [Collected() for _ in range(users)]
    answers = await asyncio.gather(*(request(f"user-{i}", sink) for i, sink in enumerate(sinks)))
    assert answers == [f"answer: sunny in user-{i}" for i in range(users)]


async def make_by_hand() -> None:
    baseline.make()


def lease(ours: Product) -> Callable[[], Awaitable[None]]:
    context = ours.context("u")

    async def once() -> None:
        async with ours.factory.engine_for(context):
            pass

    return once


def workloads(
    ours: Product, large: bool
) -> dict[str, tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]], int]]:
    """Name → baseline's operation, ours, how often in a slice."""
    every: dict[str, tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]], int]] = {
        "W1r": (make_by_hand, lease(ours), 4000),
        "W2": (lambda: baseline.request("u", Collected()), lambda: ours.request("u", Collected()), 600),
        "W3 1,000": (lambda: at_once(baseline.request, 1000), lambda: at_once(ours.request, 1000), 1),
        "200 deltas": (
            lambda: baseline.stream_deltas(200, Collected()),
            lambda: ours.stream_deltas(200, Collected()),
            40,
        ),
    }
    if large:
        every["W3 10,000"] = (lambda: at_once(baseline.request, 10_000), lambda: at_once(ours.request, 10_000), 1)
    return every


async def ratios(rounds: int, only: str | None = None, large: bool = False) -> dict[str, tuple[float, float, float]]:
    """Workload → (median ratio, our CPU µs, the baseline's)."""
    found = {}
    async with product() as ours:
        for name, (theirs, mine, times) in workloads(ours, large).items():
            if only and only not in name:
                continue
            await theirs(), await mine()
            rows = []
            for _ in range(rounds):
                b, a = await cpu(theirs, times), await cpu(mine, times)
                await ours.forget()
                rows.append((a / b, a * 1e6, b * 1e6))
            found[name] = tuple(statistics.median(column) for column in zip(*rows, strict=True))
    return found  # type: ignore[return-value]


async def garbage(runs: int = 1000) -> int:
    """Objects only the cycle collector could free, after so many requests."""
    async with product() as ours:
        for _ in range(50):
            await ours.request("warm", Collected())
        gc.collect()
        gc.disable()
        for i in range(runs):
            await ours.request(f"user-{i}", Collected())
        found = gc.collect()
        gc.enable()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only")
    parser.add_argument("--large", action="store_true", help="10,000 users too")
    options = parser.parse_args()
    found = asyncio.run(ratios(options.rounds, options.only, options.large))
    heading = f"{'workload':12}{'x baseline':>12}{'target':>9}{'ours µs':>12}{'baseline µs':>13}"
    print(f"{heading}   load {os.getloadavg()[0]:.1f}")
    for name, (ratio, mine, theirs) in found.items():
        mark = "" if ratio <= TARGETS[name] else "  above target"
        print(f"{name:12}{ratio:12.2f}{TARGETS[name]:9.1f}{mine:12.1f}{theirs:13.1f}{mark}")
    if not options.only:
        print(f"objects for gc.collect() after 1,000 requests: {asyncio.run(garbage())}")


if __name__ == "__main__":
    main()
