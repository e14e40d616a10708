"""A process killed in the middle of a run: nothing that was visible is lost, and the next start ends the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import ALICE
from running import Start, small_settings
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import LogInUse
from ssot_engine.events import Event, RunStatus

VICTIM = """
import asyncio, sys
from ssot_engine import ExecutionContainer, RunContext, Settings, UserExecutionContext, agent

@agent("talker")
async def talker(run: RunContext):
    for number in range(1_000_000):
        run.emit.thinking(f"step {number}")
        yield f"piece {number} "
        await asyncio.sleep(0.001)

async def main():
    settings = Settings(events={"url": sys.argv[1]}, agents={"offline": False, "entry_points": False})
    container = ExecutionContainer.from_settings(settings)
    container.registry().register(talker)
    async with container.running():
        context = UserExecutionContext("alice", "t-1", "run-1")
        async with container.engine_factory().engine_for(context) as engine:
            async for event in engine.stream("talker", "talk"):
                print(event.seq, event.run_seq, event.type, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite log of the test's own."""
    return f"sqlite:///{tmp_path / 'events.db'}"


@pytest.fixture
def victim(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a run; it prints each event it has seen."""
    process = subprocess.Popen([sys.executable, "-c", VICTIM, url], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def seen_before_kill(process: subprocess.Popen[str], count: int) -> list[tuple[int, int, str]]:
    """What the process printed until it was killed, at least `count` events; a torn last line is left out."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(int(seq), int(run_seq), type_) for seq, run_seq, type_ in whole]


async def test_a_killed_run_is_ended_by_the_next_start_and_nothing_seen_is_lost(
    start: Start, url: str, victim: subprocess.Popen[str]
) -> None:
    """Every event a reader saw is still at its place; one last event follows all of them, with status `lost`."""
    seen = seen_before_kill(victim, 40)
    container = await start(events={"url": url})
    record = await container.event_log().run("alice", "run-1")
    assert record is not None
    assert RunStatus.LOST == record.status
    events = [item async for item in container.event_log().follow(ALICE, live=False) if isinstance(item, Event)]
    assert list(range(1, len(events) + 1)) == [event.seq for event in events]
    assert seen == [(event.seq, event.run_seq, event.type) for event in events[: len(seen)]]
    assert ["agent_completed"] == [event.type for event in events if event.type == "agent_completed"]
    assert ("agent_completed", "lost") == (events[-1].type, events[-1].payload["status"])


async def test_a_second_process_is_refused_while_the_first_lives(url: str, victim: subprocess.Popen[str]) -> None:
    """The error names the pid of the process that writes the file."""
    assert victim.stdout is not None
    victim.stdout.readline()
    container = ExecutionContainer.from_settings(small_settings(events={"url": url}))
    with pytest.raises(LogInUse, match=f"pid {victim.pid}") as refusal:
        async with container.running():
            pass
    assert "events.url" in str(refusal.value)


async def test_after_the_kill_the_file_is_free(start: Start, url: str, victim: subprocess.Popen[str]) -> None:
    """A killed writer's lock goes with it, and no run of it is open any more."""
    seen_before_kill(victim, 1)
    container = await start(events={"url": url})
    assert [] == await container.event_log().runs(open=True)
