"""The doors of before that are functions: each tells that it was used, and leads to the one factory."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Never

from ssot_engine.context import UserExecutionContext
from ssot_engine.current import awaited
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import shown
from ssot_engine.factory import EngineLease, ExecutionEngineFactory
from ssot_engine.legacy.brought import anonymous_context, bridge_of, brought, by_kind, context_of
from ssot_engine.legacy.deprecation import Notice
from ssot_engine.legacy.execution import execute_agent
from ssot_engine.legacy.in_use import configure, in_use
from ssot_engine.scoping.graph import class_in_force

__all__ = [
    "configure_execution_engine_factory",
    "create_execution_engine",
    "create_from_legacy",
    "create_request_scoped_engine",
    "execute_agent",
    "get_execution_engine_factory",
    "user_execution_engine",
    "user_execution_scope",
]

#: Since when the doors are deprecated, and in which version they go.
SINCE, REMOVED_IN = "0.1", "1.0"

#: What takes the place of most of them.
CREATE = "`await container.engine_factory().create_for_user(context)`"
_SCOPED_CALL = "call `engine = await create_request_scoped_engine(context)`, and `await engine.cleanup()` at its end"
_BLOCK_CALL = "write `async with user_execution_engine(context) as engine:`"


def notice(door: str, instead: str) -> Notice:
    """What the use of a door says."""
    return Notice(door, instead, since=SINCE, removed_in=REMOVED_IN)


_FROM_LEGACY = notice("UserExecutionEngine.create_from_legacy", CREATE)
_FACTORY = notice("get_execution_engine_factory", "`container.engine_factory()`")
_CONFIGURE = notice("configure_execution_engine_factory", "`container.bridge.override(…)` before the container runs")
_SCOPED = notice("create_request_scoped_engine", CREATE)
_BLOCK = notice("user_execution_engine", "`async with container.engine_factory().engine_for(context) as engine`")
_FACTORY_CREATE = notice("ExecutionEngineFactory.create_execution_engine", "`await factory.create_for_user(context)`")
_FACTORY_BLOCK = notice(
    "ExecutionEngineFactory.user_execution_scope", "`async with factory.engine_for(context) as engine`"
)


# ------------------------------------------------------------------------ one engine


@awaited
def create_from_legacy(
    cls: type, registry: object = None, websocket_bridge: object = None, user_context: object = None
) -> Coroutine[Any, Any, UserExecutionEngine]:
    """To be awaited: an engine of what the caller brings, for this call alone; see `UserExecutionEngine`."""
    _FROM_LEGACY.give()
    return _create_from_legacy(cls, registry, websocket_bridge, user_context)


async def _create_from_legacy(
    cls: type, registry: object, websocket_bridge: object, user_context: object
) -> UserExecutionEngine:
    context, overrides = brought(user_context, registry=registry, websocket_bridge=websocket_bridge)
    container = await in_use()
    if context is None:
        context = anonymous_context(container.ids(), container.settings().legacy)
    if cls is not UserExecutionEngine:
        _check_class(cls, class_in_force(container.engine))
    engine: UserExecutionEngine = await container.engine_factory().create_for_user(context, **overrides)
    engine.compatibility_mode = True
    return engine


def _check_class(cls: type, made: type | None) -> None:
    """A subclass is not made behind the container's back."""
    if made is None or not issubclass(made, cls):
        raise TypeError(
            f"{cls.__name__}.create_from_legacy() would not give a {cls.__name__}: the container makes "
            f"{shown(made)}; replace its provider, `providers: {{engine: {cls.__module__}.{cls.__qualname__}}}`"
        )


def make_engine(user_context: object, **arguments: object) -> Coroutine[Any, Any, UserExecutionEngine]:
    """To be awaited: an engine of the process's container for this context, with what else was brought.

    Raises:
        InvalidContext: the context is none: no anonymous user comes by this way.
    """
    return _make_engine(user_context, arguments)


async def _make_engine(user_context: object, arguments: dict[str, object]) -> UserExecutionEngine:
    context = context_of(user_context)
    overrides = brought(context, **arguments).overrides
    container = await in_use()
    engine: UserExecutionEngine = await container.engine_factory().create_for_user(context, **overrides)
    engine.compatibility_mode = True
    return engine


# ------------------------------------------------------------------------ the factory


@awaited
def get_execution_engine_factory() -> Coroutine[Any, Any, ExecutionEngineFactory]:
    """To be awaited: the factory of the process's container."""
    _FACTORY.give()
    return _factory()


async def _factory() -> ExecutionEngineFactory:
    container = await in_use()
    factory: ExecutionEngineFactory = container.engine_factory()
    return factory


@awaited
def configure_execution_engine_factory(
    websocket_bridge: object = None, database_session_manager: Any = None, redis_manager: Any = None
) -> Coroutine[Any, Any, ExecutionEngineFactory]:
    """To be awaited: override providers of the process's container, and get its factory.

    Raises:
        ConfigError: an engine is open, or the bridge belongs to one user.
        WrongArgument: the bridge is none.
    """
    _CONFIGURE.give()
    return _configure(websocket_bridge, database_session_manager, redis_manager)


