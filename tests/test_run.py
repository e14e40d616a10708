"""One run: however it ends, it ends once, and nothing of it follows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes import ALICE, check_thread, context_of, events_of, types_of, until
from running import Start
from ssot_engine.agents import Message, Output, RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import AgentError, ClosedError, LogUnavailable, RequestError, UnknownAgent
from ssot_engine.events import EventRefused, Outcome, RunStatus, ThreadKey
from ssot_engine.run_emitter import MAX_ON_THE_WAY

# ------------------------------------------------------------------- ends by itself


@agent("agent")
async def raises_before_anything(run: RunContext) -> AsyncIterator[str]:
    raise ValueError("broken")
    yield ""


@agent("agent")
async def raises_after_text(run: RunContext) -> AsyncIterator[str]:
    yield "half"
    raise ValueError("broken")


@agent("agent")
async def raises_while_cleaning_up(run: RunContext) -> AsyncIterator[str]:
    try:
        yield "half"
    finally:
        raise ValueError("broken")


@agent("agent")
async def raises_in_a_coroutine(run: RunContext) -> None:
    await asyncio.sleep(0)
    raise ValueError("broken")


@agent("agent")
def raises_in_a_thread(run: RunContext) -> None:
    raise ValueError("broken")


@agent("agent")
async def raises_with_a_tool_open(run: RunContext) -> None:
    task = asyncio.create_task(run.tools.call("endless"))
    await asyncio.sleep(0.01)
    try:
        raise ValueError("broken")
    finally:
        assert not task.done()


@agent("agent")
async def raises_in_a_nested_agent(run: RunContext) -> None:
    await run.agents.call("broken", "go")


class RaisesInsteadOfWorking:
    name = "agent"

    def execute(self, run: RunContext) -> Awaitable[None]:
        raise ValueError("broken")


class RaisesInAnIteratorOfItsOwn:
    name = "agent"

    def execute(self, run: RunContext) -> AsyncIterator[str]:
        return self

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        raise ValueError("broken")


@agent("agent")
async def exits(run: RunContext) -> AsyncIterator[str]:
    sys.exit(3)
    yield ""


@agent("agent")
def exits_in_a_thread(run: RunContext) -> None:
    sys.exit(3)


@agent("agent")
async def cancels_itself(run: RunContext) -> AsyncIterator[str]:
    raise asyncio.CancelledError
    yield ""


@agent("agent")
async def awaits_what_was_cancelled(run: RunContext) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@agent("agent")
async def raises_generator_exit(run: RunContext) -> AsyncIterator[str]:
    run.emit.thinking("half")
    raise GeneratorExit
    yield ""


@agent("agent")
async def stops_iteration(run: RunContext) -> None:
    raise StopIteration


@agent("agent")
def stops_iteration_in_a_thread(run: RunContext) -> None:
    raise StopIteration


@agent("agent")
async def yields_a_number(run: RunContext) -> AsyncIterator[Any]:
    yield 1


class ReturnsNothingToAwait:
    name = "agent"

    def execute(self, run: RunContext) -> Any:
        return 1


@agent("agent")
async def says_too_much(run: RunContext) -> AsyncIterator[str]:
    while True:
        yield "x" * 100_000


@agent("broken")
async def broken(run: RunContext) -> None:
    raise ValueError("broken")


async def endless() -> None:
    """A tool that does not end by itself."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("failing", "error_type"),
    [
        (raises_before_anything, "ValueError"),
        (raises_after_text, "ValueError"),
        (raises_while_cleaning_up, "ValueError"),
        (raises_in_a_coroutine, "ValueError"),
        (raises_in_a_thread, "ValueError"),
        (raises_with_a_tool_open, "ValueError"),
        (raises_in_a_nested_agent, "ValueError"),
        (RaisesInsteadOfWorking, "ValueError"),
        (RaisesInAnIteratorOfItsOwn, "ValueError"),
        (exits, "SystemExit"),
        (exits_in_a_thread, "SystemExit"),
        (cancels_itself, "CancelledError"),
        (awaits_what_was_cancelled, "CancelledError"),
        (raises_generator_exit, "GeneratorExit"),
        (stops_iteration, "RuntimeError"),
        (stops_iteration_in_a_thread, "RuntimeError"),
        (yields_a_number, "AgentError"),
        (ReturnsNothingToAwait, "AgentError"),
        (says_too_much, "AgentError"),
    ],
    ids=lambda value: getattr(getattr(value, "function", value), "__name__", value),
)
async def test_a_failing_agent_is_a_result_and_one_last_event(start: Start, failing: object, error_type: str) -> None:
    """However an agent fails, `run` returns `failed` with the reason, and the log tells the error, then the end."""
    container = await start(failing, broken, tools=[endless], engine={"max_output_bytes": 1_000_000})
    async with container.engine_factory().engine_for(context_of()) as engine:
        result = await asyncio.wait_for(engine.run("agent", "go"), 3)
    assert RunStatus.FAILED == result.status
    assert result.output is None or failing is raises_after_text
    assert result.error is not None
    assert error_type == result.error.type
    events = events_of(container.event_log())
    check_thread(events)
    assert ["agent_error", "agent_completed"] == types_of(events)[-2:]
    assert "failed" == events[-1].payload["status"]
    assert error_type == events[-1].payload["error"]["type"]
    assert error_type == events[-2].payload["error_context"]["error_type"]


