"""Facts about the savings found."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from usage_logs import call, log, price, table

from ssot_engine.offline.findings import LEAST_SHARE, SHORT_ANSWER_TOKENS, find_savings
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.spend import Dimension, spend_by
from ssot_engine.offline.usage import Call

TEN_DAYS = 10 * 24 * 60
LOG = log(
    call(2, output_tokens=SHORT_ANSWER_TOKENS, prompt_hash="h"),  # $0.011; short: little would cost $0.0011
    call(3, output_tokens=SHORT_ANSWER_TOKENS, prompt_hash="h", minute=1),  # $0.011, a repeat
    call(4, status="timeout", input_tokens=2000, output_tokens=0, minute=2),  # $0.020
    call(5, output_tokens=10_000, feature="essays", minute=TEN_DAYS),  # long answers stay
)


def shown(rows: Rows) -> list[int]:
    assert rows.omitted == 0
    return [row for first, last in rows.ranges for row in range(first, last + 1)]


def test_the_findings_by_hand() -> None:
    """Failures, repeats and a simple task, largest first, each with its own rows, scaled from ten days to thirty."""
    found = find_savings(LOG, table())
    assert [
        ("Stop paying for failures in chat: 1 of 3 calls fail (33.3%)", Decimal("0.020"), Decimal("0.060"), [4]),
        ("Cache chat: 1 of 2 prompts repeat within 10 minutes (50.0%)", Decimal("0.011"), Decimal("0.033"), [3]),
        (
            f"Move chat from big to little: its answers are short (median {SHORT_ANSWER_TOKENS} tokens)",
            Decimal("0.0099"),
            Decimal("0.0297"),
            [2],
        ),
    ] == [(one.title, one.saving, one.saving_per_month, shown(one.rows)) for one in found]
    assert found[0].scaling == "$0.02 in 10.00 days x 30 = $0.06 per month of 30 days"


def test_nothing_is_scaled_below_a_day() -> None:
    """A short log gives its own savings and no month."""
    found = find_savings(log(*LOG.calls[:3]), table())
    assert len(found) == 3
    assert [one.saving_per_month for one in found] == [None] * 3
    assert all("less than one day" in one.scaling for one in found)


def test_longer_answers_are_no_simple_task() -> None:
    """One token above the limit at the median, and the model stays."""
    assert find_savings(log(call(2, output_tokens=SHORT_ANSWER_TOKENS + 1)), table()) == []


def test_a_model_without_a_smaller_one_stays() -> None:
    """Only what the table names as smaller is suggested."""
    assert find_savings(log(call(2, model="little", output_tokens=1)), table()) == []


def test_a_dearer_smaller_model_is_no_saving() -> None:
    """A table that names a dearer model as smaller gives no finding."""
    prices = table(price("big", "1", "1", "little"), price("little", "2", "2"))
    assert find_savings(log(call(2, output_tokens=1)), prices) == []


def test_what_costs_nothing_saves_nothing() -> None:
    """Free calls that fail or repeat are no finding."""
    assert find_savings(LOG, table(price("big", "0", "0"))) == []


def test_small_change_is_left_out() -> None:
    """A saving below a thousandth of the cost is none, at a thousandth it is one."""
    # The good call costs $9.97 + $0.02; the failure of 1,000 tokens costs $0.01, a thousandth of the $10.00.
    good = call(2, input_tokens=997_000, output_tokens=1000)
    assert find_savings(log(good, call(3, status="x", input_tokens=999, output_tokens=0)), table()) == []
    at_the_limit = find_savings(log(good, call(3, status="x", input_tokens=1000, output_tokens=0)), table())
    assert [one.saving for one in at_the_limit] == [LEAST_SHARE * 10]


calls = st.fixed_dictionaries(
    {
        "minute": st.integers(0, 40),
        "model": st.sampled_from(["big", "little"]),
        "feature": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(["ok", "ok", "error"]),
        "output_tokens": st.sampled_from([0, 5, 500]),
        "prompt_hash": st.sampled_from([None, "h", "i"]),
    }
)


@given(st.lists(calls, min_size=1, max_size=14))
def test_no_call_counts_twice(fields: list[dict[str, object]]) -> None:
    """Findings share no row, and together they never save more than the log cost."""
    written: list[Call] = [call(row, **one) for row, one in enumerate(fields, start=2)]  # type: ignore[arg-type]
    found = find_savings(log(*written), table())
    rows = [row for one in found for row in shown(one.rows)]
    assert len(set(rows)) == len(rows)
    assert sum(one.saving for one in found) <= spend_by(log(*written), table(), Dimension.DAY).total
    assert sorted((one.saving for one in found), reverse=True) == [one.saving for one in found]
