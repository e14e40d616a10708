"""Cut anywhere: whatever part of an event stream is lost, a reader that resumes gets the whole, in order and once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from serving import serving
from sse_client import Message, edge, stream

from fakes import context_of, events_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.eventlog.base import EventLog
from ssot_engine.runs.base import RunSpec

PATH = "/api/threads/t-1/events"


async def lookup(city: str) -> dict[str, Any]:
    """A tool whose answer has everything that could break a line-based wire."""
    await asyncio.sleep(0)
    return {city: "first\nsecond\r\nthird\n\ndata: no\u2028\u2029\x85 é 🌦"}


@agent("helper")
async def helper(run: RunContext) -> AsyncIterator[str]:
    """A nested agent."""
    yield f"part of {run.message}"
    await asyncio.sleep(0)


@agent("reference")
async def reference(run: RunContext) -> AsyncIterator[str]:
    """Every kind of event that a run may have."""
    run.emit.thinking("plan\n\nid: 7", 1, 10.0)
    yield "Hello \n\n"
    await asyncio.gather(*(run.tools.call("lookup", city=city) for city in ("Paris", "Bern")))
    yield "data: wörld"
    await asyncio.gather(*(run.agents.call("helper", topic) for topic in ("a", "b")))
    for number in range(12):
        run.emit.custom("count", number)
        yield f" {number}"
        await asyncio.sleep(0)


def wire_of(log: EventLog) -> list[str]:
    """The thread's events as their JSON text, which no two have in common."""
    return [msgspec.json.encode(event).decode() for event in events_of(log)]


async def begin(container: ExecutionContainer, run_id: str = "run-1") -> None:
    await container.runs().submit(RunSpec(context=context_of(run_id=run_id), agent="reference", message="go"))


async def finish(container: ExecutionContainer, run_id: str = "run-1") -> None:
    await container.runs().wait("alice", run_id)


class Reader:
    """Reads a thread in pieces, as an EventSource does: what counts is what was dispatched, and the id of the last."""

    def __init__(self, port: int, path: str = PATH) -> None:
        self._port = port
        self._path = path
        self.messages: list[Message] = []

    async def connect(self, enough: int, cut: int | None = None) -> None:
        """Read on one more connection until it has so many in all, or is cut."""
        resume = {"Last_Event_ID": self.messages[-1].id} if self.messages else {}
        wanted = enough - len(self.messages)
        answer = await stream(self._port, self._path, lambda a: len(a.messages) >= wanted, cut=cut, **resume)
        self.messages += answer.messages

    @property
    def data(self) -> list[str]:
        """What it has read."""
        return [message.data for message in self.messages]


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
async def test_a_stream_cut_after_every_event_is_whole_when_resumed(start: Start, tmp_path: Any, url: str) -> None:
    """One connection per event: 0 lost, 0 twice, 0 out of order."""
    events = {"url": url if url == "memory://" else f"sqlite:///{tmp_path}/events.db"}
    container = await start(reference, helper, tools=[lookup], **edge(), events=events)
    await begin(container)
    await finish(container)
    log = wire_of(container.event_log())
    async with serving(container) as served:
        for keep in range(1, len(log)):
            reader = Reader(served.port)
            # What came behind the event that the reader has, on the same connection, is lost with it.
            await reader.connect(keep)
            del reader.messages[keep:]
            await reader.connect(len(log))
            assert log == reader.data


async def test_a_stream_cut_at_any_byte_is_whole_when_resumed(start: Start) -> None:
    """Every 151st byte of the answer, its head included, and every 7th of one event, its line ends among them."""
    container = await start(reference, helper, tools=[lookup], **edge())
    await begin(container)
    await finish(container)
    log = wire_of(container.event_log())
    async with serving(container) as served:
        whole = await stream(served.port, PATH, lambda answer: len(answer.messages) == len(log))
        # An event is framed by its id, by line ends and by the size of its chunk.
        first = whole.received - sum(len(text.encode()) + 40 for text in log[-2:])
        places = {*range(1, whole.received, 151), *range(first, whole.received, 7)}
        for cut in sorted(places):
            reader = Reader(served.port)
            await reader.connect(len(log), cut)
            assert log[: len(reader.data)] == reader.data
            await reader.connect(len(log))
            assert log == reader.data


@pytest.mark.parametrize("seed", range(4))
async def test_a_stream_cut_again_and_again_while_runs_go_on_is_whole(start: Start, seed: int) -> None:
    """Two runs at once, ten cuts at random bytes of both streams; the stream of one run has exactly that one."""
    chance = random.Random(seed)
    container = await start(reference, helper, tools=[lookup], **edge())
    async with serving(container) as served:
        await asyncio.gather(begin(container, "run-1"), begin(container, "run-2"))
        reader, mine = Reader(served.port), Reader(served.port, f"{PATH}?run_id=run-2")
        for _ in range(10):
            size = chance.randrange(300, 1500)
            await asyncio.gather(reader.connect(10**3, size), mine.connect(10**3, size))
        await asyncio.gather(finish(container, "run-1"), finish(container, "run-2"))
        log = wire_of(container.event_log())
        await reader.connect(len(log))
        while not mine.messages or mine.messages[-1].type != "end":
            await mine.connect(10**3)
    assert log == reader.data
    assert [text for text in log if '"run_id":"run-2"' in text] == mine.data[:-1]
    await until(lambda: served.site.deliveries.open["stream"] == 0)
