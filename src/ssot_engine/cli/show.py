"""How events, texts and tables look on a terminal, and as plain lines where there is none."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from ssot_engine.events import Event

#: The events every run tells, by the names they have on every wire.
FIVE_EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")

#: What a table or line may take where no terminal sets a width.
_PLAIN_WIDTH = 160
_NAME_WIDTH = len("subagent_completed")
_AGENT_WIDTH = 10

# What would move the cursor, change the terminal's state or reverse the text; half surrogates cannot be written at all.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_HALF_SURROGATE = re.compile(r"[\ud800-\udfff]")

_STYLES = {
    "agent_started": "bold",
    "agent_thinking": "dim",
    "tool_executing": "cyan",
    "tool_completed": "cyan",
    "agent_error": "red",
    "agent_completed": "bold",
}


def output() -> Console:
    """Standard output."""
    return _console(stderr=False)


def notes() -> Console:
    """Standard error: whatever is not the result that was asked for."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr, highlight=False, markup=False, emoji=False, width=None if is_terminal else _PLAIN_WIDTH
    )


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(as_json(value))


def as_json(value: Any) -> str:
    """A value as JSON that people can read; bytes of a path that are no text are told as `printable` does."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        encoded = _HALF_SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):x}", text).encode()
    return msgspec.json.format(encoded, indent=2).decode()


def printable(text: str) -> str:
    """The text without characters that would act on a terminal: they are written as escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)


def say(console: Console, text: Text) -> None:
    """One line: cut to the terminal's width, whole where there is none."""
    if console.is_terminal:
        console.print(text, no_wrap=True, overflow="ellipsis")
    else:
        console.print(text, soft_wrap=True)


def paragraph(console: Console, text: str, style: str = "") -> None:
    """A text of any length: broken between words on a terminal, as it is where there is none."""
    console.print(Text(printable(text), style=style), soft_wrap=not console.is_terminal)


def event_line(event: Event, began: float) -> Text:
    """An event as one line: seconds since `began`, its name, who speaks, and the gist."""
    return Text.assemble(
        (f"{event.timestamp - began:7.3f}  ", "dim"),
        (f"{event.type:<{_NAME_WIDTH}}  ", style_of(event)),
        f"{one_line(event.agent_name):<{_AGENT_WIDTH}}  ",
        one_line(gist(event)),
    )


def style_of(event: Event) -> str:
    """How the name of an event is written: what went wrong is red."""
    failed = event.type.endswith("_completed") and event.payload["status"] != "completed"
    return "red" if failed else _STYLES.get(event.type, "")


def one_line(text: str) -> str:
    """The text in one line, safe to print."""
    return printable(" ".join(text.split()))


def gist(event: Event) -> str:
    """What an event says, in some words."""
    payload = event.payload
    match event.type:
        case "agent_started" | "subagent_started":
            return f'"{payload["message"]}"'
        case "agent_thinking":
            return str(payload["reasoning"])
        case "message_delta":
            return str(payload["text"])
        case "tool_executing":
            return f"{payload['tool_name']}({_arguments(payload['parameters'])})"
        case "tool_completed":
            ended = "" if payload["status"] == "completed" else f"{payload['status']} "
            return f"{payload['tool_name']} {ended}{_took(payload, payload['result'])}"
        case "agent_error":
            return str(payload["error_message"])
        case "agent_completed" | "subagent_completed":
            return f"{payload['status']} {_took(payload, payload['error'])}"
        case _:
            return str(payload.get("name", ""))


def _took(payload: dict[str, Any], error: Any) -> str:
    """How long it took; of what failed, why."""
    is_told = payload["status"] == "failed" and isinstance(error, dict)
    why = f": {error.get('message', '')}" if is_told else ""
    return f"{payload['execution_time_ms']:,.1f} ms{why}"


def _arguments(given: Any) -> str:
    if not isinstance(given, dict):
        return str(given)
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())
