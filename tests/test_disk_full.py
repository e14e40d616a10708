"""A disk that fills up in the middle of a run: the run fails loudly, and its end reaches who reads it live."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fakes import ALICE, context_of
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.events import Event, RunStatus


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs ({done.stderr.strip()}); run as root to test a full disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@agent("writer")
async def writer(run: RunContext) -> AsyncIterator[str]:
    for number in range(100_000):
        run.emit.thinking(f"{number} " + "x" * 2_000)
        yield "."
        await asyncio.sleep(0)


async def test_a_full_disk_fails_the_run_and_its_end_reaches_live_readers(start: Start, small_disk: Path) -> None:
    """The result and the last event say that the log had no room; what was stored is in order, without holes."""
    container = await start(writer, events={"url": f"sqlite:///{small_disk / 'events.db'}"})
    async with container.engine_factory().engine_for(context_of()) as engine, asyncio.timeout(30):
        stream = engine.stream("writer", "go")
        seen = [item async for item in stream if isinstance(item, Event)]
        result = await stream.result()
    assert RunStatus.FAILED == result.status
    assert result.error is not None
    assert ("LogUnavailable", True) == (result.error.type, "full" in result.error.message)
    assert ("agent_completed", "failed") == (seen[-1].type, seen[-1].payload["status"])
    stored = [item async for item in container.event_log().follow(ALICE, live=False) if isinstance(item, Event)]
    assert list(range(1, len(stored) + 1)) == [event.seq for event in stored]
    assert stored == seen
