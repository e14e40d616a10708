"""Facts about `engine.execute_agent`: the original's request and result, on an engine of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes import check_thread, context_of, events_of, types_of
from running import Start
from ssot_engine.agents import Output, RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ClosedError, InvalidContext, RequestError, UnknownAgent
from ssot_engine.legacy.census import census
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.execution import AgentExecutionContext, AgentExecutionResult, IExecutionEngine

pytestmark = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")


@agent
async def reporter(run: RunContext) -> Output:
    """Tells what it was asked, with what."""
    seconds = run.deadline - asyncio.get_running_loop().time()
    return Output({"message": run.message, "inputs": dict(run.inputs), "seconds": round(seconds)})


@agent
async def broken(run: RunContext) -> AsyncIterator[str]:
    """Fails after a word."""
    yield "begun"
    raise RuntimeError("the tool is out of order")


@agent
async def endless(run: RunContext) -> None:
    """Never ends by itself."""
    await asyncio.Event().wait()


def asked(name: str = "reporter", **changes: Any) -> AgentExecutionContext:
    """A request of the original's kind, for the engine of `context_of()`."""
    return AgentExecutionContext(
        **{"run_id": "run-1", "thread_id": "t-1", "user_id": "alice", "agent_name": name, **changes}
    )


async def execute(
    start: Start, context: Any, user_context: Any = None, mine: UserExecutionContext | None = None
) -> tuple[AgentExecutionResult, ExecutionContainer]:
    """One call on an engine of alice's."""
    container = await start(reporter, broken, endless)
    async with container.engine_factory().engine_for(mine or context_of()) as engine:
        return await engine.execute_agent(context, user_context), container


async def test_an_agent_runs_as_the_context_says(start: Start) -> None:
    """It gets the text and the metadata; the result tells who ran, for whom, and how long."""
    metadata = {"user_message": "Where does it go?", "period": "may"}
    result, container = await execute(start, asked(metadata=metadata))
    assert ("Where does it go?", metadata) == (result.data["message"], result.data["inputs"])
    assert (True, "reporter", context_of().user_id, None) == (
        result.success, result.agent_name, result.user_context and result.user_context.user_id, result.error
    )  # fmt: skip
    assert {"run_id": "run-1", "status": "completed"} == {key: result.metadata[key] for key in ("run_id", "status")}
    assert "timeout" not in result.metadata
    assert result.duration > 0
    assert {"input_tokens", "tool_calls"} <= result.metrics.keys()
    events = events_of(container.event_log())
    check_thread(events)
    assert ["agent_started", "agent_completed"] == types_of(events)


async def test_an_agent_that_fails_is_a_result(start: Start) -> None:
    """With the agent's own text; its events are those of any run."""
    result, container = await execute(start, asked("broken"))
    assert (False, "the tool is out of order", "failed") == (result.success, result.error, result.metadata["status"])
    events = events_of(container.event_log())
    assert ["agent_started", "message_delta", "agent_error", "agent_completed"] == types_of(events)
    assert "failed" == events[-1].payload["status"]


async def test_an_agent_that_takes_too_long_is_a_result(start: Start) -> None:
    """Its metadata says so; the seconds are the request's own."""
    result, container = await execute(start, asked("endless", timeout=0.01))
    assert (False, True, "timed_out") == (result.success, result.metadata["timeout"], result.metadata["status"])
    assert "the run was timed_out" == result.error
    assert "timed_out" == events_of(container.event_log())[-1].payload["status"]


@pytest.mark.parametrize(("timeout", "seconds"), [(7, 7), (0.9e6, 900_000), (None, 20)])
async def test_the_time_limit_is_the_requests_else_the_settings(
    start: Start, timeout: float | None, seconds: int
) -> None:
    """The tests' containers have an `engine.run_timeout_s` of 20."""
    result, _ = await execute(start, asked(timeout=timeout))
    assert seconds == result.data["seconds"]


@pytest.mark.parametrize(
    ("metadata", "own", "message"),
    [
        ({"message": "first", "query": "last"}, {}, "first"),
        ({"query": "last", "message": None}, {}, "last"),
        ({}, {"user_request": "of the context"}, "of the context"),
        ({"prompt": "unknown"}, {}, ""),
        (None, {}, ""),
    ],
)
async def test_the_message_is_found_where_callers_put_it(
    start: Start, metadata: Any, own: dict[str, Any], message: str
) -> None:
    """In the request, else in the engine's context, else there is none."""
    mine = UserExecutionContext("alice", "t-1", "run-1", metadata=own)
    result, _ = await execute(start, asked(metadata=metadata), mine=mine)
    assert message == result.data["message"]


async def test_the_agent_cannot_change_the_callers_metadata(start: Start) -> None:
    """It gets a copy."""
    metadata: dict[str, Any] = {}

    @agent
    async def writer(run: RunContext) -> None:
        """Writes into its inputs."""
        run.inputs["mine"] = 1  # type: ignore[index]

    container = await start(writer)
    async with container.engine_factory().engine_for(context_of()) as engine:
        await engine.execute_agent(asked("writer", metadata=metadata))
    assert {} == metadata


