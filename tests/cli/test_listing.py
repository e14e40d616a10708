"""Facts about `agents` and `tools`: they list what there is, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

from command import Command


def test_agents_are_listed_with_what_they_do(command: Command) -> None:
    """The five of the offline team."""
    shown = command("agents").stdout
    assert [] == [name for name in ("supervisor", "triage", "data", "optimize", "report") if name not in shown]
    assert "Recognises which of the named questions is asked" in shown


def test_agents_as_json(command: Command) -> None:
    """One document on standard output, nothing else."""
    listed = json.loads(command("agents", "--json").stdout)
    assert {"name", "description", "shared"} == set(listed[0])
    assert ["data", "optimize", "report", "supervisor", "triage"] == [one["name"] for one in listed]


def test_tools_are_listed_with_what_they_take(command: Command) -> None:
    """The permission shows, and optional arguments stand in brackets."""
    lines = command("tools").stdout.splitlines()
    line = next(line for line in lines if "load_usage" in line)
    assert ["load_usage", "path,", "[skip_bad_rows]", "files.read"] == line.split()[:4]


def test_tools_as_json(command: Command) -> None:
    """Arguments come as JSON Schema."""
    listed = {one["name"]: one for one in json.loads(command("tools", "--json").stdout)}
    assert listed["load_usage"]["permission"] == "files.read"
    assert listed["spend_by"]["arguments"]["required"] == ["by"]


def test_settings_decide_what_is_there(command: Command, tmp_path: Path) -> None:
    """Without the offline team there is nothing."""
    path = tmp_path / "none.yaml"
    path.write_text("agents: {offline: false, entry_points: false}\n")
    assert [] == json.loads(command("agents", "--json", "--config", str(path)).stdout)


def test_looking_makes_no_event_log(command: Command, log_path: Path) -> None:
    """A list writes nothing."""
    command("agents")
    command("tools")
    assert not log_path.parent.exists()
