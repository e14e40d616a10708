"""One question's whole answer: recognise it, analyse the log, write the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ssot_engine.offline.failures import failures
from ssot_engine.offline.findings import find_savings
from ssot_engine.offline.intents import Intent, IntentName, match
from ssot_engine.offline.latency import latency_by_model
from ssot_engine.offline.moves import what_if
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.repeats import repeats
from ssot_engine.offline.report import (
    failures_text,
    findings_text,
    help_text,
    latency_text,
    move_text,
    overview_text,
    peak_text,
    repeats_text,
    reply,
    spend_text,
    unknown_text,
)
from ssot_engine.offline.spend import Dimension, spend_by
from ssot_engine.offline.usage import UsageLog

__all__ = ["answer", "answer_intent"]


def answer(question: str, log: UsageLog, prices: PriceTable) -> str:
    """The reply to `question` about `log`; to an unknown one the list of what can be asked.

    Raises:
        MissingPrice: the question needs a price the table lacks.
        UnusedModel: it moves calls from a model the log does not use.
    """
    intent = match(question)
    if intent is None:
        return reply(unknown_text(question), log)
    return answer_intent(intent, log, prices)


def answer_intent(intent: Intent, log: UsageLog, prices: PriceTable) -> str:
    """The reply to a recognised question; raises as `answer` does."""
    if intent.name is IntentName.HELP:
        return reply(help_text(), log)
    return reply(_BODIES[intent.name](intent, log, prices), log, prices)


def _overview(_: Intent, log: UsageLog, prices: PriceTable) -> str:
    by_feature, by_model = (spend_by(log, prices, by) for by in (Dimension.FEATURE, Dimension.MODEL))
    return overview_text(by_feature, by_model, find_savings(log, prices))


def _spend(dimension: Dimension) -> Callable[[Intent, UsageLog, PriceTable], str]:
    return lambda _, log, prices: spend_text(spend_by(log, prices, dimension))


def _move(intent: Intent, log: UsageLog, prices: PriceTable) -> str:
    move = what_if(log, prices, intent.source or "", intent.target or "")
    return move_text(move, Period.of(log))


_BODIES: Mapping[IntentName, Callable[[Intent, UsageLog, PriceTable], str]] = {
    IntentName.OVERVIEW: _overview,
    IntentName.BY_MODEL: _spend(Dimension.MODEL),
    IntentName.BY_FEATURE: _spend(Dimension.FEATURE),
    IntentName.BY_DAY: _spend(Dimension.DAY),
    IntentName.PEAK_HOURS: lambda _, log, prices: peak_text(spend_by(log, prices, Dimension.HOUR)),
    IntentName.SLOWEST: lambda _, log, prices: latency_text(latency_by_model(log)),
    IntentName.FAILURES: lambda _, log, prices: failures_text(failures(log, prices)),
    IntentName.REPEATS: lambda _, log, prices: repeats_text(repeats(log, prices)),
    IntentName.WHAT_IF: _move,
    IntentName.SAVINGS: lambda _, log, prices: findings_text(find_savings(log, prices)),
}
