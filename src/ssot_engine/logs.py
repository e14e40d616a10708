"""How the process's own log is written: structlog, set up by `configure_logging` and by nothing else.

A host that has configured structlog itself keeps its set-up. Where nobody has, entries below `warning` are dropped and
the rest goes to standard error, as the standard library's logging does.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from ssot_engine.redaction import redact, redact_text

__all__ = ["bind_run", "configure_logging", "get_logger", "tell"]


class _Sink(structlog.WriteLogger):
    """Writes one line per entry. What cannot be written is dropped: no run fails because its log's reader went away."""

    def msg(self, message: str) -> None:
        try:
            self._write(message + "\n")
            self._flush()
        except UnicodeEncodeError:
            super().msg(message.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    log = debug = info = warn = warning = err = error = critical = exception = fatal = failure = msg


_with_stack = structlog.processors.StackInfoRenderer()


def _complete(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
    """What every entry has: what is bound to the task, level, time, the exception as text; and no secrets."""
    # An entry that names its run says all that is bound where it runs.
    if "run_id" not in entry:
        entry = structlog.contextvars.merge_contextvars(logger, method, entry)
    if "exc_info" in entry or "stack_info" in entry:
        entry = structlog.processors.format_exc_info(logger, method, _with_stack(logger, method, entry))
    if "exception" in entry:
        entry["exception"] = redact_text(entry["exception"])
    # Before the time is added: `redact` answers at once where all values are plain.
    entry = cast("EventDict", redact(entry))
    entry["level"] = method
    entry["timestamp"] = datetime.now(UTC)
    return entry


def _timed(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """The time as text, for renderers that do not know datetimes."""
    return {**entry, "timestamp": entry["timestamp"].isoformat().replace("+00:00", "Z")}


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _as_json(_logger: WrappedLogger, _method: str, entry: EventDict) -> str:
    try:
        return _encode(entry).decode()
    except (TypeError, ValueError, OverflowError):
        # A lone surrogate or an integer above 64 bits: readable beats lost.
        return json.dumps(
            {str(key): value if isinstance(value, str | int) else repr(value) for key, value in entry.items()}
        )


def _processors(style: Literal["console", "json"], *, colors: bool) -> list[Processor]:
    # The traceback comes as redacted text; older structlog warns about that unless its formatter is the plain one.
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [_complete, _timed, console] if style == "console" else [_complete, _as_json]


def configure_logging(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["auto", "console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Sets structlog up for this process: entries from `level` on, one per line, to `stream` (standard error).

    `format` "auto" is coloured text on a terminal and JSON elsewhere. Call it once, before the first entry: a logger
    that has written keeps the set-up it wrote with.
    """
    global _direct
    stream = stream or sys.stderr
    terminal = stream.isatty()
    style: Literal["console", "json"] = ("console" if terminal else "json") if format == "auto" else format
    sink = _Sink(stream)
    structlog.configure(
        processors=_processors(style, colors=terminal and not os.environ.get("NO_COLOR")),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        logger_factory=lambda *_name: sink,
        cache_logger_on_first_use=True,
    )
    _direct = _Direct(_set_up(), sink) if style == "json" and level in ("debug", "info") else None


class _Direct(NamedTuple):
    """Where entries may go without structlog's own steps, as long as it is still set up like this."""

    set_up: dict[str, Any]
    sink: _Sink


_direct: _Direct | None = None


def _set_up() -> dict[str, Any]:
    """How structlog is set up now. Who captures entries changes its list of processors in place, hence the copy."""
    config = structlog.get_config()
    return {**config, "processors": list(config["processors"])}


def tell(logger: FilteringBoundLogger, event: str, entry: EventDict) -> None:
    """`logger.info(event, **entry)` for an entry that names its run; several times as fast in our own JSON set-up."""
    if _direct is not None and structlog.get_config() == _direct.set_up:
        entry["event"] = event
        _direct.sink.msg(_as_json(logger, "info", _complete(logger, "info", entry)))
    else:
        logger.info(event, **entry)


def _variables(*keys: str) -> list[ContextVar[str]]:
    """structlog's own context variables of these keys."""
    tokens = copy_context().run(structlog.contextvars.bind_contextvars, **dict.fromkeys(keys, ""))
    return [tokens[key].var for key in keys]


_user_id, _thread_id, _run_id, _request_id = _variables("user_id", "thread_id", "run_id", "request_id")


def bind_run(user_id: str, thread_id: str, run_id: str, request_id: str) -> None:
    """`structlog.contextvars.bind_contextvars` for the four ids of a run; its variables are looked up only once."""
    _user_id.set(user_id)
    _thread_id.set(thread_id)
    _run_id.set(run_id)
    _request_id.set(request_id)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger that looks for its set-up when it is first used, so a module may make one at import.

    `name` reaches the logger factory of a host that configured structlog on top of the standard library.
    """
    # structlog asks for a class and calls it with three arguments; a function that chooses the class serves as well.
    chosen = cast("type[Any]", _choose)
    return cast("FilteringBoundLogger", structlog.wrap_logger(None, wrapper_class=chosen, logger_factory_args=(name,)))


def _choose(logger: WrappedLogger, *, processors: Iterable[Processor], context: MutableMapping[str, Any]) -> Any:
    """The bound logger of whoever configured structlog, or else one that speaks only of trouble."""
    if structlog.is_configured():
        return structlog.get_config()["wrapper_class"](logger, processors=processors, context=context)
    return _unconfigured()(_Sink(sys.stderr), processors=_quiet_processors(), context=context)


@functools.cache
def _unconfigured() -> Any:
    return structlog.make_filtering_bound_logger("warning")


@functools.cache
def _quiet_processors() -> list[Processor]:
    return _processors("console", colors=False)
