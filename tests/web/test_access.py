"""What one verified user may see and do, whichever wire asks."""

from __future__ import annotations

import asyncio
import time

import pytest
from asking import endless, failing, greeter

from fakes import until
from running import Start
from ssot_engine.agents import agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import InvalidContext, RequestError, UnknownAgent, UnknownRun
from ssot_engine.events import Outcome, Position, RunStatus, ThreadKey
from ssot_engine.ids import keyed_run_id, new_id
from ssot_engine.web.access import RunOrder, Submitted, UserAccess
from ssot_engine.web.identity import Identity
from ssot_engine.web.rates import Rates


def access(container: ExecutionContainer, user: str = "alice", *, is_admin: bool = False) -> UserAccess:
    return UserAccess(container, Identity(user, is_admin), Rates(container.settings().web))


async def ended(user: UserAccess, run_id: str) -> RunStatus | None:
    return (await user.record(run_id, wait_s=5)).status


# ------------------------------------------------------------------------ starting runs


async def test_an_order_becomes_a_run_of_the_user_and_says_where_its_events_begin(start: Start) -> None:
    """What follows the position is the run's, from its first event to its last."""
    container = await start(greeter)
    alice = access(container)
    await ended(alice, (await alice.submit(RunOrder(message="one", thread_id="t-1"))).run_id)
    started = await alice.submit(RunOrder(message="two", thread_id="t-1"))
    await ended(alice, started.run_id)
    page = await alice.page("t-1", started.position, 100)
    assert {started.run_id} == {event.run_id for event in page.events}
    assert ("agent_started", "agent_completed") == (page.events[0].type, page.events[-1].type)
    assert {("alice", "t-1")} == {(event.user_id, event.thread_id) for event in page.events}


async def test_an_order_without_ids_gets_fresh_ones(start: Start) -> None:
    """Each its own thread, empty until then."""
    alice = access(await start(greeter))
    first, second = [await alice.submit(RunOrder(message="x")) for _ in range(2)]
    assert first.thread_id != second.thread_id
    assert first.run_id != second.run_id
    assert isinstance(first.position, Position)
    assert 0 == first.position.seq
    assert [RunStatus.COMPLETED] * 2 == [await ended(alice, one.run_id) for one in (first, second)]


async def test_the_same_key_is_the_same_run_while_it_lives_and_after_it_ended(start: Start) -> None:
    """Only who started it is told from where to read; the thread is the run's, whatever the repetition names."""
    alice = access(await start(greeter))
    first = await alice.submit(RunOrder(message="x", thread_id="t-1", idempotency_key="k"))
    alive = await alice.submit(RunOrder(message="x", idempotency_key="k"))
    await ended(alice, first.run_id)
    late = await alice.submit(RunOrder(message="x", thread_id="t-2", idempotency_key="k"))
    assert keyed_run_id("alice", "k") == first.run_id
    assert first.position is not None
    assert [Submitted(first.run_id, "t-1", None)] * 2 == [alive, late]


async def test_a_key_that_waits_for_its_turn_is_the_same_run_too(start: Start) -> None:
    """A run is known by its key before it is in the log."""
    container = await start(endless, engine={"max_concurrent_runs_per_user": 1, "when_full": "wait"})
    alice = access(container)
    before = await alice.submit(RunOrder(message="x"))
    first = asyncio.create_task(alice.submit(RunOrder(message="x", thread_id="t-2", idempotency_key="k")))
    run_id = keyed_run_id("alice", "k")
    await until(lambda: ("alice", run_id) in container.control().live)
    assert Submitted(run_id, "t-2", None) == await alice.submit(RunOrder(message="x", idempotency_key="k"))
    record = await alice.record(run_id)
    assert (0, None, "endless") == (record.attempt, record.status, record.agent_name)
    await alice.cancel(run_id)
    with pytest.raises(RequestError, match="was stopped while it waited"):
        await first
    await alice.cancel(before.run_id)
    with pytest.raises(UnknownRun):
        await alice.record(run_id)


async def test_a_key_and_a_run_id_exclude_each_other(start: Start) -> None:
    """The key decides the id; neither is silently dropped."""
    with pytest.raises(RequestError, match="not both"):
        await access(await start(greeter)).submit(RunOrder(message="x", run_id="r", idempotency_key="k"))


async def test_the_supervisor_answers_where_nobody_is_named_or_the_only_agent(start: Start) -> None:
    """Else somebody must be named; an unknown name is refused with those that are known."""

    @agent("supervisor")
    async def supervisor(run: object) -> None: ...

    both = access(await start(greeter, failing))
    assert "greeter" == access(await start(greeter)).agent_name(None)
    assert "supervisor" == access(await start(greeter, supervisor)).agent_name(None)
    assert "greeter" == both.agent_name("greeter")
    with pytest.raises(RequestError, match="name one of 'failing', 'greeter'"):
        both.agent_name(None)
    with pytest.raises(UnknownAgent, match="registered are: 'failing', 'greeter'"):
        both.agent_name("nobody")


# ----------------------------------------------------------------------- other people's


