"""What an agent calls in its run: tools and nested agents, told, bounded, and ended before the run is."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes import check_thread, context_of, events_of, types_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import AgentError, ClosedError, RequestError, ToolError, UnknownAgent, UnknownTool
from ssot_engine.events import Event, RunResult, RunStatus
from ssot_engine.tools import Tool, ToolCall, tool


async def run_once(container: ExecutionContainer, name: str = "agent", message: str = "go") -> RunResult:
    """One run of alice, to its end, in an engine of its own."""
    async with container.engine_factory().engine_for(context_of()) as engine:
        async with asyncio.timeout(5):
            result = await engine.run(name, message)
    check_thread(events_of(container.event_log()))
    return result


def completed(container: ExecutionContainer) -> list[dict[str, Any]]:
    """What the `tool_completed` events carry."""
    return [event.payload for event in events_of(container.event_log()) if event.type == "tool_completed"]


def add(a: int, b: int = 1) -> int:
    """The sum."""
    return a + b


# ---------------------------------------------------------------------------- tools


async def test_a_tool_call_is_told_before_and_after(start: Start) -> None:
    """Parameters and result, one call id, the time it took; the same tool may run beside itself."""

    async def double(number: int) -> int:
        await asyncio.sleep(0.005)
        return number * 2

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        return await asyncio.gather(*(run.tools.call("double", number=number) for number in range(3)))

    container = await start(calls, tools=[double])
    assert [0, 2, 4] == (await run_once(container)).output
    events = events_of(container.event_log())
    executing = [event.payload for event in events if event.type == "tool_executing"]
    assert [{"number": 0}, {"number": 1}, {"number": 2}] == [payload["parameters"] for payload in executing]
    results = {payload["call_id"]: payload["result"] for payload in completed(container)}
    assert {payload["call_id"]: payload["parameters"]["number"] * 2 for payload in executing} == results
    assert 3 == len(results)
    assert all(payload["execution_time_ms"] >= 5 for payload in completed(container))


async def test_a_synchronous_tool_runs_in_a_thread(start: Start) -> None:
    """While it blocks its thread the loop goes on; the thread is named after tool and run."""
    go = threading.Event()

    def blocks() -> str:
        assert go.wait(5)
        return threading.current_thread().name

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        task = asyncio.create_task(run.tools.call("blocks"))
        await asyncio.sleep(0.01)
        go.set()
        return await task

    container = await start(calls, tools=[blocks])
    assert "blocks of run-1" == (await run_once(container)).output


async def test_one_runs_threads_are_bounded(start: Start) -> None:
    """Of 40 synchronous calls at once 16 run at the same time; all of them run."""
    lock, go, now = threading.Lock(), threading.Event(), 0

    def work() -> None:
        nonlocal now
        with lock:
            now += 1
        go.wait(5)

    @agent("agent")
    async def calls(run: RunContext) -> int:
        all_calls = asyncio.gather(*(run.tools.call("work") for _ in range(40)))
        await until(lambda: now >= 16)
        await asyncio.sleep(0.05)
        most = now
        go.set()
        await all_calls
        return most

    container = await start(calls, tools=[work])
    result = await run_once(container)
    assert (16, 40) == (result.output, now)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "missing required field `a`"),
        ({"a": "one"}, "Expected `int`, got `str`"),
        ({"a": 1, "c": 2}, "unknown field `c`"),
    ],
)
async def test_wrong_arguments_are_refused_before_the_tool_acts(
    start: Start, arguments: dict[str, Any], says: str
) -> None:
    """The error says what the tool takes; there is no event of a call that never was."""
    seen: list[ToolError] = []

    @agent("agent")
    async def calls(run: RunContext) -> str:
        try:
            await run.tools.call("add", **arguments)
        except ToolError as error:
            seen.append(error)
        return "went on"

    container = await start(calls, tools=[add])
    assert "went on" == (await run_once(container)).output
    assert "tool 'add': wrong arguments: " in str(seen[0])
    assert says in str(seen[0])
    assert str(seen[0]).endswith("it takes a, b (optional)")
    assert [] == completed(container)


async def test_an_unknown_tool_is_named_with_those_there_are(start: Start) -> None:
    """The agent may catch it; if not, the run fails with it."""

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        return await run.tools.call("subtract", a=1)

    container = await start(calls, tools=[add])
    result = await run_once(container)
    assert result.error is not None
    assert ("UnknownTool", "tool 'subtract': unknown; registered are: 'add'") == (
        result.error.type,
        result.error.message,
    )
    assert issubclass(UnknownTool, ToolError)


async def test_a_tool_may_have_parameters_of_any_name(start: Start) -> None:
    """`name`, `key`, `self` and `run` are arguments like any other."""

    def odd(name: str, key: str, run: str, once: str) -> str:
        return name + key + run + once

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        first = await run.tools.call("odd", name="a", key="b", run="c", once="d")
        return first + await run.tools.call_once("k", "odd", name="e", key="f", run="g", once="h")

    container = await start(calls, tools=[odd])
    assert "abcdefgh" == (await run_once(container)).output


async def test_a_tool_that_takes_too_long_is_an_error_its_agent_can_catch(start: Start) -> None:
    """Asynchronous or in a thread: a ToolError after `timeout_s`, told as failed. Its own TimeoutError stays one."""
    go = threading.Event()

    @tool(timeout_s=0.02)
    async def slow() -> None:
        await asyncio.Event().wait()

    @tool(timeout_s=0.02)
    def slow_thread() -> None:
        go.wait(5)

    @tool(timeout_s=5)
    async def upstream() -> None:
        raise TimeoutError("of its own")

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        said = []
        for name in ("slow", "slow_thread", "upstream"):
            try:
                await run.tools.call(name)
            except (ToolError, TimeoutError) as error:
                said.append(str(error))
        go.set()
        return said

    container = await start(calls, tools=[slow, slow_thread, upstream])
    assert [
        "tool 'slow': took longer than its 0.02 s; make it faster or raise timeout_s",
        "tool 'slow_thread': took longer than its 0.02 s; make it faster or raise timeout_s",
        "of its own",
    ] == (await run_once(container)).output
    assert ["failed"] * 3 == [payload["status"] for payload in completed(container)]


async def test_a_permission_is_needed_where_a_tool_says_so(start: Start) -> None:
    """Nobody has it by itself; settings give it to all, a host's `permissions` to a user."""

    @tool(permission="billing")
    def charge() -> str:
        return "charged"

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        return await run.tools.call("charge")

    def billing_for_alice(context: UserExecutionContext) -> frozenset[str]:
        return frozenset({"billing"} if context.user_id == "alice" else ())

    container = await start(calls, tools=[charge])
    result = await run_once(container)
    assert result.error is not None
    assert "tool 'charge': needs the permission 'billing', which user 'alice' lacks" == result.error.message
    assert [] == completed(container)
    everyone = await start(calls, tools=[charge], engine={"permissions": ("billing",)})
    assert "charged" == (await run_once(everyone)).output
    by_host = await start(calls, tools=[charge], prepare=lambda c: c.permissions.override(billing_for_alice))
    assert "charged" == (await run_once(by_host)).output
    async with by_host.engine_factory().engine_for(context_of("bob")) as engine:
        assert RunStatus.FAILED == (await engine.run("agent", "go")).status


