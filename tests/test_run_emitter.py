"""The voice of one run: order, deltas, threads, snapshots and back-pressure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from fakes import until
from ssot_engine.errors import AgentError, LogUnavailable, RunConflict
from ssot_engine.eventlog.base import Ack, Draft
from ssot_engine.events import EventRefused, RunError, RunStatus, Speaker
from ssot_engine.run_emitter import DELTA_INTERVAL_S, MAX_PENDING_BYTES, RunEmitter


class Outlet:
    """Keeps what it is handed; acknowledges when the test says so, or at once."""

    def __init__(self, *, slow: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.drafts: list[Draft] = []
        self.batches: list[list[str]] = []
        self.acks: list[asyncio.Future[None]] = []
        self.slow = slow
        self.failure: Exception | None = None
        self.forgotten: list[str] = []

    def begin(self, run_id: str, agent_name: str, message: str, idempotency_key: str | None, takeover: bool) -> int:
        if self.failure is not None:
            raise self.failure
        return 3

    def submit(self, drafts: Sequence[Draft], attempt: int) -> Ack:
        assert attempt == 3
        if self.failure is not None:
            raise self.failure
        self.drafts += drafts
        self.batches.append([draft.type for draft in drafts])
        if not self.slow:
            return None
        self.acks.append(self.loop.create_future())
        return self.acks[-1]

    def forget(self, run_id: str) -> None:
        self.forgotten.append(run_id)

    def told(self) -> list[tuple[str, Any]]:
        """Kind and payload of each event."""
        return [(draft.type, msgspec.json.decode(draft.raw)) for draft in self.drafts]


def started(outlet: Outlet) -> RunEmitter:
    emitter = RunEmitter(outlet, "run-1", driven=True)
    emitter.started("agent", "hi", {"engine_id": "e"})
    return emitter


async def test_events_leave_in_order_with_dense_ordinals_and_their_speaker() -> None:
    """Each has the next ordinal; who says nothing of a speaker speaks as the run's agent."""
    outlet = Outlet()
    emitter = started(outlet)
    inner = Speaker("inner", 1, 0)
    emitter.thinking("hm", 1, 50.0)
    emitter.subagent_started("go", inner)
    emitter.thinking("inside", speaker=inner)
    emitter.tool_executing("c1", "add", {"a": 1}, inner)
    emitter.tool_completed("c1", "completed", 2, 1.23456)
    emitter.subagent_completed(1, "completed", "text", None, 2.0)
    emitter.failed(RunError("ValueError", "soft"), {"step": 2})
    emitter.custom("chart", [1, 2])
    emitter.completed(RunStatus.COMPLETED, "done", None, execution_time_ms=3.0)
    assert list(range(1, 11)) == [draft.run_seq for draft in outlet.drafts]
    assert [("agent", 0, None)] * 2 + [("inner", 1, 0)] * 5 + [("agent", 0, None)] * 3 == [
        (draft.agent_name, draft.span, draft.parent) for draft in outlet.drafts
    ]
    told = outlet.told()
    assert ("agent_started", {"message": "hi", "context": {"engine_id": "e"}, "status": "started"}) == told[0]
    assert (
        "agent_thinking",
        {"reasoning": "hm", "step_number": 1, "progress_percentage": 50.0, "status": "thinking"},
    ) == told[1]
    assert ("add", "c1", {"a": 1}, "executing") == tuple(
        told[4][1][key] for key in ("tool_name", "call_id", "parameters", "status")
    )
    assert (2, 1.235, "completed") == tuple(told[5][1][key] for key in ("result", "execution_time_ms", "status"))
    assert {"error_type": "ValueError", "retryable": False, "step": 2} == told[7][1]["error_context"]
    assert {"name": "chart", "data": [1, 2]} == told[8][1]
    assert ("completed", "done") == (told[9][1]["status"], told[9][1]["result"])
    assert ["run-1"] == outlet.forgotten
    assert sum(len(draft.raw) for draft in outlet.drafts) == emitter.sent_bytes


