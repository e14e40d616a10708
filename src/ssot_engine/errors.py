"""Every error of the product, grouped by who can act on it.

`ConfigError` is for the operator, `RequestError` for the caller, `AgentError` for the author of an agent or tool,
`ClosedError` for code that used one of our objects outside its life. What an error is about is kept as attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "AgentError",
    "ClosedError",
    "ConfigError",
    "EngineLimitReached",
    "ExecutionEngineFactoryError",
    "Forbidden",
    "InvalidContext",
    "InvalidContextError",
    "LogCorrupt",
    "LogInUse",
    "LogUnavailable",
    "NotAuthenticated",
    "NotFound",
    "RequestError",
    "RunConflict",
    "SsotEngineError",
    "StaleAttempt",
    "TooManyRequests",
    "ToolError",
    "UnknownAgent",
    "UnknownRun",
    "UnknownTool",
]

_SHOWN = 120


def shown(value: object) -> str:
    """`repr(value)`, cut to a length that fits an error text."""
    try:
        text = repr(value)
    except Exception as error:
        # An object may raise anything when it is printed; the text is about something else.
        text = f"<{type(value).__name__} whose repr() raised {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _choices(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


class SsotEngineError(Exception):
    """Base of every error this package raises on purpose."""


# ------------------------------------------------------------------ the operator


class ConfigError(SsotEngineError):
    """Settings, container or storage are wrong; a command that meets it exits with status 2."""


class LogInUse(ConfigError):
    """Another writer has the event log open.

    `path` is the file, `holder` what is known of the process that has it (pid and start time), or None.
    """

    def __init__(self, path: str, holder: str | None = None) -> None:
        super().__init__(path, holder)
        self.path = path
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"event log {self.path!r} is in use by {self.holder or 'another process'}; one process writes one file. "
            "Stop it, ask it over its own URL, or give this process another events.url"
        )


class LogUnavailable(ConfigError):
    """The event log could not store or read: disk full, locked from outside, or gone. Nothing of the call was kept.

    `url` names the log, `reason` what its storage said. A web edge answers 503; the same append may be repeated.
    """

    status = 503

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"event log {self.url!r} cannot serve: {self.reason}; free its storage, then repeat the call"


class LogCorrupt(ConfigError):
    """The event log's file is damaged or is no event log. It is never recreated silently."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"event log {self.path!r} is damaged: {self.reason}; "
            "move the file away to start empty, or restore a copy of it"
        )


# -------------------------------------------------------------------- the caller


class RequestError(SsotEngineError, ValueError):
    """The caller asked for something that cannot be done; `status` is its HTTP status code."""

    status = 400


class InvalidContext(RequestError):
    """A context was given an id or metadata it refuses. `field` is the argument, `value` what was passed."""

    status = 400

    def __init__(self, field: str, value: object, problem: str) -> None:
        super().__init__(field, value, problem)
        self.field = field
        self.value = value
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field} {shown(self.value)} {self.problem}"


InvalidContextError = InvalidContext


class NotAuthenticated(RequestError):
    """The request carries no identity that could be verified."""

    status = 401


class Forbidden(RequestError):
    """The request came by a way that is not allowed, such as another site's page."""

    status = 403


class NotFound(RequestError):
    """What was asked for does not exist for this user; another user's things look exactly the same."""

    status = 404


class UnknownRun(NotFound):
    """No run of this user has the id `run_id`."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"unknown run {shown(self.run_id)}; list your runs to see their ids"


class UnknownAgent(NotFound):
    """No agent is registered as `name`; `known` lists the names that are."""

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        return f"unknown agent {shown(self.name)}; registered are: {_choices(self.known)}"


class RunConflict(RequestError):
    """A run with the id `run_id` exists already; `record` is what the log knows of it."""

    status = 409

    def __init__(self, run_id: str, record: Any = None) -> None:
        super().__init__(run_id, record)
        self.run_id = run_id
        self.record = record

    def __str__(self) -> str:
        state = "is open" if self.record is None or self.record.status is None else f"ended {self.record.status}"
        return f"run {shown(self.run_id)} {state} already; start a run with a new run_id, or read that one's events"


class ExecutionEngineFactoryError(SsotEngineError):
    """An engine could not be made."""


class EngineLimitReached(ExecutionEngineFactoryError, RequestError):
    """A cap is full. `setting` names the limit, `retry_after_s` is the answer's Retry-After in seconds."""

    status = 429

    def __init__(self, user_id: str, limit: int, setting: str, what: str, retry_after_s: float = 1.0) -> None:
        super().__init__(user_id, limit, setting, what, retry_after_s)
        self.user_id = user_id
        self.limit = limit
        self.setting = setting
        self.what = what
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"user {self.user_id!r}: {self.what}; wait for one to finish or raise {self.setting} (now {self.limit})"


class TooManyRequests(RequestError):
    """A user or a connection asks too often. `setting` names the limit, `retry_after_s` is the answer's Retry-After."""

    status = 429

    def __init__(self, what: str, limit: object, setting: str, retry_after_s: float = 1.0) -> None:
        super().__init__(what, limit, setting, retry_after_s)
        self.what = what
        self.limit = limit
        self.setting = setting
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"too many {self.what}: {self.setting} is {self.limit}; try again in {self.retry_after_s:.1f} s"


# ------------------------------------------------- the author of an agent or tool


class AgentError(SsotEngineError):
    """An agent broke its contract; the run ends `failed`."""


class ToolError(AgentError):
    """A tool refused its arguments, overran its time, was not permitted or raised. `tool` is its name."""

    def __init__(self, tool: str, problem: str) -> None:
        super().__init__(tool, problem)
        self.tool = tool
        self.problem = problem

    def __str__(self) -> str:
        return f"tool {self.tool!r}: {self.problem}"


class UnknownTool(ToolError):
    """No tool is registered under that name; `known` lists the names that are."""

    def __init__(self, tool: str, known: Sequence[str] = ()) -> None:
        super().__init__(tool, f"unknown; registered are: {_choices(known)}")
        self.args = (tool, known)
        self.known = tuple(known)


# ----------------------------------------------------------------- our life cycle


class ClosedError(SsotEngineError):
    """Something was used before it opened, after it closed, or outside the run it belongs to."""


class StaleAttempt(ClosedError):
    """Events came from an attempt that has ended or was taken over; nothing of them was stored."""

    def __init__(self, run_id: str, attempt: int, current: int, status: str | None) -> None:
        super().__init__(run_id, attempt, current, status)
        self.run_id = run_id
        self.attempt = attempt
        self.current = current
        self.status = status

    def __str__(self) -> str:
        if self.status is not None:
            return f"run {self.run_id!r} ended {self.status}; nothing of it is accepted any more"
        return f"run {self.run_id!r} is at attempt {self.current}; attempt {self.attempt} was taken over and must stop"
