"""The event logs that the contract is run against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssot_engine.eventlog.base import EventLog
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.eventlog.sqlite import SqliteEventLog

BACKENDS = ("memory", "sqlite")


def make_log(backend: str, directory: Path, **options: Any) -> EventLog:
    """A log of a backend that has not been opened; one with a file has it in the directory."""
    if backend == "memory":
        return MemoryEventLog(**options)
    return SqliteEventLog(directory / "events.db", **options)
