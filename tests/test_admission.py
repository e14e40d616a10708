"""Admission: caps that cannot be miscounted, and a fair queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import until
from ssot_engine.admission import Admission, Slots
from ssot_engine.metrics import Metrics
from ssot_engine.settings import EngineSettings


def empty(slots: Slots) -> bool:
    return not (slots.live or slots.held or slots.waiting or slots._queues or slots._turns)


def test_a_user_takes_up_to_the_own_cap_and_all_up_to_the_total() -> None:
    """Each cap refuses by itself, and what is given back can be taken again."""
    slots = Slots(per_user=2, total=3, max_waiting=0)
    assert [True, True, False] == [slots.take("a") for _ in range(3)]
    assert [True, False] == [slots.take("b") for _ in range(2)]
    assert ((True, 2), (False, 3)) == (slots.limit("a"), slots.limit("b"))
    slots.release("a")
    assert [True, False] == [slots.take("b"), slots.take("a")]
    for user in ("a", "b", "b"):
        slots.release(user)
    assert empty(slots)


async def test_a_greedy_user_does_not_starve_a_small_one() -> None:
    """12 requests of one user queue first; another's 3 are served in turn with them, not after them."""
    slots, order = Slots(per_user=2, total=3, max_waiting=100), []

    async def use(user: str) -> None:
        if not slots.take(user):
            assert await slots.wait(user, 5)
        order.append(user)
        await asyncio.sleep(0)
        slots.release(user)

    tasks = [asyncio.create_task(use("greedy")) for _ in range(12)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(use("small")) for _ in range(3)]
    await asyncio.gather(*tasks)
    assert 15 == len(order)
    assert max(i for i, user in enumerate(order) if user == "small") < 9
    assert empty(slots)


async def test_those_who_wait_are_served_in_turn_over_users() -> None:
    """Six requests of one user, then three of another, one at a time: alternately, while both wait."""
    slots, order = Slots(per_user=10, total=1, max_waiting=100), []

    async def use(user: str) -> None:
        assert await slots.wait(user, 5)
        order.append(user)
        slots.release(user)

    assert slots.take("first")
    tasks = [asyncio.create_task(use(user)) for user in "ggggggsss"]
    await asyncio.sleep(0)
    slots.release("first")
    await asyncio.gather(*tasks)
    assert "gsgsgsggg" == "".join(order)


async def test_the_queue_is_told_in_the_order_it_is_served() -> None:
    """Round-robin over users; as those who wait are served one by one, each is the one who was told first."""
    slots, order = Slots(per_user=10, total=1, max_waiting=100), []

    async def use(user: str) -> None:
        assert await slots.wait(user, 5)
        order.append(user)

    assert [] == slots.queue()
    assert slots.take("first")
    tasks = [asyncio.create_task(use(user)) for user in "ggsggb"]
    await asyncio.sleep(0)
    told = slots.queue()
    assert "gsbggg" == "".join(told)
    slots.release("first")
    for place in range(len(told)):
        await tasks_done(tasks, place + 1)
        assert told[: place + 1] == order
        assert told[place + 1 :] == slots.queue()
        slots.release(order[-1])
    assert empty(slots)


async def test_the_queue_tells_neither_who_gave_up_nor_forgets_who_is_at_the_own_cap() -> None:
    """A user at its own cap waits behind those who could go; a call that was cancelled waits no more."""
    slots = Slots(per_user=1, total=2, max_waiting=100)
    assert slots.take("a")
    assert slots.take("x")
    tasks = [asyncio.create_task(slots.wait(user, 5)) for user in "aaabbc"]
    await asyncio.sleep(0)
    assert ["b", "c", "a", "b", "a", "a"] == slots.queue()
    for index in (1, 3):
        tasks[index].cancel()
    await asyncio.wait([tasks[1], tasks[3]])
    assert ["b", "c", "a", "a"] == slots.queue()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [] == slots.queue()


async def tasks_done(tasks: list[asyncio.Task[None]], count: int) -> None:
    """Wait until so many of them are done."""
    await until(lambda: sum(task.done() for task in tasks) == count)


async def test_who_comes_now_does_not_overtake_who_waits() -> None:
    """A slot that is free for a moment goes to the queue."""
    slots = Slots(per_user=2, total=1, max_waiting=10)
    assert slots.take("a")
    waiting = asyncio.create_task(slots.wait("b", 5))
    await asyncio.sleep(0)
    slots.release("a")
    assert not slots.take("c")
    assert await waiting
    slots.release("b")
    assert empty(slots)


async def test_a_user_at_the_own_cap_holds_up_nobody() -> None:
    """Room in the process goes to the next user that may use it, although one at its cap waits longer."""
    slots = Slots(per_user=1, total=2, max_waiting=10)
    assert slots.take("a")
    parked = asyncio.create_task(slots.wait("a", 5))
    await asyncio.sleep(0)
    assert slots.take("b")
    slots.release("b")
    assert slots.take("c")
    assert not parked.done()
    slots.release("a")
    assert await parked
    slots.release("a")
    slots.release("c")
    assert empty(slots)


async def test_one_users_requests_are_served_oldest_first() -> None:
    """Within a user the order is the order of arrival."""
    slots, order = Slots(per_user=1, total=1, max_waiting=10), []
    slots.take("a")

    async def use(number: int) -> None:
        await slots.wait("a", 5)
        order.append(number)
        slots.release("a")

    tasks = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    slots.release("a")
    await asyncio.gather(*tasks)
    assert list(range(5)) == order


