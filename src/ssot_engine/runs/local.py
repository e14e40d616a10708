"""Submitted runs in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import stored_result
from ssot_engine.errors import RequestError, RunConflict, UnknownRun
from ssot_engine.eventlog.base import EventLog, RunRecord
from ssot_engine.events import CancelReceipt, RunResult
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.ids import keyed_run_id
from ssot_engine.run_control import RunControl
from ssot_engine.runs.base import RunPlane, RunSpec
from ssot_engine.stream import RunStream


class LocalRuns(RunPlane):
    """Gives each submitted run an engine of its own, and ends the engine when the run is over."""

    def __init__(self, factory: ExecutionEngineFactory, control: RunControl, event_log: EventLog) -> None:
        self._factory = factory
        self._control = control
        self._event_log = event_log
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, spec: RunSpec) -> str:
        context = _keyed(spec)
        if spec.idempotency_key is not None and await self._is_known(context, spec.idempotency_key):
            return context.run_id
        engine = await self._factory.create_for_user(context)
        try:
            stream = engine.stream(
                spec.agent,
                spec.message,
                inputs=spec.inputs,
                history=spec.history,
                timeout_s=spec.timeout_s,
                idempotency_key=spec.idempotency_key,
            )
        except RunConflict as conflict:
            await engine.cleanup()
            record: RunRecord | None = conflict.record
            if record is not None and record.is_of(spec.idempotency_key):
                return context.run_id
            raise
        except BaseException:
            await engine.cleanup()
            raise
        task = asyncio.create_task(self._see_out(stream, engine.cleanup), name=f"submitted {context.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await stream.run.admitted()
        if not stream.run.started_at:
            raise RequestError(f"run {context.run_id!r} was stopped while it waited for its turn; nothing of it began")
        return context.run_id

    async def _is_known(self, context: UserExecutionContext, idempotency_key: str) -> bool:
        if (context.user_id, context.run_id) in self._control.live:
            return True
        record = await self._event_log.run(context.user_id, context.run_id)
        if record is not None and not record.is_of(idempotency_key):
            raise RunConflict(context.run_id, record)
        return record is not None

    async def _see_out(self, stream: RunStream, cleanup: Any) -> None:
        try:
            await stream.run.over()
        finally:
            await cleanup()

    async def wait(self, user_id: str, run_id: str) -> RunResult:
        if (run := self._control.live.get((user_id, run_id))) is not None:
            return await run.wait()
        record = await self.record(user_id, run_id)
        if record.status is None:
            raise RunConflict(run_id, record)
        return stored_result(record)

    async def cancel(self, user_id: str, run_id: str) -> CancelReceipt:
        return await self._control.cancel(user_id, run_id)

    async def record(self, user_id: str, run_id: str) -> RunRecord:
        record = await self._event_log.run(user_id, run_id)
        if record is None:
            raise UnknownRun(run_id)
        return record

    async def aclose(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)


def _keyed(spec: RunSpec) -> UserExecutionContext:
    """The context whose run id the idempotency key decides, if there is one."""
    if spec.idempotency_key is None:
        return spec.context
    values: Mapping[str, Any] = spec.context.to_dict()
    return UserExecutionContext.from_dict(
        {**values, "run_id": keyed_run_id(spec.context.user_id, spec.idempotency_key)}
    )
