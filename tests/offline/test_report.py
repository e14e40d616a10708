"""Facts about the text of answers."""

from __future__ import annotations

from usage_logs import call, log, price, table

from ssot_engine.offline.failures import failures
from ssot_engine.offline.findings import find_savings
from ssot_engine.offline.latency import latency_by_model
from ssot_engine.offline.moves import what_if
from ssot_engine.offline.period import Period
from ssot_engine.offline.repeats import repeats
from ssot_engine.offline.report import (
    MODEL_LINE,
    failures_text,
    findings_text,
    latency_text,
    move_text,
    peak_text,
    repeats_text,
    reply,
    spend_text,
    unknown_text,
)
from ssot_engine.offline.spend import Dimension, spend_by
from ssot_engine.offline.usage import UsageLog


def test_a_reply_ends_with_data_prices_and_model() -> None:
    """Every reply says which data and prices it used and that no model wrote it."""
    one = UsageLog(label="usage.csv", calls=(call(2),), skipped_rows=1200, skipped_examples=("usage.csv row 3: bad",))
    assert reply("body", one, table()).splitlines() == [
        "body",
        "",
        "data: usage.csv, 1 call, 2026-09-01 to 2026-09-01 UTC (0.00 days)",
        "skipped: 1,200 bad rows, the first: usage.csv row 3: bad",
        "prices: prices.yaml as of 2026-04-01, USD per million tokens",
        "model: offline (rule-based, no LLM)",
    ]
    assert f"body\n\n{MODEL_LINE}" == reply("body")


def test_a_spend_shows_figure_arithmetic_and_rows() -> None:
    """Each group is three lines."""
    text = spend_text(spend_by(log(call(2, input_tokens=1_234_567, output_tokens=0)), table(), Dimension.MODEL))
    assert text.splitlines() == [
        "Cost by model: $12.35 for 1 call, 2026-09-01 to 2026-09-01 UTC (0.00 days).",
        "- big: $12.35 (100.0%), 1 call",
        "  arithmetic: big: 1 call, 1,234,567 in x $10.00/M + 0 out x $20.00/M = $12.34567",
        "  rows: 1 where model is big: 2",
    ]


def test_a_long_list_is_cut_and_summed() -> None:
    """Ten features are shown and the others are one line with their cost."""
    calls = [call(row, feature=f"f{row:02}", input_tokens=100_000, output_tokens=0) for row in range(2, 14)]
    text = spend_text(spend_by(log(*calls), table(), Dimension.FEATURE))
    assert text.count("  rows: ") == 10
    assert text.endswith("- 2 more: $2.00 (16.7%)")


def test_texts_of_many_groups_stay_short() -> None:
    """A log with a thousand models and features gives answers of bounded length."""
    names = [f"m{number}" for number in range(1000)]
    prices = table(*(price(name, "10", "10", "small") for name in names), price("small", "1", "1"))
    many = log(
        *(
            call(row, model=name, feature=name, output_tokens=1, status="ok" if row % 2 else f"e{row}")
            for row, name in enumerate(names, start=2)
        )
    )
    texts = [
        *(spend_text(spend_by(many, prices, dimension)) for dimension in Dimension),
        latency_text(latency_by_model(many)),
        failures_text(failures(many, prices)),
        findings_text(find_savings(many, prices)),
    ]
    assert [True] * len(texts) == [len(text) < 6_000 for text in texts]


def test_many_statuses_are_cut_and_counted() -> None:
    """Five statuses are named, the calls of the others counted."""
    text = failures_text(failures(log(*(call(row, status=f"e{row}") for row in range(2, 10))), table()))
    assert text.startswith(
        "8 of 8 calls failed (100.0%) and cost $0.096: 1 x e2, 1 x e3, 1 x e4, 1 x e5, 1 x e6, 3 x others."
    )


def test_peak_hours_are_the_hours_with_the_most_calls() -> None:
    """Days are taken together, ties go to the earlier hour."""
    calls = [call(2), call(3, minute=24 * 60), call(4, minute=60), call(5, minute=120), call(6, minute=180)]
    lines = peak_text(spend_by(log(*calls), table(), Dimension.HOUR)).splitlines()
    assert lines[0].startswith("The busiest hour of the day is 10:00-10:59 UTC: 2 of 5 calls (40.0%)")
    assert [line[:7] for line in lines if line.startswith("- ")] == ["- 10:00", "- 11:00", "- 12:00"]


def test_findings_show_title_month_condition_arithmetic_and_rows() -> None:
    """A finding is five lines under a head with the sum."""
    days = 15 * 24 * 60
    text = findings_text(find_savings(log(call(2, status="error"), call(3, minute=days, output_tokens=900)), table()))
    assert text.splitlines() == [
        "1 saving, together $0.012 in the log, $0.024 per month; no call counts twice.",
        "1. Stop paying for failures in chat: 1 of 2 calls fail (50.0%); saves $0.024 per month.",
        "  month: $0.012 in 15.00 days x 30 = $0.024 per month of 30 days",
        "  holds if: no call fails any more, so this is an upper limit",
        "  arithmetic: big: 1 call, 1,000 in x $10.00/M + 100 out x $20.00/M = $0.012",
        "  rows: 1 where feature is chat and the call failed: 2",
    ]


def test_a_move_that_costs_more_says_so() -> None:
    """No negative saving is shown as one."""
    one = log(call(2, model="little"))
    text = move_text(what_if(one, table(), "little", "big"), Period.of(one))
    assert text.startswith("Moving 1 call to big would cost $0.0108 more: $0.012 instead of $0.0012.")


def test_nothing_found_is_said() -> None:
    """Each answer has words for the empty case."""
    clean = log(call(2, output_tokens=900))
    assert "No saving found" in findings_text(find_savings(clean, table()))
    assert failures_text(failures(clean, table())) == "None of 1 call failed."
    assert "add a prompt_hash column" in repeats_text(repeats(clean, table()))
    assert "No call of the log succeeded" in latency_text(latency_by_model(log(call(2, status="error"))))


def test_an_unknown_question_is_quoted_short_and_escaped() -> None:
    """What was asked cannot fill or steer a terminal."""
    text = unknown_text("\x1b[31m" + "x" * 10_000)
    assert "\x1b" not in text
    assert len(text) < 1_500
    assert "Where does my LLM spend go?" in text
