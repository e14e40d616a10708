"""The page's client of the socket, in Node.js without a page: cut anywhere, what it tells is the thread, once."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "web"))

from emitting import Team  # noqa: E402
from serving import DEV_USERS, Served, serving  # noqa: E402
from tcp_proxy import Cut, proxying  # noqa: E402

from fakes import context_of, events_of, until  # noqa: E402
from running import Start  # noqa: E402
from ssot_engine.eventlog.base import EventLog  # noqa: E402
from ssot_engine.events import ThreadKey  # noqa: E402
from ssot_engine.runs.base import RunSpec  # noqa: E402
from ssot_engine.web import pages  # noqa: E402

LINK = Path(pages.__file__).parent / "static" / "link.js"
KEY = ThreadKey("alice", "t-1")


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside the client and a WebSocket, which Node.js 20 does not bring."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not on the PATH; install Node.js 20 or newer")
    folder = tmp_path_factory.mktemp("link")
    shutil.copy(HERE / "follow_thread.mjs", folder)
    shutil.copy(LINK, folder / "link.mjs")
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--no-save", "--silent", "ws@^8"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm install ws failed; it needs the npm registry: {done.stderr.strip()[-300:]}")
    return folder / "follow_thread.mjs"


async def follow(script: Path, ws_url: str, **asked: Any) -> dict[str, Any]:
    """What the client told until the run `last` (or any) had ended and it had lost the connection `losses` times."""
    asked = {"url": ws_url, "token": "alice", "thread": KEY.thread_id, "losses": 0, **asked}
    process = await asyncio.create_subprocess_exec(
        "node", str(script), json.dumps(asked), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert (0, b"") == (process.returncode, err)
    told: dict[str, Any] = json.loads(out)
    return told


def reference(log: EventLog) -> list[dict[str, Any]]:
    """The thread as any client should have it."""
    return [msgspec.json.decode(msgspec.json.encode(event)) for event in events_of(log, KEY)]


def events(told: dict[str, Any]) -> list[dict[str, Any]]:
    """What was told, without whether it came as a replay."""
    return [{name: value for name, value in event.items() if name != "replayed"} for event in told["events"]]


async def emit(served: Served, run_id: str, steps: int) -> None:
    """A run of the team in the thread, to its end."""
    runs = served.site.container.runs()
    inputs = {"steps": steps}
    await runs.submit(RunSpec(context=context_of(run_id=run_id), agent="lead", message="go", inputs=inputs))
    await runs.wait("alice", run_id)


async def started(start: Start) -> tuple[Team, Any]:
    """A container with the team, which takes its time."""
    team = Team(pause=lambda: asyncio.sleep(0.005))
    return team, await start(*team.agents, tools=team.tools, auth=DEV_USERS, web={"page": False, "coalesce_s": 0.0})


Where = Callable[[int, random.Random], Cut]
CUTS: dict[str, Where] = {
    "after a frame": lambda number, _: Cut("down", after_frame=1 + number % 3),
    "inside a frame": lambda number, chance: Cut("down", at_byte=chance.randrange(150, 6000)),
    "on the way up": lambda number, chance: Cut("up", at_byte=chance.randrange(100, 340)),
}


@pytest.mark.parametrize("where", CUTS)
async def test_cut_while_runs_go_on_the_union_is_the_thread(start: Start, script: Path, where: str) -> None:
    """Up to eight cuts, the client resumes by itself: every event once, in order, without a reset or a gap."""
    _, container = await started(start)
    chance = random.Random(7)
    async with serving(container) as served:
        await emit(served, "run-1", 3)
        async with proxying(served.port, lambda number: CUTS[where](number, chance) if number < 8 else None) as proxy:
            following = asyncio.create_task(follow(script, proxy.ws_url, last="run-2"))
            await until(lambda: proxy.connections)
            await emit(served, "run-2", 12)
            told = await following
        assert reference(container.event_log()) == events(told)
        assert ({}, 0) == (told["counted"], told["resets"])
        assert told["losses"] >= 3


async def test_a_run_asked_for_on_a_breaking_connection_starts_once(start: Start, script: Path) -> None:
    """The request is repeated with its key until it is answered, and the answer is of the one run there is."""
    _, container = await started(start)

    def plan(number: int) -> Cut | None:
        return {0: Cut("up", after_frame=2), 1: Cut("down", after_frame=2), 2: Cut("down", after_frame=3)}.get(number)

    async with serving(container) as served, proxying(served.port, plan) as proxy:
        order = {"message": "go", "agent": "lead", "inputs": {"steps": 3}}
        told = await follow(script, proxy.ws_url, losses=1, run=order)
        records = await container.event_log().runs(user_id="alice")
        assert [told["accepted"]["run_id"]] == [record.run_id for record in records]
        await container.runs().wait("alice", told["accepted"]["run_id"])


async def test_what_was_missed_is_counted_exactly(start: Start, script: Path) -> None:
    """Told as resumed: from the cursor to the head that the server promised, and only once all of it is there."""
    _, container = await started(start)
    async with serving(container) as served:
        await emit(served, "run-1", 3)
        size = len(reference(container.event_log()))
        plan = {0: Cut("down", after_frame=2)}
        async with proxying(served.port, plan.get) as proxy:
            told = await follow(script, proxy.ws_url, losses=1)
        (resumed,) = told["resumed"]
        replayed = [event["seq"] for event in told["events"] if event["replayed"]]
        assert (len(replayed), size) == (resumed["count"], resumed["to"])
        assert list(range(resumed["from"], resumed["to"] + 1)) == replayed
        assert {"epoch": container.event_log().epoch, "seq": size} == told["cursor"]


async def test_events_gone_meanwhile_are_a_reset_and_no_hole(start: Start, script: Path) -> None:
    """A thread whose beginning is no longer kept: one reset, then every event behind it."""
    team = Team()
    container = await start(
        *team.agents, tools=team.tools, auth=DEV_USERS, web={"page": False}, events={"max_events_per_thread": 20}
    )
    async with serving(container) as served:
        await emit(served, "run-1", 5)
        await container.event_log().trim()
        await emit(served, "run-2", 1)
        page = container.event_log().read_now(KEY, None)
        assert page is not None
        assert page.floor
        told = await follow(script, served.ws_url, last="run-2")
        assert (1, list(range(page.floor + 1, page.head + 1))) == (told["resets"], [one["seq"] for one in events(told)])


async def test_a_thread_asked_for_during_the_greeting_is_followed(start: Start, script: Path) -> None:
    """After `hello`, which does not name it, and before `welcome`: it is asked for as soon as there is an answer."""
    _, container = await started(start)
    async with serving(container) as served:
        await emit(served, "run-1", 1)
        told = await follow(script, served.ws_url, isLate=True)
    assert reference(container.event_log()) == events(told)
