"""Small hand-written usage logs and a price table with round figures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ssot_engine.offline.prices import Price, PriceTable
from ssot_engine.offline.usage import Call, UsageLog

START = datetime(2026, 9, 1, 10, 0, tzinfo=UTC)
HEADER = "time,model,tokens_in,tokens_out,latency_ms,status,feature,prompt_hash"


def call(row: int, *, minute: float = 0, **changes: Any) -> Call:
    """A successful call of model `big`, `minute` minutes after `START`."""
    fields: dict[str, Any] = {
        "time": START + timedelta(minutes=minute),
        "model": "big",
        "input_tokens": 1000,
        "output_tokens": 100,
        "latency_ms": 500,
        "status": "ok",
        "feature": "chat",
    }
    return Call(row=row, **{**fields, **changes})


def log(*calls: Call) -> UsageLog:
    """A log of these calls."""
    return UsageLog(label="usage.csv", calls=calls)


def price(name: str, fed: str, made: str, smaller: str | None = None) -> Price:
    """The price of one model, in dollars per million tokens."""
    return Price(name=name, input_per_million=Decimal(fed), output_per_million=Decimal(made), smaller=smaller)


def table(*prices: Price) -> PriceTable:
    """A table of these prices; without any, of `big` ($10 and $20) and its smaller `little` ($1 and $2)."""
    listed = prices or (price("big", "10", "20", "little"), price("little", "1", "2"))
    return PriceTable(path="config/prices.yaml", as_of=date(2026, 4, 1), prices={one.name: one for one in listed})
