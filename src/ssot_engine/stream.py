"""A run's events, as they come."""

from __future__ import annotations

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from ssot_engine.eventlog.base import Follower, Reset
from ssot_engine.events import Event, RunResult, RunStatus
from ssot_engine.run import Run


class RunStream(Follower):
    """Exactly one run's events in order, its last event last; then the iteration ends.

    It is a cursor on a run that goes on by itself: leaving the loop with `break` only stops reading, leaving
    `async with` early cancels the run. A reader too slow for the log's retention meets a `Reset` where events are gone.
    """

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        super().__init__(run.control.event_log, run.key, None, run_id=run.run_id)
        self.run = run

    @property
    def run_id(self) -> str:
        """Which run."""
        return self.run.run_id

    def follow_from_here(self) -> None:
        """Begin before the run's first event: called just before the run starts."""
        self._after = self._log.head(self._key)

    def result(self) -> Coroutine[Any, Any, RunResult]:
        """To be awaited: the run's end."""
        return self.run.wait()

    def __anext__(self) -> Coroutine[Any, Any, Event | Reset]:
        return self._first() if self._after is None else Follower.__anext__(self)

    async def _first(self) -> Event | Reset:
        """Of a run that waits for its turn; one that was stopped there never started, and has nothing to tell."""
        await self.run.admitted()
        if self._after is None:
            raise StopAsyncIteration
        return await super().__anext__()

    def _check(self) -> None:
        self.run.check_recorded()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run.stop(RunStatus.CANCELLED)
        await self.run.over()
