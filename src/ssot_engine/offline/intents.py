"""The questions the offline team answers, and the keyword rules that recognise them."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

__all__ = ["Intent", "IntentName", "describe", "match"]

_READ_CHARACTERS = 2_000


class IntentName(StrEnum):
    """The named questions, in the order in which help lists them."""

    OVERVIEW = "spend overview"
    BY_MODEL = "cost by model"
    BY_FEATURE = "cost by feature"
    BY_DAY = "cost by day"
    PEAK_HOURS = "peak hours"
    SLOWEST = "slowest model"
    FAILURES = "errors and retries"
    REPEATS = "cacheable share"
    WHAT_IF = "what-if move"
    SAVINGS = "savings report"
    HELP = "help"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A recognised question. `source` and `target` are the models of a what-if move, as the question writes them."""

    name: IntentName
    source: str | None = None
    target: str | None = None


_EXAMPLES = {
    IntentName.OVERVIEW: "Where does my LLM spend go?",
    IntentName.BY_MODEL: "What does each model cost?",
    IntentName.BY_FEATURE: "Which feature costs the most?",
    IntentName.BY_DAY: "What did we spend per day?",
    IntentName.PEAK_HOURS: "When are our peak hours?",
    IntentName.SLOWEST: "Which model is slowest?",
    IntentName.FAILURES: "What do errors and retries cost?",
    IntentName.REPEATS: "How many prompts could a cache answer?",
    IntentName.WHAT_IF: "What if I move gpt-4o to gpt-4o-mini?",
    IntentName.SAVINGS: "How can I optimize my LLM costs?",
    IntentName.HELP: "What can you do?",
}


def _any(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SPEND = _any(
    "cost costs costing spend spends spent spending price pay paid bill money expensive dearest dollars usage"
)

#: a question matches the first rule of which every set has one of its words
_RULES: tuple[tuple[IntentName, tuple[frozenset[str], ...]], ...] = (
    (IntentName.HELP, (_any("what which"), _any("can could"), _any("you"), _any("do answer tell ask"))),
    (IntentName.SLOWEST, (_any("slow slower slowest latency latencies p50 p95 fast faster fastest speed"),)),
    (IntentName.FAILURES, (_any("error errors fail fails failed failing failure failures retry retries retried"),)),
    (IntentName.REPEATS, (_any("cache cached caching cacheable repeat repeats repeated duplicate duplicates"),)),
    (IntentName.PEAK_HOURS, (_any("peak peaks busiest"),)),
    (IntentName.PEAK_HOURS, (_any("hour hours hourly"), _SPEND | _any("calls traffic busy"))),
    (IntentName.BY_FEATURE, (_any("feature features"), _SPEND)),
    (IntentName.BY_DAY, (_any("day days daily date"), _SPEND)),
    (IntentName.SAVINGS, (_any("save saves saving savings reduce cut cutting cheaper lower waste wasted wasting"),)),
    (IntentName.SAVINGS, (_any("optimize optimizing optimization optimise optimising optimisation report findings"),)),
    (IntentName.BY_MODEL, (_any("model models"), _SPEND)),
    (IntentName.OVERVIEW, (_SPEND - _any("price money"),)),
)

_MOVES = _any(
    "move moves moved moving switch switched switching replace replaced replacing swap migrate migrating change"
)
_ONTO = _any("to onto with by")
_FILLERS = _any(
    "a an the all any my our from of on for calls call requests traffic everything model models something anything "
    "another different other cheaper smaller better one"
)


def match(question: str) -> Intent | None:
    """The named question that `question` asks, or None. Only its first 2,000 characters are read."""
    read = question[:_READ_CHARACTERS]
    words = frozenset(re.findall(r"[a-z0-9]+", read.lower()))
    if words == {"help"}:
        return Intent(name=IntentName.HELP)
    move = _what_if([word.strip(".:/-") for word in re.findall(r"[\w.:/@+-]+", read)])
    if move is not None:
        return move
    found = next((name for name, needs in _RULES if all(words & need for need in needs)), None)
    return None if found is None else Intent(name=found)


def describe() -> list[tuple[str, str]]:
    """Every named question and an example of it."""
    return [(name.value, _EXAMPLES[name]) for name in IntentName]


def _what_if(words: list[str]) -> Intent | None:
    """`move ... SOURCE ... to TARGET`, in any of its spellings."""
    plain = [word.lower() for word in words]
    verb = next((place for place, word in enumerate(plain) if word in _MOVES), len(plain))
    onto = next((place for place, word in enumerate(plain) if place > verb and word in _ONTO), len(plain))
    sources = [word for word in words[verb + 1 : onto] if word.lower() not in _FILLERS]
    targets = [word for word in words[onto + 1 :] if word.lower() not in _FILLERS]
    if not sources or not targets:
        return None
    source = next((word for word in reversed(sources) if _looks_like_model(word)), sources[-1])
    return Intent(name=IntentName.WHAT_IF, source=source, target=targets[0])


def _looks_like_model(word: str) -> bool:
    return "-" in word or any(character.isdigit() for character in word)