async def test_what_was_given_is_encoded_at_once() -> None:
    """A change after the call is not in the event."""
    outlet = Outlet()
    emitter = started(outlet)
    data = {"list": [1]}
    emitter.custom("x", data)
    emitter.tool_executing("c1", "add", data)
    data["list"].append(2)
    assert [[1], [1]] == [outlet.told()[1][1]["data"]["list"], outlet.told()[2][1]["parameters"]["list"]]


@pytest.mark.parametrize("state", ["new", "ended"])
async def test_a_run_that_has_not_started_or_has_ended_says_nothing(state: str) -> None:
    """Every event is refused, nothing leaves, and nothing is left open that would be closed later."""
    outlet = Outlet()
    emitter = RunEmitter(outlet, "run-1")
    if state == "ended":
        emitter.started("agent", "hi", {})
        emitter.completed(RunStatus.COMPLETED, None, None, execution_time_ms=0.0)
        with pytest.raises(EventRefused):
            emitter.started("agent", "hi", {})
    count = len(outlet.drafts)
    for say in (
        lambda: emitter.thinking("x"),
        lambda: emitter.custom("x", 1),
        lambda: emitter.delta("x"),
        lambda: emitter.tool_executing("c", "add", {}),
        lambda: emitter.tool_completed("c", "completed", 1, 1.0),
        lambda: emitter.subagent_started("x", Speaker("a", 1, 0)),
        lambda: emitter.subagent_completed(1, "completed", 1, None, 1.0),
        lambda: emitter.failed(RunError("E", "x")),
        lambda: emitter.completed(RunStatus.COMPLETED, None, None, execution_time_ms=0.0),
    ):
        with pytest.raises(EventRefused):
            say()
    assert count == len(outlet.drafts)
    assert ({}, {}) == (emitter.table.open_calls, emitter.table.open_spans)


async def test_the_end_closes_what_is_open_in_one_append() -> None:
    """The pending delta, the calls, the nested agents newest first, the error and the end: one batch."""
    outlet = Outlet()
    emitter = started(outlet)
    inner, innermost = Speaker("inner", 1, 0), Speaker("innermost", 2, 1)
    emitter.subagent_started("go", inner)
    emitter.subagent_started("go", innermost)
    emitter.tool_executing("c1", "add", {}, innermost)
    emitter.delta("first", innermost)
    emitter.delta("second", innermost)
    emitter.completed(RunStatus.FAILED, None, RunError("ValueError", "broken"), execution_time_ms=1.0)
    assert [
        "message_delta",
        "tool_completed",
        "subagent_completed",
        "subagent_completed",
        "agent_error",
        "agent_completed",
    ] == outlet.batches[-1]
    assert ["innermost", "innermost", "innermost", "inner", "agent", "agent"] == [
        draft.agent_name for draft in outlet.drafts[-6:]
    ]
    assert ["cancelled"] * 3 == [payload["status"] for _, payload in outlet.told()[-5:-2]]


# ----------------------------------------------------------------------------- deltas


async def test_the_first_delta_leaves_at_once_and_those_close_behind_are_joined() -> None:
    """Nothing is lost or reordered; what waits leaves by itself after the interval."""
    outlet = Outlet()
    emitter = started(outlet)
    emitter.delta("a")
    assert "message_delta" == outlet.drafts[-1].type
    for piece in "bcdef":
        emitter.delta(piece)
    assert 2 == len(outlet.drafts)
    await until(lambda: len(outlet.drafts) == 3)
    assert [{"text": "a"}, {"text": "bcdef"}] == [payload for _, payload in outlet.told()[1:]]
    await asyncio.sleep(DELTA_INTERVAL_S * 1.5)
    emitter.delta("g")
    assert {"text": "g"} == outlet.told()[-1][1]


