"""Facts about row references."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from usage_logs import call

from ssot_engine.offline.rows import Rows


def test_neighbours_join_into_ranges() -> None:
    """Rows are sorted and runs of neighbours shown as one range."""
    rows = Rows.of([call(row) for row in (9, 2, 3, 4, 7)], "model is big")
    assert str(rows) == "5 where model is big: 2-4, 7, 9"


def test_a_long_list_is_cut_and_counted() -> None:
    """Eight ranges are shown and the rest is a number."""
    rows = Rows.of([call(row) for row in range(2, 42, 2)], "x")
    assert str(rows) == "20 where x: 2, 4, 6, 8, 10, 12, 14, 16 and 12 more"


def test_no_rows_are_said_to_be_none() -> None:
    """An empty selection is not an empty text."""
    assert str(Rows.of([], "x")) == "0 where x: none"


@given(st.sets(st.integers(2, 300)))
def test_ranges_and_the_omitted_make_up_the_count(numbers: set[int]) -> None:
    """Every row is either in a range or counted as omitted, and ranges hold only given rows."""
    rows = Rows.of([call(row) for row in numbers], "x")
    listed = [row for first, last in rows.ranges for row in range(first, last + 1)]
    assert sorted(numbers)[: len(listed)] == listed
    assert len(numbers) == rows.count == len(listed) + rows.omitted
