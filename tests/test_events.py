"""Events: what each kind carries, and the table of what may follow what."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import msgspec
import pytest

from ssot_engine.events import (
    CRITICAL,
    PAYLOADS,
    TRANSITIONS,
    AgentCompleted,
    Event,
    EventRefused,
    Payload,
    Position,
    RunResult,
    RunStatus,
    RunTable,
    Speaker,
    Usage,
)

TYPES = (
    "agent_started",
    "agent_thinking",
    "message_delta",
    "tool_executing",
    "tool_completed",
    "subagent_started",
    "subagent_completed",
    "agent_error",
    "custom",
    "agent_completed",
)


def table_in(state: str) -> RunTable:
    """A table that was brought to a state by its own steps."""
    table = RunTable("run-1")
    for step in {"new": (), "running": ("agent_started",), "ended": ("agent_started", "agent_completed")}[state]:
        table.step(step)
    return table


@pytest.mark.parametrize(("state", "type"), [*itertools.product(("new", "running", "ended"), TYPES)])
def test_each_state_takes_what_its_row_says_and_nothing_else(state: str, type: str) -> None:
    """A run starts once, then anything, then ends once; a refused event changes nothing and names the state."""
    if state == "new":
        expected = "running" if type == "agent_started" else None
    elif state == "running":
        expected = {"agent_started": None, "agent_completed": "ended"}.get(type, "running")
    else:
        expected = None
    table = table_in(state)
    if expected is not None:
        table.step(type)
        assert expected == table.state
        return
    with pytest.raises(EventRefused) as refusal:
        table.step(type)
    assert (type, "run-1", state, state) == (
        refusal.value.type,
        refusal.value.run_id,
        refusal.value.state,
        table.state,
    )


def test_the_table_knows_every_kind_of_event() -> None:
    """No kind is missing from table or payloads, and neither names one that is not there."""
    assert set(TYPES) == set(PAYLOADS)
    assert set(TYPES) == {kind for row in TRANSITIONS.values() for kind in row}
    assert {"new", "running", "ended"} == set(TRANSITIONS)


def test_an_unknown_kind_is_refused_in_every_state() -> None:
    """What the table does not name does not happen."""
    for state in TRANSITIONS:
        with pytest.raises(EventRefused):
            table_in(state).step("agent_died")


def test_every_event_but_deltas_and_customs_is_critical() -> None:
    """Critical ones are never dropped and outlive retention."""
    assert {"message_delta", "custom"} == set(TYPES) - CRITICAL


def test_a_call_closes_once_and_gives_back_who_called() -> None:
    """Two calls of one tool at once are two; a second close, or one never opened, is refused."""
    table = table_in("running")
    speakers = Speaker("a"), Speaker("b", 1, 0)
    for call, speaker in zip(("c1", "c2"), speakers, strict=True):
        table.open_call(call, "add", speaker)
    with pytest.raises(EventRefused, match="call 'c1' is open already"):
        table.open_call("c1", "add", speakers[0])
    assert ("add", speakers[1]) == table.close_call("c2")
    for closed in ("c2", "c3"):
        with pytest.raises(EventRefused, match=f"call '{closed}' is not open"):
            table.close_call(closed)
    assert ["c1"] == list(table.open_calls)


def test_a_span_closes_once_and_gives_back_who_it_was() -> None:
    """The same for nested agents."""
    table = table_in("running")
    speaker = Speaker("inner", 1, 0)
    table.open_span(speaker)
    with pytest.raises(EventRefused, match="span 1 is open already"):
        table.open_span(speaker)
    assert speaker == table.close_span(1)
    with pytest.raises(EventRefused, match="span 1 is not open"):
        table.close_span(1)


def an_event(**changes: Any) -> Event:
    values = {
        "type": "agent_thinking",
        "thread_id": "t-1",
        "run_id": "r-1",
        "user_id": "alice",
        "agent_name": "a",
        "epoch": "e",
        "seq": 3,
        "run_seq": 2,
        "span": 0,
        "parent": None,
        "timestamp": 1.5,
        "raw": msgspec.Raw(b'{"reasoning":"hm"}'),
    }
    return Event(**{**values, **changes})


def test_an_event_cannot_change_and_gives_its_payload_afresh() -> None:
    """A reader that changes the payload changes its own copy."""
    event = an_event()
    with pytest.raises(AttributeError):
        event.seq = 4
    event.payload["reasoning"] = "changed"
    assert {"reasoning": "hm"} == event.payload
    assert Position("e", 3) == event.position


def test_an_event_on_a_wire_has_its_payload_as_an_object() -> None:
    """The encoded payload is put in as it is, under the name `payload`."""
    wire = msgspec.json.decode(msgspec.json.encode(an_event(span=2, parent=1)))
    assert {
        "type": "agent_thinking",
        "thread_id": "t-1",
        "run_id": "r-1",
        "user_id": "alice",
        "agent_name": "a",
        "epoch": "e",
        "seq": 3,
        "run_seq": 2,
        "span": 2,
        "parent": 1,
        "timestamp": 1.5,
        "payload": {"reasoning": "hm"},
    } == wire


def test_an_event_prints_as_what_it_says() -> None:
    """Kind, place, owner and payload on one line; a long payload is cut."""
    assert '<agent_thinking t-1#3 span 1 run r-1 of alice: {"reasoning":"hm"}>' == repr(an_event(span=1, parent=0))
    long = an_event(raw=msgspec.Raw(b'{"reasoning":"' + b"x" * 1_000 + b'"}'))
    assert len(repr(long)) < 400


@pytest.mark.parametrize("kind", [*PAYLOADS.values()])
def test_a_payload_cannot_change(kind: type[Payload]) -> None:
    """All kinds are frozen."""
    assert kind.__struct_config__.frozen


def test_a_completed_payload_says_status_as_text() -> None:
    """What a client reads is the plain word."""
    payload = AgentCompleted(RunStatus.TIMED_OUT, None, 1.0, "a timed out")
    assert "timed_out" == msgspec.json.decode(msgspec.json.encode(payload))["status"]
    assert {"completed", "failed", "cancelled", "timed_out", "lost"} == {status.value for status in RunStatus}


def test_a_result_travels_between_processes() -> None:
    """A result pickles, and its status reads like the word it is."""
    result = RunResult(RunStatus.COMPLETED, {"a": 1}, None, Usage(), "r-1")
    assert result == pickle.loads(pickle.dumps(result))
    assert "completed" == result.status
