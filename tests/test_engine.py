"""The engine: run ids, parallel runs, caps and queues, its parts, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes import ALICE, BOB, check_thread, context_of, events_of, types_of, until
from running import Start
from ssot_engine.agents import Output, RunContext, agent
from ssot_engine.errors import ClosedError, EngineLimitReached, RunConflict
from ssot_engine.events import Outcome, RunResult, RunStatus
from ssot_engine.tools import ToolCall


@agent("echo")
async def echo(run: RunContext) -> AsyncIterator[str]:
    """Says it again.

    More text.
    """
    yield run.message


@agent("endless")
async def endless(run: RunContext) -> None:
    await asyncio.Event().wait()


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


# -------------------------------------------------------------------------- run ids


async def test_the_first_run_has_the_contexts_run_id_and_each_further_one_its_own(start: Start) -> None:
    """Later and concurrent runs of one engine get fresh ids in the same thread."""
    container = await start(echo)
    async with container.engine_factory().engine_for(context_of()) as engine:
        first = await engine.run("echo", "1")
        second, third = await asyncio.gather(engine.run("echo", "2"), engine.run("echo", "3"))
    assert "run-1" == first.run_id
    assert 3 == len({first.run_id, second.run_id, third.run_id})
    check_thread(events_of(container.event_log()))


async def test_a_run_id_that_was_used_is_refused(start: Start) -> None:
    """A second engine on the same context meets a conflict with its first run, open or ended, and goes on after it."""
    container = await start(echo, endless)
    factory = container.engine_factory()
    async with factory.engine_for(context_of()) as one, factory.engine_for(context_of()) as two:
        stream = one.stream("endless", "go")
        with pytest.raises(RunConflict, match="run 'run-1' is open already"):
            await two.run("echo", "again")
        await one.cancel(stream.run_id)
        assert RunStatus.COMPLETED == (await two.run("echo", "other")).status
    async with factory.engine_for(context_of()) as three:
        with pytest.raises(RunConflict, match="run 'run-1' ended cancelled already"):
            three.stream("echo", "again")
    check_thread(events_of(container.event_log()))


async def test_a_run_id_is_one_users_own(start: Start) -> None:
    """Two users may use one thread id and one run id; neither sees the other's events."""
    container = await start(echo)
    factory = container.engine_factory()
    async with factory.engine_for(context_of("alice")) as hers, factory.engine_for(context_of("bob")) as his:
        await asyncio.gather(hers.run("echo", "hers"), his.run("echo", "his"))
    for key, text in ((ALICE, "hers"), (BOB, "his")):
        events = events_of(container.event_log(), key)
        check_thread(events)
        assert {key.user_id} == {event.user_id for event in events}
        assert text == events[-1].payload["result"]


async def test_a_repeated_request_with_its_key_gets_the_stored_result(start: Start) -> None:
    """The same run id and idempotency key: nothing runs again; another key, or none, is a conflict."""
    runs: list[str] = []

    @agent("counts")
    async def counts(run: RunContext) -> Any:
        runs.append(run.run_id)
        run.report_usage(input_tokens=7)
        return Output({"answer": 42})

    container = await start(counts)
    factory = container.engine_factory()
    results: list[RunResult] = []
    for _ in range(2):
        async with factory.engine_for(context_of()) as engine:
            results.append(await engine.run("counts", "go", idempotency_key="key-1"))
    assert results[0] == results[1]
    assert ["run-1"] == runs
    for key in ("key-2", None):
        async with factory.engine_for(context_of()) as engine:
            with pytest.raises(RunConflict):
                await engine.run("counts", "go", idempotency_key=key)


