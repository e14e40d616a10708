"""Savings found in a usage log. No call counts in two of them, so they may be added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from statistics import median_low

import msgspec

from ssot_engine.offline.bill import Bill
from ssot_engine.offline.failures import failures
from ssot_engine.offline.figures import counted, share, whole
from ssot_engine.offline.moves import moved
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import Price, PriceTable
from ssot_engine.offline.repeats import repeated, repeats
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["LEAST_SHARE", "SHORT_ANSWER_TOKENS", "Finding", "find_savings"]

#: savings below this part of the log's cost are left out
LEAST_SHARE = Decimal("0.001")
#: a group of calls whose median answer is at most this long is taken as a simple task
SHORT_ANSWER_TOKENS = 50


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One way to spend less."""

    title: str
    #: dollars in the time the log covers
    saving: Decimal
    #: dollars per month of 30 days; None when the log covers less than a day
    saving_per_month: Decimal | None
    arithmetic: str
    #: how the month's figure comes from the log's, or why there is none
    scaling: str
    #: what has to hold for the saving to be real
    condition: str
    rows: Rows


def find_savings(log: UsageLog, prices: PriceTable) -> list[Finding]:
    """The savings in `log`, largest first.

    Failed calls count first, then repeated prompts, then simple tasks on a model with a `smaller` one in the price
    table; each of the three leaves out the calls of those before it. A saving below a thousandth of the cost is none.

    Raises:
        MissingPrice: a model of the log has no price.
    """
    period = Period.of(log)
    found = [*_failures(log, prices, period), *_repeats(log, prices, period), *_moves(log, prices, period)]
    least = Bill.of(log.calls, prices.of(log)).cost * LEAST_SHARE
    worthwhile = [finding for finding in found if finding.saving > 0 and finding.saving >= least]
    return sorted(worthwhile, key=lambda finding: (-finding.saving, finding.title))


def _finding(title: str, saving: Decimal, arithmetic: str, condition: str, rows: Rows, period: Period) -> Finding:
    return Finding(
        title=title,
        saving=saving,
        saving_per_month=period.per_month(saving),
        arithmetic=arithmetic,
        scaling=period.arithmetic(saving),
        condition=condition,
        rows=rows,
    )


def _failures(log: UsageLog, prices: PriceTable, period: Period) -> Iterator[Finding]:
    for feature in failures(log, prices).features:
        failed = f"{whole(feature.bill.calls)} of {counted(feature.calls, 'call')}"
        percent = share(feature.bill.calls, feature.calls)
        yield _finding(
            f"Stop paying for failures in {feature.feature}: {failed} fail ({percent})",
            feature.bill.cost,
            feature.bill.arithmetic,
            "no call fails any more, so this is an upper limit",
            feature.rows,
            period,
        )


def _repeats(log: UsageLog, prices: PriceTable, period: Period) -> Iterator[Finding]:
    for feature in repeats(log, prices).features:
        again = f"{whole(feature.bill.calls)} of {counted(feature.asked, 'prompt')}"
        yield _finding(
            f"Cache {feature.feature}: {again} repeat within 10 minutes ({share(feature.bill.calls, feature.asked)})",
            feature.bill.cost,
            feature.bill.arithmetic,
            "an answer may be given again for 10 minutes; the cache itself costs nothing here",
            feature.rows,
            period,
        )


def _moves(log: UsageLog, prices: PriceTable, period: Period) -> Iterator[Finding]:
    rates = prices.of(log)
    for (feature, model), calls in _simple_tasks(log, rates).items():
        smaller = prices.need(str(rates[model].smaller))
        middle = median_low(call.output_tokens for call in calls)
        where = f"feature is {feature}, model is {model}, the call succeeded and is no repeat"
        move = moved(calls, rates, smaller, where)
        yield _finding(
            f"Move {feature} from {model} to {smaller.name}: its answers are short (median {whole(middle)} tokens)",
            move.saving,
            move.arithmetic,
            f"the same token counts, and answers of {smaller.name} that are good enough: try it on your own examples",
            move.rows,
            period,
        )


def _simple_tasks(log: UsageLog, rates: Mapping[str, Price]) -> dict[tuple[str, str], list[Call]]:
    """Calls that succeeded and repeat nothing, by feature and model, where a smaller model exists and answers are
    short."""
    served = {call.row for call in repeated(log)}
    groups: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in log.calls:
        if not call.failed and call.row not in served and rates[call.model].smaller is not None:
            groups[call.feature, call.model].append(call)
    return {
        key: calls
        for key, calls in groups.items()
        if median_low(call.output_tokens for call in calls) <= SHORT_ANSWER_TOKENS
    }
