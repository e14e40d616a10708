"""`engine.execute_agent`: the original's way to run an agent, its request and its result."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import InvalidContext, shown
from ssot_engine.events import RunResult, RunStatus
from ssot_engine.ids import check_id
from ssot_engine.legacy.deprecation import used
from ssot_engine.logs import get_logger

log = get_logger("ssot_engine.legacy")

#: Where a request's metadata may hold what the user wrote, the likeliest first.
MESSAGE_KEYS = ("message", "user_message", "user_request", "user_prompt", "query")

_RIGHT_CALL = (
    "call `await engine.execute_agent(AgentExecutionContext(run_id, thread_id, user_id, agent_name, metadata={...}))`, "
    "or better `await engine.run(agent_name, message)`"
)
#: What a request's fields must be for a run to be made of them.
_WANTED: dict[str, Any] = {"metadata": Mapping, "timeout": (int, float)}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class AgentExecutionContext:
    """Which agent is to run, for whom, with what. The original's class: plain data that its owner may change.

    `timeout` is in seconds, `engine.run_timeout_s` if None. `metadata` are the agent's inputs; the user's text is what
    stands under the first of `MESSAGE_KEYS`. A run is never repeated by the engine: `retry_count` and `max_retries`
    are the owner's own notes.
    """

    run_id: str
    thread_id: str
    user_id: str
    agent_name: str
    retry_count: int = 0
    max_retries: int = 3
    timeout: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    started_at: datetime = field(default_factory=_now)
    correlation_id: str | None = None
    trace_context: Any = None
    request_id: str | None = None
    step: Any = None
    execution_timestamp: datetime | None = None
    pipeline_step_num: int | None = None


@dataclass
class AgentExecutionResult:
    """How a run ended. The original's class.

    `duration` is in seconds. `metadata` has the `run_id` of the run's events, its `status`, and `timeout` if it took
    too long; `metrics` counts what it used; `data` is what the agent answered.
    """

    success: bool
    agent_name: str | None = None
    user_context: UserExecutionContext | None = None
    error: str | None = None
    duration: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    data: Any = None


class IExecutionEngine(ABC):
    """What runs agents by `execute_agent`. `UserExecutionEngine` counts as one."""

    @abstractmethod
    async def execute_agent(
        self, context: AgentExecutionContext, user_context: UserExecutionContext | None = None
    ) -> AgentExecutionResult:
        """Run the agent that the context names, to its end."""


IExecutionEngine.register(UserExecutionEngine)


def execute_agent(
    engine: UserExecutionEngine, context: AgentExecutionContext, user_context: UserExecutionContext | None = None
) -> Coroutine[Any, Any, AgentExecutionResult]:
    """To be awaited: run the agent that the context names. One that fails, or takes too long, is a result.

    Raises:
        InvalidContext: one of the contexts is of another user or thread than the engine, or an id is refused.
        TypeError: an argument is no context.
        UnknownAgent: no such agent.
        EngineLimitReached: too many runs at once.
        RunConflict: a run of the engine's first run id exists.
        ClosedError: the engine's scope has ended.
    """
    # Told here and not in the coroutine: a task of its own would hide who called.
    used("UserExecutionEngine.execute_agent", "engine.run(agent_name, message)", since="0.1", removed_in="1.0")
    return _execute(engine, context, user_context)


async def _execute(
    engine: UserExecutionEngine, context: AgentExecutionContext, user_context: UserExecutionContext | None
) -> AgentExecutionResult:
    _check(engine.user_context, context, user_context)
    inputs = context.metadata or {}
    began = time.monotonic()
    result = await engine.run(
        context.agent_name, _message(inputs, engine.user_context), inputs=inputs, timeout_s=context.timeout
    )
    if result.run_id != context.run_id:
        log.info("run_renamed", asked=context.run_id, run_id=result.run_id, engine_id=engine.engine_id)
    return _result(engine, context, result, time.monotonic() - began)


def _check(mine: UserExecutionContext, context: object, user_context: object) -> None:
    """The engine runs agents for its own user and thread only."""
    if not isinstance(context, AgentExecutionContext):
        raise TypeError(f"context {shown(context)} is no AgentExecutionContext; {_RIGHT_CALL}")
    if user_context is not None and not isinstance(user_context, UserExecutionContext):
        raise TypeError(f"user_context {shown(user_context)} is no UserExecutionContext; {_RIGHT_CALL}")
    check_id("run_id", context.run_id)
    # It is the owner's to fill, so nobody looked at it yet; None stands for what it has by itself.
    for field_name, kinds in _WANTED.items():
        if (value := getattr(context, field_name)) is not None and not isinstance(value, kinds):
            raise TypeError(f"{field_name} of the AgentExecutionContext is {shown(value)}; {_RIGHT_CALL}")
    for other in (context, user_context):
        if other is None:
            continue
        for name in ("user_id", "thread_id"):
            if getattr(other, name) != getattr(mine, name):
                problem = f"is not the engine's, {getattr(mine, name)!r}; ask a factory for an engine of that context"
                raise InvalidContext(name, getattr(other, name), problem)


def _message(metadata: Mapping[str, Any], context: UserExecutionContext) -> str:
    """What the user wrote; "" if neither the request nor the context tells."""
    for source in (metadata, context.metadata):
        for key in MESSAGE_KEYS:
            if isinstance(text := source.get(key), str):
                return text
    return ""


def _result(
    engine: UserExecutionEngine, context: AgentExecutionContext, result: RunResult, duration_s: float
) -> AgentExecutionResult:
    metadata: dict[str, Any] = {"run_id": result.run_id, "status": result.status.value, "engine_id": engine.engine_id}
    if result.status is RunStatus.TIMED_OUT:
        metadata["timeout"] = True
    usage = result.usage
    return AgentExecutionResult(
        success=result.status is RunStatus.COMPLETED,
        agent_name=context.agent_name,
        user_context=engine.user_context,
        error=_why(result),
        duration=duration_s,
        metadata=metadata,
        metrics={name: getattr(usage, name) for name in usage.__struct_fields__},
        data=result.output,
    )


def _why(result: RunResult) -> str | None:
    if result.status is RunStatus.COMPLETED:
        return None
    return f"the run was {result.status.value}" if result.error is None else result.error.message
