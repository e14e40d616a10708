"""Every door, every id that it takes, asked by somebody else: nobody can tell a foreign thing from none.

A foreign run answers as an unknown one, a foreign thread as one's own empty one. The doors are read from the
application itself, so that one without a row here fails the test.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, get_args
from urllib.parse import quote

import httpx2
import msgspec
import pytest
from asking import PAGELESS, asking, endless, greeter
from fastapi.routing import APIRoute
from serving import DEV_USERS, Served, serving
from sockets import talking
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute

from fakes import until
from running import Start, small_settings
from ssot_engine.container import ExecutionContainer
from ssot_engine.events import Event, RunStatus
from ssot_engine.web import frames
from ssot_engine.web.access import RunOrder
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.frames import Ev

# Ids of one length, so that answers can be compared byte by byte.
SECRET = "what alice asked"
THREAD, RUN, KEY = "thread-of-alice", "run-of-alice-1", "key-of-alice-1"
OTHER_THREAD, OTHER_RUN, OTHER_KEY = "thread-of-no-on", "run-of-no-one1", "key-of-no-one1"


class Asker(NamedTuple):
    """Who asks, and for which ids: those of alice's things, or of none."""

    served: Served
    user: str
    thread: str
    run: str
    key: str
    #: Where alice's thread stands, as cursor text and as epoch and seq.
    epoch: str
    seq: int

    @property
    def after(self) -> str:
        return f"{self.epoch}:{self.seq}"

    def client(self) -> httpx2.AsyncClient:
        return asking(self.served, self.user, timeout=10)

    def own(self, text: str) -> str:
        """What this one was told, without the ids it asked for, its own name, and what differs from call to call."""
        for mine, name in ((self.thread, "THREAD"), (self.run, "RUN"), (self.key, "KEY"), (self.user, "USER")):
            text = text.replace(mine, name)
        text = re.sub(r"[a-z_]*_[0-9a-f]{32}", "FRESH", text)
        return re.sub(r"\d+\.\d+(e-\d+)?|\d+e-\d+|\d{13}", "FIGURE", text)


Probe = Callable[[Asker], Awaitable[object]]

# ------------------------------------------------------------------------------- probes


def told(asker: Asker, answer: httpx2.Response) -> object:
    """All that an answer says: status, headers and body."""
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    if answer.status_code < 400:
        # The length of a figure differs from call to call.
        headers = [(name, value) for name, value in headers if name != "content-length"]
    return answer.status_code, asker.own(str(headers)), asker.own(answer.text)


def unknown_run(method: str, path: str) -> Probe:
    """A run that must not be found."""

    async def probe(asker: Asker) -> object:
        async with asker.client() as client:
            run, thread = quote(asker.run), quote(asker.thread)
            answer = await client.request(method, path.format(run=run, thread=thread))
        assert (404, "unknown_run") == (answer.status_code, answer.json()["code"])
        return told(asker, answer)

    return probe


def new_run(idempotency_key: bool = False, **body: str) -> Probe:
    """A run that must be one's own new one; `body` names which of the ids it uses."""

    async def probe(asker: Asker) -> object:
        ids = {field: getattr(asker, of) for field, of in body.items()}
        headers = {"Idempotency-Key": asker.key} if idempotency_key else {}
        async with asker.client() as client:
            answer = await client.post("/api/runs", json={"message": "hi", "agent": "greeter", **ids}, headers=headers)
            started = answer.json()
            record = await client.get(f"/api/runs/{quote(started['run_id'])}", params={"wait_s": 5})
            page = await client.get(f"/api/threads/{quote(started['thread_id'])}/events")
        assert (202, "Hello, hi") == (answer.status_code, record.json()["result"])
        assert 1 == page.json()["events"][0]["seq"]
        return [told(asker, one) for one in (answer, record, page)]

    return probe


def empty_page(query: str = "") -> Probe:
    """A thread that must be one's own, with nothing in it."""

    async def probe(asker: Asker) -> object:
        path = f"/api/threads/{asker.thread}/events{query.format(after=asker.after)}"
        async with asker.client() as client:
            answer = await client.get(path)
            resumed = await client.get(f"/api/threads/{asker.thread}/events", headers={"Last-Event-ID": asker.after})
        assert ([], 0) == (answer.json()["events"], answer.json()["head"])
        return told(asker, answer), told(asker, resumed)

    return probe


