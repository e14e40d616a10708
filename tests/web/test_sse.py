"""Events over HTTP: the stream, its cursors, its ends, and the page."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from dependency_injector import providers
from fastapi import FastAPI, Request
from serving import serving
from sse_client import STREAM, FailingLog, SseParser, asked, edge, fetch, stream
from starlette.requests import HTTPConnection

from fakes import ALICE, context_of, draft, ending, events_of, types_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import RequestError
from ssot_engine.events import Event, Position
from ssot_engine.runs.base import RunSpec
from ssot_engine.web.identity import Identity
from ssot_engine.web.site import Access, site_of
from ssot_engine.web.sse import SseView, cursor_text, parse_cursor
from ssot_engine.web.streams import EventStream, Following

PATH = "/api/threads/t-1/events"


@agent("says")
async def says(run: RunContext) -> AsyncIterator[str]:
    """Counts as far as it is told, lets others run in between, and says that it is done."""
    for number in range(int(run.message)):
        run.emit.custom("count", number)
        await asyncio.sleep(0)
    yield "done"


@agent("waits")
async def waits(run: RunContext) -> None:
    """Works until it is stopped."""
    await asyncio.sleep(60)


async def ran(container: ExecutionContainer, message: str, run_id: str = "run-1", user_id: str = "alice") -> None:
    """A run of `says` that has ended."""
    await container.runs().submit(RunSpec(context=context_of(user_id, run_id), agent="says", message=message))
    await container.runs().wait(user_id, run_id)


def as_json(events: list[Event]) -> list[Any]:
    """Events as a reader gets them."""
    return [msgspec.json.decode(msgspec.json.encode(event)) for event in events]


def has(count: int) -> Any:
    """Enough is so many messages."""
    return lambda answer: len(answer.messages) >= count


# -------------------------------------------------------------------------- cursors


@pytest.mark.parametrize("position", [Position("a1b2", 0), Position("x:y", 17), Position("e", 10**17)])
def test_a_cursor_is_read_as_it_was_written(position: Position) -> None:
    """Whatever the epoch, colons included."""
    assert position == parse_cursor(cursor_text(position))


@pytest.mark.parametrize("text", ["", "7", ":7", "e:", "e:-1", "e:+1", "e:1.0", "e:١", "e:" + "9" * 19, "e: 1"])
def test_a_malformed_cursor_is_refused_with_the_form_it_should_have(text: str) -> None:
    """No number is guessed into it."""
    with pytest.raises(RequestError, match="epoch:seq"):
        parse_cursor(text)


# --------------------------------------------------------------------------- stream


async def test_a_stream_tells_the_events_of_the_log_with_their_cursors_as_ids(start: Start) -> None:
    """Each is a `message` that holds the event as JSON; a hint says when to connect again."""
    container = await start(says, **edge())
    await ran(container, "5")
    log = events_of(container.event_log())
    async with serving(container) as served:
        answer = await stream(served.port, PATH, has(len(log)))
    assert (200, "text/event-stream; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert as_json(log) == [message.json for message in answer.messages]
    assert [cursor_text(event.position) for event in log] == [message.id for message in answer.messages]
    assert {"message"} == {message.type for message in answer.messages}
    assert 1000 == answer.parser.retry_ms


async def test_the_header_of_a_reader_that_comes_back_wins_over_the_query(start: Start) -> None:
    """An EventSource repeats its first URL and adds Last-Event-ID."""
    container = await start(says, **edge())
    await ran(container, "9")
    log = events_of(container.event_log())
    first, third = (cursor_text(log[index].position) for index in (0, 2))
    async with serving(container) as served:
        by_query = await stream(served.port, f"{PATH}?after={first}", has(1))
        by_header = await stream(served.port, f"{PATH}?after={first}", has(1), Last_Event_ID=third)
    assert [2, 4] == [answer.messages[0].json["seq"] for answer in (by_query, by_header)]


async def test_events_come_as_they_happen_also_of_several_runs(start: Start) -> None:
    """A reader that was there first reads two runs of its thread in the log's order."""
    container = await start(says, **edge())
    async with serving(container) as served, asked(served.port, PATH, Accept=STREAM) as answer:
        await until(lambda: served.site.deliveries.open["stream"] == 1)
        await asyncio.gather(ran(container, "20", "run-1"), ran(container, "20", "run-2"))
        log = events_of(container.event_log())
        await answer.read(has(len(log)))
    assert as_json(log) == [message.json for message in answer.messages]


