"""Facts about recognising questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssot_engine.offline.intents import Intent, IntentName, describe, match


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where does my LLM spend go?", IntentName.OVERVIEW),
        ("where is all my money spent", IntentName.OVERVIEW),
        ("What does each model cost?", IntentName.BY_MODEL),
        ("most expensive model", IntentName.BY_MODEL),
        ("cost by feature", IntentName.BY_FEATURE),
        ("Show me daily spend", IntentName.BY_DAY),
        ("cost per hour", IntentName.PEAK_HOURS),
        ("When is the busiest time?", IntentName.PEAK_HOURS),
        ("Which model is slowest?", IntentName.SLOWEST),
        ("p95 latency please", IntentName.SLOWEST),
        ("How much do failed calls cost?", IntentName.FAILURES),
        ("errors/retries", IntentName.FAILURES),
        ("cacheable share", IntentName.REPEATS),
        ("Would caching save money?", IntentName.REPEATS),
        ("optimize", IntentName.SAVINGS),
        ("Test AI optimization request", IntentName.SAVINGS),
        ("How do I reduce cost per model?", IntentName.SAVINGS),
        ("Can I move to a cheaper model?", IntentName.SAVINGS),
        ("full report", IntentName.SAVINGS),
        ("help", IntentName.HELP),
        ("HELP!", IntentName.HELP),
        ("What can you do?", IntentName.HELP),
        ("help me save on errors", IntentName.FAILURES),
    ],
)
def test_a_named_question_is_recognised(question: str, expected: IntentName) -> None:
    """Keywords decide, in the order of the rules."""
    assert Intent(name=expected) == match(question)


@pytest.mark.parametrize(
    "question",
    [
        "What if I move gpt-4o to gpt-4o-mini?",
        "move gpt-4o to gpt-4o-mini.",
        "Replace gpt-4o with gpt-4o-mini",
        "move our 2 features on gpt-4o to gpt-4o-mini",
        "what would it cost to switch all calls from gpt-4o to the gpt-4o-mini model?",
        "How much would we save by migrating support traffic on gpt-4o to gpt-4o-mini",
    ],
)
def test_a_move_carries_its_models(question: str) -> None:
    """Source and target are read in the usual spellings of the question."""
    assert Intent(name=IntentName.WHAT_IF, source="gpt-4o", target="gpt-4o-mini") == match(question)


def test_models_keep_their_spelling() -> None:
    """Provider prefixes and case are left to the price table."""
    expected = Intent(name=IntentName.WHAT_IF, source="openai/GPT-4o", target="ollama:llama3.2")
    assert expected == match("switch openai/GPT-4o to ollama:llama3.2")
    assert Intent(name=IntentName.WHAT_IF, source="large", target="small") == match("move large to small")


@pytest.mark.parametrize(
    "question",
    [
        "",
        "   ",
        "What is the capital of France?",
        "Write a poem",
        "hello",
        "move",
        "move to",
        "🙂",
        "help me write a letter",
    ],
)
def test_any_other_question_is_unknown(question: str) -> None:
    """Nothing is guessed."""
    assert match(question) is None


@pytest.mark.parametrize(("name", "example"), describe())
def test_each_example_is_recognised_as_what_it_exemplifies(name: str, example: str) -> None:
    """What help lists can be asked as it stands."""
    found = match(example)
    assert found is not None
    assert name == found.name


def test_help_lists_every_intent() -> None:
    """No intent is hidden."""
    assert list(IntentName) == [name for name, _ in describe()]


def test_only_the_beginning_of_a_long_question_is_read() -> None:
    """A huge question takes no longer than its first 2,000 characters."""
    assert match("x " * 1_000 + "optimize") is None
    assert Intent(name=IntentName.SAVINGS) == match("optimize " + "x " * 1_000_000)


@given(st.text())
def test_any_text_is_answered(question: str) -> None:
    """Whatever is asked, the result is an intent or None, the same each time."""
    assert match(question) == match(question)
