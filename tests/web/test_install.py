"""Facts about `install`: what a host's application has by it, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from host_greeting import greeter, make, signed_in
from host_serving import as_user, hosting, started
from serving import DEV_USERS
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from running import small_settings
from ssot_engine import ExecutionContainer, RunContext, agent, install
from ssot_engine.errors import ClosedError, ConfigError

ALICE = as_user("alice")


class Teller:
    """An agent that is an object."""

    name = "teller"

    async def execute(self, run: RunContext) -> AsyncIterator[str]:
        """Tells something."""
        yield "told"


class Counter:
    """An agent that is a class: each engine has its own."""

    name = "counter"

    async def execute(self, run: RunContext) -> AsyncIterator[str]:
        """Counts."""
        yield "one"


async def asked(client: httpx2.AsyncClient, prefix: str = "/agents", name: str = "greeter") -> Any:
    """The result of a run that a client started over the API."""
    order = {"message": "hi", "agent": name}
    started_run = await client.post(f"{prefix}/api/runs", json=order, headers={**ALICE, "origin": str(client.base_url)})
    assert 202 == started_run.status_code, started_run.text
    path = f"{prefix}/api/runs/{started_run.json()['run_id']}?wait_s=5"
    return (await client.get(path, headers=ALICE)).json()


async def test_a_served_host_has_agents_below_the_prefix() -> None:
    """Runs of the host's user by the host's agent, the page, and a socket; the host's own routes stay."""
    async with hosting(make()) as client:
        assert "completed" == (await asked(client))["status"]
        assert 401 == (await client.get("/agents/api/threads")).status_code
        page = await client.get("/agents", follow_redirects=True)
        assert ("/agents/", 200) == (page.url.path, page.status_code)
        assert {"greeting": "Hello"} == (await client.get("/state")).json()
        async with connect(str(client.base_url).replace("http", "ws") + "/agents/ws", additional_headers=ALICE) as one:
            await one.send('{"type": "hello", "protocol": 1}')
            assert '"user":"alice"' in str(await one.recv())


async def test_it_works_below_a_root_path() -> None:
    """A proxy that takes a prefix off is seen in the paths of cookies and redirects only."""
    async with hosting(make(), root_path="/proxy") as client:
        assert "completed" == (await asked(client))["status"]
        page = await client.get("/agents")
        assert page.status_code in (307, 308)
        assert 200 == (await client.get("/agents/")).status_code


async def test_the_container_lives_inside_the_hosts_lifespan() -> None:
    """It starts after what the host starts and ends before it; the host's lifespan state is kept."""
    told: list[str] = []
    container = ExecutionContainer.from_settings(small_settings())
    app = make(told, container=container, settings=None)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def watched(host: FastAPI) -> AsyncIterator[Any]:
        async with inner(host) as state:
            told.append(f"running {container.engine_factory().is_running} {state}")
            yield state

    async with watched(app):
        pass
    told.append(f"running {container.engine_factory().is_running}")
    assert ["host up", "running True {'greeting': 'Hello'}", "host down", "running False"] == told


