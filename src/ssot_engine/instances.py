"""The agents of one engine."""

from __future__ import annotations

from typing import NamedTuple, Never

from ssot_engine.agents import Agent
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.former_calls import MISSING, refusal, shows_right_call
from ssot_engine.registry import AgentRegistry

_RIGHT_CALL = "an engine has its factory, `engine.agent_factory`; by hand, call AgentInstanceFactory(registry, emitter)"


class AgentInfo(NamedTuple):
    """What can be told of an agent without running it."""

    name: str
    description: str

    @property
    def agent_name(self) -> str:
        """The same as `name`."""
        return self.name


class AgentInstanceFactory:
    """Gives an engine its agents: shared ones from the registry, and one instance of its own of each recipe."""

    __slots__ = ("__weakref__", "_own", "emitter", "registry")

    @shows_right_call
    def __init__(
        self, registry: AgentRegistry, emitter: UnifiedWebSocketEmitter, *others: Never, **former: Never
    ) -> None:
        if emitter is MISSING or others or former:
            raise refusal("AgentInstanceFactory()", _RIGHT_CALL, former)
        self.registry = registry
        self.emitter = emitter
        self._own: dict[str, Agent] | None = None

    def get(self, name: str) -> Agent:
        """The agent of that name; the same object each time.

        Raises:
            UnknownAgent: none is registered.
        """
        if self._own is not None and name in self._own:
            return self._own[name]
        made = self.registry.make(name)
        if not self.registry.is_shared(name):
            self._own = {**(self._own or {}), name: made}
        return made

    def available(self) -> list[AgentInfo]:
        """All agents this engine can run, by name."""
        return [AgentInfo(name, _description(self.get(name))) for name in self.registry.names()]


def _description(agent: Agent) -> str:
    text = getattr(agent, "description", None)
    return str(type(agent).__doc__ or "" if text is None else text).strip().partition("\n")[0]
