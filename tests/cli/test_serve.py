"""Facts about `serve`: what it tells, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command import Command, started
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ssot_engine.agents import RunContext, agent
from ssot_engine.registry import AgentRegistry


@agent("gated")
async def gated(run: RunContext) -> AsyncIterator[str]:
    """Says how the garbage collector is set, and goes on once the file named in the message is there."""
    yield f"first {gc.get_threshold()}"
    while not Path(run.message).exists():
        await asyncio.sleep(0.01)
    yield "last"


class Gated(AgentRegistry):
    """The given agents, and this one."""

    def __init__(self, agents: Iterable[object] = ()) -> None:
        super().__init__((*agents, gated))


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A config file that brings the agent `gated`."""
    path = tmp_path / "gated.yaml"
    path.write_text(
        "providers: {registry: test_serve.Gated}\nagents: {offline: false}\ngc: {threshold: [5000, 20, 20]}\n"
    )
    return str(path)


@contextmanager
def serving(config: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server in a process of its own, and what it told when it was ready."""
    arguments = ("--config", config, "--dev-users", "alice, bob", "--port", "0", "--json")
    with started("serve", *arguments) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())


async def heard(open_socket: ClientConnection) -> tuple[list[str], int | None]:
    """What a socket says until it is closed, and the code it is closed with."""
    frames: list[str] = []
    try:
        while True:
            frames.append(str(await open_socket.recv()))
    except ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


async def test_at_a_signal_it_ends_in_order(config: str, tmp_path: Path, log_path: Path, command: Command) -> None:
    """A run may finish, an event stream and a socket see its end and are closed, and the exit status is 0."""
    gate = tmp_path / "gate"
    with serving(config) as (process, told):
        assert ({"kind": "users", "users": ["alice", "bob"]}, process.pid) == (told["sign_in"], told["pid"])
        assert f"sqlite:///{log_path}" == told["events_url"]
        (url,) = told["urls"]
        async with asyncio.timeout(20), httpx2.AsyncClient(base_url=url) as client:
            client.headers["authorization"] = "Bearer alice"
            run = (await client.post("/api/runs", json={"message": str(gate)})).json()
            path = f"/api/threads/{run['thread_id']}/events"
            async with (
                connect(url.replace("http", "ws") + "/ws") as open_socket,
                client.stream("GET", path, headers={"accept": "text/event-stream"}) as stream,
            ):
                cursor = {"thread": run["thread_id"]}
                hello = {"type": "hello", "protocol": 1, "token": "alice", "resume": [cursor]}
                await open_socket.send(json.dumps(hello))
                lines = stream.aiter_lines()
                assert "(5000, 20, 20)" in await anext(line async for line in lines if "first" in line)
                # A second server on the same event log is refused while this one runs.
                second = await asyncio.to_thread(command, "serve", "--dev-users", "alice", "--port", "0")
                assert 2 == second.exit_code
                assert f"in use by pid {process.pid} " in second.stderr

                process.send_signal(signal.SIGTERM)
                while (await client.get("/readyz")).status_code != 503:
                    await asyncio.sleep(0.01)
                gate.touch()
                rest = [line async for line in lines]
                assert 1 == sum('"status":"completed"' in line for line in rest)
                frames, code = await heard(open_socket)
                assert (1, 1012) == (sum('"status":"completed"' in frame for frame in frames), code)
        assert 0 == await asyncio.to_thread(process.wait, 10)


def test_a_second_signal_ends_it_at_once(config: str, tmp_path: Path) -> None:
    """As a kill would, against which the event log is safe, though a run is open that could go on for ever."""
    with serving(config) as (process, told):
        headers = {"authorization": "Bearer alice"}
        order = {"message": str(tmp_path / "never"), "thread_id": "t-1"}
        assert httpx2.post(f"{told['urls'][0]}/api/runs", json=order, headers=headers).is_success
        process.send_signal(signal.SIGINT)
        while httpx2.get(f"{told['urls'][0]}/readyz").is_success:
            pass
        process.send_signal(signal.SIGINT)
        assert -signal.SIGINT == process.wait(10)


def test_the_person_and_doctor_are_told(
    config: str, log_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is, who may sign in, where events are kept, how to stop it; and doctor does not call its port taken."""
    with started("serve", "--config", config, "--dev-users", "alice,bob", "--port", "0") as process:
        assert process.stdout is not None
        first, users, events, stop = [process.stdout.readline() for _ in range(4)]
        port = first.rpartition(":")[2].strip()
        monkeypatch.setenv("SSOT_ENGINE_WEB__PORT", port)
        checks = {check["name"]: check for check in json.loads(command("doctor", "--json").stdout)["checks"]}
    assert first.startswith("ssot-engine 0.1.0 serves http://127.0.0.1:")
    assert "as alice or bob, by name alone, from this machine only" in users
    assert f"sqlite:///{log_path}" in events
    assert "Ctrl-C; open runs get 30 s to finish" in stop
    assert ("ok", f"127.0.0.1:{port} is served by ssot-engine") == tuple(checks["web port"].values())[1:]


def test_without_a_way_to_sign_in_it_does_not_start(command: Command) -> None:
    """There is no anonymous user; the text shows a line that works."""
    done = command("serve", "--port", "0")
    assert (2, True) == (done.exit_code, "run: ssot-engine serve --dev-users alice,bob;" in done.stderr)


def test_users_without_proof_stay_on_this_machine(command: Command) -> None:
    """The address is refused, and no event log is made."""
    done = command("serve", "--port", "0", "--dev-users", "alice", "--host", "0.0.0.0")
    assert (2, True) == (done.exit_code, "served on loopback only" in done.stderr)


def test_a_user_who_cannot_be_one_is_refused(command: Command) -> None:
    """By name."""
    done = command("serve", "--port", "0", "--dev-users", "alice,undefined")
    assert (2, True) == (done.exit_code, "'undefined'" in done.stderr)


def test_a_taken_port_is_told(command: Command) -> None:
    """With the port and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--dev-users", "alice", "--port", str(port))
    assert (2, True) == (done.exit_code, f"127.0.0.1:{port} cannot be listened on" in done.stderr)
    assert "SSOT_ENGINE_WEB__PORT" in done.stderr