async def test_every_other_event_lets_waiting_deltas_go_first() -> None:
    """Text never overtakes, and is never overtaken by, what was said after it."""
    says = {
        "agent_thinking": lambda e: e.thinking("x"),
        "custom": lambda e: e.custom("x", 1),
        "tool_executing": lambda e: e.tool_executing("c", "add", {}),
        "tool_completed": lambda e: e.tool_completed("c", "completed", 1, 1.0),
        "subagent_started": lambda e: e.subagent_started("x", Speaker("a", 1, 0)),
        "subagent_completed": lambda e: e.subagent_completed(1, "completed", 1, None, 1.0),
        "agent_error": lambda e: e.failed(RunError("E", "x")),
        "agent_completed": lambda e: e.completed(RunStatus.COMPLETED, None, None, execution_time_ms=0.0),
    }
    outlet = Outlet()
    emitter = started(outlet)
    emitter.delta("first")
    for kind, say in says.items():
        emitter.delta(f"before {kind}")
        say(emitter)
        assert [("message_delta", {"text": f"before {kind}"}), kind] == [outlet.told()[-2], outlet.told()[-1][0]]


async def test_deltas_of_two_speakers_are_not_joined() -> None:
    """Each keeps its own text."""
    outlet = Outlet()
    emitter = started(outlet)
    inner = Speaker("inner", 1, 0)
    emitter.delta("zero")
    for speaker, text in ((None, "a"), (None, "b"), (inner, "c"), (inner, "d"), (None, "e")):
        emitter.delta(text, speaker)
    emitter.thinking("x")
    deltas = [(draft.agent_name, msgspec.json.decode(draft.raw)["text"]) for draft in outlet.drafts[2:-1]]
    assert [("agent", "ab"), ("inner", "cd"), ("agent", "e")] == deltas


async def test_no_delta_timer_speaks_after_the_end() -> None:
    """The pieces that wait at the end are in it; nothing follows."""
    outlet = Outlet()
    emitter = started(outlet)
    emitter.delta("a")
    emitter.delta("b")
    emitter.completed(RunStatus.COMPLETED, "ab", None, execution_time_ms=0.0)
    count = len(outlet.drafts)
    await asyncio.sleep(DELTA_INTERVAL_S * 2)
    assert count == len(outlet.drafts)
    assert emitter._delta_timer is None


# ---------------------------------------------------------------------------- threads


