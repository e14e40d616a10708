"""Agents: what counts as one, and what they are given."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes import check_thread, context_of, events_of
from running import Start
from ssot_engine.agents import Agent, FunctionAgent, Output, RunContext, agent, as_agent
from ssot_engine.errors import ConfigError


@agent("streams")
async def streams(run: RunContext) -> AsyncIterator[str]:
    """Streams a word."""
    yield "word"


@agent
async def returns(run: RunContext) -> str:
    return "word"


@agent()
def blocks(run: RunContext) -> str:
    return "word"


class Whole:
    """An agent as an object."""

    name = "whole"

    async def execute(self, run: RunContext) -> AsyncIterator[str]:
        yield "word"


async def bare(run: RunContext) -> str:
    return "word"


def test_the_decorator_names_a_function_or_takes_its_name() -> None:
    """`@agent`, `@agent()` and `@agent("name")`; calling it calls the function."""
    assert ["streams", "returns", "blocks"] == [one.name for one in (streams, returns, blocks)]
    assert "Streams a word." == streams.description
    assert isinstance(streams, FunctionAgent)
    assert isinstance(streams, Agent)
    assert "<agent 'streams'>" == repr(streams)
    assert "word" == blocks(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [streams, returns, blocks, Whole(), bare])
async def test_any_form_of_agent_runs(start: Start, given: Any) -> None:
    """Generator, coroutine, plain function, object, and a function that was not decorated."""
    container = await start(given)
    async with container.engine_factory().engine_for(context_of()) as engine:
        (info,) = engine.get_available_agents()
        assert "word" == (await engine.run(info.name, "go")).output
    check_thread(events_of(container.event_log()))


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        "agent",
        None,
        object(),
        Whole,
        functools.partial(bare),
        type("NoName", (), {"execute": lambda self, run: None})(),
        type("NotCallable", (), {"name": "x", "execute": 5})(),
        type("Another", (), {"name": "x", "run": lambda self: None})(),
    ],
    ids=repr,
)
def test_what_is_no_agent_is_refused_with_what_was_expected(wrong: Any) -> None:
    """Also another framework's class that has a name and a `run`."""
    with pytest.raises(ConfigError, match=r"is no agent; register a function of one RunContext, or an object with"):
        as_agent(wrong)


async def test_an_agent_is_told_who_asks_what(start: Start) -> None:
    """Ids, message, inputs, and the time it has, by the loop's clock."""
    seen: dict[str, Any] = {}

    @agent("agent")
    async def looks(run: RunContext) -> None:
        seen.update(
            ids=(run.user_id, run.thread_id, run.run_id),
            context=run.context,
            message=run.message,
            inputs=dict(run.inputs),
            left=run.deadline - asyncio.get_running_loop().time(),
            cancelled=run.cancelled,
            history=run.history,
        )

    container = await start(looks)
    context = context_of()
    async with container.engine_factory().engine_for(context) as engine:
        await engine.run("agent", "question", inputs={"depth": 3}, timeout_s=10)
    assert ("alice", "t-1", "run-1") == seen["ids"]
    assert seen["context"] is context
    assert ("question", {"depth": 3}, False, ()) == tuple(
        seen[key] for key in ("message", "inputs", "cancelled", "history")
    )
    assert 9.5 < seen["left"] <= 10


async def test_usage_adds_up_over_all_agents_of_a_run(start: Start) -> None:
    """Tokens as reported, calls as made; nothing is reported, nothing is counted."""

    @agent("inner")
    async def inner(run: RunContext) -> None:
        run.report_usage(input_tokens=5, output_tokens=1, requests=2)

    @agent("agent")
    async def outer(run: RunContext) -> None:
        run.report_usage(input_tokens=10)
        await run.agents.call("inner", "go")

    container = await start(inner, outer, bare)
    async with container.engine_factory().engine_for(context_of()) as engine:
        usage = (await engine.run("agent", "go")).usage
        nothing = (await engine.run("bare", "go")).usage
    assert (15, 1, 3, 0, 1) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.requests,
        usage.tool_calls,
        usage.agent_calls,
    )
    assert (0, 0, 0) == (nothing.input_tokens, nothing.requests, nothing.agent_calls)


def test_an_output_cannot_change() -> None:
    """What an agent gave stays so."""
    output = Output({"a": 1})
    with pytest.raises(AttributeError):
        output.value = 2
