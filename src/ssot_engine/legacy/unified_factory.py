"""The original's second factory: class methods that lead to the factory of the process's container."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ssot_engine.context import UserExecutionContext
from ssot_engine.current import awaited
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import shown
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.legacy.brought import bridge_of, context_of, registry_of, tools_of
from ssot_engine.legacy.entry_points import CREATE, make_engine, notice
from ssot_engine.legacy.in_use import configure

__all__ = [
    "ExecutionEngineFactory",
    "UnifiedExecutionEngineFactory",
    "UnifiedFactory",
    "create_execution_engine_async",
    "create_user_execution_engine_async",
]

_OVERRIDE = "providers of the container, such as `container.bridge.override(…)`, before it runs"

_METHODS = (
    "create_engine", "create_user_engine", "create_for_user", "create_request_scoped_engine", "get_default_engine",
)  # fmt: skip
_FUNCTIONS = ("create_execution_engine_async", "create_user_execution_engine_async")
_NOTICES = {
    **{name: notice(f"UnifiedExecutionEngineFactory.{name}", _OVERRIDE) for name in ("configure", "set_defaults")},
    **{name: notice(f"UnifiedExecutionEngineFactory.{name}", CREATE) for name in _METHODS},
    **{name: notice(name, CREATE) for name in _FUNCTIONS},
}


class UnifiedExecutionEngineFactory:
    """The original's factory of engines for the whole process. It keeps nothing: the container does."""

    @classmethod
    def configure(
        cls,
        config: object = None,
        registry: object = None,
        websocket_bridge: object = None,
        tool_dispatcher: object = None,
    ) -> None:
        """Override providers of the process's container; None leaves one as it is.

        Raises:
            ConfigError: an engine is open, or the bridge belongs to one user.
            TypeError: an argument is of another class, or `config` holds anything.
        """
        _NOTICES["configure"].give()
        _configure("configure", config, registry, websocket_bridge, tool_dispatcher)

    @classmethod
    def set_defaults(
        cls,
        config: object = None,
        registry: object = None,
        websocket_bridge: object = None,
        tool_dispatcher: object = None,
    ) -> None:
        """The same as `configure`."""
        _NOTICES["set_defaults"].give()
        _configure("set_defaults", config, registry, websocket_bridge, tool_dispatcher)

    @classmethod
    @awaited
    def create_engine(
        cls,
        config: object = None,
        registry: object = None,
        websocket_bridge: object = None,
        user_context: object = None,
        tool_dispatcher: object = None,
    ) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context; what else is passed is this engine's alone.

        Raises:
            InvalidContext: there is no context, or the bridge is of another user.
            TypeError: an argument is of another class, or `config` holds anything.
        """
        _NOTICES["create_engine"].give()
        return _create(config, registry, websocket_bridge, user_context, tool_dispatcher)

    @classmethod
    @awaited
    def create_user_engine(
        cls, user_context: object = None, config: object = None
    ) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context."""
        _NOTICES["create_user_engine"].give()
        return _create(config, None, None, user_context, None)

    @classmethod
    @awaited
    def create_for_user(cls, user_context: object = None) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context."""
        _NOTICES["create_for_user"].give()
        return _create(None, None, None, user_context, None)

    @classmethod
    @awaited
    def create_request_scoped_engine(
        cls, request_id: str | None = None, user_context: object = None
    ) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context, under this request id if one is passed."""
        _NOTICES["create_request_scoped_engine"].give()
        return _create_for_request(request_id, user_context)

    @classmethod
    @awaited
    def get_default_engine(cls, user_context: object = None) -> Coroutine[Any, Any, UserExecutionEngine]:
        """To be awaited: an engine for this context. There is none for everybody.

        Raises:
            InvalidContext: there is no context.
        """
        _NOTICES["get_default_engine"].give()
        return _create(None, None, None, user_context, None)


UnifiedFactory = UnifiedExecutionEngineFactory


@awaited
def create_execution_engine_async(
    config: object = None,
    registry: object = None,
    websocket_bridge: object = None,
    user_context: object = None,
    tool_dispatcher: object = None,
) -> Coroutine[Any, Any, UserExecutionEngine]:
    """To be awaited: the same as `UnifiedExecutionEngineFactory.create_engine`."""
    _NOTICES["create_execution_engine_async"].give()
    return _create(config, registry, websocket_bridge, user_context, tool_dispatcher)


@awaited
def create_user_execution_engine_async(
    user_context: object = None, config: object = None
) -> Coroutine[Any, Any, UserExecutionEngine]:
    """To be awaited: the same as `UnifiedExecutionEngineFactory.create_user_engine`."""
    _NOTICES["create_user_execution_engine_async"].give()
    return _create(config, None, None, user_context, None)


# -------------------------------------------------------------------------- workings


def check_config(config: object) -> None:
    """Refuse what nobody would read: limits are settings here.

    Raises:
        TypeError: there is something in it.
    """
    if config is not None and config != {}:
        raise TypeError(
            f"config {shown(config)} would have no effect: limits and times are settings; leave config out and set "
            "engine.max_concurrent_runs_per_engine, engine.run_timeout_s and the like (`ssot-engine config show`)"
        )


def _configure(door: str, config: object, registry: object, websocket_bridge: object, tool_dispatcher: object) -> None:
    check_config(config)
    configure(
        door,
        registry=None if registry is None else registry_of(registry),
        bridge=None if websocket_bridge is None else bridge_of(websocket_bridge),
        tools=None if tool_dispatcher is None else tools_of(tool_dispatcher),
    )


async def _create(
    config: object, registry: object, websocket_bridge: object, user_context: object, tool_dispatcher: object
) -> UserExecutionEngine:
    check_config(config)
    return await make_engine(
        user_context, registry=registry, websocket_bridge=websocket_bridge, tool_dispatcher=tool_dispatcher
    )


async def _create_for_request(request_id: str | None, user_context: object) -> UserExecutionEngine:
    context = context_of(user_context)
    if request_id is not None and request_id != context.request_id:
        context = UserExecutionContext(
            context.user_id, context.thread_id, context.run_id, request_id, dict(context.metadata)
        )
    return await make_engine(context)