async def test_cancelled_waiters_neither_take_a_slot_nor_lose_one() -> None:
    """Every second of 30 is cancelled, some in the very moment of their turn; afterwards all counts are zero."""
    slots = Slots(per_user=2, total=2, max_waiting=100)
    slots.take("a")
    slots.take("a")

    async def use() -> None:
        await slots.wait("a", 5)
        try:
            await asyncio.sleep(0)
        finally:
            slots.release("a")

    tasks = [asyncio.create_task(use()) for _ in range(30)]
    await asyncio.sleep(0)
    slots.release("a")
    for task in tasks[::2]:
        task.cancel()
    slots.release("a")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert 15 == sum(isinstance(result, asyncio.CancelledError) for result in results)
    assert empty(slots)


async def test_a_waiter_that_is_cancelled_when_its_turn_has_come_gives_the_slot_on() -> None:
    """The grant and the cancel fall into one step of the loop: the next in the queue gets the slot."""
    slots = Slots(per_user=1, total=1, max_waiting=10)
    slots.take("a")
    first, second = (asyncio.create_task(slots.wait(user, 5)) for user in ("b", "c"))
    await asyncio.sleep(0)
    slots.release("a")
    first.cancel()
    assert await second
    assert first.cancelled()
    assert {"c": 1} == slots.held
    slots.release("c")
    assert empty(slots)


async def test_a_wait_ends_with_its_time_and_leaves_no_trace() -> None:
    """After `timeout_s` the answer is no; the queue is as if it had never been there."""
    slots = Slots(per_user=1, total=1, max_waiting=10)
    slots.take("a")
    assert [False] * 4 == await asyncio.gather(*(slots.wait(user, 0.01) for user in "abca"))
    slots.release("a")
    assert empty(slots)


async def test_no_more_wait_than_the_queue_takes() -> None:
    """Beyond `max_waiting` the answer is no, at once."""
    slots = Slots(per_user=1, total=1, max_waiting=1)
    slots.take("a")
    waiting = asyncio.create_task(slots.wait("a", 5))
    await asyncio.sleep(0)
    assert not await asyncio.wait_for(slots.wait("b", 5), 0.1)
    slots.release("a")
    assert await waiting
    slots.release("a")
    assert empty(slots)


ASK = st.tuples(st.just("ask"), st.sampled_from(("a", "b", "c")))
OTHER = st.tuples(st.sampled_from(("give back", "cancel", "turn the loop")), st.integers(0, 7))
STEPS = st.lists(st.one_of(ASK, OTHER), min_size=25, max_size=50)


@settings(deadline=None)
@given(per_user=st.integers(1, 3), total=st.integers(1, 4), steps=STEPS)
def test_counts_are_right_and_nobody_waits_who_could_go(
    per_user: int, total: int, steps: list[tuple[str, str | int]]
) -> None:
    """Whatever is asked, given back and cancelled, in whatever order, against a plain recount after each step."""
    asyncio.run(_model(per_user, total, steps))


async def _model(per_user: int, total: int, steps: list[tuple[str, str | int]]) -> None:
    slots = Slots(per_user=per_user, total=total, max_waiting=1_000)
    held: list[str] = []
    waiting: list[tuple[str, asyncio.Task[None]]] = []

    async def wait(user: str) -> None:
        assert await slots.wait(user, 60)
        held.append(user)

    async def settle() -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        waiting[:] = [(user, task) for user, task in waiting if not task.done()]

    for step, what in steps:
        match step, what:
            case "ask", str(user):
                if slots.take(user):
                    held.append(user)
                else:
                    waiting.append((user, asyncio.create_task(wait(user))))
            case "give back", int(index) if held:
                slots.release(held.pop(index % len(held)))
            case "cancel", int(index) if waiting:
                waiting[index % len(waiting)][1].cancel()
            case "turn the loop", int(turns):
                for _ in range(turns):
                    await asyncio.sleep(0)
        assert slots.live == sum(slots.held.values()) <= total
        assert all(0 < count <= per_user for count in slots.held.values())
    await settle()
    assert {user: held.count(user) for user in set(held)} == slots.held
    assert len(waiting) == slots.waiting
    could_go = [user for user, _ in waiting if held.count(user) < per_user and len(held) < total]
    assert not could_go
    for _, task in waiting:
        task.cancel()
    await settle()
    for user in held:
        slots.release(user)
    assert empty(slots)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_refusal_is_counted_and_names_its_cap(waits: bool) -> None:
    """The text has the user and the setting to raise; the counter goes up by one."""
    metrics = Metrics()
    engine = EngineSettings(max_engines=1, when_full="wait" if waits else "reject", wait_timeout_s=0.01)
    admission = Admission(engine, metrics)
    assert admission.waits is waits
    assert admission.engines.take("alice")
    with pytest.raises(ValueError, match="user 'bob': all 1 engines of this process are in use") as refusal:
        await admission.wait_for_engine("bob")
    assert ("engine.max_engines", 1, 1.0) == (
        refusal.value.setting,
        refusal.value.limit,
        refusal.value.retry_after_s,
    )
    assert 1 == metrics.limit_refusals
