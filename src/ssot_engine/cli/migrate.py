"""`ssot-engine migrate`: what old code is left in a tree, rewriting it, and taking that back."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ssot_engine.cli import migrate_view as view
from ssot_engine.cli.show import notes, output, paragraph, print_json
from ssot_engine.errors import ConfigError, RequestError
from ssot_engine.legacy.table import load_table, shipped_table
from ssot_engine.migrate.applying import apply as applying
from ssot_engine.migrate.applying.atomic import Refused
from ssot_engine.migrate.applying.git_tree import top_of
from ssot_engine.migrate.applying.patch import patch
from ssot_engine.migrate.applying.store import real
from ssot_engine.migrate.findings import Problem
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.reporting.baseline import Compared, compare, write_baseline
from ssot_engine.migrate.reporting.sarif import sarif
from ssot_engine.migrate.reporting.verify import verify
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.scan import Scanned, Told, scan
from ssot_engine.migrate.static.exports import Answer, Exports

CLEAN, PENDING, FAILED = 0, 1, 2


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What every command that looks at a tree is asked."""

    paths: tuple[Path, ...]
    #: File with the old names; the shipped one without.
    table: Path | None = None
    exclude: tuple[str, ...] = ()
    processes: int | None = None
    as_json: bool = False

    def lookup(self) -> Lookup:
        """The table, arranged for looking names up.

        Raises:
            ConfigError: the table's file is missing or wrong.
        """
        return Lookup(shipped_table() if self.table is None else load_table(self.table))


def scan_tree(asked: Asked) -> int:
    """Print an overview of what is left: old modules, how often each is named, and what a person has to do."""
    scanned = scanned_by(asked)
    if asked.as_json:
        print_json(_document(scanned, scanned.findings))
    else:
        view.show_overview(output(), scanned)
    return status_of(scanned, scanned.findings)


def check_tree(
    asked: Asked, *, ssot: bool, baseline: Path | None, new_baseline: Path | None, sarif_file: Path | None
) -> int:
    """Print a line for each finding that the baseline does not accept; write a baseline or a SARIF file if asked.

    Raises:
        ConfigError: the baseline cannot be read, or a file not be written.
        RequestError: standard output would hold two documents.
    """
    sarif_is_output = str(sarif_file) == "-"
    if sarif_is_output and asked.as_json:
        raise RequestError("--sarif - and --json both take standard output; name a file for --sarif")
    scanned = scanned_by(asked, ssot=ssot)
    if new_baseline is not None:
        write_baseline(new_baseline, scanned.findings, _root(new_baseline))
    compared = Compared(new=scanned.findings, accepted=0, gone=0)
    if (known := baseline or new_baseline) is not None:
        compared = compare(known, scanned.findings, _root(known))
    if sarif_file is not None:
        _write(sarif_file, msgspec.json.format(msgspec.json.encode(
            sarif(compared.new, scanned.problems, Path.cwd())), indent=2))  # fmt: skip
    if sarif_is_output:
        view.show_problems(notes(), scanned.problems)
    elif asked.as_json:
        print_json(
            {**_document(scanned, compared.new), "baseline": {"accepted": compared.accepted, "gone": compared.gone}}
        )
    else:
        view.show_lines(output(), scanned, compared)
    return status_of(scanned, compared.new)


def print_patch(asked: Asked, *, rename_uses: bool) -> int:
    """Print what apply would change, as a patch; as JSON each file's on its own."""
    scanned = scanned_by(asked, rename_uses=rename_uses)
    pending = [one for one in scanned.findings if not one.by_hand]
    problems = list(scanned.problems)
    if asked.as_json:
        shown = [{"path": path, "patch": diff.decode(errors="replace")} for path, diff in patches(scanned, problems)]
        scanned = msgspec.structs.replace(scanned, problems=tuple(problems))
        print_json({**_document(scanned, pending), "patches": shown})
        return status_of(scanned, pending)
    for _, diff in patches(scanned, problems):
        sys.stdout.buffer.write(diff)
    sys.stdout.buffer.flush()
    view.show_problems(notes(), problems)
    return FAILED if problems else status_of(scanned, pending)


