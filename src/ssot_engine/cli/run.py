"""`ssot-engine run`: one question to one agent, its answer as it comes."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ssot_engine.cli.local import Caller, login_name
from ssot_engine.cli.show import FIVE_EVENTS, as_json, event_line, notes, output, paragraph, printable, say
from ssot_engine.cli.wrapping import Wrapper
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import CancelReceipt, Event, Outcome, RunResult, RunStatus
from ssot_engine.ids import new_id
from ssot_engine.settings import Settings

#: What the timeline shows; the rest is in the event log.
_TOLD = frozenset((*FIVE_EVENTS, "agent_error", "custom"))


class Answer:
    """Writes an answer to standard output while it comes, and what happens meanwhile to standard error."""

    def __init__(self, *, timeline: bool) -> None:
        self._timeline = timeline
        self._notes = notes()
        console = output()
        #: None where no terminal reads: programs get the text as it is.
        self._wrapper = Wrapper(console.width) if console.is_terminal else None
        self._began: float | None = None
        self._is_in_line = False
        self._is_said = False

    def show(self, event: Event) -> None:
        """One more event of the run."""
        if self._began is None:
            self._began = event.timestamp
        if event.type == "message_delta" and event.span == 0:
            self._write(event.payload["text"])
        elif self._timeline and event.type in _TOLD:
            self.end_line()
            say(self._notes, event_line(event, self._began))

    def _write(self, text: str) -> None:
        self._is_said = True
        self._put(text if self._wrapper is None else self._wrapper.feed(printable(text)))

    def _put(self, text: str) -> None:
        if text:
            print(text, end="", flush=True)
            self._is_in_line = not text.endswith("\n")

    def end_line(self) -> None:
        """What comes next starts on a line of its own."""
        if self._wrapper is not None:
            self._put(self._wrapper.flush())
        if self._is_in_line:
            self._put("\n")

    def conclude(self, result: RunResult) -> None:
        """Write what was not streamed: a value, or why there is no answer."""
        if result.output is not None and not self._is_said:
            self._write(result.output if isinstance(result.output, str) else as_json(result.output))
        if result.error is not None:
            self.note(f"{result.status}: {result.error.message}", "red")
        elif result.status is RunStatus.TIMED_OUT:
            self.note("timed_out: it took longer than it may; see --timeout and engine.run_timeout_s", "red")
        self.end_line()

    def note(self, text: str, style: str = "dim") -> None:
        """A line beside the answer."""
        self.end_line()
        paragraph(self._notes, text, style)


class EventLines:
    """Writes the events of a run to standard output, one JSON object per line."""

    def show(self, event: Event) -> None:
        """One more event of the run."""
        print(msgspec.json.encode(event).decode(), flush=True)

    def conclude(self, result: RunResult) -> None:
        """The last event said it all."""

    def note(self, text: str, style: str = "dim") -> None:
        """A line for the person, who does not read standard output."""
        print(text, file=sys.stderr)


def ask_once(
    settings: Settings, caller: Caller, agent: str, message: str, timeout_s: float | None, wants_json: bool
) -> int:
    """Ask an agent; the exit status.

    Raises:
        ConfigError: a setting is wrong, or the event log cannot be opened.
        RequestError: the run was refused.
    """
    view = EventLines() if wants_json else Answer(timeline=True)
    container = ExecutionContainer.from_settings(settings)
    result = asyncio.run(_ask_once(container, caller, agent, message, timeout_s, view))
    if not wants_json and not settings.events.url.startswith("memory:"):
        view.note(f"its events:  {events_command(caller)}")
    return 0 if result.status is RunStatus.COMPLETED else 1


def events_command(caller: Caller) -> str:
    """The command that prints the events of the caller's thread."""
    user = [] if caller.user_id == login_name() else ["--user", caller.user_id]
    return shlex.join(["ssot-engine", "events", caller.thread_id, *user])


async def _ask_once(
    container: ExecutionContainer,
    caller: Caller,
    agent: str,
    message: str,
    timeout_s: float | None,
    view: Answer | EventLines,
) -> RunResult:
    async with container.running():
        return await ask(container, caller, agent, message, view, timeout_s)


async def ask(
    container: ExecutionContainer,
    caller: Caller,
    agent: str,
    message: str,
    view: Answer | EventLines,
    timeout_s: float | None = None,
) -> RunResult:
    """One run in an engine of its own. Ctrl-C cancels it, and the receipt is shown.

    Raises:
        RequestError: the run was refused.
    """
    context = UserExecutionContext.from_request(caller.user_id, caller.thread_id, new_id("run"))
    inputs: Mapping[str, Any] = caller.inputs
    async with container.engine_factory().engine_for(context) as engine:
        stream = engine.stream(agent, message, inputs=inputs, timeout_s=timeout_s)
        cancels: list[asyncio.Task[CancelReceipt]] = []

        def cancel() -> None:
            view.note("cancelling")
            cancels.append(asyncio.create_task(engine.cancel(stream.run_id)))

        with on_interrupt(cancel):
            async for event in stream:
                if not isinstance(event, Reset):
                    view.show(event)
            result = await stream.result()
            view.conclude(result)
            if cancels:
                view.note(told(await cancels[0]))
        return result


def told(receipt: CancelReceipt) -> str:
    """A cancel receipt in words."""
    match receipt.outcome:
        case Outcome.STOPPED:
            return f"cancelled {receipt.run_id}: nothing of it acts any more"
        case Outcome.STILL_RUNNING:
            return f"cancelled {receipt.run_id}: may still act: {', '.join(receipt.may_still_act)}"
        case _:
            return f"{receipt.run_id} had ended before it could be cancelled"


@contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `action` on the event loop instead of ending the program."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, action)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
