"""What a test left open: the engines, scopes, tasks and overrides it made and that outlive it."""

from __future__ import annotations

import asyncio
import gc
from asyncio import AbstractEventLoop, Task
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from dependency_injector import providers

from ssot_engine.container import ExecutionContainer, alive
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import shown
from ssot_engine.legacy import in_use
from ssot_engine.scoping.rewiring import Instance
from ssot_engine.scoping.scope import Scope

#: How often the loop turns before tasks are counted: one that was told to end may do so first.
_TURNS = 5
#: How long one leak may take to end once it was found, in seconds.
_CLOSING_S = 5.0
#: How many containers a watch looks at without asking which of them are garbage.
_FEW = 48

_Task = Task[Any]
_Provider = providers.Provider[Any]
_Owner = ExecutionContainer | type[ExecutionContainer]


class Watch:
    """Knows what was open before a test; tells what it left open, and closes that.

    `loop` is the test's event loop, standing still whenever the watch is asked; None if the test has none. `known` are
    the containers that were there before, all that exist if None.
    """

    def __init__(self, loop: AbstractEventLoop | None, known: Iterable[ExecutionContainer] | None = None) -> None:
        self._in_use = in_use.snapshot() if known is None else in_use.UNTOUCHED
        _crowd.thin_out()
        known = tuple(alive if known is None else known)
        self._loop = loop
        self._tasks = set() if loop is None else asyncio.all_tasks(loop)
        self._scopes = {container: container.open_scopes for container in known}
        self._overrides = {
            provider: (owner, name, provider.overridden) for owner, name, provider in _overridable(known)
        }
        #: One line for each thing left open, in the order it was found.
        self.found: list[str] = []

    def scopes(self, container: ExecutionContainer) -> None:
        """Find and close what is open of this container."""
        before = self._scopes.get(container, 0)
        if container.open_scopes > before:
            self._run(self._close_scopes(container, before))

    def everything(self) -> None:
        """Find and close whatever was opened since the watch began."""
        for container in tuple(alive):
            self.scopes(container)
        for provider, (owner, name, before) in self._overrides.items():
            if provider.overridden != before:
                self._undo(provider, f"{_called(owner)}.{name}", before)
        # No leak: a test of old code configures the process and knows no way to undo it.
        in_use.restore(self._in_use)
        if self._loop is not None and not self._loop.is_closed() and self._new_tasks(self._loop):
            self._run(self._close_tasks(self._loop))

    def _run(self, work: Any) -> None:
        """Run a coroutine on the test's loop, or on one of its own if that is gone."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.run_until_complete(work)
            return
        with closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(work)

    # ---------------------------------------------------------------- scopes and engines

    async def _close_scopes(self, container: ExecutionContainer, before: int) -> None:
        await _turn()
        count = container.open_scopes - before
        # Older objects come first in the collector's lists.
        left = _open_scopes(container)[before:]
        for scope in left:
            self.found.append(_of_scope(scope, container))
            await self._close(scope)
        if (dropped := count - len(left)) > 0:
            self.found.append(f"{dropped} scope(s) of {type(container).__name__}, dropped without being closed")
            del container._live[-dropped:]

    async def _close(self, scope: Scope) -> None:
        try:
            await asyncio.wait_for(scope.aclose(), _CLOSING_S)
        except Exception as error:
            # A host's own parts may raise anything when they close; the test is told that, too.
            self.found.append(f"  … which failed to close: {error!r}")

    # -------------------------------------------------------------------------- overrides

    def _undo(self, provider: _Provider, name: str, before: tuple[_Provider, ...]) -> None:
        new = [override for override in provider.overridden if all(override is not one for one in before)]
        if not new:
            return
        self.found.append(f"override of {name} by {', '.join(map(_of_override, new))}")
        provider.reset_override()
        for one in before:
            provider.override(one)

    # ------------------------------------------------------------------------------ tasks

    def _new_tasks(self, loop: AbstractEventLoop) -> set[_Task]:
        own = {task for container in tuple(alive) for task in container.own_tasks}
        return asyncio.all_tasks(loop) - self._tasks - own

    async def _close_tasks(self, loop: AbstractEventLoop) -> None:
        await _turn()
        left = sorted(self._new_tasks(loop) - {asyncio.current_task()}, key=lambda task: task.get_name())
        for task in left:
            self.found.append(_of_task(task))
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CLOSING_S)


class _Crowd:
    """Containers refer to themselves, so those of earlier tests wait for the collector, and each watch looks at all."""

    __slots__ = ("limit",)

    def __init__(self) -> None:
        self.limit = _FEW

    def thin_out(self) -> None:
        """Collect those nobody has any more, once there are twice as many as were left the last time."""
        if len(alive) > self.limit:
            gc.collect()
            self.limit = max(_FEW, 2 * len(alive))


_crowd = _Crowd()


async def _turn() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _open_scopes(container: ExecutionContainer) -> list[Scope]:
    """The container's open scopes, oldest first. It walks the heap: only for a test that left some."""
    live = container._live
    return [obj for obj in gc.get_objects() if type(obj) is Scope and obj._plans.live is live and not obj.closed]


def _overridable(known: Iterable[ExecutionContainer]) -> Iterator[tuple[_Owner, str, _Provider]]:
    """Every provider whose override would be met by later tests, after who has it and its name there."""
    owners: list[_Owner] = [*_classes(ExecutionContainer), *known]
    for owner in owners:
        for name, provider in owner.providers.items():
            yield owner, name, provider


def _called(owner: _Owner) -> str:
    return owner.__name__ if isinstance(owner, type) else f"{type(owner).__name__}()"


def _classes(cls: type[ExecutionContainer]) -> Iterator[type[ExecutionContainer]]:
    """A container class and those derived from it, without the types of their instances."""
    if not issubclass(cls, Instance):
        yield cls
        for derived in cls.__subclasses__():
            yield from _classes(derived)


# -------------------------------------------------------------------------- what is told


def _of_scope(scope: Scope, container: ExecutionContainer) -> str:
    engine = next((value for value in scope._values.values() if isinstance(value, UserExecutionEngine)), None)
    context = scope._values.get("context") if engine is None else engine.user_context
    user = f" of user {context.user_id!r}, thread {context.thread_id!r}" if context is not None else ""
    if engine is None:
        return f"scope{user} ({type(container).__name__}, no engine in it)"
    runs = "".join(f", run {run_id!r} going on" for run_id in engine.active_runs)
    return f"engine {engine.engine_id}{user}{runs} ({type(container).__name__})"


def _of_override(override: _Provider) -> str:
    provides = getattr(override, "provides", None)
    return type(override).__name__ if provides is None else f"{type(override).__name__}({shown(provides)})"


def _of_task(task: _Task) -> str:
    coroutine = getattr(task.get_coro(), "__qualname__", repr(task.get_coro()))
    where = "".join(f" at {frame.f_code.co_filename}:{frame.f_lineno}" for frame in task.get_stack(limit=1))
    return f"task {task.get_name()!r} of {coroutine}(){where}"
