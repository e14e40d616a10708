"""The emitter of one engine: what its runs speak through."""

from __future__ import annotations

from typing import Any, Never

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.former_calls import refusal, shows_right_call
from ssot_engine.run_emitter import RunEmitter

_RIGHT_CALL = (
    "an engine has its emitter, `engine.websocket_emitter`; by hand, call "
    "UnifiedWebSocketEmitter(AgentWebSocketBridge.create_for_user(context), context)"
)


class UnifiedWebSocketEmitter:
    """Hands out the voice of each run, and speaks for the context's own run.

    The `notify_*` methods are the bridge's, with the context's run id filled in.
    """

    __slots__ = ("__weakref__", "context", "websocket_bridge")

    @shows_right_call
    def __init__(
        self, bridge: AgentWebSocketBridge, context: UserExecutionContext, *others: Never, **former: Never
    ) -> None:
        if others or former or not isinstance(context, UserExecutionContext):
            raise refusal("UnifiedWebSocketEmitter()", _RIGHT_CALL, former)
        mine = bridge.user_context
        if mine is not None and mine is not context:
            bridge.for_context(context)  # refuses to carry another's events
        self.websocket_bridge = bridge
        self.context = context

    @property
    def user_id(self) -> str:
        """The context's user."""
        return self.context.user_id

    @property
    def thread_id(self) -> str:
        """The context's thread."""
        return self.context.thread_id

    @property
    def run_id(self) -> str:
        """The context's run."""
        return self.context.run_id

    def for_run(self, run_id: str, *, driven: bool = False) -> RunEmitter:
        """The voice of one run of this engine; it owns that run's state table."""
        return self.websocket_bridge.for_run(run_id, driven=driven)

    async def notify_agent_started(self, agent_name: str, context: dict[str, Any] | None = None) -> bool:
        """The run begins."""
        return await self.websocket_bridge.notify_agent_started(self.run_id, agent_name, context)

    async def notify_agent_thinking(
        self,
        agent_name: str,
        reasoning: str,
        step_number: int | None = None,
        progress_percentage: float | None = None,
    ) -> bool:
        """The agent tells what it is doing; progress in per cent."""
        return await self.websocket_bridge.notify_agent_thinking(
            self.run_id, agent_name, reasoning, step_number, progress_percentage
        )

    async def notify_tool_executing(
        self, tool_name: str, agent_name: str | None = None, parameters: dict[str, Any] | None = None
    ) -> bool:
        """A tool call begins."""
        return await self.websocket_bridge.notify_tool_executing(self.run_id, tool_name, agent_name, parameters)

    async def notify_tool_completed(
        self,
        tool_name: str,
        result: Any = None,
        agent_name: str | None = None,
        execution_time_ms: float | None = None,
    ) -> bool:
        """The oldest open call of the tool ended; time in milliseconds."""
        return await self.websocket_bridge.notify_tool_completed(
            self.run_id, tool_name, result, agent_name, execution_time_ms
        )

    async def notify_agent_completed(
        self, agent_name: str, result: Any = None, execution_time_ms: float | None = None
    ) -> bool:
        """The run ends; time in milliseconds."""
        return await self.websocket_bridge.notify_agent_completed(self.run_id, agent_name, result, execution_time_ms)

    async def notify_agent_error(
        self, agent_name: str, error: str, error_context: dict[str, Any] | None = None
    ) -> bool:
        """An error that the user should see."""
        return await self.websocket_bridge.notify_agent_error(self.run_id, agent_name, error, error_context)
