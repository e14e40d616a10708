"""How `ssot-engine migrate` shows what it found and did."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssot_engine.cli.show import paragraph, printable, say
from ssot_engine.migrate.applying.apply import Applied, Past
from ssot_engine.migrate.findings import Finding, LeftAlone, Problem
from ssot_engine.migrate.reporting.baseline import Compared
from ssot_engine.migrate.reporting.verify import Verified
from ssot_engine.migrate.scanning.scan import Scanned
from ssot_engine.migrate.scanning.tree import LEFT_OUT, OWN_FOLDER
from ssot_engine.migrate.static.exports import Answer
from ssot_engine.migrate.words import many

#: Places named in an overview for one kind of change; `check` names all.
_PLACES = 3
#: Files with an error that are named, except by `check`.
_PROBLEMS = 20

# What differs in reasons of one kind.
_quoted = re.compile(r"the old module '[^']*'").sub


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A scan in numbers."""

    files: int
    candidates: int
    to_rewrite: int
    files_to_rewrite: int
    by_hand: int
    problems: int
    left_alone: int
    processes: int
    why_processes: str
    duration_s: float


def summary_of(scanned: Scanned, findings: Iterable[Finding]) -> Summary:
    """The numbers of a scan, of its findings those given."""
    findings = list(findings)
    return Summary(
        files=scanned.files,
        candidates=scanned.candidates,
        to_rewrite=sum(not one.by_hand for one in findings),
        files_to_rewrite=len({one.path for one in findings if not one.by_hand}),
        by_hand=sum(one.by_hand for one in findings),
        problems=len(scanned.problems),
        left_alone=len(scanned.left_alone),
        processes=scanned.processes,
        why_processes=scanned.why_processes,
        duration_s=round(scanned.duration_s, 3),
    )


# ---------------------------------------------------------------------------- scan and check


def show_overview(console: Console, scanned: Scanned) -> None:
    """A table of old names, then what is to be changed by hand, each kind once with its first places."""
    if scanned.findings:
        console.print(_by_name(scanned.findings))
    _show_by_hand(console, [one for one in scanned.findings if one.by_hand])
    _show_end(console, scanned, scanned.findings)
    if scanned.findings:
        paragraph(console, "`ssot-engine migrate diff` shows the rewriting, `apply` does it, `check` lists every place")
    if scanned.candidates:
        paragraph(console, f"{_processes(scanned.processes)}: {scanned.why_processes}", "dim")


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _by_name(findings: Iterable[Finding]) -> Table:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    files: defaultdict[str, set[str]] = defaultdict(set)
    for one in findings:
        counts[one.old]["by hand" if one.by_hand else "rewrite"] += 1
        files[one.old].add(one.path)
    table = table_of("old name", "rewrite", "by hand", "files")
    for old, count in sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])):
        table.add_row(printable(old), *numbers(count["rewrite"], count["by hand"], len(files[old])))
    return table


def _show_by_hand(console: Console, findings: Sequence[Finding]) -> None:
    kinds: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in findings:
        kinds[one.old, one.todo].append(one)
    if kinds:
        say(console, Text("by hand", style="bold"))
    for (old, todo), places in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0])):
        paragraph(console, f"  {old}: {todo}")
        shown = ", ".join(f"{_named(one.path)}:{one.line}" for one in places[:_PLACES])
        more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
        paragraph(console, f"      {shown}{more}", "dim")


def show_lines(console: Console, scanned: Scanned, compared: Compared) -> None:
    """A line for each finding, as editors and people can jump to it."""
    for one in compared.new:
        paragraph(console, line_of(one))
    if compared.accepted:
        paragraph(console, f"accepted by the baseline: {many(compared.accepted, 'finding')}", "dim")
    if compared.gone:
        text = f"gone from the baseline: {many(compared.gone, 'finding')}; write it anew with --write-baseline"
        paragraph(console, text, "green")
    _show_end(console, scanned, compared.new, compared.accepted, at_most=len(scanned.problems))


def line_of(finding: Finding) -> str:
    """A finding in one line."""
    what = finding.todo if finding.by_hand else f"becomes {finding.new}"
    note = f" ({finding.note})" if finding.note else ""
    return f"{_named(finding.path)}:{finding.line}:{finding.column}: {finding.rule} {finding.old}: {what}{note}"


def _show_end(
    console: Console, scanned: Scanned, findings: Iterable[Finding], accepted: int = 0, at_most: int = _PROBLEMS
) -> None:
    show_problems(console, scanned.problems, at_most)
    _show_left_alone(console, scanned.left_alone)
    paragraph(console, _sentence(summary_of(scanned, findings), accepted), "bold")


def _sentence(told: Summary, accepted: int) -> str:
    if not (told.files or told.problems):
        return "nothing was looked at: there is no Python, YAML, TOML or INI file there that is not left alone"
    looked = f"{many(told.files, 'file')} in {told.duration_s:.1f} s"
    if not (told.to_rewrite or told.by_hand or told.problems):
        return f"clean: nothing {'that is not accepted' if accepted else 'to change'} in {looked}"
    counts = [
        f"{_in_files(told.to_rewrite, told.files_to_rewrite)} to rewrite",
        f"{told.by_hand:,} to change by hand",
        *([many(told.problems, "problem")] if told.problems else []),
    ]
    return f"{', '.join(counts)}; {looked}"


