"""The process's own log: its two formats, what it hides, and whose set-up it respects."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from ssot_engine.logs import bind_run, configure_logging, get_logger, tell


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    """Each test starts with an unconfigured structlog and leaves one."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    """A stream whose reader went away."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    """What a JSON log holds."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_entry_is_one_line_with_time_level_and_keys() -> None:
    """Event, level, ISO time in UTC, given keys and bound context stand in one object on one line."""
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    structlog.contextvars.bind_contextvars(run_id="r-1")
    get_logger("x").info("run_finished", status="completed", text="two\nlines")
    (entry,) = entries(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(entry.pop("timestamp")))
    assert entry == {
        "event": "run_finished",
        "level": "info",
        "run_id": "r-1",
        "status": "completed",
        "text": "two\nlines",
    }


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_entries_below_the_level_are_not_written(level: str, written: list[str]) -> None:
    """The level is the least severe entry that is written."""
    stream = io.StringIO()
    configure_logging(level, "json", stream)  # type: ignore[arg-type]
    logger = get_logger("x")
    for severity in ("debug", "info", "warning", "error"):
        getattr(logger, severity)("happened")
    assert [entry["level"] for entry in entries(stream)] == written


def test_auto_is_colour_on_a_terminal_and_json_elsewhere() -> None:
    """`auto` looks at the stream; `console` on a plain stream has no colour codes."""
    texts = []
    for format_, stream in (("auto", Terminal()), ("auto", io.StringIO()), ("console", io.StringIO())):
        configure_logging("info", format_, stream)  # type: ignore[arg-type]
        get_logger("x").info("engine_created", user_id="u-1")
        texts.append(stream.getvalue())
    colour, machine, plain = texts
    assert "\x1b[" in colour
    assert json.loads(machine)["event"] == "engine_created"
    assert "\x1b[" not in plain
    assert "user_id=u-1" in plain


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secrets_are_hidden_in_keys_and_in_tracebacks(format_: str) -> None:
    """A secret key's value and a secret in an exception's text do not reach the log, nor do local variables."""
    stream = io.StringIO()
    configure_logging("info", format_, stream)  # type: ignore[arg-type]
    password = "hunter" + "2"
    try:
        raise ValueError(f"cannot connect to redis://u:{password}@h")
    except ValueError:
        get_logger("x").exception("log_failed", settings={"api_key": password}, user="ada")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "ValueError: cannot connect to redis://u:[redacted]@h" in text
    assert "ada" in text


def test_what_json_cannot_hold_is_still_written() -> None:
    """Any object, a lone surrogate, a huge integer and odd keys give a readable line, not an error."""
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logger = get_logger("x")
    logger.info("odd", value=range(3))
    logger.info("odd", value="\ud800")
    logger.info("odd", value=2**70)
    logger.info("odd", value={(1, 2): 3})
    assert [entry["value"] for entry in entries(stream)] == ["range(0, 3)", "\ud800", 2**70, {"(1, 2)": 3}]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_stream_that_cannot_be_written_loses_the_entry_only(format_: str) -> None:
    """A run must not fail because the reader of its log went away, or closed the stream."""
    closed = io.StringIO()
    configure_logging("info", format_, closed)  # type: ignore[arg-type]
    closed.close()
    get_logger("x").error("happened")
    configure_logging("info", format_, Gone())  # type: ignore[arg-type]
    get_logger("y").error("happened")


def test_text_the_stream_cannot_encode_is_escaped() -> None:
    """An ASCII-only stream gets escapes instead of nothing."""
    raw = io.BytesIO()
    configure_logging("info", "console", io.TextIOWrapper(raw, encoding="ascii"))
    get_logger("x").info("happened", name="Ада")
    assert rb"\u0410\u0434\u0430" in raw.getvalue()


