"""The one way events leave an engine: whose they are is settled here, then they go to the event log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Never, Self

from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import ClosedError, ConfigError, InvalidContext, RunConflict
from ssot_engine.eventlog.base import Ack, Draft, EventLog
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import EventRefused, RunError, RunStatus, Speaker, ThreadKey
from ssot_engine.former_calls import refusal, tell
from ssot_engine.ids import new_id
from ssot_engine.redaction import redact_text
from ssot_engine.run_emitter import RunEmitter


class AgentWebSocketBridge:
    """Carries the events of one context's user and thread to the event log, and of nobody else.

    A bridge made without a context is unbound: a factory gives a scope a bound sibling of it. One made without a log
    gets the container's when an engine adopts it. The `notify_*` methods drive a run by hand: started, then anything,
    then completed; each returns True once the event is stored, and raises if it cannot be.
    """

    __slots__ = ("__weakref__", "_closed", "_context", "_key", "_log", "_private", "_voices")

    def __init__(
        self, context: UserExecutionContext | None = None, event_log: EventLog | None = None, **former: Never
    ) -> None:
        if former:
            context = _former_context(context, former)
        if context is not None and not isinstance(context, UserExecutionContext):
            raise _no_context("context", context)
        self._context = context
        self._log = event_log
        self._key = None if context is None else ThreadKey(context.user_id, context.thread_id)
        self._voices: tuple[RunEmitter, ...] = ()
        self._private = False
        self._closed = False

    @classmethod
    def create_for_user(cls, context: UserExecutionContext) -> Self:
        """A bridge for this context; it needs no container and no event loop."""
        if not isinstance(context, UserExecutionContext):
            raise _no_context("context", context)
        return cls(context)

    @classmethod
    def create_minimal_for_testing(cls) -> Self:
        """An unbound bridge on a private memory log. Only a container whose log is memory:// accepts it."""
        bridge = cls(None, MemoryEventLog())
        bridge._key = ThreadKey(new_id("bridge_user"), new_id("bridge_thread"))
        bridge._private = True
        return bridge

    @property
    def user_context(self) -> UserExecutionContext | None:
        """Whose bridge this is; None while it is unbound."""
        return self._context

    @property
    def event_log(self) -> EventLog | None:
        """Where its events go; None before an engine adopted it."""
        return self._log

    @property
    def key(self) -> ThreadKey:
        """The thread its events belong to."""
        if self._key is None:
            raise self._unusable()
        return self._key

    # ----------------------------------------------------------------------- binding

    def for_context(self, context: UserExecutionContext) -> Self:
        """This bridge if it is the context's own; a sibling bound to the context if it is unbound.

        Raises:
            InvalidContext: it is bound to another user or thread.
        """
        mine = self._context
        if mine is None:
            sibling = type(self)(context, None if self._private else self._log)
            sibling._private = self._private
            return sibling
        if (mine.user_id, mine.thread_id) != (context.user_id, context.thread_id):
            raise InvalidContext(
                "bridge",
                f"of user {mine.user_id!r}, thread {mine.thread_id!r}",
                f"cannot serve user {context.user_id!r}, thread {context.thread_id!r}; bring a bridge of that user",
            )
        return self

    def adopt(self, event_log: EventLog) -> None:
        """Send events to this log from now on; the engine's constructor calls it.

        Raises:
            ConfigError: the bridge was made for testing and the log is a real one, or it has another log already.
        """
        if self._log is event_log:
            return
        if self._private:
            if event_log.url != "memory://":
                raise ConfigError(
                    f"a bridge made by create_minimal_for_testing() is refused by a container whose events.url is "
                    f"{event_log.url!r}; use AgentWebSocketBridge.create_for_user(context)"
                )
        elif self._log is not None:
            raise ConfigError(f"this bridge sends to {self._log.url!r} already; one bridge serves one event log")
        self._log = event_log

    # --------------------------------------------------------------- what a voice needs

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop its log serves."""
        return asyncio.get_running_loop() if self._log is None else self._log.loop

    def for_run(self, run_id: str, *, driven: bool = False) -> RunEmitter:
        """The voice of one run: the one that speaks already, or a new one. An engine asks for a new one, `driven`.

        Raises:
            RunConflict: an engine asks, and the run is driven by hand.
        """
        voice = self._voice(run_id)
        if voice is not None and driven:
            raise RunConflict(run_id)
        if voice is None:
            if self._closed:
                raise ClosedError(f"the bridge of {self._key} is closed; its scope has ended")
            voice = RunEmitter(self, run_id, driven=driven)
            self._voices = (*self._voices, voice)
        return voice

    def _voice(self, run_id: str) -> RunEmitter | None:
        for voice in self._voices:
            if voice.run_id == run_id:
                return voice
        return None

    def begin(self, run_id: str, agent_name: str, message: str, idempotency_key: str | None, takeover: bool) -> int:
        """Register a run with the log; its attempt."""
        log, key = self._log, self._key
        if log is None or key is None:
            raise self._unusable()
        return log.begin(
            key,
            run_id,
            agent_name=agent_name,
            message=message,
            idempotency_key=idempotency_key,
            takeover=takeover,
        )

    def submit(self, drafts: Sequence[Draft], attempt: int) -> Ack:
        """Hand events of one run to the log. A subclass that sends them elsewhere too calls this first."""
        log, key = self._log, self._key
        if log is None or key is None:
            raise self._unusable()
        return log.submit(key, drafts, attempt=attempt)

    def forget(self, run_id: str) -> None:
        """The run has ended; nothing more is said of it."""
        self._voices = tuple(voice for voice in self._voices if voice.run_id != run_id)

    def _unusable(self) -> ClosedError:
        if self._key is None:
            return ClosedError("this bridge is bound to no user; make it with AgentWebSocketBridge.create_for_user()")
        return ClosedError("this bridge has no event log yet; give it to engine_for(context, bridge=…)")

    async def aclose(self) -> None:
        """End what was driven by hand and is still open as `cancelled`; the scope calls it."""
        self._closed = True
        for voice in self._voices:
            if not voice.driven and voice.table.state == "running":
                voice.completed(RunStatus.CANCELLED, None, None, execution_time_ms=0.0)
                await voice.drain()
        self._voices = ()

    # ------------------------------------------------------------------ driving by hand

    async def notify_agent_started(
        self,
        run_id: str,
        agent_name: str,
        context: dict[str, Any] | None = None,
        trace_context: object = None,
        user_context: UserExecutionContext | None = None,
    ) -> bool:
        """The run begins. `context` is told in the event; a `message` in it is the user's text."""
        self._check_owner(user_context)
        about = dict(context or {})
        voice = self._by_hand("agent_started", run_id)
        try:
            voice.started(agent_name, str(about.pop("message", "")), about)
        except BaseException:
            if voice.table.state == "new":
                self.forget(run_id)
            raise
        return await self._stored(voice)

    async def notify_agent_thinking(
        self,
        run_id: str,
        agent_name: str,
        reasoning: str,
        step_number: int | None = None,
        progress_percentage: float | None = None,
        trace_context: object = None,
        user_context: UserExecutionContext | None = None,
    ) -> bool:
        """The agent tells what it is doing; progress in per cent."""
        self._check_owner(user_context)
        voice = self._speaking("agent_thinking", run_id)
        voice.thinking(reasoning, step_number, progress_percentage, Speaker(agent_name))
        return await self._stored(voice)

    async def notify_tool_executing(
        self,
        run_id: str,
        tool_name: str,
        agent_name: str | None = None,
        parameters: dict[str, Any] | None = None,
        user_context: UserExecutionContext | None = None,
    ) -> bool:
        """A tool call begins."""
        self._check_owner(user_context)
        voice = self._speaking("tool_executing", run_id)
        voice.tool_executing(new_id("call"), tool_name, parameters or {}, Speaker(agent_name) if agent_name else None)
        return await self._stored(voice)

    async def notify_tool_completed(
        self,
        run_id: str,
        tool_name: str,
        result: Any = None,
        agent_name: str | None = None,
        execution_time_ms: float | None = None,
        user_context: UserExecutionContext | None = None,
    ) -> bool:
        """The oldest open call of that tool ended; time in milliseconds."""
        self._check_owner(user_context)
        voice = self._speaking("tool_completed", run_id)
        call_id = next((call for call, (name, _) in voice.table.open_calls.items() if name == tool_name), None)
        if call_id is None:
            raise EventRefused("tool_completed", run_id, voice.table.state, f"no call of {tool_name!r} is open")
        voice.tool_completed(call_id, "completed", result, execution_time_ms or 0.0)
        return await self._stored(voice)

    async def notify_agent_completed(
        self,
        run_id: str,
        agent_name: str,
        result: Any = None,
        execution_time_ms: float | None = None,
        trace_context: object = None,
        user_context: UserExecutionContext | None = None,
    ) -> bool:
        """The run ends `completed`; time in milliseconds."""
        self._check_owner(user_context)
        voice = self._by_hand("agent_completed", run_id)
        voice.completed(RunStatus.COMPLETED, result, None, execution_time_ms=execution_time_ms or 0.0)
        return await self._stored(voice)

    async def notify_agent_error(
        self,
        run_id: str,
        agent_name: str,
        error: str,
        error_context: dict[str, Any] | None = None,
        trace_context: object = None,
    ) -> bool:
        """An error that the user should see; the run goes on."""
        voice = self._speaking("agent_error", run_id)
        voice.failed(RunError("AgentError", redact_text(error)), error_context)
        return await self._stored(voice)

    def _by_hand(self, type: str, run_id: str) -> RunEmitter:
        """The voice for the first or last event of a run that no engine drives."""
        voice = self.for_run(run_id) if type == "agent_started" else self._speaking(type, run_id)
        if voice.driven:
            raise EventRefused(type, run_id, voice.table.state, "the engine that runs it writes this event itself")
        return voice

    def _speaking(self, type: str, run_id: str) -> RunEmitter:
        voice = self._voice(run_id)
        if voice is None:
            raise EventRefused(type, run_id, "new", "it has not started here, or it has ended")
        return voice

    def _check_owner(self, user_context: UserExecutionContext | None) -> None:
        if user_context is not None:
            self.for_context(user_context)

    async def _stored(self, voice: RunEmitter) -> bool:
        await voice.drain()
        return True


def _former_context(context: UserExecutionContext | None, former: dict[str, Any]) -> UserExecutionContext | None:
    """The context of a call that names it `user_context`, as the original did."""
    given: UserExecutionContext | None = former.pop("user_context", None)
    if former or (context is not None and given is not None):
        raise refusal(
            "AgentWebSocketBridge()", "call AgentWebSocketBridge.create_for_user(context); events are read from the "
            "container's event log, so a bridge needs no WebSocket manager", former,
        )  # fmt: skip
    if given is None:
        return context
    if not isinstance(given, UserExecutionContext):
        raise _no_context("user_context", given)
    tell("AgentWebSocketBridge", ("user_context",), "AgentWebSocketBridge.create_for_user(context)")
    return given


def _no_context(argument: str, value: object) -> InvalidContext:
    return InvalidContext(argument, value, "is no UserExecutionContext; make one with from_request()")