async def test_a_call_has_an_idempotency_key_of_its_own_that_a_repeat_has_too(start: Start) -> None:
    """The key depends on user, run and the call's place alone; no two users or runs share one, whatever their ids."""
    seen: list[str] = []

    def act(call: ToolCall) -> None:
        seen.append(call.idempotency_key)
        assert not call.is_cancelled()

    @agent("agent")
    async def calls(run: RunContext) -> None:
        await run.tools.call("act")
        await run.tools.call("act")

    for _ in range(2):
        container = await start(calls, tools=[act])
        await run_once(container)
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]
    for user, run_id in (("a", "b/c"), ("a/b", "c"), ("1:a", "b"), ("2:a", "a/b")):
        async with container.engine_factory().engine_for(context_of(user, run_id)) as engine:
            await engine.run("agent", "go")
    assert 2 + 8 == len(set(seen))


async def test_call_once_acts_once_and_gives_everybody_the_result(start: Start) -> None:
    """A second call with the key, at the same time or later, gets the first one's result; a failed one is repeated."""
    acted: list[str] = []

    async def act(what: str) -> str:
        await asyncio.sleep(0.005)
        acted.append(what)
        if what == "bad" and acted.count("bad") == 1:
            raise ValueError("broken")
        return f"did {what}"

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        both = await asyncio.gather(*(run.tools.call_once("k", "act", what="good") for _ in range(3)))
        later = await run.tools.call_once("k", "act", what="other")
        bad = await asyncio.gather(
            *(run.tools.call_once("b", "act", what="bad") for _ in range(2)), return_exceptions=True
        )
        return [*both, later, repr(bad[0]), bad[1]]

    container = await start(calls, tools=[act])
    assert ["did good"] * 4 + ["ValueError('broken')", "did bad"] == (await run_once(container)).output
    assert ["good", "bad", "bad"] == acted


