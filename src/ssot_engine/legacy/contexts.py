"""What old code calls with the contexts it makes."""

from __future__ import annotations

from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import shown

__all__ = ["validate_user_context"]


def validate_user_context(context: object) -> UserExecutionContext:
    """The context itself. Its ids were checked when it was made, so only its class is left to ask.

    Raises:
        TypeError: it is no context.
    """
    if isinstance(context, UserExecutionContext):
        return context
    raise TypeError(f"{shown(context)} is no UserExecutionContext; make one with UserExecutionContext.from_request()")
