"""The story of a host that comes with an engine of its own, told through the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ssot_engine.cli.app import app

OLD_MODULES = {
    "agents/supervisor/execution_engine_factory.py": """
        class ExecutionEngineFactory:
            async def create_for_user(self, context): ...
        async def get_execution_engine_factory(): ...
    """,
    "agents/execution_engine_unified_factory.py": """
        class UnifiedExecutionEngineFactory:
            @classmethod
            def configure(cls, **kwargs): ...
        class EngineConfig: ...
    """,
    "services/user_execution_context.py": """
        class InvalidContextError(Exception): ...
        class UserExecutionContext: ...
    """,
    "services/agent_websocket_bridge.py": "class AgentWebSocketBridge: ...",
}

CONSUMERS = {
    "smd.py": """
        def start(state):
            from netra_backend.app.agents.execution_engine_unified_factory import UnifiedExecutionEngineFactory
            from .services.agent_websocket_bridge import AgentWebSocketBridge

            UnifiedExecutionEngineFactory.configure(websocket_bridge=AgentWebSocketBridge())
            state["factory"] = UnifiedExecutionEngineFactory
    """,
    "dependencies.py": """
        from netra_backend.app.agents.supervisor.execution_engine_factory import (
            ExecutionEngineFactory,
            get_execution_engine_factory as get_factory,  # the async one
        )
        from netra_backend.app.services.user_execution_context import UserExecutionContext, InvalidContextError

        def context_of(user: str) -> UserExecutionContext:
            try:
                return UserExecutionContext(user_id=user, thread_id="t-1", run_id="r-1")
            except InvalidContextError:
                return UserExecutionContext(user_id="u-nobody", thread_id="t-1", run_id="r-1")
    """,
    "routes.py": """
        import importlib
        import netra_backend.app.services.agent_websocket_bridge as bridges

        def factory():
            return importlib.import_module("netra_backend.app.dependencies").get_factory

        def bridge():
            return bridges.AgentWebSocketBridge()
    """,
    "limits.py": """
        def limits():
            from netra_backend.app.agents.execution_engine_unified_factory import EngineConfig

            return EngineConfig()
    """,
}

HOST_TESTS = """
from unittest.mock import patch

from netra_backend.app import dependencies, routes, smd


@patch("netra_backend.app.agents.execution_engine_unified_factory.UnifiedExecutionEngineFactory.configure")
def test_start(configure):
    state = {}
    smd.start(state)
    assert configure.called
    with patch("netra_backend.app.dependencies.UserExecutionContext") as context:
        assert dependencies.context_of("u-alice") is context.return_value


def test_context():
    assert dependencies.context_of("u-alice").user_id == "u-alice"
    assert dependencies.context_of("").user_id == "u-nobody"
    assert routes.bridge() is not None and routes.factory() is dependencies.get_factory
"""

CONFIGURATION = """
bridge: "netra_backend.app.services.agent_websocket_bridge:AgentWebSocketBridge"  # a dotted path
"""

# The host's tests, without pytest, which would take longer to start than they take.
RUN = "import test_host_app as t; t.test_start(); t.test_context(); print('passed')"


def write(file: Path, text: str) -> None:
    """A file of the host; the text may be indented."""
    lines = text.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line[margin:].rstrip()}\n" for line in lines))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a package with old modules, what uses them, tests and configuration."""
    root = tmp_path / "host"
    for name, text in {**OLD_MODULES, **CONSUMERS}.items():
        write(root / "netra_backend" / "app" / name, text)
    for folder in {file.parent for file in (root / "netra_backend").rglob("*.py")} | {root / "netra_backend"}:
        (folder / "__init__.py").touch()
    write(root / "tests" / "test_host_app.py", HOST_TESTS)
    write(root / "config" / "app.yaml", CONFIGURATION)
    monkeypatch.chdir(root)
    return root


def migrate(*words: str) -> tuple[int, str]:
    """A command's exit status, and what it printed."""
    ended = CliRunner().invoke(app, ["migrate", *words])
    return ended.exit_code, ended.output


def document(*words: str) -> Any:
    """What a command says in JSON."""
    return json.loads(migrate(*words, "--json")[1])


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the host, without what the toolkit keeps."""
    files = [file for file in root.rglob("*") if file.is_file() and ".ssot-engine" not in file.parts]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def said_without_old_modules(root: Path, elsewhere: Path) -> str:
    """What the host's tests say in a copy that has none of its old modules, nor redirects for them."""
    shutil.copytree(root, elsewhere)
    for name in OLD_MODULES:
        (elsewhere / "netra_backend" / "app" / name).unlink()
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = ['.', 'tests']; {RUN}"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout or done.stderr


def test_a_host_there_and_back(host: Path, tmp_path: Path) -> None:
    """Looked at, rewritten, run without its old modules, left with one place for a person, and put back."""
    before = contents(host)

    status, said = migrate("scan", ".")
    assert (1, True) == (status, "\n9 references in 5 files to rewrite, 1 to change by hand; " in said)
    assert said.count("left alone: ") == 0, "an old module that names no other one is not worth a line"

    status, said = migrate("verify", ".")
    assert (0, True) == (status, said.endswith(" resolve\n"))

    status, said = migrate("apply", ".")
    assert (1, True) == (status, "\n9 references rewritten in 5 files, 1 to change by hand\n" in said)
    assert said.endswith("take it back with `ssot-engine migrate rollback .`\n")

    assert "passed\n" == said_without_old_modules(host, tmp_path / "elsewhere")

    left = [(one["path"], one["line"], one["rule"]) for one in document("check", ".")["findings"]]
    assert [("netra_backend/app/limits.py", 2, "removed")] == left

    told = document("report", ".")["progress"]["total"]
    assert (9, 0, 1) == (told["done"], told["pending"], told["by_hand"])

    assert (0, "put back as before the last apply: 5 files\n") == migrate("rollback", ".")
    assert before == contents(host)


def test_a_host_that_is_done(host: Path) -> None:
    """Once its one place is changed by hand nothing is left, and the report says how to keep it so."""
    migrate("apply", ".")
    (host / "netra_backend" / "app" / "limits.py").write_text("LIMIT = 3\n")
    status, said = migrate("check", ".")
    assert (0, True) == (status, said.startswith("clean: nothing to change in "))
    status, said = migrate("report", ".")
    assert (0, True) == (status, "let CI run `ssot-engine migrate check .`" in said)