async def test_a_run_may_call_so_many_tools(start: Start) -> None:
    """The call beyond `engine.max_tool_calls_per_run` fails the run and does not act."""
    acted: list[int] = []

    def act() -> None:
        acted.append(1)

    @agent("agent")
    async def calls(run: RunContext) -> None:
        while True:
            await run.tools.call("act")

    container = await start(calls, tools=[act], engine={"max_tool_calls_per_run": 3})
    result = await run_once(container)
    assert result.error is not None
    assert "run 'run-1' called 3 tools; engine.max_tool_calls_per_run allows no more" == result.error.message
    assert (3, 3) == (len(acted), result.usage.tool_calls)
    assert 3 == container.engine_factory().metrics()["tool_calls"]


async def test_a_sibling_of_a_failed_tool_is_stopped_before_the_run_ends(start: Start) -> None:
    """The agent's own gather: one fails, the run fails, and the other does not act after the last event."""
    acted: list[str] = []

    async def bad() -> None:
        await asyncio.sleep(0.005)
        raise ValueError("broken")

    async def slow() -> None:
        await asyncio.sleep(0.05)
        acted.append("side effect")

    @agent("agent")
    async def calls(run: RunContext) -> None:
        await asyncio.gather(run.tools.call("bad"), run.tools.call("slow"))

    container = await start(calls, tools=[bad, slow])
    assert RunStatus.FAILED == (await run_once(container)).status
    assert [("bad", "failed"), ("slow", "cancelled")] == [(p["tool_name"], p["status"]) for p in completed(container)]
    await asyncio.sleep(0.06)
    assert [] == acted


async def test_a_tool_left_running_by_an_agent_that_returned_is_stopped(start: Start) -> None:
    """A task the agent forgot ends before its run does, and starts nothing more while it is being stopped."""
    acted: list[str] = []

    async def slow() -> None:
        await asyncio.Event().wait()

    def act() -> None:
        acted.append("acted")

    @agent("agent")
    async def forgets(run: RunContext) -> str:
        async def side() -> None:
            try:
                await run.tools.call("slow")
            finally:
                with pytest.raises(ClosedError):
                    await run.tools.call("act")

        task = asyncio.create_task(side())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0.005)
        return "done"

    container = await start(forgets, tools=[slow, act])
    result = await run_once(container)
    assert (RunStatus.COMPLETED, "done") == (result.status, result.output)
    assert [("slow", "cancelled")] == [(p["tool_name"], p["status"]) for p in completed(container)]
    assert [] == acted


async def test_a_tool_task_that_cannot_be_stopped_is_abandoned_and_counted(start: Start) -> None:
    """The run of an agent that returned ends after the grace time, although its tool goes on."""
    release = asyncio.Event()

    async def deaf() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(release.wait(), 1)

    @agent("agent")
    async def forgets(run: RunContext) -> str:
        task = asyncio.create_task(run.tools.call("deaf"))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0.005)
        return "done"

    container = await start(forgets, tools=[deaf], engine={"stop_grace_s": 0.02})
    assert "done" == (await run_once(container)).output
    assert 1 == container.engine_factory().metrics()["runs_abandoned"]
    assert 1 == len(container.control().abandoned)
    release.set()
    await until(lambda: not container.control().abandoned)
    check_thread(events_of(container.event_log()))


async def test_a_tool_that_fails_after_its_side_effect_is_told_as_failed(start: Start) -> None:
    """The log has its `tool_completed` with the error, also when the agent goes on."""

    def pays() -> None:
        raise ConnectionError("answer lost, token=abc123")

    @agent("agent")
    async def calls(run: RunContext) -> str:
        try:
            await run.tools.call("pays")
        except ConnectionError:
            return "not sure"
        return ""

    container = await start(calls, tools=[pays])
    assert "not sure" == (await run_once(container)).output
    (told,) = completed(container)
    assert ("failed", "ConnectionError", "answer lost, token=[redacted]", True) == (
        told["status"],
        told["result"]["type"],
        told["result"]["message"],
        told["result"]["retryable"],
    )