async def test_a_key_acts_once_on_one_engine_too(start: Start) -> None:
    """Each key is one run, whether it was the engine's first or a later one."""
    runs: list[str] = []

    @agent("counts")
    async def counts(run: RunContext) -> int:
        runs.append(run.run_id)
        return len(runs)

    container = await start(counts)
    async with container.engine_factory().engine_for(context_of()) as engine:
        keys = ("key-1", "key-2", "key-1", "key-2")
        outputs = [(await engine.run("counts", "go", idempotency_key=key)).output for key in keys]
    assert [1, 2, 1, 2] == outputs
    assert 2 == len(runs)


async def test_a_stored_failure_comes_back_as_it_was(start: Start) -> None:
    """The error of a failed run is part of what a repeated request gets."""

    @agent("fails")
    async def fails(run: RunContext) -> None:
        raise TimeoutError("upstream")

    container = await start(fails)
    results: list[RunResult] = []
    for _ in range(2):
        async with container.engine_factory().engine_for(context_of()) as engine:
            results.append(await engine.run("fails", "go", idempotency_key="key-1"))
    assert results[0] == results[1]
    assert results[1].error is not None
    assert ("TimeoutError", "upstream", True) == (
        results[1].error.type,
        results[1].error.message,
        results[1].error.retryable,
    )


async def test_two_engines_of_one_context_are_told_apart(start: Start) -> None:
    """Engine ids are unique even when made in the same millisecond, and both count."""
    container = await start(echo)
    factory = container.engine_factory()
    context = context_of()
    engines = [await factory.create_for_user(context) for _ in range(10)]
    assert 10 == len({engine.engine_id for engine in engines})
    assert engines == factory.engines()
    assert {"alice": 10} == container.admission().engines.held
    for engine in engines:
        await engine.cleanup()


# --------------------------------------------------------------------- caps of runs


async def test_a_users_run_beyond_the_cap_is_refused_over_all_engines(start: Start) -> None:
    """The cap counts the user's runs, not the engine's; another user is free."""
    container = await start(echo, endless, engine={"max_concurrent_runs_per_user": 2})
    factory = container.engine_factory()
    async with (
        factory.engine_for(context_of("alice", "r-1")) as one,
        factory.engine_for(context_of("alice", "r-2")) as two,
    ):
        one.stream("endless", "go")
        stream = two.stream("endless", "go")
        with pytest.raises(EngineLimitReached, match="user 'alice': already has 2 runs going on") as refusal:
            await one.run("echo", "go")
        assert (429, "engine.max_concurrent_runs_per_user", 2) == (
            refusal.value.status,
            refusal.value.setting,
            refusal.value.limit,
        )
        async with factory.engine_for(context_of("bob")) as his:
            assert RunStatus.COMPLETED == (await his.run("echo", "go")).status
        await two.cancel(stream.run_id)
        assert RunStatus.COMPLETED == (await one.run("echo", "go")).status
    assert 1 == factory.metrics()["limit_refusals"]


async def test_a_refused_run_does_not_use_up_the_contexts_run_id(start: Start) -> None:
    """The first run that starts has the context's run id, however many were refused before."""
    container = await start(echo, endless, engine={"max_concurrent_runs_per_user": 1})
    factory = container.engine_factory()
    async with (
        factory.engine_for(context_of("alice", "r-1")) as one,
        factory.engine_for(context_of("alice", "r-2")) as two,
    ):
        stream = one.stream("endless", "go")
        for _ in range(2):
            with pytest.raises(EngineLimitReached):
                await two.run("echo", "go")
        await one.cancel(stream.run_id)
        assert "r-2" == (await two.run("echo", "go")).run_id


async def test_an_engines_run_beyond_its_cap_is_refused(start: Start) -> None:
    """One engine runs so many at a time."""
    container = await start(echo, endless, engine={"max_concurrent_runs_per_engine": 1})
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("endless", "go")
        with pytest.raises(EngineLimitReached, match=r"engine\.max_concurrent_runs_per_engine \(now 1\)"):
            await engine.run("echo", "go")
        await engine.cancel(stream.run_id)
        assert RunStatus.COMPLETED == (await engine.run("echo", "go")).status


