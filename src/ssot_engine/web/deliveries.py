"""What the wires of one site deliver: how many readers there are, how much they got, how late."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles
from typing import Literal

from ssot_engine.errors import TooManyRequests
from ssot_engine.events import Event

Wire = Literal["socket", "stream", "agui"]

#: Of how many of the newest deliveries the lag is told.
_WINDOW = 1000


class Deliveries:
    """Counters of one site's readers. `lags` are seconds from an event's timestamp to its frame, newest last.

    `acks` counts what sockets acknowledged; `slow_closed` readers that were cut off because they did not read.
    """

    def __init__(self, max_per_user: int) -> None:
        self._max_per_user = max_per_user
        self._held: Counter[str] = Counter()
        self.open: Counter[Wire] = Counter()
        self.events = 0
        self.frames = 0
        self.resets = 0
        self.slow_closed = 0
        self.acks = 0
        self.lags: deque[float] = deque(maxlen=_WINDOW)

    @contextmanager
    def reader(self, user_id: str, wire: Wire) -> Iterator[None]:
        """One more reader of a user, until the block ends.

        Raises:
            TooManyRequests: the user has as many as it may.
        """
        if self._held[user_id] >= self._max_per_user:
            raise TooManyRequests("connections", self._max_per_user, "web.max_connections_per_user", 5.0)
        self._held[user_id] += 1
        self.open[wire] += 1
        try:
            yield
        finally:
            self.open[wire] -= 1
            self._held[user_id] -= 1
            if not self._held[user_id]:
                del self._held[user_id]

    def sent(self, events: Sequence[Event], *, is_replay: bool = False) -> None:
        """A frame with these events was handed to a reader's transport. Those it had missed are no lag of ours."""
        self.frames += 1
        self.events += len(events)
        if not is_replay:
            self.lags.append(time.time() - events[-1].timestamp)

    def lag_ms(self) -> tuple[float, float]:
        """The median and the 99th percentile of the lag, in milliseconds; zeros before there is any."""
        if len(self.lags) < 2:
            return (0.0, 0.0)
        cuts = quantiles(self.lags, n=100)
        return (cuts[49] * 1000, cuts[98] * 1000)
