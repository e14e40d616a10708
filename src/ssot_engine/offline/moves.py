"""What the same tokens would cost on another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from ssot_engine.errors import RequestError, shown
from ssot_engine.offline.bill import Bill, term
from ssot_engine.offline.figures import usd_exact
from ssot_engine.offline.prices import Price, PriceTable
from ssot_engine.offline.rows import Rows
from ssot_engine.offline.usage import Call, UsageLog

__all__ = ["Move", "UnusedModel", "moved", "what_if"]

_MOST_NAMED = 10


class UnusedModel(RequestError):
    """No call of the log uses `model`; `used` lists the models it has."""

    status = 422

    def __init__(self, model: str, used: Sequence[str]) -> None:
        super().__init__(model, used)
        self.model = model
        self.used = tuple(used)

    def __str__(self) -> str:
        named = ", ".join(self.used[:_MOST_NAMED]) + (", ..." if len(self.used) > _MOST_NAMED else "")
        return f"no call in the log uses model {shown(self.model)}; name one of: {named}"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Some calls as they were billed, and the same tokens at the price of `target`."""

    target: str
    bill: Bill
    #: dollars
    new_cost: Decimal
    #: dollars; below 0 when the move costs more
    saving: Decimal
    arithmetic: str
    rows: Rows


def what_if(log: UsageLog, prices: PriceTable, source: str, target: str) -> Move:
    """The move of every call on `source` to `target`. Names are looked up as `PriceTable.find` does.

    Raises:
        UnusedModel: the log has no call on `source`.
        MissingPrice: a model of the log, or `target`, has no price.
    """
    rates = prices.of(log)
    wanted = prices.find(source)
    calls = [call for call in log.calls if call.model == source or rates[call.model] == wanted]
    if not calls:
        raise UnusedModel(source, sorted(rates))
    return moved(calls, rates, prices.need(target), _where(calls))


def _where(calls: Sequence[Call]) -> str:
    models = sorted({call.model for call in calls})
    more = f" or {len(models) - _MOST_NAMED:,} other spellings" if len(models) > _MOST_NAMED else ""
    return f"model is {' or '.join(models[:_MOST_NAMED])}{more}"


def moved(calls: Sequence[Call], rates: Mapping[str, Price], target: Price, where: str) -> Move:
    """`calls`, chosen by `where`, on `target`."""
    bill = Bill.of(calls, rates)
    fed = sum(call.input_tokens for call in calls)
    made = sum(call.output_tokens for call in calls)
    new_cost = target.cost(fed, made)
    saving = bill.cost - new_cost
    return Move(
        target=target.name,
        bill=bill,
        new_cost=new_cost,
        saving=saving,
        arithmetic=(
            f"now {bill.arithmetic}; the same tokens on {target.name}: {term(fed, made, target)}; "
            f"{usd_exact(bill.cost)} - {usd_exact(new_cost)} = {usd_exact(saving)}"
        ),
        rows=Rows.of(calls, where),
    )
