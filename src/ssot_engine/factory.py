"""The one authority that makes engines: it counts, limits, sweeps and closes them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Never

from ssot_engine import current
from ssot_engine.admission import Admission
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ClosedError, InvalidContext, RequestError, SsotEngineError, shown
from ssot_engine.former_calls import MISSING, refusal, shows_right_call
from ssot_engine.logs import get_logger
from ssot_engine.metrics import Metrics
from ssot_engine.scoping.scope import Scope
from ssot_engine.scoping.scoped import Scoped
from ssot_engine.settings import Settings

log = get_logger("ssot_engine.factory")


_RIGHT_CALL = (
    "there is one in each container: `container.engine_factory()`, or `await get_execution_engine_factory()`; what it "
    "makes engines of are the container's providers, such as `container.bridge.override(...)`"
)


class ExecutionEngineFactory:
    """Makes engines, each in a scope of its own, and keeps account of those that live.

    What a caller brings for one engine (`bridge=`, `registry=`, `tools=`) replaces that provider in that engine's
    scope only.
    """

    @shows_right_call
    def __init__(
        self,
        open_scope: Callable[..., Scope],
        engine: Scoped[UserExecutionEngine],
        bridge: Scoped[AgentWebSocketBridge],
        admission: Admission,
        metrics: Metrics,
        settings: Settings,
        *others: Never,
        **former: Never,
    ) -> None:
        if settings is MISSING or others or former:
            raise refusal("ExecutionEngineFactory()", _RIGHT_CALL, former)
        self._open_scope = open_scope
        self._engine = engine
        self._bridge = bridge
        self._admission = admission
        self._metrics = metrics
        self._settings = settings
        self._engines: dict[str, UserExecutionEngine] = {}
        self._state = "not started"
        self._strict = settings.context.strict_ids
        self._slots = admission.engines

    # ------------------------------------------------------------------- making engines

    def engine_for(self, context: UserExecutionContext, **brought: Any) -> EngineLease:
        """An engine for the length of a block: `async with factory.engine_for(context) as engine`."""
        return EngineLease(self, context, brought)

    async def create_for_user(self, context: UserExecutionContext, **brought: Any) -> UserExecutionEngine:
        """An engine that the caller owns: it lives until `await engine.cleanup()`, or until it was idle too long.

        Raises:
            InvalidContext: the context is none, or its ids are refused; or a bridge of another user was brought.
            EngineLimitReached: the user, or the process, has too many engines.
            ClosedError: the container does not run.
        """
        self._check(context)
        try:
            sibling = _bind_bridge(context, brought) if brought else None
        except Exception as failure:
            if not self._stands_in(failure):
                raise
            return await self._create_degraded(context, brought, failure)
        if not self._slots.take(context.user_id):
            await self._wait_for_slot(context)
        ending = _Ending(self, context.user_id)
        scope = self._open(context, brought, ending)
        if sibling is not None:
            scope.on_close(sibling.aclose)
        try:
            engine = scope.get(self._engine)
        except BaseException as failure:
            self._metrics.engines_failed += 1
            await scope.aclose()
            if isinstance(failure, Exception) and self._may_degrade(brought):
                return await self._create_degraded(context, brought, failure)
            raise
        ending.engine_id = engine.engine_id
        engine.owns(scope)
        self._engines[engine.engine_id] = engine
        self._metrics.engines_created += 1
        return engine

    @current.awaited
    def create_execution_engine(self, context: UserExecutionContext) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: the same as `create_for_user`, by its former name."""
        return current.doors().create_execution_engine(self, context)

    def user_execution_scope(self, context: UserExecutionContext) -> EngineLease:
        """The same as `engine_for`, by its former name."""
        return current.doors().user_execution_scope(self, context)  # type: ignore[no-any-return]

    def _check(self, context: UserExecutionContext) -> None:
        if self._state != "running":
            raise ClosedError(
                f"this factory makes no engines: its container is {self._state}; "
                "make them inside `async with container.running():`"
            )
        if not isinstance(context, UserExecutionContext):
            raise InvalidContext("context", context, "is no UserExecutionContext; make one with from_request()")
        if self._strict:
            context.check_strict()

    async def _wait_for_slot(self, context: UserExecutionContext) -> None:
        await self._admission.wait_for_engine(context.user_id)
        try:
            # The container may have been shut down meanwhile.
            self._check(context)
        except BaseException:
            self._slots.release(context.user_id)
            raise

    def _open(self, context: UserExecutionContext, brought: dict[str, Any], ending: _Ending) -> Scope:
        """A scope that holds the user's slot: its end gives the slot back, whatever way it ends."""
        try:
            scope = self._open_scope(context=context, **brought)
        except BaseException:
            self._slots.release(context.user_id)
            raise
        scope.on_close(ending)
        return scope

    def _may_degrade(self, brought: dict[str, Any]) -> bool:
        if self._settings.engine.bridge_failure != "degrade" or "bridge" in brought:
            return False
        return self._bridge.last_overriding is not None or self._bridge.provides is not AgentWebSocketBridge

    def _stands_in(self, failure: Exception) -> bool:
        """Whether a bridge that was brought could not be bound because its own code failed, and may be replaced."""
        return self._settings.engine.bridge_failure == "degrade" and not isinstance(failure, SsotEngineError)

    async def _create_degraded(
        self, context: UserExecutionContext, brought: dict[str, Any], failure: Exception
    ) -> UserExecutionEngine:
        """A host's bridge could not be built: the built-in one, which only appends to the log, stands in for it."""
        engine = await self.create_for_user(context, **{**brought, "bridge": AgentWebSocketBridge()})
        engine.degraded = True
        self._metrics.bridges_degraded += 1
        log.warning("bridge_degraded", user_id=context.user_id, run_id=context.run_id, error=repr(failure))
        return engine

    # ----------------------------------------------------------------------- life cycle

    @property
    def is_running(self) -> bool:
        """Whether it makes engines now."""
        return self._state == "running"

    def start(self) -> None:
        """Make engines from now on."""
        if self._state == "shut down":
            raise ClosedError("this factory was shut down; make another container")
        self._state = "running"

    def engines(self) -> list[UserExecutionEngine]:
        """The engines that live, oldest first."""
        return list(self._engines.values())

    def metrics(self) -> dict[str, int]:
        """What was counted since the container was made; `engines_active` is what lives now."""
        return self._metrics.snapshot()

    async def cleanup_engine(self, engine: UserExecutionEngine) -> None:
        """End an engine, as `await engine.cleanup()` does. One that has ended already is left alone.

        Raises:
            RequestError: another factory made it, or none did.
        """
        if not isinstance(engine, UserExecutionEngine) or (
            engine.is_active() and self._engines.get(engine.engine_id) is not engine
        ):
            raise RequestError(f"{shown(engine)} is no engine of this factory; call `await engine.cleanup()` on yours")
        await engine.cleanup()

    async def sweep(self, now: float | None = None) -> int:
        """Close engines that had no run for `engine.idle_timeout_s`; how many. `now` is of the monotonic clock."""
        oldest = (time.monotonic() if now is None else now) - self._settings.engine.idle_timeout_s
        swept = 0
        for engine in self.engines():
            # Looked at only now: while an earlier one was closing, this one may have begun a run.
            if engine.active_runs or engine.idle_since > oldest or not engine.is_active():
                continue
            swept += 1
            context = engine.user_context
            log.info("engine_swept", engine_id=engine.engine_id, user_id=context.user_id, run_id=context.run_id)
            self._metrics.engines_swept += 1
            await self._close(engine)
        return swept

    async def shutdown(self) -> None:
        """Make no more engines; let open runs finish for `engine.drain_timeout_s`, cancel the rest, close all engines.

        Safe to call twice.
        """
        self._state = "shut down"
        engines = self.engines()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.engine.drain_timeout_s):
                await asyncio.gather(*(engine.runs_over() for engine in engines))
        await asyncio.gather(*(self._close(engine) for engine in self.engines()))

    async def _close(self, engine: UserExecutionEngine) -> None:
        """Close one engine; what its parts raise must not keep the others open."""
        try:
            await engine.cleanup()
        except Exception as error:
            # A host's own parts may raise anything when they close.
            self._metrics.sweeps_failed += 1
            log.error("engine_close_failed", engine_id=engine.engine_id, error=repr(error))

    def ended(self, user_id: str, engine_id: str | None) -> None:
        """A scope has ended, with the engine of this id in it, or None if it never came to be."""
        self._slots.release(user_id)
        if engine_id is not None:
            self._engines.pop(engine_id, None)
            self._metrics.engines_closed += 1