async def followed(asker: Asker) -> object:
    """A stream of the thread: it brings what its reader's own next run tells, from seq 1 on."""
    path, head = f"/api/threads/{asker.thread}/events", {"accept": "text/event-stream"}
    async with asker.client() as client, client.stream("GET", path, headers=head) as stream:
        await client.post("/api/runs", json={"message": "hi", "agent": "greeter", "thread_id": asker.thread})
        lines = []
        async for line in stream.aiter_lines():
            lines += [line] if line.startswith("data:") else []
            if '"agent_completed"' in line:
                break
    events = [msgspec.json.decode(line.removeprefix("data:"), type=Event) for line in lines]
    assert list(range(1, len(events) + 1)) == [event.seq for event in events]
    return {name: value for name, value in stream.headers.items() if name != "date"}, asker.own("".join(lines))


def ag_ui(**ids: str) -> Probe:
    """An AG-UI run that must be one's own new one."""

    async def probe(asker: Asker) -> object:
        body = {"threadId": "thread-own", "runId": "run-own", "state": {}, "tools": [], "context": [],
                "messages": [{"id": "m", "role": "user", "content": "hi"}], "forwardedProps": {"agent": "greeter"},
                **{field: getattr(asker, of) for field, of in ids.items()}}  # fmt: skip
        async with asker.client() as client:
            answer = await client.post("/api/agui", json=body)
        assert "RUN_FINISHED" in answer.text
        return told(asker, answer)

    return probe


def socket(*said: Callable[[Asker], Any], resume: bool = False) -> Probe:
    """A socket that says something, then runs its own agent in the thread, and all that it is told until that ended."""

    async def probe(asker: Asker) -> object:
        cursors = [frames.Cursor(asker.thread, asker.epoch, asker.seq)] if resume else []
        async with talking(asker.served, asker.user, *cursors) as talk:
            heard: list[Any] = [talk.welcome]
            for frame in said:
                await talk.say(frame(asker))
            await talk.say(frames.Run("run", "hi", "greeter", asker.thread))
            await talk.say(frames.Ping("last"))
            while not is_over(heard):
                heard.append(await talk.hear())
        events = [event for frame in heard if isinstance(frame, Ev) for event in frame.events]
        assert {asker.user} >= {event.user_id for event in events}
        others = sorted(asker.own(frames.encode(frame).decode()) for frame in heard if not isinstance(frame, Ev))
        return others, [asker.own(frames.encode(event).decode()) for event in events]

    return probe


def is_over(heard: list[Any]) -> bool:
    """Whether the run has ended and the ping was answered."""
    ended = any(event.type == "agent_completed" for frame in heard if isinstance(frame, Ev) for event in frame.events)
    return ended and any(isinstance(frame, frames.Pong) for frame in heard)


async def cancelled(asker: Asker) -> object:
    """A cancel on a socket, which must be refused as of an unknown run."""
    async with talking(asker.served, asker.user) as talk:
        await talk.say(frames.Cancel("cancel", asker.run))
        refused = await talk.expect(frames.Refused)
    assert (404, "unknown_run") == (refused.problem.status, refused.problem.code)
    return asker.own(frames.encode(refused).decode())


async def keyed(asker: Asker) -> object:
    """A run on a socket with somebody's idempotency key: one's own new run."""
    async with talking(asker.served, asker.user) as talk:
        await talk.say(frames.Run("run", "hi", "greeter", "thread-own", key=asker.key))
        accepted = await talk.answer(frames.Accepted)
        assert "thread-own" == accepted.thread
        events = await talk.events(lambda found: any(event.type == "agent_completed" for event in found))
    return [asker.own(frames.encode(event).decode()) for event in events]


# ------------------------------------------------------------------------------ the matrix

#: A field that names nothing of a user's.
PLAIN: Mapping[str, Probe] = {}

