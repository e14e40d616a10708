"""Facts about the guide's `python -c` snippets: they pass through `python -m ssot_engine legacy exec`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[3] / "shared" / "seed" / "ssot-execution-engine-guide.md"

pytestmark = pytest.mark.skipif(
    not GUIDE.exists(), reason=f"the guide is not beside this repository; put it at {GUIDE} to run its snippets"
)


def snippet(step: str) -> str:
    """The program of the `python -c` command in a step, as its shell would hand it over."""
    section = GUIDE.read_text(encoding="utf-8").partition(f"### Step {step}")[2].partition("\n### ")[0]
    found = re.search(r'^python -c "\n(.*?)^"$', section, re.DOTALL | re.MULTILINE)
    assert found is not None
    # Nothing in it means anything to a shell within double quotes.
    assert not set(found[1]) & set('$`\\"')
    return found[1]


def run(folder: Path, *arguments: str) -> str:
    """What the command printed, far from this repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSOT_ENGINE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "ssot_engine", "legacy", "exec", *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout


def as_script(program: str) -> str:
    """A program that awaits outside functions, made valid Python."""
    return f"import asyncio\n\nasync def main():\n{textwrap.indent(program, '    ')}\nasyncio.run(main())\n"


def test_step_1_1_passes_as_it_is_written(tmp_path: Path) -> None:
    """Its `await` at module level included."""
    assert "SUCCESS: Auto-WebSocket bridge creation working: engine_" in run(tmp_path, "-c", snippet("1.1"))


def test_step_1_1_passes_as_a_script(tmp_path: Path) -> None:
    """Made valid Python, in a file."""
    (tmp_path / "step.py").write_text(as_script(snippet("1.1")), encoding="utf-8")
    assert "SUCCESS: Auto-WebSocket bridge creation working: engine_" in run(tmp_path, "--", "step.py")


def test_step_4_2_passes(tmp_path: Path) -> None:
    """The old module is there for the transition, and the new import works."""
    printed = run(tmp_path, "-c", snippet("4.2"))
    assert "Redirect module loaded (expected during transition)" in printed
    assert "SSOT factory import successful" in printed
