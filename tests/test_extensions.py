"""Agents and tools of installed packages: real distributions on the path, with entry points of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from running import Start
from ssot_engine.errors import ConfigError
from ssot_engine.extensions import load_team
from ssot_engine.settings import AgentSettings

Install = Callable[[str, str], None]

CODE = """
from ssot_engine.agents import Team, agent

@agent("{name}")
async def one(run):
    return "from {name}"

def look_up(word: str) -> str:
    return word

def team():
    return Team(agents=(one,), tools=(look_up,))

def several():
    return [one]

def broken():
    raise OSError("no disk")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one entry point: `install(name, what)`, `what` an object of its module."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, what: str) -> None:
        (tmp_path / f"{name}_pack.py").write_text(CODE.format(name=name))
        info = tmp_path / f"{name}_pack-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-pack\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ssot_engine.agents]\n{name} = {name}_pack:{what}\n")

    return install


def names(settings: AgentSettings) -> set[str]:
    """The names of the agents that these settings bring."""
    return {agent.name for agent in load_team(settings).agents}


@pytest.mark.parametrize("what", ["one", "team", "several"])
def test_a_package_may_give_an_agent_a_team_or_several(install: Install, what: str) -> None:
    """The object of the entry point is an agent, or a function that makes a team or agents."""
    install(f"gives_{what}", what)
    assert {f"gives_{what}"} == names(AgentSettings(offline=False))


def test_settings_say_whose_agents_are_there(install: Install) -> None:
    """The built-in team and those of installed packages are switched apart."""
    install("visitor", "team")
    team = {"supervisor", "triage", "data", "optimize", "report"}
    assert team | {"visitor"} == names(AgentSettings())
    assert team == names(AgentSettings(entry_points=False))
    assert set() == names(AgentSettings(offline=False, entry_points=False))


async def test_what_a_package_brings_can_run(install: Install, start: Start) -> None:
    """A container registers its agents and tools before it runs."""
    install("guest", "team")
    container = await start(agents={"offline": False, "entry_points": True})
    assert ["guest"] == container.registry().names()
    assert ["look_up"] == container.tools().names()


@pytest.mark.parametrize(("what", "says"), [("broken", "no disk"), ("absent", "absent")])
def test_a_package_that_cannot_be_loaded_is_named(install: Install, what: str, says: str) -> None:
    """The error says which entry point, why, and how to do without it."""
    install(f"bad_{what}", what)
    with pytest.raises(ConfigError, match=rf"'bad_{what}' .*{says}.*agents\.entry_points to false"):
        load_team(AgentSettings(offline=False))
