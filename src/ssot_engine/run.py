"""One run: it starts, drives its agent, is stopped or ends by itself, and ends exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ssot_engine import calls
from ssot_engine.agents import AGENT_CODE, Agent, Message, RunContext
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.errors import AgentError
from ssot_engine.events import CancelReceipt, Outcome, RunError, RunResult, RunStatus, Usage
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.logs import bind_run, get_logger, tell
from ssot_engine.payloads import rounded
from ssot_engine.run_control import RunControl
from ssot_engine.run_services import RunServices
from ssot_engine.tools import ToolRegistry

log = get_logger("ssot_engine.run")


class Host(Protocol):
    """An engine, as its runs see it."""

    engine_id: str
    degraded: bool

    @property
    def user_context(self) -> UserExecutionContext: ...

    @property
    def control(self) -> RunControl: ...

    @property
    def agent_factory(self) -> AgentInstanceFactory: ...

    @property
    def websocket_emitter(self) -> UnifiedWebSocketEmitter: ...

    @property
    def tool_registry(self) -> ToolRegistry: ...

    def run_ended(self, run: Run) -> None:
        """This run of yours is over."""


class Run(RunServices):
    """One execution of an agent. `start` begins it; it ends by itself, by `stop`, or by force.

    It has started when its first event is in the log, which is before its task exists, so that even a task cancelled
    before its first step gets its last event. `_finish` alone writes that one; the first caller wins.
    """

    # fmt: off
    __slots__ = (
        "__weakref__", "_deadline_slot", "_force_timer", "_host", "_is_forced", "_queued", "_waiters", "agent", "error",
        "inputs", "message", "result", "started_at", "timeout_s",
    )
    # fmt: on

    def __init__(
        self,
        host: Host,
        run_id: str,
        agent: Agent,
        message: str,
        inputs: Mapping[str, Any],
        history: Sequence[Message] | None,
        timeout_s: float | None,
    ) -> None:
        control, bridge = host.control, host.websocket_emitter.websocket_bridge
        super().__init__(
            control,
            host.user_context,
            run_id,
            host.agent_factory,
            host.tool_registry,
            bridge.key,
            bridge.for_run(run_id, driven=True),
            history,
        )
        self._host = host
        self.agent = agent
        self.message = message
        self.inputs = inputs
        self.timeout_s = control.settings.run_timeout_s if timeout_s is None else timeout_s
        self.started_at = 0.0
        #: Set once it ended: its result; or the error that kept the log from storing its end.
        self.result: RunResult | None = None
        self.error: Exception | None = None
        self._is_forced = False
        self._queued: asyncio.Task[None] | None = None
        self._waiters: tuple[asyncio.Future[None], ...] = ()
        self._deadline_slot = -1
        self._force_timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------------------- life

    def start(self, idempotency_key: str | None = None, before: Callable[[], None] | None = None) -> None:
        """Write the first event and create the task; `before` is called just before that event.

        Raises:
            RunConflict: the user has a run of this id.
            LogUnavailable: the log takes no events.
        """
        control, host = self.control, self._host
        about = {"engine_id": host.engine_id, "degraded": host.degraded}
        try:
            if before is not None:
                before()
            self.emitter.started(self.agent.name, self.message, about, idempotency_key)
        except BaseException:
            control.admission.runs.release(self.context.user_id)
            self.forget()
            raise
        self.started_at = time.time()
        loop = self.emitter.loop
        self.deadline = loop.time() + self.timeout_s
        self._deadline_slot = control.deadlines.add(self.deadline, self)
        control.live[self.context.user_id, self.run_id] = self
        control.metrics.runs_started += 1
        self._task = task = loop.create_task(self._drive(), name=self.run_id)
        task.add_done_callback(self._task_done)

    def queue(self, idempotency_key: str | None, before: Callable[[], None] | None) -> None:
        """Start when the user has a slot free."""
        self.control.live.setdefault((self.context.user_id, self.run_id), self)
        self._queued = self.emitter.loop.create_task(self._start_in_turn(idempotency_key, before))
        # Not the task itself: cancelled before its first step, it would do nothing.
        self._queued.add_done_callback(self._left_queue)

    async def _start_in_turn(self, idempotency_key: str | None, before: Callable[[], None] | None) -> None:
        await self.control.admission.wait_for_run(self.context.user_id)
        self.start(idempotency_key, before)

    def _left_queue(self, task: asyncio.Task[None]) -> None:
        """It has started; or it was stopped or refused: then there are no events of it, and there will be none."""
        self._queued = None
        if task.cancelled():
            status = self._stop_reason or RunStatus.CANCELLED
            self.result = RunResult(status, None, None, Usage(), self.run_id)
        elif (refusal := task.exception()) is not None:
            self.error = refusal if isinstance(refusal, Exception) else AgentError(repr(refusal))
        else:
            return
        self.ended = True
        self.forget()
        self._unlist()
        self._let_go()

    def _unlist(self) -> None:
        key = (self.context.user_id, self.run_id)
        if self.control.live.get(key) is self:
            del self.control.live[key]

    def forget(self) -> None:
        """It will not start: its voice is given back."""
        self._host.websocket_emitter.websocket_bridge.forget(self.run_id)

    async def admitted(self) -> None:
        """Wait until it has started, or never will.

        Raises:
            EngineLimitReached: it was refused in the queue.
        """
        if self._queued is not None:
            await asyncio.wait((self._queued,))
        self.check_recorded()

    def check_recorded(self) -> None:
        """Raise what kept the log from storing its events, if anything did."""
        if self.error is not None:
            raise self.error

    async def _drive(self) -> None:
        status, output = RunStatus.COMPLETED, None
        # As data: the exception itself, kept in this frame, would be a cycle through its traceback.
        error: RunError | None = None
        context = self.context
        bind_run(context.user_id, context.thread_id, self.run_id, context.request_id)
        try:
            if self.emitter.is_pending:
                await self.emitter.drain()
            asked = RunContext(self, context, self.emitter.speaker, self.message, self.inputs)
            output = calls.value_of(await calls.execute(self, self.agent, asked))
            self.emitter.check()
            if self.emitter.is_pending:
                # What it said must be stored before it can be called completed.
                await self.emitter.drain()
        except asyncio.CancelledError as raised:
            if self._stop_reason is None and not _is_being_cancelled():
                status, error = RunStatus.FAILED, calls.run_error(raised)
            else:
                status = RunStatus.CANCELLED
        except KeyboardInterrupt:
            status = RunStatus.FAILED
            raise
        except BaseException as raised:
            # SystemExit among them: in an agent it must not end the server.
            status, error = RunStatus.FAILED, calls.run_error(raised)
        finally:
            self._has_worked = True
            if self._children:
                await self._end_children()
            self._finish(status, output, error)

    def stop(self, reason: RunStatus) -> None:
        """Ask it to end, for this reason; the first reason counts. After the grace time it is ended by force."""
        if self.ended or self._stop_reason is not None:
            return
        self._stop_reason = reason
        if self._task is None:
            if self._queued is not None:
                self._queued.cancel()
            return
        for task in (self._task, *(self._children or ())):
            task.cancel()
        self._force_timer = self.emitter.loop.call_later(self.control.settings.stop_grace_s, self._force)

    async def cancel(self) -> CancelReceipt:
        """Stop it and wait for its end; whether that stopped it, and what still acts."""
        self.stop(RunStatus.CANCELLED)
        await self.over()
        return self.receipt()

    async def wait(self) -> RunResult:
        """Wait for the end; how it ended.

        Raises:
            LogUnavailable: the log could not store how it ended.
        """
        if self.result is None:
            await self.over()
            self.check_recorded()
        assert self.result is not None
        return self.result

    async def over(self) -> None:
        """Wait until it has ended and its end is stored, or cannot be."""
        if self.result is None and self.error is None:
            # One future for each who waits: cancelling one of them leaves the others waiting.
            waiter = self.emitter.loop.create_future()
            self._waiters = (*self._waiters, waiter)
            await waiter

    def receipt(self) -> CancelReceipt:
        """What still runs of it now."""
        acting = tuple(self._threads.values()) if self._threads else ()
        if self._is_forced and AGENT_CODE not in acting:
            acting = (*acting, AGENT_CODE)
        if acting:
            return CancelReceipt(self.run_id, Outcome.STILL_RUNNING, acting)
        return CancelReceipt(self.run_id, Outcome.ALREADY_ENDED if self._stop_reason is None else Outcome.STOPPED)

    def deadline_passed(self) -> None:
        """Its time is over."""
        self.stop(RunStatus.TIMED_OUT)

    def _force(self) -> None:
        """It ignored its stop: end it without it. Whatever it still says or calls is refused."""
        if self.ended:
            return
        task = self._task
        self._abandon(() if task is None else (task,))
        self._finish(self._stop_reason or RunStatus.FAILED, None, None)
        if task is not None:
            task.cancel()

    def _abandon(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """These go on although they were told to end."""
        self._is_forced = True
        self.control.metrics.runs_abandoned += 1
        for task in tasks:
            self.control.abandoned.add(task)
            task.add_done_callback(self.control.abandoned.discard)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not self.ended:
            self._finish(RunStatus.CANCELLED, None, None)
        if not task.cancelled():
            task.exception()

    async def _end_children(self) -> None:
        """Tool and agent calls that the agent left running in tasks of its own end before the run does."""
        clock = self.emitter.loop.time
        until = clock() + self.control.settings.stop_grace_s
        living = {child for child in self._children or () if not child.done()}
        for child in living:
            # One that was told already may be cleaning up: a second time would interrupt that.
            if not child.cancelling():
                child.cancel()
        while living and clock() < until:
            # Being cancelled once more changes nothing: this wait is bounded anyway.
            with contextlib.suppress(asyncio.CancelledError):
                _, living = await asyncio.wait(living, timeout=until - clock())
        if living and not self.ended:
            self._abandon(living)

    # ----------------------------------------------------------------------------- end

    def _finish(self, status: RunStatus, output: Any, error: RunError | None) -> None:
        """Write the last event; the first caller wins, and an accepted reason to stop is the status."""
        if self.ended:
            return
        self.ended = True
        if self._stop_reason is not None:
            status, output, error = self._stop_reason, None, None
        elif status is RunStatus.CANCELLED:
            self._stop_reason = status
        usage = self.usage()
        took_ms = (time.time() - self.started_at) * 1e3
        receipt = self.receipt() if status is RunStatus.CANCELLED else None
        result = RunResult(status, output, error, usage, self.run_id)
        try:
            ack = self.emitter.completed(status, output, error, execution_time_ms=took_ms, usage=usage, receipt=receipt)
        except Exception as failure:
            # The boundary of a run: whatever a log or a host's bridge raises must not leave it without an end.
            self._settle(result, failure)
            return
        if ack is None:
            self._settle(result, None)
        else:
            ack.add_done_callback(lambda done: self._stored(result, done))

    def _stored(self, result: RunResult, ack: asyncio.Future[None]) -> None:
        failure = None if ack.cancelled() else ack.exception()
        self._settle(result, failure if isinstance(failure, Exception) else None)

    def _settle(self, result: RunResult, unrecorded: Exception | None) -> None:
        """The end is stored, or never will be: let go of everything and tell who waits."""
        control = self.control
        if unrecorded is None:
            self.result = result
            control.metrics.runs_ended[result.status] += 1
        else:
            self.error = unrecorded
            control.metrics.runs_unrecorded += 1
            control.event_log.wake(self.key)
        control.deadlines.remove(self._deadline_slot, self)
        self._unlist()
        control.admission.runs.release(self.context.user_id)
        self._let_go()
        self._log_end(result, unrecorded)

    def _let_go(self) -> None:
        if self._force_timer is not None:
            self._force_timer.cancel()
            self._force_timer = None
        self._host.run_ended(self)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = ()

    def _log_end(self, result: RunResult, unrecorded: Exception | None) -> None:
        context, emitter = self.context, self.emitter
        entry = {
            "user_id": context.user_id,
            "thread_id": context.thread_id,
            "run_id": self.run_id,
            "request_id": context.request_id,
            "agent": self.agent.name,
            "status": str(result.status),
            "duration_ms": rounded((time.time() - self.started_at) * 1e3),
            "events": emitter.run_seq,
            "tools": self._tool_calls,
            "bytes": emitter.sent_bytes,
        }
        if self._host.degraded:
            entry["degraded"] = True
        if unrecorded is not None:
            log.error("run_unrecorded", **entry, error=str(unrecorded))
            return
        if result.error is not None:
            entry["error"] = f"{result.error.type}: {result.error.message}"
        tell(log, "run_finished", entry)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
