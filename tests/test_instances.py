"""The agents of one engine."""

from __future__ import annotations

import pytest

from fakes import context_of
from ssot_engine.agents import RunContext, agent
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import UnknownAgent
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.registry import AgentRegistry


@agent("greeter")
async def greeter(run: RunContext) -> str:
    """Greets.

    At length.
    """
    return "hello"


@agent("silent")
async def silent(run: RunContext) -> str:
    return "hello"


class Stateful:
    """Remembers."""

    name = "stateful"

    async def execute(self, run: RunContext) -> None: ...


def instances(registry: AgentRegistry) -> AgentInstanceFactory:
    context = context_of()
    return AgentInstanceFactory(registry, UnifiedWebSocketEmitter(AgentWebSocketBridge(context), context))


def test_an_engine_keeps_its_own_instance_of_a_class() -> None:
    """The same object at each call; another engine has another; what is registered as an object is one for all."""
    registry = AgentRegistry([greeter, Stateful])
    one, two = instances(registry), instances(registry)
    assert one.get("stateful") is one.get("stateful")
    assert one.get("stateful") is not two.get("stateful")
    assert one.get("greeter") is two.get("greeter") is greeter


def test_agents_are_listed_with_the_first_line_of_what_they_say_of_themselves() -> None:
    """A function's docstring, else an object's class's; nothing is told of what says nothing."""
    listed = instances(AgentRegistry([greeter, silent, Stateful])).available()
    assert [("greeter", "Greets."), ("silent", ""), ("stateful", "Remembers.")] == listed
    assert "greeter" == listed[0].agent_name


def test_an_unknown_agent_is_refused_and_leaves_no_trace() -> None:
    """Asking for it twice is the same error."""
    factory = instances(AgentRegistry([greeter]))
    for _ in range(2):
        with pytest.raises(UnknownAgent):
            factory.get("x")
