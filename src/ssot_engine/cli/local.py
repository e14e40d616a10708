"""The settings and the identity of a command that runs here, for the person at the keyboard."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import msgspec

from ssot_engine.ids import new_id
from ssot_engine.logs import configure_logging
from ssot_engine.settings import Settings, explain

#: What the person at the keyboard may have agents do beyond what settings allow everybody: they could do it anyway.
LOCAL_PERMISSIONS = ("files.read",)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, in which thread, about which data."""

    user_id: str
    thread_id: str
    inputs: dict[str, Any]

    @classmethod
    def of(cls, user: str | None, thread: str | None, data: str | None, skip_bad_rows: bool) -> Self:
        """The caller that these options describe."""
        return cls(
            user_id=user or login_name(),
            thread_id=thread or new_id("thread"),
            inputs={} if data is None else {"data": data, "skip_bad_rows": skip_bad_rows},
        )


def login_name() -> str:
    """The name of the person at the keyboard; `local` where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "local"


def state_url() -> str:
    """The event log of this person: `$XDG_STATE_HOME/ssot-engine/events.db`, or below `~/.local/state`."""
    named = os.environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    home = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "state"
    return f"sqlite:///{quote(str(home / 'ssot-engine' / 'events.db'))}"


def settings_for_reading(config: Path | None, events_url: str | None) -> Settings:
    """The settings of a command that reads the event log; log entries start at `warning` unless configured.

    Raises:
        ConfigError: a setting is wrong, or the config file cannot be read.
    """
    given = Settings.load(config)
    configured = {line.name for line in explain(given) if line.source != "default"}
    changes: dict[str, Any] = {}
    if events_url is not None or "events.url" not in configured:
        changes["events"] = {"url": events_url or state_url()}
    if "log.level" not in configured:
        changes["log"] = {"level": "warning"}
    settings = Settings.load(config, **changes) if changes else given
    configure_logging(settings.log.level, settings.log.format)
    return settings


def local_settings(config: Path | None, events_url: str | None) -> Settings:
    """`settings_for_reading`, and agents may read the files that this person names."""
    settings = settings_for_reading(config, events_url)
    granted = (*settings.engine.permissions, *LOCAL_PERMISSIONS)
    return settings.model_copy(update={"engine": settings.engine.model_copy(update={"permissions": granted})})
