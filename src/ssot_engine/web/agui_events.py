"""The projection of one run's events onto AG-UI 1.0: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    ReasoningEndEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedSuccessOutcome,
    RunStartedEvent,
    SubagentErrorEvent,
    SubagentFinishedEvent,
    SubagentStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    TokenUsage,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)

from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, RunStatus

#: The version of AG-UI that is spoken.
PROTOCOL_VERSION = "1.0"

Project = Callable[["RunProjection", Event, dict[str, Any]], Iterator[BaseEvent]]


class RunProjection:
    """What an AG-UI client is told of one run: RUN_STARTED first, everything balanced, one terminal event last.

    Messages, tool calls and nested agents have ids that no other run of the thread uses. What AG-UI has no field for is
    in each event's `metadata`. Once the terminal event was given, nothing follows.
    """

    def __init__(self, thread_id: str, run_id: str) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._is_started = False
        self._is_over = False
        #: How far the run was told; after a reset the events still kept may have been told already.
        self._run_seq = 0
        #: Span to the id of its text message that is open, and span to the id of its nested agent that is.
        self._texts: dict[int, str] = {}
        self._agents: dict[int, str] = {}
        #: Whether the text of the run's own agent was told, and told whole.
        self._has_text = False
        self._is_torn = False

    def event(self, event: Event) -> list[BaseEvent]:
        """One event of the run."""
        if self._is_over or event.run_seq <= self._run_seq:
            return []
        self._run_seq = event.run_seq
        told = [*self._start(), *self._project(event)]
        return [_stamped(one, event) for one in told]

    def reset(self, reset: Reset) -> list[BaseEvent]:
        """Events are gone: what is still kept of them, after a CUSTOM event `reset` that says so."""
        if self._is_over:
            return []
        self._is_torn = True
        position = reset.position
        gone = {"reason": reset.reason, "epoch": position.epoch, "seq": position.seq}
        told = [*self._start(), *self._end_texts(), CustomEvent(name="reset", value=gone)]
        for event in reset.snapshot:
            told += self.event(event)
        return told

    def broken_off(self, code: str, message: str) -> list[BaseEvent]:
        """The stream ends before the run does, or without its last event being known."""
        if self._is_over:
            return []
        self._is_over = True
        return [*self._start(), *self._end_all(), RunErrorEvent(message=message, code=code)]

    # ------------------------------------------------------------------------ what is open

    def _start(self) -> Iterator[BaseEvent]:
        """RUN_STARTED, whatever the first event is."""
        if not self._is_started:
            self._is_started = True
            yield RunStartedEvent(thread_id=self._thread_id, run_id=self._run_id, protocol_version=PROTOCOL_VERSION)

    def _project(self, event: Event) -> Iterator[BaseEvent]:
        if event.type in _PARTS_TEXT:
            yield from self._end_text(event.span)
        # A type that is younger than this table is told as it is.
        yield from _PROJECTIONS.get(event.type, RunProjection._other)(self, event, event.payload)

    def _id(self, name: str) -> str:
        return f"{self._run_id}:{name}"

    def _by(self, event: Event) -> str | None:
        """The nested agent that an event comes from; None for the run's own."""
        return self._agents.get(event.span)

    def _end_text(self, span: int) -> Iterator[BaseEvent]:
        if (message_id := self._texts.pop(span, None)) is not None:
            yield TextMessageEndEvent(message_id=message_id, subagent_run_id=self._agents.get(span))

    def _end_texts(self) -> Iterator[BaseEvent]:
        for span in tuple(self._texts):
            yield from self._end_text(span)

    def _end_all(self) -> Iterator[BaseEvent]:
        yield from self._end_texts()
        for agent_id in reversed(self._agents.values()):
            yield SubagentErrorEvent(subagent_run_id=agent_id, message="the run ended before it", code="run_ended")
        self._agents.clear()

    # ----------------------------------------------------------------------- kinds of events

    def _started(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        return iter(())

    def _thinking(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        thought, by = self._id(f"thought-{event.run_seq}"), self._by(event)
        yield ReasoningStartEvent(message_id=thought, subagent_run_id=by)
        yield ReasoningMessageStartEvent(message_id=thought, role="reasoning", subagent_run_id=by)
        yield ReasoningMessageContentEvent(message_id=thought, delta=payload["reasoning"], subagent_run_id=by)
        yield ReasoningMessageEndEvent(message_id=thought, subagent_run_id=by)
        yield ReasoningEndEvent(message_id=thought, subagent_run_id=by)

    def _delta(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        by = self._by(event)
        self._has_text |= event.span == 0
        message_id = self._texts.get(event.span)
        if message_id is None:
            message_id = self._texts[event.span] = self._id(f"text-{event.run_seq}")
            yield TextMessageStartEvent(
                message_id=message_id, role="assistant", name=event.agent_name, subagent_run_id=by
            )
        yield TextMessageContentEvent(message_id=message_id, delta=payload["text"], subagent_run_id=by)

    def _tool_executing(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        call, by = self._id(payload["call_id"]), self._by(event)
        yield ToolCallStartEvent(tool_call_id=call, tool_call_name=payload["tool_name"], subagent_run_id=by)
        yield ToolCallArgsEvent(tool_call_id=call, delta=_json(payload["parameters"]), subagent_run_id=by)
        yield ToolCallEndEvent(tool_call_id=call, subagent_run_id=by)

    def _tool_completed(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        yield ToolCallResultEvent(
            message_id=self._id(f"result-{event.run_seq}"),
            tool_call_id=self._id(payload["call_id"]),
            content=_text(payload["result"]),
            role="tool",
            subagent_run_id=self._by(event),
        )

    def _subagent_started(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        caller = None if event.parent is None else self._agents.get(event.parent)
        agent_id = self._agents[event.span] = self._id(f"agent-{event.span}")
        yield SubagentStartedEvent(subagent_run_id=agent_id, name=event.agent_name, parent_subagent_run_id=caller)

    def _subagent_completed(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        agent_id = self._agents.pop(event.span, None)
        if agent_id is None:
            return
        if payload["status"] == RunStatus.COMPLETED:
            yield SubagentFinishedEvent(subagent_run_id=agent_id, result=payload["result"])
        else:
            yield SubagentErrorEvent(subagent_run_id=agent_id, message=_reason(payload), code=payload["status"])

    def _other(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        yield CustomEvent(name=event.type, value=payload, subagent_run_id=self._by(event))

    def _custom(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        yield CustomEvent(name=payload["name"], value=payload["data"], subagent_run_id=self._by(event))

    def _completed(self, event: Event, payload: dict[str, Any]) -> Iterator[BaseEvent]:
        self._is_over = True
        yield from self._end_all()
        status, usage = payload["status"], _usage(payload.get("usage"))
        if status == RunStatus.COMPLETED:
            yield from self._whole_text(event, payload["result"])
            yield self._finished(RunFinishedSuccessOutcome(), usage, payload["result"])
        elif status == RunStatus.CANCELLED:
            yield self._finished(RunFinishedCancelledOutcome(), usage)
        else:
            yield RunErrorEvent(message=_reason(payload), code=status, usage=usage)

    def _finished(
        self,
        outcome: RunFinishedSuccessOutcome | RunFinishedCancelledOutcome,
        usage: list[TokenUsage] | None,
        result: Any = None,
    ) -> BaseEvent:
        return RunFinishedEvent(
            thread_id=self._thread_id, run_id=self._run_id, outcome=outcome, usage=usage, result=result
        )

    def _whole_text(self, event: Event, result: Any) -> Iterator[BaseEvent]:
        """The answer as a message of its own, if its pieces were not told, or not all."""
        if isinstance(result, str) and result and (self._is_torn or not self._has_text):
            message_id = self._id(f"text-{event.run_seq}")
            yield TextMessageStartEvent(message_id=message_id, role="assistant", name=event.agent_name)
            yield TextMessageContentEvent(message_id=message_id, delta=result)
            yield TextMessageEndEvent(message_id=message_id)


#: Event type to how it is told.
_PROJECTIONS: Mapping[str, Project] = {
    "agent_started": RunProjection._started,
    "agent_thinking": RunProjection._thinking,
    "message_delta": RunProjection._delta,
    "tool_executing": RunProjection._tool_executing,
    "tool_completed": RunProjection._tool_completed,
    "subagent_started": RunProjection._subagent_started,
    "subagent_completed": RunProjection._subagent_completed,
    "custom": RunProjection._custom,
    "agent_completed": RunProjection._completed,
}

#: After these the text of the same agent goes on in a new message, so that messages stand in the order of events.
_PARTS_TEXT = frozenset(("agent_thinking", "tool_executing", "subagent_completed", "agent_error"))

#: The fields of payloads for which AG-UI has none; they are told in `metadata`, where events have them.
_KEPT = ("context", "step_number", "progress_percentage", "status", "execution_time_ms", "error", "receipt", "message")


def _stamped(told: BaseEvent, event: Event) -> BaseEvent:
    """The same with the log's facts, which AG-UI keeps and passes on."""
    told.timestamp = int(event.timestamp * 1000)
    told.metadata = {
        "type": event.type,
        "epoch": event.epoch,
        "seq": event.seq,
        "run_seq": event.run_seq,
        "agent_name": event.agent_name,
        "span": event.span,
        "parent": event.parent,
    }
    if event.type not in ("message_delta", "custom"):
        payload = event.payload
        told.metadata |= {key: payload[key] for key in _KEPT if payload.get(key) is not None}
    return told


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _reason(payload: Mapping[str, Any]) -> str:
    """Why a run or a nested agent did not complete."""
    error = payload.get("error")
    if error is not None:
        return f"{error['type']}: {error['message']}"
    return str(payload.get("message") or payload["status"])


def _usage(usage: Mapping[str, Any] | None) -> list[TokenUsage] | None:
    """Tokens, if any were reported."""
    if usage is None or not (usage["input_tokens"] or usage["output_tokens"]):
        return None
    given, made = usage["input_tokens"], usage["output_tokens"]
    return [TokenUsage(input_tokens=given, output_tokens=made, total_tokens=given + made)]


def encode(events: Sequence[BaseEvent]) -> list[str]:
    """Each event as one line of JSON, keys in camelCase."""
    return [event.model_dump_json(by_alias=True) for event in events]
