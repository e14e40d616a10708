"""The registry: agents by name, shared or one per engine."""

from __future__ import annotations

from typing import Any

import pytest

from ssot_engine.agents import RunContext, agent
from ssot_engine.errors import ClosedError, ConfigError, UnknownAgent
from ssot_engine.registry import AgentRegistry


@agent("greeter")
async def greeter(run: RunContext) -> str:
    return "hello"


class Stateful:
    name = "stateful"

    async def execute(self, run: RunContext) -> None: ...


class NamedByProperty:
    def __init__(self) -> None:
        self.uses = 0

    @property
    def name(self) -> str:
        return "own name"

    async def execute(self, run: RunContext) -> None: ...


def test_a_registry_needs_no_arguments_and_takes_agents_in_any_form() -> None:
    """Objects, classes, functions and factories; names come sorted."""
    registry = AgentRegistry()
    assert [] == registry.names()
    registry.register(greeter)
    registry.register(greeter, name="again")
    registry.register(Stateful)
    registry.register(Stateful(), name="shared")
    registry.register_factory("made", Stateful)
    assert ["again", "greeter", "made", "shared", "stateful"] == registry.names()
    assert (5, True, False) == (len(registry), "made" in registry, "other" in registry)


def test_a_class_is_made_anew_and_an_object_is_shared() -> None:
    """What keeps state is registered as its class."""
    registry = AgentRegistry([greeter, Stateful])
    assert registry.make("greeter") is registry.make("greeter") is greeter
    assert registry.make("stateful") is not registry.make("stateful")
    assert (True, False) == (registry.is_shared("greeter"), registry.is_shared("stateful"))


def test_a_class_whose_name_is_a_property_is_called_by_its_own_name() -> None:
    """The property is no text before an instance exists."""
    registry = AgentRegistry([NamedByProperty])
    assert ["NamedByProperty"] == registry.names()
    assert isinstance(registry.make("NamedByProperty"), NamedByProperty)


@pytest.mark.parametrize("name", ["", "  ", 5, ("a",)])
def test_an_agent_needs_a_name(name: Any) -> None:
    """Blank or no text is refused."""
    with pytest.raises(ConfigError, match="an agent needs a name"):
        AgentRegistry().register_factory(name, Stateful)


def test_a_name_is_taken_once_and_not_after_the_start() -> None:
    """Shared or made, a second of the name is refused; so is one that comes too late."""
    registry = AgentRegistry([greeter])
    for again in (lambda: registry.register(greeter), lambda: registry.register_factory("greeter", Stateful)):
        with pytest.raises(ConfigError, match="an agent is registered as 'greeter' already"):
            again()
    registry.freeze()
    with pytest.raises(ClosedError, match="agent 'stateful' comes too late: the container runs"):
        registry.register(Stateful)
    assert ["greeter"] == registry.names()


def test_an_unknown_agent_is_named_with_those_there_are() -> None:
    """The caller sees what it could have asked for."""
    with pytest.raises(UnknownAgent, match="unknown agent 'x'; registered are: 'greeter'") as unknown:
        AgentRegistry([greeter]).make("x")
    assert ("x", ("greeter",)) == (unknown.value.name, unknown.value.known)


def test_a_factory_that_makes_no_agent_is_told_when_it_is_used() -> None:
    """A coroutine, as an asynchronous factory would give, is no agent and is not kept as one."""
    registry = AgentRegistry()
    registry.register_factory("wrong", lambda: 5)
    with pytest.raises(ConfigError, match="5 is no agent"):
        registry.make("wrong")
