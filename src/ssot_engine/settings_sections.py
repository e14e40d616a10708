"""The sections of the settings: each setting's name, unit, range and default."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

__all__ = [
    "AgentSettings",
    "AuthSettings",
    "ContextSettings",
    "EngineSettings",
    "EventSettings",
    "GcSettings",
    "LegacySettings",
    "LogSettings",
    "ModelSettings",
    "RunSettings",
    "WebSettings",
]


def _one_of(*forms: str) -> Callable[[str], str]:
    """A check that a URL starts like one of `forms`, such as "sqlite:///path"."""
    schemes = [form.partition("://")[0] for form in forms]

    def check(url: str) -> str:
        scheme, separator, _ = url.partition("://")
        if not separator or scheme not in schemes:
            raise ValueError(f"is not a URL this setting knows; use {' or '.join(forms)}")
        return url

    return check


_RATE = re.compile(r"[1-9][0-9]*/(second|minute|hour|day)")
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


def _rate(text: str) -> str:
    if not _RATE.fullmatch(text):
        raise ValueError("is no rate; write a number and a time, such as 120/minute or 50/second")
    return text


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError("is no origin; write scheme, host and port without a path, such as https://app.example.org")
    return text


Count = Annotated[int, Field(ge=1)]
Threshold = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
EventsUrl = Annotated[str, AfterValidator(_one_of("memory://", "sqlite:///path", "redis://host"))]
Rate = Annotated[str, AfterValidator(_rate)]
Origin = Annotated[str, AfterValidator(_origin)]
RunsUrl = Annotated[str, AfterValidator(_one_of("local://", "postgresql://host/database"))]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML's `yes` is no 1."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation in (int, float):
            raise ValueError("is true or false, not a number")
        return value


class EngineSettings(_Section):
    """Limits of engines and runs."""

    max_engines_per_user: Count = Field(default=10, description="Engines one user may hold at once, at least 1")
    max_engines: Count = Field(default=10_000, description="Engines alive in this process, at least 1")
    max_concurrent_runs_per_user: Count = Field(default=10, description="Runs of one user at the same time, at least 1")
    max_concurrent_runs_per_engine: Count = Field(
        default=10, description="Runs of one engine at the same time, at least 1"
    )
    when_full: Literal["reject", "wait"] = Field(
        default="reject",
        description="reject: a request beyond a limit is refused at once; wait: it queues, fairly by user",
    )
    max_waiting: int = Field(
        default=1_000, ge=0, description="Requests that may queue if when_full is wait; more are refused"
    )
    wait_timeout_s: Seconds = Field(
        default=30.0, description="Seconds a queued request waits before it is refused, above 0"
    )
    run_timeout_s: Seconds = Field(default=300.0, description="Seconds a run may take, tool time included, above 0")
    stop_grace_s: float = Field(
        default=5.0, ge=0, description="Seconds a stopped run gets to end by itself before it is abandoned, 0 or more"
    )
    idle_timeout_s: Seconds = Field(
        default=300.0, description="Seconds without a run after which an engine is closed, above 0"
    )
    sweep_interval_s: Seconds = Field(
        default=30.0, description="Seconds between two searches for idle engines, above 0"
    )
    drain_timeout_s: float = Field(
        default=30.0, ge=0, description="Seconds open runs get to finish when the process shuts down, 0 or more"
    )
    max_output_bytes: Count = Field(
        default=16_777_216, description="Bytes of output of one run; above it the run fails"
    )
    max_tool_calls_per_run: int = Field(
        default=10_000, ge=0, description="Tool calls of one run; above it the run fails"
    )
    max_agent_depth: int = Field(default=10, ge=0, le=100, description="Agents nested inside one run, 0 to 100")
    history_runs: int = Field(
        default=20, ge=0, description="Earlier runs of the thread an agent sees as history, 0 or more"
    )
    permissions: tuple[str, ...] = Field(default=(), description="Tool permissions every user has")
    bridge_failure: Literal["degrade", "fail"] = Field(
        default="degrade",
        description="When a host's own bridge cannot be built: degrade takes the built-in one, fail refuses",
    )


class ContextSettings(_Section):
    """How strictly the identity of a request is checked."""

    strict_ids: bool = Field(default=False, description="Refuse ids that begin like placeholders, where a scope opens")


class EventSettings(_Section):
    """Where events are kept, how many and how long."""

    url: EventsUrl = Field(
        default="memory://",
        description="The event log: memory:// (this process), sqlite:///path (one node), redis://host (many nodes)",
    )
    retention_s: float = Field(
        default=600.0, ge=0, description="Seconds events are kept after their run ended, 0 or more"
    )
    max_events_per_thread: Count = Field(default=10_000, description="Events kept per thread, at least 1")
    max_bytes: Count = Field(
        default=268_435_456, description="Bytes of events kept in memory by the whole process, at least 1"
    )
    run_retention_s: float = Field(
        default=604_800.0, ge=0, description="Seconds the record of an ended run is kept, 0 or more (7 days)"
    )
    trim_interval_s: Seconds = Field(
        default=10.0, description="Seconds between two removals of expired events, above 0"
    )


class RunSettings(_Section):
    """Where submitted runs execute."""

    url: RunsUrl = Field(
        default="local://",
        description="Where submitted runs execute: local:// (this process), postgresql://host/database (workers)",
    )


class WebSettings(_Section):
    """The address of `ssot-engine serve`, and what one client may ask of it."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 is every interface")
    port: int = Field(
        default=8000, ge=0, le=65_535, description="TCP port to listen on, 0 to 65535; 0 takes a free one"
    )
    root_path: str = Field(
        default="", description="Path under which a proxy shows the server, such as /agents; empty if at the root"
    )
    page: bool = Field(default=True, description="Serve the page for people beside the API")
    allowed_origins: tuple[Origin, ...] = Field(
        default=(), description="Origins besides its own that browsers may call from, such as https://app.example.org"
    )
    coalesce_s: float = Field(
        default=0.015,
        ge=0,
        le=1,
        description="Seconds text may wait to share a frame with what follows, 0 to 1; other events never wait",
    )
    max_message_bytes: Count = Field(
        default=1_048_576, description="Bytes of one request body or one frame from a client, at least 1"
    )
    hello_timeout_s: Seconds = Field(default=10.0, description="Seconds a new socket has to say who it is, above 0")
    send_timeout_s: Seconds = Field(
        default=8.0, description="Seconds a client may leave unread what it was sent before it is cut off, above 0"
    )
    max_connections_per_user: Count = Field(
        default=32, description="Sockets and event streams one user may hold open, at least 1"
    )
    runs_rate: Rate = Field(default="120/minute", description="Runs one user may start, such as 120/minute")
    frames_rate: Rate = Field(default="100/second", description="Frames one socket may send, such as 100/second")
    sign_ins_rate: Rate = Field(
        default="60/minute", description="Attempts to sign in from one address, such as 60/minute"
    )
    close_timeout_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds connections get to close when the process shuts down, after the runs ended, 0 or more",
    )


