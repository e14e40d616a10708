"""Errors: who can act, what the text says, and that they travel between processes."""

from __future__ import annotations

import pickle

import pytest

from ssot_engine import errors
from ssot_engine.errors import (
    AgentError,
    ClosedError,
    ConfigError,
    EngineLimitReached,
    ExecutionEngineFactoryError,
    Forbidden,
    InvalidContext,
    InvalidContextError,
    LogCorrupt,
    LogInUse,
    LogUnavailable,
    NotAuthenticated,
    NotFound,
    RequestError,
    RunConflict,
    SsotEngineError,
    StaleAttempt,
    ToolError,
    TooManyRequests,
    UnknownAgent,
    UnknownRun,
    UnknownTool,
)
from ssot_engine.eventlog.base import RunRecord
from ssot_engine.events import EventRefused, RunStatus, ThreadKey

ENDED = RunRecord(ThreadKey("alice", "t-1"), "r-1", "agent", 1, RunStatus.FAILED, 0.0, 1.0, "hi", None, None)

EXAMPLES: list[tuple[SsotEngineError, str]] = [
    (Forbidden("origin 'https://other.example' is not allowed"), "origin 'https://other.example' is not allowed"),
    (
        TooManyRequests("runs", "120/minute", "web.runs_rate", 12.34),
        "too many runs: web.runs_rate is 120/minute; try again in 12.3 s",
    ),
    (SsotEngineError("broken"), "broken"),
    (ConfigError("model.name is 'x'"), "model.name is 'x'"),
    (
        LogInUse("/var/e.db", "pid 7"),
        (
            "event log '/var/e.db' is in use by pid 7; one process writes one file. "
            "Stop it, ask it over its own URL, or give this process another events.url"
        ),
    ),
    (
        LogInUse("/var/e.db"),
        (
            "event log '/var/e.db' is in use by another process; one process writes one file. "
            "Stop it, ask it over its own URL, or give this process another events.url"
        ),
    ),
    (
        LogUnavailable("sqlite:///e.db", "disk full"),
        "event log 'sqlite:///e.db' cannot serve: disk full; free its storage, then repeat the call",
    ),
    (
        LogCorrupt("/var/e.db", "no such table"),
        "event log '/var/e.db' is damaged: no such table; move the file away to start empty, or restore a copy of it",
    ),
    (RequestError("inputs [1] are no mapping; pass a dict"), "inputs [1] are no mapping; pass a dict"),
    (InvalidContext("user_id", None, "is a NoneType; pass a str"), "user_id None is a NoneType; pass a str"),
    (
        InvalidContext("user_id", "x" * 500, "is too long"),
        f"user_id '{'x' * 119}… (502 characters) is too long",
    ),
    (NotAuthenticated("no token; send one"), "no token; send one"),
    (NotFound("nothing there"), "nothing there"),
    (UnknownRun("r-1"), "unknown run 'r-1'; list your runs to see their ids"),
    (UnknownAgent("x"), "unknown agent 'x'; registered are: none"),
    (UnknownAgent("x", ["a", "b"]), "unknown agent 'x'; registered are: 'a', 'b'"),
    (
        RunConflict("r-1"),
        "run 'r-1' is open already; start a run with a new run_id, or read that one's events",
    ),
    (
        RunConflict("r-1", ENDED),
        "run 'r-1' ended failed already; start a run with a new run_id, or read that one's events",
    ),
    (ExecutionEngineFactoryError("no engine"), "no engine"),
    (
        EngineLimitReached("alice", 10, "engine.max_engines_per_user", "already runs 10 engines", 2.5),
        "user 'alice': already runs 10 engines; wait for one to finish or raise engine.max_engines_per_user (now 10)",
    ),
    (AgentError("agent 'a' yielded 1"), "agent 'a' yielded 1"),
    (ToolError("add", "wrong arguments"), "tool 'add': wrong arguments"),
    (UnknownTool("add", ["sub"]), "tool 'add': unknown; registered are: 'sub'"),
    (ClosedError("ended"), "ended"),
    (StaleAttempt("r-1", 1, 2, None), "run 'r-1' is at attempt 2; attempt 1 was taken over and must stop"),
    (
        StaleAttempt("r-1", 1, 1, "completed"),
        "run 'r-1' ended completed; nothing of it is accepted any more",
    ),
    (
        EventRefused("agent_thinking", "r-1", "new"),
        "agent_thinking of run 'r-1' is refused: the run is new, which allows agent_started",
    ),
    (
        EventRefused("agent_thinking", "r-1", "ended"),
        "agent_thinking of run 'r-1' is refused: the run is ended, which allows nothing",
    ),
]


@pytest.mark.parametrize(("error", "text"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_says_what_with_which_value_and_what_next(error: SsotEngineError, text: str) -> None:
    """The whole text, as a person reads it."""
    assert text == str(error)


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_an_error_travels_between_processes(error: SsotEngineError) -> None:
    """Pickled and back it is of the same class, with the same text and the same attributes."""
    back = pickle.loads(pickle.dumps(error))
    assert type(error) is type(back)
    assert str(error) == str(back)
    assert vars(error) == vars(back)


def test_every_error_of_the_package_is_among_the_examples() -> None:
    """A new error is pickled and read here, or this fails."""
    public = {getattr(errors, name) for name in errors.__all__}
    assert public <= {type(error) for error, _ in EXAMPLES}


@pytest.mark.parametrize(
    ("group", "members"),
    [
        (ConfigError, {LogInUse, LogUnavailable, LogCorrupt}),
        (RequestError, {InvalidContext, NotAuthenticated, NotFound, UnknownRun, UnknownAgent, RunConflict}),
        (AgentError, {ToolError, UnknownTool}),
        (ClosedError, {StaleAttempt, EventRefused}),
        (ExecutionEngineFactoryError, {EngineLimitReached}),
        (ValueError, {RequestError, EngineLimitReached, InvalidContext}),
    ],
)
def test_the_first_level_says_who_can_act(group: type[Exception], members: set[type[Exception]]) -> None:
    """Operator, caller, author of an agent, or our own life cycle; callers' errors are ValueErrors too."""
    assert all(issubclass(member, group) for member in members)


def test_a_callers_error_has_its_http_status() -> None:
    """400, 401, 404, 409 and 429 by class."""
    assert [400, 400, 401, 404, 404, 404, 409, 429, 503] == [
        kind.status
        for kind in (
            RequestError,
            InvalidContext,
            NotAuthenticated,
            NotFound,
            UnknownRun,
            UnknownAgent,
            RunConflict,
            EngineLimitReached,
            LogUnavailable,
        )
    ]


def test_the_names_that_older_code_catches_are_the_same_classes() -> None:
    """`except InvalidContextError` and `except ExecutionEngineFactoryError` go on working."""
    assert InvalidContextError is InvalidContext
    with pytest.raises(ExecutionEngineFactoryError):
        raise EngineLimitReached("alice", 1, "engine.max_engines", "all in use")
