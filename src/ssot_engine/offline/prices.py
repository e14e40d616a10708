"""What a model's tokens cost: the table of `config/prices.yaml`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from os import PathLike, fspath
from typing import Literal

import msgspec
import yaml

from ssot_engine.errors import ConfigError, RequestError, shown
from ssot_engine.offline.figures import counted
from ssot_engine.offline.usage import UsageLog
from ssot_engine.settings import packaged

__all__ = ["BadPrices", "MissingPrice", "Price", "PriceTable"]

_DATED = re.compile(r"-(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|latest)\Z")
_MOST_NAMED = 5


class BadPrices(ConfigError):
    """The price table at `path` cannot be used; `problem` says why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"price table {self.path!r} {self.problem}"


class MissingPrice(RequestError):
    """Models have no price. `models` maps each to the number of rows that name it, `path` is the table to extend."""

    status = 422

    def __init__(self, models: Mapping[str, int], path: str) -> None:
        super().__init__(models, path)
        self.models = dict(models)
        self.path = path

    def __str__(self) -> str:
        named = ", ".join(
            f"{shown(model)} ({counted(rows, 'row')})" for model, rows in list(self.models.items())[:_MOST_NAMED]
        )
        more = f" and {len(self.models) - _MOST_NAMED:,} more models" if len(self.models) > _MOST_NAMED else ""
        entry = f"{next(iter(self.models))}: {{input_per_million: 0.00, output_per_million: 0.00}}"
        return f"no price for {named}{more}; add an entry per model under 'models:' in {self.path}, like {entry}"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one model costs, in dollars per million tokens."""

    name: str
    input_per_million: Decimal
    output_per_million: Decimal
    #: the model worth trying in this one's place for simple tasks
    smaller: str | None = None

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The exact price of these tokens in dollars."""
        return (self.input_per_million * input_tokens + self.output_per_million * output_tokens).scaleb(-6)


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    input_per_million: Decimal
    output_per_million: Decimal
    smaller: str | None = None

    def __post_init__(self) -> None:
        for price in (self.input_per_million, self.output_per_million):
            if not price.is_finite() or price < 0:
                raise ValueError(f"a price is a number >= 0, not {price}")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    as_of: date
    currency: Literal["USD"]
    models: dict[str, _Entry]


class PriceTable(msgspec.Struct, frozen=True, kw_only=True):
    """Prices by model name, and the day they were right."""

    path: str
    as_of: date
    prices: dict[str, Price]

    @classmethod
    def load(cls, path: str | PathLike[str] | None = None) -> PriceTable:
        """The table in the YAML file `path`; the packaged one without.

        Raises:
            BadPrices: the file cannot be read or is no price table; a `smaller` model has no price of its own.
        """
        name = fspath(packaged("prices.yaml") if path is None else path)
        try:
            with open(name, "rb") as file:
                found = msgspec.convert(yaml.safe_load(file), _File)
        except OSError as problem:
            raise BadPrices(name, f"cannot be read: {problem.strerror or problem}") from problem
        except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as problem:
            raise BadPrices(name, f"is no price table: {problem}; see config/prices.yaml for the format") from problem
        return cls(path=name, as_of=found.as_of, prices=_prices(name, found.models))

    def find(self, model: str) -> Price | None:
        """The price of `model`: by its exact name, else in lower case without what stands before the last `/` or
        `:` (a provider), else also without a dated ending (`-2024-08-06`, `-20241022`, `-latest`)."""
        bare = re.split(r"[/:]", model.lower())[-1]
        candidates = (model, bare, _DATED.sub("", bare))
        return next((self.prices[name] for name in candidates if name in self.prices), None)

    def need(self, model: str) -> Price:
        """The price of `model`.

        Raises:
            MissingPrice: the table has none.
        """
        price = self.find(model)
        if price is None:
            raise MissingPrice({model: 0}, self.path)
        return price

    def of(self, log: UsageLog) -> dict[str, Price]:
        """The price of every model the log names, by that name.

        Raises:
            MissingPrice: naming each model without one and how many rows it has.
        """
        rows = Counter(call.model for call in log.calls)
        found = {model: self.find(model) for model in rows}
        missing = {model: rows[model] for model, price in found.items() if price is None}
        if missing:
            raise MissingPrice(missing, self.path)
        return {model: price for model, price in found.items() if price is not None}


def _prices(path: str, entries: Mapping[str, _Entry]) -> dict[str, Price]:
    prices = {}
    for name, entry in entries.items():
        if entry.smaller is not None and entry.smaller not in entries:
            raise BadPrices(path, f"names {entry.smaller!r} as smaller than {name!r} but gives it no price; add one")
        prices[name] = Price(
            name=name,
            input_per_million=entry.input_per_million,
            output_per_million=entry.output_per_million,
            smaller=entry.smaller,
        )
    return prices
