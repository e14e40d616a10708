"""What a demonstration proves: each check is computed from the event log and the counters, none is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ssot_engine.cli.show import FIVE_EVENTS
from ssot_engine.container import ExecutionContainer
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.events import Event
from ssot_engine.testing.audit import assert_isolated, declared_singletons


class Check(msgspec.Struct, frozen=True):
    """One claim, whether it held, and the figures behind it."""

    claim: str
    held: bool
    figures: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What one user's run left behind."""

    user_id: str
    run_id: str
    #: what the user's reader got while the run went on
    seen: tuple[Event, ...]
    #: what the log holds under this user's key afterwards
    stored: tuple[Event, ...]


class Remains(msgspec.Struct, frozen=True):
    """What was still there after everything was closed."""

    engines: int
    scopes: int
    tasks: int


def check_delivery(records: Sequence[Record]) -> Check:
    """Every event that was stored was seen live, once, in the same order."""
    held = all(record.seen == record.stored for record in records)
    counts = ", ".join(f"{record.user_id} {len(record.seen)} of {len(record.stored)}" for record in records)
    return Check("events delivered live", held, counts)


def check_order(records: Sequence[Record]) -> Check:
    """The seq of each thread counts from 1 without a hole, and so does the run's own."""
    held = all(_is_dense(record.stored) for record in records)
    ranges = ", ".join(
        f"{record.user_id} 1 to {max((event.seq for event in record.stored), default=0)}" for record in records
    )
    return Check("order, no holes", held, ranges)


def _is_dense(events: Sequence[Event]) -> bool:
    expected = list(range(1, len(events) + 1))
    return bool(events) and [event.seq for event in events] == expected == [event.run_seq for event in events]


def check_five_events(records: Sequence[Record]) -> Check:
    """Each run told all five events, began with the first, and ended once, with the last."""
    counts = [_count(record.stored) for record in records]
    held = all(
        all(count.values())
        and count["agent_started"] == count["agent_completed"] == 1
        and (record.stored[0].type, record.stored[-1].type) == ("agent_started", "agent_completed")
        for record, count in zip(records, counts, strict=True)
    )
    figures = ", ".join(
        f"{record.user_id} {sum(map(bool, count.values()))} of {len(FIVE_EVENTS)}"
        for record, count in zip(records, counts, strict=True)
    )
    return Check("the five event names", held, figures)


def _count(events: Sequence[Event]) -> Mapping[str, int]:
    return {name: sum(event.type == name for event in events) for name in FIVE_EVENTS}


def check_isolation(records: Sequence[Record]) -> Check:
    """No event names another user or another user's run, or carries their run's id in its payload."""
    everything = sum(len(record.stored) + len(record.seen) for record in records)
    crossed = sum(_crosses(event, record, records) for record in records for event in (*record.stored, *record.seen))
    return Check("cross-user events", crossed == 0, f"{crossed} in {everything} events read")


def _crosses(event: Event, own: Record, records: Sequence[Record]) -> bool:
    if (event.user_id, event.run_id) != (own.user_id, own.run_id):
        return True
    raw = bytes(event.raw)
    return any(other.run_id.encode() in raw for other in records if other is not own)


def check_sharing(a: UserExecutionEngine, b: UserExecutionEngine, container: ExecutionContainer) -> Check:
    """A walk through everything two engines reach meets no mutable object twice, besides declared singletons."""
    singletons = len(declared_singletons(container))
    try:
        assert_isolated(a, b, container)
    except AssertionError as error:
        return Check("shared mutable objects", False, str(error))
    return Check("shared mutable objects", True, f"0 besides the {singletons} declared singletons")


def check_clean_up(remains: Remains) -> Check:
    """Nothing was left open."""
    held = remains == Remains(0, 0, 0)
    return Check("left open", held, f"{remains.engines} engines, {remains.scopes} scopes, {remains.tasks} tasks")
