"""Small real fakes for the command line's tests: a registry named in a config file, and a command in a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssot_engine.agents import Output, RunContext, agent
from ssot_engine.registry import AgentRegistry

Command = Callable[..., Any]
"""`command("run", "supervisor", "help", stdin="")`: what it printed, and its exit status."""

QUESTION = "Which model is slowest?"


@agent
async def slow(run: RunContext) -> AsyncIterator[str]:
    """Says one word and then sleeps."""
    yield "begun "
    await asyncio.sleep(60)


@agent
async def counter(run: RunContext) -> Output:
    """Tells how much was said before, as a value."""
    return Output({"earlier": [message.text for message in run.history]})


class SlowRegistry(AgentRegistry):
    """The given agents, and these."""

    def __init__(self, agents: Iterable[object] = ()) -> None:
        super().__init__((*agents, slow, counter))


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which does not outlive the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "ssot_engine", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def slow_run(config: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has said its first word and would go on for a minute."""
    arguments = ("run", "slow", "", "--config", config, "--user", "alice", "--thread", "t-slow")
    with started(*arguments) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("begun ")) == "begun "
        yield process
