"""Facts about latencies."""

from __future__ import annotations

import pytest
from usage_logs import call, log

from ssot_engine.offline.latency import latency_by_model


@pytest.mark.parametrize(("count", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (4, 2, 4), (19, 10, 19), (20, 10, 19)])
def test_percentiles_by_hand(count: int, p50: int, p95: int) -> None:
    """A percentile is the nearest rank: a value of the log."""
    found = latency_by_model(log(*(call(row, latency_ms=count + 2 - row) for row in range(2, count + 2))))[0]
    assert (p50, p95, count) == (found.p50_ms, found.p95_ms, found.slowest_ms)


def test_the_arithmetic_names_the_rows_of_the_percentiles() -> None:
    """Each figure can be looked up in the file."""
    found = latency_by_model(log(call(2, latency_ms=30), call(3, latency_ms=10), call(4, latency_ms=20)))[0]
    assert (
        found.arithmetic
        == "of 3 latencies in rising order p50 is number 2 (row 4), p95 number 3 (row 2), the slowest 30 ms (row 2)"
    )


def test_the_slowest_model_comes_first_and_failures_do_not_count() -> None:
    """Models are ordered by p95; a fast refusal is no fast answer."""
    calls = [call(2, latency_ms=100), call(3, latency_ms=900, model="little")]
    failed = [call(4, latency_ms=90_000, status="timeout"), call(5, model="never", status="429")]
    found = latency_by_model(log(*calls, *failed))
    assert [(one.model, one.p95_ms) for one in found] == [("little", 900), ("big", 100)]
    assert str(found[1].rows) == "1 where model is big and the call succeeded: 2"
