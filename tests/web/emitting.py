"""A team of agents that keeps its own account of all it tells, apart from emitter, log and wire."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ssot_engine.agents import FunctionAgent, RunContext
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event

Fact = tuple[Any, ...]
"""What was told: its kind, who told it, and what."""


class Team:
    """Agents `lead` and `helper` and the tool `add`. `told` is what each run told, by run, in order.

    `pause` is taken between two facts; `hear` is given each one before it is told, text in pieces.
    """

    def __init__(
        self,
        pause: Callable[[], Any] = lambda: asyncio.sleep(0.001),
        hear: Callable[[str, Fact], object] = lambda run_id, fact: None,
    ) -> None:
        self.told: dict[str, list[Fact]] = defaultdict(list)
        self._pause = pause
        self._hear = hear
        self.agents = (FunctionAgent(self._lead, "lead"), FunctionAgent(self._helper, "helper"))
        self.tools = (self.add,)

    async def add(self, run_id: str, left: int, right: int) -> int:
        """Add two numbers."""
        self._tell(run_id, "tool done", left + right)
        return left + right

    def _tell(self, run_id: str, *fact: Any) -> None:
        self._hear(run_id, fact)
        self.told[run_id].append(fact)

    def _say(self, run: RunContext, text: str) -> str:
        """Text of one speaker in a row is one fact, however it is cut."""
        told, who = self.told[run.run_id], run.speaker.agent_name
        self._hear(run.run_id, ("text", who, text))
        if told and told[-1][:2] == ("text", who):
            told[-1] = ("text", who, told[-1][2] + text)
        else:
            told.append(("text", who, text))
        return text

    async def _lead(self, run: RunContext) -> AsyncIterator[str]:
        for step in range(run.inputs["steps"]):
            self._tell(run.run_id, "thinking", "lead", f"{run.user_id} step {step}")
            run.emit.thinking(f"{run.user_id} step {step}", step)
            await self._pause()
            for piece in range(4):
                yield self._say(run, f"{run.user_id} {step}.{piece} grüße " + "x" * run.inputs.get("bulk", 0))
                await self._pause()
            self._tell(run.run_id, "tool", "lead", step)
            await run.tools.call("add", run_id=run.run_id, left=step, right=1)
            self._tell(run.run_id, "agent", "helper", f"help {step}")
            await run.agents.call("helper", f"help {step}")
            self._tell(run.run_id, "custom", "lead", step)
            run.emit.custom("step", step)
            await self._pause()

    async def _helper(self, run: RunContext) -> AsyncIterator[str]:
        for piece in range(3):
            yield self._say(run, f"{run.message} piece {piece} ")
            await self._pause()
        self._tell(run.run_id, "agent done", "".join(f"{run.message} piece {piece} " for piece in range(3)))


def facts(events: Iterable[Event]) -> list[Fact]:
    """What a reader of a run's events was told, in the same words."""
    found: list[Fact] = []
    for event in events:
        who, payload = event.agent_name, event.payload
        match event.type:
            case "message_delta" if found and found[-1][:2] == ("text", who):
                found[-1] = ("text", who, found[-1][2] + payload["text"])
            case "message_delta":
                found.append(("text", who, payload["text"]))
            case "agent_thinking":
                found.append(("thinking", who, payload["reasoning"]))
            case "tool_executing":
                found.append(("tool", who, payload["parameters"]["left"]))
            case "tool_completed":
                found.append(("tool done", payload["result"]))
            case "subagent_started":
                found.append(("agent", who, payload["message"]))
            case "subagent_completed":
                found.append(("agent done", payload["result"]))
            case "custom":
                found.append(("custom", who, payload["data"]))
    return found


class Tally:
    """What became of all events on their way to many readers. `told` is the account of the agents, by run."""

    def __init__(self, told: Mapping[str, Sequence[Fact]]) -> None:
        self._told = told
        self.events = 0
        self.lost = 0
        self.duplicated = 0
        self.out_of_order = 0
        self.cross_user = 0
        self.invented = 0
        self.resets = 0

    def add_run(self, user_id: str, run_id: str, items: Sequence[Event | Reset]) -> None:
        """What one reader of a run was given."""
        events = self._add(user_id, items)
        self.out_of_order += sum(after.run_seq != before.run_seq + 1 for before, after in pairwise(events))
        self._compare(self._told[run_id], events)

    def add_thread(self, user_id: str, run_ids: Iterable[str], items: Sequence[Event | Reset]) -> None:
        """What one reader of a thread was given, and which runs there were in it."""
        events = self._add(user_id, items)
        self.out_of_order += sum(after.seq != before.seq + 1 for before, after in pairwise(events))
        for run_id in run_ids:
            self._compare(self._told[run_id], [event for event in events if event.run_id == run_id])

    def _add(self, user_id: str, items: Sequence[Event | Reset]) -> list[Event]:
        events = [item for item in items if isinstance(item, Event)]
        self.events += len(events)
        self.resets += len(items) - len(events)
        self.duplicated += len(events) - len({event.seq for event in events})
        self.cross_user += sum(event.user_id != user_id for event in events)
        return events

    def _compare(self, told: Sequence[Fact], events: Sequence[Event]) -> None:
        got = facts(events)
        self.lost += (Counter(told) - Counter(got)).total()
        self.lost += [event.type for event in (*events[:1], *events[-1:])] != ["agent_started", "agent_completed"]
        self.invented += (Counter(got) - Counter(told)).total()
        self.out_of_order += Counter(got) == Counter(told) and list(told) != got

    def __str__(self) -> str:
        return (
            f"{self.events} events, {self.lost} lost, {self.duplicated} duplicated after dedupe, "
            f"{self.out_of_order} out of order, {self.cross_user} cross-user, {self.invented} invented, "
            f"{self.resets} resets"
        )
