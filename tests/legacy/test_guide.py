"""The guide's own acceptance test, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import guide
import pytest

pytestmark = pytest.mark.skipif(
    not guide.GUIDE.is_file(), reason=f"the guide is not beside this checkout; put it at {guide.GUIDE}"
)

FILE = "tests/mission_critical/test_execution_engine_ssot_compliance.py"
#: How many tests there are, and those that the guide names.
TESTS = 5
NAMED = (
    "TestExecutionEngineSSotCompliance::test_user_execution_engine_create_from_legacy_websocket_auto_creation",
    "TestGoldenPathProtection::test_golden_path_user_flow_after_ssot_fixes",
)


def test_acceptance_test_passes_unchanged(tmp_path: Path) -> None:
    """Step 4.1 passes under plain pytest outside this repository, and its old names are warned of at its own lines."""
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_text(guide.acceptance_test(), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "SSOT_ENGINE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rp", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout
    passed = [line.removeprefix(f"PASSED {FILE}::") for line in done.stdout.splitlines() if line.startswith("PASSED ")]
    assert (TESTS, set()) == (len(passed), set(NAMED) - set(passed))
    assert f"{FILE}:11\n  {file}:11: RemovedIn2_0Warning: netra_backend.app.agents.supervisor" in done.stdout