class EngineLease:
    """An engine for the length of an `async with` block."""

    __slots__ = ("_brought", "_context", "_engine", "_factory")

    def __init__(self, factory: ExecutionEngineFactory, context: UserExecutionContext, brought: dict[str, Any]) -> None:
        self._factory = factory
        self._context = context
        self._brought = brought
        self._engine: UserExecutionEngine | None = None

    async def __aenter__(self) -> UserExecutionEngine:
        self._engine = engine = await self._factory.create_for_user(self._context, **self._brought)
        return engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.cleanup()


class _Ending:
    """The first closer of a scope, so the last to be called: it gives the user's slot back."""

    __slots__ = ("engine_id", "factory", "user_id")

    def __init__(self, factory: ExecutionEngineFactory, user_id: str) -> None:
        self.factory = factory
        self.user_id = user_id
        self.engine_id: str | None = None

    def __call__(self) -> None:
        self.factory.ended(self.user_id, self.engine_id)


def _bind_bridge(context: UserExecutionContext, brought: dict[str, Any]) -> AgentWebSocketBridge | None:
    """A bridge that was brought serves this context, or is refused; its sibling, if one was made and must be closed."""
    bridge = brought.get("bridge")
    if isinstance(bridge, AgentWebSocketBridge):
        bound = brought["bridge"] = bridge.for_context(context)
        return None if bound is bridge else bound
    if "bridge" in brought:
        raise InvalidContext("bridge", bridge, "is no AgentWebSocketBridge; make one with create_for_user()")
    return None