@pytest.mark.parametrize("in_a_task", [False, True])
@pytest.mark.parametrize("kind", ["tool", "thread", "agent"])
async def test_an_exit_in_a_call_does_not_end_the_process(start: Start, kind: str, in_a_task: bool) -> None:
    """`sys.exit()` in a tool or a nested agent, also in a task of the agent's own, fails the run and nothing else."""

    async def exits() -> None:
        sys.exit(3)

    def exits_thread() -> None:
        sys.exit(3)

    @agent("nested")
    async def exits_nested(run: RunContext) -> None:
        sys.exit(3)

    @agent("agent")
    async def calls(run: RunContext) -> None:
        call = {
            "tool": lambda: run.tools.call("exits"),
            "thread": lambda: run.tools.call("exits_thread"),
            "agent": lambda: run.agents.call("nested", "go"),
        }[kind]()
        await (asyncio.gather(call) if in_a_task else call)

    container = await start(calls, exits_nested, tools=[exits, exits_thread])
    result = await run_once(container)
    assert result.error is not None
    assert RunStatus.FAILED == result.status
    assert "called sys.exit(3)" in result.error.message


async def test_secrets_are_removed_from_parameters_and_results(start: Start) -> None:
    """Values under secret keys are hidden at any depth, also in objects; `keyboard` and `author` stay."""

    @dataclasses.dataclass
    class Login:
        user: str
        password: str

    def sign_in(api_key: str, keyboard: str, options: dict[str, Any]) -> Any:
        return {"author": "ann", "logins": [Login("ann", "hunter2")], "deep": {"token": "hunter3"}}

    @agent("agent")
    async def calls(run: RunContext) -> Any:
        return await run.tools.call(
            "sign_in", api_key="hunter0", keyboard="dvorak", options={"nested": [{"client_secret": "hunter1"}]}
        )

    container = await start(calls, tools=[sign_in])
    output = (await run_once(container)).output
    assert "hunter2" == output["logins"][0].password
    events = events_of(container.event_log())
    executing = next(event for event in events if event.type == "tool_executing")
    assert {
        "api_key": "[redacted]",
        "keyboard": "dvorak",
        "options": {"nested": [{"client_secret": "[redacted]"}]},
    } == executing.payload["parameters"]
    (told,) = completed(container)
    assert {
        "author": "ann",
        "logins": [{"user": "ann", "password": "[redacted]"}],
        "deep": {"token": "[redacted]"},
    } == told["result"]
    assert "hunter" not in "".join(bytes(event.raw).decode() for event in events)


async def test_a_synchronous_agent_calls_tools_from_its_thread(start: Start) -> None:
    """`call_from_thread` waits in the thread for the tool's result, and is told like any call."""

    @agent("agent")
    def in_thread(run: RunContext) -> Any:
        for number in range(3):
            run.emit.thinking(f"step {number}")
        return run.tools.call_from_thread("add", a=2, b=3)

    container = await start(in_thread, tools=[add])
    assert 5 == (await run_once(container)).output
    assert [
        "agent_started",
        *["agent_thinking"] * 3,
        "tool_executing",
        "tool_completed",
        "agent_completed",
    ] == types_of(events_of(container.event_log()))


# --------------------------------------------------------------------------- agents


def spans(container: ExecutionContainer) -> list[tuple[str, int, int | None]]:
    """Name, span and parent of each nested agent, in the order they began."""
    return [
        (event.agent_name, event.span, event.parent)
        for event in events_of(container.event_log())
        if event.type == "subagent_started"
    ]


async def test_a_nested_agent_works_in_a_span_of_the_same_run(start: Start) -> None:
    """Its events have its name, span and parent; its context is a child; its answer is the caller's, not the user's."""
    contexts: list[UserExecutionContext] = []

    @agent("inner")
    async def inner(run: RunContext) -> AsyncIterator[str]:
        contexts.append(run.context)
        run.emit.thinking(run.inputs["hint"])
        yield f"inner {run.message}"

    @agent("agent")
    async def outer(run: RunContext) -> AsyncIterator[str]:
        contexts.append(run.context)
        assert "inner x" == await run.agents.call("inner", "x", hint="warm")
        yield "outer"

    container = await start(inner, outer)
    result = await run_once(container)
    assert ("outer", 1) == (result.output, result.usage.agent_calls)
    outer_context, inner_context = contexts
    assert (0, 1) == (outer_context.depth, inner_context.depth)
    assert outer_context.request_id == inner_context.parent_request_id
    assert (outer_context.user_id, outer_context.run_id) == (inner_context.user_id, inner_context.run_id)
    events = events_of(container.event_log())
    assert [
        ("agent_started", "agent", 0, None),
        ("subagent_started", "inner", 1, 0),
        ("agent_thinking", "inner", 1, 0),
        ("message_delta", "inner", 1, 0),
        ("subagent_completed", "inner", 1, 0),
        ("message_delta", "agent", 0, None),
        ("agent_completed", "agent", 0, None),
    ] == [(event.type, event.agent_name, event.span, event.parent) for event in events]
    assert "inner x" == events[4].payload["result"]


