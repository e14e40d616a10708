"""The time a log covers, and how a figure of that time is scaled to a month."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from ssot_engine.offline.figures import usd, usd_exact
from ssot_engine.offline.usage import UsageLog

__all__ = ["DAYS_PER_MONTH", "Period"]

DAYS_PER_MONTH = 30


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From the first to the last call of a log."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, log: UsageLog) -> Period:
        """The period `log` covers."""
        times = [call.time for call in log.calls]
        return cls(first=min(times), last=max(times))

    @property
    def days(self) -> Decimal:
        """Length in days, to the hundredth, which is what the arithmetic shows and uses."""
        seconds = Decimal((self.last - self.first) // timedelta(seconds=1))
        return (seconds / 86_400).quantize(Decimal("0.01"), ROUND_HALF_UP)

    def per_month(self, amount: Decimal) -> Decimal | None:
        """`amount` of this period as a month of 30 days, to the millionth; None when the period is shorter than a
        day."""
        if not self._scales:
            return None
        return (amount * DAYS_PER_MONTH / self.days).quantize(Decimal("0.000001"), ROUND_HALF_UP)

    def arithmetic(self, amount: Decimal) -> str:
        """How `per_month` gets its figure, or why there is none."""
        monthly = self.per_month(amount)
        if monthly is None:
            return f"{usd_exact(amount)} in the log; it covers less than one day, so nothing is scaled to a month"
        return f"{usd_exact(amount)} in {self.days} days x {DAYS_PER_MONTH} = {usd(monthly)} per month of 30 days"

    @property
    def _scales(self) -> bool:
        return self.last - self.first >= timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m-%d} to {self.last:%Y-%m-%d} UTC ({self.days} days)"
