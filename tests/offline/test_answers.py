"""Facts about whole answers."""

from __future__ import annotations

import re

import pytest

from ssot_engine.offline.answers import answer
from ssot_engine.offline.intents import describe
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.report import MODEL_LINE
from ssot_engine.offline.sample import sample_log

QUESTIONS = [example for _, example in describe()]


@pytest.mark.parametrize("question", [*QUESTIONS, "Write a poem"])
def test_every_reply_ends_with_the_model_and_names_the_data(question: str) -> None:
    """Known or not, the reply says `model: offline` and what data it speaks of."""
    lines = answer(question, sample_log(), PriceTable.load()).splitlines()
    assert lines[-1] == MODEL_LINE
    assert any(line.startswith("data: sample usage log (synthetic), ") for line in lines[-4:])


def test_no_two_questions_have_the_same_answer() -> None:
    """Each named question is answered by its own text."""
    answers = {answer(question, sample_log(), PriceTable.load()) for question in QUESTIONS}
    assert len(QUESTIONS) == len(answers)


@pytest.mark.parametrize("question", QUESTIONS[:-1])
def test_every_term_of_an_answer_can_be_recomputed(question: str) -> None:
    """`tokens x price + tokens x price = cost` in the text is true to the last digit."""
    text = answer(question, sample_log(), PriceTable.load())
    terms = re.findall(r"([\d,]+) in x \$([\d.]+)/M \+ ([\d,]+) out x \$([\d.]+)/M = \$([\d,.]*\d)", text)
    for fed, fed_price, made, made_price, cost in terms:
        # In hundred-millionths of a dollar, as whole numbers: prices have two decimals.
        parts = [int(tokens.replace(",", "")) for tokens in (fed, made)]
        prices = [int(price.replace(".", "")) for price in (fed_price, made_price)]
        expected = sum(tokens * price for tokens, price in zip(parts, prices, strict=True))
        dollars, _, rest = cost.replace(",", "").partition(".")
        assert expected == int(dollars + rest.ljust(8, "0"))
    assert terms or question == "Which model is slowest?"


def test_an_unknown_question_lists_what_can_be_asked() -> None:
    """Every example stands in the reply."""
    text = answer("Write a poem", sample_log(), PriceTable.load())
    assert [True] * len(QUESTIONS) == [question in text for question in QUESTIONS]
