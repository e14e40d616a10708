"""Every benchmark as one Markdown table for the README: `python tests/bench/report.py [--full]`.

Without `--full` it takes about half a minute and its figures are rough. It is no gate: it always exits with status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import bench_delivery
import bench_eventlog
import bench_import
import bench_legacy
import bench_memory
import bench_migrate
import bench_objects
import bench_runs
import bench_scope
from figures import Figure, markdown


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    repeats: int
    sizes: Sequence[int]
    events: int
    stored_events: int
    is_full: bool


QUICK = Effort(rounds=5, repeats=1, sizes=(100, 1000), events=20_000, stored_events=100_000, is_full=False)
FULL = Effort(rounds=15, repeats=3, sizes=(100, 1000, 10_000), events=100_000, stored_events=1_000_000, is_full=True)

_EVENTLOG_LINE = re.compile(
    r"(?P<what>.+?): (?P<value>[\d.]+) (?P<unit>\S+) \(target <= (?P<target>\S+) \S+, \w+\); (?P<note>.*)"
)
_RUNS = {
    "W1r": "`engine_for(context)`, opened and closed",
    "W2": "one request",
    "W3 1,000": "1,000 users at once, per user",
    "W3 10,000": "10,000 users at once, per user",
    "200 deltas": "200 pieces of text streamed",
}


def starts(effort: Effort) -> list[Figure]:
    """Fresh processes."""
    return bench_import.figures(7 if effort.is_full else 3)


def memory(effort: Effort) -> list[Figure]:
    """Live users."""
    return bench_memory.figures(effort.sizes, effort.repeats)


def scopes(effort: Effort) -> list[Figure]:
    """Opening, building and closing, with objects that cost nothing."""
    found = bench_scope.ratios(effort.rounds)
    targets = {"async with open_scope": bench_scope.TARGET}
    return [
        Figure(f"five empty objects, {name}", ratio, "x by hand", targets.get(name))
        for name, ratio in found.items()
        if name != "by hand"
    ]


def objects(effort: Effort) -> list[Figure]:
    """The same with the product's own."""
    return bench_objects.figures(effort.rounds)


def runs(effort: Effort) -> list[Figure]:
    """Whole requests."""
    found = asyncio.run(bench_runs.ratios(effort.rounds, large=effort.is_full))
    figures = [
        Figure(f"CPU of {_RUNS[name]}", ratio, "x baseline", bench_runs.TARGETS[name], f"{mine:.1f} us")
        for name, (ratio, mine, _) in found.items()
    ]
    left = asyncio.run(bench_runs.garbage())
    return [*figures, Figure("objects for `gc.collect()` after 1,000 requests", left, "objects", 0)]


def old_code(effort: Effort) -> list[Figure]:
    """Old imports and the old door."""
    return bench_legacy.figures(effort.rounds)


def migration(effort: Effort) -> list[Figure]:
    """A scan beside regular expressions."""
    return bench_migrate.figures(effort.rounds // 3, every=1 if effort.is_full else 16)


def event_log(effort: Effort) -> list[Figure]:
    """SQLite beside memory; that benchmark prints its figures as it goes."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        asyncio.run(bench_eventlog.main(effort.events, effort.repeats, effort.stored_events))
    return list(_parsed(printed.getvalue()))


def _parsed(text: str) -> Iterator[Figure]:
    for line in text.splitlines():
        if (read := _EVENTLOG_LINE.fullmatch(line)) is None:
            print(f"not understood: {line}", file=sys.stderr)
            continue
        what, unit, note = read["what"], read["unit"], read["note"]
        yield Figure(f"SQLite log: {what}", float(read["value"]), unit, float(read["target"]), note)


def delivery(effort: Effort) -> list[Figure]:
    """From the append to a client's socket."""
    return bench_delivery.figures(effort.rounds // 3, max(500, effort.events // 100), 5.0 if effort.is_full else 2.0)


#: Those that count memory come before those that fill it.
BENCHMARKS: Sequence[Callable[[Effort], list[Figure]]] = (
    starts, memory, scopes, objects, runs, old_code, migration, event_log, delivery,
)  # fmt: skip


def measure(effort: Effort) -> list[Figure]:
    """All figures; a benchmark that fails is told and left out."""
    found: list[Figure] = []
    for benchmark in BENCHMARKS:
        print(f"{benchmark.__name__} ...", file=sys.stderr, flush=True)
        try:
            found += benchmark(effort)
        except Exception as error:
            # The boundary of the report: the other figures are worth having whatever one benchmark met.
            print(f"{benchmark.__name__} failed: {error!r}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds, and 10,000 users")
    effort = FULL if parser.parse_args().full else QUICK
    found = measure(effort)
    print(markdown(found))
    kind = "full" if effort.is_full else "quick"
    print(
        f"\nCPython {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {kind} report."
    )


if __name__ == "__main__":
    main()
