"""Facts about the price table."""

from __future__ import annotations

import pickle
from decimal import Decimal
from pathlib import Path

import pytest
from usage_logs import call, log, price, table

from ssot_engine.errors import ConfigError
from ssot_engine.offline.prices import BadPrices, MissingPrice, PriceTable

HEAD = "as_of: 2026-04-01\ncurrency: USD\nmodels:\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


def test_prices_are_exact_decimals(tmp_path: Path) -> None:
    """0.15 in YAML is fifteen hundredths, not the nearest float."""
    found = PriceTable.load(written(tmp_path, HEAD + "  m: {input_per_million: 0.15, output_per_million: 3}\n"))
    assert (Decimal("0.15"), Decimal(3)) == (found.prices["m"].input_per_million, found.prices["m"].output_per_million)
    assert str(found.as_of) == "2026-04-01"


def test_the_cost_of_tokens_is_exact() -> None:
    """3 in at $0.15 and 7 out at $0.60 per million are 4.65 millionths of a dollar."""
    assert Decimal("0.00000465") == price("m", "0.15", "0.60").cost(3, 7)


def test_the_packaged_table_loads() -> None:
    """Without a path the packaged file is used, and each smaller model in it is cheaper."""
    found = PriceTable.load()
    assert Decimal("2.5") == found.need("gpt-4o").input_per_million
    for one in found.prices.values():
        if one.smaller is not None:
            assert found.need(one.smaller).cost(1, 1) < one.cost(1, 1)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "GPT-4o",
        "openai/gpt-4o",
        "openai:gpt-4o",
        "gpt-4o-2024-08-06",
        "openai/gpt-4o-20240806",
        "gpt-4o-latest",
    ],
)
def test_a_model_is_found_under_its_usual_spellings(model: str) -> None:
    """Provider prefix, case and dated ending do not matter."""
    found = table(price("gpt-4o", "1", "1"), price("gpt-4o-mini", "2", "2")).find(model)
    assert found is not None
    assert found.name == "gpt-4o"


def test_an_exact_name_wins() -> None:
    """A dated model with its own entry does not fall back to the undated one."""
    found = table(price("m", "1", "1"), price("m-2024-08-06", "2", "2")).find("m-2024-08-06")
    assert found is not None
    assert found.name == "m-2024-08-06"


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4", "gpt-4o-2024-08-06-x", "gpt-4o-2024", "gpt-latest-4o", ""])
def test_a_name_that_only_looks_alike_is_not_found(model: str) -> None:
    """Nothing is guessed from a common beginning."""
    assert table(price("gpt-4o", "1", "1")).find(model) is None


def test_a_missing_price_names_models_rows_and_file() -> None:
    """The error counts rows per model and says what to write where."""
    calls = (call(2), call(3, model="new"), call(4, model="new"), call(5, model="other"))
    with pytest.raises(MissingPrice) as caught:
        table().of(log(*calls))
    assert caught.value.models == {"new": 2, "other": 1}
    expected = (
        "no price for 'new' (2 rows), 'other' (1 row); add an entry per model under 'models:' in config/prices.yaml, "
        "like new: {input_per_million: 0.00, output_per_million: 0.00}"
    )
    assert expected == str(caught.value)
    assert expected == str(pickle.loads(pickle.dumps(caught.value)))
    assert caught.value.status == 422


def test_a_missing_price_is_bounded() -> None:
    """Of many models five are named and the rest counted."""
    assert "and 95 more models" in str(MissingPrice({f"m{number}": 1 for number in range(100)}, "p"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "  m: {input_per_million: -1, output_per_million: 0}", "a price is a number >= 0"),
        (HEAD + "  m: {input_per_million: .nan, output_per_million: 0}", "is no price table"),
        (HEAD + "  m: {input_per_million: 1}", "output_per_million"),
        (HEAD + "  m: {input_per_million: 1, output_per_million: 1, outptu: 1}", "outptu"),
        (HEAD + "  m: {input_per_million: 1, output_per_million: 1, smaller: n}", "gives it no price"),
        (HEAD.replace("USD", "EUR") + "  {}", "EUR"),
        (HEAD + "  m: [", "is no price table"),
        ("", "is no price table"),
        ("\x00", "is no price table"),
    ],
)
def test_a_bad_table_says_why(tmp_path: Path, text: str, problem: str) -> None:
    """Values, unknown keys, currency and syntax are checked; the operator can act."""
    path = written(tmp_path, text)
    with pytest.raises(BadPrices) as caught:
        PriceTable.load(path)
    assert problem in str(caught.value)
    assert str(path) == caught.value.path
    assert isinstance(caught.value, ConfigError)


def test_a_table_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A path the operator gave must exist."""
    with pytest.raises(BadPrices, match="cannot be read"):
        PriceTable.load(tmp_path / "none.yaml")
