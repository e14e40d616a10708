"""Facts about repeated prompts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from usage_logs import call, log, table

from ssot_engine.offline.repeats import repeated, repeats
from ssot_engine.offline.usage import Call


def rows(*calls: Call) -> list[int]:
    return [one.row for one in repeated(log(*calls))]


def asked(row: int, minute: float, **changes: object) -> Call:
    return call(row, minute=minute, **{"prompt_hash": "h", **changes})


@pytest.mark.parametrize(("minute", "expected"), [(0, [3]), (9.9, [3]), (10, [3]), (10.1, [])])
def test_an_answer_serves_for_ten_minutes(minute: float, expected: list[int]) -> None:
    """The tenth minute is included, what comes later is not."""
    assert expected == rows(asked(2, 0), asked(3, minute))


def test_a_served_repeat_does_not_prolong_the_answer() -> None:
    """Ten minutes count from the answer that was stored; after them the next call is stored anew."""
    assert rows(asked(2, 0), asked(3, 8), asked(4, 16), asked(5, 24)) == [3, 5]


@pytest.mark.parametrize("change", [{"prompt_hash": "i"}, {"prompt_hash": None}, {"feature": "x"}, {"model": "little"}])
def test_another_prompt_feature_or_model_is_no_repeat(change: dict[str, object]) -> None:
    """Only the same question to the same model for the same feature has the same answer."""
    assert rows(asked(2, 0), asked(3, 1, **change)) == []


def test_calls_without_a_hash_do_not_repeat_each_other() -> None:
    """Nothing is known of a prompt without hash."""
    assert rows(asked(2, 0, prompt_hash=None), asked(3, 1, prompt_hash=None)) == []


def test_failed_calls_neither_fill_nor_use_the_cache() -> None:
    """A failure stores no answer, and its cost is not counted as a repeat."""
    assert rows(asked(2, 0, status="error"), asked(3, 1)) == []
    assert rows(asked(2, 0), asked(3, 1, status="error")) == []


def test_time_decides_not_the_order_of_rows() -> None:
    """A log out of order has the same repeats."""
    assert rows(asked(2, 5), asked(3, 0)) == [2]


def test_the_saving_by_hand() -> None:
    """Two of three chat prompts repeat: 2 x (1,000 in at $10 + 100 out at $20 per million) = $0.024."""
    found = repeats(
        log(asked(2, 0), asked(3, 1), asked(4, 2), asked(5, 0, feature="tags"), call(6), asked(7, 3, status="x")),
        table(),
    )
    assert (4, 2, Decimal("0.024")) == (found.asked, found.bill.calls, found.bill.cost)
    only = found.features[0]
    assert ("chat", 3, Decimal("0.024")) == (only.feature, only.asked, only.bill.cost)
    assert str(only.rows).endswith(": 3-4")
    assert len(found.features) == 1
