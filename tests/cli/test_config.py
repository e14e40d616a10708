"""Facts about `config`: every setting with its source, what is wrong, and the schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command

from ssot_engine.settings import Settings, explain, packaged, schema


def test_every_setting_is_shown(command: Command) -> None:
    """One line each, in the order of the tree."""
    lines = command("config", "show").stdout.splitlines()
    assert [line.name for line in explain(Settings())] == [line.partition(":")[0] for line in lines]
    assert "web.port: 8000" in lines


def test_sources_are_named(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, variable or default."""
    path = tmp_path / "app.yaml"
    path.write_text("web: {port: 9000}\n")
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__MAX_ENGINES", "5")
    done = command("config", "show", "--sources", "--json", "--config", str(path))
    shown = json.loads(done.stdout)
    assert {"value": 9000, "source": f"file {path}"} == shown["web.port"]
    assert {"value": 5, "source": "environment SSOT_ENGINE_ENGINE__MAX_ENGINES"} == shown["engine.max_engines"]
    assert {"value": 10, "source": "default"} == shown["engine.max_engines_per_user"]
    text = command("config", "show", "--sources", "--config", str(path)).stdout
    assert ["web.port:", "9000", "file", str(path)] in [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("name", ["default.yaml", "production.yaml", "test.yaml"])
def test_the_packaged_files_are_right(command: Command, name: str) -> None:
    """Settings and container."""
    done = command("config", "check", "--config", str(packaged(name)))
    assert (0, True) == (done.exit_code, done.stdout.startswith("ok: "))


def test_a_wrong_value_fails_the_check(command: Command, tmp_path: Path) -> None:
    """Exit status 2; every problem is told."""
    path = tmp_path / "bad.yaml"
    path.write_text("web: {port: many}\nengine: {max_engine: 3}\n")
    done = command("config", "check", "--config", str(path))
    assert done.exit_code == 2
    assert "web.port" in done.stderr
    assert "engine.max_engine in" in done.stderr


def test_a_provider_that_cannot_be_fails_the_check(command: Command, tmp_path: Path) -> None:
    """The settings are well formed, the container they make is not."""
    path = tmp_path / "bad.yaml"
    path.write_text("providers: {bridge: json.JSONDecoder}\n")
    done = command("config", "check", "--config", str(path))
    assert (2, True) == (done.exit_code, "'json.JSONDecoder'" in done.stderr)


def test_a_sign_in_that_cannot_work_fails_the_check(command: Command, tmp_path: Path) -> None:
    """What `serve` would refuse to start with."""
    path = tmp_path / "bad.yaml"
    path.write_text("auth: {algorithms: [HS256], issuer: me, audience: you}\n")
    done = command("config", "check", "--config", str(path))
    assert (2, True) == (done.exit_code, "auth.secret" in done.stderr)


def test_a_secret_that_is_not_set_looks_like_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a secret that is there is hidden."""
    assert "auth.secret: null" in command("config", "show").stdout
    monkeypatch.setenv("SSOT_ENGINE_AUTH__SECRET", "k" * 32)
    shown = command("config", "show").stdout
    assert ('auth.secret: "**********"' in shown, "kkk" in shown) == (True, False)


def test_the_schema_is_that_of_the_settings(command: Command) -> None:
    """For editors."""
    assert schema() == json.loads(command("config", "schema").stdout)
