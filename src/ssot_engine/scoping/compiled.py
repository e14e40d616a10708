"""What a scope knows of its container: compiled plans, and whether they are still true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dependency_injector import providers


class Overrides:
    """`stamp` is another object after each process-wide override.

    A new object instead of a count: two threads that override at once cannot lose one of the two changes.
    """

    __slots__ = ("stamp",)

    def __init__(self) -> None:
        self.stamp = object()

    def changed(self) -> None:
        """Make everything compiled so far stale; to be called after the change."""
        self.stamp = object()


overrides = Overrides()


class Plan(Protocol):
    """How to build one provider's object in a scope."""

    name: str
    #: Whether a coroutine builds something on the way; `build` is then a coroutine function.
    waits: bool
    #: Takes what the scope has by name, the list of its closers, and the lock it builds under.
    build: Callable[[dict[str, Any], list[Callable[[], Any]], Any], Any]


class Plans(Protocol):
    """The plans of one container for one set of names handed in."""

    stamp: object
    live: list[None]
    overridden: frozenset[str]

    @property
    def compiled(self) -> Any: ...

    def compile(self, provider: providers.Provider[Any]) -> Plan: ...