def patches(scanned: Scanned, problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    """The patch of each file, and its name; one that is not what was scanned any more becomes a problem."""
    for examined in scanned.examined:
        if not examined.edits:
            continue
        path = real(Path(examined.path))
        try:
            now = applying.unchanged(path, examined)
        except Refused as refusal:
            problems.append(Problem(path=examined.path, reason=refusal.reason))
            continue
        shown = _as_git_sees(path)
        yield shown, patch(shown, now.raw, examined.edits)


def _as_git_sees(path: Path) -> str:
    """A real path from the top of the work tree one is in, wherever in it; outside of git from the working folder."""
    here = Path.cwd()
    return os.path.relpath(path, top_of(here) or here)


def apply_to_tree(asked: Asked, *, rename_uses: bool, allow_dirty: bool) -> int:
    """Rewrite the tree; then print what was done and what a person has to do.

    Raises:
        RequestError: git has changes that are not committed, or an earlier apply did not finish.
    """
    scanned = scanned_by(asked, rename_uses=rename_uses)
    table = "the shipped table" if asked.table is None else str(asked.table)
    began = time.time()
    with _interruptible(lambda: _settled(asked.paths, began)), _told("rewriting") as told:
        applied = applying.apply(asked.paths, scanned.examined, table=table, allow_dirty=allow_dirty, told=told)
    left = [one for one in scanned.findings if one.by_hand]
    if asked.as_json:
        print_json({**_document(scanned, left), "applied": applied})
    else:
        view.show_applied(output(), scanned, applied)
    return FAILED if applied.refused else status_of(scanned, left)


def roll_back(paths: Sequence[Path], *, discard_edits: bool, as_json: bool) -> int:
    """Put back what the last apply changed at or below each path; of several paths, those with nothing are left out.

    Raises:
        RequestError: there is nothing to put back.
    """
    restored = [_rolled_back(path, discard_edits) for path in _applied_at(paths)]
    if as_json:
        print_json(restored[0] if len(paths) == 1 else restored)
    else:
        for one in restored:
            view.show_restored(output(), one)
    return FAILED if any(one.refused for one in restored) else CLEAN


def _applied_at(paths: Sequence[Path]) -> Sequence[Path]:
    """Those with an apply to roll back; the first if there is none, which says so."""
    outer = _outermost(paths)
    return outer if len(outer) == 1 else [path for path in outer if applying.past(path)] or outer[:1]


def _outermost(paths: Sequence[Path]) -> Sequence[Path]:
    """Those that are in no other: after that one, it would be the apply before that is rolled back."""
    places = {real(path): path for path in paths}
    return [path for place, path in places.items() if places.keys().isdisjoint(place.parents)]


def _rolled_back(path: Path, discard_edits: bool) -> applying.Applied:
    again = f"repeat `ssot-engine migrate rollback {shlex.quote(str(path))}` to put back the rest"
    with _interruptible(lambda: again), _told("restoring") as told:
        return applying.rollback(path, discard_edits=discard_edits, told=told)


def print_past(paths: Sequence[Path], as_json: bool) -> int:
    """Print the applies that can be rolled back; status 1 if one did not finish.

    Raises:
        ConfigError: there is no such path.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"path {str(path)!r} does not exist; correct it")
    found = {one.journal: one for path in paths for one in applying.past(path)}
    past = sorted(found.values(), key=lambda one: -one.at)
    if as_json:
        print_json(past)
    else:
        view.show_past(output(), past)
    return CLEAN if all(one.finished for one in past) else PENDING


def verify_tree(asked: Asked) -> int:
    """Print the new names that would not resolve, of the table and of the tree as it will be."""
    lookup = asked.lookup()
    scanned = scanned_by(asked, count_adopted=True)
    verified = verify(scanned, lookup, Exports(_roots(asked.paths)))
    missing = [one for one in verified if one.answer is Answer.MISSING]
    if asked.as_json:
        print_json({"names": verified, "problems": scanned.problems})
    else:
        view.show_verified(output(), verified)
        view.show_problems(notes(), scanned.problems)
    return FAILED if scanned.problems else PENDING if missing else CLEAN


# ---------------------------------------------------------------------------- steps


def scanned_by(asked: Asked, **wanted: bool) -> Scanned:
    """What is found in the tree that was asked for, with a bar while it is looked for."""
    task = Task(lookup=asked.lookup(), roots=tuple(str(root) for root in _roots(asked.paths)), **wanted)
    with _interruptible(lambda: "no file was changed"), _told("looking") as told:
        return scan(asked.paths, task, exclude=asked.exclude, processes=asked.processes, told=told)


def _roots(paths: tuple[Path, ...]) -> list[Path]:
    """Where the host's own modules are found: the folders given and the working directory."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    return list(dict.fromkeys([*folders, Path.cwd()]))


def status_of(scanned: Scanned, findings: Any) -> int:
    """The exit status for these findings."""
    if scanned.problems:
        return FAILED
    return PENDING if findings else CLEAN


def _document(scanned: Scanned, findings: Any) -> dict[str, Any]:
    summary = view.summary_of(scanned, findings)
    return {"summary": summary, "findings": findings, "problems": scanned.problems, "left_alone": scanned.left_alone}


def _root(file: Path) -> Path:
    return file.absolute().parent


def _write(file: Path, text: bytes) -> None:
    if str(file) == "-":
        sys.stdout.buffer.write(text + b"\n")
        return
    try:
        file.write_bytes(text + b"\n")
    except OSError as error:
        raise ConfigError(f"{str(file)!r} cannot be written ({error.strerror}); name another file") from error


@contextmanager
def _interruptible(outcome: Callable[[], str]) -> Iterator[None]:
    """Say what Ctrl-C left behind; the exit status is that of an interrupted command."""
    try:
        yield
    except KeyboardInterrupt:
        paragraph(notes(), f"interrupted: {outcome()}", "red")
        raise


def _settled(paths: tuple[Path, ...], since: float) -> str:
    """What an interrupted apply left behind, and how it is taken back."""
    try:
        if not applying.settle(paths, since):
            return "no file was changed"
    except (ConfigError, RequestError) as error:
        return str(error)
    return "all files were written; take it back with `ssot-engine migrate rollback PATH`"


@contextmanager
def _told(what: str) -> Iterator[Told]:
    """A bar on the terminal, if there is one, while files are gone through."""
    console = notes()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