async def test_a_run_that_succeeds_tells_what_it_did_in_order(start: Start) -> None:
    """Started, what the agent did in its order, completed: with the joined text and the usage."""

    @agent("agent")
    async def greets(run: RunContext) -> AsyncIterator[str]:
        run.emit.thinking("about it", 1, 50.0)
        run.report_usage(input_tokens=10, output_tokens=3)
        yield f"hello {await run.tools.call('shout', text=run.message)}"
        run.emit.custom("chart", {"points": [1, 2]})
        yield "!"

    def shout(text: str) -> str:
        return text.upper()

    container = await start(greets, tools=[shout])
    async with container.engine_factory().engine_for(context_of()) as engine:
        result = await engine.run("agent", "you")
    assert (RunStatus.COMPLETED, "hello YOU!", None, "run-1") == (
        result.status,
        result.output,
        result.error,
        result.run_id,
    )
    assert (10, 3, 1, 1) == (
        result.usage.input_tokens,
        result.usage.output_tokens,
        result.usage.requests,
        result.usage.tool_calls,
    )
    events = events_of(container.event_log())
    check_thread(events)
    assert [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "message_delta",
        "custom",
        "message_delta",
        "agent_completed",
    ] == types_of(events)
    assert "you" == events[0].payload["message"]
    assert ("completed", "hello YOU!", 10) == (
        events[-1].payload["status"],
        events[-1].payload["result"],
        events[-1].payload["usage"]["input_tokens"],
    )


async def test_the_output_is_what_an_agent_gives_as_output_or_returns(start: Start) -> None:
    """The last `Output` counts, else the joined text; a coroutine's return value is the output."""

    @agent("yields")
    async def yields(run: RunContext) -> AsyncIterator[Any]:
        yield "text"
        yield Output({"a": 1})
        yield Output({"a": 2})

    @agent("returns")
    async def returns(run: RunContext) -> Any:
        return Output([1])

    @agent("thread")
    def thread(run: RunContext) -> Any:
        return threading.current_thread() is not threading.main_thread()

    container = await start(yields, returns, thread)
    async with container.engine_factory().engine_for(context_of()) as engine:
        outputs = [(await engine.run(name, "")).output for name in ("yields", "returns", "thread")]
    assert [{"a": 2}, [1], True] == outputs


# ------------------------------------------------------------------- is made to end


@agent("agent")
async def waits(run: RunContext) -> None:
    await asyncio.Event().wait()


@agent("agent")
async def waits_in_a_generator(run: RunContext) -> AsyncIterator[str]:
    yield "half"
    await asyncio.Event().wait()


@agent("agent")
async def streams_for_ever(run: RunContext) -> AsyncIterator[str]:
    while True:
        yield "more "
        await asyncio.sleep(0.001)


@agent("agent")
async def swallows_the_stop_and_returns(run: RunContext) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "finished anyway"
    return ""


@agent("agent")
async def answers_the_stop_with_an_error(run: RunContext) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise ValueError("not now") from None
    return ""


@agent("agent")
async def ignores_every_stop(run: RunContext) -> str:
    while True:
        try:
            run.emit.thinking("still here")
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            pass
        except EventRefused:
            return "refused at last"


@agent("agent")
async def hangs_while_cleaning_up(run: RunContext) -> AsyncIterator[str]:
    try:
        yield "half"
        await asyncio.Event().wait()
    finally:
        while True:
            await asyncio.sleep(0.005)
            run.emit.thinking("still cleaning")


@agent("agent")
def waits_in_a_thread(run: RunContext) -> None:
    while not run.cancelled:
        time.sleep(0.002)


@agent("agent")
async def waits_for_a_tool(run: RunContext) -> None:
    await run.tools.call("endless")


@agent("agent")
async def waits_for_a_nested_agent(run: RunContext) -> None:
    await run.agents.call("nested", "go")


