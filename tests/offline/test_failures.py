"""Facts about failed calls and retries."""

from __future__ import annotations

from decimal import Decimal

from usage_logs import call, log, table

from ssot_engine.offline.failures import failures

LOG = log(
    call(2, minute=0, status="timeout", prompt_hash="h"),  # $0.012
    call(3, minute=1, status="429", prompt_hash="h", output_tokens=0),  # $0.010, a retry that failed
    call(4, minute=2, prompt_hash="h"),  # a retry that succeeded
    call(5, minute=3, prompt_hash="h"),  # the same prompt again, after a success: no retry
    call(6, minute=4, status="429", feature="tags", model="little"),  # $0.0012, no hash
    call(7, minute=5, status="error", feature="tags", prompt_hash="t", input_tokens=0, output_tokens=0),
    call(8, minute=15.1, feature="tags", prompt_hash="t"),  # too late to be a retry
    call(9, minute=5.5, feature="other", prompt_hash="t"),  # another feature
)


def test_failures_by_hand() -> None:
    """Cost, statuses and features are those worked out by hand."""
    found = failures(LOG, table())
    assert (8, 4, Decimal("0.0232")) == (found.calls, found.bill.calls, found.bill.cost)
    assert found.statuses == (("429", 2), ("error", 1), ("timeout", 1))
    assert [("chat", 4, 2, Decimal("0.022")), ("tags", 3, 2, Decimal("0.0012"))] == [
        (one.feature, one.calls, one.bill.calls, one.bill.cost) for one in found.features
    ]
    assert [str(one.rows).rpartition(": ")[2] for one in found.features] == ["2-3", "6-7"]


def test_a_retry_follows_a_failure_of_its_prompt_within_ten_minutes() -> None:
    """Success in between, another feature, or more than ten minutes make it no retry."""
    found = failures(LOG, table())
    assert (found.retries.ranges, found.failed_retries.ranges) == (((3, 4),), ((3, 3),))


def test_a_log_without_failures_has_none() -> None:
    """Nothing failed, nothing cost."""
    found = failures(log(call(2)), table())
    assert (0, Decimal(0), (), ()) == (found.bill.calls, found.bill.cost, found.statuses, found.features)
