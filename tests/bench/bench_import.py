"""What it costs to start: `python tests/bench/bench_import.py [--repeats N]`.

CPU time of fresh processes with warm bytecode, minimum and median. Modules and peak memory come from one more process
of each kind that counts them at its exit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, table

COMMAND = Path(sys.executable).with_name("ssot-engine")
GOLDEN = [str(COMMAND), "run", "supervisor", "Where does my LLM spend go?"]

#: `ssot-engine --version` may cost this many times `python -c pass`, and so many milliseconds more.
TARGET_FACTOR = 2.0
TARGET_MORE_MS = 60.0

_AT_EXIT = """
import atexit, json, os, sys
def count():
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    os.write(2, json.dumps([len(sys.modules), int(peak.split()[1])]).encode())
atexit.register(count)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """A kind of process: how to start it, and the same as code."""

    name: str
    command: Sequence[str]
    code: str


def python(code: str) -> Start:
    """An interpreter that runs this code."""
    return Start(f'python -c "{code}"', (sys.executable, "-c", code), code)


def command(argument: str) -> Start:
    """Our command with one argument."""
    code = f"from ssot_engine.cli import main; sys.argv = ['ssot-engine', '{argument}']; main()"
    return Start(f"ssot-engine {argument}", (str(COMMAND), argument), code)


PASS = python("pass")
VERSION = command("--version")
STARTS = (
    PASS,
    VERSION,
    command("--help"),
    python("import ssot_engine"),
    python("from ssot_engine import ExecutionContainer"),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took, in milliseconds."""

    cpu_ms: float
    wall_ms: float


def environment() -> dict[str, str]:
    """Ours, with bytecode written."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cost(arguments: Sequence[str], env: dict[str, str]) -> Cost:
    """Run a process to its end.

    Raises:
        CalledProcessError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_ms = (time.perf_counter() - began) * 1e3
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Cost((usage.ru_utime + usage.ru_stime) * 1e3, wall_ms)


def size(start: Start) -> tuple[int, int]:
    """Modules loaded at exit, and the peak of the process in KiB."""
    counted = subprocess.run(
        (sys.executable, "-c", f"{_AT_EXIT}\n{start.code}"),
        env=environment(),
        capture_output=True,
        check=True,
        text=True,
    )
    modules, peak_kib = json.loads(counted.stderr.splitlines()[-1])
    return modules, peak_kib


def figures(repeats: int) -> list[Figure]:
    """Every kind of process, then a whole run of the offline team from the command line."""
    costs: dict[Start, list[float]] = {start: [] for start in STARTS}
    for start in STARTS:
        cost(start.command, environment())
    for _ in range(repeats):
        for start, taken in costs.items():
            taken.append(cost(start.command, environment()).cpu_ms)
    target = TARGET_FACTOR * statistics.median(costs[PASS]) + TARGET_MORE_MS
    return [_figure(start, taken, target if start is VERSION else None) for start, taken in costs.items()] + [
        *golden(repeats)
    ]


def _figure(start: Start, taken: list[float], target: float | None) -> Figure:
    modules, peak_kib = size(start)
    note = f"min {min(taken):.0f} ms, {modules} modules, {peak_kib / 1024:.0f} MiB peak"
    return Figure(f"CPU of `{start.name}`", statistics.median(taken), "ms", target, note)


def golden(repeats: int) -> list[Figure]:
    """The first thing a newcomer runs, with an event log in a directory that goes away."""
    with tempfile.TemporaryDirectory(prefix="bench-import-") as state:
        env = {**environment(), "XDG_STATE_HOME": state}
        cost(GOLDEN, env)
        costs = [cost(GOLDEN, env) for _ in range(repeats)]
    cpu, wall = [each.cpu_ms for each in costs], [each.wall_ms for each in costs]
    name = "`ssot-engine run supervisor ...`"
    return [
        Figure(f"CPU of {name}", statistics.median(cpu), "ms", None, f"min {min(cpu):.0f} ms"),
        Figure(f"wall of {name}", statistics.median(wall), "ms", None, f"min {min(wall):.0f} ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    print(table(figures(parser.parse_args().repeats)))


if __name__ == "__main__":
    main()
