"""Facts about how figures are written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ssot_engine.offline.figures import milliseconds, share, usd, usd_exact, usd_rate, whole


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "$0.00"),
        ("1234567.895", "$1,234,567.90"),
        ("1", "$1.00"),
        ("0.5", "$0.50"),
        ("0.05769", "$0.0577"),
        ("-2.345", "-$2.35"),
        ("-0.25", "-$0.25"),
        ("0.00000005", "$0.00000005"),
    ],
)
def test_dollars_for_reading(amount: str, expected: str) -> None:
    """Cents from a dollar on, more digits below, halves away from zero."""
    assert expected == usd(Decimal(amount))


def test_dollars_for_arithmetic_keep_every_digit() -> None:
    """Nothing is rounded, thousands are separated, cents are always there."""
    assert [usd_exact(Decimal(amount)) for amount in ("46.00270000", "-1234.5", "5e-8")] == [
        "$46.0027",
        "-$1,234.50",
        "$0.00000005",
    ]


def test_other_figures() -> None:
    """Rates, counts, shares and milliseconds."""
    assert [usd_rate(Decimal(rate)) for rate in ("2.5", "0.075", "10")] == ["$2.50/M", "$0.075/M", "$10.00/M"]
    assert [whole(1204), share(1, 3), share(5, 0), milliseconds(1234.6)] == ["1,204", "33.3%", "0.0%", "1,235 ms"]
