"""What is counted of a site's readers."""

from __future__ import annotations

import time

import pytest

from fakes import ALICE, deltas, events_of
from ssot_engine.errors import TooManyRequests
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.web.deliveries import Deliveries


def test_a_user_has_so_many_readers_and_no_more() -> None:
    """The limit is each user's own, over all wires; a place is free again whatever way its reader ended."""
    deliveries = Deliveries(2)
    with deliveries.reader("alice", "socket"), deliveries.reader("alice", "stream"):
        with (
            pytest.raises(TooManyRequests, match=r"web\.max_connections_per_user is 2"),
            deliveries.reader("alice", "agui"),
        ):
            pass
        with deliveries.reader("bob", "socket"):
            assert {"socket": 2, "stream": 1} == +deliveries.open
    with pytest.raises(ZeroDivisionError), deliveries.reader("alice", "socket"):
        raise ZeroDivisionError
    with deliveries.reader("alice", "socket"), deliveries.reader("alice", "socket"):
        pass
    assert {} == +deliveries.open
    assert {} == deliveries._held


async def test_frames_events_and_lag_are_counted() -> None:
    """The lag is that of a frame's newest event; what a reader had missed has none."""
    log, deliveries = MemoryEventLog(), Deliveries(1)
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 3), attempt=1)
    events = events_of(log)
    assert (0.0, 0.0) == deliveries.lag_ms()
    deliveries.sent(events, is_replay=True)
    assert (1, 3, 0) == (deliveries.frames, deliveries.events, len(deliveries.lags))
    deliveries.sent(events[:1])
    deliveries.sent(events[1:])
    assert (3, 6, 2) == (deliveries.frames, deliveries.events, len(deliveries.lags))
    assert time.time() - events[0].timestamp >= max(deliveries.lags) >= min(deliveries.lags) >= 0
    assert deliveries.lag_ms()[1] >= deliveries.lag_ms()[0] > 0
