"""Facts about moving calls to another model."""

from __future__ import annotations

from decimal import Decimal

import pytest
from usage_logs import call, log, table

from ssot_engine.offline.moves import UnusedModel, what_if
from ssot_engine.offline.prices import MissingPrice

LOG = log(
    call(2, input_tokens=100_000, output_tokens=10_000),
    call(3, model="little"),
    call(4, model="vendor/big-2026-01-01", input_tokens=200_000, output_tokens=0),
)


def test_a_move_by_hand() -> None:
    """300,000 in and 10,000 out cost $3.20 on big and $0.32 on little."""
    move = what_if(LOG, table(), "big", "little")
    assert (Decimal("3.2"), Decimal("0.32"), Decimal("2.88")) == (move.bill.cost, move.new_cost, move.saving)
    assert move.arithmetic.endswith(
        "the same tokens on little: 300,000 in x $1.00/M + 10,000 out x $2.00/M = $0.32; $3.20 - $0.32 = $2.88"
    )


def test_a_move_takes_every_spelling_of_its_source() -> None:
    """Dated and prefixed names that have the same price are the same model, and the rows say which."""
    for source in ("big", "big-latest", "vendor/big"):
        assert (
            str(what_if(LOG, table(), source, "little").rows) == "2 where model is big or vendor/big-2026-01-01: 2, 4"
        )


def test_a_move_to_a_dearer_model_costs_more() -> None:
    """The saving is then below 0."""
    assert Decimal("-0.0108") == what_if(LOG, table(), "little", "big").saving


def test_a_source_the_log_does_not_use_is_refused() -> None:
    """The error names the models that can be moved."""
    with pytest.raises(
        UnusedModel, match="no call in the log uses model 'gpt-9'; name one of: big, little, vendor/big"
    ):
        what_if(LOG, table(), "gpt-9", "little")


def test_a_target_without_price_is_refused() -> None:
    """What it would cost is not guessed."""
    with pytest.raises(MissingPrice, match="no price for 'gpt-9'"):
        what_if(LOG, table(), "big", "gpt-9")
