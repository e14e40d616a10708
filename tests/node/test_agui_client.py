"""The AG-UI client of npm, unmodified, runs our agents: every stream it is given ends in a terminal event."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "web"))

from serving import DEV_USERS, Served, serving  # noqa: E402

from running import Start  # noqa: E402
from ssot_engine.agents import RunContext, agent  # noqa: E402

TERMINAL = ("RUN_FINISHED", "RUN_ERROR")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside an installed client."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not on the PATH; install Node.js 20 or newer")
    folder = tmp_path_factory.mktemp("agui")
    for name in ("package.json", "run_agent.mjs"):
        shutil.copy(HERE / name, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm install @ag-ui/client failed; it needs the npm registry: {done.stderr.strip()[-300:]}")
    return folder / "run_agent.mjs"


@agent("worker")
async def worker(run: RunContext) -> AsyncIterator[str]:
    """A nested agent."""
    run.emit.thinking(f"working on {run.message}")
    yield f"{run.message} is done"


@agent("team")
async def team(run: RunContext) -> AsyncIterator[str]:
    """Thinks, calls tools side by side and nested agents side by side, and answers."""
    run.emit.thinking("a plan", 1, 10.0)
    yield "Let me look. "
    found = await asyncio.gather(*(run.tools.call("weather", city=city) for city in ("Paris", "Bern")))
    await asyncio.gather(*(run.agents.call("worker", part) for part in ("one", "two")))
    run.emit.custom("chart", {"bars": [1, 2]})
    yield f"It is {' and '.join(found)}. You said {len(run.history)} things before."


@agent("breaks")
async def breaks(run: RunContext) -> AsyncIterator[str]:
    """Fails in the middle of a sentence and of a nested agent's work."""
    yield "I will "
    await run.tools.call("weather", city="nowhere")
    raise LookupError("the map is lost")


@agent("endless")
async def endless(run: RunContext) -> AsyncIterator[str]:
    """Talks until it is stopped."""
    while True:
        yield "and on "
        await asyncio.sleep(0.01)


async def weather(city: str) -> str:
    """The weather of a city."""
    await asyncio.sleep(0.01)
    return f"sunny in {city}"


@pytest.fixture
async def served(start: Start) -> AsyncIterator[Served]:
    """A served site with the agents above."""
    agents = (team, worker, breaks, endless)
    container = await start(*agents, tools=[weather], auth=DEV_USERS, web={"page": False})
    async with serving(container) as site:
        yield site


async def run(client: Path, served: Served, name: str, *messages: str, cancel_at: str | None = None) -> Any:
    """What the client saw when it asked an agent these messages, one run each."""
    runs = [{"run": f"{name}-run-{n}", "message": message} for n, message in enumerate(messages, 1)]
    asked = {"user": "alice", "agent": name, "thread": f"{name}-thread", "runs": runs, "cancelAt": cancel_at}
    node = await asyncio.create_subprocess_exec(
        "node",
        str(client),
        served.url,
        json.dumps(asked),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            out, err = await node.communicate()
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()
    assert (0, b"") == (node.returncode, err)
    told = json.loads(out)
    assert [] == told["warnings"]
    for seen in told["runs"]:
        kinds = [event["type"] for event in seen["events"]]
        assert seen["thrown"] is None
        assert "RUN_STARTED" == kinds[0]
        assert kinds[-1] in TERMINAL
        assert 1 == sum(kind in TERMINAL for kind in kinds)
    return told


async def test_a_run_with_tools_thoughts_and_nested_agents_is_understood(client: Path, served: Served) -> None:
    """The client puts together the same messages that the agents said, and knows who said them."""
    told = await run(client, served, "team", "How is it?")
    (seen,) = told["runs"]
    assert {"type": "success"} == seen["outcome"]
    kinds = {event["type"] for event in seen["events"]}
    assert {"REASONING_MESSAGE_CONTENT", "TOOL_CALL_RESULT", "SUBAGENT_FINISHED", "CUSTOM"} <= kinds
    said = [message for message in told["messages"] if message["role"] == "assistant" and message.get("content")]
    mine = "".join(message["content"] for message in said if "subagentRunId" not in message)
    assert "Let me look. It is sunny in Paris and sunny in Bern. You said 0 things before." == mine
    assert {"one is done", "two is done"} == {m["content"] for m in said if "subagentRunId" in m}
    results = [message["content"] for message in told["messages"] if message["role"] == "tool"]
    assert ["sunny in Bern", "sunny in Paris"] == sorted(results)
    seqs = [event["metadata"]["seq"] for event in seen["events"]]
    assert sorted(seqs) == seqs


async def test_a_second_run_of_the_thread_goes_on_with_the_conversation(client: Path, served: Served) -> None:
    """The agent knows what was said, from our log; no message of the second run takes the place of one of the first."""
    told = await run(client, served, "team", "How is it?", "And now?")
    said = [message["content"] for message in told["messages"] if message.get("content")]
    assert any("You said 2 things before." in text for text in said if isinstance(text, str))
    ids = [message["id"] for message in told["messages"]]
    assert len(set(ids)) == len(ids)


async def test_a_run_that_fails_ends_in_an_error(client: Path, served: Served) -> None:
    """Its promise resolves, so the error event is all that tells."""
    (seen,) = (await run(client, served, "breaks", "go"))["runs"]
    assert ["LookupError: the map is lost"] == seen["errors"]
    assert ("RUN_ERROR", "failed") == (seen["events"][-1]["type"], seen["events"][-1]["code"])


async def test_a_run_that_is_cancelled_ends_so(client: Path, served: Served) -> None:
    """`DELETE /api/runs/{id}` while the client reads: outcome cancelled, and a receipt that says stopped."""
    (seen,) = (await run(client, served, "endless", "go", cancel_at="TEXT_MESSAGE_CONTENT"))["runs"]
    assert "stopped" == seen["receipt"]["outcome"]
    assert {"type": "cancelled"} == seen["outcome"]
    assert "RUN_FINISHED" == seen["events"][-1]["type"]
