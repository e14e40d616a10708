"""Fixtures of the command line's tests: commands run in this process, far from the person's own files."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer.main
import typer.testing
from command import Command
from typer.testing import CliRunner

from ssot_engine.cli.app import app


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """State and working directory of the test's own, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("SSOT_ENGINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()
    _forget_loggers()


def _forget_loggers() -> None:
    """A logger keeps the set-up it first wrote with; the next test brings its own."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ssot_engine"):
            getattr(vars(module).get("log"), "__dict__", {}).pop("bind", None)


@pytest.fixture(autouse=True, scope="session")
def made_once() -> Iterator[None]:
    """Typer would make all commands anew for each that runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def command() -> Command:
    """Runs a command."""

    def run(*arguments: str, stdin: str | None = None) -> Any:
        return CliRunner().invoke(app, arguments, input=stdin)

    return run


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Where the event log of `run` and `chat` is."""
    return tmp_path / "state" / "ssot-engine" / "events.db"


@pytest.fixture
def slow_config(tmp_path: Path) -> str:
    """A config file that brings the agents `slow` and `counter`."""
    path = tmp_path / "slow.yaml"
    path.write_text("providers: {registry: command.SlowRegistry}\n")
    return str(path)
