"""`ssot-engine agents` and `ssot-engine tools`: what there is to ask and to call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ssot_engine.cli.local import settings_for_reading
from ssot_engine.cli.show import output, print_json, printable
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.ids import new_id


class AgentLine(msgspec.Struct, frozen=True):
    """An agent as it is listed. A shared one is one object for all engines, else each engine makes its own."""

    name: str
    description: str
    shared: bool


class ToolLine(msgspec.Struct, frozen=True):
    """A tool as it is listed; `arguments` is the JSON Schema of what it takes."""

    name: str
    description: str
    permission: str | None
    timeout_s: float | None
    arguments: dict[str, Any]


def list_agents(config: Path | None, as_json: bool) -> None:
    """Print the agents."""
    lines = asyncio.run(_agents(_container(config)))
    if as_json:
        print_json(lines)
        return
    table = _table("agent", "shared", "what it does")
    for line in lines:
        table.add_row(printable(line.name), "yes" if line.shared else "no", printable(line.description))
    output().print(table)


async def _agents(container: ExecutionContainer) -> list[AgentLine]:
    context = UserExecutionContext.from_request("listing", "listing", new_id("run"))
    async with container.open_scope(context=context) as scope:
        available = scope.get(container.agent_factory).available()
    registry = container.registry()
    return [AgentLine(one.name, one.description, registry.is_shared(one.name)) for one in available]


def list_tools(config: Path | None, as_json: bool) -> None:
    """Print the tools."""
    registry = _container(config).tools()
    lines = []
    for name in registry.names():
        tool = registry.get(name)
        lines.append(ToolLine(name, tool.description, tool.permission, tool.timeout_s, tool.schema))
    if as_json:
        print_json(lines)
        return
    table = _table("tool", "takes", "permission", "what it does")
    for line in lines:
        first = line.description.partition("\n")[0]
        table.add_row(printable(line.name), _takes(line.arguments), line.permission or "", printable(first))
    output().print(table)


def _container(config: Path | None) -> ExecutionContainer:
    """A container that is only looked at: it needs no event log."""
    return ExecutionContainer.from_settings(settings_for_reading(config, "memory://"))


def _table(*titles: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=title in ("agent", "tool"))
    return table


def _takes(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(name if name in required else f"[{name}]" for name in schema.get("properties", {}))
