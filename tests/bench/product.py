"""The same request on ssot-engine: validated context, admission, scope, engine, run in a task, read from the log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from baseline import MODEL, Sink, weather

from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import EventLog
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.ids import new_id
from ssot_engine.logs import configure_logging
from ssot_engine.settings import Settings


@agent("weather")
async def weather_agent(run: RunContext) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": run.message}]
    while True:
        turn = await MODEL.turn(messages)
        messages.append(turn)
        run.emit.thinking(turn.get("content", "needs the weather"))
        if "tool" not in turn:
            return str(turn["content"])
        result = await run.tools.call(turn["tool"], **turn["args"])
        messages.append({"role": "tool", "content": result})


@agent("talker")
async def talker(run: RunContext) -> AsyncIterator[str]:
    for _ in range(int(run.message)):
        yield "tok"
        await asyncio.sleep(0)


class Product:
    """A running container, and the operations that are measured on it."""

    def __init__(self, container: ExecutionContainer) -> None:
        self.factory: ExecutionEngineFactory = container.engine_factory()
        self.log: EventLog = container.event_log()

    def context(self, user_id: str) -> UserExecutionContext:
        return UserExecutionContext.from_request_supervisor(user_id, "t-" + user_id, new_id("run"))

    async def request(self, user_id: str, sink: Sink) -> Any:
        """One whole request."""
        async with self.factory.engine_for(self.context(user_id)) as engine:
            stream = engine.stream("weather", user_id)
            async for event in stream:
                sink(event.type, event.payload)
            return (await stream.result()).output

    async def forget(self) -> None:
        """Let the log go of everything that ended: between two slices, so that each begins alike."""
        await self.log.trim(float("inf"))

    async def stream_deltas(self, count: int, sink: Sink, user_id: str = "u") -> None:
        async with self.factory.engine_for(self.context(user_id)) as engine:
            async for event in engine.stream("talker", str(count)):
                sink(event.type, event.payload)


@asynccontextmanager
async def product(**sections: Any) -> AsyncIterator[Product]:
    """A container with room for everybody, its log entries written to the null device."""
    configure_logging("info", "json", open(os.devnull, "w"))  # noqa: SIM115 — open as long as the process
    limits = {"max_engines": 1_000_000, "max_engines_per_user": 1_000_000, "max_concurrent_runs_per_user": 1_000_000}
    settings = Settings(engine=limits, agents={"offline": False, "entry_points": False}, **sections)
    container = ExecutionContainer.from_settings(settings)
    container.registry().register(weather_agent)
    container.registry().register(talker)
    container.tools().register(weather, "weather")
    async with container.running():
        yield Product(container)
