"""The original's third factory, which was configured by its owner and asked without `await`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ssot_engine.current import awaited
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import RequestError
from ssot_engine.legacy.brought import bridge_of, registry_of
from ssot_engine.legacy.entry_points import CREATE, make_engine, notice
from ssot_engine.legacy.in_use import configure, in_use
from ssot_engine.legacy.unified_factory import check_config

__all__ = ["ExecutionEngineFactory", "get_execution_engine_factory"]

_MADE = notice("execution_factory.ExecutionEngineFactory", "`container.engine_factory()`")
_NOTICES = {
    name: notice(f"execution_factory.ExecutionEngineFactory.{name}", instead)
    for name, instead in {
        "configure": "providers of the container, such as `container.registry.override(…)`, before it runs",
        "create_execution_engine": CREATE,
        "cleanup_context": "`await engine.cleanup()`",
        "get_factory_metrics": "`factory.metrics()`",
    }.items()
}


class ExecutionEngineFactory:
    """Leads to the factory of the process's container. It keeps nothing, so any two of it are alike.

    Raises:
        TypeError: `config` holds anything.
    """

    __slots__ = ()

    def __init__(self, config: object = None) -> None:
        _MADE.give()
        check_config(config)

    def configure(
        self, agent_registry: object = None, websocket_bridge_factory: object = None, db_connection_pool: Any = None
    ) -> None:
        """Override providers of the process's container; the pool becomes its `database_session_manager`.

        Raises:
            ConfigError: an engine is open, or the bridge belongs to one user.
            TypeError: an argument is of another class.
        """
        _NOTICES["configure"].give()
        configure(
            "configure",
            registry=None if agent_registry is None else registry_of(agent_registry),
            bridge=None if websocket_bridge_factory is None else bridge_of(websocket_bridge_factory),
            database_session_manager=db_connection_pool,
        )

    @awaited
    def create_execution_engine(self, user_context: object) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context; always a UserExecutionEngine, or an error."""
        _NOTICES["create_execution_engine"].give()
        return make_engine(user_context)

    @awaited
    def cleanup_context(self, request_id: str) -> Coroutine[Any, Any, None]:
        """To be awaited: end the engines of a request.

        Raises:
            RequestError: no engine of that request is open.
        """
        _NOTICES["cleanup_context"].give()
        return _cleanup(request_id)

    def get_factory_metrics(self) -> Coroutine[Any, Any, dict[str, int]]:
        """To be awaited: what the factory of the container counted."""
        _NOTICES["get_factory_metrics"].give()
        return _metrics()


def get_execution_engine_factory() -> ExecutionEngineFactory:
    """A factory; it is not awaited."""
    return ExecutionEngineFactory()


async def _cleanup(request_id: str) -> None:
    container = await in_use()
    found = [engine for engine in container.engine_factory().engines() if engine.user_context.request_id == request_id]
    if not found:
        raise RequestError(
            f"no engine of request {request_id!r} is open; an engine is ended by `await engine.cleanup()`"
        )
    for engine in found:
        await engine.cleanup()


async def _metrics() -> dict[str, int]:
    container = await in_use()
    metrics: dict[str, int] = container.engine_factory().metrics()
    return metrics
