"""What a migration's scan costs beside regular expressions: `python tests/bench/bench_migrate.py [--rounds N]`.

The tree is a copy of the interpreter's library and its installed packages (`--tree` for another one). With few
candidates: a few dozen planted files use the shipped table's old names, and the expressions are the three that a script
for two of its modules would have. With many: a made-up table of modules that this very tree imports everywhere, against
three expressions for each, and one for each renamed name. Neither side writes. Each runs in a fresh process of its own,
interpreter start, imports and reading of the table included; CPU is user and system time of it and its children.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Figure, table

#: The most that a scan may take of what the expressions take, and of memory per process.
FEW_FACTOR, MANY_FACTOR, PEAK_MB = 1.5, 10.0, 100.0
#: Files with old names that are planted among the others.
PLANTED = 48

_HERE = Path(__file__).parent
_AGENTS = "netra_backend.app.agents"
_CANONICAL = f"{_AGENTS}.supervisor.execution_engine_factory"

#: What the script for two modules replaces.
SCRIPT = {
    "modules": {
        f"{_AGENTS}.execution_engine_unified_factory": _CANONICAL,
        f"{_AGENTS}.supervisor.execution_factory": _CANONICAL,
    },
    "names": {"UnifiedExecutionEngineFactory": "ExecutionEngineFactory"},
}

_CONSUMER = f'''"""Runs agents for one user."""

from {_AGENTS}.execution_engine_unified_factory import UnifiedExecutionEngineFactory
from {_AGENTS}.supervisor.user_execution_engine import (
    UserExecutionEngine,  # one for each request
)
from {_AGENTS}.supervisor.agent_registry import AgentRegistry


def run(registry: AgentRegistry, factory: "UnifiedExecutionEngineFactory") -> UserExecutionEngine:
    return factory.create(registry)
'''

#: Modules moved whole, and those of which one name is renamed: together a third of such a library's files name them.
WHOLE = (
    "unittest.mock", "tempfile", "importlib.metadata", "concurrent.futures", "xml.etree.ElementTree",
    "logging.handlers", "json.decoder", "multiprocessing.pool", "zipfile", "textwrap", "configparser", "sqlite3",
)  # fmt: skip
SCATTERED = {
    "collections.abc": ("Mapping", "Sequence", "Callable", "Iterable", "Iterator", "MutableMapping"),
    "urllib.parse": ("urlparse", "urljoin", "quote", "unquote", "urlencode", "urlsplit"),
    "subprocess": ("Popen", "PIPE", "check_output", "run", "STDOUT", "CalledProcessError"),
    "email.message": ("EmailMessage", "Message"),
}


@dataclass(frozen=True, slots=True)
class Took:
    """What one process needed, and what it said."""

    cpu_s: float
    wall_s: float
    told: dict[str, Any]


def run(script: str, *arguments: str) -> Took:
    """A fresh process."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(_HERE / script), *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, script
    return Took(usage.ru_utime + usage.ru_stime, time.perf_counter() - began, json.loads(told))


# ------------------------------------------------------------------------ what is scanned


def library() -> list[Path]:
    """The folders of the interpreter's own modules and of installed packages."""
    found = sysconfig.get_paths()
    return [Path(found["stdlib"]), Path(found["purelib"])]


def sources(folder: Path) -> Iterator[Path]:
    """Python files, those of packages within an interpreter's library left out."""
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__", "site-packages"})
        yield from (Path(above) / name for name in sorted(names) if name.endswith(".py"))


def copy(trees: Sequence[Path], to: Path, every: int) -> None:
    """Each `every`-th Python file of some trees, side by side."""
    found = [(number, tree, file) for number, tree in enumerate(trees) for file in sources(tree)]
    for number, tree, file in found[::every]:
        target = to / f"tree{number}" / file.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def plant(to: Path) -> None:
    """Consumers of old names, a few in a folder."""
    for number in range(PLANTED):
        file = to / "host" / f"part{number % 6}" / f"consumer{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_CONSUMER, encoding="utf-8")