async def test_events_of_other_threads_arrive_in_their_order() -> None:
    """Each of 8 threads says 200 things: per thread nothing is lost or overtaken, and ordinals stay dense."""
    outlet = Outlet()
    emitter = started(outlet)

    def work(name: str) -> None:
        for number in range(100):
            emitter.custom(name, number)
            emitter.thinking(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    await until(lambda: len(outlet.drafts) == 1 + 8 * 200)
    for thread in threads:
        thread.join()
    told = outlet.told()[1:]
    for n in range(8):
        mine = [payload["data"] for kind, payload in told if kind == "custom" and payload["name"] == f"thread-{n}"]
        assert list(range(100)) == mine
    assert list(range(1, 1602)) == [draft.run_seq for draft in outlet.drafts]


async def test_what_a_thread_gave_is_encoded_in_that_thread() -> None:
    """A change between the call and the loop's turn is not in the event."""
    outlet = Outlet()
    emitter = started(outlet)
    data = [1]

    def work() -> None:
        emitter.custom("x", data)
        data.append(2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert 1 == len(outlet.drafts)
    await until(lambda: len(outlet.drafts) == 2)
    assert [1] == outlet.told()[1][1]["data"]


async def test_a_thread_that_speaks_after_the_end_is_refused_or_ignored() -> None:
    """What was on its way when the run ended is dropped; what comes later raises in the thread."""
    outlet = Outlet()
    emitter = started(outlet)
    refused: list[BaseException] = []
    complaints: list[object] = []
    outlet.loop.set_exception_handler(lambda loop, about: complaints.append(about))

    def late() -> None:
        try:
            emitter.delta("late")
        except EventRefused as error:
            refused.append(error)

    thread = threading.Thread(target=emitter.delta, args=("on its way",))
    thread.start()
    thread.join()
    emitter.completed(RunStatus.COMPLETED, None, None, execution_time_ms=0.0)
    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    await asyncio.sleep(0.005)
    assert ["agent_started", "agent_completed"] == [draft.type for draft in outlet.drafts]
    assert 1 == len(refused)
    assert [] == complaints


# ---------------------------------------------------------------------- back-pressure


async def test_drain_waits_until_what_was_said_before_is_stored() -> None:
    """Not longer; and what was said meanwhile is still known to be under way."""
    outlet = Outlet(slow=True)
    emitter = started(outlet)
    assert emitter.is_pending
    drain = asyncio.create_task(emitter.drain())
    await asyncio.sleep(0)
    emitter.thinking("meanwhile")
    outlet.acks[0].set_result(None)
    await asyncio.wait_for(drain, 1)
    assert emitter.is_pending
    second = asyncio.create_task(emitter.drain())
    await asyncio.sleep(0)
    assert not second.done()
    outlet.acks[1].set_result(None)
    await asyncio.wait_for(second, 1)
    assert not emitter.is_pending


async def test_a_cancelled_drain_does_not_cancel_the_store() -> None:
    """Several appends may share one acknowledgement."""
    outlet = Outlet(slow=True)
    emitter = started(outlet)
    drain = asyncio.create_task(emitter.drain())
    await asyncio.sleep(0)
    drain.cancel()
    await asyncio.wait((drain,))
    assert not outlet.acks[0].cancelled()
    outlet.acks[0].set_result(None)
    await emitter.drain()


async def test_an_agent_is_behind_when_much_is_not_stored_yet() -> None:
    """64 KiB unacknowledged: it should wait. Beyond 8 MiB what it says is an error, not memory."""
    outlet = Outlet(slow=True)
    emitter = started(outlet)
    emitter.thinking("x" * 50_000)
    assert not emitter.is_behind
    emitter.thinking("x" * 50_000)
    assert emitter.is_behind
    while emitter._pending_bytes + 200_100 < MAX_PENDING_BYTES:
        emitter.thinking("x" * 200_000)
    with pytest.raises(AgentError, match="let the agent await its tools or yield"):
        emitter.thinking("x" * 250_000)
    assert sum(len(draft.raw) for draft in outlet.drafts) <= MAX_PENDING_BYTES
    with pytest.raises(AgentError):
        emitter.tool_executing("c1", "add", {"a": 1})
    assert {} == emitter.table.open_calls
    emitter.completed(RunStatus.FAILED, None, RunError("AgentError", "too much"), execution_time_ms=1.0)
    assert ["agent_error", "agent_completed"] == outlet.batches[-1]


async def test_a_store_that_failed_is_raised_to_who_speaks_or_drains() -> None:
    """The agent learns that the log cannot take its events."""
    outlet = Outlet(slow=True)
    emitter = started(outlet)
    outlet.acks[0].set_exception(LogUnavailable("test://", "disk full"))
    with pytest.raises(LogUnavailable):
        await emitter.drain()
    with pytest.raises(LogUnavailable):
        emitter.thinking("x")


async def test_a_call_whose_end_was_refused_is_still_open() -> None:
    """The log could not take `tool_completed`: the run's end closes the call, so none stays open."""
    outlet = Outlet()
    emitter = started(outlet)
    emitter.tool_executing("c1", "add", {})
    emitter.subagent_started("go", Speaker("inner", 1, 0))
    outlet.failure = LogUnavailable("test://", "disk full")
    with pytest.raises(LogUnavailable):
        emitter.tool_completed("c1", "completed", 1, 1.0)
    with pytest.raises(LogUnavailable):
        emitter.subagent_completed(1, "completed", 1, None, 1.0)
    outlet.failure = None
    emitter.completed(RunStatus.FAILED, None, None, execution_time_ms=0.0)
    assert ["tool_completed", "subagent_completed", "agent_completed"] == outlet.batches[-1]


async def test_a_run_that_cannot_begin_has_not_started() -> None:
    """A conflict leaves nothing said."""
    outlet = Outlet()
    outlet.failure = RunConflict("run-1")
    emitter = RunEmitter(outlet, "run-1")
    with pytest.raises(RunConflict):
        emitter.started("agent", "hi", {})
    assert "new" == emitter.table.state
    assert [] == outlet.drafts
