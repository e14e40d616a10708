"""How long models take to answer."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from ssot_engine.offline.figures import milliseconds, whole
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["Latency", "latency_by_model"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """The latencies of one model's successful calls. A percentile is a call of the log, never a value in between."""

    model: str
    p50_ms: float
    p95_ms: float
    slowest_ms: float
    arithmetic: str
    rows: Rows


def latency_by_model(log: UsageLog) -> tuple[Latency, ...]:
    """The latency of every model with a successful call, slowest p95 first."""
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in log.calls:
        if not call.failed:
            groups[call.model].append(call)
    found = [_latency(model, calls) for model, calls in groups.items()]
    return tuple(sorted(found, key=lambda latency: (-latency.p95_ms, latency.model)))


def _latency(model: str, calls: list[Call]) -> Latency:
    calls = sorted(calls, key=lambda call: (call.latency_ms, call.row))
    half, most = _rank(50, len(calls)), _rank(95, len(calls))
    p50, p95, slowest = calls[half - 1], calls[most - 1], calls[-1]
    arithmetic = (
        f"of {whole(len(calls))} latencies in rising order p50 is number {whole(half)} (row {whole(p50.row)}), "
        f"p95 number {whole(most)} (row {whole(p95.row)}), "
        f"the slowest {milliseconds(slowest.latency_ms)} (row {whole(slowest.row)})"
    )
    return Latency(
        model=model,
        p50_ms=p50.latency_ms,
        p95_ms=p95.latency_ms,
        slowest_ms=slowest.latency_ms,
        arithmetic=arithmetic,
        rows=Rows.of(calls, f"model is {model} and the call succeeded"),
    )


def _rank(percent: int, count: int) -> int:
    """Nearest rank: the least position, from 1, with at least `percent` of `count` values at or below it."""
    return -(-percent * count // 100)
