"""Facts about where the money goes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_logs import call, log, price, table

from ssot_engine.offline.bill import Bill
from ssot_engine.offline.prices import MissingPrice
from ssot_engine.offline.spend import Dimension, spend_by
from ssot_engine.offline.usage import Call

# big: $10 in, $20 out per million; little: $1 in, $2 out.
CALLS = (
    call(2, input_tokens=100_000, output_tokens=50_000, feature="chat"),  # 1.00 + 1.00 = 2.00
    call(3, input_tokens=1_000_000, output_tokens=0, feature="tags", model="little", minute=60),  # 1.00
    call(4, input_tokens=0, output_tokens=500_000, feature="tags", minute=24 * 60),  # 10.00
    call(5, input_tokens=10, output_tokens=5, feature="chat", model="little", status="error"),  # 0.00002
)


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        (Dimension.MODEL, [("big", "12", 2), ("little", "1.00002", 2)]),
        (Dimension.FEATURE, [("tags", "11", 2), ("chat", "2.00002", 2)]),
        (Dimension.DAY, [("2026-09-01", "3.00002", 3), ("2026-09-02", "10", 1)]),
        (Dimension.HOUR, [("10:00-10:59 UTC", "12.00002", 3), ("11:00-11:59 UTC", "1", 1)]),
    ],
)
def test_costs_by_hand(dimension: Dimension, expected: list[tuple[str, str, int]]) -> None:
    """Groups, their order and their cost are those worked out by hand, whatever the order of rows; failed calls cost
    too."""
    spend = spend_by(log(*CALLS[2:], *CALLS[:2]), table(), dimension)
    assert [(name, Decimal(cost), count) for name, cost, count in expected] == [
        (line.name, line.bill.cost, line.bill.calls) for line in spend.lines
    ]
    assert (Decimal("13.00002"), 4) == (spend.total, spend.calls)


def test_a_line_names_its_rows() -> None:
    """The rows of a group are its own."""
    lines = spend_by(log(*CALLS), table(), Dimension.FEATURE).lines
    assert [str(line.rows) for line in lines] == ["2 where feature is tags: 3-4", "2 where feature is chat: 2, 5"]


def test_the_arithmetic_is_written_out() -> None:
    """Each model is a term of tokens and price, the dearest first."""
    prices = table()
    assert Bill.of(CALLS[1:3], prices.of(log(*CALLS))).arithmetic == (
        "big: 1 call, 0 in x $10.00/M + 500,000 out x $20.00/M = $10.00; "
        "little: 1 call, 1,000,000 in x $1.00/M + 0 out x $2.00/M = $1.00"
    )


def test_the_arithmetic_tells_another_price_name() -> None:
    """A dated model says under which name it is priced."""
    calls = [call(2, model="big-2026-01-01", input_tokens=1_000_000, output_tokens=0)]
    assert (
        Bill.of(calls, table().of(log(*calls))).arithmetic
        == "big-2026-01-01 (priced as big): 1 call, 1,000,000 in x $10.00/M + 0 out x $20.00/M = $10.00"
    )


def test_the_arithmetic_of_many_models_is_bounded() -> None:
    """Six models are written out, the rest is one sum."""
    prices = table(*(price(f"m{number}", "1", "1") for number in range(9)))
    calls = [call(number + 2, model=f"m{number}", input_tokens=1_000_000, output_tokens=0) for number in range(9)]
    text = Bill.of(calls, prices.of(log(*calls))).arithmetic
    assert text.endswith("; 3 more models: $3.00")
    assert text.count("1,000,000 in") == 6


def test_a_model_without_price_stops_the_count() -> None:
    """No cost is shown when one of the prices is missing."""
    with pytest.raises(MissingPrice):
        spend_by(log(call(2, model="new")), table(), Dimension.DAY)


costs = st.builds(
    call,
    st.integers(2, 10_000),
    minute=st.integers(0, 100_000),
    model=st.sampled_from(["big", "little", "odd"]),
    feature=st.sampled_from(["a", "b", "c"]),
    input_tokens=st.integers(0, 10**9),
    output_tokens=st.integers(0, 10**9),
    status=st.sampled_from(["ok", "error"]),
)


@given(st.lists(costs, min_size=1, max_size=30))
def test_every_grouping_has_the_same_exact_total(calls: list[Call]) -> None:
    """Costs by model, feature, day and hour add up to the sum over single calls, to the last digit."""
    prices = table(price("big", "2.5", "10"), price("little", "0.15", "0.6"), price("odd", "0.075", "0.333333"))
    each = sum((prices.need(one.model).cost(one.input_tokens, one.output_tokens) for one in calls), Decimal(0))
    for dimension in Dimension:
        spend = spend_by(log(*calls), prices, dimension)
        assert each == spend.total == sum(line.bill.cost for line in spend.lines)
        assert len(calls) == spend.calls == sum(line.rows.count for line in spend.lines)
