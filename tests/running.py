"""Containers as the tests start them: short times, no agents but their own, and nothing left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ssot_engine.container import ExecutionContainer
from ssot_engine.settings import Settings

Start = Callable[..., Awaitable[ExecutionContainer]]
"""`await start(agent, …, tools=[…], container=…, **sections)`: a container that runs until the test is over."""

SHORT = {"stop_grace_s": 0.1, "drain_timeout_s": 0.1, "wait_timeout_s": 2.0, "run_timeout_s": 20.0}


def small_settings(engine: Mapping[str, Any] | None = None, **sections: Any) -> Settings:
    """Settings with short times and without the agents that installed packages bring."""
    sections.setdefault("agents", {"offline": False, "entry_points": False})
    return Settings(engine={**SHORT, **(engine or {})}, **sections)


def assert_nothing_is_left(container: ExecutionContainer) -> None:
    """No slot is held, no call waits, no scope is open, no run lives."""
    control, admission = container.control(), container.admission()
    assert {} == admission.engines.held
    assert {} == admission.runs.held
    assert (0, 0) == (admission.engines.live, admission.runs.live)
    assert (0, 0) == (admission.engines.waiting, admission.runs.waiting)
    assert [] == container.engine_factory().engines()
    assert container.open_scopes == 0
    assert {} == control.live
    assert set() == control.abandoned
    assert len(control.deadlines) == 0
