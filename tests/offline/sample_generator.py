"""Makes the packaged sample usage log: invented calls, the same bytes every time.

`python tests/offline/sample_generator.py` writes it anew. Only `Random.random()` is used, whose sequence for a seed
does not change between Python versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

SAMPLE = Path(__file__).parents[2] / "src/ssot_engine/offline/sample_usage.csv"
HEADER = "time,model,tokens_in,tokens_out,latency_ms,status,feature,prompt_hash"
START = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 30
#: calls in each hour of the day, relative to each other: office hours with a rush at 10
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 22, 48, 24, 14, 16, 20, 20, 16, 10, 6, 4, 3, 2, 2, 1)
WEEKDAYS = (10, 10, 10, 10, 9, 3, 2)


class Row(NamedTuple):
    """One line of the sample, in the order of its columns."""

    time: datetime
    model: str
    tokens_in: int
    tokens_out: int
    latency_ms: int
    status: str
    feature: str
    prompt_hash: str

    def __str__(self) -> str:
        return ",".join([f"{self.time:%Y-%m-%dT%H:%M:%SZ}", *(str(cell) for cell in self[1:])])


class Dice:
    """Whole-number choices from one seeded source."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def between(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))

    def weighted(self, weights: Sequence[int]) -> int:
        left = int(self.random() * sum(weights))
        for place, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return place
        raise AssertionError("unreachable: left starts below the sum")

    def percent(self, chance: int) -> bool:
        return self.between(1, 100) <= chance

    def prompt(self) -> str:
        return f"{int(self.random() * 16**10):010x}"

    def time(self) -> datetime:
        week = [WEEKDAYS[(START + timedelta(days=day)).weekday()] for day in range(DAYS)]
        seconds = self.between(0, 3599)
        return START + timedelta(days=self.weighted(week), hours=self.weighted(HOURS), seconds=seconds)


def support_chat(dice: Dice) -> Iterator[Row]:
    """Long context, and the same few questions asked again within minutes."""
    time, prompt, tokens_in = dice.time(), dice.prompt(), dice.between(8000, 20000)
    while True:
        answer = (tokens_in, dice.between(120, 600), dice.between(900, 3800))
        yield Row(time, "gpt-4o", *answer, "ok", "support-chat", prompt)
        if not dice.percent(34):
            return
        time += timedelta(seconds=dice.between(15, 280))


def ticket_tagging(dice: Dice) -> Iterator[Row]:
    """One word per ticket from a large model."""
    tokens = (dice.between(2500, 7000), dice.between(2, 9))
    yield Row(dice.time(), "gpt-4o", *tokens, dice.between(400, 1500), "ok", "ticket-tagging", dice.prompt())


def report_drafts(dice: Dice) -> Iterator[Row]:
    """Slow, and each time-out is paid for and tried again."""
    time, prompt, tokens_in = dice.time(), dice.prompt(), dice.between(12000, 40000)
    while dice.percent(16):
        half = dice.between(300, 900)
        yield Row(time, "sample-reasoner", tokens_in, half, 90000, "timeout", "report-drafts", prompt)
        time += timedelta(seconds=dice.between(95, 150))
    answer = (dice.between(1200, 3600), dice.between(18000, 82000))
    yield Row(time, "sample-reasoner", tokens_in, *answer, "ok", "report-drafts", prompt)


def search_rewrite(dice: Dice) -> Iterator[Row]:
    """Small calls on small models that are often refused and tried again at once."""
    time, prompt, tokens_in = dice.time(), dice.prompt(), dice.between(250, 900)
    model = "sample-small" if dice.percent(30) else "gpt-4o-mini"
    while dice.percent(18):
        status = "429" if dice.percent(70) else "error"
        yield Row(time, model, tokens_in, 0, dice.between(40, 300), status, "search-rewrite", prompt)
        time += timedelta(seconds=dice.between(1, 20))
    yield Row(time, model, tokens_in, dice.between(12, 60), dice.between(180, 900), "ok", "search-rewrite", prompt)


def sample_csv(seed: int = 20260901) -> bytes:
    """The whole file."""
    dice = Dice(seed)
    makers: list[tuple[Callable[[Dice], Iterator[Row]], int]] = [
        (support_chat, 640),
        (ticket_tagging, 620),
        (report_drafts, 130),
        (search_rewrite, 560),
    ]
    rows = [row for make, count in makers for _ in range(count) for row in make(dice)]
    return ("\n".join([HEADER, *(str(row) for row in sorted(rows))]) + "\n").encode()


if __name__ == "__main__":
    SAMPLE.write_bytes(sample_csv())
