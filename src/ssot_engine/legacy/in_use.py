"""The container in use: the one the process was told of, or a default one, running on the caller's event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, Literal, NamedTuple, cast
from weakref import WeakKeyDictionary

from dependency_injector import providers

from ssot_engine import current
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import ClosedError, ConfigError, shown
from ssot_engine.legacy import deprecation
from ssot_engine.legacy.census import census
from ssot_engine.logs import get_logger
from ssot_engine.scoping.scoped import Scoped
from ssot_engine.settings import LegacySettings, Settings

__all__ = ["UNTOUCHED", "Handover", "State", "configure", "in_use", "restore", "snapshot", "use"]

log = get_logger("ssot_engine.legacy.in_use")


class _Home:
    """A container that was started here, on one event loop; that loop's end ends it too."""

    __slots__ = ("container", "factory", "loop", "running", "starting")

    def __init__(self, container: ExecutionContainer, loop: AbstractEventLoop) -> None:
        self.container = container
        self.factory = container.engine_factory()
        self.loop = loop
        # The loop ends asynchronous generators when it is shut down, and so this block.
        self.running = container.running()
        self.starting: asyncio.Task[None] | None = None

    async def start(self, configured: list[str], *, is_default: bool) -> None:
        await self.running.__aenter__()
        if is_default:
            log.warning(
                "default_container_started",
                events_url=self.container.settings().events.url,
                configured=configured,
                advice="call legacy.use(container) with the container of the process",
            )

    async def stop(self) -> None:
        if self.starting is not None:
            await asyncio.wait((self.starting,))
        await self.running.__aexit__(None, None, None)
        log.info("container_replaced", engines_closed=self.factory.metrics()["engines_closed"])


#: Who was told → loop: what was started here. None stands for the default containers, one for each loop.
_Key = tuple[ExecutionContainer | None, AbstractEventLoop]

_lock = threading.RLock()
_homes: dict[_Key, _Home] = {}
#: What `configure` was told while no container was named; each default container gets it.
_configuration: dict[str, Any] = {}
#: The overrides that `configure` made.
_ours: WeakKeyDictionary[ExecutionContainer, dict[str, providers.Provider[Any]]] = WeakKeyDictionary()


# ------------------------------------------------------------------------- who is it


async def in_use() -> ExecutionContainer:
    """The process's container, running on this event loop; one that does not run yet is started.

    Raises:
        ClosedError: it was shut down, or runs on another event loop.
        ConfigError: it cannot start.
    """
    loop = asyncio.get_running_loop()
    named: Any = current.chosen()
    home = _homes.get((named, loop))
    if home is None:
        if named is not None and named.engine_factory().is_running:
            _check_loop(named, loop)
            return named  # type: ignore[no-any-return]
        home = _begin(named, loop)
    if home.starting is not None:
        await asyncio.shield(home.starting)
    if not home.factory.is_running:
        raise ClosedError(
            "the process's container was shut down and makes no more engines; name another with legacy.use(container)"
        )
    return home.container


def _check_loop(container: ExecutionContainer, loop: AbstractEventLoop) -> None:
    if (mine := container.event_log().loop) is not loop:
        raise _elsewhere(mine)


def _elsewhere(loop: AbstractEventLoop) -> ClosedError:
    state = "that is closed" if loop.is_closed() else "of another thread"
    return ClosedError(
        f"the process's container runs on an event loop {state}; use it there, or name another with "
        "legacy.use(container)"
    )


def _begin(named: ExecutionContainer | None, loop: AbstractEventLoop) -> _Home:
    """Start the named container, or a default one, on the running loop, whose thread alone does so."""
    with _lock:
        _forget_closed_loops()
        if named is not None:
            for other, elsewhere in _homes:
                if other is named:
                    raise _elsewhere(elsewhere)
        home = _homes[named, loop] = _Home(_default() if named is None else named, loop)
        start = home.start(sorted(_configuration), is_default=named is None)
        home.starting = loop.create_task(start, name="container_start")
    home.container.own_tasks.add(home.starting)

    def started(task: asyncio.Task[None]) -> None:
        home.starting = None
        if task.cancelled() or task.exception() is not None:
            with _lock:
                if _homes.get((named, loop)) is home:
                    del _homes[named, loop]

    home.starting.add_done_callback(started)
    return home


def _default() -> ExecutionContainer:
    container = ExecutionContainer.from_settings(Settings())
    _obey(container.settings().legacy)
    _override(container, _configuration)
    return container


def _obey(settings: LegacySettings) -> None:
    """What the settings say of old doors is true of the whole process."""
    deprecation.raise_instead(settings.warn)
    census.write_at_exit(settings.census_file)


def _forget_closed_loops() -> None:
    """Let go of containers whose event loop is gone: they cannot be drained any more."""
    for key, home in list(_homes.items()):
        if home.loop.is_closed():
            del _homes[key]
            _tell_abandoned(home.container)


def _tell_abandoned(container: ExecutionContainer) -> None:
    """A loop that was shut down in order has ended its container; another left it as it was."""
    if container.engine_factory().is_running:
        log.warning(
            "container_abandoned",
            engines_open=len(container.engine_factory().engines()),
            reason="its event loop was closed before it was drained; end it inside asyncio.run() or asyncio.Runner",
        )


# ------------------------------------------------------------------------ another one


