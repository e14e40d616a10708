"""Where the money goes: cost by model, feature, day or hour of the day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from ssot_engine.offline.bill import Bill
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["Dimension", "Spend", "SpendLine", "spend_by"]


class Dimension(StrEnum):
    """What spend is grouped by; days and hours are UTC."""

    MODEL = "model"
    FEATURE = "feature"
    DAY = "day"
    HOUR = "hour"


class SpendLine(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one group and their cost."""

    name: str
    bill: Bill
    rows: Rows


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of a log in groups. Models and features: dearest first; days and hours: earliest first."""

    dimension: Dimension
    #: dollars; the exact sum of the lines
    total: Decimal
    calls: int
    period: Period
    lines: tuple[SpendLine, ...]


_KEYS: Mapping[Dimension, Callable[[Call], str]] = {
    Dimension.MODEL: lambda call: call.model,
    Dimension.FEATURE: lambda call: call.feature,
    Dimension.DAY: lambda call: f"{call.time:%Y-%m-%d}",
    Dimension.HOUR: lambda call: f"{call.time:%H}:00-{call.time:%H}:59 UTC",
}


def spend_by(log: UsageLog, prices: PriceTable, dimension: Dimension) -> Spend:
    """The cost of `log` grouped by `dimension`.

    Raises:
        MissingPrice: a model of the log has no price.
    """
    rates = prices.of(log)
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in log.calls:
        groups[_KEYS[dimension](call)].append(call)
    lines = [
        SpendLine(name=name, bill=Bill.of(calls, rates), rows=Rows.of(calls, f"{dimension} is {name}"))
        for name, calls in sorted(groups.items())
    ]
    if dimension in (Dimension.MODEL, Dimension.FEATURE):
        lines.sort(key=lambda line: -line.bill.cost)
    return Spend(
        dimension=dimension,
        total=sum((line.bill.cost for line in lines), Decimal(0)),
        calls=len(log.calls),
        period=Period.of(log),
        lines=tuple(lines),
    )