@agent("agent")
async def waits_for_many(run: RunContext) -> None:
    calls = [run.tools.call("endless"), run.agents.call("nested", "go"), run.agents.call("nested", "go")]
    await asyncio.gather(*calls)


@agent("nested")
async def nested(run: RunContext) -> AsyncIterator[str]:
    yield "part "
    await run.tools.call("endless")


LONG = [
    waits,
    waits_in_a_generator,
    streams_for_ever,
    swallows_the_stop_and_returns,
    answers_the_stop_with_an_error,
    ignores_every_stop,
    hangs_while_cleaning_up,
    waits_in_a_thread,
    waits_for_a_tool,
    waits_for_a_nested_agent,
    waits_for_many,
]
Stopped = tuple[RunStatus, UserExecutionEngine]


async def by_cancel(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.01)
        await engine.cancel(stream.run_id)
        assert (await stream.result()).status is RunStatus.CANCELLED
    return RunStatus.CANCELLED


async def by_deadline(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert (await engine.run("agent", "go", timeout_s=0.01)).status is RunStatus.TIMED_OUT
    return RunStatus.TIMED_OUT


async def by_the_scopes_end(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        engine.stream("agent", "go")
        await asyncio.sleep(0.01)
    return RunStatus.CANCELLED


async def by_the_callers_cancel(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        task = asyncio.create_task(engine.run("agent", "go"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert () == engine.active_runs
    return RunStatus.CANCELLED


async def by_leaving_the_stream(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        async with engine.stream("agent", "go") as events:
            async for _ in events:
                break
        assert () == engine.active_runs
    return RunStatus.CANCELLED


async def before_its_first_step(container: ExecutionContainer) -> RunStatus:
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await engine.cancel(stream.run_id)
        assert ["agent_started", "agent_completed"] == [event.type async for event in stream]
        assert 0 == container.metrics().runs_abandoned
    return RunStatus.CANCELLED


@pytest.mark.parametrize(
    "stopped",
    [
        by_cancel,
        by_deadline,
        by_the_scopes_end,
        by_the_callers_cancel,
        by_leaving_the_stream,
        before_its_first_step,
    ],
)
@pytest.mark.parametrize("long", LONG, ids=lambda one: one.function.__name__)
async def test_a_run_that_is_stopped_ends_once_with_the_reason(
    start: Start, long: object, stopped: Callable[[ExecutionContainer], Awaitable[RunStatus]]
) -> None:
    """Whatever the agent does about it: one last event, the first reason as status, calls closed, nothing after."""
    container = await start(long, nested, tools=[endless], engine={"stop_grace_s": 0.03})
    async with asyncio.timeout(3):
        status = await stopped(container)
    events = events_of(container.event_log())
    check_thread(events)
    assert status.value == events[-1].payload["status"]
    assert events[-1].payload["result"] is None
    for event in events:
        if event.type in ("tool_completed", "subagent_completed"):
            assert event.payload["status"] == "cancelled"
    await until(lambda: not container.control().abandoned)
    await asyncio.sleep(0.01)
    assert events == events_of(container.event_log())
    metrics = container.metrics()
    assert ({status: 1}, 0) == (metrics.runs_ended, metrics.runs_unrecorded)


async def test_a_stop_closes_the_agents_generator_before_the_receipt(start: Start) -> None:
    """What an agent does in `finally`, awaiting, has happened when the receipt says stopped."""
    order: list[str] = []

    @agent("agent")
    async def tidy(run: RunContext) -> AsyncIterator[str]:
        try:
            yield "half"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            order.append("closed")

    container = await start(tidy)
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.01)
        receipt = await engine.cancel(stream.run_id)
        order.append("receipt")
    assert (Outcome.STOPPED, ()) == (receipt.outcome, receipt.may_still_act)
    assert ["closed", "receipt"] == order


async def test_a_generator_that_broke_its_contract_is_closed_before_the_run_ends(start: Start) -> None:
    """What it does in `finally`, awaiting, comes before the last event."""

    @agent("agent")
    async def tidy(run: RunContext) -> AsyncIterator[Any]:
        try:
            yield 5
        finally:
            await asyncio.sleep(0.005)
            run.emit.thinking("tidied")

    container = await start(tidy)
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert RunStatus.FAILED == (await engine.run("agent", "go")).status
    assert ["agent_started", "agent_thinking", "agent_error", "agent_completed"] == types_of(
        events_of(container.event_log())
    )


async def test_a_stop_lets_a_tool_clean_up_undisturbed(start: Start) -> None:
    """A tool in a task of the agent's own is told once to stop, and may await while it cleans up."""
    order: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            order.append("cleaned up")

    @agent("agent")
    async def starts_and_waits(run: RunContext) -> None:
        task = asyncio.create_task(run.tools.call("careful"))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.002)
            assert not task.done()

    container = await start(starts_and_waits, tools=[careful])
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.01)
        receipt = await engine.cancel(stream.run_id)
    assert ["cleaned up"] == order
    assert Outcome.STOPPED == receipt.outcome


async def test_the_first_reason_to_stop_counts(start: Start) -> None:
    """A deadline that passes after a cancel, or a cancel after a deadline, does not change the status."""
    container = await start(ignores_every_stop, engine={"stop_grace_s": 0.3})
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go", timeout_s=0.05)
        await asyncio.sleep(0.01)
        await engine.cancel(stream.run_id)
        assert (await stream.result()).status is RunStatus.CANCELLED
        late = engine.stream("agent", "go", timeout_s=0.01)
        run = late.run
        await until(lambda: run.is_stopping)
        receipt = await engine.cancel(late.run_id)
        assert (await late.result()).status is RunStatus.TIMED_OUT
        assert Outcome.STILL_RUNNING == receipt.outcome


async def test_a_run_cannot_be_waited_for_by_itself(start: Start) -> None:
    """An agent that cancels its own run is stopped like any other."""
    holder: list[UserExecutionEngine] = []

    @agent("agent")
    async def ends_itself(run: RunContext) -> str:
        await holder[0].cancel(run.run_id)
        return "after"

    container = await start(ends_itself)
    async with container.engine_factory().engine_for(context_of()) as engine:
        holder.append(engine)
        result = await asyncio.wait_for(engine.run("agent", "go"), 1)
        holder.clear()
    assert RunStatus.CANCELLED == result.status
    check_thread(events_of(container.event_log()))


async def test_an_engine_can_be_closed_by_its_own_agent(start: Start) -> None:
    """The agent that ends its engine's scope is stopped; the run ends once."""
    holder: list[UserExecutionEngine] = []

    @agent("agent")
    async def closes_its_engine(run: RunContext) -> str:
        await holder[0].cleanup()
        return "after"

    container = await start(closes_its_engine)
    engine = await container.engine_factory().create_for_user(context_of())
    holder.append(engine)
    stream = engine.stream("agent", "go")
    result = await asyncio.wait_for(stream.result(), 1)
    holder.clear()
    assert RunStatus.CANCELLED == result.status
    check_thread(events_of(container.event_log()))


async def test_an_abandoned_agent_can_neither_speak_nor_call(start: Start) -> None:
    """After the forced end its events, tool calls and agent calls are refused, and it is counted."""
    refused: list[type[BaseException]] = []
    acted: list[str] = []

    def act() -> None:
        acted.append("acted")

    @agent("agent")
    async def stubborn(run: RunContext) -> None:
        while not run._run.ended:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.005)
        for late in (lambda: run.tools.call("act"), lambda: run.agents.call("broken", "go")):
            try:
                await late()
            except ClosedError as error:
                refused.append(type(error))
        for say in (lambda: run.emit.thinking("x"), lambda: run.emit.custom("x")):
            try:
                say()
            except EventRefused as error:
                refused.append(type(error))

    container = await start(stubborn, broken, tools=[act], engine={"stop_grace_s": 0.02})
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.01)
        receipt = await engine.cancel(stream.run_id)
        assert (Outcome.STILL_RUNNING, ("agent code",)) == (receipt.outcome, receipt.may_still_act)
        assert 1 == container.engine_factory().metrics()["runs_abandoned"]
        assert 1 == len(container.control().abandoned)
        await until(lambda: not container.control().abandoned)
    assert [ClosedError, ClosedError, EventRefused, EventRefused] == refused
    assert [] == acted
    check_thread(events_of(container.event_log()))


async def test_a_run_ends_on_time_however_stubborn_its_agent(start: Start) -> None:
    """A deadline is honoured within 200 ms and the grace time."""
    container = await start(ignores_every_stop, engine={"stop_grace_s": 0.05})
    loop = asyncio.get_running_loop()
    async with container.engine_factory().engine_for(context_of()) as engine:
        began = loop.time()
        await engine.run("agent", "go", timeout_s=0.05)
        took = loop.time() - began
    assert 0.05 + 0.05 <= took < 0.05 + 0.05 + 0.2 + 0.1


async def test_a_deadline_holds_although_an_earlier_run_has_more_time(start: Start) -> None:
    """Two runs started at once: the one with little time ends, the other goes on."""
    container = await start(waits)
    async with container.engine_factory().engine_for(context_of()) as engine:
        patient = engine.stream("agent", "go", timeout_s=60)
        hasty = await asyncio.wait_for(engine.run("agent", "go", timeout_s=0.05), 1)
        assert RunStatus.TIMED_OUT == hasty.status
        assert (patient.run_id,) == engine.active_runs


# ------------------------------------------------------------------ what is left


async def test_tool_in_a_thread_is_named_in_the_receipt_and_acts_after_it(start: Start) -> None:
    """A thread cannot be stopped: the receipt says which tool may still act, and no event of it follows."""
    go, acted = threading.Event(), threading.Event()

    def slow(city: str) -> str:
        go.wait(5)
        acted.set()
        return city

    @agent("agent")
    async def calls(run: RunContext) -> AsyncIterator[str]:
        yield await run.tools.call("slow", city="x")

    container = await start(calls, tools=[slow])
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await until(lambda: "tool_executing" in types_of(events_of(container.event_log())))
        receipt = await engine.cancel(stream.run_id)
        assert (Outcome.STILL_RUNNING, ("slow",)) == (receipt.outcome, receipt.may_still_act)
        told = events_of(container.event_log())[-1].payload["receipt"]
        assert {"run_id": "run-1", "outcome": "still_running", "may_still_act": ["slow"]} == told
        count = len(events_of(container.event_log()))
        go.set()
        await until(acted.is_set)
        await asyncio.sleep(0.01)
    assert count == len(events_of(container.event_log()))
    check_thread(events_of(container.event_log()))


@pytest.mark.parametrize("stoppable", [waits, waits_in_a_generator, waits_for_a_tool, waits_for_many])
async def test_the_receipt_of_what_obeys_names_nothing(start: Start, stoppable: object) -> None:
    """A coroutine, a generator, an asynchronous tool and nested agents are stopped when the receipt says so."""
    container = await start(stoppable, nested, tools=[endless])
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.01)
        receipt = await engine.cancel(stream.run_id)
        assert ("run-1", Outcome.STOPPED, ()) == (receipt.run_id, receipt.outcome, receipt.may_still_act)
        assert "stopped" == events_of(container.event_log())[-1].payload["receipt"]["outcome"]
        again = await engine.cancel(stream.run_id)
        assert Outcome.ALREADY_ENDED == again.outcome
        assert Outcome.UNKNOWN == (await engine.cancel("run-other")).outcome