def made_up(to: Path) -> tuple[str, str]:
    """The same table for the product and for the expressions: their files."""
    modules: dict[str, Any] = {name: {"kind": "moved", "replacement": f"new_{name}"} for name in WHOLE}
    names = {}
    for module, known in SCATTERED.items():
        renamed = known[0]
        names[renamed] = f"{renamed}Anew"
        modules[module] = {
            "names": {name: {"kind": "moved", "replacement": f"new_{module}.{names.get(name, name)}"} for name in known}
        }
    head = {"since": "0.1", "removed_in": "9.0", "reason": "measured"}
    mine, theirs = to / "table.yaml", to / "table.json"
    # What is JSON is YAML.
    mine.write_text(json.dumps({**head, "modules": modules}), encoding="utf-8")
    theirs.write_text(
        json.dumps({"modules": {name: f"new_{name}" for name in modules}, "names": names, "dotted": True})
    )
    return str(mine), str(theirs)


# ------------------------------------------------------------------------ figures


def compare(tables: tuple[str, str], folder: Path, rounds: int) -> list[tuple[Took, Took]]:
    """Both sides in turns: ours, in one process, and the expressions."""
    mine, theirs = tables
    return [
        (run("scan_pass.py", mine, str(folder), "1"), run("regex_pass.py", theirs, str(folder)))
        for _ in range(rounds)
    ]  # fmt: skip


def costs(what: str, factor: float, took: Sequence[tuple[Took, Took]]) -> list[Figure]:
    """CPU beside the expressions, and memory."""
    ratio = statistics.median(mine.cpu_s / theirs.cpu_s for mine, theirs in took)
    mine, theirs = (statistics.median(one[side].cpu_s for one in took) for side in (0, 1))
    wall = statistics.median(one.wall_s for one, _ in took)
    told = took[-1][0].told
    note = (
        f"{mine:.2f} s, expressions {theirs:.2f} s; {told['candidates']:,} of {told['files']:,} files parsed, "
        f"{told['findings']:,} findings, {told['files'] / wall:,.0f} files/s"
    )
    peak = max(one.told["peak_bytes"] for one, _ in took) / 1e6
    return [
        Figure(f"CPU of a scan, {what}", ratio, "x expressions", factor, note),
        Figure(f"peak RSS of a scan, {what}", peak, "MB", PEAK_MB),
    ]


def imports_only(theirs: str, folder: Path, took: Sequence[tuple[Took, Took]]) -> Figure:
    """The same CPU beside expressions that pass over plain imports and dotted names."""
    narrow = folder.parent / "narrow.json"
    narrow.write_text(json.dumps({**json.loads(Path(theirs).read_text()), "dotted": False}), encoding="utf-8")
    least = run("regex_pass.py", str(narrow), str(folder)).cpu_s
    mine = statistics.median(each.cpu_s for each, _ in took)
    note = f"expressions {least:.2f} s; they find from-imports only"
    return Figure("CPU of it beside from-imports alone", mine / least, "x expressions", None, note)


def speed_up(mine: str, folder: Path, took: Sequence[tuple[Took, Took]], rounds: int) -> list[Figure]:
    """All cores beside one, in time that passes, and the memory of the largest process."""
    one = statistics.median(each.wall_s for each, _ in took)
    many = [run("scan_pass.py", mine, str(folder)) for _ in range(rounds)]
    factor = one / statistics.median(each.wall_s for each in many)
    told = many[-1].told
    peak = max(each.told["peak_bytes"] for each in many) / 1e6
    return [
        Figure("speed-up of a scan by all cores", factor, "x one process", None, f"{told['processes']}: {told['why']}"),
        Figure("peak RSS of its largest process", peak, "MB", PEAK_MB),
    ]


def figures(rounds: int, every: int = 1, trees: Sequence[Path] = ()) -> list[Figure]:
    """All of them; those with many candidates of each `every`-th file."""
    with tempfile.TemporaryDirectory(prefix="bench-migrate-") as name:
        place = Path(name)
        whole, part = place / "whole", place / "part"
        copy(trees or library(), whole, 1)
        plant(whole)
        script = place / "script.json"
        script.write_text(json.dumps(SCRIPT), encoding="utf-8")
        few = compare(("", str(script)), whole, rounds)
        copy(trees or library(), part, every)
        tables = made_up(place)
        many = compare(tables, part, rounds)
        return [
            *costs("few candidates", FEW_FACTOR, few),
            *costs("many candidates", MANY_FACTOR, many),
            imports_only(tables[1], part, many),
            *speed_up(tables[0], part, many, rounds),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="of many candidates, each so-many-th file")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="instead of the interpreter's library")
    options = parser.parse_args()
    print(table(figures(options.rounds, options.every, options.tree)))


if __name__ == "__main__":
    main()
