"""A scope: the objects of one request, by provider name, and their ending in reverse order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, Token
from types import CoroutineType, TracebackType
from typing import Any, TypeVar

from dependency_injector import providers

from ssot_engine.errors import ClosedError
from ssot_engine.scoping.compiled import Plan, Plans, overrides
from ssot_engine.scoping.ending import Turn, outcome, runs_twice, settled

T = TypeVar("T")

_current: ContextVar[Scope | None] = ContextVar("current_scope", default=None)


class ScopeError(ClosedError, RuntimeError):
    """A scope was asked for something it cannot do."""


class NoScope(ScopeError):
    """A scoped provider was called where no scope is open. `provider` says what it provides, or is None."""

    def __init__(self, provider: str | None = None) -> None:
        super().__init__(provider)
        self.provider = provider

    def __str__(self) -> str:
        wanted = f", so there is no {self.provider} to give" if self.provider else ""
        return (
            f"no scope is open here{wanted}; call this inside `async with container.open_scope(...)`, "
            "or ask a scope you hold: `scope.get(container.name)`"
        )


class ScopeClosed(ScopeError):
    """A scope was used after its ending began. `provider` is the name that was asked for, or None."""

    def __init__(self, provider: str | None = None) -> None:
        super().__init__(provider)
        self.provider = provider

    def __str__(self) -> str:
        what = "a scope was used" if self.provider is None else f"{self.provider!r} was asked for"
        return f"{what} after its scope ended; open another scope, or keep() this one for as long as it is needed"


class Scope:
    """The objects of one request: each is built when first asked for, once, and closed when the scope ends.

    Made by `container.open_scope(...)`. Inside `async with` it is the current scope of the task and of the tasks and
    threads started there; held explicitly it needs no entering: `scope.get(...)`, then `await scope.aclose()`.
    Threads may build in it. Only the event loop's thread may enter and close it.
    """

    _closed = _ended = _kept = False
    _token: Token[Scope | None] | None = None
    _turn: Turn | None = None
    _waiters: tuple[asyncio.Future[None], ...] = ()

    def __init__(self, plans: Plans, values: dict[str, Any]) -> None:
        self._plans = plans
        self._values = values
        self._opened: list[Callable[[], Any]] = []
        self._lock = _new_lock()
        plans.live.append(None)

    @property
    def closed(self) -> bool:
        """Whether the scope's ending has begun: it builds nothing from then on."""
        return self._closed

    @property
    def overridden(self) -> frozenset[str]:
        """The names handed in for this scope besides those it had to be given."""
        return self._plans.overridden

    def get(self, provider: providers.Provider[T]) -> T:
        """This scope's object of a provider of its container, built now if this is the first time.

        Raises: ScopeClosed after the scope's end; ScopeError if a coroutine builds it (use `aget`);
        WiringError if the provider is not the container's.
        """
        plans = self._plans
        plan = plans.compiled.get(provider)
        if plan is None or plans.stamp is not overrides.stamp:
            plan = plans.compile(provider)
        values = self._values
        if plan.name in values:
            return values[plan.name]  # type: ignore[no-any-return]
        if plan.waits:
            raise ScopeError(f"{plan.name!r} is built by a coroutine; use `await scope.aget(...)` before this")
        lock = self._lock
        lock.acquire()  # `with` costs half as much again
        try:
            if self._closed:
                raise ScopeClosed(plan.name)
            if _current.get() is self:
                return plan.build(values, self._opened, lock)  # type: ignore[no-any-return]
            token = _current.set(self)
            try:
                return plan.build(values, self._opened, lock)  # type: ignore[no-any-return]
            finally:
                _current.reset(token)
        finally:
            lock.release()

    async def aget(self, provider: providers.Provider[T]) -> T:
        """Like `get`, also where some object on the way is built by a coroutine function."""
        plan = self._plans.compile(provider)
        if not plan.waits or plan.name in self._values:
            return self.get(provider)
        turn = self._turn = self._turn or Turn()
        task = asyncio.current_task()
        if turn.owner is task:  # a constructor that asks its own scope
            return await self._build(plan)  # type: ignore[no-any-return]
        async with turn.lock:
            turn.owner = task
            try:
                return await self._build(plan)  # type: ignore[no-any-return]
            finally:
                turn.owner = None

    async def _build(self, plan: Plan) -> Any:
        if self._closed:
            raise ScopeClosed(plan.name)
        token = _current.set(self)
        try:
            return await plan.build(self._values, self._opened, self._lock)
        finally:
            _current.reset(token)

    def keep(self) -> Scope:
        """Hand the scope's ending to the caller: leaving `async with` no longer closes it, `aclose` does."""
        self._kept = True
        return self

    def on_close(self, callback: Callable[[], Awaitable[Any] | None]) -> None:
        """Call `callback` when the scope ends, after what was built or pushed later than now. It may be async."""
        if self._closed:
            raise ScopeClosed
        self._opened.append(callback)

    async def aclose(self) -> None:
        """Close everything the scope built, newest first.

        A second call returns when the scope has ended, or at once if a closer makes it. Every close is tried.
        Raises: the error of the one that failed; an ExceptionGroup of several; a cancellation alone, with the other
        errors as its notes.
        """
        if self._closed:
            await self._end()
            return
        self._closed = True
        errors: list[BaseException] = []
        opened = self._opened
        try:
            if self._turn is None and self._lock.acquire(False):
                self._lock.release()
            else:
                await settled(self._lock, self._turn, errors)
            while opened:
                try:
                    ending = opened.pop()()
                    if ending is not None and (type(ending) is CoroutineType or isinstance(ending, Awaitable)):
                        await ending
                except GeneratorExit:  # the loop is gone: nothing can be awaited any more
                    raise
                except BaseException as error:
                    errors.append(error)
        finally:
            self._ended = True
            self._values.clear()
            self._plans.live.pop()
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if errors:
            raise outcome(errors)

    async def _end(self) -> None:
        """Wait for the `aclose` under way, unless this call comes out of it."""
        if self._ended or runs_twice(Scope.aclose.__code__, self):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters += (waiter,)
        await waiter

    async def __aenter__(self) -> Scope:
        if self._token is not None:
            raise ScopeError(
                "this scope is entered already; hand it over and call `scope.get(...)`: it needs no entering"
            )
        if self._closed:
            raise ScopeClosed
        self._token = _current.set(self)
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105 -- contextlib.suppress costs a third of what a whole scope does
                _current.reset(token)
            except ValueError:  # left in another context than it was entered in: nothing to restore there
                pass
        return _nothing() if self._kept else self.aclose()


def current_scope() -> Scope:
    """The innermost scope this task has entered. Raises: NoScope."""
    scope = _current.get()
    if scope is None:
        raise NoScope
    return scope


# threading.RLock is a Python function around this type; calling the type itself halves what a scope pays for its lock.
_new_lock: Callable[[], Any] = type(threading.RLock())


async def _nothing() -> None:
    """What leaving a kept scope awaits."""
