"""Facts about the checks of a demonstration: each one fails when what it claims is not so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from fakes import context_of
from running import Start
from ssot_engine.agents import RunContext
from ssot_engine.cli.evidence import (
    Check,
    Record,
    Remains,
    check_clean_up,
    check_delivery,
    check_five_events,
    check_isolation,
    check_order,
    check_sharing,
)
from ssot_engine.cli.show import FIVE_EVENTS
from ssot_engine.events import Event


def event(user_id: str, seq: int, type: str, **payload: str) -> Event:
    """An event of this user's only run."""
    raw = msgspec.Raw(msgspec.json.encode(payload))
    return Event(type, "spending", f"run-{user_id}", user_id, "supervisor", "e", seq, seq, 0, None, 1.0, raw)


def record(user_id: str) -> Record:
    """A run that told the five events, all seen."""
    events = tuple(event(user_id, seq, name) for seq, name in enumerate(FIVE_EVENTS, start=1))
    return Record(user_id=user_id, run_id=f"run-{user_id}", seen=events, stored=events)


ALICE, BOB = record("alice"), record("bob")


def with_stored(events: Sequence[Event]) -> Record:
    """Alice's run, with other events."""
    return Record(user_id="alice", run_id="run-alice", seen=tuple(events), stored=tuple(events))


@pytest.mark.parametrize("check", [check_delivery, check_order, check_five_events, check_isolation])
def test_a_good_record_passes(check: Callable[[Sequence[Record]], Check]) -> None:
    """Two runs as they should be."""
    assert check([ALICE, BOB]).held


def test_an_event_not_seen_live_is_told() -> None:
    """Stored but not delivered."""
    found = check_delivery([msgspec.structs.replace(ALICE, seen=ALICE.stored[:-1]), BOB])
    assert Check("events delivered live", False, "alice 4 of 5, bob 5 of 5") == found


def test_an_event_seen_twice_is_told() -> None:
    """Delivered more often than stored."""
    assert not check_delivery([msgspec.structs.replace(ALICE, seen=(*ALICE.stored, ALICE.stored[-1]))]).held


@pytest.mark.parametrize("kept", [(0, 1, 3, 4), (1, 2, 3, 4), (0, 2, 1, 3, 4), ()])
def test_a_hole_or_another_order_is_told(kept: tuple[int, ...]) -> None:
    """The seq counts from 1 by one."""
    assert not check_order([with_stored([ALICE.stored[index] for index in kept])]).held


@pytest.mark.parametrize("missing", range(5))
def test_a_missing_name_is_told(missing: int) -> None:
    """Each of the five must be there."""
    found = check_five_events([with_stored([*ALICE.stored[:missing], *ALICE.stored[missing + 1 :]]), BOB])
    assert Check("the five event names", False, "alice 4 of 5, bob 5 of 5") == found


def test_a_second_end_is_told() -> None:
    """A run ends once."""
    assert not check_five_events([with_stored([*ALICE.stored, ALICE.stored[-1]])]).held


def test_an_event_of_another_user_is_told() -> None:
    """It stands in the wrong thread."""
    found = check_isolation([with_stored([*ALICE.stored, BOB.stored[0]]), BOB])
    assert Check("cross-user events", False, "2 in 22 events read") == found


def test_a_payload_that_names_another_users_run_is_told() -> None:
    """The envelope is right, the content is not."""
    leak = event("alice", 6, "custom", data="seen in run-bob")
    assert not check_isolation([with_stored([*ALICE.stored, leak]), BOB]).held


@pytest.mark.parametrize("remains", [Remains(1, 0, 0), Remains(0, 1, 0), Remains(0, 0, 1)])
def test_anything_left_open_is_told(remains: Remains) -> None:
    """An engine, a scope or a task."""
    assert check_clean_up(Remains(0, 0, 0)).held
    assert not check_clean_up(remains).held


class Remembering:
    """An agent that keeps something of its users, as none may."""

    name = "remembering"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def execute(self, run: RunContext) -> None:
        """Keep what was asked."""
        self.asked.append(run.message)


@pytest.mark.parametrize("agents", [(), (Remembering(),)])
async def test_what_two_engines_share_is_told(start: Start, agents: tuple[object, ...]) -> None:
    """Nothing, or the object with the way to it."""
    container = await start(*agents)
    factory = container.engine_factory()
    async with factory.engine_for(context_of("alice")) as first, factory.engine_for(context_of("bob")) as second:
        found = check_sharing(first, second, container)
    assert (not agents) == found.held
    assert ("remembering" if agents else "0 besides the ") in found.figures
