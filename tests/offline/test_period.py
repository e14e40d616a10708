"""Facts about the time a log covers."""

from __future__ import annotations

from decimal import Decimal

from usage_logs import call, log

from ssot_engine.offline.period import Period


def test_a_month_has_thirty_days() -> None:
    """Fifteen days of $10 are $20 per month, and the arithmetic says so."""
    period = Period.of(log(call(2), call(3, minute=15 * 1440)))
    assert Decimal(20) == period.per_month(Decimal(10))
    assert period.arithmetic(Decimal(10)) == "$10.00 in 15.00 days x 30 = $20.00 per month of 30 days"
    assert str(period) == "2026-09-01 to 2026-09-16 UTC (15.00 days)"


def test_less_than_a_day_is_never_scaled() -> None:
    """One minute short of a day gives no month, and says why."""
    short = Period.of(log(call(2), call(3, minute=1439)))
    assert short.per_month(Decimal(10)) is None
    assert "less than one day, so nothing is scaled" in short.arithmetic(Decimal(10))
    assert Decimal(300) == Period.of(log(call(2), call(3, minute=1440))).per_month(Decimal(10))


def test_the_order_of_rows_does_not_matter() -> None:
    """First and last are by time, not by row."""
    calls = (call(2, minute=5), call(3, minute=1), call(4, minute=9))
    period = Period.of(log(*calls))
    assert (calls[1].time, calls[2].time) == (period.first, period.last)
