"""Facts about `get_engine` and `get_access` in a host's own routes."""

from __future__ import annotations

import pytest
from fastapi import Depends, FastAPI
from host_greeting import make
from host_serving import as_user, hosting, started
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fakes import until
from ssot_engine import get_engine
from ssot_engine.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "headers", "thread_id"),
    [
        ("/ask/t-path?thread_id=t-query", {"x-thread-id": "t-header"}, "t-path"),
        ("/ask?thread_id=t-query", {"x-thread-id": "t-header"}, "t-query"),
        ("/ask", {"x-thread-id": "t-header"}, "t-header"),
    ],
)
async def test_the_thread_is_the_one_named(path: str, headers: dict[str, str], thread_id: str) -> None:
    """By the path, else the query, else the header; the user is the host's."""
    async with started(make()) as client:
        answer = (await client.get(path, headers={**as_user("alice"), **headers})).json()
        assert ("Hello, alice", thread_id) == (answer["output"], answer["thread_id"])


async def test_without_a_name_the_thread_is_new() -> None:
    """So is the run, each time."""
    async with started(make()) as client:
        first, second = [(await client.get("/ask", headers=as_user("alice"))).json() for _ in range(2)]
        assert first["thread_id"] != second["thread_id"]
        assert first["run_id"] != second["run_id"]


async def test_a_thread_id_that_is_none_is_refused() -> None:
    """As a problem with status 400, by the host's application."""
    async with started(make()) as client:
        answer = await client.get("/ask", headers={**as_user("alice"), "x-thread-id": "x" * 200})
        assert (400, "invalid_context") == (answer.status_code, answer.json()["code"])


async def test_nobody_gets_an_engine_without_signing_in() -> None:
    """The host's own refusal reaches the client as the host wrote it."""
    async with started(make()) as client:
        answer = await client.get("/ask")
        assert (401, {"detail": "sign in"}) == (answer.status_code, answer.json())


async def test_what_a_run_refuses_is_a_problem() -> None:
    """An unknown agent is 404, and the engine is gone."""
    app = make()
    async with started(app) as client:
        answer = await client.get("/ask?agent=nobody", headers=as_user("alice"))
        assert (404, "unknown_agent") == (answer.status_code, answer.json()["code"])
        assert [] == app.state.ssot_engine.container.engine_factory().engines()


async def test_the_engine_lives_as_long_as_a_streamed_answer() -> None:
    """The route has returned long before its answer is read; afterwards the engine is gone."""
    app = make()
    async with hosting(app) as client:
        answer = await client.get("/stream", headers=as_user("alice"))
        assert "Hello, alice" == answer.text
        factory = app.state.ssot_engine.container.engine_factory()
        await until(lambda: not factory.engines())


async def test_a_socket_of_the_host_gets_one_too() -> None:
    """And is refused with the answer's status where nobody is signed in."""
    app = make()
    async with hosting(app) as client:
        url = str(client.base_url).replace("http", "ws").rstrip("/") + "/chat"
        async with connect(url, additional_headers=as_user("bob")) as socket:
            await socket.send("hi")
            assert "Hello, bob" == await socket.recv()
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers={**as_user("bob"), "x-thread-id": "x" * 200})
        assert 400 == refused.value.response.status_code


async def test_access_sees_the_users_own() -> None:
    """What bob did is nothing of alice's."""
    async with started(make()) as client:
        await client.get("/ask/t-1", headers=as_user("bob"))
        assert [] == (await client.get("/mine", headers=as_user("alice"))).json()
        assert ["t-1"] == (await client.get("/mine", headers=as_user("bob"))).json()


async def test_an_application_without_engines_says_so() -> None:
    """A route of a sub-application, or without `install`, names what to call."""
    app = FastAPI(title="bare")
    app.get("/ask", dependencies=[Depends(get_engine)])(lambda: None)
    with pytest.raises(ConfigError, match=r"'bare' of '/ask' has no engines: call ssot_engine.install"):
        async with started(app) as client:
            await client.get("/ask")