async def test_a_container_that_the_host_runs_is_only_used() -> None:
    """It is not run twice, and it is the host that ends it."""
    container = ExecutionContainer.from_settings(small_settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with container.running():
            yield
            assert container.engine_factory().is_running

    app = FastAPI(lifespan=lifespan)
    install(app, container, agents=[greeter], user=signed_in)
    async with started(app) as client:
        assert "completed" == (await asked(client))["status"]


async def test_agents_are_objects_functions_and_classes() -> None:
    """Each by its name; the built-in team is not among them."""
    app = FastAPI()
    install(app, agents=[Teller(), greeter, Counter], user=signed_in)
    async with started(app) as client:
        found = (await client.get("/agents/api/agents", headers=ALICE)).json()
        assert {"counter", "greeter", "teller"} == {one["name"] for one in found["agents"]}
        assert "completed" == (await asked(client, name="counter"))["status"]


async def test_the_built_in_team_comes_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By settings that are given, or by the environment."""
    monkeypatch.setenv("SSOT_ENGINE_AGENTS__OFFLINE", "true")
    site = install(FastAPI(), user=signed_in)
    assert "supervisor" in site.container.registry()
    monkeypatch.delenv("SSOT_ENGINE_AGENTS__OFFLINE")
    assert "supervisor" not in install(FastAPI(), user=signed_in).container.registry()


async def test_two_applications_have_nothing_in_common() -> None:
    """Each has its container, in one process."""
    first, second = make(prefix="/one"), make(prefix="/two")
    async with started(first) as one, started(second) as two:
        await asked(one, "/one")
        assert 1 == len((await one.get("/one/api/threads", headers=ALICE)).json()["threads"])
        assert 0 == len((await two.get("/two/api/threads", headers=ALICE)).json()["threads"])


# ------------------------------------------------------------------------- lifespans


async def test_below_an_application_that_does_not_start_it_nothing_is_served() -> None:
    """Each request is answered 503 with the cause, a socket too."""
    outer = FastAPI()
    outer.mount("/inner", make())
    with capture_logs() as entries:
        async with hosting(outer) as client:
            answer = await client.get("/inner/agents/healthz")
            with pytest.raises(InvalidStatus) as refused:
                await connect(str(client.base_url).replace("http", "ws") + "/inner/agents/ws")
    assert (503, "not_started") == (answer.status_code, answer.json()["code"])
    assert answer.json()["detail"].startswith("the lifespan of the application 'greeting' has not run")
    assert 503 == refused.value.response.status_code
    assert 2 == [entry["event"] for entry in entries].count("site_not_started")


async def test_below_an_application_that_starts_it_all_is_served() -> None:
    """The outer lifespan enters the inner one's."""
    inner = make()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner.router.lifespan_context(inner) as state:
            yield state

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/inner", inner)
    async with hosting(outer) as client:
        assert "completed" == (await asked(client, "/inner/agents"))["status"]


async def test_a_lifespan_that_runs_again_says_what_to_do() -> None:
    """A container runs once, so each run of an application needs one of its own."""
    app = make()
    async with started(app):
        pass
    with pytest.raises(ClosedError, match="make the application in a function"):
        async with started(app):
            pass


# --------------------------------------------------------------------------- refusals


def test_a_second_install_is_refused() -> None:
    """One application has one site."""
    app = make()
    with pytest.raises(ConfigError, match="'greeting' before; one application has one site"):
        install(app, user=signed_in, prefix="/more")


@pytest.mark.parametrize("prefix", ["", "/", "agents", "/agents/", "/a//b", "/{name}", "/a b"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    """It names how to write one."""
    with pytest.raises(ConfigError, match="write it as '/agents'"):
        install(FastAPI(), user=signed_in, prefix=prefix)


def test_a_prefix_that_is_taken_is_refused() -> None:
    """By the host's page at the root, behind which nothing would be reached."""
    app = FastAPI(title="spa")
    app.router.routes.append(Mount("/", PlainTextResponse("page")))
    with pytest.raises(ConfigError, match=r"prefix '/agents' is taken by Mount.* call install\(\) before"):
        install(app, user=signed_in)


def test_without_a_way_to_sign_in_it_is_refused() -> None:
    """And nothing was changed: the next call may name one."""
    app = FastAPI()
    with pytest.raises(ConfigError, match=r"pass user= to install\(\)"):
        install(app)
    install(app, user=signed_in)


def test_a_container_has_its_settings() -> None:
    """Both together are refused."""
    with pytest.raises(ConfigError, match="a container has its settings"):
        install(FastAPI(), ExecutionContainer(), settings=small_settings(), user=signed_in)


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("203.0.113.9", 403)])
async def test_users_without_proof_are_of_this_machine(peer: str, status: int) -> None:
    """Whatever the host listens on, and whatever name the request asks for."""
    app = FastAPI()
    install(app, settings=small_settings(auth=DEV_USERS))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, client=(peer, 1234))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", verify=False) as client:
            answer = await client.get("/agents/api/threads", headers={"authorization": "Bearer alice"})
    assert status == answer.status_code


# ------------------------------------------------------------------------------ signals


@agent("patient")
async def patient(run: RunContext) -> AsyncIterator[str]:
    """Says a word, and its last one once a file is there."""
    yield "first "
    while not Path(run.message).exists():
        await asyncio.sleep(0.01)
    yield "last"


def patient_host() -> FastAPI:
    """A host with an agent that takes its time."""
    app = FastAPI()
    install(app, agents=[patient], user=signed_in, settings=small_settings({"drain_timeout_s": 20}))
    return app


async def test_at_a_signal_streams_of_a_host_end_after_their_runs(tmp_path: Path) -> None:
    """Plain uvicorn would wait for an open event stream for ever; its reader sees the run's end, then the stream's."""
    gate = tmp_path / "gate"
    async with AsyncExitStack() as stack:
        command = ("-m", "uvicorn", "--factory", "test_install:patient_host", "--port", "0", "--log-level", "info")
        folder = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder.parent}"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stderr=asyncio.subprocess.PIPE, env=environment
        )
        stack.callback(lambda: process.returncode is None and process.kill())
        assert process.stderr is not None
        async for line in process.stderr:
            if b"running on http" in line:
                break
        url = line.decode().split(" on ")[1].split(" ")[0]
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, headers={**ALICE, "origin": url}, verify=False)
        )
        run = (await client.post("/agents/api/runs", json={"message": str(gate)})).json()
        path = f"/agents/api/threads/{run['thread_id']}/events"
        stream = await stack.enter_async_context(client.stream("GET", path, headers={"accept": "text/event-stream"}))
        lines = stream.aiter_lines()
        async for line in lines:
            if "first" in line:
                break
        process.send_signal(signal.SIGTERM)
        async for line in process.stderr:
            if b"Waiting for connections" in line:
                break
        gate.touch()
        rest = [line async for line in lines]
        assert 1 == sum('"status":"completed"' in line for line in rest)
        async with asyncio.timeout(10):
            await process.communicate()
    assert -signal.SIGTERM == process.returncode
