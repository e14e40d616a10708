"""Constructor calls in the original's shapes: what is merged, and what is refused with the right call shown.

A constructor takes them as `**former: Never` (and `*others: Never`): a type checker sees that there is no such
argument, the container's check does not see them at all, and a call without them pays for one empty dict.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from ssot_engine.errors import InvalidContext

#: What a parameter is that a call left out.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()

Constructor = TypeVar("Constructor", bound=Callable[..., None])

#: What takes the place of an argument that a context had.
_NO_FIELD = {
    "db_session": "sessions are the host's: override the container's provider `database_session_manager` and read "
    "`engine.database_session_manager`",
    "created_at": "nothing but the context itself knows when it was made; put a time of your own into metadata",
    "operation_depth": "depth is counted by `context.child(operation)`",
    "parent_request_id": "`context.child(operation)` sets it",
    "cleanup_callbacks": "what must be closed with an engine belongs to its scope: make the provider "
    "`Scoped(..., close='aclose')`",
}
_CONNECTIONS = ("websocket_client_id", "websocket_connection_id")
_MERGED = ("agent_context", "audit_metadata")


def shows_right_call(constructor: Constructor) -> Constructor:
    """Let a call that lacks arguments reach the constructor's body, which shows the right call.

    Its required parameters get `MISSING` as their default. For whoever reads its signature they are required still,
    and `*others` and `**former` do not exist.
    """
    signature = inspect.signature(constructor)
    kept = [one for one in signature.parameters.values() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in kept)
    function: Any = constructor
    function.__signature__ = signature.replace(parameters=kept)
    function.__defaults__ = tuple(MISSING if one.default is one.empty else one.default for one in kept[1:])
    return constructor


def refusal(called: str, right_call: str, former: Mapping[str, object]) -> TypeError:
    """The error for a call of `called` in a shape it does not have; `former` are the arguments it does not know."""
    known = ", ".join(f"{name}=" for name in former)
    what = f"does not take {known}" if known else "was called with too many or too few arguments, or with wrong ones"
    return TypeError(f"{called} {what}; {right_call}")


def merged_metadata(metadata: Mapping[str, Any] | None, former: Mapping[str, Any]) -> dict[str, Any]:
    """A context's metadata with what the original kept beside it: agent context, audit metadata, connection id.

    Where several name one key, `metadata` is right, then the audit metadata.

    Raises:
        InvalidContext: an argument has a value that a context cannot keep.
        TypeError: an argument that no context ever had.
    """
    if unknown := former.keys() - _NO_FIELD.keys() - {*_MERGED, *_CONNECTIONS}:
        right = "UserExecutionContext(user_id, thread_id, run_id, request_id=None, metadata=None)"
        raise refusal("UserExecutionContext()", f"call {right}", dict.fromkeys(sorted(unknown)))
    for field, value in former.items():
        if value is not None and field in _NO_FIELD:
            raise InvalidContext(field, value, f"is no part of a context: {_NO_FIELD[field]}")
    made: dict[str, Any] = {}
    for field in _MERGED:
        made.update(_mapping(field, former.get(field)))
    for field in _CONNECTIONS:
        if (connection := former.get(field)) is not None:
            made["websocket_client_id"] = connection
    made.update(_mapping("metadata", metadata))
    tell("UserExecutionContext", former, "metadata={…}")
    return made


def _mapping(field: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidContext(field, value, "is no mapping; pass a dict of plain JSON values")
    return value


def tell(called: str, former: Iterable[str], instead: str) -> None:
    """Tell the caller, and the census, that a call had former arguments which were taken.

    Raises:
        LegacyWarning: `legacy.warn` is `error`, or a filter of the interpreter makes it one.
    """
    door = f"{called}({', '.join(f'{name}=' for name in sorted(former))})"
    # It stands far above; whoever calls with the present arguments never loads it.
    import_module("ssot_engine.legacy.deprecation").used(door, instead, since="0.1", removed_in="1.0")
