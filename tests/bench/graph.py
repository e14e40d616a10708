"""The graph every scope benchmark builds: two objects of the process, five of a request, two of which end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Shared and immutable."""

    engines_per_user: int = 2


class Registry:
    """Of the process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Hub:
    """Of the process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Context:
    """Of the request: who asks."""

    def __init__(self, user_id: str = "u-1", run_id: str = "r-1") -> None:
        self.user_id = user_id
        self.run_id = run_id


class Bridge:
    """Of the request; ends."""

    closed = False

    def __init__(self, context: Context, hub: Hub) -> None:
        self.context = context
        self.hub = hub

    async def aclose(self) -> None:
        self.closed = True


class Emitter:
    """Of the request."""

    def __init__(self, bridge: Bridge, context: Context) -> None:
        self.bridge = bridge
        self.context = context


class AgentFactory:
    """Of the request."""

    def __init__(self, registry: Registry, emitter: Emitter) -> None:
        self.registry = registry
        self.emitter = emitter


class Engine:
    """Of the request; ends."""

    closed = False

    def __init__(self, context: Context, agent_factory: AgentFactory, emitter: Emitter) -> None:
        self.context = context
        self.agent_factory = agent_factory
        self.emitter = emitter

    async def aclose(self) -> None:
        self.closed = True
