"""A whole tree: candidates found in one pass over the bytes, then examined, on several cores where that helps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ssot_engine.migrate.findings import Finding, LeftAlone, Problem
from ssot_engine.migrate.scanning.examine import Examined, Task
from ssot_engine.migrate.scanning.known_names import Known, known_names
from ssot_engine.migrate.scanning.needles import Needles
from ssot_engine.migrate.scanning.tree import Tree
from ssot_engine.migrate.scanning.workers import Job, Workers, examine_file, exports_for, unreadable
from ssot_engine.migrate.words import many

#: Told after each file: how many are done, of how many; the second is 0 while they are still being counted.
Told = Callable[[int, int], None]

#: Bytes of candidates that must fall to a process, or starting it takes longer than it saves.
_WORTH_A_PROCESS = 1_000_000


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """What was found below some paths."""

    #: Files looked at, and how many of them had to be parsed.
    files: int
    candidates: int
    #: Of those with something to say, in the order of their paths.
    examined: tuple[Examined, ...]
    problems: tuple[Problem, ...]
    left_alone: tuple[LeftAlone, ...]
    processes: int
    #: Why it were so many.
    why_processes: str
    duration_s: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by path and line."""
        return tuple(one for file in self.examined for one in file.findings)


def scan(
    paths: Sequence[Path], task: Task, *, exclude: Sequence[str] = (), processes: int | None = None,
    told: Told | None = None,
) -> Scanned:  # fmt: skip
    """Examine every file below `paths`; `exclude` are glob patterns of paths.

    Raises:
        ConfigError: a path does not exist.
    """
    began = time.monotonic()
    one = _Scan(Tree(paths, exclude), task, told or _nobody)
    one.look()
    count, why = how_many(processes, one.jobs)
    examined = one.examine(count)
    problems = [*one.problems.values(), *(file.problem for file in examined if file.problem is not None)]
    left_alone = [*one.tree.left_alone, *(file.left_alone for file in examined if file.left_alone is not None)]
    return Scanned(
        files=len(one.files),
        candidates=len(one.jobs),
        examined=tuple(file for file in examined if _says_something(file)),
        problems=tuple(sorted(problems, key=lambda one: one.path)),
        left_alone=tuple(sorted(left_alone, key=lambda one: one.path)),
        processes=count,
        why_processes=why,
        duration_s=time.monotonic() - began,
    )


class _Scan:
    """One scan while it runs."""

    def __init__(self, tree: Tree, task: Task, told: Told) -> None:
        self.tree = tree
        self.task = task
        self.files: list[str] = []
        self.jobs: list[Job] = []
        #: By path.
        self.problems: dict[str, Problem] = {}
        self._told = told

    def look(self) -> None:
        """Read every file, and keep the names of those that may hold something."""
        hold = Needles(self.task).hold
        for path, raw in self._read(self.tree.names()):
            self.files.append(path)
            if hold(path, raw):
                self.jobs.append(Job(path, len(raw)))
            self._told(len(self.files), 0)
        self.problems |= {one.path: one for one in self.tree.problems}

    def _read(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for path in paths:
            try:
                with open(path, "rb", buffering=0) as stream:
                    raw = stream.read()
            except OSError as error:
                self.problems[path] = unreadable(path, error)
            else:
                yield path, raw

    def examine(self, processes: int) -> list[Examined]:
        """What there is to say of the candidates, in the order of their paths."""
        found = self._examined(self.jobs, processes)
        if self.task.rename_uses and any(one.renamable for one in found.values()):
            found |= self._renamed(found, processes)
        return [found[path] for path in sorted(found)]

    def _examined(self, jobs: Sequence[Job], processes: int) -> dict[str, Examined]:
        found = {}
        for index, examined in _each(jobs, self.task, processes):
            found[jobs[index].path] = examined
            self._told(len(found), len(jobs))
        return found

    def _renamed(self, found: dict[str, Examined], processes: int) -> dict[str, Examined]:
        """Examine those files again whose local names no other file knows."""
        known = known_names(
            {path: one.renamable for path, one in found.items() if one.renamable}, self._read(self.files)
        )
        by_path = {job.path: job for job in self.jobs}
        free = {path: frozenset(found[path].renamable) - set(names) for path, names in known.items()}
        jobs = [by_path[path]._replace(rename=names) for path, names in free.items() if names]
        for job in jobs:
            # The findings of many files twice would take much memory.
            del found[job.path]
        found |= self._examined(jobs, min(processes, max(1, len(jobs))))
        return {path: _explained(found[path], names) for path, names in known.items()}


def _each(jobs: Sequence[Job], task: Task, processes: int) -> Iterator[tuple[int, Examined]]:
    if processes == 1:
        exports = exports_for(task)
        yield from ((index, examine_file(job, task, exports)) for index, job in enumerate(jobs))
        return
    with Workers(processes, task) as workers:
        yield from workers.examine(jobs)


def _explained(examined: Examined, known: Known) -> Examined:
    """With a note where a name was kept because of another file."""
    findings = [
        msgspec.structs.replace(one, note=f"keeps its name here, which {other!r} may use")
        if (other := known.get(one.old.rpartition(".")[2])) and not one.note and not one.todo
        else one
        for one in examined.findings
    ]
    return msgspec.structs.replace(examined, findings=tuple(findings))


def how_many(asked: int | None, jobs: Sequence[Job]) -> tuple[int, str]:
    """How many processes examine these files, and why."""
    size_bytes = sum(job.size_bytes for job in jobs)
    size = f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"
    amount = f"{many(len(jobs), 'candidate')} of {size}"
    if asked is not None:
        count = max(1, min(asked, len(jobs)))
        return count, f"{asked} asked for, {amount}"
    worth = size_bytes // _WORTH_A_PROCESS
    if worth < 2:
        return 1, f"{amount}: more processes would not be faster"
    cores = _cores()
    return min(cores, worth), f"{amount}, {cores} {'processor' if cores == 1 else 'processors'}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _says_something(file: Examined) -> bool:
    return bool(file.findings or file.edits or file.adopted)


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know."""
