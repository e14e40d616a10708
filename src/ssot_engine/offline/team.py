"""The offline team: a supervisor and the four agents it asks, answering by rules about an LLM usage log.

The agents keep nothing between runs. `inputs["data"]` names the user's own log as a file, which takes the permission
`files.read`; `inputs["skip_bad_rows"]` leaves its bad rows out. Without it they read the packaged sample.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from ssot_engine.agents import RunContext, Team, agent
from ssot_engine.errors import RequestError, shown
from ssot_engine.offline.intents import Intent, IntentName, match
from ssot_engine.offline.report import (
    failures_text,
    findings_text,
    help_text,
    latency_text,
    move_text,
    overview_text,
    peak_text,
    repeats_text,
    spend_text,
    unknown_text,
)
from ssot_engine.offline.source import Source
from ssot_engine.offline.spend import Dimension
from ssot_engine.offline.toolbox import TOOLS, Loaded, WhatIf

__all__ = ["TEAM", "Facts"]


class Step(msgspec.Struct, frozen=True):
    """One tool call, and the arguments it takes beside the source."""

    tool: str
    arguments: Mapping[str, Any] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of question is answered: what `data` and `optimize` call, and what is written of their results."""

    data: tuple[Step, ...] = ()
    optimize: tuple[Step, ...] = ()
    #: takes the results, those of `data` first
    write: Callable[..., str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `data` found: the log it read, and the results of its steps in order."""

    loaded: Loaded
    found: tuple[Any, ...]


def _spend(dimension: Dimension) -> Step:
    return Step("spend_by", {"by": dimension.value})


def _move_text(found: WhatIf) -> str:
    return move_text(found.move, found.period)


_SAVINGS = Step("find_savings")
_NOTHING = Plan(write=help_text)
_PLANS: Mapping[IntentName, Plan] = {
    IntentName.OVERVIEW: Plan(
        data=(_spend(Dimension.FEATURE), _spend(Dimension.MODEL)), optimize=(_SAVINGS,), write=overview_text
    ),
    IntentName.BY_MODEL: Plan(data=(_spend(Dimension.MODEL),), write=spend_text),
    IntentName.BY_FEATURE: Plan(data=(_spend(Dimension.FEATURE),), write=spend_text),
    IntentName.BY_DAY: Plan(data=(_spend(Dimension.DAY),), write=spend_text),
    IntentName.PEAK_HOURS: Plan(data=(_spend(Dimension.HOUR),), write=peak_text),
    IntentName.SLOWEST: Plan(data=(Step("slowest_models"),), write=latency_text),
    IntentName.FAILURES: Plan(data=(Step("failed_calls"),), write=failures_text),
    IntentName.REPEATS: Plan(data=(Step("repeated_prompts"),), write=repeats_text),
    IntentName.SAVINGS: Plan(optimize=(_SAVINGS,), write=findings_text),
    IntentName.HELP: _NOTHING,
}


# ------------------------------------------------------------------------------ agents


@agent
async def supervisor(run: RunContext) -> AsyncIterator[str]:
    """Answers a question about an LLM usage log: asks the other four, then streams the answer."""
    run.emit.thinking("which question is it?", 1, 0.0)
    intent = await run.agents.call("triage", run.message)
    run.emit.thinking("asking data", 2, 20.0)
    inputs = {name: run.inputs[name] for name in ("data", "skip_bad_rows") if name in run.inputs}
    facts: Facts = await run.agents.call("data", run.message, intent=intent, **inputs)
    found = facts.found
    if _plan_for(intent).optimize:
        run.emit.thinking("asking optimize", 3, 60.0)
        found += await run.agents.call("optimize", run.message, intent=intent, loaded=facts.loaded)
    run.emit.thinking("asking report", 4, 80.0)
    text = await run.agents.call("report", run.message, intent=intent, loaded=facts.loaded, found=found)
    for word in re.findall(r"\S+\s*|\s+", text):
        yield word
        await asyncio.sleep(0)


@agent
async def triage(run: RunContext) -> Intent | None:
    """Recognises which of the named questions is asked; none for any other."""
    intent = match(run.message)
    run.emit.thinking("no named question fits" if intent is None else f"question: {intent.name}")
    return intent


@agent
async def data(run: RunContext) -> Facts:
    """Loads the usage log and gathers the figures a question needs."""
    plan = _plan(run)
    loaded = await _load(run)
    run.emit.thinking(f"{loaded.calls:,} calls in {loaded.label}, {loaded.period}")
    return Facts(loaded=loaded, found=await _take(run, plan.data, loaded.source))


@agent
async def optimize(run: RunContext) -> tuple[Any, ...]:
    """Computes what a change would save: failures, repeated prompts, smaller models, a move you name."""
    plan, loaded = _plan(run), run.inputs.get("loaded")
    if not isinstance(loaded, Loaded):
        loaded = await _load(run)
    run.emit.thinking("computing what a change saves")
    return await _take(run, plan.optimize, loaded.source)


@agent
async def report(run: RunContext) -> str:
    """Writes the answer from what data and optimize found, each figure with its arithmetic and rows."""
    loaded, found = run.inputs.get("loaded"), run.inputs.get("found")
    if not isinstance(loaded, Loaded) or not isinstance(found, tuple):
        raise RequestError("report writes up what data and optimize found and was given nothing; ask supervisor")
    intent = _intent(run)
    run.emit.thinking("writing the answer")
    body = unknown_text(run.message) if intent is None else _plan_for(intent).write(*found)
    return f"{body}{loaded.footer}"


#: The agents and their tools.
TEAM = Team(agents=(supervisor, triage, data, optimize, report), tools=TOOLS)


# ---------------------------------------------------------------------------- workings


def _plan_for(intent: Intent | None) -> Plan:
    if intent is None:
        return _NOTHING
    if intent.name is IntentName.WHAT_IF:
        move = Step("what_if", {"model": intent.source or "", "target": intent.target or ""})
        return Plan(optimize=(move,), write=_move_text)
    return _PLANS[intent.name]


def _plan(run: RunContext) -> Plan:
    return _plan_for(_intent(run))


def _intent(run: RunContext) -> Intent | None:
    """What the supervisor says the question is; an agent that is asked directly finds out itself."""
    given = run.inputs.get("intent")
    return given if isinstance(given, Intent) else match(run.message)


async def _load(run: RunContext) -> Loaded:
    """The log the user names, or the sample.

    Raises:
        RequestError: an input is of the wrong type.
    """
    path, skip = run.inputs.get("data"), run.inputs.get("skip_bad_rows", False)
    if path is None:
        return await run.tools.call("load_sample")  # type: ignore[no-any-return]
    if not isinstance(path, str) or not isinstance(skip, bool):
        raise RequestError(
            f"inputs data={shown(path)} and skip_bad_rows={shown(skip)} do not fit; pass the path as text, and true "
            "or false"
        )
    return await run.tools.call("load_usage", path=path, skip_bad_rows=skip)  # type: ignore[no-any-return]


async def _take(run: RunContext, steps: Sequence[Step], source: Source | None) -> tuple[Any, ...]:
    """The results of these steps, in order."""
    named = {} if source is None else {"source": source}
    return tuple([await run.tools.call(step.tool, **step.arguments, **named) for step in steps])
