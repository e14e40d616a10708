"""AG-UI over HTTP: what starts a run, whose it is, and how its stream ends whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from agui_check import check_agui, texts
from dependency_injector import providers
from serving import Served, serving
from sse_client import STREAM, Answer, FailingLog, asked, edge, fetch, stream

from fakes import ALICE, events_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.eventlog.base import is_last
from ssot_engine.events import ThreadKey

PATH = "/api/agui"


@agent("echo")
async def echo(run: RunContext) -> AsyncIterator[str]:
    """Says what it was told, and what was said before."""
    yield f"{run.message}|{dict(run.inputs)}|{len(run.history)}"


@agent("breaks")
async def breaks(run: RunContext) -> AsyncIterator[str]:
    """Fails after it has begun to speak."""
    yield "I will"
    raise LookupError("the map is lost")


@agent("endless")
async def endless(run: RunContext) -> AsyncIterator[str]:
    """Begins to speak and goes on until it is stopped."""
    yield "begun"
    await asyncio.sleep(60)


def body(run_id: str = "run-1", text: Any = "hi", thread_id: str = "t-1", **more: Any) -> dict[str, Any]:
    """What the npm client sends."""
    asked = {"id": "m-1", "role": "user", "content": text}
    empty = {"state": {}, "tools": [], "context": [], "forwardedProps": {}, "protocolVersion": "1.0"}
    return {**empty, "threadId": thread_id, "runId": run_id, "messages": [asked], **more}


def told(answer: Answer) -> list[dict[str, Any]]:
    """The events of a stream that has ended, found to be right."""
    assert 200 == answer.status, answer.body
    assert answer.is_whole
    events = [message.json for message in answer.messages]
    check_agui(events)
    return events


async def ask(served: Served, sent: dict[str, Any], query: str = "?agent=echo", **options: Any) -> Answer:
    """The whole answer to one request."""
    return await stream(served.port, PATH + query, method="POST", body=sent, **options)


def asking(served: Served) -> AbstractAsyncContextManager[Answer]:
    """A connection on which a run was asked for, read as far as the test wants."""
    return asked(served.port, PATH, method="POST", body=body(), Accept=STREAM)


async def begun(answer: Answer) -> None:
    """The run has been heard of."""
    await answer.read(lambda so_far: len(so_far.messages) >= 2)


async def test_a_run_is_streamed_from_its_start_to_its_end(start: Start) -> None:
    """With the client's run id in the user's own thread; each id is a cursor of the thread's own stream."""
    container = await start(echo, breaks, **edge())
    async with serving(container) as served:
        answer = await ask(served, body())
        events = told(answer)
        after = await fetch(served.port, f"/api/threads/t-1/events?after={answer.messages[0].id}")
    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert ["hi|{}|0"] == list(texts(events).values())
    log = events_of(container.event_log())
    assert ({"run-1"}, {"echo"}) == ({event.run_id for event in log}, {event.agent_name for event in log})
    assert [f"{event.epoch}:{event.seq}" for event in log] == list(dict.fromkeys(m.id for m in answer.messages))
    assert [event.seq for event in log[1:]] == [event["seq"] for event in after.json["events"]]


async def test_the_last_user_message_is_what_the_agent_is_asked(start: Start) -> None:
    """The parts of it that are text, in order; what the client says that was said before is not believed."""
    container = await start(echo, **edge())
    earlier = [{"id": "a", "role": "user", "content": "no"}, {"id": "b", "role": "assistant", "content": "never"}]
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    last = [{"id": "c", "role": "user", "content": parts}, {"id": "d", "role": "assistant", "content": "later"}]
    async with serving(container) as served:
        assert ["one two|{}|0"] == list(texts(told(await ask(served, body(messages=earlier + last)))).values())
        assert ["hi|{}|2"] == list(texts(told(await ask(served, body("run-2")))).values())


