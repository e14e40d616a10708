"""What to do next in a migration, in sentences."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from ssot_engine.legacy.census import Tally
from ssot_engine.migrate.findings import Finding
from ssot_engine.migrate.reporting.traffic import Traffic
from ssot_engine.migrate.scanning.scan import Scanned
from ssot_engine.migrate.words import many

#: Places that are named one by one.
_NAMED = 3


def next_steps(scanned: Scanned, tally: Tally | None, traffic: Traffic, paths: Sequence[str]) -> tuple[str, ...]:
    """What to do, most useful first; `paths` are what was scanned."""
    return tuple(_Steps(scanned, tally, traffic, " ".join(shlex.quote(path) for path in paths or ["."])).all())


class _Steps:
    def __init__(self, scanned: Scanned, tally: Tally | None, traffic: Traffic, where: str) -> None:
        self._scanned = scanned
        self._tally = tally
        self._traffic = traffic
        self._where = where
        self._pending = [one for one in scanned.findings if not one.by_hand]
        self._by_hand = [one for one in scanned.findings if one.by_hand]

    def all(self) -> Iterator[str]:
        yield from self._problems()
        yield from self._apply()
        yield from self._hot()
        yield from self._the_rest()
        yield from self._seen_only()
        yield from self._cold()
        yield from self._elsewhere()
        yield from self._delete()
        yield from self._count()
        yield from self._close()

    # ------------------------------------------------------------------- what the source says

    def _problems(self) -> Iterator[str]:
        problems = self._scanned.problems
        if problems:
            first = problems[0]
            place = first.path if first.line is None else f"{first.path}:{first.line}"
            yield f"correct {_files(len(problems))} that could not be examined, {place} first: {first.reason}"

    def _apply(self) -> Iterator[str]:
        if self._pending:
            files = len({one.path for one in self._pending})
            count = many(len(self._pending), "reference")
            yield f"run `ssot-engine migrate apply {self._where}`: it rewrites {count} in {_files(files)}"

    def _hot(self) -> Iterator[str]:
        for hot in [one for one in self._traffic.hot if one.finding is not None and one.finding.by_hand][:_NAMED]:
            assert hot.finding is not None
            place = f"{hot.finding.path}:{hot.finding.line}"
            yield f"change by hand first: {place}, used {_times(hot.uses)}: {hot.finding.todo}"

    def _the_rest(self) -> Iterator[str]:
        if not self._by_hand:
            return
        most, count = Counter(one.old for one in self._by_hand).most_common(1)[0]
        files = _files(len({one.path for one in self._by_hand}))
        often = f", {count:,} of them {most}" if count > 1 else ""
        every = many(len(self._by_hand), "reference")
        it = "it" if len(self._by_hand) == 1 else "them"
        yield f"change by hand {every} in {files}{often}; `ssot-engine migrate check {self._where}` lists {it}"

    # ------------------------------------------------------------------- what processes said

    def _seen_only(self) -> Iterator[str]:
        for hot in [one for one in self._traffic.hot if one.finding is None][:_NAMED]:
            yield (
                f"look at {hot.path}:{hot.line}, which used {hot.door} {_times(hot.uses)}: "
                "only the run shows it, so find where that name comes from"
            )

    def _cold(self) -> Iterator[str]:
        cold = [one for one in self._traffic.cold if one.by_hand]
        if cold:
            count = many(len(cold), "reference")
            yield (
                f"before changing {count} by hand that no counted process went through, see whether the code is still "
                f"needed, {_place(cold[0])} first"
            )

    def _elsewhere(self) -> Iterator[str]:
        in_files = [one for one in self._traffic.outside if not one.file.startswith("<")]
        if in_files:
            uses = many(sum(one.count for one in in_files), "use")
            place = f"{in_files[0].file}:{in_files[0].line}"
            yield f"scan as well what else uses old names: {uses} from other files, {place} first"
        in_none = [one for one in self._traffic.outside if one.file.startswith("<")]
        if in_none:
            uses = many(sum(one.count for one in in_none), "use")
            yield f"look for texts that are run as code: {uses} from {in_none[0].file}, of {in_none[0].door} most"
        if self._traffic.changed_since:
            uses = many(self._traffic.changed_since, "use")
            yield f"remove the census file and count again: {uses} were at lines that are changed by now"
        if self._tally is not None and self._tally.overflow:
            uses = many(self._tally.overflow, "use")
            yield f"count again once this is done: for {uses} the census had no room to tell the line"

    # ------------------------------------------------------------------- once it is done

    def _delete(self) -> Iterator[str]:
        for one in self._scanned.left_alone:
            if one.module is not None and not self._is_used(one.module):
                yield f"delete {one.path}: nothing refers to {one.module} any more"

    def _is_used(self, module: str) -> bool:
        olds = [one.old for one in self._scanned.findings]
        doors = [] if self._tally is None else [one.door for one in self._tally.sites]
        return any(f"{name}.".startswith(f"{module}.") for name in (*olds, *doors))

    def _count(self) -> Iterator[str]:
        if self._tally is None:
            yield (
                "see which lines are used: set legacy.census_file for the processes of the host, and pass that file "
                f"to `ssot-engine migrate report {self._where} --census`"
            )

    def _close(self) -> Iterator[str]:
        is_used = self._tally is not None and self._tally.uses > 0
        if not (self._scanned.findings or self._scanned.problems or is_used):
            yield "set legacy.warn: error, so that an old name raises wherever one is still used"
            yield f"let CI run `ssot-engine migrate check {self._where}`, so that none comes back"


def _place(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}"


def _files(count: int) -> str:
    return many(count, "file")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
