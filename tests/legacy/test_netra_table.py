"""The shipped table answers every old name, as `old_names.txt` says."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from old_code import OldCode

from ssot_engine import __version__
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import InvalidContext
from ssot_engine.legacy.bridges import create_agent_websocket_bridge
from ssot_engine.legacy.contexts import validate_user_context
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.former import FormerName, Kind
from ssot_engine.legacy.redirects import NoEquivalent, install_redirects
from ssot_engine.legacy.table import shipped_table

PREFIX = "netra_backend.app."


class Asked(NamedTuple):
    """An old name, and what must answer it: an object, or words of what to do instead."""

    module: str
    name: str
    answers: str
    instead: str


def asked() -> Iterator[Asked]:
    """The old names of the text file beside this one."""
    module = ""
    for line in (Path(__file__).parent / "old_names.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            module = PREFIX + line
            continue
        name, sign, rest = line.split(maxsplit=2)
        yield Asked(module, name, f"ssot_engine.{rest}" if sign == "->" else "", rest if sign == "!" else "")


ASKED = list(asked())


def entries() -> list[FormerName]:
    """Every entry of the shipped table."""
    modules = shipped_table().modules.values()
    return [one for module in modules for one in (*module.names.values(), module.whole) if one is not None]


@pytest.mark.parametrize("asked", ASKED, ids=lambda one: f"{one.module.removeprefix(PREFIX)}.{one.name}")
def test_every_old_name_is_answered(asked: Asked, old_code: OldCode) -> None:
    """An old name gives the very object that took its place, and warns; or it is refused and says what to do."""
    install_redirects()
    code = f"from {asked.module} import {asked.name} as got"
    if not asked.answers:
        with pytest.raises(NoEquivalent) as refused:
            old_code.run(code)
        assert asked.instead in refused.value.instead
        return
    module, _, name = asked.answers.rpartition(".")
    with pytest.warns(LegacyWarning) as caught:
        got = old_code.run(code)["got"]
    assert getattr(import_module(module), name) is got
    assert {("caller.py", 1)} == {(one.filename, one.lineno) for one in caught}


def test_all_modules_are_asked_for() -> None:
    """No old module stands in the table without a test, nor the other way round."""
    assert {one.module for one in ASKED} == shipped_table().modules.keys()


@pytest.mark.parametrize("entry", entries(), ids=lambda one: one.door.removeprefix(PREFIX))
def test_entries_make_sense(entry: FormerName) -> None:
    """What an entry names exists, what is called moved has its old name there, and no door is overdue."""
    now, gone = (tuple(map(int, version.split("."))) for version in (__version__, entry.removed_in))
    assert now < gone
    if entry.kind is Kind.REMOVED:
        return
    module, name = entry.target if entry.name else (entry.replacement, "")
    assert not name or getattr(import_module(module), name) is not None
    if entry.kind in (Kind.MOVED, Kind.RENAMED):
        assert (entry.kind is Kind.MOVED) == (entry.name == name)
    # A path to a door of ours goes with the door; a path to a class that stays may go later.
    assert entry.removed_in == "1.0" or not module.startswith("ssot_engine.legacy")


def test_in_the_original_host(old_code: OldCode) -> None:
    """In a host's real package its own dependencies and adapters are used; the duplicates are taken over."""
    broken = "raise RuntimeError('the old file was run')"
    old_code.write("netra_backend/app/dependencies.py", "def get_execution_engine_factory(request): return 'host'")
    old_code.write("netra_backend/app/services/factory_adapter.py", "class FactoryAdapter: pass")
    old_code.write("netra_backend/app/agents/supervisor/execution_factory.py", broken)
    old_code.write("netra_backend/app/agents/triage.py", "class Triage: pass")
    install_redirects()
    with pytest.warns(LegacyWarning):
        got = old_code.run(
            "from netra_backend.app.dependencies import get_execution_engine_factory as get\n"
            "from netra_backend.app.services.factory_adapter import FactoryAdapter\n"
            "from netra_backend.app.agents.triage import Triage\n"
            "from netra_backend.app.agents.supervisor.execution_factory import UserExecutionContext\n"
        )
    assert "host" == got["get"](None)
    assert UserExecutionContext is got["UserExecutionContext"]


# ------------------------------------------------------- what answers by itself


def test_a_context_is_validated_by_its_class() -> None:
    """`validate_user_context` gives a context back and refuses anything else."""
    context = UserExecutionContext.from_request(user_id="alice", thread_id="t", run_id="r")
    assert context is validate_user_context(context)
    with pytest.raises(TypeError, match=r"'alice' is no UserExecutionContext; make one with"):
        validate_user_context("alice")


def test_a_bridge_is_made_for_its_user_or_for_nobody() -> None:
    """`create_agent_websocket_bridge` binds a bridge to the user it is given, and to no made-up one."""
    context = UserExecutionContext.from_request(user_id="alice", thread_id="t", run_id="r")
    assert context is create_agent_websocket_bridge(context).user_context
    unbound = create_agent_websocket_bridge()
    assert (AgentWebSocketBridge, None) == (type(unbound), unbound.user_context)
    with pytest.raises(InvalidContext, match="is no UserExecutionContext"):
        create_agent_websocket_bridge("alice")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"no websocket_manager any more, got 3; .*create_for_user\(context\)"):
        create_agent_websocket_bridge(context, websocket_manager=3)  # type: ignore[arg-type]
