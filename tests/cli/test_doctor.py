"""Facts about `doctor`: what it looks at, and that its exit status says whether something is wrong."""

from __future__ import annotations

import json
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from command import QUESTION, Command, slow_run


@pytest.fixture(autouse=True)
def free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default port may be in use on the machine of the test."""
    monkeypatch.setenv("SSOT_ENGINE_WEB__PORT", "0")


def checks(command: Command, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Every check by its name."""
    done = command("doctor", "--json", *arguments)
    document = json.loads(done.stdout)
    assert (status, status == 0) == (done.exit_code, document["ok"])
    return {check["name"]: check for check in document["checks"]}


def test_a_good_installation_is_all_right(command: Command, log_path: Path) -> None:
    """Nothing is wrong, and looking makes no event log."""
    found = checks(command)
    assert [] == [name for name, check in found.items() if check["state"] == "wrong"]
    assert {"python", "packages", "config", "container", "event log", "web port", "model"} <= set(found)
    assert f"{log_path} is not there yet; the first run makes it" == found["event log"]["text"]
    assert not log_path.parent.exists()


def test_a_missing_extra_names_its_install_line(command: Command) -> None:
    """Each extra is there with versions, or absent with the command that adds it; neither is wrong."""
    extras = {name: check for name, check in checks(command).items() if name.startswith("extra ")}
    installed = {str(one.metadata["Name"]).lower().replace("_", "-") for one in metadata.distributions()}
    needs = {"llm": "pydantic-ai-slim", "redis": "redis", "auth": "pyjwt", "mcp": "mcp", "langgraph": "langgraph"}
    for extra, name in needs.items():
        check = extras[f"extra {extra}"]
        assert ("ok" if name in installed else "note") == check["state"]
        assert check["state"] == "ok" or f"not installed; pip install 'ssot-engine[{extra}]'" == check["text"]


def test_the_event_log_is_described(command: Command, log_path: Path) -> None:
    """Its size and that nobody writes it."""
    command("run", "supervisor", QUESTION)
    text = checks(command)["event log"]["text"]
    assert str(log_path) in text
    assert text.endswith("no writer now")


def test_who_writes_the_event_log_is_told(command: Command, slow_config: str) -> None:
    """And the writer is not disturbed."""
    with slow_run(slow_config) as writer:
        text = checks(command)["event log"]["text"]
        assert writer.poll() is None
        writer.terminate()
        writer.communicate(timeout=30)
    assert f"written by pid {writer.pid} since " in text


def test_a_damaged_event_log_is_wrong(command: Command, log_path: Path) -> None:
    """Exit status 1."""
    log_path.parent.mkdir(parents=True)
    log_path.write_bytes(b"no database at all" * 1000)
    assert "is damaged" in checks(command, status=1)["event log"]["text"]


def test_a_taken_port_is_wrong(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("SSOT_ENGINE_WEB__PORT", str(port))
        text = checks(command, status=1)["web port"]["text"]
    assert text.startswith(f"127.0.0.1:{port} cannot be listened on: ")
    assert text.endswith("set web.host and web.port")


def test_wrong_settings_are_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is looked at all the same."""
    monkeypatch.setenv("SSOT_ENGINE_ENGIN__MAX_ENGINES", "3")
    found = checks(command, status=1)
    assert "did you mean SSOT_ENGINE_ENGINE__MAX_ENGINES" in found["config"]["text"]
    assert "extra llm" in found


def test_an_unusable_provider_is_told(command: Command, tmp_path: Path) -> None:
    """The container cannot be made."""
    path = tmp_path / "bad.yaml"
    path.write_text("providers: {bridge: nowhere.Bridge}\n")
    assert "cannot be imported" in checks(command, "--config", str(path), status=1)["container"]["text"]


def test_a_place_that_cannot_be_written_is_wrong(command: Command, tmp_path: Path) -> None:
    """Before the first run fails."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    text = checks(command, "--events-url", f"sqlite:///{in_the_way}/a/b.db", status=1)["event log"]["text"]
    assert f"{in_the_way} is no directory that can be written" in text


def test_how_users_sign_in_is_told(command: Command, tmp_path: Path) -> None:
    """Not set is a note, since `serve` may be told; tokens that a server would not start with are wrong."""
    path = tmp_path / "app.yaml"
    assert "note" == checks(command)["sign-in"]["state"]
    path.write_text("auth: {algorithms: [HS256]}\n")
    found = checks(command, "--config", str(path), status=1)["sign-in"]
    assert ("wrong", True) == (found["state"], "auth.issuer is not" in found["text"])
    path.write_text(f"auth: {{algorithms: [HS256], secret: {'k' * 32}, issuer: me, audience: you}}\n")
    assert "by tokens (HS256) of me" == checks(command, "--config", str(path))["sign-in"]["text"]