def _in_files(references: int, files: int) -> str:
    return f"{many(references, 'reference')} in {many(files, 'file')}" if references else "nothing"


def show_problems(console: Console, problems: Sequence[Problem], at_most: int = _PROBLEMS) -> None:
    """A line for each file that could not be examined or written."""
    for one in problems[:at_most]:
        at = _named(one.path) if one.line is None else f"{_named(one.path)}:{one.line}"
        paragraph(console, f"error: {at}: {one.reason}", "red")
    if len(problems) > at_most:
        more = f"and {len(problems) - at_most:,} more; `ssot-engine migrate check` names them all"
        paragraph(console, more, "red")


def _show_left_alone(console: Console, left_alone: Iterable[LeftAlone]) -> None:
    """Each kind of reason once; folders that never hold source of the host's own are in `--json`."""
    kinds: defaultdict[str, list[LeftAlone]] = defaultdict(list)
    for one in left_alone:
        if Path(one.path).name not in {*LEFT_OUT, OWN_FOLDER}:
            kinds[_quoted("an old module", one.reason)].append(one)
    for kind, alike in sorted(kinds.items()):
        more = "" if len(alike) == 1 else f" and {len(alike) - 1:,} more"
        paragraph(console, f"left alone: {_named(alike[0].path)}{more}: {alike[0].reason if not more else kind}", "dim")


# ---------------------------------------------------------------------------- apply, rollback and status


def show_applied(console: Console, scanned: Scanned, applied: Applied) -> None:
    """What was written and what is left to do."""
    left = [one for one in scanned.findings if one.by_hand]
    _show_by_hand(console, left)
    show_problems(console, (*scanned.problems, *applied.refused))
    written = set(applied.written)
    references = sum(not one.by_hand and one.path in written for one in scanned.findings)
    counts = [
        _rewritten(references, len(written)),
        f"{len(left):,} to change by hand",
        *([many(len(scanned.problems), "problem")] if scanned.problems else []),
        *([f"{many(len(applied.refused), 'file')} refused"] if applied.refused else []),
    ]
    paragraph(console, ", ".join(counts), "bold")
    if applied.journal is not None:
        paragraph(console, f"take it back with `ssot-engine migrate rollback {_rolled_back_at(applied.journal)}`")


def _rewritten(references: int, files: int) -> str:
    return f"{many(references, 'reference')} rewritten in {many(files, 'file')}" if references else "nothing rewritten"


def _rolled_back_at(journal: str) -> str:
    """The folder a journal is kept in, as a person would type it."""
    folder = Path(journal).parents[2]
    below = folder.is_relative_to(Path.cwd())
    return shlex.quote(os.path.relpath(folder) if below else str(folder))


def show_restored(console: Console, restored: Applied) -> None:
    """What was put back."""
    show_problems(console, restored.refused)
    refused = f", {len(restored.refused):,} refused" if restored.refused else ""
    paragraph(console, f"put back as before the last apply: {many(len(restored.written), 'file')}{refused}", "bold")


def show_past(console: Console, past: Sequence[Past]) -> None:
    """The applies that can be rolled back, the newest first."""
    if not past:
        paragraph(console, "nothing was applied here that could be rolled back")
    for one in past:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.at))
        size = f"{max(1, one.size_bytes // 1024):,} KiB"
        paragraph(console, f"{at}  {one.table}: {_files_of(one)}; journal {one.journal} ({size})")
        if not one.finished:
            back = f"`ssot-engine migrate rollback {_rolled_back_at(one.journal)}`"
            paragraph(console, f"it did not finish; put its files back with {back}", "red")


def _files_of(one: Past) -> str:
    kinds = ((one.applied, "as applied"), (one.restored, "restored"), (one.edited, "edited since"))
    return f"{many(one.files, 'file')}, " + ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)


# ---------------------------------------------------------------------------- verify


def show_verified(console: Console, verified: Sequence[Verified]) -> None:
    """The names that do not resolve, those that cannot be told, and how many do."""
    for one in verified:
        if one.answer is not Answer.FOUND:
            what = "does not resolve" if one.answer is Answer.MISSING else "is decided when its module runs"
            style = "red" if one.answer is Answer.MISSING else "dim"
            paragraph(console, f"{one.name} {what}; used at {', '.join(one.used_at)}", style)
    counts = Counter(one.answer for one in verified)
    told = ", ".join(_answered(answer, count) for answer in Answer if (count := counts[answer]))
    paragraph(console, f"{many(len(verified), 'new name')}: {told or 'none to look for'}", "bold")


def _answered(answer: Answer, count: int) -> str:
    match answer:
        case Answer.FOUND:
            return f"{count:,} {'resolves' if count == 1 else 'resolve'}"
        case Answer.MISSING:
            return f"{count:,} {'does' if count == 1 else 'do'} not resolve"
        case Answer.UNKNOWN:
            return f"{count:,} cannot be told without running them"


# ---------------------------------------------------------------------------- parts


def table_of(*titles: str) -> Table:
    """An empty table; columns of numbers are flush right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    words = {"old name", "package", "applied", "table", ""}
    for title in titles:
        table.add_column(title, justify="left" if title in words else "right", overflow="fold")
    return table


def _named(path: str) -> str:
    """A path within a line, which a line feed in it must not end."""
    return path.replace("\n", "\\n")


def numbers(*values: int) -> list[str]:
    """Numbers as a table shows them."""
    return [f"{value:,}" if value else "-" for value in values]
