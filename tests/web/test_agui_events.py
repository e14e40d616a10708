"""The projection onto AG-UI: whole runs, runs cut short, and runs of which events are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from agui_check import check_agui, texts

from fakes import ALICE, context_of, events_of, types_of
from running import Start
from ssot_engine.agents import Output, RunContext, agent
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import CRITICAL, Event, Position
from ssot_engine.runs.base import RunSpec
from ssot_engine.web.agui_events import RunProjection, encode


class Script:
    """A run as events, written down."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, type: str, span: int = 0, parent: int | None = None, /, **payload: Any) -> Script:
        """One more event."""
        name = f"agent {span}"
        seq, raw = len(self.events) + 1, msgspec.Raw(msgspec.json.encode(payload))
        self.events.append(Event(type, "t-1", "run-1", "alice", name, "e", seq, seq, span, parent, 1000.5, raw))
        return self

    def started(self) -> Script:
        """Its first event."""
        return self.add("agent_started", message="hi", context={"engine_id": "engine_1"}, status="started")

    def say(self, text: str, span: int = 0, parent: int | None = None) -> Script:
        """A piece of text."""
        return self.add("message_delta", span, parent, text=text)

    def tool(self, call_id: str, span: int = 0, **parameters: Any) -> Script:
        """A tool call begins."""
        begun = {"tool_name": "look", "call_id": call_id, "parameters": parameters, "message": ""}
        return self.add("tool_executing", span, status="executing", **begun)

    def tool_done(self, call_id: str, result: Any, span: int = 0, status: str = "completed") -> Script:
        """A tool call ends."""
        done = {"result": result, "execution_time_ms": 2.5, "status": status, "message": ""}
        return self.add("tool_completed", span, tool_name="look", call_id=call_id, **done)

    def nested(self, span: int, parent: int) -> Script:
        """A nested agent begins."""
        return self.add("subagent_started", span, parent, message="do", status="started")

    def nested_done(self, span: int, parent: int, status: str = "completed", error: Any = None) -> Script:
        """A nested agent ends."""
        done = {"status": status, "result": "r", "execution_time_ms": 1.0, "error": error}
        return self.add("subagent_completed", span, parent, **done)

    def ended(self, status: str = "completed", result: Any = "hi", **more: Any) -> Script:
        """Its last event."""
        return self.add("agent_completed", status=status, result=result, execution_time_ms=5.0, message="over", **more)

    def told(self) -> list[dict[str, Any]]:
        """What a client is told of it."""
        return tell(self.events)


