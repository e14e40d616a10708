"""What a run does for its agents: history, tools, other agents, threads, and the account of all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ssot_engine import calls
from ssot_engine.agents import Message, RunContext
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import AgentError
from ssot_engine.events import RunStatus, ThreadKey, Usage
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.run_control import RunControl
from ssot_engine.run_emitter import RunEmitter
from ssot_engine.threads import in_thread
from ssot_engine.tools import ToolRegistry

#: Threads one run may keep busy at the same time; further synchronous calls of it wait.
MAX_THREADS = 16


class RunServices:
    """The side of a run that its agents see, through their `RunContext`. What it lends ends with the run."""

    # fmt: off
    __slots__ = (
        "_agent_calls", "_children", "_has_worked", "_history", "_input_tokens", "_once", "_output_bytes",
        "_output_tokens", "_requests", "_stop_reason", "_task", "_thread_slots", "_threads", "_tool_calls", "agents",
        "context", "control", "deadline", "emitter", "ended", "key", "max_agent_depth", "max_output_bytes", "run_id",
        "tools",
    )
    # fmt: on

    def __init__(
        self,
        control: RunControl,
        context: UserExecutionContext,
        run_id: str,
        agents: AgentInstanceFactory,
        tools: ToolRegistry,
        key: ThreadKey,
        emitter: RunEmitter,
        history: Sequence[Message] | None,
    ) -> None:
        self.control = control
        self.context = context
        self.run_id = run_id
        self.agents = agents
        self.tools = tools
        #: The thread its events belong to, and what it speaks through.
        self.key = key
        self.emitter = emitter
        #: When it will be stopped, in seconds of the event loop's clock.
        self.deadline = 0.0
        self.ended = False
        self.max_agent_depth = control.settings.max_agent_depth
        self.max_output_bytes = control.settings.max_output_bytes
        self._history = history
        self._stop_reason: RunStatus | None = None
        self._has_worked = False
        self._task: asyncio.Task[None] | None = None
        #: Tasks that agents made and that act for the run; threads by what runs in them; calls by their key.
        self._children: set[asyncio.Task[Any]] | None = None
        self._threads: dict[object, str] | None = None
        self._thread_slots: asyncio.Semaphore | None = None
        self._once: dict[str, asyncio.Future[Any]] | None = None
        self._output_bytes = 0
        #: What it used so far.
        self._tool_calls = self._agent_calls = 0
        self._input_tokens = self._output_tokens = self._requests = 0

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end, or has, or only waits for what its agent left behind."""
        return self._stop_reason is not None or self._has_worked or self.ended

    @property
    def history(self) -> Sequence[Message]:
        """The conversation before this run, oldest first."""
        if self._history is None:
            self._history = tuple(
                message
                for record in self.control.event_log.recent(self.key, self.control.settings.history_runs)
                for message in _said(record.message, (record.outcome or {}).get("result"))
            )
        return self._history

    def used(self, input_tokens: int, output_tokens: int, requests: int) -> None:
        """Count what a model used."""
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens
        self._requests += requests

    def usage(self) -> Usage:
        """What it used so far."""
        return Usage(self._input_tokens, self._output_tokens, self._requests, self._tool_calls, self._agent_calls)

    def is_granted(self, permission: str) -> bool:
        """Whether the user has this permission."""
        return permission in self.control.granted or permission in self.control.permissions(self.context)

    def count_tool_call(self) -> str:
        """Count one more tool call; its id."""
        if self._tool_calls >= self.control.settings.max_tool_calls_per_run:
            raise AgentError(
                f"run {self.run_id!r} called {self._tool_calls} tools; engine.max_tool_calls_per_run allows no more"
            )
        self._tool_calls += 1
        self.control.metrics.tool_calls += 1
        return f"call_{self._tool_calls}"

    def count_agent_call(self) -> int:
        """Count one more nested agent; its span."""
        self._agent_calls += 1
        return self._agent_calls

    def add_output(self, size_bytes: int) -> None:
        """Count text an agent produced."""
        self._output_bytes += size_bytes
        if self._output_bytes > self.max_output_bytes:
            raise AgentError(
                f"run {self.run_id!r} produced more than {self.max_output_bytes} bytes of text; "
                "let the agent say less or raise engine.max_output_bytes"
            )

    def adopt_task(self) -> None:
        """The current task acts for the run: it is ended before the run is."""
        task = asyncio.current_task(self.emitter.loop)
        if task is None or task is self._task:
            return
        if self._children is None:
            self._children = set()
        if task not in self._children:
            self._children.add(task)
            task.add_done_callback(self._children.discard)

    async def in_thread(self, label: str, function: Callable[[], Any]) -> Any:
        """Call a function in a thread; `label` names it in a cancel receipt until the thread has ended."""
        if self._threads is None or self._thread_slots is None:
            self._threads, self._thread_slots = {}, asyncio.Semaphore(MAX_THREADS)
        threads, ticket = self._threads, object()

        def body() -> Any:
            try:
                return function()
            finally:
                threads.pop(ticket, None)

        async with self._thread_slots:
            threads[ticket] = label
            return await in_thread(body, f"{label} of {self.run_id}")

    def call_tool(
        self, context: RunContext, name: str, arguments: Mapping[str, Any], once: str | None
    ) -> Coroutine[Any, Any, Any]:
        """Call a tool for one of its agents; with a key, at most once in the run."""
        if once is None:
            return calls.call_tool(self, context, name, arguments)
        return self._call_tool_once(context, name, arguments, once)

    async def _call_tool_once(self, context: RunContext, name: str, arguments: Mapping[str, Any], once: str) -> Any:
        if self._once is None:
            self._once = {}
        while (earlier := self._once.get(once)) is not None:
            await asyncio.wait((earlier,))
            if not earlier.cancelled():
                return earlier.result()
        first = self._once[once] = self.emitter.loop.create_future()
        try:
            result = await calls.call_tool(self, context, name, arguments)
        except BaseException:
            del self._once[once]
            first.cancel()
            raise
        first.set_result(result)
        return result

    def call_agent(
        self, context: RunContext, name: str, message: str, inputs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run another agent inside this run."""
        return calls.call_agent(self, context, name, message, inputs)


def _said(question: str, answer: object) -> tuple[Message, ...]:
    asked = (Message("user", question),)
    return (*asked, Message("assistant", answer)) if isinstance(answer, str) else asked
