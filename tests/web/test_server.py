"""Facts about the server: what it accepts, what it offers, and in which order it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asking import PAGELESS, asking, endless
from serving import DEV_USERS, Served, serving
from sockets import talking
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from fakes import types_of, until
from running import Start
from ssot_engine.agents import RunContext
from ssot_engine.errors import ConfigError
from ssot_engine.events import Event
from ssot_engine.settings import WebSettings
from ssot_engine.web.app import create_site
from ssot_engine.web.frames import Cursor
from ssot_engine.web.outlet import ABORT
from ssot_engine.web.server import Server, address_of, listen


def edge(**web: Any) -> dict[str, Any]:
    """Sections of settings for a site that is served."""
    return {"auth": DEV_USERS, "web": {**PAGELESS, **web}}


# -------------------------------------------------------------------------------- ending


class Gate:
    """An agent whose runs end when they may."""

    name = "gated"

    def __init__(self) -> None:
        self.is_reached = asyncio.Event()
        self.may_end = asyncio.Event()

    async def execute(self, run: RunContext) -> AsyncIterator[str]:
        """Waits at the gate."""
        yield "first "
        self.is_reached.set()
        await self.may_end.wait()
        yield "last"


async def lines_of(served: Served, thread_id: str, seen: list[str]) -> None:
    """What an event stream says, to its end."""
    path = f"/api/threads/{thread_id}/events"
    async with asking(served) as client, client.stream("GET", path, headers={"accept": "text/event-stream"}) as stream:
        async for line in stream.aiter_lines():
            seen.append(line)


def ended(events: list[Event]) -> bool:
    """Whether the run is over."""
    return "agent_completed" in types_of(events)


async def begun(served: Served, name: str) -> str:
    """The thread of a run that alice started."""
    async with asking(served) as client:
        return str((await client.post("/api/runs", json={"message": "", "agent": name})).json()["thread_id"])


async def test_runs_finish_before_their_readers_are_sent_away(start: Start) -> None:
    """Told to end, it accepts no run and is not ready, but serves on; a stream and a socket see the run's end."""
    gate = Gate()
    container = await start(gate, engine={"drain_timeout_s": 20.0}, **edge())
    async with serving(container, drains=True) as served:
        seen: list[str] = []
        thread_id = await begun(served, "gated")
        reading = asyncio.create_task(lines_of(served, thread_id, seen))
        async with talking(served, "alice", Cursor(thread_id)) as talk:
            await gate.is_reached.wait()
            await until(lambda: any("first" in line for line in seen))
            served.server.stop()
            await until(lambda: not container.engine_factory().is_running)
            async with asking(served) as client:
                assert 503 == (await client.get("/readyz")).status_code
                assert 503 == (await client.post("/api/runs", json={"message": ""})).status_code
                assert 200 == (await client.get(f"/api/threads/{thread_id}/events")).status_code
            gate.may_end.set()
            events: list[Event] = await talk.events(ended)
            assert "completed" == events[-1].payload["status"]
            assert 1012 == (await talk.closed())[0]
        await reading
        assert 1 == sum('"status":"completed"' in line for line in seen)


async def test_runs_that_do_not_finish_are_cancelled_and_seen(start: Start) -> None:
    """After `engine.drain_timeout_s`; their readers are told."""
    container = await start(endless, engine={"drain_timeout_s": 0.05}, **edge())
    async with serving(container, drains=True) as served:
        thread_id = await begun(served, "endless")
        async with talking(served, "alice", Cursor(thread_id)) as talk:
            served.server.stop()
            events = await talk.events(ended)
            assert ["agent_started", "agent_completed"] == types_of(events)
            assert "cancelled" == events[-1].payload["status"]


