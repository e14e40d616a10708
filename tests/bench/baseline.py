"""What a team writes by hand: one request of one user with plain objects, a task and a queue. No checks, no limits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Sink = Callable[[str, Any], None]

_ids = itertools.count()


class Model:
    """A language model that asks for the weather once, then answers. It gives the loop one turn per call."""

    delay_s = 0.0

    async def turn(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        await asyncio.sleep(self.delay_s)
        last = messages[-1]
        if last["role"] == "tool":
            return {"role": "assistant", "content": "answer: " + last["content"]}
        return {"role": "assistant", "tool": "weather", "args": {"city": messages[0]["content"]}}


async def weather(city: str) -> str:
    """Get the weather for a city."""
    return f"sunny in {city}"


MODEL = Model()
TOOLS: dict[str, Callable[..., Awaitable[Any]]] = {"weather": weather}


@dataclass(slots=True, frozen=True)
class Context:
    user_id: str
    thread_id: str
    run_id: int
    request_id: int


@dataclass(slots=True)
class Event:
    kind: str
    user_id: str
    run_id: int
    seq: int
    payload: Any


@dataclass(slots=True)
class Bridge:
    context: Context
    queue: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)


@dataclass(slots=True)
class Emitter:
    context: Context
    bridge: Bridge
    seq: int = 0

    def emit(self, kind: str, payload: Any = None) -> None:
        self.seq += 1
        self.bridge.queue.put_nowait(Event(kind, self.context.user_id, self.context.run_id, self.seq, payload))


@dataclass(slots=True)
class Engine:
    context: Context
    emitter: Emitter
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, prompt: str) -> str:
        emit, messages = self.emitter.emit, self.messages
        emit("started")
        messages.append({"role": "user", "content": prompt})
        while True:
            turn = await MODEL.turn(messages)
            messages.append(turn)
            emit("thinking", turn)
            if "tool" not in turn:
                break
            emit("tool_start", turn["args"])
            result = await TOOLS[turn["tool"]](**turn["args"])
            emit("tool_end", result)
            messages.append({"role": "tool", "content": result})
        emit("completed", turn["content"])
        return str(turn["content"])


def make(user_id: str = "u") -> Engine:
    """The objects of one request."""
    context = Context(user_id, "t-" + user_id, next(_ids), next(_ids))
    return Engine(context, Emitter(context, Bridge(context)))


async def request(user_id: str, sink: Sink) -> str:
    """One whole request: make, run in a task, hand every event to the sink."""
    engine = make(user_id)
    queue = engine.emitter.bridge.queue
    task = asyncio.create_task(engine.run(user_id))
    while True:
        event = await queue.get()
        sink(event.kind, event.payload)
        if event.kind == "completed":
            return await task


async def stream_deltas(count: int, sink: Sink) -> None:
    """One request that streams `count` pieces of text, a turn of the loop after each."""
    engine = make()
    emit, queue = engine.emitter.emit, engine.emitter.bridge.queue

    async def talk() -> None:
        emit("started")
        for _ in range(count):
            emit("delta", "tok")
            await asyncio.sleep(0)
        emit("completed")

    task = asyncio.create_task(talk())
    while True:
        event = await queue.get()
        sink(event.kind, event.payload)
        if event.kind == "completed":
            await task
            return