async def test_a_further_run_has_an_id_of_its_own(start: Start) -> None:
    """The result says which, whatever the request asked for."""
    container = await start(reporter)
    async with container.engine_factory().engine_for(context_of()) as engine:
        first = await engine.execute_agent(asked(run_id="run-other"))
        second = await engine.execute_agent(asked())
    assert "run-1" == first.metadata["run_id"]
    assert second.metadata["run_id"] not in ("run-1", "run-other")
    check_thread(events_of(container.event_log()))


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("context", "user_context", "field"),
    [
        (asked(user_id="bob"), None, "user_id"),
        (asked(thread_id="t-2"), None, "thread_id"),
        (asked(), context_of("bob"), "user_id"),
        (asked(), context_of("alice", "run-1", "t-2"), "thread_id"),
        (asked(run_id="registry"), None, "run_id"),
        (asked(run_id=" "), None, "run_id"),
        (asked(user_id=None), None, "user_id"),
    ],
)
async def test_a_request_of_somebody_else_is_refused(
    start: Start, context: AgentExecutionContext, user_context: UserExecutionContext | None, field: str
) -> None:
    """Nothing runs; an old `except ValueError` catches it."""
    container = await start(reporter)
    async with container.engine_factory().engine_for(context_of()) as engine:
        with pytest.raises(InvalidContext) as raised:
            await engine.execute_agent(context, user_context)
    assert field == raised.value.field
    assert isinstance(raised.value, ValueError)
    assert [] == events_of(container.event_log())


async def test_the_engines_own_context_may_be_named_again(start: Start) -> None:
    """A child of it too: it is the same user and thread."""
    result, _ = await execute(start, asked(), context_of().child("step"))
    assert result.success


@pytest.mark.parametrize(("context", "user_context"), [("reporter", None), (context_of(), None), (asked(), "alice")])
async def test_what_is_no_context_is_refused_with_the_right_call(
    start: Start, context: object, user_context: object
) -> None:
    """A name, or our own context in the request's place."""
    with pytest.raises(TypeError, match=r"engine\.execute_agent\(AgentExecutionContext\(run_id"):
        await execute(start, context, user_context)


@pytest.mark.parametrize(("name", "value"), [("metadata", ["message"]), ("timeout", "30")])
async def test_a_request_that_cannot_become_a_run_is_refused_with_the_right_call(
    start: Start, name: str, value: object
) -> None:
    """Nobody checks these where the request is made."""
    request = asked()
    setattr(request, name, value)
    with pytest.raises(TypeError, match=rf"{name} of the .*engine\.execute_agent\(AgentExecutionContext\(run_id"):
        await execute(start, request)


async def test_what_never_began_is_an_error_not_a_result(start: Start) -> None:
    """An unknown agent, a senseless time, an engine that has ended."""
    container = await start(reporter)
    async with container.engine_factory().engine_for(context_of()) as engine:
        with pytest.raises(UnknownAgent):
            await engine.execute_agent(asked("nobody"))
        with pytest.raises(RequestError, match="timeout_s is 0"):
            await engine.execute_agent(asked(timeout=0))
    with pytest.raises(ClosedError):
        await engine.execute_agent(asked())


# --------------------------------------------------------------------- what they are


async def test_it_is_told_and_counted_at_the_callers_line(start: Start) -> None:
    """Where it is called, even if a task of its own awaits it."""
    census.clear()
    container = await start(reporter)
    async with container.engine_factory().engine_for(context_of()) as engine:
        with pytest.warns(LegacyWarning, match="UserExecutionEngine.execute_agent is deprecated") as told:
            await asyncio.ensure_future(engine.execute_agent(asked()))
    assert [__file__] == [one.filename for one in told]
    assert [("UserExecutionEngine.execute_agent", __file__, told[0].lineno, 1)] == [
        (site.door, site.file, site.line, site.count) for site in census.sites()
    ]


def test_an_engine_is_an_execution_engine() -> None:
    """For `isinstance` and `issubclass`, without being made of the other class."""
    assert issubclass(UserExecutionEngine, IExecutionEngine)
    assert IExecutionEngine not in UserExecutionEngine.__mro__


async def test_a_hosts_own_execution_engine_need_only_execute() -> None:
    """A subclass without `execute_agent` cannot be made."""

    class Mine(IExecutionEngine):
        async def execute_agent(
            self, context: AgentExecutionContext, user_context: UserExecutionContext | None = None
        ) -> AgentExecutionResult:
            return AgentExecutionResult(success=True, agent_name=context.agent_name)

    assert "reporter" == (await Mine().execute_agent(asked())).agent_name
    with pytest.raises(TypeError, match="abstract"):
        type("Lazy", (IExecutionEngine,), {})()


def test_requests_and_results_are_plain_data_of_their_owner() -> None:
    """They can be changed and given further attributes; two never share a dict."""
    one, other = asked(), asked()
    one.metadata["step"] = 1
    one.retry_count += 1
    one.execution_id = "exec-1"  # type: ignore[attr-defined]
    assert ({}, 0) == (other.metadata, other.retry_count)
    result, another = AgentExecutionResult(success=False), AgentExecutionResult(success=False)
    result.metadata["x"] = result.metrics["y"] = 1
    assert ({}, {}) == (another.metadata, another.metrics)
