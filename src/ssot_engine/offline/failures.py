"""Calls that failed and what they cost, and how often a failed prompt was tried again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

import msgspec

from ssot_engine.offline.bill import Bill
from ssot_engine.offline.prices import Price, PriceTable
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["RETRY_WITHIN", "Failures", "FeatureFailures", "failures"]

RETRY_WITHIN = timedelta(minutes=10)


class FeatureFailures(msgspec.Struct, frozen=True, kw_only=True):
    """The failed calls of one feature; `calls` counts all of its calls."""

    feature: str
    calls: int
    bill: Bill
    rows: Rows


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """The failed calls of a log. They cost the tokens the log states for them."""

    calls: int
    bill: Bill
    #: status and how often, most frequent first
    statuses: tuple[tuple[str, int], ...]
    #: dearest first, features without a failure left out
    features: tuple[FeatureFailures, ...]
    #: calls whose prompt failed at most 10 minutes before, and those of them that failed too; needs prompt hashes
    retries: Rows
    failed_retries: Rows


def failures(log: UsageLog, prices: PriceTable) -> Failures:
    """What failed in `log`.

    Raises:
        MissingPrice: a model of the log has no price.
    """
    rates = prices.of(log)
    failed = [call for call in log.calls if call.failed]
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in failed:
        groups[call.feature].append(call)
    totals = Counter(call.feature for call in log.calls)
    features = [_feature(name, totals[name], calls, rates) for name, calls in sorted(groups.items())]
    features.sort(key=lambda feature: -feature.bill.cost)
    statuses = sorted(Counter(call.status for call in failed).items(), key=lambda item: (-item[1], item[0]))
    tried = _retries(log.calls)
    where = "the same feature's same prompt failed at most 10 minutes before"
    return Failures(
        calls=len(log.calls),
        bill=Bill.of(failed, rates),
        statuses=tuple(statuses),
        features=tuple(features),
        retries=Rows.of(tried, where),
        failed_retries=Rows.of([call for call in tried if call.failed], f"{where} and the call failed again"),
    )


def _feature(name: str, total: int, calls: list[Call], rates: Mapping[str, Price]) -> FeatureFailures:
    rows = Rows.of(calls, f"feature is {name} and the call failed")
    return FeatureFailures(feature=name, calls=total, bill=Bill.of(calls, rates), rows=rows)


def _retries(calls: Iterable[Call]) -> list[Call]:
    last: dict[tuple[str, str], Call] = {}
    found = []
    for call in sorted(calls, key=lambda call: (call.time, call.row)):
        if call.prompt_hash is None:
            continue
        before = last.get((call.feature, call.prompt_hash))
        if before is not None and before.failed and call.time - before.time <= RETRY_WITHIN:
            found.append(call)
        last[call.feature, call.prompt_hash] = call
    return found
