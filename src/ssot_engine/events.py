"""Events: the frozen facts of a run, what each kind carries, and the table of what may follow what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec

from ssot_engine.errors import ClosedError

__all__ = [
    "CRITICAL",
    "PAYLOADS",
    "TRANSITIONS",
    "AgentCompleted",
    "AgentFailed",
    "AgentStarted",
    "AgentThinking",
    "CancelReceipt",
    "Custom",
    "Event",
    "EventRefused",
    "MessageDelta",
    "Outcome",
    "Position",
    "RunError",
    "RunResult",
    "RunStatus",
    "RunTable",
    "Speaker",
    "SubagentCompleted",
    "SubagentStarted",
    "ThreadKey",
    "ToolCompleted",
    "ToolExecuting",
    "Usage",
]


class RunStatus(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class ThreadKey(NamedTuple):
    """Whose thread: two users with one thread_id have two threads. The user comes from a verified context."""

    user_id: str
    thread_id: str


class Position(msgspec.Struct, frozen=True, gc=False):
    """A place in a thread: events up to and including `seq` were read. Another `epoch` means another history."""

    epoch: str
    seq: int


class Speaker(msgspec.Struct, frozen=True, gc=False):
    """Who speaks: a run's own agent has span 0, a nested agent a span of its own and its caller's as parent."""

    agent_name: str
    span: int = 0
    parent: int | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """One fact, at one place.

    `seq` counts the thread's events from 1 without holes, `run_seq` those of the run. `span` is 0 for the run's own
    agent; a nested agent has a span of its own and the caller's as `parent`. `timestamp` is in seconds since 1970.
    """

    type: str
    thread_id: str
    run_id: str
    user_id: str
    agent_name: str
    epoch: str
    seq: int
    run_seq: int
    span: int
    parent: int | None
    timestamp: float
    #: The payload as JSON text, encoded when the event was emitted.
    raw: msgspec.Raw = msgspec.field(name="payload")

    @property
    def payload(self) -> dict[str, Any]:
        """What the event carries, decoded afresh at each read; secrets were removed before it was stored."""
        return _decode_object(self.raw)

    @property
    def position(self) -> Position:
        """A reader that has seen this event stands here."""
        return Position(self.epoch, self.seq)

    def __repr__(self) -> str:
        where = f"{self.thread_id}#{self.seq}" + (f" span {self.span}" if self.span else "")
        return f"<{self.type} {where} run {self.run_id} of {self.user_id}: {_shorten(bytes(self.raw).decode())}>"


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def _shorten(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


# ------------------------------------------------------------------ what kinds carry


class Payload(msgspec.Struct, frozen=True):
    """Base of what an event carries; field names are the keys on the wire."""


class AgentStarted(Payload, frozen=True):
    """The first event of a run. `message` is the user's whole text, `context` tells about the engine."""

    message: str
    context: dict[str, Any]
    status: Literal["started"] = "started"


class AgentThinking(Payload, frozen=True):
    """The agent tells what it is doing. `progress_percentage` is 0 to 100."""

    reasoning: str
    step_number: int | None = None
    progress_percentage: float | None = None
    status: Literal["thinking"] = "thinking"


class MessageDelta(Payload, frozen=True):
    """A piece of the answer; the pieces of one span in order are its text."""

    text: str


class ToolExecuting(Payload, frozen=True):
    """A tool call begins. `call_id` is unique in the run; its `tool_completed` has the same."""

    tool_name: str
    call_id: str
    parameters: Any
    message: str
    status: Literal["executing"] = "executing"


class ToolCompleted(Payload, frozen=True):
    """A tool call ended. `status` is completed, failed or cancelled; `execution_time_ms` is milliseconds."""

    tool_name: str
    call_id: str
    result: Any
    execution_time_ms: float
    status: str
    message: str


class SubagentStarted(Payload, frozen=True):
    """A nested agent begins; the event's `span` is the nested agent's, its `parent` the caller's."""

    message: str
    status: Literal["started"] = "started"


class SubagentCompleted(Payload, frozen=True):
    """A nested agent ended. `status` is completed, failed or cancelled."""

    status: str
    result: Any
    execution_time_ms: float
    error: RunError | None = None


class AgentFailed(Payload, frozen=True):
    """Carried by `agent_error`: why the run fails, before its `agent_completed`."""

    error_message: str
    error_context: dict[str, Any]
    message: str
    status: Literal["error"] = "error"


class Custom(Payload, frozen=True):
    """An event of the host's own; `data` is any JSON value."""

    name: str
    data: Any


class Usage(msgspec.Struct, frozen=True):
    """What a run used: tokens as its agents reported them, and calls as they were made."""

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    tool_calls: int = 0
    agent_calls: int = 0


class RunError(msgspec.Struct, frozen=True):
    """Why a run failed: the exception's class name and its text without secrets."""

    type: str
    message: str
    retryable: bool = False


