"""What old code calls to make a bridge."""

from __future__ import annotations

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import shown

__all__ = ["create_agent_websocket_bridge"]


def create_agent_websocket_bridge(
    user_context: UserExecutionContext | None = None, websocket_manager: None = None
) -> AgentWebSocketBridge:
    """A bridge of this user; without a context one of nobody, which an engine's scope gives to its own user.

    Raises:
        InvalidContext: what was passed is no context.
        TypeError: a manager of sockets was passed; a bridge writes to the event log, which every socket reads.
    """
    if websocket_manager is not None:
        raise TypeError(
            f"create_agent_websocket_bridge() takes no websocket_manager any more, got {shown(websocket_manager)}; "
            "sockets follow the event log, so call AgentWebSocketBridge.create_for_user(context)"
        )
    return AgentWebSocketBridge() if user_context is None else AgentWebSocketBridge.create_for_user(user_context)