def test_the_logger_is_assembled_once() -> None:
    """After the set-up a logger is bound at its first entry and kept, which makes later entries cheap."""
    configure_logging("info", "json", io.StringIO())
    logger = get_logger("x")
    assert logger.bind() is logger.bind()


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_told_entry_is_the_one_the_logger_writes(format_: str, level: str) -> None:
    """`tell` writes, filters and redacts as `info` does, in each format."""
    lines = []
    for way in (
        lambda log, entry: log.info("run_finished", **entry),
        lambda log, entry: tell(log, "run_finished", entry),
    ):
        stream = io.StringIO()
        configure_logging(level, format_, stream)  # type: ignore[arg-type]
        way(get_logger("x"), {"run_id": "r-1", "api_key": "hunter2", "error": "two\nlines"})
        lines.append(re.sub(r"\d{4}-\d\d-\d\dT\S+?Z", "<time>", stream.getvalue()))
    logged, told = lines
    assert logged == told
    assert ("run_finished" in told) is (level != "warning")


def test_a_told_entry_goes_where_structlog_was_told_last() -> None:
    """Who captures entries, or configures structlog after us, gets what is told; then it is written as before."""
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logger = get_logger("x")
    with structlog.testing.capture_logs() as captured:
        tell(logger, "run_finished", {"run_id": "r-1"})
    tell(logger, "run_finished", {"run_id": "r-2"})
    seen: list[dict[str, object]] = []

    def take(_logger: object, _method: str, entry: dict[str, object]) -> dict[str, object]:
        seen.append(dict(entry))
        raise structlog.DropEvent

    structlog.configure(processors=[take])
    tell(get_logger("y"), "run_finished", {"run_id": "r-3"})
    assert captured == [{"event": "run_finished", "log_level": "info", "run_id": "r-1"}]
    assert [entry["run_id"] for entry in entries(stream)] == ["r-2"]
    assert seen == [{"event": "run_finished", "run_id": "r-3"}]


def test_a_runs_ids_are_structlogs_own_context_variables() -> None:
    """Who binds or unbinds one of them through structlog changes what `bind_run` bound."""
    bind_run("u-1", "t-1", "r-1", "q-1")
    structlog.contextvars.unbind_contextvars("request_id")
    structlog.contextvars.bind_contextvars(thread_id="t-2")
    assert structlog.contextvars.get_contextvars() == {"user_id": "u-1", "thread_id": "t-2", "run_id": "r-1"}


# ------------------------------------------------------------- somebody else's


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, because structlog's configuration belongs to a process."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=True
    )


def test_nobody_configured_structlog_only_trouble_is_told_on_stderr() -> None:
    """As a guest in an unconfigured process we write nothing to stdout, and only warnings and errors to stderr."""
    done = run(
        "from ssot_engine.logs import get_logger\n"
        "log = get_logger('x')\n"
        "log.debug('quiet_one'); log.info('quiet_two')\n"
        "log.warning('loud_one', token='hunter2'); log.error('loud_two')\n"
    )
    assert done.stdout == ""
    assert re.findall(r"quiet_\w+|loud_\w+|hunter2", done.stderr) == ["loud_one", "loud_two"]


def test_importing_configures_nothing() -> None:
    """Making loggers at import and using them leaves the process's structlog unconfigured."""
    done = run(
        "import structlog\n"
        "from ssot_engine.logs import get_logger\n"
        "get_logger('x').info('happened')\n"
        "print(structlog.is_configured())\n"
    )
    assert done.stdout.strip() == "False"


def test_a_hosts_configuration_is_respected_even_when_it_comes_later() -> None:
    """A logger made and used before the host configured structlog speaks through the host's set-up afterwards."""
    logger = get_logger("ssot_engine.x")
    logger.info("before")
    seen: list[tuple[object, object]] = []

    def take(host_logger: object, _method: str, entry: dict[str, object]) -> dict[str, object]:
        seen.append((host_logger, dict(entry)))
        raise structlog.DropEvent

    structlog.configure(processors=[take], logger_factory=lambda *names: names)
    logger.info("after", n=1)
    assert seen == [(("ssot_engine.x",), {"event": "after", "n": 1})]


def test_captured_entries_are_complete() -> None:
    """`capture_logs` sees every entry, configured or not, before and after a logger's first use."""
    logger = get_logger("x")
    with structlog.testing.capture_logs() as unconfigured:
        logger.debug("engine_created", n=1)
    configure_logging("debug", "json", io.StringIO())
    logger.info("first")
    with structlog.testing.capture_logs() as configured:
        logger.info("engine_created", n=2)
    assert (unconfigured, configured) == (
        [{"event": "engine_created", "log_level": "debug", "n": 1}],
        [{"event": "engine_created", "log_level": "info", "n": 2}],
    )