class RunResult(msgspec.Struct, frozen=True):
    """How a run ended. `output` is the agent's `Output` value, else the text it produced, joined."""

    status: RunStatus
    output: Any
    error: RunError | None
    usage: Usage
    run_id: str


class Outcome(StrEnum):
    """What became of a request to cancel."""

    STOPPED = "stopped"
    ALREADY_ENDED = "already_ended"
    UNKNOWN = "unknown"
    STILL_RUNNING = "still_running"


class CancelReceipt(msgspec.Struct, frozen=True):
    """The answer to a cancel. After it nothing of the run acts, except what `may_still_act` names."""

    run_id: str
    outcome: Outcome
    may_still_act: tuple[str, ...] = ()


class AgentCompleted(Payload, frozen=True):
    """The last event of a run, exactly one. `status` is a `RunStatus`; `receipt` is there when it was cancelled."""

    status: RunStatus
    result: Any
    execution_time_ms: float
    message: str
    error: RunError | None = None
    usage: Usage | None = None
    receipt: CancelReceipt | None = None


#: Event type to what it carries.
PAYLOADS: Mapping[str, type[Payload]] = {
    "agent_started": AgentStarted,
    "agent_thinking": AgentThinking,
    "message_delta": MessageDelta,
    "tool_executing": ToolExecuting,
    "tool_completed": ToolCompleted,
    "subagent_started": SubagentStarted,
    "subagent_completed": SubagentCompleted,
    "agent_error": AgentFailed,
    "custom": Custom,
    "agent_completed": AgentCompleted,
}

#: Never dropped, flushed at once, kept with the run's record after the thread's retention.
CRITICAL = frozenset(
    (
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_completed",
        "agent_error",
        "subagent_started",
        "subagent_completed",
    )
)


# --------------------------------------------------------------- what may follow what

_DURING = (
    "agent_thinking", "message_delta", "tool_executing", "tool_completed", "subagent_started", "subagent_completed",
    "agent_error", "custom",
)  # fmt: skip

#: state → event type → next state. What is not in the table is refused.
TRANSITIONS: Mapping[str, Mapping[str, str]] = {
    "new": {"agent_started": "running"},
    "running": {**dict.fromkeys(_DURING, "running"), "agent_completed": "ended"},
    "ended": {},
}


class EventRefused(ClosedError):
    """An event does not fit the state of its run; nothing was stored. `type`, `run_id` and `state` say which."""

    def __init__(self, type: str, run_id: str, state: str, problem: str | None = None) -> None:
        super().__init__(type, run_id, state, problem)
        self.type = type
        self.run_id = run_id
        self.state = state
        self.problem = problem

    def __str__(self) -> str:
        allowed = ", ".join(TRANSITIONS[self.state]) or "nothing"
        why = self.problem or f"the run is {self.state}, which allows {allowed}"
        return f"{self.type} of run {self.run_id!r} is refused: {why}"


class RunTable:
    """Where one run stands: its state, the tool calls and the nested agents that are open.

    A pure value machine: it stores and sends nothing.
    """

    __slots__ = ("open_calls", "open_spans", "run_id", "state")

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.state = "new"
        #: Call id to the tool's name and who called; span to the nested agent. In the order they were opened.
        self.open_calls: dict[str, tuple[str, Speaker]] = {}
        self.open_spans: dict[int, Speaker] = {}

    def step(self, type: str) -> None:
        """Move to the next state.

        Raises:
            EventRefused: the table has no such step.
        """
        try:
            self.state = TRANSITIONS[self.state][type]
        except KeyError:
            raise EventRefused(type, self.run_id, self.state) from None

    def open_call(self, call_id: str, tool_name: str, speaker: Speaker) -> None:
        """A tool call begins, with the step `tool_executing`."""
        if call_id in self.open_calls:
            raise EventRefused("tool_executing", self.run_id, self.state, f"call {call_id!r} is open already")
        self.open_calls[call_id] = (tool_name, speaker)

    def close_call(self, call_id: str) -> tuple[str, Speaker]:
        """A tool call ended, with the step `tool_completed`; its tool's name and who called."""
        if call_id not in self.open_calls:
            raise EventRefused("tool_completed", self.run_id, self.state, f"call {call_id!r} is not open")
        return self.open_calls.pop(call_id)

    def open_span(self, speaker: Speaker) -> None:
        """A nested agent begins, with the step `subagent_started`."""
        if speaker.span in self.open_spans:
            raise EventRefused("subagent_started", self.run_id, self.state, f"span {speaker.span} is open already")
        self.open_spans[speaker.span] = speaker

    def close_span(self, span: int) -> Speaker:
        """A nested agent ended, with the step `subagent_completed`; who it was."""
        if span not in self.open_spans:
            raise EventRefused("subagent_completed", self.run_id, self.state, f"span {span} is not open")
        return self.open_spans.pop(span)