WAIT = {"max_concurrent_runs_per_user": 1, "when_full": "wait"}


async def test_a_queued_run_starts_in_its_turn(start: Start) -> None:
    """With `when_full: wait` the run beyond the cap has no events until the one before it has ended."""
    container = await start(echo, endless, engine=WAIT)
    async with container.engine_factory().engine_for(context_of()) as engine:
        first = engine.stream("endless", "go")
        second = asyncio.create_task(engine.run("echo", "later"))
        third = engine.stream("echo", "last")
        await until(lambda: container.admission().runs.waiting == 2)
        assert ["agent_started"] == types_of(events_of(container.event_log()))
        await engine.cancel(first.run_id)
        assert "later" == (await second).output
        events = [event async for event in third]
        assert ["agent_started", "message_delta", "agent_completed"] == types_of(events)
        assert {third.run_id} == {event.run_id for event in events}
    check_thread(events_of(container.event_log()))


@pytest.mark.parametrize("steps", [0, 1, 2, 20])
async def test_a_queued_run_can_be_cancelled_and_never_starts(start: Start, steps: int) -> None:
    """At any moment in the queue, also before its task's first step: cancelled, no event, no slot held."""
    container = await start(echo, endless, engine=WAIT)
    async with container.engine_factory().engine_for(context_of()) as engine:
        first = engine.stream("endless", "go")
        queued = engine.stream("echo", "go")
        for _ in range(steps):
            await asyncio.sleep(0)
        receipt = await asyncio.wait_for(engine.cancel(queued.run_id), 1)
        assert (Outcome.STOPPED, ()) == (receipt.outcome, receipt.may_still_act)
        assert RunStatus.CANCELLED == (await queued.result()).status
        assert [] == [event async for event in queued]
        assert (first.run_id,) == engine.active_runs
        assert {"alice": 1} == container.admission().runs.held
    assert {first.run_id} == {event.run_id for event in events_of(container.event_log())}
    assert 0 == container.engine_factory().metrics()["runs_abandoned"]


async def test_a_queued_run_without_grace_time_ends_as_cancelled(start: Start) -> None:
    """A grace time of 0 ends no run by force that never started."""
    container = await start(endless, engine={**WAIT, "stop_grace_s": 0.0})
    async with container.engine_factory().engine_for(context_of()) as engine:
        engine.stream("endless", "go")
        queued = engine.stream("endless", "go")
        await asyncio.wait_for(engine.cancel(queued.run_id), 1)
        assert RunStatus.CANCELLED == (await queued.result()).status


async def test_a_queued_run_can_be_cancelled_by_another_engine_of_the_user(start: Start) -> None:
    """A run that waits is known: the receipt does not say `unknown` of what would act later."""
    container = await start(endless, engine=WAIT)
    factory = container.engine_factory()
    async with (
        factory.engine_for(context_of("alice", "r-1")) as one,
        factory.engine_for(context_of("alice", "r-2")) as two,
    ):
        one.stream("endless", "go")
        queued = one.stream("endless", "go")
        assert Outcome.STOPPED == (await two.cancel(queued.run_id)).outcome


