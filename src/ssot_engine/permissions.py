"""Which users may have tools act for them."""

from __future__ import annotations

from ssot_engine.context import UserExecutionContext

_NONE: frozenset[str] = frozenset()


def no_permissions(context: UserExecutionContext) -> frozenset[str]:
    """Nobody has a permission beyond `engine.permissions`; a host overrides the container's `permissions`."""
    return _NONE
