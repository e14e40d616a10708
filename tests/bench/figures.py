"""A measured figure beside its target, and the two tables that show figures: on a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. `target` is the most it may be, None if nothing is promised; `note` tells what lies beside.

    With `is_least` the target is the least it may be.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""
    is_least: bool = False

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{_shown(self.value)} {self.unit}"

    @property
    def promised(self) -> str:
        """The target with its unit."""
        sign = ">=" if self.is_least else "<="
        return "" if self.target is None else f"{sign} {_shown(self.target)} {self.unit}"

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        is_met = self.value >= self.target if self.is_least else self.value <= self.target
        return "met" if is_met else "MISSED"


def _shown(value: float) -> str:
    """A number as a reader wants it: whole ones without a point, small ones with two digits."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def table(figures: Iterable[Figure]) -> str:
    """Lines for a terminal."""
    rows = [("what", "measured", "target", "verdict", "")]
    rows += [(each.what, each.measured, each.promised, each.verdict, each.note) for each in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    what, measured, target, verdict, note = row
    first, second, third, fourth = widths
    return f"{what:{first}}  {measured:>{second}}  {target:>{third}}  {verdict:{fourth}}  {note}".rstrip()


def markdown(figures: Iterable[Figure]) -> str:
    """A table to paste; a figure above its target says so."""
    lines = ["| what | measured | target |", "|---|---|---|"]
    for each in figures:
        missed = " (missed)" if each.verdict == "MISSED" else ""
        lines.append(f"| {each.what} | {each.measured}{missed} | {each.promised or '-'} |")
    return "\n".join(lines)
