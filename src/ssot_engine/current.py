"""The process's container, which code that holds none goes to, and the legacy doors that lead there."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

_DOORS = "ssot_engine.legacy.entry_points"

Function = TypeVar("Function", bound=Callable[..., Any])


class ProcessContainer(Protocol):
    """What is known of the process's container down here: that it runs, and makes engines."""

    def running(self, *, freeze: bool = True) -> Any:
        """Let it make engines until the block ends."""

    def engine_factory(self) -> Any:
        """Its one door."""


class Doors(Protocol):
    """The legacy doors that are methods of canonical classes."""

    def create_from_legacy(
        self, cls: type, registry: Any, websocket_bridge: Any, user_context: Any
    ) -> Coroutine[Any, Any, Any]:
        """An engine of what the caller brings."""

    def execute_agent(self, engine: Any, context: Any, user_context: Any) -> Coroutine[Any, Any, Any]:
        """Run the agent that an original execution context names."""

    def create_execution_engine(self, factory: Any, context: Any) -> Coroutine[Any, Any, Any]:
        """An engine of this factory, as the original named the call."""

    def user_execution_scope(self, factory: Any, context: Any) -> Any:
        """An engine of this factory for the length of a block, as the original named the call."""


class _Known:
    """What is known process-wide. `container` is None while nobody named one, `doors` until one is used."""

    __slots__ = ("container", "doors", "lock")

    def __init__(self) -> None:
        self.container: ProcessContainer | None = None
        self.doors: Doors | None = None
        self.lock = threading.Lock()


_known = _Known()


def chosen() -> ProcessContainer | None:
    """The container that the process was told to use; None while nobody told it."""
    return _known.container


def choose(container: ProcessContainer | None) -> ProcessContainer | None:
    """Make this the process's container from now on; the one it was before."""
    with _known.lock:
        before, _known.container = _known.container, container
    return before


def doors() -> Doors:
    """The legacy doors. They stand above the classes that lead there, so they are found by name, when first used."""
    found = _known.doors
    if found is None:
        found = _known.doors = cast("Doors", import_module(_DOORS))
    return found


def awaited(function: Function) -> Function:
    """Mark a plain function whose answer is awaited, so that `unittest.mock` puts an AsyncMock in its place.

    A door tells its caller before anything is awaited, when the calling line can still be seen.
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    marked: Any = function
    marked._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return function