async def test_a_synchronous_agent_that_does_not_look_is_named_in_the_receipt(start: Start) -> None:
    """An agent in a thread that never asks `run.cancelled` goes on after the receipt, which says so."""
    go = threading.Event()

    @agent("agent")
    def deaf(run: RunContext) -> None:
        go.wait(5)

    container = await start(deaf)
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await asyncio.sleep(0.02)
        receipt = await engine.cancel(stream.run_id)
        go.set()
    assert (Outcome.STILL_RUNNING, ("agent code",)) == (receipt.outcome, receipt.may_still_act)


async def test_a_cancelled_run_cannot_be_cancelled_by_another_user(start: Start) -> None:
    """A run id of another user is unknown, and that user's run goes on."""
    container = await start(waits)
    factory = container.engine_factory()
    async with factory.engine_for(context_of("alice")) as hers, factory.engine_for(context_of("bob", "run-2")) as his:
        stream = hers.stream("agent", "go")
        assert Outcome.UNKNOWN == (await his.cancel(stream.run_id)).outcome
        assert (stream.run_id,) == hers.active_runs


async def test_another_engine_of_the_user_can_cancel_a_run(start: Start) -> None:
    """A user's second engine stops what the first one started."""
    container = await start(waits)
    factory = container.engine_factory()
    async with factory.engine_for(context_of()) as one, factory.engine_for(context_of()) as other:
        stream = one.stream("agent", "go")
        assert Outcome.STOPPED == (await other.cancel(stream.run_id)).outcome
        assert () == one.active_runs