async def test_another_users_run_is_unknown(start: Start) -> None:
    """It is neither shown nor stopped, and says the same as a run that never was."""
    container = await start(endless)
    alice, bob = access(container), access(container, "bob", is_admin=True)
    run_id = (await alice.submit(RunOrder(message="x"))).run_id
    for unknown in (run_id, new_id("run")):
        for ask in (bob.record, bob.cancel):
            with pytest.raises(UnknownRun) as refused:
                await ask(unknown)
            assert f"unknown run {unknown!r}; list your runs to see their ids" == str(refused.value)
    assert Outcome.STOPPED == (await alice.cancel(run_id)).outcome


async def test_another_users_thread_is_ones_own_empty_one(start: Start) -> None:
    """Two users with one thread id have two threads; a run id of another user may be used again."""
    container = await start(greeter)
    alice, bob = access(container), access(container, "bob")
    order = RunOrder(message="x", thread_id="t-1", run_id="run-1")
    await ended(alice, (await alice.submit(order)).run_id)
    page, never = await bob.page("t-1", None, 100), await bob.page("never", None, 100)
    assert ((), 0, 0) == (tuple(page.events), page.head, page.floor)
    assert never == page
    assert [] == [event async for event in container.event_log().follow(bob.key("t-1"), live=False)]
    assert [] == await bob.threads()
    assert ThreadKey("bob", "t-1") == bob.key("t-1")
    assert RunStatus.COMPLETED == await ended(bob, (await bob.submit(order)).run_id)


async def test_a_thread_must_have_an_id(start: Start) -> None:
    """What is no id is refused before anything is looked up."""
    with pytest.raises(InvalidContext):
        access(await start(greeter)).key("undefined")


# -------------------------------------------------------------------------- what goes on


async def test_threads_tell_their_runs_and_whether_one_goes_on(start: Start) -> None:
    """The title is the first message; the thread used last comes first."""
    alice = access(await start(greeter, endless))
    for thread, message in (("t-1", "one"), ("t-2", "two")):
        await ended(alice, (await alice.submit(RunOrder(message=message, agent="greeter", thread_id=thread))).run_id)
    open_run = (await alice.submit(RunOrder(message="three", agent="endless", thread_id="t-1"))).run_id
    views = await alice.threads()
    await alice.cancel(open_run)
    assert [("t-1", "one", 2, True), ("t-2", "two", 1, False)] == [
        (view.thread_id, view.title, view.runs, view.is_running) for view in views
    ]
    assert all(view.started_at <= view.last_at <= time.time() for view in views)
    assert [False, False] == [view.is_running for view in await alice.threads()]


async def test_waiting_for_a_record_ends_with_the_run_or_with_the_time(start: Start) -> None:
    """Who stops waiting stops nothing else."""
    go = asyncio.Event()

    @agent("waiter")
    async def waiter(run: object) -> None:
        await go.wait()

    alice = access(await start(waiter))
    run_id = (await alice.submit(RunOrder(message="x"))).run_id
    assert (await alice.record(run_id, wait_s=0.01)).status is None
    waiting = [asyncio.create_task(ended(alice, run_id)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    go.set()
    assert [RunStatus.COMPLETED] * 2 == await asyncio.gather(*waiting[1:])
    await asyncio.wait(waiting)


async def test_the_overview_is_the_users_own_and_an_admins_is_everybodys(start: Start) -> None:
    """Engines with who works in them, what each user holds, the limits, and who waits at which place."""
    engine = {"max_engines": 2, "when_full": "wait", "wait_timeout_s": 20.0, "max_engines_per_user": 5}
    container = await start(endless, engine=engine)
    alice, bob, admin = access(container), access(container, "bob"), access(container, "carol", is_admin=True)
    started = [await user.submit(RunOrder(message="x", thread_id="t-1")) for user in (alice, bob)]
    waiting = [asyncio.create_task(user.submit(RunOrder(message="x"))) for user in (bob, alice, bob)]
    await until(lambda: container.admission().engines.waiting == 3)
    own, everybody = alice.overview(), admin.overview()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    for user, run in zip((alice, bob), started, strict=True):
        await user.cancel(run.run_id)
    assert ["alice"] == [view.user_id for view in own.engines]
    assert [("alice", 1, 1)] == [(view.user_id, view.engines, view.runs) for view in own.users]
    assert [("alice", 2, "engine")] == [(one.user_id, one.place, one.what) for one in own.queue]
    assert own.totals is None
    assert ["alice", "bob"] == [view.user_id for view in everybody.engines]
    assert {("running", ("endless",), "t-1")} == {
        (view.state, view.agents, view.thread_id) for view in everybody.engines
    }
    assert [("bob", 1), ("alice", 2), ("bob", 3)] == [(one.user_id, one.place) for one in everybody.queue]
    assert everybody.totals is not None
    assert (2, 2) == (everybody.totals["runs_started"], everybody.limits.max_engines)
    assert all(0 <= view.age_s < 60 for view in everybody.engines)
    await until(lambda: not container.engine_factory().engines())
    assert () == alice.overview().engines


async def test_agents_are_told_without_leaving_an_engine(start: Start) -> None:
    """By name, each with the first line of what it says of itself."""
    container = await start(greeter, failing)
    assert [("failing", "Fails."), ("greeter", "Greets whoever asks.")] == [
        (one.name, one.description) for one in await access(container).agents()
    ]
    assert (0, 0) == (container.open_scopes, container.metrics().engines_created)
