"""The voice of one run: every event of it is stamped, ordered and checked here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from threading import get_ident
from typing import Any, Protocol

import msgspec

from ssot_engine.errors import AgentError, SsotEngineError
from ssot_engine.eventlog.base import Ack, Draft
from ssot_engine.events import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    AgentThinking,
    CancelReceipt,
    Custom,
    EventRefused,
    MessageDelta,
    Payload,
    RunError,
    RunStatus,
    RunTable,
    Speaker,
    SubagentCompleted,
    SubagentStarted,
    ToolCompleted,
    ToolExecuting,
    Usage,
)
from ssot_engine.payloads import cut, encode, presentable, result_value, rounded

#: Deltas closer together than this are joined before they get a place, in seconds.
DELTA_INTERVAL_S = 0.02
#: Unacknowledged bytes of one run above which an agent that yields waits.
SOFT_PENDING_BYTES = 65_536
#: Unacknowledged bytes of one run above which the run fails.
MAX_PENDING_BYTES = 8_388_608
#: Events from other threads that may wait for the loop; more fail the run.
MAX_ON_THE_WAY = 10_000


class Outlet(Protocol):
    """A bridge, as a run's emitter sees it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop its log serves."""

    def begin(self, run_id: str, agent_name: str, message: str, idempotency_key: str | None, takeover: bool) -> int:
        """Register the run; its attempt."""

    def submit(self, drafts: Sequence[Draft], attempt: int) -> Ack:
        """Hand events over, in order."""

    def forget(self, run_id: str) -> None:
        """The run has ended."""


NOBODY = Speaker("")


