"""Cursors and inboxes of readers: what is new, what was seen, what is missing, and from where to ask again."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import ALICE
from ssot_engine import resuming
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, Position
from ssot_engine.resuming import Backoff, Cursor, Inbox, Verdict, earliest


def event(seq: int, epoch: str = "e1", size: int = 10) -> Event:
    """An event of Alice's thread."""
    raw = msgspec.Raw(msgspec.json.encode({"text": "x" * (size - len('{"text":""}'))}))
    return Event("message_delta", ALICE.thread_id, "run-1", ALICE.user_id, "writer", epoch, seq, seq, 0, None, 0.0, raw)


def reset(seq: int, epoch: str = "e1", reason: str = "gap", *snapshot: Event) -> Reset:
    """A reset of Alice's thread."""
    return Reset(ALICE, Position(epoch, seq), reason, snapshot)


def taken(inbox: Inbox) -> list[int]:
    """The seqs of all that is ready."""
    seqs = []
    while (item := inbox.take()) is not None:
        seqs.append(item.position.seq if isinstance(item, Event) else -item.position.seq)
    return seqs


# ------------------------------------------------------------------------ cursors


@pytest.mark.parametrize(
    ("cursor", "came", "verdict"),
    [
        (Cursor(), event(1), Verdict.NEW),
        (Cursor(), event(2), Verdict.GAP),
        (Cursor(is_anywhere=True), event(7), Verdict.NEW),
        (Cursor(Position("e1", 5)), event(6), Verdict.NEW),
        (Cursor(Position("e1", 5)), event(5), Verdict.SEEN),
        (Cursor(Position("e1", 5)), event(1), Verdict.SEEN),
        (Cursor(Position("e1", 5)), event(7), Verdict.GAP),
        (Cursor(Position("e1", 5)), event(6, "e2"), Verdict.GAP),
        (Cursor(Position("e1", 5)), event(1, "e2"), Verdict.GAP),
        (Cursor(Position("e1", 0)), event(1), Verdict.NEW),
    ],
)
def test_an_event_is_judged(cursor: Cursor, came: Event, verdict: Verdict) -> None:
    """Only the event that follows at once, of the same history, is new."""
    assert verdict == cursor.judge(came)


@pytest.mark.parametrize(
    ("cursor", "told", "has_passed"),
    [
        (Cursor(), reset(4), False),
        (Cursor(Position("e1", 3)), reset(4), False),
        (Cursor(Position("e1", 4)), reset(4), True),
        (Cursor(Position("e1", 9)), reset(4), True),
        (Cursor(Position("e1", 9)), reset(0, "e2", "epoch_changed"), False),
        (Cursor(Position("e2", 9)), reset(0, "e2", "epoch_changed"), True),
        (Cursor(Position("e1", 9)), reset(4, "e1", "ahead"), False),
    ],
)
def test_a_reset_is_judged(cursor: Cursor, told: Reset, has_passed: bool) -> None:
    """A reset that another reader's older cursor caused is none of this reader's."""
    assert has_passed == cursor.has_passed(told)


@pytest.mark.parametrize(
    ("positions", "epoch", "first"),
    [
        ([Position("e1", 5), Position("e1", 3)], "e1", Position("e1", 3)),
        ([Position("e1", 5), None], "e1", None),
        ([Position("e2", 1), Position("e1", 9)], "e2", Position("e1", 9)),
        ([Position("e2", 1)], None, Position("e2", 1)),
    ],
)
def test_a_thread_is_asked_for_from_its_hindmost_reader(
    positions: list[Position | None], epoch: str, first: Position | None
) -> None:
    """The earliest position wins; one of an older history comes before all, and the beginning before that."""
    assert first == earliest(positions, epoch)


# ------------------------------------------------------------------------- inboxes


def test_an_inbox_gives_what_it_kept_in_order() -> None:
    """New events are kept, seen ones dropped, and a gap changes nothing."""
    inbox = Inbox(Cursor())
    verdicts = [inbox.hear(event(seq)) for seq in (1, 2, 2, 1, 4, 3)]
    assert ["new", "new", "seen", "seen", "gap", "new"] == verdicts
    assert [1, 2, 3] == taken(inbox)


def test_a_reset_moves_the_cursor() -> None:
    """After a reset the next event is the one behind its position."""
    inbox = Inbox(Cursor(Position("e1", 2)))
    assert [Verdict.NEW, Verdict.SEEN] == [inbox.hear_reset(reset(9)), inbox.hear_reset(reset(9))]
    assert [Verdict.SEEN, Verdict.NEW] == [inbox.hear(event(9)), inbox.hear(event(10))]
    assert [-9, 10] == taken(inbox)


@pytest.mark.parametrize("size", [20, 100_000])
def test_an_inbox_is_bounded(size: int) -> None:
    """A reader who takes nothing holds no more than the bounds, and is told the rest from its cursor later."""
    inbox = Inbox(Cursor())
    for seq in range(1, 3001):
        inbox.hear(event(seq, size=size))
    held = len(inbox)
    assert inbox.is_behind
    assert held == min(resuming.MAX_HELD_EVENTS, resuming.MAX_HELD_BYTES // size + 1)
    assert Position("e1", held) == inbox.cursor.position
    assert list(range(1, held + 1)) == taken(inbox)
    inbox.catch_up()
    assert Verdict.NEW == inbox.hear(event(held + 1))


def test_an_event_of_any_size_is_taken() -> None:
    """An event larger than the bound is kept when there is nothing else."""
    inbox = Inbox(Cursor())
    assert Verdict.NEW == inbox.hear(event(1, size=2 * resuming.MAX_HELD_BYTES))


def test_a_copy_takes_for_itself() -> None:
    """Two readers of one inbox each get everything."""
    first = Inbox(Cursor())
    first.hear(event(1))
    second = first.copy()
    for inbox in (first, second):
        inbox.hear(event(2))
    assert ([1, 2], [1, 2]) == (taken(first), taken(second))


Step = st.tuples(st.sampled_from(["hear", "drop", "again", "take", "reconnect"]), st.integers(0, 20))


@given(steps=st.lists(Step, max_size=60))
def test_nothing_is_lost_twice_or_out_of_order(steps: list[tuple[str, int]]) -> None:
    """Whatever is dropped, repeated or resumed, a reader gets 1, 2, 3, … and asks again from behind the last."""
    inbox, sent, got = Inbox(Cursor()), 0, []
    for step, number in steps:
        match step:
            case "hear":
                sent += 1
                if inbox.hear(event(sent)) is Verdict.GAP:
                    sent = 0 if inbox.cursor.position is None else inbox.cursor.position.seq
            case "drop":
                sent += number
            case "again":
                sent = max(0, sent - number)
            case "take":
                got += taken(inbox)
            case "reconnect":
                sent = 0 if inbox.cursor.position is None else inbox.cursor.position.seq
    got += taken(inbox)
    assert list(range(1, len(got) + 1)) == got
    assert len(got) == (0 if inbox.cursor.position is None else inbox.cursor.position.seq)


# ------------------------------------------------------------------------- backoff


def test_waits_grow_within_bounds_and_differ() -> None:
    """Waits lie between the shortest and the longest, may be longer each time, and begin anew after a success."""
    backoff = Backoff(0.1, 15.0)
    waits = [backoff.next_s() for _ in range(5000)]
    assert all(0.1 <= wait <= 15.0 for wait in waits)
    assert waits[0] <= 0.2
    assert max(waits) > 10
    assert len(set(waits)) > 4000
    backoff.reset()
    assert backoff.next_s() <= 0.2