def tell(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What a client is told of a run, as it reads it."""
    projection = RunProjection("t-1", events[0].run_id)
    return [json.loads(line) for event in events for line in encode(projection.event(event))]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    """What types of events these are."""
    return [event["type"] for event in events]


# ------------------------------------------------------------------------ one by one


def test_a_run_that_says_something_is_a_message_between_start_and_end() -> None:
    """Its pieces stay pieces; the outcome is success, the result is there."""
    told = Script().started().say("Hel").say("lo").ended(result="Hello").told()
    check_agui(told)
    message = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]
    assert ["RUN_STARTED", *message, "RUN_FINISHED"] == kinds(told)
    assert ("t-1", "run-1", "1.0") == tuple(told[0][field] for field in ("threadId", "runId", "protocolVersion"))
    assert ({"type": "success"}, "Hello") == (told[-1]["outcome"], told[-1]["result"])
    assert ["Hello"] == list(texts(told).values())


def test_an_answer_that_was_not_streamed_is_told_as_one_message() -> None:
    """An agent that returns its text is heard like one that streams it; a result that is no text is no message."""
    assert ["whole"] == list(texts(Script().started().ended(result="whole").told()).values())
    assert {} == texts(Script().started().ended(result={"a": 1}).told())


def test_each_event_carries_its_place_and_what_agui_has_no_field_for() -> None:
    """In `metadata`, where the protocol keeps it; time is in milliseconds."""
    told = Script().started().tool("c1").tool_done("c1", 3, status="failed").ended().told()
    assert {1000500} == {event["timestamp"] for event in told}
    assert {"e"} == {event["metadata"]["epoch"] for event in told}
    assert [1, 2, 2, 2, 3, 4, 4, 4, 4] == [event["metadata"]["seq"] for event in told]
    assert "engine_1" == told[0]["metadata"]["context"]["engine_id"]
    result = told[4]["metadata"]
    assert ("failed", 2.5, "tool_completed", 0) == (
        result["status"], result["execution_time_ms"], result["type"], result["span"],
    )  # fmt: skip


def test_a_tool_call_is_whole_at_its_start_and_has_its_result_later() -> None:
    """Text around it is two messages, so that a client shows the call between them."""
    told = Script().started().say("a").tool("c1", city="Paris").tool_done("c1", {"t": 21}).say("b").ended().told()
    check_agui(told)
    call = ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"]
    assert call == [kind for kind in kinds(told) if kind.startswith("TOOL")]
    start, args, _, result = (event for event in told if event["type"].startswith("TOOL"))
    assert ("look", {"city": "Paris"}) == (start["toolCallName"], json.loads(args["delta"]))
    assert (start["toolCallId"], '{"t":21}', "tool") == (result["toolCallId"], result["content"], result["role"])
    assert ["a", "b"] == list(texts(told).values())


def test_calls_of_one_tool_side_by_side_stay_apart() -> None:
    """Their results come in another order, and to the right call."""
    told = Script().started().tool("c1").tool("c2").tool_done("c2", "two").tool_done("c1", "one").ended().told()
    check_agui(told)
    results = [(e["toolCallId"], e["content"]) for e in told if e["type"] == "TOOL_CALL_RESULT"]
    assert [("run-1:c2", "two"), ("run-1:c1", "one")] == results


def test_a_thought_is_reasoning_that_is_complete_at_once() -> None:
    """Step and progress are in its metadata."""
    script = Script().started().add("agent_thinking", reasoning="plan", step_number=2, progress_percentage=40.0)
    told = script.ended(result=None).told()
    check_agui(told)
    parts = ["START", "MESSAGE_START", "MESSAGE_CONTENT", "MESSAGE_END", "END"]
    assert [f"REASONING_{part}" for part in parts] == kinds(told)[1:-1]
    assert ("plan", 2, 40.0) == (
        told[3]["delta"], told[3]["metadata"]["step_number"], told[3]["metadata"]["progress_percentage"],
    )  # fmt: skip


def test_nested_agents_that_speak_at_the_same_time_are_told_apart() -> None:
    """Each piece belongs to the agent of its span; a nested agent's nested agent names its caller."""
    script = Script().started().say("root ").nested(1, 0).nested(2, 0).say("one ", 1, 0).say("two ", 2, 0)
    script.nested(3, 1).say("three", 3, 1).say("one", 1, 0).tool("c1", 2).nested_done(3, 1).nested_done(1, 0)
    script.tool_done("c1", "x", 2).say("two", 2, 0).nested_done(2, 0, "failed", {"type": "E", "message": "m"})
    told = script.say("root").ended().told()
    check_agui(told)
    by_agent: dict[str | None, str] = {}
    for event in told:
        if event["type"] == "TEXT_MESSAGE_CONTENT":
            owner = event.get("subagentRunId")
            by_agent[owner] = by_agent.get(owner, "") + event["delta"]
    ids = [f"run-1:agent-{span}" for span in (1, 2, 3)]
    assert {None: "root root", ids[0]: "one one", ids[1]: "two two", ids[2]: "three"} == by_agent
    started = {e["subagentRunId"]: e.get("parentSubagentRunId") for e in told if e["type"] == "SUBAGENT_STARTED"}
    assert {ids[0]: None, ids[1]: None, ids[2]: ids[0]} == started
    assert [(ids[1], "E: m", "failed")] == [
        (e["subagentRunId"], e["message"], e["code"]) for e in told if e["type"] == "SUBAGENT_ERROR"
    ]


def test_a_hosts_own_event_keeps_its_name_and_value() -> None:
    """It is CUSTOM, and does not part the text around it."""
    told = Script().started().say("a").add("custom", name="chart", data=[1, None]).say("b").ended().told()
    check_agui(told)
    assert [("chart", [1, None])] == [(e["name"], e["value"]) for e in told if e["type"] == "CUSTOM"]
    assert ["ab"] == list(texts(told).values())


def test_a_type_younger_than_the_table_is_custom() -> None:
    """Nothing of a log is kept from a client."""
    told = Script().started().add("agent_rested", minutes=3).ended().told()
    assert [("agent_rested", {"minutes": 3})] == [(e["name"], e["value"]) for e in told if e["type"] == "CUSTOM"]


@pytest.mark.parametrize("status", ["failed", "timed_out", "lost"])
def test_a_run_that_did_not_complete_ends_in_an_error_that_says_which(status: str) -> None:
    """Text and nested agents that were open are closed before."""
    error = {"type": "LookupError", "message": "gone", "retryable": False}
    told = Script().started().say("a").nested(1, 0).say("b", 1, 0).tool("c1", 1).ended(status, None, error=error).told()
    check_agui(told)
    assert ("RUN_ERROR", "LookupError: gone", status) == tuple(told[-1][key] for key in ("type", "message", "code"))
    bare = Script().started().ended(status, None).told()
    assert "over" == bare[-1]["message"]


def test_a_cancelled_run_finishes_with_that_outcome_and_its_receipt() -> None:
    """It is no error: the user wanted it."""
    receipt = {"run_id": "run-1", "outcome": "stopped", "may_still_act": ["a"]}
    told = Script().started().say("a").ended("cancelled", None, receipt=receipt).told()
    check_agui(told)
    assert ("RUN_FINISHED", {"type": "cancelled"}) == (told[-1]["type"], told[-1]["outcome"])
    assert receipt == told[-1]["metadata"]["receipt"]


def test_tokens_are_told_where_they_were_reported() -> None:
    """One entry with their sum; none where no agent reported any."""
    used = {"input_tokens": 3, "output_tokens": 4, "requests": 1, "tool_calls": 0, "agent_calls": 0}
    told = Script().started().ended(usage=used).told()
    assert [{"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}] == told[-1]["usage"]
    assert "usage" not in Script().started().ended(usage={**used, "input_tokens": 0, "output_tokens": 0}).told()[-1]


def test_nothing_follows_the_terminal_event() -> None:
    """Whatever is still tried."""
    script = Script().started().ended()
    projection = RunProjection("t-1", "run-1")
    for event in script.events:
        projection.event(event)
    assert [] == projection.event(script.say("late").events[-1])
    assert [] == projection.broken_off("restart", "the server stops")
    assert [] == projection.reset(Reset(ALICE, Position("e", 1), "gap", ()))


# ---------------------------------------------------------------------------- whole runs


async def lookup(city: str) -> str:
    """A tool."""
    await asyncio.sleep(0)
    if city == "nowhere":
        raise LookupError(city)
    return f"{city} found"


@agent("leaf")
async def leaf(run: RunContext) -> AsyncIterator[str]:
    """Speaks in pieces and calls a tool."""
    for n in range(3):
        yield f"{run.message} {n} "
        await asyncio.sleep(0)
        run.emit.thinking("hm")
    await run.tools.call("lookup", city=run.message)


@agent("branch")
async def branch(run: RunContext) -> AsyncIterator[Any]:
    """Has nested agents at work side by side, of which one fails."""
    yield "branch "
    calls = (run.agents.call("leaf", city) for city in ("Bern", "nowhere", "Oslo"))
    await asyncio.gather(*calls, return_exceptions=True)
    yield Output({"done": True})


@agent("tree")
async def tree(run: RunContext) -> AsyncIterator[str]:
    """Three levels, everything at once."""
    run.emit.custom("chart", 1)
    yield "tree "
    tools = (run.tools.call("lookup", city=city) for city in ("Rome", "Rome"))
    await asyncio.gather(run.agents.call("branch", "a"), run.agents.call("branch", "b"), *tools)
    yield "end"
    if run.message == "fail":
        raise RuntimeError("no more")
    if run.message == "wait":
        await asyncio.sleep(60)


async def whole(start: Start, message: str) -> list[Event]:
    """The events of a run of the tree, as an engine made them."""
    container = await start(tree, branch, leaf, tools=[lookup])
    timeout_s = 0.3 if message == "wait" else None
    await container.runs().submit(RunSpec(context=context_of(), agent="tree", message=message, timeout_s=timeout_s))
    await container.runs().wait("alice", "run-1")
    return events_of(container.event_log())


@pytest.mark.parametrize("message", ["go", "fail", "wait"])
async def test_a_real_run_of_many_agents_is_balanced_and_complete(start: Start, message: str) -> None:
    """All that each agent said is told as its own, each call has one result, each nested agent one end."""
    events = await whole(start, message)
    told = tell(events)
    check_agui(told)
    kind = "RUN_FINISHED" if message == "go" else "RUN_ERROR"
    assert kind == told[-1]["type"]
    said: dict[str | None, str] = {}
    for event in events:
        if event.type == "message_delta":
            owner = f"run-1:agent-{event.span}" if event.span else None
            said[owner] = said.get(owner, "") + event.payload["text"]
    heard: dict[str | None, str] = {}
    for one in told:
        if one["type"] == "TEXT_MESSAGE_CONTENT":
            heard[one.get("subagentRunId")] = heard.get(one.get("subagentRunId"), "") + one["delta"]
    assert said == heard
    counted = {"TOOL_CALL_START": "tool_executing", "TOOL_CALL_RESULT": "tool_completed"}
    for ours in (*counted.items(), ("SUBAGENT_STARTED", "subagent_started")):
        assert types_of(events).count(ours[1]) == kinds(told).count(ours[0]) > 0


async def test_a_run_that_breaks_off_anywhere_ends_in_an_error(start: Start) -> None:
    """After every event: what is open is closed, and the error has the reason as its code."""
    events = await whole(start, "go")
    for cut in range(len(events)):
        projection = RunProjection("t-1", "run-1")
        told = [one for event in events[:cut] for one in projection.event(event)]
        told += projection.broken_off("restart", "the server stops")
        read = [json.loads(line) for line in encode(told)]
        check_agui(read)
        assert ("RUN_ERROR", "restart") == (read[-1]["type"], read[-1]["code"])


async def test_a_run_of_which_events_are_gone_is_told_as_far_as_it_is_kept(start: Start) -> None:
    """For each hole: the critical events of it are told once, all is balanced, and the answer is there as a whole."""
    events = await whole(start, "go")
    answer = events[-1].payload["result"]
    for first in range(0, len(events) - 1, 6):
        for last in range(first + 1, len(events), 11):
            projection = RunProjection("t-1", "run-1")
            kept = tuple(event for event in events[:last] if event.type in CRITICAL)
            told = [one for event in events[:first] for one in projection.event(event)]
            told += projection.reset(Reset(ALICE, events[last - 1].position, "gap", kept))
            told += [one for event in events[last:] for one in projection.event(event)]
            read = [json.loads(line) for line in encode(told)]
            check_agui(read)
            assert 1 == sum(one["type"] == "CUSTOM" and one["name"] == "reset" for one in read)
            assert types_of(events).count("tool_completed") == kinds(read).count("TOOL_CALL_RESULT")
            assert answer == list(texts(read).values())[-1]
