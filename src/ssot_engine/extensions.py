"""Agents and tools that installed packages bring: the built-in team, and entry points of `ssot_engine.agents`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ssot_engine.agents import Agent, Team
from ssot_engine.errors import ConfigError
from ssot_engine.settings import AgentSettings

GROUP = "ssot_engine.agents"
#: The entry point of the built-in team.
OFFLINE = "offline"


def load_team(settings: AgentSettings) -> Team:
    """All agents and tools that settings ask for, as one team.

    Raises:
        ConfigError: an entry point cannot be loaded, or is no `Team` and no agent.
    """
    # Finding entry points reads the metadata of every installed package.
    points = entry_points(group=GROUP) if settings.offline or settings.entry_points else ()
    wanted = [point for point in points if _is_wanted(point, settings)]
    teams = [_load(point) for point in sorted(wanted, key=lambda point: (point.name != OFFLINE, point.name))]
    return Team(
        agents=tuple(agent for team in teams for agent in team.agents),
        tools=tuple(tool for team in teams for tool in team.tools),
    )


def _is_wanted(point: EntryPoint, settings: AgentSettings) -> bool:
    return settings.offline if point.name == OFFLINE else settings.entry_points


def _load(point: EntryPoint) -> Team:
    try:
        loaded: Any = point.load()
        found = loaded if isinstance(loaded, Team | Agent) else loaded()
    except Exception as error:
        # Code of another distribution runs here: whatever it raises is told with its name.
        raise ConfigError(
            f"entry point {point.name!r} of group {GROUP!r} ({point.value}) cannot be loaded: {error!r}; "
            "repair or uninstall that package, or set agents.entry_points to false"
        ) from error
    if isinstance(found, Team):
        return found
    return Team(agents=tuple(found) if isinstance(found, Iterable) else (found,))
