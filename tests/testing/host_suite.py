"""Test suites of imagined hosts, each run by a pytest of its own, and how its tests went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

#: Writes how each phase of each test went, as a line of JSON.
REPORTER = """
import json

def pytest_runtest_logreport(report):
    name = report.nodeid.partition("::")[2]
    with open("reports.jsonl", "a") as reports:
        reports.write(json.dumps([name, report.when, report.outcome, report.longreprtext]) + "\\n")
"""

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
addopts = --strict-markers -p no:cacheprovider -p no:hypothesispytest -p no:schemathesis
filterwarnings = error
"""


class Phase(NamedTuple):
    """How one phase of a test went; `text` is what was told of a failure."""

    outcome: str
    text: str


class Suite(NamedTuple):
    """How a suite went: by test, then by phase."""

    status: int
    tests: dict[str, dict[str, Phase]]
    output: str

    def outcomes(self, test: str) -> dict[str, str]:
        """The outcome of each phase of a test."""
        return {when: phase.outcome for when, phase in self.tests[test].items()}


PASSED = {"setup": "passed", "call": "passed", "teardown": "passed"}
LEFT_OPEN = {"setup": "passed", "call": "passed", "teardown": "failed"}


def run_suite(folder: Path, code: str, *arguments: str, mode: str = "auto", **environment: str) -> Suite:
    """Run `code` as a test file in an empty folder, with pytest's arguments and variables of the environment."""
    (folder / "pytest.ini").write_text(INI.format(mode=mode))
    (folder / "conftest.py").write_text(REPORTER)
    (folder / "test_host.py").write_text(code)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "SSOT_ENGINE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    tests: dict[str, dict[str, Phase]] = {}
    reports = folder / "reports.jsonl"
    lines: list[Any] = [json.loads(line) for line in reports.read_text().splitlines()] if reports.exists() else []
    for name, when, outcome, text in lines:
        tests.setdefault(name, {})[when] = Phase(outcome, text)
    return Suite(done.returncode, tests, done.stdout + done.stderr)
