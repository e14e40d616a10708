"""A user of a container, as a test speaks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, RunError, RunResult, RunStatus, ThreadKey
from ssot_engine.ids import new_id
from ssot_engine.stream import RunStream


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that is over: its result and its events, oldest first."""

    result: RunResult
    events: tuple[Event, ...]

    @property
    def status(self) -> RunStatus:
        """How it ended."""
        return self.result.status

    @property
    def output(self) -> Any:
        """Its output."""
        return self.result.output

    @property
    def error(self) -> RunError | None:
        """Why it failed, if it did."""
        return self.result.error

    @property
    def text(self) -> str:
        """What the user read: the pieces the run's own agent streamed, joined; else the output, if that is text."""
        pieces = [event.payload["text"] for event in self.events if event.type == "message_delta" and event.span == 0]
        return "".join(pieces) or (self.output if isinstance(self.output, str) else "")

    @property
    def event_types(self) -> list[str]:
        """The types of its events."""
        return [event.type for event in self.events]


class User:
    """One user in one thread of its own. Each run gets an engine of its own, which ends with the run."""

    def __init__(self, container: ExecutionContainer, name: str) -> None:
        self._container = container
        self.name = name
        self.thread_id = new_id("thread")

    def context(self, **metadata: Any) -> UserExecutionContext:
        """The context of one more request of this user in this thread."""
        return UserExecutionContext.from_request(self.name, self.thread_id, new_id("run"), metadata=metadata)

    async def run(self, agent: str, message: str = "", **options: Any) -> Ran:
        """Run an agent to its end; `options` are those of `engine.run`. Raises what that raises."""
        async with self._container.engine_factory().engine_for(self.context()) as engine:
            result = await engine.run(agent, message, **options)
        told = await self.events()
        return Ran(result, tuple(event for event in told if event.run_id == result.run_id))

    @asynccontextmanager
    async def stream(self, agent: str, message: str = "", **options: Any) -> AsyncIterator[RunStream]:
        """Start a run: `async with user.stream("greeter", "hi") as events`. Leaving the block cancels what goes on."""
        async with (
            self._container.engine_factory().engine_for(self.context()) as engine,
            engine.stream(agent, message, **options) as events,
        ):
            yield events

    async def events(self) -> list[Event]:
        """What is in the user's thread so far, oldest first, as far as the log still keeps it."""
        key = ThreadKey(self.name, self.thread_id)
        told = self._container.event_log().follow(key, live=False)
        return [event async for event in told if not isinstance(event, Reset)]
