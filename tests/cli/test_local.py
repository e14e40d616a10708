"""Facts about the settings and the identity of a command that runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssot_engine.cli.local import Caller, local_settings, login_name, settings_for_reading, state_url


def test_events_are_kept_below_the_state_directory(tmp_path: Path) -> None:
    """Never in the working directory."""
    assert f"sqlite:///{tmp_path}/state/ssot-engine/events.db" == local_settings(None, None).events.url


def test_a_relative_state_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its specification says."""
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", "/home/ann with space")
    assert state_url() == "sqlite:////home/ann%20with%20space/.local/state/ssot-engine/events.db"


def test_settings_that_name_an_event_log_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if they name what the library's default is; the option beats both."""
    monkeypatch.setenv("SSOT_ENGINE_EVENTS__URL", "memory://")
    assert local_settings(None, None).events.url == "memory://"
    assert local_settings(None, "sqlite:///other.db").events.url == "sqlite:///other.db"


def test_log_entries_start_at_warning_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not disturb what a command shows."""
    assert settings_for_reading(None, None).log.level == "warning"
    monkeypatch.setenv("SSOT_ENGINE_LOG__LEVEL", "info")
    assert settings_for_reading(None, None).log.level == "info"


def test_only_commands_that_run_agents_may_read_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission comes on top of those that settings give."""
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__PERMISSIONS", '["billing"]')
    assert ("billing",) == settings_for_reading(None, None).engine.permissions
    assert ("billing", "files.read") == local_settings(None, None).engine.permissions


def test_a_caller_has_a_thread_of_its_own() -> None:
    """Unless it names one; without data there are no inputs."""
    first, second = (Caller.of(None, None, None, False) for _ in range(2))
    assert first.thread_id != second.thread_id
    assert (login_name(), {}) == (first.user_id, first.inputs)
    named = Caller.of("ann", "t-1", "log.csv", True)
    assert Caller(user_id="ann", thread_id="t-1", inputs={"data": "log.csv", "skip_bad_rows": True}) == named
