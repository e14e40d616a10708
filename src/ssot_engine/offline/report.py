"""Answers as text: what analysis found, each figure with its arithmetic and rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import PurePath

from ssot_engine.offline.failures import Failures
from ssot_engine.offline.figures import counted, milliseconds, share, usd, whole
from ssot_engine.offline.findings import Finding
from ssot_engine.offline.intents import describe
from ssot_engine.offline.latency import Latency
from ssot_engine.offline.moves import Move
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.repeats import Repeats
from ssot_engine.offline.spend import Dimension, Spend, SpendLine
from ssot_engine.offline.usage import UsageLog

__all__ = [
    "MODEL_LINE",
    "failures_text",
    "findings_text",
    "help_text",
    "latency_text",
    "move_text",
    "overview_text",
    "peak_text",
    "repeats_text",
    "reply",
    "spend_text",
    "unknown_text",
]

MODEL_LINE = "model: offline (rule-based, no LLM)"

_MOST_LINES = {Dimension.MODEL: 10, Dimension.FEATURE: 10, Dimension.DAY: 31, Dimension.HOUR: 24}
_MOST_FINDINGS = 8
_MOST_OTHERS = 5
_PEAKS = 3
_WITH_A_MODEL = "Other questions need an agent that uses a language model: register one under a name of its own."
_NO_HASHES = "the log has no prompt hashes; add a prompt_hash column to see repeated prompts and retries"


def reply(body: str, log: UsageLog | None = None, prices: PriceTable | None = None) -> str:
    """`body` with the lines every answer ends with: which data, which prices, which model."""
    lines = []
    if log is not None:
        lines.append(f"data: {log.label}, {counted(len(log.calls), 'call')}, {Period.of(log)}")
        if log.skipped_rows:
            lines.append(f"skipped: {counted(log.skipped_rows, 'bad row')}, the first: {log.skipped_examples[0]}")
    if prices is not None:
        lines.append(f"prices: {PurePath(prices.path).name} as of {prices.as_of}, USD per million tokens")
    return "\n".join([body, "", *lines, MODEL_LINE])


def spend_text(spend: Spend) -> str:
    """Every group of `spend`, a long list cut after its first lines."""
    most = _MOST_LINES[spend.dimension]
    head = f"Cost by {spend.dimension}: {usd(spend.total)} for {counted(spend.calls, 'call')}, {spend.period}."
    lines = [_spend_line(line, spend.total) for line in spend.lines[:most]]
    if len(spend.lines) > most:
        rest = sum((line.bill.cost for line in spend.lines[most:]), Decimal(0))
        lines.append(f"- {whole(len(spend.lines) - most)} more: {usd(rest)} ({share(rest, spend.total)})")
    return "\n".join([head, *lines])


def _spend_line(line: SpendLine, total: Decimal) -> str:
    figure = f"{usd(line.bill.cost)} ({share(line.bill.cost, total)})"
    return _item(f"{line.name}: {figure}, {counted(line.bill.calls, 'call')}", line.bill.arithmetic, str(line.rows))


def _item(title: str, arithmetic: str, rows: str, *more: str) -> str:
    return "\n".join([f"- {title}", *(f"  {text}" for text in more), f"  arithmetic: {arithmetic}", f"  rows: {rows}"])


def overview_text(by_feature: Spend, by_model: Spend, findings: Sequence[Finding]) -> str:
    """Where the money goes in two sentences, the groups behind them, and the largest saving."""
    feature, model = by_feature.lines[0], by_model.lines[0]
    total = by_feature.total
    head = (
        f"{feature.name} is {share(feature.bill.cost, total)} of the cost "
        f"({usd(feature.bill.cost)} of {usd(total)}); the dearest model is {model.name} with "
        f"{share(model.bill.cost, total)} ({usd(model.bill.cost)})."
    )
    best = f"Largest saving: {_finding(findings[0])}" if findings else "No saving found by the rules of this report."
    return "\n\n".join([head, spend_text(by_feature), spend_text(by_model), best])


def peak_text(by_hour: Spend) -> str:
    """The hours of the day with the most calls, all days of the log taken together."""
    busiest = sorted(by_hour.lines, key=lambda line: (-line.bill.calls, line.name))[:_PEAKS]
    top = busiest[0]
    head = (
        f"The busiest hour of the day is {top.name}: {whole(top.bill.calls)} of {counted(by_hour.calls, 'call')} "
        f"({share(top.bill.calls, by_hour.calls)}), an even spread would be {share(1, 24)}."
    )
    return "\n".join([head, *(_spend_line(line, by_hour.total) for line in busiest)])


def latency_text(latencies: Sequence[Latency]) -> str:
    """Models by p95, slowest first."""
    if not latencies:
        return "No call of the log succeeded, so no latency can be told."
    slowest = latencies[0]
    head = f"{slowest.model} is slowest: 95% of its calls take up to {milliseconds(slowest.p95_ms)}."
    lines = [
        _item(
            f"{found.model}: p50 {milliseconds(found.p50_ms)}, p95 {milliseconds(found.p95_ms)}",
            found.arithmetic,
            str(found.rows),
        )
        for found in latencies[: _MOST_LINES[Dimension.MODEL]]
    ]
    return "\n".join([head, *lines, *_more(len(latencies) - len(lines))])


def failures_text(failures: Failures) -> str:
    """What failed, what it cost, and how often it was tried again."""
    if not failures.bill.calls:
        return f"None of {counted(failures.calls, 'call')} failed."
    statuses = ", ".join(f"{whole(count)} x {name}" for name, count in failures.statuses[:_MOST_OTHERS])
    others = sum(count for _, count in failures.statuses[_MOST_OTHERS:])
    statuses += f", {whole(others)} x others" if others else ""
    head = (
        f"{_part(failures.bill.calls, failures.calls, 'call')} failed "
        f"({share(failures.bill.calls, failures.calls)}) and cost {usd(failures.bill.cost)}: {statuses}."
    )
    lines = [
        _item(
            f"{found.feature}: {_part(found.bill.calls, found.calls, 'call')} failed, {usd(found.bill.cost)}",
            found.bill.arithmetic,
            str(found.rows),
        )
        for found in failures.features[:_MOST_OTHERS]
    ]
    retried = (
        f"Retries: {whole(failures.retries.count)}, of which {whole(failures.failed_retries.count)} failed again.\n"
        f"  rows: {failures.retries}\n  rows: {failures.failed_retries}"
    )
    return "\n".join([head, *lines, *_more(len(failures.features) - len(lines)), retried])


def repeats_text(repeats: Repeats) -> str:
    """The share of prompts a cache would have answered, and its saving."""
    if not repeats.asked:
        return f"Nothing can be said of repeats: {_NO_HASHES}."
    again = f"{_part(repeats.bill.calls, repeats.asked, 'prompt')} ({share(repeats.bill.calls, repeats.asked)})"
    saved = usd(repeats.bill.cost)
    head = f"{again} repeat one answered at most 10 minutes before; a cache would have saved {saved}."
    lines = [
        _item(
            f"{found.feature}: {whole(found.bill.calls)} of {whole(found.asked)} "
            f"({share(found.bill.calls, found.asked)}), {usd(found.bill.cost)}",
            found.bill.arithmetic,
            str(found.rows),
        )
        for found in repeats.features[:_MOST_OTHERS]
    ]
    return "\n".join([head, *lines, *_more(len(repeats.features) - len(lines))])


def move_text(move: Move, period: Period) -> str:
    """What a move of calls to another model saves or costs."""
    outcome = f"would save {usd(move.saving)}" if move.saving >= 0 else f"would cost {usd(-move.saving)} more"
    costs = f"{usd(move.new_cost)} instead of {usd(move.bill.cost)}"
    return "\n".join(
        [
            f"Moving {counted(move.bill.calls, 'call')} to {move.target} {outcome}: {costs}.",
            f"  month: {period.arithmetic(move.saving)}",
            f"  holds if: the token counts stay the same and the answers of {move.target} are good enough",
            f"  arithmetic: {move.arithmetic}",
            f"  rows: {move.rows}",
        ]
    )


def findings_text(findings: Sequence[Finding]) -> str:
    """The savings, largest first, and their sum."""
    if not findings:
        return "No saving found by the rules of this report: no failures, no repeats, no simple task on a dear model."
    total = sum((found.saving for found in findings), Decimal(0))
    monthly = [found.saving_per_month for found in findings if found.saving_per_month is not None]
    month = f", {usd(sum(monthly, Decimal(0)))} per month" if monthly else ""
    head = f"{counted(len(findings), 'saving')}, together {usd(total)} in the log{month}; no call counts twice."
    lines = [f"{number}. {_finding(found)}" for number, found in enumerate(findings[:_MOST_FINDINGS], start=1)]
    return "\n".join([head, *lines, *_more(len(findings) - len(lines))])


def _finding(found: Finding) -> str:
    saving = f"{usd(found.saving)} in the log" if found.saving_per_month is None else _monthly(found.saving_per_month)
    return "\n".join(
        [
            f"{found.title}; saves {saving}.",
            f"  month: {found.scaling}",
            f"  holds if: {found.condition}",
            f"  arithmetic: {found.arithmetic}",
            f"  rows: {found.rows}",
        ]
    )


def _monthly(amount: Decimal) -> str:
    return f"{usd(amount)} per month"


def _part(part: int, of: int, noun: str) -> str:
    return f"{whole(part)} of {counted(of, noun)}"


def _more(count: int) -> list[str]:
    return [f"- {whole(count)} more, smaller ones"] if count > 0 else []


def help_text() -> str:
    """What can be asked."""
    return "\n".join(["I answer these questions about an LLM usage log:", *_questions()])


def unknown_text(question: str) -> str:
    """The answer to a question that is none of the named ones."""
    asked = question if len(question) <= 80 else f"{question[:80]}…"
    head = f"I do not know how to answer {asked!r}. I work by rules and answer only these:"
    return "\n".join([head, *_questions(), _WITH_A_MODEL])


def _questions() -> list[str]:
    return [f"- {name}: {example}" for name, example in describe()]
