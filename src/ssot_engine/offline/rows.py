"""Which rows of a log a figure comes from, in a form that stays short."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ssot_engine.offline.figures import whole
from ssot_engine.offline.usage import Call

__all__ = ["Rows"]

_MOST_RANGES = 8


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows behind a figure: how many, by what rule they are chosen, and the first of them."""

    count: int
    #: the rule, in words a reader can apply to the file
    where: str
    #: first and last row of each run of neighbours, both included, lowest first; at most 8
    ranges: tuple[tuple[int, int], ...]
    #: rows that `ranges` does not show
    omitted: int = 0

    @classmethod
    def of(cls, calls: Iterable[Call], where: str) -> Rows:
        """The rows of `calls`, which `where` chooses."""
        numbers = sorted(call.row for call in calls)
        ranges = _ranges(numbers)
        kept = ranges[:_MOST_RANGES]
        shown = sum(last - first + 1 for first, last in kept)
        return cls(count=len(numbers), where=where, ranges=tuple(kept), omitted=len(numbers) - shown)

    def __str__(self) -> str:
        listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)
        more = f" and {whole(self.omitted)} more" if self.omitted else ""
        return f"{whole(self.count)} where {self.where}: {listed or 'none'}{more}"


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
