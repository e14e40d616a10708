"""Prompts asked again within minutes, which a cache would have answered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from ssot_engine.offline.bill import Bill
from ssot_engine.offline.prices import Price, PriceTable
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["CACHE_FOR", "FeatureRepeats", "Repeats", "repeated", "repeats"]

CACHE_FOR = timedelta(minutes=10)


class FeatureRepeats(msgspec.Struct, frozen=True, kw_only=True):
    """The repeats of one feature; `asked` counts its successful calls with a prompt hash."""

    feature: str
    asked: int
    bill: Bill
    rows: Rows


class Repeats(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache that keeps each answer for 10 minutes would have saved."""

    #: successful calls that carry a prompt hash: only these can be judged
    asked: int
    #: the calls a cache would have answered; their cost is the saving
    bill: Bill
    #: dearest first, features without a repeat left out
    features: tuple[FeatureRepeats, ...]


def repeats(log: UsageLog, prices: PriceTable) -> Repeats:
    """How much of `log` repeats an answer given in the 10 minutes before.

    Raises:
        MissingPrice: a model of the log has no price.
    """
    rates = prices.of(log)
    found = repeated(log)
    asked = [call for call in log.calls if call.prompt_hash is not None and not call.failed]
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in found:
        groups[call.feature].append(call)
    counts = Counter(call.feature for call in asked)
    features = [_feature(name, counts[name], calls, rates) for name, calls in sorted(groups.items())]
    features.sort(key=lambda feature: -feature.bill.cost)
    return Repeats(asked=len(asked), bill=Bill.of(found, rates), features=tuple(features))


def repeated(log: UsageLog) -> list[Call]:
    """The calls a cache would have answered, in order of time.

    The answer of a successful call serves the same prompt hash on the same feature and model for 10 minutes (the
    tenth included); then the next call is asked anew and stored. Failed calls neither fill nor use the cache.
    """
    stored: dict[tuple[str, str, str], datetime] = {}
    served = []
    for call in sorted(log.calls, key=lambda call: (call.time, call.row)):
        if call.prompt_hash is None or call.failed:
            continue
        key = (call.feature, call.model, call.prompt_hash)
        since = stored.get(key)
        if since is not None and call.time - since <= CACHE_FOR:
            served.append(call)
        else:
            stored[key] = call.time
    return served


def _feature(name: str, asked: int, calls: list[Call], rates: Mapping[str, Price]) -> FeatureRepeats:
    where = f"feature is {name} and the same prompt was answered at most 10 minutes before"
    return FeatureRepeats(feature=name, asked=asked, bill=Bill.of(calls, rates), rows=Rows.of(calls, where))
