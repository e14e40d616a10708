"""Facts about how the command starts: what it costs, and what it does not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import Command

from ssot_engine import __version__

_HEAVY = ("fastapi", "starlette", "dependency_injector", "ssot_engine.container", "ssot_engine.settings")

_IMPORTS = """
import json, sys
from ssot_engine.cli import main
for arguments in {lines!r}:
    sys.argv = ["ssot-engine", *arguments]
    try:
        main()
    except SystemExit:
        pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(*lines: tuple[str, ...]) -> set[str]:
    """The modules a fresh process has after these command lines."""
    code = _IMPORTS.format(lines=lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_neither_container_nor_web_framework() -> None:
    """Help and completion answer at once."""
    loaded = modules_after(("--help",), ("run", "--help"), ("config", "--help"), ("demo", "--help"))
    assert [] == [name for name in _HEAVY if name in loaded]


def test_the_version_loads_no_command_line() -> None:
    """Scripts ask for it; not even typer is imported."""
    loaded = modules_after(("--version",))
    assert [] == [name for name in (*_HEAVY, "typer", "rich", "msgspec") if name in loaded]


def test_the_version_is_the_packages(command: Command) -> None:
    """The quick answer and the option say the same."""
    quick = subprocess.run(
        [sys.executable, "-m", "ssot_engine", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"ssot-engine {__version__}\n" == quick.stdout == command("--version").output


def test_without_arguments_it_shows_the_help(command: Command) -> None:
    """Every command is listed."""
    shown = command().output
    commands = ("demo", "run", "chat", "agents", "tools", "events", "config", "doctor")
    assert [] == [name for name in commands if name not in shown]


def test_a_wrong_setting_is_told_in_a_paragraph(command: Command) -> None:
    """No traceback: the variable, its value and what fits, exit status 2."""
    os.environ["SSOT_ENGINE_WEB__PORT"] = "many"
    try:
        done = command("agents")
    finally:
        del os.environ["SSOT_ENGINE_WEB__PORT"]
    assert done.exit_code == 2
    assert done.stderr.startswith("error: SSOT_ENGINE_WEB__PORT (from environment): 'many' is not an integer")
    assert "Traceback" not in done.output


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """`ssot-engine config show | head -1` ends quietly."""
    done = subprocess.run(
        f"{sys.executable} -m ssot_engine config schema | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "{\n"


@pytest.mark.parametrize("arguments", ["--version", "migrate --help", "config schema", "migrate scan --json ."])
@pytest.mark.parametrize("buffering", ["", "-u "])
def test_a_full_disk_behind_the_output_is_an_error(arguments: str, buffering: str, tmp_path: Path) -> None:
    """Not status 1, which says of `migrate` that something is left to do; also where only the last flush fails."""
    command = [*f"{sys.executable} {buffering}-m ssot_engine {arguments}".split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True, timeout=60)
    told = "error: the output cannot be written: No space left on device; make room, or send it elsewhere\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_a_closed_output_is_no_error(tmp_path: Path) -> None:
    """`ssot-engine … >&-` ends with the command's own status."""
    done = subprocess.run(
        f"{sys.executable} -m ssot_engine migrate scan . >&-", shell=True, cwd=tmp_path, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
