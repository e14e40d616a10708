"""Which event log a URL names."""

from __future__ import annotations

from ssot_engine.errors import ConfigError
from ssot_engine.eventlog.base import EventLog
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.settings import EventSettings


def event_log(settings: EventSettings) -> EventLog:
    """The event log of `events.url`, not opened yet.

    Raises:
        ConfigError: no event log has that scheme, or the URL is wrong.
    """
    scheme = settings.url.partition("://")[0]
    if scheme == "memory":
        return MemoryEventLog(
            retention_s=settings.retention_s,
            max_events_per_thread=settings.max_events_per_thread,
            max_bytes=settings.max_bytes,
            run_retention_s=settings.run_retention_s,
        )
    if scheme == "sqlite":
        from ssot_engine.eventlog.sqlite import SqliteEventLog

        return SqliteEventLog.from_url(
            settings.url,
            retention_s=settings.retention_s,
            max_events_per_thread=settings.max_events_per_thread,
            max_bytes=settings.max_bytes,
            run_retention_s=settings.run_retention_s,
        )
    raise ConfigError(f"events.url {settings.url!r}: this version keeps events in memory:// or sqlite:///path")
