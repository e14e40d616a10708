"""Event logs of every backend, opened for one test and closed after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from eventlog_backends import BACKENDS, make_log

from ssot_engine.eventlog.base import EventLog

#: Opens a log with the options of its class; it is closed after the test.
Open = Callable[..., Awaitable[EventLog]]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend; the contract suite runs once with each."""
    return str(request.param)


@pytest.fixture
async def open_log(backend: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a log of the backend."""
    logs: list[EventLog] = []

    async def open_one(**options: Any) -> EventLog:
        log = make_log(backend, tmp_path, **options)
        await log.open()
        logs.append(log)
        return log

    yield open_one
    for log in logs:
        await log.aclose()


@pytest.fixture
async def log(open_log: Open) -> EventLog:
    """A log with default options."""
    return await open_log()
