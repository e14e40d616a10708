"""The socket's protocol: what client and server say to each other, one JSON object per frame.

A client opens with `hello` and is answered `welcome`. Events come as `ev`, in order per thread; where some are gone a
`reset` comes in their place. Clients drop what they have seen (by epoch and seq) and ask again from their cursor where
a seq is missing. Unknown fields are to be ignored by both sides, unknown types of frames by clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from ssot_engine.errors import RequestError
from ssot_engine.events import CancelReceipt, Event, Position

__all__ = [
    "PROTOCOL",
    "Accepted",
    "Ack",
    "Authenticated",
    "BadFrame",
    "Cancel",
    "ClientFrame",
    "CloseCode",
    "Cursor",
    "Ev",
    "Follow",
    "Hello",
    "Leave",
    "Ping",
    "Pong",
    "Problem",
    "Reauth",
    "Receipt",
    "Refused",
    "Reset",
    "Run",
    "ServerFrame",
    "ThreadHead",
    "Welcome",
    "decode_client",
    "decode_server",
    "encode",
    "schema",
]

#: The version of the protocol; `hello` and `welcome` carry it.
PROTOCOL = 1


class CloseCode(IntEnum):
    """Why the server closed a socket. A client resumes by itself, except after `AUTH`, `REPLACED` and `BAD_FRAME`."""

    NORMAL = 1000
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    #: A frame was malformed, or came before `hello`.
    BAD_FRAME = 4000
    #: Not signed in, or no longer: sign in, then resume.
    AUTH = 4001
    #: Sent was not read for too long: resume from the cursor.
    SLOW = 4008
    #: The same client opened a newer socket.
    REPLACED = 4009
    #: Too many frames, or too many connections of this user: wait, then resume.
    TOO_MANY = 4029


# --------------------------------------------------------------------------- client


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a client has read a thread; without `epoch` from the beginning of what is kept."""

    thread: str
    epoch: str | None = None
    seq: int = 0

    @property
    def position(self) -> Position | None:
        """The same, as the log wants it."""
        return None if self.epoch is None else Position(self.epoch, self.seq)


class _Frame(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """A frame; `type` says which."""


class Hello(_Frame, frozen=True, tag="hello"):
    """The first frame. `client` names a page or program: its newer socket replaces its older one."""

    protocol: int
    token: str | None = None
    client: str | None = None
    resume: tuple[Cursor, ...] = ()


class Follow(_Frame, frozen=True, tag="follow"):
    """Read one more thread, from a cursor. Answered by `welcome` with its head."""

    thread: str
    epoch: str | None = None
    seq: int = 0


class Leave(_Frame, frozen=True, tag="leave"):
    """Read a thread no more."""

    thread: str


class Run(_Frame, frozen=True, tag="run"):
    """Start a run. A thread not followed yet is followed from here; without `thread` it is a new one.

    `key` makes it safe to repeat. Answered by `accepted` or `refused` with the same `id`.
    """

    id: str
    message: str
    agent: str | None = None
    thread: str | None = None
    inputs: dict[str, Any] | None = None
    timeout_s: float | None = None
    key: str | None = None


class Cancel(_Frame, frozen=True, tag="cancel"):
    """Stop a run. Answered by `receipt` once it has stopped, or `refused`."""

    id: str
    run_id: str


class Reauth(_Frame, frozen=True, tag="reauth"):
    """A fresh token of the same user. Answered by `authenticated`."""

    token: str


class Ack(_Frame, frozen=True, tag="ack"):
    """How far the client has come; for figures only, it never frees or holds anything."""

    thread: str
    seq: int


class Ping(_Frame, frozen=True, tag="ping"):
    """Answered by `pong` with the same `id`."""

    id: str = ""


ClientFrame = Hello | Follow | Leave | Run | Cancel | Reauth | Ack | Ping


# --------------------------------------------------------------------------- server


class ThreadHead(msgspec.Struct, frozen=True):
    """Where a thread stands: the seq of its newest event, 0 if it has none."""

    thread: str
    epoch: str
    head: int


class Welcome(_Frame, frozen=True, tag="welcome"):
    """Who the server takes the client for, and the head of each thread it now follows. Times are seconds since 1970."""

    protocol: int
    user: str
    threads: tuple[ThreadHead, ...]
    now: float
    expires_at: float | None = None


class Ev(_Frame, frozen=True, tag="ev"):
    """Events of one thread, oldest first."""

    events: Sequence[Event]


class Reset(_Frame, frozen=True, tag="reset"):
    """Told in place of events that are gone: the critical ones still kept, and where the thread goes on from.

    `reason` is gap (older than what is kept), ahead or epoch_changed (the cursor is of another history).
    """

    thread: str
    epoch: str
    seq: int
    reason: str
    snapshot: Sequence[Event]


class Accepted(_Frame, frozen=True, tag="accepted"):
    """A run was started, or had been by the same key."""

    id: str
    run_id: str
    thread: str


class Receipt(_Frame, frozen=True, tag="receipt"):
    """What became of a request to cancel."""

    id: str
    receipt: CancelReceipt


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was refused and why, as RFC 9457 has it. `retry_after_s` is there where waiting helps."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    retry_after_s: float | None = None


class Refused(_Frame, frozen=True, tag="refused"):
    """A request with this `id` was refused; nothing was done."""

    id: str
    problem: Problem


class Authenticated(_Frame, frozen=True, tag="authenticated"):
    """A fresh token was accepted."""

    user: str
    expires_at: float | None


class Pong(_Frame, frozen=True, tag="pong"):
    """The answer to `ping`; `now` is the server's clock in seconds since 1970."""

    id: str
    now: float


ServerFrame = Welcome | Ev | Reset | Accepted | Receipt | Refused | Authenticated | Pong

_read_client: Callable[[bytes | str], ClientFrame] = msgspec.json.Decoder(ClientFrame).decode
_read_server: Callable[[bytes | str], ServerFrame] = msgspec.json.Decoder(ServerFrame).decode
encode = msgspec.json.Encoder().encode


class BadFrame(RequestError):
    """A frame is no JSON, of no known type, or lacks what its type needs."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"bad frame: {self.problem}; the protocol's JSON Schema is at api/protocol"


def decode_client(frame: bytes | str) -> ClientFrame:
    """What a client said.

    Raises:
        BadFrame: it is not of the protocol.
    """
    try:
        return _read_client(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrame(str(error)) from None


def decode_server(frame: bytes | str) -> ServerFrame:
    """What a server said.

    Raises:
        BadFrame: it is not of the protocol.
    """
    try:
        return _read_server(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrame(str(error)) from None


def schema() -> dict[str, Any]:
    """The JSON Schema of the protocol: `$defs` holds every frame, `client` and `server` say who sends which."""
    (client, server), parts = msgspec.json.schema_components(
        (ClientFrame, ServerFrame), schema_hook=_schema_of, ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"ssot-engine socket protocol {PROTOCOL}",
        "anyOf": [client, server],
        "client": client,
        "server": server,
        "$defs": parts,
    }


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object", "description": "What the event carries; its type says which fields."}
    raise NotImplementedError(kind)