class StoresSlowly(AgentWebSocketBridge):
    """Acknowledges a run's last event when the test says so."""

    __slots__ = ("acks",)

    def submit(self, drafts: Any, attempt: int) -> Any:
        super().submit(drafts, attempt)
        if drafts[-1].type != "agent_completed":
            return None
        self.acks = [asyncio.get_running_loop().create_future()]
        return self.acks[0]


async def test_a_cancel_while_the_end_is_being_stored_says_it_had_ended(start: Start) -> None:
    """The receipt of a run that ended by itself does not claim to have stopped it, and waits for the end's storage."""

    @agent("agent")
    async def quick(run: RunContext) -> str:
        return "done"

    container = await start(quick)
    bridge = StoresSlowly(context_of())
    async with container.engine_factory().engine_for(context_of(), bridge=bridge) as engine:
        stream = engine.stream("agent", "go")
        run = stream.run
        await until(lambda: run.ended)
        cancel = asyncio.create_task(engine.cancel("run-1"))
        await asyncio.sleep(0.005)
        assert not cancel.done()
        bridge.acks[0].set_result(None)
        assert Outcome.ALREADY_ENDED == (await cancel).outcome
        assert RunStatus.COMPLETED == (await stream.result()).status


# -------------------------------------------------------------------------- history