async def test_what_does_not_end_is_cut(start: Start) -> None:
    """After `web.close_timeout_s`: a request and a socket whose application hears nothing, and a half-sent request."""
    cancelled: list[str] = []

    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(scope["type"])
            raise

    async with served_by(await start(**edge(close_timeout_s=0.05)), deaf) as (server, port):
        half, stuck = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        half[1].write(b"GET / HTTP/1.1\r\n")
        stuck[1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with connect(f"ws://127.0.0.1:{port}/") as open_socket:
            await until(lambda: len(server.server_state.tasks) == 2)
            with capture_logs() as entries:
                server.stop()
                for reader, _ in (half, stuck):
                    assert b"" == await all_of(reader)
                with pytest.raises(ConnectionClosedError):
                    await open_socket.recv()
                await until(lambda: not server.server_state.tasks)
    for _, writer in (half, stuck):
        writer.close()
    assert ["http", "websocket"] == sorted(cancelled)
    assert {"connections": 2} == {key: entry[key] for entry in entries for key in entry if key == "connections"}


# ------------------------------------------------------------------------------ serving


@asynccontextmanager
async def served_by(container: Any, app: Any) -> AsyncIterator[tuple[Server, int]]:
    """An application on the server, in place of the site's own; the server and its port."""
    site, (listener,) = create_site(container), listen(WebSettings(port=0))
    started = asyncio.Event()
    server = Server(site, app, takes_signals=False, on_started=started.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await started.wait()
        yield server, listener.getsockname()[1]
    finally:
        site.stopping.set()
        server.stop()
        await serving


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What a connection says to its end, however it ends."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""


async def said(port: int, text: bytes) -> bytes:
    """What a server answers to these bytes, to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    try:
        return await all_of(reader)
    finally:
        writer.close()


async def test_a_wire_may_drop_its_connection(start: Start) -> None:
    """By the scope's extension, with what is unsent: an answer begun, and a socket."""

    async def aborting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await receive()
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        scope["extensions"][ABORT]()
        while not (await receive())["type"].endswith("disconnect"):
            pass

    async with served_by(await start(**edge()), aborting) as (_, port):
        assert b"0\r\n\r\n" not in await said(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with connect(f"ws://127.0.0.1:{port}/") as open_socket:
            async with asyncio.timeout(5):
                with pytest.raises(ConnectionClosedError) as dropped:
                    await open_socket.recv()
    assert dropped.value.rcvd is None


async def test_the_head_of_a_request_is_bounded(start: Start) -> None:
    """A longer one is answered 400, however slowly its end would come."""
    async with served_by(await start(**edge()), None) as (_, port):
        answer = await said(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_compression_is_not_agreed_to(start: Start) -> None:
    """A frame that could inflate is refused with it."""
    async with serving(await start(**edge())) as served, connect(served.ws_url, compression="deflate") as open_socket:
        assert open_socket.response is not None
        assert "Sec-WebSocket-Extensions" not in open_socket.response.headers


async def test_a_root_path_is_put_before_every_path(start: Start) -> None:
    """As a proxy took it off; the routes are found all the same."""
    async with serving(await start(**edge(root_path="/proxy"))) as served, asking(served) as client:
        assert 200 == (await client.get("/healthz")).status_code
        signed_in = await client.post("/api/session", json={"token": "alice"}, headers={"origin": served.url})
        assert "Path=/proxy" in signed_in.headers["set-cookie"]


async def test_a_root_path_that_is_none_is_refused(start: Start) -> None:
    """Before anything is served."""
    with pytest.raises(ConfigError, match="write it as /agents"):
        Server(create_site(await start(**edge(root_path="agents/"))), None)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- listening


def test_a_name_may_stand_for_several_addresses() -> None:
    """All are listened on, at one port."""
    made = listen(WebSettings(host="localhost", port=0), loopback_only=True)
    try:
        assert 1 == len({one.getsockname()[1] for one in made})
        assert address_of(made[0]).startswith(("http://127.0.0.1:", "http://[::1]:"))
    finally:
        for one in made:
            one.close()


def test_a_taken_port_is_refused() -> None:
    """It names the port and what sets it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127.0.0.1:{port} cannot be listened on: .*SSOT_ENGINE_WEB__PORT"):
            listen(WebSettings(port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_users_without_proof_are_served_on_loopback_only(host: str) -> None:
    """By address, not by name."""
    with pytest.raises(ConfigError, match=r"served on loopback only: use --host 127.0.0.1"):
        listen(WebSettings(host=host, port=0), loopback_only=True)


def test_a_host_that_is_none_is_refused() -> None:
    """It names the setting."""
    with pytest.raises(ConfigError, match=r"web.host 'no\.invalid' is no address"):
        listen(WebSettings(host="no.invalid", port=0))


# ----------------------------------------------------------------------------------- log


async def test_query_strings_reach_no_log(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither ours nor the standard library's, whatever becomes of the request."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        raise LookupError("no such figure")

    with capture_logs() as entries:
        async with served_by(await start(**edge()), failing) as (_, port):
            monkeypatch.setattr(logging.getLogger("uvicorn.error"), "propagate", True)
            await said(port, b"GET /?token=hush HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with pytest.raises(ConnectionClosedError):
                async with connect(f"ws://127.0.0.1:{port}/?token=hush") as open_socket:
                    await open_socket.recv()
    failed = [entry for entry in entries if entry["event"] == "server_warned"]
    assert ["uvicorn.error", "uvicorn.error"] == [entry["source"] for entry in failed]
    assert {"Exception in ASGI application"} == {entry["text"] for entry in failed}
    told = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert 2 == len(told)
    assert "hush" not in f"{entries} {told}"
