"""The words of a migration: counted things, and what a person is told about an old name that is left alone."""

from __future__ import annotations

from collections.abc import Iterable

from ssot_engine.legacy.former import FormerName, Kind
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.lookup import Became, Fate

#: Classes that the container makes, and what a caller does instead of calling them.
_MADE_FOR_CALLERS = {
    "ssot_engine.engine.UserExecutionEngine": (
        "get it from the factory: `async with factory.engine_for(context) as engine`"
    ),
    "ssot_engine.factory.ExecutionEngineFactory": "take that of the container in use: `container.engine_factory()`",
    "ssot_engine.emitter.UnifiedWebSocketEmitter": "each engine has its own: `engine.websocket_emitter`",
    "ssot_engine.instances.AgentInstanceFactory": "each engine has its own: `engine.agent_factory`",
}


def many(count: int, what: str) -> str:
    """A number of things: "1 file", "2 files"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def by_hand(became: Became, targets: Iterable[str] = ()) -> tuple[Rule, str]:
    """The rule and the `todo` for an old name that is not rewritten; `targets` are new modules of a scattered one."""
    if became.fate is Fate.SCATTERED:
        return Rule.SCATTERED_MODULE, scattered(targets)
    if became.fate is Fate.UNKNOWN or became.former is None:
        return Rule.UNKNOWN_NAME, (
            f"the table knows {became.module} and says nothing of {became.name or became.module}; "
            "add an entry for it, or replace it"
        )
    return _entry(became.former)


def scattered(targets: Iterable[str] = ()) -> str:
    """What to do about a module that is meant as one thing, and whose names went to these modules."""
    places = ", ".join(sorted(set(targets)))
    if not places:
        return "there is an entry for each of its names; replace those that are used as their entries say"
    return f"its names went to {places}; name the one that is meant, or import each name from its new module"


def wrong_call(new: str, wrong: str, call: str) -> str:
    """What to do where a call does not fit, and what is wrong with it; `call` is one as the new signature takes it."""
    instead = _MADE_FOR_CALLERS.get(new)
    return f"{new} {wrong}; call it as {call}" if instead is None else f"{new} is made by the container; {instead}"


def _entry(former: FormerName) -> tuple[Rule, str]:
    if former.kind is Kind.REMOVED:
        return Rule.REMOVED, f"it is gone: {_part(former.reason)}; instead: {_part(former.replacement)}"
    return Rule.BEHAVIOUR_CHANGED, (
        f"check this use, as what answers it differs: {_part(former.reason)}; then take it from {former.replacement}"
    )


def _part(text: str) -> str:
    return text.strip().rstrip(".")
