"""The socket's protocol: every frame survives its way, the JSON Schema fits them, and no frame can break a decoder."""

from __future__ import annotations

import contextlib
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import ALICE
from ssot_engine.events import CancelReceipt, Event, Outcome, Position
from ssot_engine.web import frames
from ssot_engine.web.frames import BadFrame, ClientFrame, CloseCode, Cursor, ServerFrame, decode_client, decode_server

EVENT = Event(
    "message_delta", ALICE.thread_id, "run-1", ALICE.user_id, "writer", "e1", 7, 3, 1, 0, 1790000000.25,
    msgspec.Raw(b'{"text":"gr\\u00fc\xc3\x9fe \\n"}'),
)  # fmt: skip
PROBLEM = frames.Problem("Too many requests", 429, "wait", "too_many_requests", retry_after_s=1.5)

CLIENT_FRAMES: list[ClientFrame] = [
    frames.Hello(1),
    frames.Hello(1, "secret", "page-1", (Cursor("t-1"), Cursor("t-2", "e1", 9))),
    frames.Follow("t-1"),
    frames.Follow("t-1", "e1", 4),
    frames.Leave("t-1"),
    frames.Run("q1", "grüße"),
    frames.Run("q1", "hi", "writer", "t-1", {"deep": [1, {"a": None}]}, 2.5, "key-1"),
    frames.Cancel("q2", "run-1"),
    frames.Reauth("secret"),
    frames.Ack("t-1", 12),
    frames.Ping(),
    frames.Ping("p1"),
]
SERVER_FRAMES: list[ServerFrame] = [
    frames.Welcome(1, "alice", (frames.ThreadHead("t-1", "e1", 12),), 1790000000.5),
    frames.Welcome(1, "alice", (), 1790000000.5, 1790000600.0),
    frames.Ev((EVENT, msgspec.structs.replace(EVENT, seq=8, parent=None))),
    frames.Reset("t-1", "e1", 5, "gap", (EVENT,)),
    frames.Accepted("q1", "run-1", "t-1"),
    frames.Receipt("q2", CancelReceipt("run-1", Outcome.STOPPED, ("agent code",))),
    frames.Refused("q1", PROBLEM),
    frames.Refused("q1", msgspec.structs.replace(PROBLEM, retry_after_s=None)),
    frames.Authenticated("alice", None),
    frames.Pong("p1", 1790000000.5),
]


def plain(frame: object) -> Any:
    """A frame as Python values."""
    return msgspec.json.decode(frames.encode(frame))


@pytest.mark.parametrize(("members", "examples"), [(ClientFrame, CLIENT_FRAMES), (ServerFrame, SERVER_FRAMES)])
def test_there_is_an_example_of_every_frame(members: Any, examples: list[object]) -> None:
    """The lists of this file hold each kind of frame."""
    assert set(get_args(members)) == {type(example) for example in examples}


@pytest.mark.parametrize("frame", CLIENT_FRAMES, ids=lambda frame: type(frame).__name__)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_clients_frame_survives_its_way(frame: ClientFrame, as_text: bool) -> None:
    """What a client said is what the server understands, from bytes and from text."""
    data = frames.encode(frame)
    assert frame == decode_client(data.decode() if as_text else data)


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_servers_frame_survives_its_way(frame: ServerFrame) -> None:
    """What the server said is what a client understands, payloads byte for byte."""
    data = frames.encode(frame)
    assert data == frames.encode(decode_server(data))
    assert plain(frame) == plain(decode_server(data))


def test_an_event_on_the_wire_has_its_payload_as_an_object() -> None:
    """A client reads `payload` as JSON inside the event, not as text in text."""
    event = plain(frames.Ev((EVENT,)))["events"][0]
    assert {"text": "grüße \n"} == event["payload"]
    assert [7, "e1", 1790000000.25] == [event["seq"], event["epoch"], event["timestamp"]]