async def test_a_queued_run_whose_caller_goes_never_starts(start: Start) -> None:
    """Cancelling the task that awaits a queued `run` takes it out of the queue."""
    container = await start(endless, engine=WAIT)
    async with container.engine_factory().engine_for(context_of()) as engine:
        first = engine.stream("endless", "go")
        caller = asyncio.create_task(engine.run("endless", "go"))
        await until(lambda: container.admission().runs.waiting == 1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert (first.run_id,) == engine.active_runs
        assert 0 == container.admission().runs.waiting


async def test_a_queued_run_that_waits_too_long_is_refused(start: Start) -> None:
    """`run` and the stream raise EngineLimitReached after `engine.wait_timeout_s`."""
    container = await start(endless, engine={**WAIT, "wait_timeout_s": 0.02})
    async with container.engine_factory().engine_for(context_of()) as engine:
        engine.stream("endless", "go")
        stream = engine.stream("endless", "go")
        with pytest.raises(EngineLimitReached):
            await engine.run("endless", "go")
        with pytest.raises(EngineLimitReached):
            await stream.__anext__()
        with pytest.raises(EngineLimitReached):
            await stream.result()
        assert 1 == len(engine.active_runs)


async def test_the_scopes_end_takes_queued_runs_with_it(start: Start) -> None:
    """Runs that wait when the engine ends are cancelled and never start."""
    container = await start(endless, engine=WAIT)
    async with container.engine_factory().engine_for(context_of()) as engine:
        engine.stream("endless", "go")
        queued = [engine.stream("endless", "go") for _ in range(3)]
    assert [RunStatus.CANCELLED] * 3 == [(await stream.result()).status for stream in queued]
    assert ["agent_started", "agent_completed"] == types_of(events_of(container.event_log()))


async def test_a_queued_run_whose_id_is_taken_meanwhile_is_a_conflict(start: Start) -> None:
    """Two engines of one context queue for the same run id: the second is told when its turn comes."""
    container = await start(echo, endless, engine=WAIT)
    factory = container.engine_factory()
    async with factory.engine_for(context_of("alice", "r-0")) as busy:
        stream = busy.stream("endless", "go")
        async with factory.engine_for(context_of()) as one, factory.engine_for(context_of()) as two:
            first, second = one.stream("echo", "1"), two.stream("echo", "2")
            await busy.cancel(stream.run_id)
            assert RunStatus.COMPLETED == (await first.result()).status
            with pytest.raises(RunConflict):
                await asyncio.wait_for(second.result(), 1)
    check_thread(events_of(container.event_log()))


# ------------------------------------------------------------------------ its parts


async def test_an_engine_shows_whose_it_is_and_what_it_has(start: Start) -> None:
    """Context, bridge, emitter, agents and tools are those of its own scope; agents and tools can be listed."""

    class OwnState:
        """Counts."""

        name = "counter"

        async def execute(self, run: RunContext) -> None: ...

    container = await start(echo, OwnState, tools=[add])
    factory = container.engine_factory()
    context = context_of()
    async with factory.engine_for(context) as engine, factory.engine_for(context_of("bob")) as other:
        assert engine.user_context is context
        assert engine.get_user_context() is context
        assert engine.websocket_bridge is engine.websocket_emitter.websocket_bridge
        assert ALICE == engine.websocket_bridge.key
        assert engine.is_active()
        assert not engine.is_compatibility_mode()
        assert [("counter", "Counts."), ("echo", "Says it again.")] == engine.get_available_agents()
        assert ["counter", "echo"] == [info.agent_name for info in engine.get_available_agents()]
        assert ["add"] == [tool.name for tool in await engine.get_available_tools()]
        assert (None, None) == (engine.database_session_manager, engine.redis_manager)
        for mine, others in (
            (engine.agent_factory, other.agent_factory),
            (engine.websocket_emitter, other.websocket_emitter),
            (engine.websocket_bridge, other.websocket_bridge),
            (engine.agent_factory.get("counter"), other.agent_factory.get("counter")),
        ):
            assert mine is not others
        assert engine.agent_factory.get("echo") is other.agent_factory.get("echo")


async def test_the_tools_of_an_engine_can_be_listed_but_not_called_outside_a_run(start: Start) -> None:
    """The dispatcher names the registered tools and refuses a call."""
    container = await start(tools=[add])
    async with container.engine_factory().engine_for(context_of()) as engine:
        dispatcher = await engine.get_tool_dispatcher()
        assert ["add"] == dispatcher.get_available_tools()
        assert dispatcher.has_tool("add")
        assert not dispatcher.has_tool("other")
        with pytest.raises(ClosedError, match="tool 'add' was called outside a run"):
            await dispatcher.execute_tool("add", {"a": 1, "b": 2})


async def test_an_engine_without_registered_tools_has_none(start: Start) -> None:
    """Nothing is invented: no tool, no agent."""
    container = await start()
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert [] == await engine.get_available_tools()
        assert [] == engine.get_available_agents()


async def test_the_agent_that_is_asked_for_is_the_one_that_runs(start: Start) -> None:
    """An engine's own instance executes, with its state from the run before; nothing else is made and thrown away."""
    made: list[object] = []

    class Counter:
        name = "counter"

        def __init__(self) -> None:
            made.append(self)
            self.runs = 0

        async def execute(self, run: RunContext) -> int:
            self.runs += 1
            return self.runs

    container = await start(Counter)
    factory = container.engine_factory()
    async with factory.engine_for(context_of()) as engine:
        assert [1, 2] == [(await engine.run("counter", "go")).output for _ in range(2)]
    async with factory.engine_for(context_of("bob")) as engine:
        assert 1 == (await engine.run("counter", "go")).output
    assert 2 == len(made)


# -------------------------------------------------------------------------- its end


async def test_an_engine_after_its_end_refuses_to_run_and_ends_again_quietly(start: Start) -> None:
    """`run` and `stream` raise ClosedError that names the engine; `cleanup` may be called any number of times."""
    container = await start(echo)
    engine = await container.engine_factory().create_for_user(context_of())
    await asyncio.gather(engine.cleanup(), engine.cleanup())
    await engine.cleanup()
    assert not engine.is_active()
    with pytest.raises(ClosedError, match=f"engine {engine.engine_id} has ended with its scope"):
        await engine.run("echo", "go")
    with pytest.raises(ClosedError):
        engine.stream("echo", "go")
    metrics = container.engine_factory().metrics()
    assert (1, 1, 0) == (metrics["engines_created"], metrics["engines_closed"], metrics["engines_active"])


async def test_closing_an_engine_stops_all_its_runs(start: Start) -> None:
    """Cleanup, even twice at once, returns when none of its runs goes on."""
    container = await start(endless)
    engine = await container.engine_factory().create_for_user(context_of())
    streams = [engine.stream("endless", str(i)) for i in range(5)]
    await asyncio.gather(engine.cleanup(), engine.cleanup())
    assert () == engine.active_runs
    assert [RunStatus.CANCELLED] * 5 == [(await stream.result()).status for stream in streams]
    check_thread(events_of(container.event_log()))


async def test_a_bare_scope_has_a_working_engine_that_is_not_counted(start: Start) -> None:
    """`open_scope` and `scope.get(container.engine)`: it runs, takes no slot, and ends with the scope."""
    container = await start(echo, endless)
    async with container.open_scope(context=context_of()) as scope:
        engine = scope.get(container.engine)
        assert "hi" == (await engine.run("echo", "hi")).output
        assert {} == container.admission().engines.held
        assert [] == container.engine_factory().engines()
        stream = engine.stream("endless", "go")
    assert RunStatus.CANCELLED == (await stream.result()).status
    other = container.open_scope(context=context_of("alice", "r-2"))
    engine = other.get(container.engine)
    await engine.cleanup()
    assert not engine.is_active()
    await other.aclose()


async def test_metrics_are_a_copy(start: Start) -> None:
    """What a caller does to the counts it was given changes nothing."""
    container = await start(echo)
    factory = container.engine_factory()
    factory.metrics()["engines_created"] = 99
    assert 0 == factory.metrics()["engines_created"]


async def test_a_tool_is_told_for_whom_it_acts(start: Start) -> None:
    """The call's own parameter carries the context of the agent that called."""

    def who(call: ToolCall) -> str:
        return f"{call.context.user_id} {call.run_id}"

    @agent("asks")
    async def asks(run: RunContext) -> Any:
        return await run.tools.call("who")

    container = await start(asks, tools=[who])
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert "alice run-1" == (await engine.run("asks", "")).output
