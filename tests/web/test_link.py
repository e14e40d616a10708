"""The page's client of the socket, in Node against a real server: cut anywhere, it tells each event once, in order."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from serving import DEV_USERS, serving
from tcp_proxy import Cut, proxying
from websockets.asyncio.server import ServerConnection, serve

from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.events import ThreadKey
from ssot_engine.web import pages

LINK = Path(pages.__file__).parent / "static" / "link.js"
READER = Path(__file__).parent / "link_reader.mjs"


def _node() -> str | None:
    """Node with a WebSocket of its own, or with the flag for it; None if there is none."""
    found = shutil.which("node")
    if found is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    return found if (major, minor) >= (20, 10) else None


NODE = _node()
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node 20.10 or newer on the PATH: apt-get install nodejs")


@agent
async def talker(run: RunContext) -> AsyncIterator[str]:
    """Thinks and talks in turn, so that neighbouring events do not join."""
    for number in range(30):
        run.emit.thinking(f"thought {number}")
        yield f"word {number} "
        await asyncio.sleep(0.04)


def frame_of(**fields: Any) -> str:
    """What a server says."""
    return json.dumps(fields)


def made(seq: int, epoch: str = "e1") -> dict[str, Any]:
    """An event as it is on the wire; the fifth ends its run."""
    kind = "agent_completed" if seq == 5 else "agent_thinking"
    return {"type": kind, "thread_id": "thread-1", "epoch": epoch, "seq": seq, "payload": {}}


@asynccontextmanager
async def careless(*first: list[dict[str, Any]]) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """A server that answers the first follows with these events, each of the next with all after the cursor."""
    heard: list[dict[str, Any]] = []
    answers = iter(first)

    async def talk(socket: ServerConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            heard.append(frame)
            cursors = frame["resume"] if frame["type"] == "hello" else [frame] if frame["type"] == "follow" else []
            for cursor in cursors:
                heads = [{"thread": "thread-1", "epoch": "e1", "head": 5}]
                await socket.send(frame_of(type="welcome", protocol=1, user="alice", threads=heads, now=0.0))
                after = cursor.get("seq", 0)
                events = next(answers, [made(seq) for seq in range(after + 1, 6)])
                await socket.send(frame_of(type="ev", events=events))

    async with serve(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard


async def read(port: int, tmp_path: Path, thread: str = "thread-1") -> dict[str, Any]:
    """What the page's link told of a run that it started itself."""
    link = tmp_path / "link.mjs"
    link.write_text(LINK.read_text())
    command = [NODE or "", "--no-warnings", "--experimental-websocket", str(READER), str(link)]
    process = await asyncio.create_subprocess_exec(
        *command, f"ws://127.0.0.1:{port}/ws", thread, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    told: dict[str, Any] = json.loads(out)
    return told


async def logged(container: ExecutionContainer, thread: str = "thread-1") -> list[list[Any]]:
    """What the log holds of a thread of alice."""
    page = await container.event_log().read(ThreadKey("alice", thread), None)
    return [[event.epoch, event.seq, event.type] for event in page.events]


async def test_link_tells_a_run_as_it_is(start: Start, tmp_path: Path) -> None:
    """Undisturbed, it tells exactly what is logged, on one connection, and was answered."""
    container = await start(talker, auth=DEV_USERS)
    async with serving(container) as served:
        told = await read(served.port, tmp_path)
    assert await logged(container) == told["events"]
    assert (["connecting", "live", "idle"], {}) == (told["states"], told["counted"])
    assert told["run"] is not None


async def test_link_loses_nothing_however_it_is_cut(start: Start, tmp_path: Path) -> None:
    """Cut again and again, in the middle of frames as well, it tells each event once and in order; the run is one."""
    container = await start(talker, auth=DEV_USERS, web={"max_connections_per_user": 1000})

    def plan(number: int) -> Cut | None:
        if number == 0:
            return Cut("up", after_frame=2)  # the server has the order, and its answer is lost
        if number >= 12:
            return None
        return Cut("down", at_byte=300 + 997 * number % 3000) if number % 2 else Cut("down", after_frame=1 + number % 4)

    async with serving(container) as served, proxying(served.port, plan) as proxy:
        told = await read(proxy.port, tmp_path)
    assert await logged(container) == told["events"]
    assert 1 == len(await container.event_log().runs(user_id="alice"))
    assert (0, {}) == (told["resets"], told["counted"])
    assert 12 == proxy.cuts
    assert sum(told["resumed"]) > 0


async def test_link_tells_no_hole(tmp_path: Path) -> None:
    """Where an event is missing, it tells nothing further and asks again from its cursor."""
    async with careless([made(1), made(2), made(4), made(5)]) as (port, heard):
        told = await read(port, tmp_path)
    assert [["e1", seq, made(seq)["type"]] for seq in range(1, 6)] == told["events"]
    assert {"gaps": 1} == told["counted"]
    follow = [(frame["epoch"], frame["seq"]) for frame in heard if frame["type"] == "follow"]
    assert [("e1", 2)] == follow


async def test_link_tells_nothing_twice(tmp_path: Path) -> None:
    """What comes again is counted, not told."""
    async with careless([made(1), made(2), made(1), made(2), made(3), made(4), made(5)]) as (port, _):
        told = await read(port, tmp_path)
    assert [1, 2, 3, 4, 5] == [seq for _, seq, _ in told["events"]]
    assert {"duplicates": 2} == told["counted"]


async def test_link_mixes_no_two_histories(tmp_path: Path) -> None:
    """An event of another epoch is not told as the next, whatever its number."""
    async with careless([made(1), made(2), made(3, "e2")]) as (port, _):
        told = await read(port, tmp_path)
    assert {"e1"} == {epoch for epoch, _, _ in told["events"]}
    assert {"gaps": 1} == told["counted"]