async def test_a_stream_of_one_run_has_only_that_run_and_ends_with_it(start: Start) -> None:
    """It says why; a reader that connects again is told by status 204 that there is nothing more."""
    container = await start(says, **edge())
    await asyncio.gather(ran(container, "20", "run-1"), ran(container, "20", "run-2"))
    mine = [event for event in events_of(container.event_log()) if event.run_id == "run-1"]
    path = f"{PATH}?run_id=run-1"
    async with serving(container) as served:
        answer = await stream(served.port, path)
        *events, end = answer.messages
        again = await stream(served.port, path, Last_Event_ID=end.id)
    assert answer.is_whole
    assert as_json(mine) == [message.json for message in events]
    assert ("end", "run_ended") == (end.type, end.json["reason"])
    assert 204 == again.status


async def test_a_run_of_another_user_or_thread_is_as_unknown_as_one_that_never_was(start: Start) -> None:
    """The answers differ in nothing but the id that was asked for."""
    container = await start(says, **edge())
    await ran(container, "1", "run-a")
    async with serving(container) as served:
        answers = [
            await fetch(served.port, f"/api/threads/{thread}/events?run_id={run}", user=user, Accept=accept)
            for accept in ("text/event-stream", "application/json")
            for user, thread, run in (("bob", "t-1", "run-a"), ("alice", "t-2", "run-a"), ("bob", "t-1", "run-b"))
        ]
    assert {404} == {answer.status for answer in answers}
    assert 1 == len({answer.body.replace(b"run-b", b"run-a") for answer in answers})


async def test_a_thread_of_another_user_is_ones_own_empty_one(start: Start) -> None:
    """Its page is the page of a thread that never was, but for nothing."""
    container = await start(says, **edge())
    await ran(container, "1")
    async with serving(container) as served:
        foreign, unknown = [
            await fetch(served.port, f"/api/threads/{thread}/events", user="bob") for thread in ("t-1", "t-2")
        ]
    assert ("ok", [], 0, 0) == tuple(foreign.json[field] for field in ("status", "events", "floor", "head"))
    assert set(unknown.json) == set(foreign.json)


async def test_a_cursor_of_another_history_is_answered_by_a_reset_and_what_follows(start: Start) -> None:
    """Never by a silent hole: the reset has the place where it goes on, as its id too."""
    container = await start(says, **edge(), events={"max_events_per_thread": 8})
    await ran(container, "20")
    await container.event_log().trim()
    page = await container.event_log().read(ALICE, Position(events_of_epoch(container), 10**6))
    async with serving(container) as served:
        answer = await stream(served.port, PATH, has(1), Last_Event_ID="gone:3")
        rest = await stream(served.port, PATH, has(page.head - page.floor), Last_Event_ID=answer.messages[0].id)
    reset = answer.messages[0]
    assert ("reset", f"{page.epoch}:{page.floor}") == (reset.type, reset.id)
    assert page.floor > 0
    facts = {field: reset.json[field] for field in ("thread", "epoch", "seq", "reason")}
    assert {"thread": "t-1", "epoch": page.epoch, "seq": page.floor, "reason": "epoch_changed"} == facts
    assert ["agent_started"] == [event["type"] for event in reset.json["snapshot"]]
    assert list(range(page.floor + 1, page.head + 1)) == [message.json["seq"] for message in rest.messages]


def events_of_epoch(container: ExecutionContainer) -> str:
    return container.event_log().head(ALICE).epoch


# ------------------------------------------------------------------------ its ends


async def test_the_stop_of_the_server_ends_a_stream_after_what_is_left(start: Start) -> None:
    """The run that the stop has ended is told to its end, then comes `end`."""
    container = await start(waits, **edge())
    async with serving(container, drains=True) as served:
        await container.runs().submit(RunSpec(context=context_of(), agent="waits", message=""))
        async with asked(served.port, PATH, Accept=STREAM) as answer:
            await answer.read(has(1))
            served.server.stop()
            await answer.read()
    assert answer.is_whole
    assert ["agent_started", "agent_completed"] == [message.json.get("type") for message in answer.messages[:-1]]
    assert ("end", "restart") == (answer.messages[-1].type, answer.messages[-1].json["reason"])


