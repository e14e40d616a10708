"""Submitted runs in this process: they outlive whoever submitted them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes import check_thread, context_of, events_of, until
from running import Start, small_settings
from ssot_engine.agents import Message, RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import EngineLimitReached, RequestError, RunConflict, UnknownAgent, UnknownRun
from ssot_engine.events import Outcome, RunStatus, ThreadKey
from ssot_engine.ids import keyed_run_id
from ssot_engine.runs.base import RunSpec


@agent("echo")
async def echo(run: RunContext) -> str:
    return f"{run.message} {dict(run.inputs)} {len(run.history)}"


@agent("endless")
async def endless(run: RunContext) -> None:
    await asyncio.Event().wait()


def spec(agent: str = "echo", message: str = "hi", run_id: str = "run-1", **more: Any) -> RunSpec:
    return RunSpec(context=context_of("alice", run_id), agent=agent, message=message, **more)


async def test_a_submitted_run_has_the_contexts_run_id_and_what_was_specified(start: Start) -> None:
    """Its result can be waited for while it goes on and after its end; its engine is gone then."""
    container = await start(echo)
    runs = container.runs()
    run_id = await runs.submit(spec(inputs={"a": 1}, history=[Message("user", "before")]))
    assert "run-1" == run_id
    first = await runs.wait("alice", run_id)
    assert (RunStatus.COMPLETED, "hi {'a': 1} 1") == (first.status, first.output)
    await until(lambda: not container.engine_factory().engines())
    assert first == await runs.wait("alice", run_id)
    record = await runs.record("alice", run_id)
    assert ("echo", "hi", RunStatus.COMPLETED) == (record.agent_name, record.message, record.status)
    check_thread(events_of(container.event_log()))


async def test_a_submitted_run_outlives_its_submitter(start: Start) -> None:
    """The task that submitted and waited is cancelled; the run goes on to its end."""
    release = asyncio.Event()

    @agent("agent")
    async def waits(run: RunContext) -> str:
        await release.wait()
        return "done"

    container = await start(waits)
    runs = container.runs()

    async def client() -> None:
        await runs.wait("alice", await runs.submit(spec("agent")))

    task = asyncio.create_task(client())
    await until(lambda: container.control().live)
    task.cancel()
    await asyncio.wait((task,))
    assert 1 == len(container.control().live)
    release.set()
    assert "done" == (await runs.wait("alice", "run-1")).output
    await until(lambda: not container.engine_factory().engines())


async def test_a_run_is_known_to_its_user_only(start: Start) -> None:
    """Another user can neither wait for it, nor read its record, nor stop it."""
    container = await start(endless)
    runs = container.runs()
    await runs.submit(spec("endless"))
    for ask in (runs.wait, runs.record):
        with pytest.raises(UnknownRun, match="unknown run 'run-1'"):
            await ask("bob", "run-1")
    assert Outcome.UNKNOWN == (await runs.cancel("bob", "run-1")).outcome
    assert Outcome.STOPPED == (await runs.cancel("alice", "run-1")).outcome
    assert Outcome.ALREADY_ENDED == (await runs.cancel("alice", "run-1")).outcome
    assert RunStatus.CANCELLED == (await runs.wait("alice", "run-1")).status
    await until(lambda: not container.engine_factory().engines())


async def test_one_key_is_one_run(start: Start) -> None:
    """Submitted again with its key, at once or after its end, it is the run that is there already."""
    ran: list[str] = []

    @agent("counts")
    async def counts(run: RunContext) -> int:
        ran.append(run.run_id)
        await asyncio.sleep(0.005)
        return len(ran)

    container = await start(counts)
    runs = container.runs()
    requests = [spec("counts", run_id=f"request-{n}", idempotency_key="key-1") for n in range(3)]
    ids = await asyncio.gather(*(runs.submit(request) for request in requests))
    assert {keyed_run_id("alice", "key-1")} == set(ids)
    assert 1 == (await runs.wait("alice", ids[0])).output
    assert ids[0] == await runs.submit(requests[0])
    assert 1 == (await runs.wait("alice", ids[0])).output
    assert 1 == len(ran)
    await until(lambda: not container.engine_factory().engines())


async def test_one_key_is_one_run_although_both_found_nothing_yet(start: Start) -> None:
    """Two submissions wait for an engine together: one starts the run, both get its id."""
    container = await start(echo, engine={"max_engines_per_user": 1, "when_full": "wait"})
    runs = container.runs()
    busy = await container.engine_factory().create_for_user(context_of("alice", "r-0"))
    submissions = [
        asyncio.create_task(runs.submit(spec(run_id=f"r-{n}", idempotency_key="key-1"))) for n in range(1, 4)
    ]
    await until(lambda: container.admission().engines.waiting == 3)
    await busy.cleanup()
    ids = await asyncio.gather(*submissions)
    assert {keyed_run_id("alice", "key-1")} == set(ids)
    assert RunStatus.COMPLETED == (await runs.wait("alice", ids[0])).status
    assert 1 == container.metrics().runs_started
    await until(lambda: not container.engine_factory().engines())


def test_keys_of_two_users_never_meet() -> None:
    """Whatever user ids and keys are made of."""
    pairs = [("a", "bc"), ("ab", "c"), ("1:a", "b"), ("1", ":ab"), ("a", "b"), ("11", "x"), ("1", "1x")]
    assert len(pairs) == len({keyed_run_id(*pair) for pair in pairs})
    assert keyed_run_id("a", "b") == keyed_run_id("a", "b")


async def test_a_run_id_that_is_taken_is_a_conflict(start: Start) -> None:
    """Without a key, or when another request has it; nothing is left of the refused one."""
    container = await start(echo)
    runs = container.runs()
    await runs.wait("alice", await runs.submit(spec()))
    with pytest.raises(RunConflict):
        await runs.submit(spec())
    keyed = keyed_run_id("alice", "key-1")
    await runs.wait("alice", await runs.submit(spec(run_id=keyed)))
    with pytest.raises(RunConflict):
        await runs.submit(spec(idempotency_key="key-1"))
    await until(lambda: not container.engine_factory().engines())


async def test_what_cannot_run_is_refused_to_the_submitter(start: Start) -> None:
    """An unknown agent or a full process: an error, and no engine is left."""
    container = await start(echo, endless, engine={"max_engines_per_user": 1})
    runs = container.runs()
    with pytest.raises(UnknownAgent):
        await runs.submit(spec("nobody"))
    await runs.submit(spec("endless"))
    with pytest.raises(EngineLimitReached):
        await runs.submit(spec(run_id="run-2"))
    await runs.cancel("alice", "run-1")
    await until(lambda: not container.engine_factory().engines())


async def test_a_submitted_run_that_queues_is_known(start: Start) -> None:
    """While it waits for its turn it is found by its key, and can be waited for and cancelled."""
    container = await start(echo, endless, engine={"max_concurrent_runs_per_user": 1, "when_full": "wait"})
    runs = container.runs()
    keyed = keyed_run_id("alice", "key-1")
    await runs.submit(spec("endless"))
    unkeyed = asyncio.create_task(runs.submit(spec(run_id="run-2")))
    first = asyncio.create_task(runs.submit(spec(run_id="run-3", idempotency_key="key-1")))
    await until(lambda: container.admission().runs.waiting == 2)
    assert keyed == await runs.submit(spec(run_id="run-4", idempotency_key="key-1"))
    waiting = asyncio.create_task(runs.wait("alice", "run-2"))
    await asyncio.sleep(0)
    assert Outcome.STOPPED == (await runs.cancel("alice", "run-2")).outcome
    assert RunStatus.CANCELLED == (await waiting).status
    with pytest.raises(RequestError, match="'run-2' was stopped while it waited"):
        await unkeyed
    await runs.cancel("alice", "run-1")
    assert keyed == await first
    assert RunStatus.COMPLETED == (await runs.wait("alice", keyed)).status
    await until(lambda: not container.engine_factory().engines())
    assert {"run-1", keyed} == {event.run_id for event in events_of(container.event_log())}


async def test_shutdown_ends_submitted_runs() -> None:
    """They are drained and cancelled like any other, and no task is left."""
    container = ExecutionContainer.from_settings(small_settings(engine={"drain_timeout_s": 0.02}))
    container.registry().register(endless)
    before = asyncio.all_tasks()
    async with container.running():
        await container.runs().submit(spec("endless"))
        log = container.event_log()
        key = ThreadKey("alice", "t-1")
        follower = log.follow(key, None)
        kinds = []
        shutdown = asyncio.create_task(container.engine_factory().shutdown())
        async for event in follower:
            kinds.append(event.type)
            if event.type == "agent_completed":
                break
        await shutdown
    assert ["agent_started", "agent_completed"] == kinds
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_run_refused_in_the_queue_is_refused_to_its_submitter(start: Start) -> None:
    """Nobody is given the id of a run that never began, to follow it for ever."""
    container = await start(endless, echo, engine={"max_concurrent_runs_per_user": 1, "when_full": "wait", "wait_timeout_s": 0.05})
    runs = container.runs()
    await runs.submit(spec("endless"))
    with pytest.raises(EngineLimitReached):
        await runs.submit(spec(run_id="run-2"))
    with pytest.raises(UnknownRun):
        await runs.record("alice", "run-2")
    await until(lambda: len(container.engine_factory().engines()) == 1)
    await runs.cancel("alice", "run-1")
    await until(lambda: not container.engine_factory().engines())