class AuthSettings(_Section):
    """How a request proves whose it is."""

    dev_users: tuple[str, ...] = Field(
        default=(), description="Users who sign in by name alone, for development; served on loopback only"
    )
    algorithms: tuple[Literal["HS256", "RS256", "ES256"], ...] = Field(
        default=(),
        description="Signatures of tokens (JWT) that are accepted: HS256, RS256, ES256; none accepts no token",
    )
    secret: SecretStr | None = Field(default=None, description="Key of HS256, at least 32 bytes")
    public_key_file: str | None = Field(default=None, description="PEM file with the public key of RS256 or ES256")
    jwks_url: str | None = Field(
        default=None, description="URL of the issuer's key set, for RS256 and ES256; keys may rotate"
    )
    issuer: str | None = Field(default=None, description="Who must have issued a token (claim iss); needed with tokens")
    audience: str | None = Field(default=None, description="For whom a token must be (claim aud); needed with tokens")
    user_claim: str = Field(default="sub", min_length=1, description="The claim that holds the user's id")
    leeway_s: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds that clocks may differ when a token's times are checked, 0 to 300",
    )
    admins: tuple[str, ...] = Field(default=(), description="Users who see the engines of all users")


class AgentSettings(_Section):
    """Which agents are there besides the registered ones."""

    offline: bool = Field(default=True, description="Register the built-in team, which needs no model")
    entry_points: bool = Field(
        default=True, description="Register agents of installed packages (group ssot_engine.agents)"
    )


class ModelSettings(_Section):
    """The language model of agents that use one."""

    name: str = Field(
        default="offline",
        min_length=1,
        description="offline (no model), or a model named as in pydantic-ai, such as openai-chat:NAME",
    )


class LegacySettings(_Section):
    """What code that uses old names and signatures is granted, and how it is told."""

    anonymous_context: Literal["allow", "refuse"] = Field(
        default="allow",
        description="When create_from_legacy is called without a user: allow makes an anonymous one, refuse raises",
    )
    warn: Literal["default", "error"] = Field(
        default="default",
        description="What a use of an old name does: default warns as Python's filters say, error raises",
    )
    fail_after: date | None = Field(
        default=None,
        description="Last day, such as 2027-03-01, on which `legacy report` and `exec` accept old names; null always",
    )
    census_file: str | None = Field(
        default=None,
        min_length=1,
        description="File to which a process that ends adds which lines used old names; null writes none",
    )


class LogSettings(_Section):
    """The process's own log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe entry written: debug, info, warning or error"
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="console is text, json one object per line; auto is console on a terminal, else json",
    )


class GcSettings(_Section):
    """Python's garbage collector."""

    threshold: tuple[Threshold, Threshold, Threshold] | None = Field(
        default=None, description="Arguments of gc.set_threshold, applied by serve only; null leaves Python's own"
    )