async def test_what_was_stored_before_the_stop_is_told_before_the_end(start: Start) -> None:
    """Also if both happen in one turn of the loop."""
    container = await start(**edge())
    log = container.event_log()
    attempt = log.begin(ALICE, "run-1")
    async with serving(container) as served, asked(served.port, PATH, Accept=STREAM) as answer:
        await until(lambda: served.site.deliveries.open["stream"] == 1)
        log.submit(ALICE, [draft("custom", n, name="x", data=n) for n in range(1, 701)], attempt=attempt)
        served.site.stopping.set()
        await answer.read()
        log.submit(ALICE, [ending(701)], attempt=attempt)
    assert list(range(1, 701)) == [message.json["seq"] for message in answer.messages[:-1]]
    assert "end" == answer.messages[-1].type


async def test_a_stream_ends_when_the_sign_in_does(start: Start) -> None:
    """Nothing is told after that but why, and the run is none of its business."""
    container = await start(says, **edge(auth={}))
    await ran(container, "1")

    def brief(connection: HTTPConnection) -> Identity:
        return Identity("alice", expires_at=time.time() + 0.05)

    async with serving(container, user=brief) as served:
        answer = await stream(served.port, PATH)
    assert answer.is_whole
    assert ("end", "expired") == (answer.messages[-1].type, answer.messages[-1].json["reason"])


async def test_a_reader_that_leaves_frees_its_place_and_ends_no_run(start: Start) -> None:
    """Disconnect is not cancel."""
    container = await start(waits, **edge())
    async with serving(container) as served:
        await container.runs().submit(RunSpec(context=context_of(), agent="waits", message=""))
        await stream(served.port, PATH, has(1))
        await until(lambda: served.site.deliveries.open["stream"] == 0)
        assert ["agent_started"] == types_of(events_of(container.event_log()))
        await container.runs().cancel("alice", "run-1")


async def test_a_reader_that_does_not_read_is_cut_off(start: Start) -> None:
    """After `web.send_timeout_s` its place and its connection are free, and it is counted."""
    container = await start(**edge(send_timeout_s=0.2))
    log = container.event_log()
    attempt = log.begin(ALICE, "run-1")
    log.submit(ALICE, [draft("custom", n, name="x", data="x" * 60_000) for n in range(1, 201)], attempt=attempt)
    async with serving(container) as served:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", served.port))
            deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n".encode())
            deaf.sendall(b"Accept: text/event-stream\r\n\r\n")
            await until(lambda: served.site.deliveries.slow_closed == 1)
            await until(lambda: not served.server.server_state.connections)
            assert 0 == served.site.deliveries.open["stream"]
            assert served.site.deliveries.events < 200


async def test_a_log_that_fails_ends_a_stream_with_a_word(start: Start) -> None:
    """The response has begun, so no status can tell it any more."""
    log = FailingLog()
    container = await start(says, prepare=lambda made: made.event_log.override(providers.Object(log)), **edge())
    await ran(container, "1")
    async with serving(container) as served, asked(served.port, PATH, Accept=STREAM) as answer:
        await answer.read(has(4))
        log.fail(ALICE)
        await answer.read()
        refused = await fetch(served.port, PATH)
    assert ("end", "unavailable") == (answer.messages[-1].type, answer.messages[-1].json["reason"])
    assert 503 == refused.status


async def test_a_user_has_only_so_many_readers(start: Start) -> None:
    """The next is refused before its stream begins, and let in when one has left."""
    container = await start(**edge(max_connections_per_user=1))
    async with serving(container) as served:
        async with asked(served.port, PATH, Accept=STREAM):
            await until(lambda: served.site.deliveries.open["stream"] == 1)
            refused = await stream(served.port, PATH)
            assert (429, "application/problem+json") == (refused.status, refused.headers["content-type"])
        await until(lambda: served.site.deliveries.open["stream"] == 0)
        assert 200 == (await stream(served.port, PATH, lambda answer: answer.status)).status


async def test_a_silent_stream_shows_that_it_lives(start: Start) -> None:
    """A comment comes again and again, which no reader takes for an event."""
    container = await start(**edge())
    async with serving(container) as served:
        _with_short_silence(served.app)
        answer = await stream(served.port, "/short", lambda answer: answer.parser.comments >= 3)
    assert [] == answer.messages


def _with_short_silence(app: FastAPI) -> None:
    @app.get("/short")
    async def short(request: Request, access: Access) -> EventStream:
        async def begin() -> Following:
            return Following("t-1", None)

        return EventStream(site_of(request), access, begin, SseView(), keep_alive_s=0.01)