async def test_nested_agents_may_work_side_by_side_and_deep(start: Start) -> None:
    """Each has a span of its own, with its caller's as parent; none mixes up with another."""

    @agent("leaf")
    async def leaf(run: RunContext) -> Any:
        await asyncio.sleep(0.001)
        return f"{run.message} {await run.tools.call('add', a=run.speaker.span)}"

    @agent("branch")
    async def branch(run: RunContext) -> Any:
        return await asyncio.gather(*(run.agents.call("leaf", f"{run.message}{n}") for n in range(2)))

    @agent("agent")
    async def trunk(run: RunContext) -> Any:
        return await asyncio.gather(*(run.agents.call("branch", name) for name in "ab"))

    container = await start(leaf, branch, trunk, tools=[add])
    output = (await run_once(container)).output
    assert [["a0", "a1"], ["b0", "b1"]] == [[text.split()[0] for text in texts] for texts in output]
    told = spans(container)
    assert [1, 2, 3, 4, 5, 6] == sorted(span for _, span, _ in told)
    branches = {span for name, span, _ in told if name == "branch"}
    assert {0} == {parent for name, _, parent in told if name == "branch"}
    assert branches == {parent for name, _, parent in told if name == "leaf"}
    tools = [event for event in events_of(container.event_log()) if event.type == "tool_executing"]
    assert {span for name, span, _ in told if name == "leaf"} == {event.span for event in tools}
    assert {"leaf"} == {event.agent_name for event in tools}


async def test_a_nested_agents_failure_is_told_and_its_callers_to_handle(start: Start) -> None:
    """The caller gets the exception itself; if it goes on, the run completes."""

    @agent("inner")
    async def inner(run: RunContext) -> None:
        raise LookupError("password=hunter2")

    @agent("agent")
    async def outer(run: RunContext) -> str:
        try:
            await run.agents.call("inner", "x")
        except LookupError as error:
            return type(error).__name__
        return ""

    container = await start(inner, outer)
    assert "LookupError" == (await run_once(container)).output
    (ended,) = [e for e in events_of(container.event_log()) if e.type == "subagent_completed"]
    assert ("failed", {"type": "LookupError", "message": "password=[redacted]", "retryable": False}) == (
        ended.payload["status"],
        ended.payload["error"],
    )


async def test_what_is_open_when_a_run_is_stopped_is_closed_by_its_own_speaker(start: Start) -> None:
    """A tool call and the nested agents around it end as cancelled, innermost first, each in its own span."""

    async def endless() -> None:
        await asyncio.Event().wait()

    @agent("deaf")
    async def deaf(run: RunContext) -> None:
        while not run._run.ended:  # type: ignore[attr-defined]
            try:
                await run.tools.call("endless")
            except asyncio.CancelledError:
                await asyncio.sleep(0.05)
            except ClosedError:
                await asyncio.sleep(0.005)

    @agent("middle")
    async def middle(run: RunContext) -> None:
        await run.agents.call("deaf", "go")

    @agent("agent")
    async def outer(run: RunContext) -> None:
        await run.agents.call("middle", "go")

    container = await start(deaf, middle, outer, tools=[endless], engine={"stop_grace_s": 0.02})
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("agent", "go")
        await until(lambda: "tool_executing" in types_of(events_of(container.event_log())))
        await engine.cancel(stream.run_id)
    events = events_of(container.event_log())
    check_thread(events)

    def told(event: Event) -> tuple[str, str, int, int | None, str]:
        return event.type, event.agent_name, event.span, event.parent, event.payload["status"]

    assert [
        ("tool_completed", "deaf", 2, 1, "cancelled"),
        ("subagent_completed", "deaf", 2, 1, "cancelled"),
        ("subagent_completed", "middle", 1, 0, "cancelled"),
        ("agent_completed", "agent", 0, None, "cancelled"),
    ] == [told(event) for event in events[-4:]]