async def _configure(
    websocket_bridge: object, database_session_manager: Any, redis_manager: Any
) -> ExecutionEngineFactory:
    configure(
        "configure_execution_engine_factory",
        bridge=None if websocket_bridge is None else bridge_of(websocket_bridge),
        database_session_manager=database_session_manager,
        redis_manager=redis_manager,
    )
    return await _factory()


# ------------------------------------------------------------- engines of one request


class EngineCall(Coroutine[Any, Any, UserExecutionEngine]):
    """An engine that is under way: `await` it. Used like the engine itself, it says so."""

    __slots__ = ("_coroutine", "_right_call")

    def __init__(self, coroutine: Coroutine[Any, Any, UserExecutionEngine], right_call: str) -> None:
        self._coroutine = coroutine
        self._right_call = right_call

    def __await__(self) -> Generator[Any, Any, UserExecutionEngine]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on, for a task."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise in it, for a task."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Never begin."""
        self._coroutine.close()

    def __enter__(self) -> Never:
        raise TypeError(f"an engine that is not awaited yet was entered; {self._right_call}")

    def __exit__(self, *error: object) -> None:
        """Never reached."""

    def __getattr__(self, name: str) -> Never:
        raise AttributeError(f"an engine that is not awaited yet was asked for {name!r}; {self._right_call}")


@awaited
def create_request_scoped_engine(
    *brought: object,
    context: object = None,
    user_context: object = None,
    registry: object = None,
    websocket_bridge: object = None,
    max_concurrent_executions: int | None = None,
    **unknown: object,
) -> EngineCall:
    """To be awaited: an engine for this context, which the caller ends with `cleanup()`.

    The original had three functions of this name: `(context)`, `(registry, websocket_bridge, user_context)` and
    `(user_context, registry, websocket_bridge, max_concurrent_executions)`; what is passed by position is told apart
    by what it is. `max_concurrent_executions` lowers `engine.max_concurrent_runs_per_engine` for this engine.

    Raises:
        TypeError: an argument is none of these, or is passed twice.
        InvalidContext: there is no context, or the bridge is of another user.
    """
    limit = max_concurrent_executions
    if len(brought) == 4 and limit is None and type(brought[3]) is int:
        *brought, limit = brought  # type: ignore[assignment]
    if unknown or (context is not None and user_context is not None):
        names = ", ".join(f"{name}=" for name in unknown) or "context= and user_context= at once"
        raise TypeError(f"create_request_scoped_engine() does not take {names}; {_SCOPED_CALL}")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise TypeError(f"max_concurrent_executions {shown(limit)} is no number of runs; {_SCOPED_CALL}")
    named = {
        "user_context": user_context if context is None else context,
        "registry": registry,
        "websocket_bridge": websocket_bridge,
    }
    found = by_kind(brought, named, _SCOPED_CALL)
    if "user_context" not in found:
        raise TypeError(f"create_request_scoped_engine() was called without a UserExecutionContext; {_SCOPED_CALL}")
    _SCOPED.give()
    return EngineCall(_create_request_scoped(limit, found), _SCOPED_CALL)


async def _create_request_scoped(limit: int | None, found: dict[str, object]) -> UserExecutionEngine:
    engine = await make_engine(**found)
    if limit is not None:
        engine.max_runs = min(limit, engine.max_runs)
    return engine


class EngineBlock:
    """`async with` it: the engine of a context, which ends with the block."""

    __slots__ = ("_context", "_lease")

    def __init__(self, context: UserExecutionContext) -> None:
        self._context = context
        self._lease: EngineLease | None = None

    async def __aenter__(self) -> UserExecutionEngine:
        container = await in_use()
        self._lease = container.engine_factory().engine_for(self._context)
        engine = await self._lease.__aenter__()
        engine.compatibility_mode = True
        return engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.__aexit__(kind, error, trace)

    def __enter__(self) -> Never:
        raise TypeError(f"an engine opens and closes asynchronously, a plain `with` cannot do that; {_BLOCK_CALL}")

    def __exit__(self, *error: object) -> None:
        """Never reached."""

    def __await__(self) -> Never:
        raise TypeError(f"user_execution_engine() is a block, not a call to await; {_BLOCK_CALL}")


def user_execution_engine(
    context: object = None, *others: object, user_context: object = None, **unknown: object
) -> EngineBlock:
    """An engine of this context for the length of a block: `async with user_execution_engine(context) as engine`.

    Raises:
        TypeError: anything else than one context was passed.
    """
    given = [value for value in (context, user_context, *others, *unknown.values()) if value is not None]
    if len(given) != 1 or unknown or not isinstance(given[0], UserExecutionContext):
        told = ", ".join(map(shown, given)) or "nothing"
        raise TypeError(f"user_execution_engine() takes one UserExecutionContext and was given {told}; {_BLOCK_CALL}")
    _BLOCK.give()
    return EngineBlock(given[0])


# --------------------------------------------------------------- methods of a factory


@awaited
def create_execution_engine(
    factory: ExecutionEngineFactory, context: UserExecutionContext
) -> Coroutine[Any, Any, UserExecutionEngine]:
    """To be awaited: an engine of this factory."""
    _FACTORY_CREATE.give()
    return factory.create_for_user(context)


def user_execution_scope(factory: ExecutionEngineFactory, context: UserExecutionContext) -> EngineLease:
    """An engine of this factory for the length of a block."""
    _FACTORY_BLOCK.give()
    return factory.engine_for(context)
