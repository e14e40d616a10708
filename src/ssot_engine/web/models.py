"""Bodies of the HTTP API, and how OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ssot_engine.eventlog.base import PageStatus, RunRecord
from ssot_engine.events import AgentCompleted, CancelReceipt, Event, RunError, Usage
from ssot_engine.ids import MAX_ID_LENGTH
from ssot_engine.web.access import AgentView, Overview, Submitted, ThreadView
from ssot_engine.web.deliveries import Deliveries
from ssot_engine.web.frames import Problem

PROBLEM_TYPE = "application/problem+json"


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate; it is no valid text") from None
    return text


Text = Annotated[str, AfterValidator(_text)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


class RunRequest(BaseModel):
    """A run to start. Without a thread it gets a new one; without an agent the supervisor, or the only one, answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    message: Text = Field(description="What the agent is asked")
    agent: str | None = Field(default=None, description="The agent's name, as /api/agents lists it")
    thread_id: Id | None = Field(default=None, description="The conversation it belongs to")
    run_id: Id | None = Field(default=None, description="The run's id, unused so far; not with an Idempotency-Key")
    inputs: dict[str, Any] | None = Field(default=None, description="What the agent gets beside the message")
    timeout_s: float | None = Field(default=None, gt=0, description="Seconds it may take, at most engine.run_timeout_s")
    metadata: dict[str, Any] | None = Field(default=None, description="Kept with the run's context")


class RunView(msgspec.Struct, frozen=True):
    """A run of the user. `ended_at`, `result` and what follows are there once it has ended; times are since 1970.

    `queued` waits for the user's other runs to end; its events begin when it does.
    """

    run_id: str
    thread_id: str
    agent: str
    status: Literal["queued", "running", "completed", "failed", "cancelled", "timed_out", "lost"]
    message: str
    started_at: float
    ended_at: float | None = None
    result: Any = None
    error: RunError | None = None
    usage: Usage | None = None
    receipt: CancelReceipt | None = None


_read_ending = msgspec.json.Decoder(AgentCompleted).decode


def run_view(record: RunRecord) -> RunView:
    """A run as its user sees it."""
    ending = None if record.ending is None else _read_ending(record.ending)
    return RunView(
        run_id=record.run_id,
        thread_id=record.key.thread_id,
        agent=record.agent_name,
        status=("running" if record.attempt else "queued") if record.status is None else record.status.value,
        message=record.message,
        started_at=record.started_at,
        ended_at=record.ended_at,
        result=None if ending is None else ending.result,
        error=None if ending is None else ending.error,
        usage=None if ending is None else ending.usage,
        receipt=None if ending is None else ending.receipt,
    )


class Agents(msgspec.Struct, frozen=True):
    """The agents that can be asked, by name."""

    agents: list[AgentView]


class Threads(msgspec.Struct, frozen=True):
    """The user's threads, the one used last first."""

    threads: list[ThreadView]


class EventPage(msgspec.Struct, frozen=True):
    """Events of a thread after a cursor, oldest first. `next` is the cursor to go on from.

    Where `status` is not ok, events are gone: `snapshot` has the critical ones still kept, and there are no others.
    `floor` is the seq of the newest event that is gone, 0 if none is; `head` that of the newest event.
    """

    status: PageStatus
    epoch: str
    floor: int
    head: int
    events: Sequence[Event]
    next: str
    snapshot: Sequence[Event] = ()


class Lag(msgspec.Struct, frozen=True):
    """Milliseconds from an event to its frame, over the newest deliveries; zeros before there are any."""

    p50_ms: float
    p99_ms: float


class Delivered(msgspec.Struct, frozen=True):
    """What the process has delivered so far; `connections` are open now, by wire."""

    connections: dict[str, int]
    events: int
    frames: int
    resets: int
    slow_closed: int


class Engines(Overview, frozen=True):
    """What goes on, and how late events are. `totals` and `deliveries` are of the process, for admins only."""

    now: float
    lag: Lag
    deliveries: Delivered | None


def engines(overview: Overview, deliveries: Deliveries, now: float) -> Engines:
    """An overview with the figures of delivery that go with it."""
    counted = Delivered(
        {str(wire): count for wire, count in deliveries.open.items()},
        deliveries.events,
        deliveries.frames,
        deliveries.resets,
        deliveries.slow_closed,
    )
    return Engines(
        **msgspec.structs.asdict(overview),
        now=now,
        lag=Lag(*deliveries.lag_ms()),
        deliveries=None if overview.totals is None else counted,
    )


class Health(msgspec.Struct, frozen=True):
    """Whether the process can serve. `failing` names the checks that say no: container, event_log, stopping."""

    status: Literal["ok", "unavailable"]
    failing: tuple[str, ...] = ()


# --------------------------------------------------------------------------- answers


class Json(JSONResponse):
    """An answer made of a struct."""

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


_STRUCTS = (Agents, CancelReceipt, Engines, EventPage, Health, Problem, RunView, Submitted, Threads)
_REF = "#/components/schemas/{name}"

Responses = dict[int | str, dict[str, Any]]


def answer(kind: type[msgspec.Struct], description: str, status: int = 200) -> Responses:
    """How a route's `responses` describe one of the structs."""
    return {status: {"description": description, "content": _content("application/json", kind)}}


def problems(*statuses: int) -> Responses:
    """How a route's `responses` describe problems."""
    return {status: _described_problem(_WHY[status], _HEADERS.get(status)) for status in statuses}


def _described_problem(why: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    described = {"description": why, "content": _content(PROBLEM_TYPE, Problem)}
    return described if headers is None else {**described, "headers": headers}


_WHY: Mapping[int, str] = {
    400: "What was asked cannot be done",
    401: "Nobody is signed in",
    403: "The request came by a way that is not allowed",
    404: "The user has no such thing",
    409: "It exists already",
    413: "The body is larger than web.max_message_bytes",
    429: "Too many; Retry-After says when to ask again",
    503: "The event log or the process cannot serve now",
}

_RETRY = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to sign in", "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}


def _content(media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the structs in it, how to sign in, and the problems that any operation may answer."""
    components = schema.setdefault("components", {})
    kinds = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        kinds.pop(unused, None)
    kinds.update(msgspec.json.schema_components(_STRUCTS, schema_hook=_schema_of, ref_template=_REF)[1])
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for path in schema["paths"].values():
        for operation in path.values():
            _describe_operation(operation)
    return schema


def _describe_operation(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    responses.setdefault("default", _described_problem("A problem, as RFC 9457 describes it"))
    if "401" in responses:
        operation.setdefault("security", [{"bearer": []}])


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object", "description": "What the event carries; its type says which fields."}
    raise NotImplementedError(kind)
