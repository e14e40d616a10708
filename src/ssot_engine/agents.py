"""Agents: what they are, what they are given, and how a function becomes one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, overload, runtime_checkable

import msgspec

from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import ClosedError, ConfigError, shown
from ssot_engine.events import Speaker
from ssot_engine.run_emitter import RunEmitter

#: How a cancel receipt names an agent's own code.
AGENT_CODE = "agent code"


class Output(msgspec.Struct, frozen=True):
    """An agent's result, when it is something else than the text it produced: any JSON value."""

    value: Any


class Message(NamedTuple):
    """One message of the conversation so far. `role` is `user` or `assistant`."""

    role: str
    text: str


@runtime_checkable
class Agent(Protocol):
    """Anything with a name that executes a run.

    `execute` is an asynchronous generator that yields `str` (streamed to the user) and `Output`, or a coroutine
    function whose return value is the output.
    """

    @property
    def name(self) -> str:
        """What it is called by."""

    def execute(self, run: RunContext, /) -> AsyncIterator[Any] | Awaitable[Any]:
        """Do the work of one run."""


class RunVoice(Protocol):
    """What a run lends to its agents."""

    @property
    def run_id(self) -> str:
        """Which run."""

    @property
    def emitter(self) -> RunEmitter:
        """Its voice."""

    @property
    def deadline(self) -> float:
        """When it will be stopped."""

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""

    @property
    def history(self) -> Sequence[Message]:
        """What was said in its thread before."""

    def used(self, input_tokens: int, output_tokens: int, requests: int) -> None:
        """Count what a model used."""

    def in_thread(self, label: str, function: Callable[[], Any]) -> Awaitable[Any]:
        """Run a function in a thread that the run keeps account of under this name."""

    def call_tool(
        self, context: RunContext, name: str, arguments: Mapping[str, Any], once: str | None
    ) -> Coroutine[Any, Any, Any]:
        """Call a tool for the agent that has this context."""

    def call_agent(
        self, context: RunContext, name: str, message: str, inputs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run another agent inside the run."""


class RunContext:
    """What an agent is given: who asks what, how to tell what it does, and what it may call."""

    __slots__ = ("_run", "context", "emit", "inputs", "message", "speaker")

    def __init__(
        self,
        run: RunVoice,
        context: UserExecutionContext,
        speaker: Speaker,
        message: str,
        inputs: Mapping[str, Any],
    ) -> None:
        self._run = run
        self.context = context
        self.speaker = speaker
        #: How the agent tells what it does.
        self.emit = Emit(run.emitter, speaker)
        #: What the user asked, and named values that came with it.
        self.message = message
        self.inputs = inputs

    @property
    def user_id(self) -> str:
        """Who asks."""
        return self.context.user_id

    @property
    def thread_id(self) -> str:
        """In which conversation."""
        return self.context.thread_id

    @property
    def run_id(self) -> str:
        """The run this agent works for."""
        return self._run.run_id

    @property
    def history(self) -> Sequence[Message]:
        """The conversation before this run, oldest first."""
        return self._run.history

    @property
    def deadline(self) -> float:
        """When the run is stopped, in seconds of the event loop's clock."""
        return self._run.deadline

    @property
    def cancelled(self) -> bool:
        """Whether the run was told to end; code in a thread looks here and returns."""
        return self._run.is_stopping

    @property
    def tools(self) -> Tools:
        """The tools it may call."""
        return Tools(self)

    @property
    def agents(self) -> Agents:
        """The agents it may call."""
        return Agents(self)

    def report_usage(self, *, input_tokens: int = 0, output_tokens: int = 0, requests: int = 1) -> None:
        """Count what a model call used, for `RunResult.usage`."""
        self._run.used(input_tokens, output_tokens, requests)


class Emit:
    """Tells what an agent does. Calls return at once; they are refused once the run has ended."""

    __slots__ = ("_emitter", "_speaker")

    def __init__(self, emitter: RunEmitter, speaker: Speaker) -> None:
        self._emitter = emitter
        self._speaker = speaker

    def thinking(self, text: str, step: int | None = None, progress: float | None = None) -> None:
        """What the agent is doing now; `progress` in per cent."""
        self._emitter.thinking(text, step, progress, self._speaker)

    def custom(self, name: str, data: Any = None) -> None:
        """An event of your own; `data` is any JSON value."""
        self._emitter.custom(name, data, self._speaker)


class Tools:
    """Calls tools for an agent; each call is told by two events and ends before its run does."""

    __slots__ = ("_context",)

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def call(self, name: str, /, **arguments: Any) -> Coroutine[Any, Any, Any]:
        """Call a tool; what it returned.

        Raises:
            ToolError: the tool is unknown, not permitted to this user, got wrong arguments or overran its time.
            Exception: whatever the tool itself raised.
        """
        return self._context._run.call_tool(self._context, name, arguments, None)

    def call_once(self, key: str, name: str, /, **arguments: Any) -> Coroutine[Any, Any, Any]:
        """`call`, but a second call with the same `key` in this run acts no more: it returns the first one's result."""
        return self._context._run.call_tool(self._context, name, arguments, key)

    def call_from_thread(self, name: str, /, **arguments: Any) -> Any:
        """`call`, for a synchronous agent: it runs in a thread, and waits there."""
        emitter = self._context._run.emitter
        if emitter.is_on_loop:
            raise ClosedError(
                f"call_from_thread({name!r}) on the event loop would wait for itself; await call() instead"
            )
        loop = emitter.loop
        return asyncio.run_coroutine_threadsafe(self.call(name, **arguments), loop).result()


class Agents:
    """Calls other agents inside the same run: same deadline, same cancel, same budget."""

    __slots__ = ("_context",)

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def call(self, name: str, message: str, /, **inputs: Any) -> Coroutine[Any, Any, Any]:
        """Run another agent; its output.

        Raises:
            UnknownAgent: no agent of that name is registered.
            Exception: whatever the agent itself raised.
        """
        return self._context._run.call_agent(self._context, name, message, inputs)


# ---------------------------------------------------------------- functions as agents


class FunctionAgent:
    """A function as an agent: a generator or coroutine function, or a plain one, which runs in a thread."""

    __slots__ = ("__weakref__", "description", "execute", "function", "name")

    #: Starts the work of one run.
    execute: Callable[[RunContext], AsyncIterator[Any] | Awaitable[Any]]

    def __init__(self, function: Callable[[RunContext], Any], name: str | None = None) -> None:
        self.function = function
        self.name = name or function.__name__
        self.description = (inspect.getdoc(function) or "").strip()
        asynchronous = inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)
        self.execute = function if asynchronous else self._in_thread

    def _in_thread(self, run: RunContext) -> Awaitable[Any]:
        return run._run.in_thread(AGENT_CODE, partial(self.function, run))

    def __call__(self, run: RunContext) -> Any:
        return self.function(run)

    def __repr__(self) -> str:
        return f"<agent {self.name!r}>"


@overload
def agent(name: Callable[[RunContext], Any], /) -> FunctionAgent: ...
@overload
def agent(name: str | None = None, /) -> Callable[[Callable[[RunContext], Any]], FunctionAgent]: ...
def agent(
    name: str | Callable[[RunContext], Any] | None = None, /
) -> FunctionAgent | Callable[[Callable[[RunContext], Any]], FunctionAgent]:
    """Make a function an agent: `@agent`, or `@agent("greeter")`."""
    if callable(name):
        return FunctionAgent(name)
    return lambda function: FunctionAgent(function, name)


def as_agent(obj: object) -> Agent:
    """An object as an agent: itself if it is one, else the function it is.

    Raises:
        ConfigError: it is neither.
    """
    if inspect.isroutine(obj):
        return FunctionAgent(obj)
    if isinstance(obj, Agent) and not isinstance(obj, type) and callable(obj.execute):
        return obj
    raise ConfigError(
        f"{shown(obj)} is no agent; register a function of one RunContext, or an object with a name and execute(run)"
    )


class Team(msgspec.Struct, frozen=True):
    """Agents and tools that come together: what an entry point of the group `ssot_engine.agents` gives."""

    agents: tuple[Any, ...] = ()
    tools: tuple[Any, ...] = ()
