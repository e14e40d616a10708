"""Agents whose pace is set by the test: every step of theirs takes a turn, and the test gives out the turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ssot_engine.agents import FunctionAgent, RunContext, agent


class Paced:
    """The agents `supervisor` and `data` and their tools. A question ends with the number of words to answer."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(0)
        self._is_free = False
        #: The words that were said, oldest first.
        self.said: list[str] = []
        self.agents = (FunctionAgent(self._supervisor, "supervisor"), FunctionAgent(self._data, "data"))
        self.tools = (self.price_calls, self.load_log)

    def give(self, turns: int) -> None:
        """Let so many steps happen, of all runs together."""
        for _ in range(turns):
            self._turns.release()

    def free(self) -> None:
        """Let everything run to its end."""
        self._is_free = True
        self.give(1000)

    async def turn(self) -> None:
        """Wait for a turn."""
        if self._is_free:
            await asyncio.sleep(0.001)
        else:
            await self._turns.acquire()

    async def price_calls(self, model: str) -> dict[str, Any]:
        """Price the calls of a model."""
        await self.turn()
        return {"model": model, "usd": 12.5}

    async def load_log(self, name: str) -> dict[str, Any]:
        """Load a usage log."""
        await self.turn()
        return {"name": name, "rows": 2455}

    async def _data(self, run: RunContext) -> dict[str, Any]:
        """Reads the usage log."""
        run.emit.thinking("reading the log", 1, 50.0)
        return await run.tools.call("load_log", name="usage.csv")  # type: ignore[no-any-return]

    async def _supervisor(self, run: RunContext) -> AsyncIterator[str]:
        """Asks for data, prices it and tells of it word by word."""
        run.emit.thinking(f"what does {run.message!r} mean", 1, 10.0)
        await self.turn()
        await run.agents.call("data", run.message)
        await run.tools.call("price_calls", model="small")
        run.emit.thinking("writing", 2, 90.0)
        for number in range(words_in(run.message)):
            self.said.append(f"word{number} of {run.user_id}. ")
            run.emit.custom("word", number)
            yield self.said[-1]
            await self.turn()


def words_in(message: str) -> int:
    """How many words were asked for."""
    return int(message.split()[-1])


def answer_to(message: str, user: str = "alice", words: int | None = None) -> str:
    """What is answered, if all or only the first words have come."""
    return " ".join(f"word{number} of {user}." for number in range(words_in(message) if words is None else words))


@agent("flood")
async def flood(run: RunContext) -> str:
    """Emits as many large events as the message says, in one go."""
    for number in range(words_in(run.message)):
        run.emit.custom("bulk", {"number": number, "text": "x" * 4000})
        if number % 20 == 19:
            await asyncio.sleep(0)
    return "done"


@agent("chatter")
async def chatter(run: RunContext) -> AsyncIterator[str]:
    """Emits about as many small events of all kinds as the message says."""
    for number in range(words_in(run.message) // 2):
        run.emit.thinking(f"talk of {number}", number) if number % 3 == 0 else run.emit.custom("figure", number)
        yield f"word{number} "
        if number % 10 == 9:
            await asyncio.sleep(0)
