"""The HTTP API as a stranger meets it who has only its OpenAPI document. Run it by name: `pytest tests/fuzz`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from asking import ADMINS, PAGELESS, asking, failing, greeter
from serving import Served, serving
from structlog.testing import capture_logs

from running import Start

#: Requests per operation and phase.
EXAMPLES = 25

#: A document cannot say which agents there are; and a request without any credential is refused as cross-site first.
NOT_CHECKED = "positive_data_acceptance,missing_required_header"

UNHURRIED: dict[str, Any] = {"runs_rate": "1000000/second", "sign_ins_rate": "1000000/second"}


def schemathesis() -> str:
    """The command of the library that asks."""
    beside = Path(sys.executable).with_name("schemathesis")
    found = str(beside) if beside.exists() else shutil.which("schemathesis")
    return found or pytest.skip("schemathesis is not installed; pip install schemathesis")


async def fuzz(served: Served, user: str) -> tuple[int | None, str]:
    """Let it ask everything but streams that never end, signed in as a user; its exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        schemathesis(), "run", f"{served.url}/api/openapi.json",
        "--header", f"Authorization: Bearer {user}", "--header", "Accept: application/json",
        "--exclude-checks", NOT_CHECKED, "--max-examples", str(EXAMPLES), "--seed", "7", "--no-color",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd="/tmp",
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_no_request_fails_the_server_and_every_answer_is_as_described(start: Start) -> None:
    """Valid and invalid requests, in any order, of an admin, who may ask most; nothing failed in the log either."""
    container = await start(greeter, failing, web={**PAGELESS, **UNHURRIED}, auth=ADMINS)
    async with serving(container) as served:
        with capture_logs() as entries:
            status, output = await fuzz(served, "carol")
    assert 0 == status, output
    assert [] == [entry for entry in entries if entry["event"] in ("request_failed", "request_refused")]


async def test_the_document_is_valid_openapi(start: Start) -> None:
    """As the specification's own schema says."""
    validator = pytest.importorskip("openapi_spec_validator", reason="pip install openapi-spec-validator")
    async with serving(await start(greeter, web=PAGELESS, auth=ADMINS)) as served, asking(served, None) as client:
        validator.validate((await client.get("/api/openapi.json")).json())
