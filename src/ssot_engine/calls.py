"""What an agent may call in its run: tools, and other agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from functools import partial
from time import perf_counter
from types import AsyncGeneratorType, CoroutineType
from typing import Any, Protocol

from ssot_engine.agents import Agent, Output, RunContext, RunVoice
from ssot_engine.errors import AgentError, ClosedError, RequestError, ToolError, shown
from ssot_engine.events import RunError, Speaker
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.redaction import redact_text
from ssot_engine.tools import Tool, ToolCall, ToolRegistry

_ERROR_TEXT = 4_096


class CallingRun(RunVoice, Protocol):
    """A run, as the calls of its agents see it."""

    agents: AgentInstanceFactory
    tools: ToolRegistry
    max_agent_depth: int
    max_output_bytes: int

    def is_granted(self, permission: str) -> bool:
        """Whether the user has this permission."""

    def count_tool_call(self) -> str:
        """Count one more tool call; its id."""

    def count_agent_call(self) -> int:
        """Count one more nested agent; its span."""

    def adopt_task(self) -> None:
        """The current task acts for the run: it is ended before the run is."""

    def add_output(self, size_bytes: int) -> None:
        """Count text an agent produced."""


def run_error(error: BaseException) -> RunError:
    """An exception as data, without the secrets its text may hold."""
    text = redact_text(str(error)) or type(error).__name__
    retryable = isinstance(error, (TimeoutError, ConnectionError)) or bool(getattr(error, "retryable", False))
    return RunError(type(error).__name__, text[:_ERROR_TEXT], retryable)


# ---------------------------------------------------------------------------- tools


async def call_tool(run: CallingRun, context: RunContext, name: str, given: Mapping[str, Any]) -> Any:
    """Call a tool: told before it acts, bounded in time, and told how it ended."""
    if run.is_stopping:
        raise ClosedError(f"tool {name!r} is not called: run {run.run_id!r} was told to end")
    tool = run.tools.get(name)
    if tool.permission is not None and not run.is_granted(tool.permission):
        raise ToolError(name, f"needs the permission {tool.permission!r}, which user {context.user_id!r} lacks")
    arguments = tool.check(given)
    call_id = run.count_tool_call()
    run.adopt_task()
    emitter = run.emitter
    emitter.tool_executing(call_id, name, given, context.speaker)
    began = perf_counter()
    try:
        if emitter.is_pending:
            await emitter.drain()
        if tool.call_parameter is not None:
            arguments[tool.call_parameter] = _tool_call(run, context, call_id)
        work = _start(run, tool, name, arguments)
        # A tool may take long: what only its start needed is not kept meanwhile.
        del given, arguments
        result = await (work if tool.timeout_s is None else _within(tool.timeout_s, work, name))
    except BaseException as error:
        _tell_failure(run, call_id, error, began)
        if isinstance(error, SystemExit):
            # In a task that the agent made itself it would end the server.
            raise ToolError(name, f"called sys.exit({error.code!r}); raise an error instead") from error
        raise
    emitter.tool_completed(call_id, "completed", result, (perf_counter() - began) * 1e3)
    return result


def _tool_call(run: CallingRun, context: RunContext, call_id: str) -> ToolCall:
    # Lengths, because ids may hold any separator.
    key = f"{len(context.user_id)}:{context.user_id}/{len(run.run_id)}:{run.run_id}/{call_id}"
    return ToolCall(context.context, run.run_id, call_id, key, partial(_stops, run))


async def _within(timeout_s: float, work: Awaitable[Any], name: str) -> Any:
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ToolError(name, f"took longer than its {timeout_s:g} s; make it faster or raise timeout_s") from error


def _start(run: CallingRun, tool: Tool, name: str, arguments: dict[str, Any]) -> Awaitable[Any]:
    if tool.is_async:
        return tool.function(**arguments)  # type: ignore[no-any-return]
    return run.in_thread(name, partial(tool.function, **arguments))


def _stops(run: CallingRun) -> bool:
    return run.is_stopping


def _tell_failure(run: CallingRun, call_id: str, error: BaseException, began: float) -> None:
    """The call's last event, unless the run has ended and closed it already."""
    if call_id not in run.emitter.table.open_calls:
        return
    took = (perf_counter() - began) * 1e3
    if isinstance(error, asyncio.CancelledError):
        run.emitter.tool_completed(call_id, "cancelled", None, took)
    else:
        run.emitter.tool_completed(call_id, "failed", run_error(error), took)


