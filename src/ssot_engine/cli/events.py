"""`ssot-engine events`: the events of a thread, from a log that another process may be writing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from rich.text import Text

from ssot_engine.cli.show import event_line, notes, output, printable, say
from ssot_engine.errors import ConfigError, NotFound
from ssot_engine.eventlog.base import Reset
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.events import Event, Position, ThreadKey
from ssot_engine.settings import Settings

_NAMED_THREADS = 5


class NoEvents(NotFound):
    """The user has no events in a thread; another user's thread looks the same. `known` are newer threads of theirs."""

    def __init__(self, key: ThreadKey, url: str, known: tuple[str, ...]) -> None:
        super().__init__(key, url, known)
        self.key = key
        self.url = url
        self.known = known

    def __str__(self) -> str:
        known = f"their newest threads: {', '.join(self.known)}" if self.known else "they have none there"
        return (
            f"no events of user {self.key.user_id!r} in thread {self.key.thread_id!r} of {self.url}; {known}. "
            "Pass --user or --events-url for others"
        )


def print_events(
    settings: Settings,
    user_id: str,
    thread_id: str,
    *,
    after: int | None,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print a thread's events; `follow` waits for more until Ctrl-C.

    Raises:
        ConfigError: the event log is none that another process can read.
        NoEvents: there are none, and none are waited for.
    """
    log = _readable(settings.events.url)
    key = ThreadKey(user_id, thread_id)
    with suppress(KeyboardInterrupt):
        asyncio.run(_print(log, key, after, limit, follow, as_json))


def _readable(url: str) -> SqliteEventLog:
    if not url.startswith("sqlite:"):
        raise ConfigError(
            f"events.url {url!r} cannot be read from another process; pass --events-url sqlite:///path of the log"
        )
    return SqliteEventLog.from_url(url, read_only=True)


async def _print(
    log: SqliteEventLog, key: ThreadKey, after: int | None, limit: int | None, follow: bool, as_json: bool
) -> None:
    await log.open()
    try:
        start = None if after is None else Position(log.head(key).epoch, after)
        if not follow and log.head(key).seq == 0:
            raise NoEvents(key, log.url, await _threads(log, key.user_id))
        printer = JsonLines() if as_json else Lines()
        left = limit
        async for item in log.follow(key, start, live=follow):
            printer.show(item)
            if left is not None and isinstance(item, Event):
                left -= 1
                if left == 0:
                    break
    finally:
        await log.aclose()


async def _threads(log: SqliteEventLog, user_id: str) -> tuple[str, ...]:
    records = await log.runs(user_id=user_id)
    return tuple(dict.fromkeys(record.key.thread_id for record in records))[:_NAMED_THREADS]


class Lines:
    """Events for people, one per line."""

    def __init__(self) -> None:
        self._console = output()
        self._began: float | None = None

    def show(self, item: Event | Reset) -> None:
        """One more event, or where some are gone."""
        if isinstance(item, Reset):
            say(notes(), Text(_told(item), style="yellow"))
            for event in item.snapshot:
                self.show(event)
            return
        if self._began is None:
            self._began = item.timestamp
        say(self._console, Text.assemble((f"{item.seq:>5} ", "dim"), event_line(item, self._began)))


class JsonLines:
    """Events for programs: one JSON object per line, and `{"reset": …}` where some are gone."""

    def show(self, item: Event | Reset) -> None:
        """One more event, or where some are gone."""
        told = {"reset": item} if isinstance(item, Reset) else item
        print(msgspec.json.encode(told).decode(), flush=True)


def _told(reset: Reset) -> str:
    return printable(
        f"reset ({reset.reason}): what is kept of the events up to seq {reset.position.seq}, then all that follow"
    )