async def test_an_agent_sees_the_conversation_before_its_run(start: Start) -> None:
    """History is the thread's earlier runs of this user, oldest first; what the caller passes replaces it."""
    seen: list[tuple[Message, ...]] = []

    @agent("agent")
    async def remembers(run: RunContext) -> str:
        seen.append(tuple(run.history))
        return f"answer to {run.message}"

    container = await start(remembers, engine={"history_runs": 2})
    factory = container.engine_factory()
    async with factory.engine_for(context_of()) as engine, factory.engine_for(context_of("bob")) as bobs:
        for question in ("one", "two", "three", "four"):
            await engine.run("agent", question)
        await bobs.run("agent", "hello")
        await engine.run("agent", "five", history=[Message("user", "given")])
    assert () == seen[0]
    assert (Message("user", "one"), Message("assistant", "answer to one")) == seen[1]
    assert ("two", "three") == (seen[3][0].text, seen[3][2].text)
    assert () == seen[4]
    assert (Message("user", "given"),) == seen[5]


# ------------------------------------------------------------------------- refused


async def test_what_cannot_run_is_refused_before_anything_is_told(start: Start) -> None:
    """An unknown agent, a message that is no text, inputs that are no mapping and a bad timeout leave no event."""
    container = await start(waits)
    async with container.engine_factory().engine_for(context_of()) as engine:
        with pytest.raises(UnknownAgent, match="unknown agent 'nobody'; registered are: 'agent'"):
            await engine.run("nobody", "go")
        with pytest.raises(RequestError, match="message None is a NoneType"):
            await engine.run("agent", None)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match=r"inputs \[1\] are no mapping"):
            await engine.run("agent", "go", inputs=[1])  # type: ignore[arg-type]
        for wrong in (0, -1, float("nan")):
            with pytest.raises(RequestError, match="pass seconds above 0"):
                await engine.run("agent", "go", timeout_s=wrong)
    assert [] == events_of(container.event_log())


# ---------------------------------------------------------------- the log entry, errors


async def test_a_run_writes_one_log_entry_with_its_four_ids(start: Start) -> None:
    """`run_finished` names user, thread, run and request, and says how it ended and what it cost."""
    container = await start(raises_after_text)
    context = context_of()
    with capture_logs() as entries:
        async with container.engine_factory().engine_for(context) as engine:
            await engine.run("agent", "go")
    (entry,) = [entry for entry in entries if entry["event"] == "run_finished"]
    assert {
        "event": "run_finished",
        "log_level": "info",
        "user_id": "alice",
        "thread_id": "t-1",
        "run_id": "run-1",
        "request_id": context.request_id,
        "agent": "agent",
        "status": "failed",
        "events": 4,
        "tools": 0,
        "error": "ValueError: broken",
    } == {key: value for key, value in entry.items() if key not in ("duration_ms", "bytes")}
    assert entry["duration_ms"] >= 0
    assert entry["bytes"] == sum(len(event.raw) for event in events_of(container.event_log()))


async def test_an_error_text_is_told_without_its_secrets(start: Start) -> None:
    """A password in an exception's text reaches neither the result, nor an event, nor the log entry."""

    @agent("agent")
    async def leaks(run: RunContext) -> None:
        raise ValueError("cannot connect: password=hunter2 is wrong")

    container = await start(leaks)
    with capture_logs() as entries:
        async with container.engine_factory().engine_for(context_of()) as engine:
            result = await engine.run("agent", "go")
    assert "cannot connect: password=[redacted] is wrong" == result.error.message
    assert "hunter2" not in repr(entries)
    assert "hunter2" not in "".join(bytes(event.raw).decode() for event in events_of(container.event_log()))


class FailingBridge(AgentWebSocketBridge):
    """Refuses the event types that a test names."""

    __slots__ = ()
    refused: tuple[str, ...] = ()

    def submit(self, drafts: Any, attempt: int) -> Any:
        if any(draft.type in self.refused for draft in drafts):
            raise LogUnavailable("test://", "disk full")
        return super().submit(drafts, attempt)


class RefusesTheEnd(FailingBridge):
    __slots__ = ()
    refused = ("agent_completed",)


class RefusesTheStart(FailingBridge):
    __slots__ = ()
    refused = ("agent_started",)


