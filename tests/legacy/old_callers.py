"""What old code brings to the doors, and a container that they lead to."""

from __future__ import annotations

from typing import Any

import pytest

from running import Start
from ssot_engine import legacy
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer

#: For modules whose tests use old doors and mean to.
uses_old_doors = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")


@agent("echo")
async def echo(run: RunContext) -> str:
    """Says it again."""
    return run.message


async def in_use(start: Start, *agents: object, **sections: Any) -> ExecutionContainer:
    """A container that runs until the test is over, and that old doors lead to until then."""
    container = await start(*(agents or (echo,)), **sections)
    await legacy.use(container)
    return container


class Notified:
    """A host's own object, which remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def notify_agent_started(self, run_id: str, agent_name: str, **about: Any) -> None:
        self.told.append(("agent_started", {"run_id": run_id, "agent_name": agent_name, **about}))

    async def notify_agent_thinking(self, run_id: str, agent_name: str, **about: Any) -> None:
        self.told.append(("agent_thinking", {"run_id": run_id, "agent_name": agent_name, **about}))

    async def notify_tool_executing(self, run_id: str, tool_name: str, **about: Any) -> None:
        self.told.append(("tool_executing", {"run_id": run_id, "tool_name": tool_name, **about}))

    async def notify_tool_completed(self, run_id: str, tool_name: str, **about: Any) -> None:
        self.told.append(("tool_completed", {"run_id": run_id, "tool_name": tool_name, **about}))

    async def notify_agent_completed(self, run_id: str, agent_name: str, **about: Any) -> None:
        self.told.append(("agent_completed", {"run_id": run_id, "agent_name": agent_name, **about}))

    @property
    def kinds(self) -> list[str]:
        """The types of events it was told, in order."""
        return [kind for kind, _ in self.told]