async def test_agents_nest_only_so_deep(start: Start) -> None:
    """An agent that calls itself for ever fails at `engine.max_agent_depth`; every span is closed."""

    @agent("agent")
    async def again(run: RunContext) -> None:
        await run.agents.call("agent", run.message)

    container = await start(again, engine={"max_agent_depth": 3})
    result = await run_once(container)
    assert result.error is not None
    assert "agent 'agent' would be nested 4 deep; engine.max_agent_depth is 3" == result.error.message
    assert 3 == len(spans(container))


async def test_a_nested_agent_may_have_any_name(start: Start) -> None:
    """Also one that could not be an id, such as `default` or `demo`."""

    @agent("default")
    async def default(run: RunContext) -> str:
        return run.context.request_id

    @agent("agent")
    async def outer(run: RunContext) -> Any:
        return await run.agents.call("default", "go")

    container = await start(default, outer)
    assert (await run_once(container)).output.startswith("req_default_")


async def test_a_nested_call_that_cannot_be_is_refused(start: Start) -> None:
    """An unknown agent, or a message that is no text, is an error and opens no span."""

    @agent("agent")
    async def outer(run: RunContext) -> Any:
        said = []
        for name, message in (("nobody", "x"), ("agent", 5)):
            try:
                await run.agents.call(name, message)  # type: ignore[arg-type]
            except (UnknownAgent, RequestError) as error:
                said.append(str(error))
        return said

    container = await start(outer)
    assert [
        "unknown agent 'nobody'; registered are: 'agent'",
        "message 5 is a int; pass the user's text as a str",
    ] == (await run_once(container)).output
    assert [] == spans(container)


async def test_a_nested_agent_has_the_runs_deadline_and_stop(start: Start) -> None:
    """It sees the same deadline and is stopped with the run."""
    deadlines: list[float] = []

    @agent("inner")
    async def inner(run: RunContext) -> None:
        deadlines.append(run.deadline)
        assert not run.cancelled
        await asyncio.Event().wait()

    @agent("agent")
    async def outer(run: RunContext) -> None:
        deadlines.append(run.deadline)
        await run.agents.call("inner", "go")

    container = await start(inner, outer)
    async with container.engine_factory().engine_for(context_of()) as engine:
        assert RunStatus.TIMED_OUT == (await engine.run("agent", "go", timeout_s=0.05)).status
    assert deadlines[0] == deadlines[1]
    check_thread(events_of(container.event_log()))


async def test_a_cancelled_nested_call_ends_alone(start: Start) -> None:
    """An agent may give up on one it called: that span is cancelled, the run goes on."""

    @agent("inner")
    async def inner(run: RunContext) -> None:
        await asyncio.Event().wait()

    @agent("agent")
    async def outer(run: RunContext) -> str:
        try:
            async with asyncio.timeout(0.01):
                await run.agents.call("inner", "go")
        except TimeoutError:
            return "gave up"
        return ""

    container = await start(inner, outer)
    assert "gave up" == (await run_once(container)).output
    (ended,) = [e for e in events_of(container.event_log()) if e.type == "subagent_completed"]
    assert "cancelled" == ended.payload["status"]


async def test_output_beyond_the_cap_fails_the_run(start: Start) -> None:
    """The text of all agents of a run counts."""

    @agent("inner")
    async def inner(run: RunContext) -> AsyncIterator[str]:
        yield "x" * 60

    @agent("agent")
    async def outer(run: RunContext) -> None:
        await run.agents.call("inner", "go")
        await run.agents.call("inner", "go")

    container = await start(inner, outer, engine={"max_output_bytes": 100})
    result = await run_once(container)
    assert result.error is not None
    assert "AgentError" == result.error.type == AgentError.__name__
    assert "produced more than 100 bytes of text" in result.error.message


def test_a_tool_can_be_called_as_the_function_it_is() -> None:
    """Outside a run a decorated tool is its function."""
    assert 3 == Tool(add)(1, b=2)


async def test_waiting_for_a_tool_on_the_loop_itself_is_refused(start: Start) -> None:
    """`call_from_thread` in an asynchronous agent would wait for ever; the error says what to do."""

    @agent("agent")
    async def calls(run: RunContext) -> None:
        run.tools.call_from_thread("add")

    async def add() -> int:
        return 1

    container = await start(calls, tools=[add])
    result = await run_once(container)
    assert result.error is not None
    assert ("ClosedError", True) == (result.error.type, "await call()" in result.error.message)
