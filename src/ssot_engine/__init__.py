"""ssot-engine: AI agents for many users at once, one isolated execution engine per request.

The public names resolve when they are first used, so importing the package alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssot_engine.agents import Message as Message
    from ssot_engine.agents import Output as Output
    from ssot_engine.agents import RunContext as RunContext
    from ssot_engine.agents import Team as Team
    from ssot_engine.agents import agent as agent
    from ssot_engine.bridge import AgentWebSocketBridge as AgentWebSocketBridge
    from ssot_engine.container import ExecutionContainer as ExecutionContainer
    from ssot_engine.context import UserExecutionContext as UserExecutionContext
    from ssot_engine.emitter import UnifiedWebSocketEmitter as UnifiedWebSocketEmitter
    from ssot_engine.engine import UserExecutionEngine as UserExecutionEngine
    from ssot_engine.eventlog.base import Reset as Reset
    from ssot_engine.events import CancelReceipt as CancelReceipt
    from ssot_engine.events import Event as Event
    from ssot_engine.events import Position as Position
    from ssot_engine.events import RunError as RunError
    from ssot_engine.events import RunResult as RunResult
    from ssot_engine.events import RunStatus as RunStatus
    from ssot_engine.events import ThreadKey as ThreadKey
    from ssot_engine.factory import ExecutionEngineFactory as ExecutionEngineFactory
    from ssot_engine.instances import AgentInstanceFactory as AgentInstanceFactory
    from ssot_engine.registry import AgentRegistry as AgentRegistry
    from ssot_engine.runs.base import RunSpec as RunSpec
    from ssot_engine.settings import Settings as Settings
    from ssot_engine.tools import ToolCall as ToolCall
    from ssot_engine.tools import tool as tool
    from ssot_engine.web.dependencies import get_engine as get_engine
    from ssot_engine.web.install import install as install

__version__ = "0.1.0"

#: Public name → the module that owns it.
_OWNERS = {
    "AgentInstanceFactory": "instances",
    "AgentRegistry": "registry",
    "AgentWebSocketBridge": "bridge",
    "CancelReceipt": "events",
    "Event": "events",
    "ExecutionContainer": "container",
    "ExecutionEngineFactory": "factory",
    "Message": "agents",
    "Output": "agents",
    "Position": "events",
    "Reset": "eventlog.base",
    "RunContext": "agents",
    "RunError": "events",
    "RunResult": "events",
    "RunSpec": "runs.base",
    "RunStatus": "events",
    "Settings": "settings",
    "Team": "agents",
    "ThreadKey": "events",
    "ToolCall": "tools",
    "UnifiedWebSocketEmitter": "emitter",
    "UserExecutionContext": "context",
    "UserExecutionEngine": "engine",
    "agent": "agents",
    "get_engine": "web.dependencies",
    "install": "web.install",
    "tool": "tools",
}

__all__ = [*_OWNERS, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