async def test_the_agent_is_named_in_the_query_or_by_the_application(start: Start) -> None:
    """`forwardedProps` may bring its inputs too; the only agent there is needs no name."""
    container = await start(echo, breaks, **edge())
    props = {"agent": "echo", "inputs": {"a": 1}}
    async with serving(container) as served:
        by_props = told(await ask(served, body("run-a", forwardedProps=props), query=""))
        by_query = told(await ask(served, body("run-b", forwardedProps=props), query="?agent=breaks"))
        unnamed = await ask(served, body("run-c"), query="")
        unknown = await ask(served, body("run-d"), query="?agent=nobody")
    assert ["hi|{'a': 1}|0"] == list(texts(by_props).values())
    assert "RUN_ERROR" == by_query[-1]["type"]
    assert (400, 404) == (unnamed.status, unknown.status)


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"id": "m", "role": "assistant", "content": "x"}]},
        {"messages": [{"id": "m", "role": "user", "content": "\ud800"}]},
        {"threadId": ""},
        {"runId": " "},
        {"forwardedProps": {"agent": 7}},
        {"forwardedProps": {"inputs": [1]}},
    ],
)
async def test_a_request_that_makes_no_sense_starts_nothing(start: Start, wrong: dict[str, Any]) -> None:
    """It is refused before a stream begins."""
    container = await start(echo, **edge())
    async with serving(container) as served:
        answer = await ask(served, body(**wrong), query="")
    assert (400, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert [] == await container.event_log().runs()


async def test_a_run_id_that_was_used_is_refused(start: Start) -> None:
    """Status 409; another user may use the same ids, and reads nothing of the first one's."""
    container = await start(echo, **edge())
    async with serving(container) as served:
        first = told(await ask(served, body(text="mine")))
        assert 409 == (await ask(served, body())).status
        other = told(await ask(served, body(text="yours"), user="bob"))
    assert ["mine|{}|0"] == list(texts(first).values())
    assert ["yours|{}|0"] == list(texts(other).values())
    assert {"bob"} == {event.user_id for event in events_of(container.event_log(), ThreadKey("bob", "t-1"))}


async def test_a_run_that_fails_ends_in_an_error(start: Start) -> None:
    """Its text is closed before."""
    container = await start(breaks, **edge())
    async with serving(container) as served:
        events = told(await ask(served, body(), query=""))
    assert ("RUN_ERROR", "failed") == (events[-1]["type"], events[-1]["code"])
    assert "the map is lost" in events[-1]["message"]


async def test_a_run_that_is_cancelled_finishes_so(start: Start) -> None:
    """By `DELETE /api/runs/{id}`, while its stream is read."""
    container = await start(endless, **edge())
    async with serving(container) as served, asking(served) as answer:
        await begun(answer)
        receipt = await fetch(served.port, "/api/runs/run-1", method="DELETE")
        await answer.read()
    assert (200, "stopped") == (receipt.status, receipt.json["outcome"])
    assert {"type": "cancelled"} == told(answer)[-1]["outcome"]


async def test_a_client_that_leaves_ends_no_run(start: Start) -> None:
    """Disconnect is not cancel."""
    container = await start(endless, **edge())
    async with serving(container) as served:
        await ask(served, body(), query="", enough=lambda so_far: len(so_far.messages) >= 2)
        await until(lambda: served.site.deliveries.open["agui"] == 0)
        assert not any(is_last(event) for event in events_of(container.event_log()))
        await container.runs().cancel("alice", "run-1")


async def test_the_stop_of_the_edge_alone_ends_a_stream_in_an_error(start: Start) -> None:
    """The run goes on, and the client learns that it has not seen its end."""
    container = await start(endless, **edge())
    async with serving(container) as served, asking(served) as answer:
        await begun(answer)
        served.site.stopping.set()
        await answer.read()
    events = told(answer)
    assert ("RUN_ERROR", "restart") == (events[-1]["type"], events[-1]["code"])
    await container.runs().cancel("alice", "run-1")


async def test_a_log_that_fails_ends_a_stream_in_an_error(start: Start) -> None:
    """No stream just stops."""
    log = FailingLog()
    container = await start(endless, prepare=lambda made: made.event_log.override(providers.Object(log)), **edge())
    async with serving(container) as served, asking(served) as answer:
        await begun(answer)
        log.fail(ALICE)
        await answer.read()
    assert "unavailable" == told(answer)[-1]["code"]
    await container.runs().cancel("alice", "run-1")


async def test_a_user_with_too_many_readers_starts_no_run(start: Start) -> None:
    """The place is taken before the run is started."""
    container = await start(echo, **edge(max_connections_per_user=1))
    reading = "/api/threads/t-1/events"
    async with serving(container) as served, asked(served.port, reading, Accept=STREAM):
        await until(lambda: served.site.deliveries.open["stream"] == 1)
        assert 429 == (await ask(served, body())).status
    assert [] == await container.event_log().runs()
