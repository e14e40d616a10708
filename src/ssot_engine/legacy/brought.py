"""What callers bring to a legacy door, checked, and turned into overrides of that call's scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import InvalidContext, RequestError, shown
from ssot_engine.ids import IDType, UnifiedIDManager
from ssot_engine.legacy.host_bridge import REQUIRED, HostBridge, missing_methods
from ssot_engine.logs import get_logger
from ssot_engine.registry import AgentRegistry
from ssot_engine.settings import LegacySettings
from ssot_engine.tools import ToolDispatcher, ToolRegistry

log = get_logger("ssot_engine.legacy")


class WrongArgument(RequestError, TypeError):
    """A door was given an object it cannot use. `argument` is its name, `value` the object."""

    def __init__(self, argument: str, value: object, problem: str) -> None:
        super().__init__(argument, value, problem)
        self.argument = argument
        self.value = value
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.argument} {shown(self.value)} {self.problem}"


def registry_of(value: object) -> AgentRegistry:
    """The registry that was brought. Raises: WrongArgument."""
    if issubclass(type(value), AgentRegistry):
        return value  # type: ignore[return-value]
    raise WrongArgument(
        "registry", value, f"is a {type(value).__name__}, not an AgentRegistry; pass AgentRegistry([agent, …])"
    )


def tools_of(value: object) -> ToolRegistry:
    """The tools that were brought, as a registry or a dispatcher of ours. Raises: WrongArgument."""
    kind = type(value)
    if issubclass(kind, ToolRegistry):
        return value  # type: ignore[return-value]
    if issubclass(kind, ToolDispatcher):
        return value.registry  # type: ignore[attr-defined, no-any-return]
    raise WrongArgument(
        "tool_dispatcher", value,
        f"is a {kind.__name__}, neither a ToolRegistry nor a ToolDispatcher; pass ToolRegistry([function, …])",
    )  # fmt: skip


def bridge_of(value: object) -> AgentWebSocketBridge:
    """The bridge that was brought; around a host's own object, one that tells it.

    By its class alone: a mock that claims to be a bridge is told of events like any object of a host.

    Raises:
        WrongArgument: it is neither.
    """
    if issubclass(type(value), AgentWebSocketBridge):
        return value  # type: ignore[return-value]
    if missing := missing_methods(value):
        raise WrongArgument(
            "websocket_bridge", value,
            f"is no AgentWebSocketBridge, and lacks {', '.join(missing)} as async methods; pass "
            f"AgentWebSocketBridge.create_for_user(context), or an object with {', '.join(REQUIRED)}",
        )  # fmt: skip
    return HostBridge(value)


def context_of(value: object) -> UserExecutionContext:
    """The context that was brought. Raises: InvalidContext."""
    if isinstance(value, UserExecutionContext):
        return value
    raise InvalidContext("user_context", value, "is no UserExecutionContext; make one with from_request()")


class Brought(NamedTuple):
    """What one call brings: whose engine it asks for, and what stands in for the container's own in its scope."""

    context: UserExecutionContext | None
    overrides: dict[str, Any]


#: Argument of a door → the provider it stands in for, and its check.
_PROVIDERS = {
    "registry": ("registry", registry_of),
    "websocket_bridge": ("bridge", bridge_of),
    "tool_dispatcher": ("tools", tools_of),
}


def brought(user_context: object = None, **arguments: object) -> Brought:
    """What a call brings; an argument that is None brings nothing. A bound bridge brings its context.

    Raises:
        InvalidContext: the context is none.
        WrongArgument: another object is of a class the door cannot use.
    """
    overrides: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is not None:
            provider, check = _PROVIDERS[name]
            overrides[provider] = check(value)
    if user_context is not None:
        return Brought(context_of(user_context), overrides)
    bridge: AgentWebSocketBridge | None = overrides.get("bridge")
    return Brought(None if bridge is None else bridge.user_context, overrides)


def anonymous_context(ids: UnifiedIDManager, settings: LegacySettings) -> UserExecutionContext:
    """The context of a caller who says nothing of the user: ids of its own, shared with nobody.

    Raises:
        InvalidContext: `legacy.anonymous_context` is `refuse`.
    """
    if settings.anonymous_context == "refuse":
        raise InvalidContext(
            "user_context", None,
            "leaves open whose engine it is, and legacy.anonymous_context is 'refuse'; pass "
            "UserExecutionContext.from_request(user_id=…, thread_id=…, run_id=…)",
        )  # fmt: skip
    context = UserExecutionContext(
        ids.generate_id(IDType.USER, "legacy_compat"),
        ids.generate_id(IDType.THREAD, "legacy_compat"),
        ids.generate_id(IDType.EXECUTION, "legacy_compat"),
        ids.generate_id(IDType.REQUEST, "legacy_compat"),
        {"compatibility_mode": True},
    )
    log.warning("anonymous_context_made", user_id=context.user_id, run_id=context.run_id)
    return context


_KINDS = "a UserExecutionContext, an AgentRegistry and a bridge"


def by_kind(values: Iterable[object], named: Mapping[str, object], right_call: str) -> dict[str, object]:
    """Arguments by position in whatever order the original's functions had them, told apart by what they are.

    Raises:
        TypeError: two are of one kind, or one is of none.
    """
    found = {name: value for name, value in named.items() if value is not None}
    for value in values:
        if value is None:
            continue
        kind = _kind(value)
        if kind is None:
            raise TypeError(f"{shown(value)} is none of {_KINDS}; {right_call}")
        if kind in found:
            raise TypeError(f"{kind} was passed twice, {shown(found[kind])} and {shown(value)}; {right_call}")
        found[kind] = value
    return found


def _kind(value: object) -> str | None:
    kind = type(value)
    if issubclass(kind, UserExecutionContext):
        return "user_context"
    if issubclass(kind, AgentRegistry):
        return "registry"
    return None if not issubclass(kind, AgentWebSocketBridge) and missing_methods(value) else "websocket_bridge"