async def test_an_end_that_cannot_be_stored_is_raised_to_whoever_waits(start: Start) -> None:
    """`run` and the stream raise, slots are free again, and the entry says that the end is not recorded."""

    @agent("agent")
    async def quick(run: RunContext) -> str:
        return "done"

    container = await start(quick)
    factory = container.engine_factory()
    with capture_logs() as entries:
        async with factory.engine_for(context_of(), bridge=RefusesTheEnd(context_of())) as engine:
            with pytest.raises(LogUnavailable, match="disk full"):
                await engine.run("agent", "go")
            stream = engine.stream("agent", "go")
            assert "agent_started" == (await stream.__anext__()).type
            with pytest.raises(LogUnavailable):
                await asyncio.wait_for(stream.__anext__(), 1)
    assert 2 == factory.metrics()["runs_unrecorded"]
    assert ["run_unrecorded", "run_unrecorded"] == [e["event"] for e in entries if e["log_level"] == "error"]


async def test_a_start_that_cannot_be_stored_leaves_nothing_behind(start: Start) -> None:
    """`run` raises what the log said; the slot is free, and the engine goes on."""
    container = await start(waits)
    async with container.engine_factory().engine_for(context_of(), bridge=RefusesTheStart(context_of())) as engine:
        with pytest.raises(LogUnavailable):
            await engine.run("agent", "go")
        assert () == engine.active_runs
        assert engine.is_active()


# ---------------------------------------------------------- what ends the whole process

PROGRAM = """
import asyncio, sys
from ssot_engine import ExecutionContainer, Settings, UserExecutionContext, agent

@agent("agent")
async def interrupts(run):
    yield "half"
    await asyncio.sleep(0)
    raise KeyboardInterrupt

@agent("endless")
async def endless(run):
    yield "half"
    await asyncio.Event().wait()

async def main():
    container = ExecutionContainer.from_settings(Settings(
        events={{"url": "sqlite:///{path}"}}, agents={{"offline": False, "entry_points": False}},
        engine={{"stop_grace_s": 0.1, "drain_timeout_s": 0.1}}))
    container.registry().register(interrupts)
    container.registry().register(endless)
    {body}

asyncio.run(main())
print("left")
"""
IN_BLOCK = """
    async with container.running():
        async with container.engine_factory().engine_for(UserExecutionContext("alice", "t-1", "run-1")) as engine:
            await engine.run("agent", "go")
"""
NOT_CLOSED = """
    running = container.running()
    await running.__aenter__()
    engine = await container.engine_factory().create_for_user(UserExecutionContext("alice", "t-1", "run-1"))
    stream = engine.stream("endless", "go")
    await stream.__anext__()
    await stream.__anext__()
    globals()["kept"] = running, engine, stream
"""


async def read_back(start: Start, path: Path) -> list[Any]:
    container = await start(events={"url": f"sqlite:///{path}"})
    return [event async for event in container.event_log().follow(ALICE, None, live=False)]


async def test_an_interrupt_in_an_agent_ends_the_process_after_the_last_event(start: Start, tmp_path: Path) -> None:
    """KeyboardInterrupt goes on to the process, and the run has its end in the log before."""
    path = tmp_path / "events.db"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(path=path, body=IN_BLOCK)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )
    assert "KeyboardInterrupt" in done.stderr
    assert "left" not in done.stdout
    events = await read_back(start, path)
    check_thread(events)
    assert "failed" == events[-1].payload["status"]


async def test_a_loop_that_shuts_down_mid_run_ends_the_run(start: Start, tmp_path: Path) -> None:
    """`asyncio.run` cancels what is left: a run that nobody ended is in the log as ended, or lost at the next start."""
    path = tmp_path / "events.db"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(path=path, body=NOT_CLOSED)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "left" in done.stdout, done.stderr
    events = await read_back(start, path)
    check_thread(events)
    assert events[-1].payload["status"] in ("cancelled", "lost")


# ------------------------------------------------------------------ nothing is left


@agent("failing")
async def failing(run: RunContext) -> None:
    await run.tools.call("wrong")


def wrong() -> None:
    """A tool that fails in its thread."""
    raise ValueError("broken")


def right(text: str) -> str:
    return text


@agent("working")
async def working(run: RunContext) -> AsyncIterator[str]:
    run.emit.thinking("hm")
    yield await run.tools.call("right", text=run.message)
    yield await run.agents.call("part", "go")


@agent("part")
async def part(run: RunContext) -> str:
    return "part"