@pytest.mark.parametrize("frame", CLIENT_FRAMES + SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_unknown_fields_are_ignored(frame: object) -> None:
    """A frame with fields of a later version is understood without them."""
    decode = decode_client if isinstance(frame, ClientFrame) else decode_server
    data = msgspec.json.encode({**plain(frame), "later": {"x": [1]}})
    assert plain(frame) == plain(decode(data))


@pytest.mark.parametrize("cursor", [Cursor("t-1"), Cursor("t-1", "e1", 4)])
def test_a_cursor_is_a_position(cursor: Cursor) -> None:
    """Without an epoch a cursor stands before the beginning."""
    assert (None if cursor.epoch is None else Position("e1", 4)) == cursor.position


def test_close_codes_are_those_of_the_protocol() -> None:
    """The codes that clients were written for never change."""
    assert (4001, 4008, 4009, 1012) == (CloseCode.AUTH, CloseCode.SLOW, CloseCode.REPLACED, CloseCode.RESTART)


# -------------------------------------------------------------------------- the schema


def validator(side: str) -> Any:
    """Checks values against the frames of one side."""
    rust = pytest.importorskip("jsonschema_rs", reason="needs a JSON Schema validator: pip install jsonschema-rs")
    schema = frames.schema()
    return rust.validator_for({"$schema": schema["$schema"], **schema[side], "$defs": schema["$defs"]})


@pytest.mark.parametrize(("side", "examples"), [("client", CLIENT_FRAMES), ("server", SERVER_FRAMES)])
def test_the_schema_fits_what_is_sent(side: str, examples: list[object]) -> None:
    """Every frame as it is on the wire is valid by the schema of its side, and by none of the other's."""
    other = validator("server" if side == "client" else "client")
    for example in examples:
        validator(side).validate(plain(example))
        assert not other.is_valid(plain(example)), example


@pytest.mark.parametrize("frame", CLIENT_FRAMES + SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_schema_and_decoder_agree(frame: object) -> None:
    """Where a field is missing or of a wrong type, both refuse or both take it."""
    side = "client" if isinstance(frame, ClientFrame) else "server"
    decode, check = (decode_client if side == "client" else decode_server), validator(side)
    whole = plain(frame)
    changed = [{name: value for name, value in whole.items() if name != gone} for gone in whole]
    changed += [{**whole, name: wrong} for name in whole for wrong in (True, [17], {"a": 1})]
    for value in changed:
        assert check.is_valid(value) == is_taken(decode, value), value


def is_taken(decode: Any, value: object) -> bool:
    """Whether a decoder takes a value as a frame."""
    try:
        decode(msgspec.json.encode(value))
    except BadFrame:
        return False
    return True


# ------------------------------------------------------------------------ bad frames

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({name for frame in CLIENT_FRAMES + SERVER_FRAMES for name in plain(frame)} - {"type"})
TYPES = st.sampled_from(sorted({plain(frame)["type"] for frame in CLIENT_FRAMES + SERVER_FRAMES}))
WIRE = [frames.encode(frame) for frame in CLIENT_FRAMES + SERVER_FRAMES]


@st.composite
def almost_frames(draw: st.DrawFn) -> bytes:
    """The right type with whatever fields, or a frame with some of its bytes changed."""
    if draw(st.booleans()):
        fields = draw(st.dictionaries(st.sampled_from(FIELDS), Json, max_size=5))
        return msgspec.json.encode({"type": draw(TYPES), **fields})
    frame = draw(st.sampled_from(WIRE))
    first, last = sorted((draw(st.integers(0, len(frame))), draw(st.integers(0, len(frame)))))
    return frame[:first] + draw(st.binary(max_size=6)) + frame[last:]


@given(frame=st.binary(max_size=60) | st.text(max_size=60) | Json.map(msgspec.json.encode) | almost_frames())
def test_no_frame_breaks_a_decoder(frame: bytes | str) -> None:
    """Whatever comes is a frame or a `BadFrame`, never another error."""
    for decode in (decode_client, decode_server):
        with contextlib.suppress(BadFrame):
            decode(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[" * 200_000,
        b'{"type":"run","id":"q","message":"m","inputs":' + b'{"a":' * 100_000,
        b'{"type":"hello","protocol":1e999}',
        b'{"type":"hello","protocol":' + b"9" * 5000 + b"}",
        b'{"type":"run","id":"q","message":"m","timeout_s":1e999}',
        b'{"type":"ping","id":"\xff"}',
        b'{"type":"ping","id":"\\ud800"}',
        '{"type":"ping","id":"\ud800"}',
        b'{"type":"later"}',
        b"{}",
        b"null",
    ],
    ids=lambda frame: repr(frame[:40]),
)
def test_a_malformed_frame_is_a_bad_frame(frame: bytes | str) -> None:
    """Nesting, numbers and text beyond all bounds are refused like any other nonsense, in words that can be shown."""
    with pytest.raises(BadFrame) as caught:
        decode_client(frame)
    assert str(caught.value).startswith("bad frame: ")
    assert len(str(caught.value)) < 500
