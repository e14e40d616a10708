"""The engine: runs agents for one context, and ends with its scope."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, Never, Self

from ssot_engine import current
from ssot_engine.agents import Message
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.calls import check_message
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import ClosedError, EngineLimitReached, RequestError, RunConflict, shown
from ssot_engine.eventlog.base import RunRecord
from ssot_engine.events import CancelReceipt, RunError, RunResult, RunStatus, Usage
from ssot_engine.former_calls import MISSING, refusal, shows_right_call
from ssot_engine.ids import keyed_run_id, new_id
from ssot_engine.instances import AgentInfo, AgentInstanceFactory
from ssot_engine.run import Run
from ssot_engine.run_control import RunControl
from ssot_engine.scoping.scope import Scope
from ssot_engine.stream import RunStream
from ssot_engine.tools import Tool, ToolDispatcher, ToolRegistry

_RIGHT_CALL = (
    "a factory makes engines: `async with container.engine_factory().engine_for(context) as engine`, or "
    "`await create_request_scoped_engine(context)`; with a registry or bridge of your own, "
    "`await UserExecutionEngine.create_from_legacy(registry, websocket_bridge, user_context)`"
)


class UserExecutionEngine:
    """Runs agents for one context. A factory makes it; it is dead once its scope has ended.

    Several engines may share a context; `engine_id` tells them apart. The first run of an engine has the context's
    run id, each further one an id of its own.
    """

    __slots__ = (
        "__weakref__", "_context", "_first_key", "_is_closed", "_runs", "_scope", "_used", "agent_factory",
        "compatibility_mode", "control", "database_session_manager", "degraded", "engine_id", "idle_since",
        "max_runs", "redis_manager", "tool_registry", "websocket_emitter",
    )  # fmt: skip

    @shows_right_call
    def __init__(
        self,
        context: UserExecutionContext,
        agent_factory: AgentInstanceFactory,
        emitter: UnifiedWebSocketEmitter,
        tools: ToolRegistry,
        control: RunControl,
        database_session_manager: Any = None,
        redis_manager: Any = None,
        *others: Never,
        **former: Never,
    ) -> None:
        if control is MISSING or others or former:
            raise refusal("UserExecutionEngine()", _RIGHT_CALL, former)
        self._context = context
        self.agent_factory = agent_factory
        self.websocket_emitter = emitter
        self.tool_registry = tools
        self.control = control
        #: The host's own, as its container provides them.
        self.database_session_manager = database_session_manager
        self.redis_manager = redis_manager
        self.engine_id = new_id("engine")
        #: Whether the built-in bridge stands in for a host's that could not be built.
        self.degraded = False
        self.compatibility_mode = False
        #: Runs it may have at the same time.
        self.max_runs = control.settings.max_concurrent_runs_per_engine
        #: Since when it has no run, in seconds of the monotonic clock.
        self.idle_since = time.monotonic()
        self._runs: tuple[Run, ...] = ()
        self._used = False
        self._first_key: str | None = None
        self._is_closed = False
        self._scope: Scope | None = None
        emitter.websocket_bridge.adopt(control.event_log)

    @classmethod
    @current.awaited
    def create_from_legacy(
        cls, registry: Any, websocket_bridge: Any = None, user_context: Any = None
    ) -> Coroutine[Any, Any, Self]:
        """To be awaited: an engine of the process's container, with the caller's registry and bridge. Use a factory.

        What is None is the container's own. Without a context the engine is that of the bridge's user, or of an
        anonymous one if `legacy.anonymous_context` allows it.

        Raises:
            InvalidContext: the context is none, or not allowed to be left out; or the bridge is of another user.
            TypeError: the registry or the bridge is of another class; or the container makes other engines than `cls`.
            EngineLimitReached: the user, or the process, has too many engines.
            ClosedError: the process's container was shut down.
        """
        return current.doors().create_from_legacy(cls, registry, websocket_bridge, user_context)

    # ------------------------------------------------------------------------- running

    async def run(
        self,
        agent: str,
        message: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        history: Sequence[Message] | None = None,
        idempotency_key: str | None = None,
    ) -> RunResult:
        """Run an agent to its end. An agent that fails is a result, not an exception.

        `timeout_s` is seconds from the start, `engine.run_timeout_s` if None. `history` is the conversation so far; if
        None, the thread's earlier runs. A call repeated with the same context and `idempotency_key` acts no more: it
        gets the stored result.

        Raises:
            UnknownAgent: no such agent.
            EngineLimitReached: too many runs at once.
            RunConflict: a run of this id exists.
            ClosedError: the engine's scope has ended.
            LogUnavailable: the log could not store the run's events.
        """
        run = self._prepare(agent, message, inputs, timeout_s, history, idempotency_key)
        try:
            self._launch(run, idempotency_key, None)
            return await run.wait()
        except RunConflict as conflict:
            return _repeated(conflict, idempotency_key)
        except asyncio.CancelledError:
            run.stop(RunStatus.CANCELLED)
            await run.over()
            raise

    def stream(
        self,
        agent: str,
        message: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        history: Sequence[Message] | None = None,
        idempotency_key: str | None = None,
    ) -> RunStream:
        """Start a run; its events, as they come. Takes and raises what `run` does."""
        run = self._prepare(agent, message, inputs, timeout_s, history, idempotency_key)
        stream = RunStream(run)
        self._launch(run, idempotency_key, stream)
        return stream

    @current.awaited
    def execute_agent(self, context: Any, user_context: Any = None) -> Coroutine[Any, Any, Any]:
        """To be awaited: run the agent that an AgentExecutionContext names; its AgentExecutionResult. Use `run`."""
        return current.doors().execute_agent(self, context, user_context)

    async def cancel(self, run_id: str) -> CancelReceipt:
        """Stop a run of this engine's user. After the receipt nothing of it acts, except what the receipt names."""
        return await self.control.cancel(self._context.user_id, run_id)

    def _prepare(
        self,
        agent: str,
        message: str,
        inputs: Mapping[str, Any] | None,
        timeout_s: float | None,
        history: Sequence[Message] | None,
        idempotency_key: str | None,
    ) -> Run:
        if self._is_closed:
            raise ClosedError(f"engine {self.engine_id} has ended with its scope; ask the factory for another")
        check_message(message)
        if inputs is not None and not isinstance(inputs, Mapping):
            raise RequestError(f"inputs {shown(inputs)} are no mapping; pass a dict of named values")
        if timeout_s is not None and not timeout_s > 0:
            raise RequestError(f"timeout_s is {timeout_s!r}; pass seconds above 0, or None for engine.run_timeout_s")
        made = self.agent_factory.get(agent)
        limit = self.max_runs
        if len(self._runs) >= limit:
            self.control.metrics.limit_refusals += 1
            raise EngineLimitReached(
                self._context.user_id, limit, "engine.max_concurrent_runs_per_engine",
                f"engine {self.engine_id} already has {limit} runs going on",
            )  # fmt: skip
        run_id = self._run_id(idempotency_key)
        return Run(self, run_id, made, message, inputs or {}, history, timeout_s)

    def _run_id(self, idempotency_key: str | None) -> str:
        """The context's for the first run, and for the first run's repetition; a fresh one for any other."""
        if not self._used:
            self._used, self._first_key = True, idempotency_key
            return self._context.run_id
        if idempotency_key is None:
            return new_id("run")
        if idempotency_key == self._first_key:
            return self._context.run_id
        return keyed_run_id(self._context.user_id, idempotency_key)

    def _launch(self, run: Run, idempotency_key: str | None, stream: RunStream | None) -> None:
        """Start the run now, or queue it behind other runs of the user."""
        admission, user_id = self.control.admission, self._context.user_id
        if admission.runs.take(user_id):
            run.start(idempotency_key, None if stream is None else stream.follow_from_here)
        elif admission.waits:
            run.queue(idempotency_key, None if stream is None else stream.follow_from_here)
        else:
            run.forget()
            self._used = run.run_id != self._context.run_id
            raise admission.run_refusal(user_id)
        self._runs = (*self._runs, run)

    def run_ended(self, run: Run) -> None:
        """One of its runs is over."""
        self._runs = tuple(other for other in self._runs if other is not run)
        self.idle_since = time.monotonic()

    # ------------------------------------------------------------------------ its parts

    @property
    def user_context(self) -> UserExecutionContext:
        """Whose engine it is."""
        return self._context

    @property
    def websocket_bridge(self) -> AgentWebSocketBridge:
        """The way its events leave."""
        return self.websocket_emitter.websocket_bridge

    def get_user_context(self) -> UserExecutionContext:
        """Whose engine it is."""
        return self._context

    def is_active(self) -> bool:
        """Whether its scope is open."""
        return not self._is_closed

    def is_compatibility_mode(self) -> bool:
        """Whether a legacy entry point made it."""
        return self.compatibility_mode

    @property
    def active_runs(self) -> tuple[str, ...]:
        """The ids of its runs that go on."""
        return tuple(run.run_id for run in self._runs)

    async def runs_over(self) -> None:
        """Wait until none of its runs goes on."""
        while self._runs:
            await self._runs[0].over()

    def get_available_agents(self) -> list[AgentInfo]:
        """The agents it can run."""
        return self.agent_factory.available()

    async def get_available_tools(self) -> list[Tool]:
        """The tools its agents can call."""
        return self.tool_registry.all()

    async def get_tool_dispatcher(self) -> ToolDispatcher:
        """Its tools, to list; to call one takes a run."""
        return ToolDispatcher(self.tool_registry)

    # -------------------------------------------------------------------------- its end

    def owns(self, scope: Scope) -> None:
        """From now on `cleanup` ends this scope."""
        self._scope = scope

    def cleanup(self) -> Coroutine[Any, Any, None]:
        """To be awaited: end the engine and its scope. Safe to call twice."""
        return self._stop_alone() if self._scope is None else self._scope.aclose()

    async def _stop_alone(self) -> None:
        """End an engine that owns no scope."""
        if not self._is_closed and (ending := self.stop()) is not None:
            await ending

    def stop(self) -> Awaitable[None] | None:
        """Refuse further runs and cancel those that go on; the scope calls it when it ends."""
        self._is_closed = True
        return self._stop_runs() if self._runs else None

    async def _stop_runs(self) -> None:
        runs = self._runs
        for run in runs:
            run.stop(RunStatus.CANCELLED)
        for run in runs:
            await run.over()


def _repeated(conflict: RunConflict, idempotency_key: str | None) -> RunResult:
    """The result of the ended run that a repeated request named by its key; anything else is the conflict."""
    record: RunRecord | None = conflict.record
    if record is None or record.status is None or not record.is_of(idempotency_key):
        raise conflict
    return stored_result(record)


def stored_result(record: RunRecord) -> RunResult:
    """The result of an ended run, as the log keeps it."""
    assert record.status is not None
    outcome = record.outcome or {}
    error, usage = outcome.get("error"), outcome.get("usage")
    return RunResult(
        status=record.status,
        output=outcome.get("result"),
        error=RunError(**error) if error else None,
        usage=Usage(**usage) if usage else Usage(),
        run_id=record.run_id,
    )