@pytest.mark.parametrize("name", ["working", "failing", "cancelled", "timed_out"])
async def test_runs_leave_no_cyclic_garbage(start: Start, name: str) -> None:
    """With the collector off during the runs, it finds nothing afterwards: whole scopes, and runs that fail."""

    @agent("cancelled")
    async def cancelled(run: RunContext) -> None:
        await asyncio.gather(run.tools.call("endless"), asyncio.Event().wait())

    container = await start(working, part, failing, cancelled, tools=[wrong, right, endless])
    factory = container.engine_factory()

    async def request(number: int) -> None:
        async with factory.engine_for(context_of(f"user-{number}")) as engine:
            if name == "cancelled":
                async with engine.stream(name, "go") as events:
                    async for event in events:
                        if event.type == "tool_executing":
                            break
            elif name == "timed_out":
                await engine.run("cancelled", "go", timeout_s=0.001)
            else:
                await engine.run(name, "go")

    await asyncio.gather(*(request(n) for n in range(10_000, 10_050)))
    await until(lambda: threading.active_count() <= 3)
    gc.collect()
    gc.disable()
    try:
        for first in range(0, 100, 50):
            await asyncio.gather(*(request(n) for n in range(first, first + 50)))
        await asyncio.sleep(0.01)
        found = gc.collect()
    finally:
        gc.enable()
    assert 0 == found


async def test_hundreds_of_users_each_see_their_own_events_and_nothing_stays(start: Start) -> None:
    """900 runs at once: dense order, own events only, one end each; then no engine, task or scope is left."""
    engines: list[weakref.ref[UserExecutionEngine]] = []
    container = await start(working, part, tools=[right], engine={"max_engines": 300})
    factory = container.engine_factory()

    async def read(engine: UserExecutionEngine, message: str) -> str:
        stream = engine.stream("working", message)
        events = [event async for event in stream]
        assert {stream.run_id} == {event.run_id for event in events}
        assert {engine.user_context.user_id} == {event.user_id for event in events}
        assert message == events[0].payload["message"]
        assert list(range(1, len(events) + 1)) == [event.run_seq for event in events]
        return (await stream.result()).output

    async def request(number: int) -> None:
        user = f"user-{number}"
        async with factory.engine_for(context_of(user, thread_id="shared")) as engine:
            engines.append(weakref.ref(engine))
            outputs = await asyncio.gather(*(read(engine, f"{user}/{i} ") for i in range(3)))
        assert [f"{user}/{i} part" for i in range(3)] == outputs

    await asyncio.gather(*(request(number) for number in range(300)))
    log = container.event_log()
    for number in range(300):
        events = events_of(log, ThreadKey(f"user-{number}", "shared"))
        check_thread(events)
        assert 3 == types_of(events).count("agent_completed")
    assert 900 == factory.metrics()["runs_completed"]
    await until(lambda: not any(ref() for ref in engines))
    assert 0 == container.open_scopes


async def test_what_a_thread_emits_against_the_rules_fails_its_run(start: Start) -> None:
    """The event is refused when it arrives on the loop; the thread has gone on by then, so the run's end tells it."""

    @agent("agent")
    def speaks_out_of_turn(run: RunContext) -> str:
        run._run.emitter._hand_over(run._run.emitter.tool_completed, "call_9", "completed", None, 0.0)
        return "all is well"

    container = await start(speaks_out_of_turn)
    async with container.engine_factory().engine_for(context_of()) as engine:
        result = await engine.run("agent", "go")
    assert RunStatus.FAILED == result.status
    assert result.error is not None
    assert ("EventRefused", True) == (result.error.type, "call_9" in result.error.message)


async def test_a_thread_that_floods_its_loop_is_refused_and_may_go_on(start: Start) -> None:
    """Events that wait for the loop are bounded; once it took them the thread is heard again."""
    refused: list[str] = []

    @agent("agent")
    async def floods(run: RunContext) -> None:
        def flood() -> None:
            try:
                for number in range(MAX_ON_THE_WAY + 5):
                    run.emit.custom("n", number)
            except AgentError as error:
                refused.append(str(error))

        thread = threading.Thread(target=flood)
        thread.start()
        # Not awaited: the loop must not take anything meanwhile.
        thread.join()
        await asyncio.sleep(0)
        after = threading.Thread(target=lambda: run.emit.custom("after"))
        after.start()
        after.join()
        await asyncio.sleep(0)

    container = await start(floods)
    async with container.engine_factory().engine_for(context_of()) as engine:
        result = await engine.run("agent", "go")
    assert RunStatus.COMPLETED == result.status
    assert 1 == len(refused)
    assert "emit less" in refused[0]
    customs = [event for event in events_of(container.event_log()) if event.type == "custom"]
    assert "after" == customs[-1].payload["name"]
