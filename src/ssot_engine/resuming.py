"""Resuming: how far a reader has come in a thread, what it still has to take, and from where it asks again.

Pure values: nothing here waits, sends or knows a socket. A reader of any wire gets each event once and in order, or a
`Reset` where some are gone.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, Position

__all__ = ["MAX_HELD_BYTES", "MAX_HELD_EVENTS", "Backoff", "Cursor", "Inbox", "Verdict", "earliest"]

#: What one reader is held ready before it falls behind; what is beyond waits in the log.
MAX_HELD_EVENTS = 1000
MAX_HELD_BYTES = 1_048_576


class Verdict(StrEnum):
    """What an event is to a reader: the next one, one it has had, or one before which others are missing."""

    NEW = "new"
    SEEN = "seen"
    GAP = "gap"


class Cursor:
    """How far a reader has come in one thread. `position` None is before the first event.

    With `is_anywhere` the server says where it begins: the first event is taken whatever its seq.
    """

    __slots__ = ("is_anywhere", "position")

    def __init__(self, position: Position | None = None, *, is_anywhere: bool = False) -> None:
        self.position = position
        self.is_anywhere = is_anywhere

    def judge(self, event: Event) -> Verdict:
        """What an event of the thread is to this reader."""
        position = self.position
        if position is None:
            return Verdict.NEW if self.is_anywhere or event.seq == 1 else Verdict.GAP
        if event.epoch != position.epoch:
            return Verdict.GAP
        if event.seq <= position.seq:
            return Verdict.SEEN
        return Verdict.NEW if event.seq == position.seq + 1 else Verdict.GAP

    def has_passed(self, reset: Reset) -> bool:
        """Whether a reset tells this reader nothing, because another reader of the thread caused it."""
        position = self.position
        if position is None or position.epoch != reset.position.epoch or reset.reason == "ahead":
            return False
        return position.seq >= reset.position.seq

    def move(self, position: Position) -> None:
        """Everything up to there was taken."""
        self.position = position
        self.is_anywhere = False


def earliest(positions: Iterable[Position | None], epoch: str | None) -> Position | None:
    """From where a thread must be asked for so that all of its readers, at least one, can go on.

    `epoch` is the history that the server told last: a reader of another one has to be told of that first.
    """
    ahead = list(positions)
    known = [position for position in ahead if position is not None]
    if len(known) < len(ahead):
        return None
    return min(known, key=lambda position: (position.epoch == epoch, position.seq))


class Inbox:
    """What one reader was told and has not taken yet, within bounds.

    Beyond them it falls behind: it hears no more, keeps its cursor, and is to be told again from there once empty.
    """

    __slots__ = ("_bytes", "_held", "cursor", "is_behind")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.is_behind = False
        self._held: deque[Event | Reset] = deque()
        self._bytes = 0

    def hear(self, event: Event) -> Verdict:
        """An event of the thread came; it is kept if it is the next one and there is room."""
        if self.is_behind:
            return Verdict.SEEN
        verdict = self.cursor.judge(event)
        if verdict is Verdict.NEW:
            if self._is_full():
                self.is_behind = True
                return Verdict.SEEN
            self.cursor.move(event.position)
            self._held.append(event)
            self._bytes += _size(event)
        return verdict

    def hear_reset(self, reset: Reset) -> Verdict:
        """Some events of the thread are gone; kept if this reader has not had them."""
        if self.is_behind or self.cursor.has_passed(reset):
            return Verdict.SEEN
        if self._is_full():
            self.is_behind = True
            return Verdict.SEEN
        self.cursor.move(reset.position)
        self._held.append(reset)
        self._bytes += _size(reset)
        return Verdict.NEW

    def take(self) -> Event | Reset | None:
        """The oldest of what was not taken yet; None if there is nothing."""
        if not self._held:
            return None
        item = self._held.popleft()
        self._bytes -= _size(item)
        return item

    def catch_up(self) -> None:
        """Hear again: the thread is asked for from the cursor."""
        self.is_behind = False
        self.cursor.is_anywhere = False

    def start_over(self) -> None:
        """Forget what was heard: the thread is asked for from its beginning."""
        self.cursor = Cursor()
        self.is_behind = False
        self._held.clear()
        self._bytes = 0

    def copy(self) -> Self:
        """The same for a second reader, who takes for itself."""
        twin = type(self)(Cursor(self.cursor.position, is_anywhere=self.cursor.is_anywhere))
        twin.is_behind = self.is_behind
        twin._held.extend(self._held)
        twin._bytes = self._bytes
        return twin

    def _is_full(self) -> bool:
        return len(self._held) >= MAX_HELD_EVENTS or self._bytes >= MAX_HELD_BYTES

    def __len__(self) -> int:
        return len(self._held)


def _size(item: Event | Reset) -> int:
    return len(item.raw) if isinstance(item, Event) else sum(map(_size, item.snapshot))


class Backoff:
    """How long to wait before each attempt to connect: longer each time, and never the same for many at once."""

    __slots__ = ("_attempts", "_longest_s", "_shortest_s")

    def __init__(self, shortest_s: float, longest_s: float) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._attempts = 0

    def next_s(self) -> float:
        """Seconds to wait now, between the shortest and the longest."""
        self._attempts += 1
        ceiling = min(self._longest_s, self._shortest_s * 2.0 ** min(self._attempts, 32))
        return random.uniform(self._shortest_s, ceiling)

    def reset(self) -> None:
        """It went well."""
        self._attempts = 0
