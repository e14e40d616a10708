"""`ssot-engine migrate report`: how far a migration is, from source and from what processes counted."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from ssot_engine.cli.migrate import Asked, scanned_by, status_of
from ssot_engine.cli.migrate_view import numbers, show_problems, table_of
from ssot_engine.cli.show import notes, output, paragraph, print_json, printable, say
from ssot_engine.legacy.census import read
from ssot_engine.migrate.reporting.progress import Hot, PackageProgress, Progress, progress
from ssot_engine.migrate.words import many

#: Lines of old doors that are shown; `--json` has all.
_HOT_LINES = 10


def report(asked: Asked, census: Path | None) -> int:
    """Print how far the migration is, with what processes counted, and what to do next.

    Raises:
        ConfigError: the census file cannot be read.
    """
    scanned = scanned_by(asked, count_adopted=True)
    told = progress(scanned, None if census is None else read(census), Path.cwd(), asked.paths)
    if asked.as_json:
        print_json({"progress": told, "percent": told.total.percent, "problems": scanned.problems})
    else:
        _show(output(), told)
        show_problems(notes(), scanned.problems)
    return status_of(scanned, scanned.findings)


def _show(console: Console, told: Progress) -> None:
    """A table of packages with a bar each, the lines used most, and what to do next."""
    table = table_of("package", "done", "rewrite", "by hand", "uses", "", "")
    for one in (*told.packages, told.total):
        style = "bold" if one is told.total else ""
        counts = numbers(one.done, one.pending, one.by_hand, one.uses)
        percent = f"{one.percent:.0f} %" if _references(one) else "-"
        table.add_row(Text(printable(one.package), style=style), *counts, _bar(one), percent)
    console.print(table)
    if told.hot:
        say(console, Text("used while processes ran", style="bold"))
    for hot in told.hot[:_HOT_LINES]:
        paragraph(console, _hot_line(hot))
    if len(told.hot) > _HOT_LINES:
        paragraph(console, f"  and {len(told.hot) - _HOT_LINES:,} more; `--json` has all", "dim")
    if told.cold:
        paragraph(console, f"at lines that no counted process went through: {many(told.cold, 'finding')}", "dim")
    if told.next_steps:
        say(console, Text("next", style="bold"))
    for number, step in enumerate(told.next_steps, 1):
        paragraph(console, f"  {number}. {step}")


def _hot_line(hot: Hot) -> str:
    seen = "only seen while running" if hot.finding is None else hot.finding.todo or f"becomes {hot.finding.new}"
    return f"  {hot.uses:7,}  {hot.path}:{hot.line}  {hot.door}: {seen}"


def _references(one: PackageProgress) -> int:
    return one.done + one.pending + one.by_hand


def _bar(one: PackageProgress, width: int = 20) -> Text:
    """How much is done; empty where there is nothing to do."""
    full = int(width * one.percent / 100) if _references(one) else 0
    return Text.assemble(("█" * full, "green"), ("░" * (width - full), "dim"))
