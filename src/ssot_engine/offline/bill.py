"""What a set of calls costs: tokens times price, one term per model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from ssot_engine.offline.figures import counted, usd_exact, usd_rate, whole
from ssot_engine.offline.prices import Price
from ssot_engine.offline.usage import Call

__all__ = ["Bill", "term"]

_MOST_TERMS = 6


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The exact cost of some calls. Tokens are added as whole numbers first, so no order of adding changes it."""

    calls: int
    #: dollars
    cost: Decimal
    arithmetic: str

    @classmethod
    def of(cls, calls: Iterable[Call], rates: Mapping[str, Price]) -> Bill:
        """The bill of `calls` at `rates`, which has a price for each of their models."""
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for call in calls:
            tokens = sums[call.model]
            tokens[0] += 1
            tokens[1] += call.input_tokens
            tokens[2] += call.output_tokens
        costs = {model: rates[model].cost(fed, made) for model, (_, fed, made) in sums.items()}
        order = sorted(costs, key=lambda model: (-costs[model], model))
        return cls(
            calls=sum(count for count, _, _ in sums.values()),
            cost=sum(costs.values(), Decimal(0)),
            arithmetic=_arithmetic([_line(model, sums[model], rates[model]) for model in order], costs, order),
        )


def term(input_tokens: int, output_tokens: int, price: Price) -> str:
    """`977,648 in x $2.50/M + 172,172 out x $10.00/M = $4.16584`"""
    fed = f"{whole(input_tokens)} in x {usd_rate(price.input_per_million)}"
    made = f"{whole(output_tokens)} out x {usd_rate(price.output_per_million)}"
    return f"{fed} + {made} = {usd_exact(price.cost(input_tokens, output_tokens))}"


def _line(model: str, sums: list[int], price: Price) -> str:
    count, fed, made = sums
    alias = "" if price.name == model else f" (priced as {price.name})"
    return f"{model}{alias}: {counted(count, 'call')}, {term(fed, made, price)}"


def _arithmetic(lines: list[str], costs: Mapping[str, Decimal], order: list[str]) -> str:
    rest = order[_MOST_TERMS:]
    if rest:
        remaining = sum((costs[model] for model in rest), Decimal(0))
        lines = [*lines[:_MOST_TERMS], f"{counted(len(rest), 'more model')}: {usd_exact(remaining)}"]
    return "; ".join(lines) or "no calls: $0.00"