# --------------------------------------------------------------------------- agents


async def call_agent(run: CallingRun, context: RunContext, name: str, message: str, inputs: Mapping[str, Any]) -> Any:
    """Run another agent inside the run, in a span of its own; its output."""
    if run.is_stopping:
        raise ClosedError(f"agent {name!r} is not called: run {run.run_id!r} was told to end")
    if context.context.depth >= run.max_agent_depth:
        raise AgentError(
            f"agent {name!r} would be nested {context.context.depth + 1} deep; engine.max_agent_depth is "
            f"{run.max_agent_depth}"
        )
    check_message(message)
    agent = run.agents.get(name)
    speaker = Speaker(name, run.count_agent_call(), context.speaker.span)
    nested = RunContext(run, context.context.child(name), speaker, message, inputs)
    run.adopt_task()
    run.emitter.subagent_started(message, speaker)
    began = perf_counter()
    try:
        output = value_of(await execute(run, agent, nested))
    except BaseException as error:
        if speaker.span in run.emitter.table.open_spans:
            cancelled = isinstance(error, asyncio.CancelledError)
            status, told = ("cancelled", None) if cancelled else ("failed", run_error(error))
            run.emitter.subagent_completed(speaker.span, status, None, told, (perf_counter() - began) * 1e3)
        if isinstance(error, SystemExit):
            raise AgentError(f"agent {name!r} called sys.exit({error.code!r}); raise an error instead") from error
        raise
    run.emitter.subagent_completed(speaker.span, "completed", output, None, (perf_counter() - began) * 1e3)
    return output


def check_message(message: object) -> None:
    """A message is text.

    Raises:
        RequestError: it is something else.
    """
    if not isinstance(message, str):
        raise RequestError(f"message {shown(message)} is a {type(message).__name__}; pass the user's text as a str")


def execute(run: CallingRun, agent: Agent, context: RunContext) -> Awaitable[Any]:
    """Let an agent work; what awaits its `Output`, else the text it yielded, joined, else what it returned."""
    work = agent.execute(context)
    if type(work) is AsyncGeneratorType:
        return _consume(run, work, context)
    if type(work) is CoroutineType or isinstance(work, Awaitable):
        return work
    if isinstance(work, AsyncIterator):
        return _consume(run, work, context)
    raise AgentError(
        f"agent {agent.name!r}: execute() returned {shown(work)}; make it an asynchronous generator or a coroutine"
    )


def value_of(returned: Any) -> Any:
    """The value of an `Output`, or what was returned as it is."""
    return returned.value if isinstance(returned, Output) else returned


async def _consume(run: CallingRun, work: AsyncIterator[Any], context: RunContext) -> Any:
    emitter, speaker = run.emitter, context.speaker
    texts: list[str] = []
    outputs: list[Any] = []
    exhausted = False
    try:
        async for piece in work:
            if run.is_stopping:
                break
            if type(piece) is str:
                texts.append(piece)
                run.add_output(len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace")))
                emitter.delta(piece, speaker)
            elif isinstance(piece, Output):
                outputs.append(piece.value)
            else:
                raise AgentError(
                    f"agent {speaker.agent_name!r} yielded {shown(piece)}, a {type(piece).__name__}; "
                    "yield str or Output(value)"
                )
            if emitter.is_behind:
                await emitter.drain()
        else:
            exhausted = True
    finally:
        if not exhausted and isinstance(work, AsyncGenerator):
            await work.aclose()
    return outputs[-1] if outputs else "".join(texts)