async def test_events_share_writes_until_a_critical_one_goes_at_once(start: Start) -> None:
    """Within `web.coalesce_s` 200 of the others wait for each other, until a critical one takes them along."""
    container = await start(says, **edge(coalesce_s=1.0))
    async with serving(container) as served, asked(served.port, PATH, Accept=STREAM) as answer:
        await until(lambda: served.site.deliveries.open["stream"] == 1)
        await ran(container, "200")
        log = events_of(container.event_log())
        await answer.read(has(len(log)))
        assert len(log) == served.site.deliveries.events
        assert served.site.deliveries.frames <= 3


async def test_what_a_reader_had_missed_is_no_lag(start: Start) -> None:
    """Old events read again say nothing of how late new ones are."""
    container = await start(says, **edge())
    await ran(container, "5")
    async with serving(container) as served, asked(served.port, PATH, Accept=STREAM) as answer:
        await answer.read(has(len(events_of(container.event_log()))))
        assert [] == list(served.site.deliveries.lags)
        await ran(container, "5", run_id="run-2")
        await answer.read(has(len(events_of(container.event_log()))))
        assert served.site.deliveries.lags


# ----------------------------------------------------------------------------- page


async def test_pages_go_on_from_each_other_to_the_end(start: Start) -> None:
    """`next` of a page is the cursor of the following one; the last is empty and says where the end is."""
    container = await start(says, **edge())
    await ran(container, "25")
    log, told, cursor = events_of(container.event_log()), [], ""
    async with serving(container) as served:
        while (page := (await fetch(served.port, f"{PATH}?limit=10{cursor}")).json)["events"]:
            assert len(page["events"]) <= 10
            told += page["events"]
            cursor = f"&after={page['next']}"
    assert as_json(log) == told
    assert cursor_text(log[-1].position) == page["next"]
    assert ("ok", 0, len(log)) == (page["status"], page["floor"], page["head"])


async def test_a_page_of_one_run_leaves_the_others_out(start: Start) -> None:
    """And its cursor passes over them."""
    container = await start(says, **edge())
    for run_id in ("run-1", "run-2"):
        await ran(container, "3", run_id)
    log = events_of(container.event_log())
    async with serving(container) as served:
        page = (await fetch(served.port, f"{PATH}?run_id=run-1")).json
    assert as_json([event for event in log if event.run_id == "run-1"]) == page["events"]
    assert cursor_text(log[-1].position) == page["next"]


async def test_a_page_says_when_events_are_gone(start: Start) -> None:
    """Status 200, the reason, what is kept, and a cursor from which it goes on."""
    container = await start(says, **edge(), events={"max_events_per_thread": 8})
    await ran(container, "20")
    await container.event_log().trim()
    async with serving(container) as served:
        answer = await fetch(served.port, f"{PATH}?after={events_of_epoch(container)}:1")
        rest = (await fetch(served.port, f"{PATH}?after={answer.json['next']}")).json
    page = answer.json
    assert (200, "gap", []) == (answer.status, page["status"], page["events"])
    assert ["agent_started"] == [event["type"] for event in page["snapshot"]]
    assert list(range(page["floor"] + 1, page["head"] + 1)) == [event["seq"] for event in rest["events"]]


@pytest.mark.parametrize("query", ["after=7", "after=e:x", "limit=0", "limit=1001", "limit=x"])
async def test_a_question_that_makes_no_sense_is_refused(start: Start, query: str) -> None:
    """As a problem that says what would."""
    container = await start(**edge())
    async with serving(container) as served:
        answer = await fetch(served.port, f"{PATH}?{query}")
    assert answer.status in (400, 422)
    assert answer.json["detail"]


async def test_both_forms_of_the_answer_are_described(start: Start) -> None:
    """OpenAPI names the media types that Accept chooses from."""
    container = await start(**edge())
    async with serving(container) as served:
        described = (await fetch(served.port, "/api/openapi.json")).json
    content = described["paths"]["/api/threads/{thread_id}/events"]["get"]["responses"]["200"]["content"]
    assert {"application/json", "text/event-stream"} == set(content)


def test_the_reader_of_these_tests_follows_the_standard() -> None:
    """The example of the HTML standard, in pieces of every size; what is not ended by a blank line does not count."""
    text = (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\ndata\n\nid: 9\ndata: cut"
    )
    for size in range(1, len(text)):
        parser = SseParser()
        told = [message for at in range(0, len(text), size) for message in parser.feed(text[at : at + size])]
        assert [("first event", "1"), ("second event", ""), (" third\n", "")] == [(m.data, m.id) for m in told]