#: Door → field → what to try with a foreign value in it, by name.
MATRIX: Mapping[str, Mapping[str, Mapping[str, Probe]]] = {
    "POST /api/runs": {
        "thread_id": {"post in thread": new_run(thread_id="thread")},
        "run_id": {"post run": new_run(run_id="run"), "post run in thread": new_run(run_id="run", thread_id="thread")},
        "idempotency-key": {"post key": new_run(idempotency_key=True, thread_id="thread")},
        "message": PLAIN, "agent": PLAIN, "inputs": PLAIN, "timeout_s": PLAIN, "metadata": PLAIN,
    },
    "GET /api/runs/{run_id}": {
        "run_id": {
            "get run": unknown_run("GET", "/api/runs/{run}"),
            "wait for run": unknown_run("GET", "/api/runs/{run}?wait_s=5"),
        },
        "wait_s": PLAIN,
    },
    "DELETE /api/runs/{run_id}": {"run_id": {"delete run": unknown_run("DELETE", "/api/runs/{run}")}},
    "GET /api/threads/{thread_id}/events": {
        "thread_id": {"page": empty_page(), "stream": followed},
        "after": {"page after": empty_page("?after={after}")},
        "last-event-id": {"page from": empty_page("?limit=5")},
        "run_id": {
            "page of run": unknown_run("GET", "/api/threads/{thread}/events?run_id={run}"),
            "page of run in own thread": unknown_run("GET", "/api/threads/own/events?run_id={run}"),
        },
        "limit": PLAIN,
    },
    "POST /api/agui": {
        "threadId": {"ag-ui in thread": ag_ui(threadId="thread")},
        "runId": {"ag-ui run": ag_ui(runId="run"), "ag-ui run in thread": ag_ui(runId="run", threadId="thread")},
        "parentRunId": {"ag-ui below run": ag_ui(parentRunId="run")},
        **dict.fromkeys(
            ("agent", "state", "messages", "tools", "context", "forwardedProps", "protocolVersion", "resume"), PLAIN
        ),
    },
    "GET /api/threads": {"limit": PLAIN},
    "GET /api/agents": {},
    "GET /api/engines": {},
    "GET /api/protocol": {},
    "GET /api/session": {},
    "POST /api/session": {"token": PLAIN},
    "DELETE /api/session": {},
    "GET /healthz": {},
    "GET /readyz": {},
    "GET /metrics": {},
    "GET /api/openapi.json": {},
    "WS hello": {
        "resume.thread": {"socket resumes": socket(resume=True)},
        "resume.epoch": {"socket resumes where alice is": socket(resume=True)},
        "resume.seq": PLAIN, "protocol": PLAIN, "token": PLAIN, "client": PLAIN,
    },
    "WS follow": {
        "thread": {"socket follows": socket(lambda asker: frames.Follow(asker.thread))},
        "epoch": {"socket follows from": socket(lambda asker: frames.Follow(asker.thread, asker.epoch, asker.seq))},
        "seq": PLAIN,
    },
    "WS leave": {"thread": {"socket leaves": socket(lambda asker: frames.Leave(asker.thread))}},
    "WS ack": {"thread": {"socket acks": socket(lambda asker: frames.Ack(asker.thread, asker.seq))}, "seq": PLAIN},
    "WS run": {
        "thread": {"socket runs in": socket()},
        "key": {"socket runs by key": keyed},
        **dict.fromkeys(("id", "message", "agent", "inputs", "timeout_s"), PLAIN),
    },
    "WS cancel": {"run_id": {"socket cancels": cancelled}, "id": PLAIN},
    "WS reauth": {"token": PLAIN},
    "WS ping": {"id": PLAIN},
}  # fmt: skip

PROBES = {name: probe for fields in MATRIX.values() for probes in fields.values() for name, probe in probes.items()}

# -------------------------------------------------------------------------------- doors


def routes(those: list[Any]) -> Iterator[Any]:
    """All routes, those of included routers too."""
    for route in those:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else routes(inner.routes)