class Handover:
    """One container after another: `await` it to know that the old one is drained. It is drained anyway."""

    __slots__ = ("_draining",)

    def __init__(self, draining: list[concurrent.futures.Future[None]]) -> None:
        self._draining = draining

    def __await__(self) -> Generator[Any, None, None]:
        for future in self._draining:
            # Who stops waiting does not stop the draining.
            yield from asyncio.shield(asyncio.wrap_future(future))


def use(container: ExecutionContainer | None) -> Handover:
    """From now on legacy doors lead to this container; None: to a default one.

    The one before is drained on its own event loop: it makes no more engines, its runs may finish for
    `engine.drain_timeout_s`. One that does not run yet is started by the first door that leads there, and ends with
    that event loop.

    Raises:
        ConfigError: it is no ExecutionContainer.
    """
    if container is not None and not isinstance(container, ExecutionContainer):
        raise ConfigError(
            f"legacy.use() was given {shown(container)}, which is no container; pass "
            "ExecutionContainer.from_settings(Settings())"
        )
    with _lock:
        before = cast("ExecutionContainer | None", current.choose(container))
        if before is container:
            return Handover([])
        old = [_homes.pop(key) for key in list(_homes) if key[0] is before]
    if container is None:
        # What the one before said is over; a default one says its own when it starts.
        deprecation.raise_instead("default")
    else:
        _obey(container.settings().legacy)
    draining = [_drained(home.container, home.loop, home.stop) for home in old]
    if before is not None and not old and before.engine_factory().is_running:
        draining.append(_drained(before, before.event_log().loop, before.engine_factory().shutdown))
    return Handover([future for future in draining if future is not None])


def _drained(
    container: ExecutionContainer, loop: AbstractEventLoop, drain: Callable[[], Coroutine[Any, Any, None]]
) -> concurrent.futures.Future[None] | None:
    """Drain a container where it lives, whoever asks; None if that place is gone."""
    if loop.is_closed():
        _tell_abandoned(container)
        return None
    return asyncio.run_coroutine_threadsafe(_drain(container, drain), loop)


async def _drain(container: ExecutionContainer, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if (task := asyncio.current_task()) is not None:
        container.own_tasks.add(task)
    try:
        await drain()
    except Exception as error:
        # A host's own parts may raise anything when they close, and perhaps nobody awaits this.
        log.error("container_drain_failed", error=repr(error))
        raise


# ------------------------------------------------------------------------ its providers


def configure(door: str, **values: Any) -> None:
    """Override providers of the process's container, for every engine from now on; None leaves one as it is.

    While no container was named, this holds for the default one, of each event loop.

    Raises:
        ConfigError: an engine is open, or a bridge belongs to one user.
    """
    values = {name: value for name, value in values.items() if value is not None}
    _check_for_everybody(door, values.get("bridge"))
    with _lock:
        named = cast("ExecutionContainer | None", current.chosen())
        targets = [home.container for key, home in _homes.items() if key[0] is named and not home.loop.is_closed()]
        if named is not None and not targets:
            targets = [named]
        for container in targets:
            _check_idle(door, container)
        for container in targets:
            _override(container, values)
        if named is None:
            _configuration.update(values)


def _check_for_everybody(door: str, bridge: AgentWebSocketBridge | None) -> None:
    if bridge is not None and bridge.user_context is not None:
        raise ConfigError(
            f"{door}() was given a bridge of user {bridge.user_context.user_id!r} for everybody; pass an unbound one, "
            "AgentWebSocketBridge(), or bring it to the call that makes that user's engine"
        )


def _check_idle(door: str, container: ExecutionContainer) -> None:
    if open_engines := len(container.engine_factory().engines()):
        raise ConfigError(
            f"{door}() came while {open_engines} engines are open, which were made without it; configure before the "
            "first engine, or name another container with legacy.use(container)"
        )


def _override(container: ExecutionContainer, values: Mapping[str, Any]) -> None:
    """Put values in the place of providers; what an earlier call put there goes."""
    ours = _ours.setdefault(container, {})
    for name, value in values.items():
        provider = container.providers[name]
        if name in ours and provider.last_overriding is ours[name]:
            provider.reset_last_overriding()
        ours[name] = _bridges(container, value) if name == "bridge" else providers.Object(value)
        provider.override(ours[name])


def _bridges(container: ExecutionContainer, template: AgentWebSocketBridge) -> providers.Provider[Any]:
    def sibling(context: UserExecutionContext) -> AgentWebSocketBridge:
        return template.for_context(context)

    return Scoped(sibling, context=container.context, close="aclose")


# ---------------------------------------------------------------------- for the test kit


class State(NamedTuple):
    """What is process-wide here, for a test to put back."""

    named: current.ProcessContainer | None
    configuration: dict[str, Any]
    warn: Literal["default", "error"]


#: How a process begins.
UNTOUCHED = State(None, {}, "default")


def snapshot() -> State:
    """Which container is named, what default ones are configured with, and what the use of an old door does."""
    with _lock:
        return State(current.chosen(), dict(_configuration), "error" if deprecation.is_raising() else "default")


def restore(state: State) -> None:
    """Put back what `snapshot` told; containers that are not named any more are left to who runs them."""
    with _lock:
        current.choose(state.named)
        _configuration.clear()
        _configuration.update(state.configuration)
    deprecation.raise_instead(state.warn)