class RunEmitter:
    """The voice of one run. Emitting never waits; events leave in the order they were emitted.

    On another thread than the run's event loop a call is handed to the loop. What a call was given is encoded before
    it returns, so later changes are never seen. `driven` says that an engine writes the first and the last event.
    """

    __slots__ = (
        "_ack", "_arrival_error", "_bridge", "_delta", "_delta_speaker", "_delta_timer", "_last_delta", "_on_the_way",
        "_pending_bytes", "_thread", "attempt", "driven", "loop", "run_id", "run_seq", "sent_bytes", "speaker", "table",
    )  # fmt: skip

    def __init__(self, bridge: Outlet, run_id: str, *, driven: bool = False) -> None:
        self._bridge = bridge
        self.run_id = run_id
        self.driven = driven
        self.table = RunTable(run_id)
        self.attempt = 0
        #: Ordinal of the newest event, and the payload bytes of all of them.
        self.run_seq = 0
        self.sent_bytes = 0
        self.speaker = NOBODY
        self._delta: list[str] | None = None
        self._delta_speaker = self.speaker
        self._delta_timer: asyncio.TimerHandle | None = None
        self._last_delta = 0.0
        self._ack: Ack = None
        self._pending_bytes = 0
        self._on_the_way = 0
        self._arrival_error: SsotEngineError | None = None
        self.loop = bridge.loop
        self._thread = get_ident()

    # ------------------------------------------------------------------ what a run says

    def started(
        self,
        agent_name: str,
        message: str,
        context: dict[str, Any],
        idempotency_key: str | None = None,
        *,
        takeover: bool = False,
    ) -> None:
        """The run begins: it is registered with the log, and its first event is written.

        Raises:
            RunConflict: the user has a run of this id already.
        """
        if self.table.state != "new":
            raise EventRefused("agent_started", self.run_id, self.table.state)
        self.speaker = Speaker(agent_name)
        self.attempt = self._bridge.begin(self.run_id, agent_name, message, idempotency_key, takeover)
        self._say("agent_started", AgentStarted(cut(message), context), self.speaker)

    def thinking(
        self, text: str, step: int | None = None, progress: float | None = None, speaker: Speaker | None = None
    ) -> None:
        """The agent tells what it is doing."""
        self._say("agent_thinking", AgentThinking(cut(text), step, progress), speaker or self.speaker)

    def custom(self, name: str, data: Any, speaker: Speaker | None = None) -> None:
        """An event of the host's own."""
        self._say("custom", Custom(name, presentable(data)), speaker or self.speaker)

    def delta(self, text: str, speaker: Speaker | None = None) -> None:
        """A piece of the answer. The first goes at once, those that follow closely are joined."""
        if get_ident() != self._thread:
            self._hand_over(self.delta, text, speaker)
            return
        speaker = speaker or self.speaker
        if self.table.state != "running":
            raise EventRefused("message_delta", self.run_id, self.table.state)
        if self._delta is not None:
            if speaker is self._delta_speaker:
                self._delta.append(text)
                return
            self._flush()
        now = self.loop.time()
        if now - self._last_delta >= DELTA_INTERVAL_S:
            self._last_delta = now
            self._post("message_delta", encode(MessageDelta(text)), speaker)
        else:
            self._delta, self._delta_speaker = [text], speaker
            self._delta_timer = self.loop.call_later(DELTA_INTERVAL_S, self._delta_due)

    def tool_executing(self, call_id: str, tool_name: str, parameters: Any, speaker: Speaker | None = None) -> None:
        """A tool call begins."""
        speaker = speaker or self.speaker
        payload = ToolExecuting(tool_name, call_id, presentable(parameters), f"{tool_name} is running")
        self.table.open_call(call_id, tool_name, speaker)
        try:
            self._post("tool_executing", encode(payload), speaker)
        except BaseException:
            self.table.close_call(call_id)
            raise

    def tool_completed(self, call_id: str, status: str, result: Any, execution_time_ms: float) -> None:
        """A tool call ended; `status` is completed, failed or cancelled."""
        tool_name, speaker = self.table.close_call(call_id)
        try:
            self._post("tool_completed", _call_closed(tool_name, call_id, status, result, execution_time_ms), speaker)
        except BaseException:
            self.table.open_call(call_id, tool_name, speaker)
            raise

    def subagent_started(self, message: str, speaker: Speaker) -> None:
        """A nested agent begins; `speaker` is the nested one."""
        self.table.open_span(speaker)
        try:
            self._post("subagent_started", encode(SubagentStarted(cut(message))), speaker)
        except BaseException:
            self.table.close_span(speaker.span)
            raise

    def subagent_completed(
        self, span: int, status: str, result: Any, error: RunError | None, execution_time_ms: float
    ) -> None:
        """A nested agent ended; `status` is completed, failed or cancelled."""
        speaker = self.table.close_span(span)
        payload = SubagentCompleted(status, result_value(result), rounded(execution_time_ms), error)
        try:
            self._post("subagent_completed", encode(payload), speaker)
        except BaseException:
            self.table.open_span(speaker)
            raise

    def failed(self, error: RunError, context: dict[str, Any] | None = None) -> None:
        """An error that the user should see; the run goes on."""
        self._say("agent_error", _failure(error, context), self.speaker)

    def completed(
        self,
        status: RunStatus,
        result: Any,
        error: RunError | None,
        *,
        execution_time_ms: float,
        usage: Usage | None = None,
        receipt: CancelReceipt | None = None,
    ) -> Ack:
        """The run ends: what is open is closed as cancelled, and all of it is one append. Nothing follows it."""
        root = self.speaker
        drafts = self._closing_drafts()
        if error is not None:
            drafts.append(self._draft("agent_error", encode(_failure(error, None)), root))
        payload = AgentCompleted(
            status,
            result_value(result),
            rounded(execution_time_ms),
            f"{root.agent_name} {status}",
            error,
            usage,
            receipt,
        )
        drafts.append(self._draft("agent_completed", encode(payload), root))
        self._bridge.forget(self.run_id)
        self._ack = self._bridge.submit(drafts, self.attempt)
        return self._ack

    # --------------------------------------------------------------------- back-pressure

    @property
    def is_behind(self) -> bool:
        """Whether enough is unacknowledged that the agent should wait before it says more."""
        return self._ack is not None and self._pending_bytes > SOFT_PENDING_BYTES

    @property
    def is_pending(self) -> bool:
        """Whether something that was emitted is not acknowledged yet."""
        return self._ack is not None

    async def drain(self) -> None:
        """Wait until all that was emitted before is acknowledged.

        Raises:
            LogUnavailable: the log could not store it.
        """
        if (ack := self._ack) is not None:
            await asyncio.shield(ack)
            if self._ack is ack:
                self._ack, self._pending_bytes = None, 0

    # -------------------------------------------------------------------------- workings

    def _say(self, type: str, payload: Payload, speaker: Speaker) -> None:
        """Post what may come from any thread; it is encoded before this returns."""
        raw = encode(payload)
        if get_ident() != self._thread:
            self._hand_over(self._post, type, raw, speaker)
        else:
            self._post(type, raw, speaker)

    @property
    def is_on_loop(self) -> bool:
        """Whether the caller is on the thread of the run's event loop."""
        return get_ident() == self._thread

    def check(self) -> None:
        """Raise what an event from another thread met when it arrived, if anything."""
        if self._arrival_error is not None:
            raise self._arrival_error

    def _hand_over(self, method: Any, *args: Any) -> None:
        """From another thread: on the loop, in order. A run that ended meanwhile ignores it."""
        if self.table.state == "ended":
            raise EventRefused("an event", self.run_id, "ended")
        if self._on_the_way >= MAX_ON_THE_WAY:
            raise AgentError(
                f"run {self.run_id!r} has {self._on_the_way} events of threads waiting for its loop, which allows no "
                "more; emit less, or join what belongs together"
            )
        self._on_the_way += 1
        self.loop.call_soon_threadsafe(self._received, method, *args)

    def _received(self, method: Any, *args: Any) -> None:
        self._on_the_way -= 1
        if self.table.state != "running":
            return
        try:
            method(*args)
        except SsotEngineError as error:
            # The thread that emitted it is elsewhere by now: the run fails with it.
            self._arrival_error = error

    def _post(self, type: str, raw: msgspec.Raw, speaker: Speaker) -> None:
        """One event leaves, after the deltas that were said before it."""
        if self._delta is not None:
            self._flush()
        if self._ack is not None:
            self._check_pending(self._ack, len(raw))
        self._ack = self._bridge.submit((self._draft(type, raw, speaker),), self.attempt)

    def _draft(self, type: str, raw: msgspec.Raw, speaker: Speaker) -> Draft:
        self.table.step(type)
        self.run_seq = seq = self.run_seq + 1
        self.sent_bytes += len(raw)
        return Draft(type, self.run_id, speaker.agent_name, seq, speaker.span, speaker.parent, time.time(), raw)

    def _check_pending(self, ack: asyncio.Future[None], size_bytes: int) -> None:
        """Refuse to say more when too much of what was said is not stored, or could not be."""
        if ack.done():
            self._ack, self._pending_bytes = None, 0
            ack.result()
        self._pending_bytes += size_bytes
        if self._pending_bytes > MAX_PENDING_BYTES:
            raise AgentError(
                f"run {self.run_id!r} has {self._pending_bytes} bytes of events waiting for the log, more than "
                f"{MAX_PENDING_BYTES}; let the agent await its tools or yield"
            )

    def _delta_due(self) -> None:
        self._delta_timer = None
        if self._delta is not None and self.table.state == "running":
            self._flush()

    def _flush(self) -> None:
        """The joined delta leaves."""
        pieces = self._taken_delta()
        if pieces is not None:
            self._post("message_delta", pieces, self._delta_speaker)

    def _taken_delta(self) -> msgspec.Raw | None:
        pieces, self._delta = self._delta, None
        if pieces is None:
            return None
        self._last_delta = self.loop.time()
        if self._delta_timer is not None:
            self._delta_timer.cancel()
            self._delta_timer = None
        return encode(MessageDelta("".join(pieces)))

    def _closing_drafts(self) -> list[Draft]:
        """The pending delta, then a `cancelled` end for every tool call and nested agent still open, newest first."""
        drafts = []
        if (pieces := self._taken_delta()) is not None:
            drafts.append(self._draft("message_delta", pieces, self._delta_speaker))
        table = self.table
        while table.open_calls:
            call_id, (tool_name, speaker) = table.open_calls.popitem()
            raw = _call_closed(tool_name, call_id, "cancelled", None, 0.0)
            drafts.append(self._draft("tool_completed", raw, speaker))
        while table.open_spans:
            _, speaker = table.open_spans.popitem()
            raw = encode(SubagentCompleted("cancelled", None, 0.0))
            drafts.append(self._draft("subagent_completed", raw, speaker))
        return drafts


def _call_closed(tool_name: str, call_id: str, status: str, result: Any, execution_time_ms: float) -> msgspec.Raw:
    took_ms = rounded(execution_time_ms)
    return encode(ToolCompleted(tool_name, call_id, presentable(result), took_ms, status, f"{tool_name} {status}"))


def _failure(error: RunError, context: dict[str, Any] | None) -> AgentFailed:
    about = {"error_type": error.type, "retryable": error.retryable, **(context or {})}
    return AgentFailed(error.message, presentable(about), f"{error.type}: {error.message}")
