"""The agents of a process, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Never

from ssot_engine.agents import Agent, as_agent
from ssot_engine.errors import ClosedError, ConfigError, UnknownAgent
from ssot_engine.former_calls import refusal

_RIGHT_CALL = (
    "call AgentRegistry() and then register(agent); a model belongs to the agent that uses it, a tool to "
    "`container.tools().register(fn)`"
)


class AgentRegistry:
    """Agents by name. It can be added to until the container runs.

    A class is kept as a recipe: each engine makes its own instance. Anything else is one object for all engines, so it
    must keep no state of a user.
    """

    def __init__(self, agents: Iterable[object] = (), *others: Never, **former: Never) -> None:
        if others or former or not isinstance(agents, Iterable):
            raise refusal("AgentRegistry()", _RIGHT_CALL, former)
        self._recipes: dict[str, Callable[[], Agent]] = {}
        self._shared: dict[str, Agent] = {}
        self._frozen = False
        for one in agents:
            self.register(one)

    def register(self, obj: Any, name: str | None = None) -> None:
        """Add an agent: an object with `name` and `execute`, its class, a function, or what `@agent` returned.

        Raises:
            ClosedError: the container runs already.
            ConfigError: it is no agent, has no name, or the name is taken.
        """
        if isinstance(obj, type):
            declared = getattr(obj, "name", None)
            self.register_factory(name or (declared if isinstance(declared, str) else obj.__name__), obj)
            return
        made = as_agent(obj)
        self._shared[self._free_name(name or made.name)] = made

    def register_factory(self, name: str, factory: Callable[[], Any]) -> None:
        """Add a recipe: called without arguments, once for each engine that uses the agent.

        Raises:
            ClosedError: the container runs already.
            ConfigError: it has to be awaited, has no name, or the name is taken.
        """
        if inspect.iscoroutinefunction(factory):
            raise ConfigError(
                f"the recipe of agent {name!r} is a coroutine function, so what it makes is no agent yet; register a "
                "plain function, and await what it needs in the agent's execute()"
            )
        self._recipes[self._free_name(name)] = lambda: as_agent(factory())

    def _free_name(self, name: object) -> str:
        if self._frozen:
            raise ClosedError(f"agent {name!r} comes too late: the container runs; register it before")
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"an agent needs a name, not {name!r}; pass name=")
        if name in self:
            raise ConfigError(f"an agent is registered as {name!r} already; pass another name=")
        return name

    def make(self, name: str) -> Agent:
        """The agent of that name: the shared object, or a new one of its recipe.

        Raises:
            UnknownAgent: there is none.
        """
        if (shared := self._shared.get(name)) is not None:
            return shared
        if (recipe := self._recipes.get(name)) is not None:
            return recipe()
        raise UnknownAgent(name, self.names())

    def is_shared(self, name: str) -> bool:
        """Whether all engines use one object."""
        return name in self._shared

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted([*self._shared, *self._recipes])

    def freeze(self) -> None:
        """From now on nothing can be added."""
        self._frozen = True

    def __contains__(self, name: object) -> bool:
        return name in self._shared or name in self._recipes

    def __len__(self) -> int:
        return len(self._shared) + len(self._recipes)