def doors() -> dict[str, set[str]]:
    """Every door of the application and the fields that it reads."""
    settings = small_settings(web=PAGELESS, auth=DEV_USERS)
    app = create_app(create_site(ExecutionContainer.from_settings(settings)))
    document, found = app.openapi(), {}
    for route in routes(app.routes):
        match route:
            case APIRoute():
                for method in route.methods:
                    operation = document["paths"][route.path_format][method.lower()]
                    found[f"{method} {route.path_format}"] = set(fields(document, operation))
            case WebSocketRoute(path="/ws"):
                found.update(
                    {
                        f"WS {kind.__struct_config__.tag}": set(frame_fields(kind))
                        for kind in get_args(frames.ClientFrame)
                    }
                )
            case Route():
                found[f"GET {route.path}"] = set(route.param_convertors)
            case _:
                found[repr(route)] = set()
    return found


def fields(document: Any, operation: Any) -> Iterator[str]:
    """The parameters of an operation, and the fields of its body."""
    yield from (parameter["name"] for parameter in operation.get("parameters", ()))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        yield from document["components"]["schemas"][name]["properties"]


def frame_fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    """The fields of a frame, and of what it holds."""
    for field in msgspec.structs.fields(kind):
        inner = [one for one in get_args(field.type) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        yield from [f"{field.name}.{name}" for one in inner for name in frame_fields(one)] or [field.name]


def test_every_door_and_every_field_has_its_row() -> None:
    """A new endpoint, parameter, body field or frame is not served before somebody says what it may tell whom."""
    assert {door: set(row) for door, row in MATRIX.items()} == doors()


# --------------------------------------------------------------------------------- tests


@asynccontextmanager
async def two_strangers(start: Start) -> AsyncIterator[tuple[Asker, Asker]]:
    """Bob, who asks for alice's things, and carol, who asks for none; alice has an open run and one by a key."""
    container = await start(greeter, endless, web=PAGELESS, auth=DEV_USERS)
    async with serving(container) as served, asking(served) as client:
        alice = await served.site.enter(_request(client, served))
        first = await alice.submit(RunOrder(message=SECRET, agent="greeter", thread_id=THREAD, idempotency_key=KEY))
        await alice.record(first.run_id, wait_s=5)
        await alice.submit(RunOrder(message=SECRET, agent="endless", thread_id=THREAD, run_id=RUN))
        head = alice.log.head(alice.key(THREAD))
        yield (
            Asker(served, "bob", THREAD, RUN, KEY, head.epoch, head.seq),
            Asker(served, "carol", OTHER_THREAD, OTHER_RUN, OTHER_KEY, head.epoch, head.seq),
        )
        assert head == alice.log.head(alice.key(THREAD))
        assert (await alice.record(RUN)).status is None
        await alice.cancel(RUN)
        assert RunStatus.CANCELLED == (await alice.record(RUN)).status
        await until(lambda: not container.engine_factory().engines())


def _request(client: httpx2.AsyncClient, served: Served) -> Any:
    """A request of alice, as her own door sees it."""
    headers = [(b"host", b"127.0.0.1"), (b"authorization", client.headers["authorization"].encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "app": served.app})


@pytest.mark.parametrize("name", PROBES)
async def test_a_foreign_id_is_answered_as_one_of_nothing(start: Start, name: str) -> None:
    """Status, headers, body and events are the same but for the id; alice's things stay untouched."""
    async with two_strangers(start) as (bob, carol):
        foreign, nothing = await PROBES[name](bob), await PROBES[name](carol)
    assert nothing == foreign
    assert SECRET not in str(foreign)


async def test_nothing_that_is_listed_is_somebody_elses(start: Start) -> None:
    """Every door that needs no id is asked, and tells nothing of alice's threads, runs and messages."""
    listed = [door.removeprefix("GET ") for door in MATRIX if door.startswith("GET ") and "{" not in door]
    async with two_strangers(start) as (bob, _), bob.client() as client:
        answers = {path: await client.get(path) for path in listed}
    assert {200} == {answer.status_code for answer in answers.values()}
    assert [] == [
        path for path, answer in answers.items() if any(word in answer.text for word in (THREAD, RUN, KEY, SECRET))
    ]
    assert "alice" not in answers["/api/engines"].text
    assert [] == answers["/api/threads"].json()["threads"]
