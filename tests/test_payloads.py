"""Payloads: any value becomes JSON without secrets, of bounded size."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssot_engine.events import Custom, MessageDelta
from ssot_engine.payloads import MAX_TEXT, MAX_VALUE_BYTES, cut, encode, presentable, result_value, rounded


def shown(value: Any) -> Any:
    """What a client reads of a value."""
    return msgspec.json.decode(encode(Custom("x", presentable(value))))["data"]


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Point(msgspec.Struct):
    x: int
    token: str = "t"


class Opaque:
    def __repr__(self) -> str:
        return "<Opaque password=hunter2>"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        (float("nan"), None),
        ("text", "text"),
        ([1, "a", None], [1, "a", None]),
        ((1, 2), [1, 2]),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
        ({1: "a"}, {"1": "a"}),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (decimal.Decimal("1.50"), "1.50"),
        (b"ab", "YWI="),
        (2**70, 2**70),
        (Login("ann", "hunter2"), {"user": "ann", "password": "[redacted]"}),
        (Point(1), {"x": 1, "token": "[redacted]"}),
        ([Login("ann", "hunter2")], [{"user": "ann", "password": "[redacted]"}]),
        (
            {"deep": [{"login": Login("ann", "hunter2")}]},
            {"deep": [{"login": {"user": "ann", "password": "[redacted]"}}]},
        ),
        ({"password": "hunter2"}, {"password": "[redacted]"}),
        ({"password": {"a": 1}}, {"password": "[redacted]"}),
        ({"keyboard": "dvorak", "author": "ann"}, {"keyboard": "dvorak", "author": "ann"}),
        (Opaque(), "<Opaque password=[redacted]"),
        ([Opaque()], ["<Opaque password=[redacted]"]),
        ({"bad": "\ud800"}, {"bad": "?"}),
    ],
    ids=repr,
)
def test_a_value_is_shown_as_plain_json_without_secrets(value: Any, expected: Any) -> None:
    """Objects by their fields, what has none by its text; secret keys at any depth and in any kind of object."""
    assert expected == shown(value)


def test_a_value_that_holds_itself_is_shown_as_text() -> None:
    """A cycle is not followed for ever."""
    loop: list[Any] = []
    loop.append(loop)
    assert "[[...]]" == shown(loop)


def test_an_object_that_cannot_be_printed_does_not_fail_the_event() -> None:
    """What its own `repr` raises does not reach the agent."""
    assert "Unprintable" in shown(Unprintable())
    assert "Unprintable" in shown([Unprintable()])[0]


@pytest.mark.parametrize("large", [["x" * 100] * 1_000, {"a": "x" * 100_000}, {str(n): n for n in range(10_000)}])
def test_a_large_value_is_cut_with_its_full_size(large: Any) -> None:
    """The beginning of its JSON stays, beside how long it was."""
    told = shown(large)
    whole = msgspec.json.encode(large)
    assert {"cut", "size_bytes"} == set(told)
    assert len(whole) == told["size_bytes"]
    assert whole.decode().startswith(told["cut"])


def test_texts_are_cut_at_their_own_limits() -> None:
    """A tool's text at 64 KiB, a run's answer at 256 KiB; the marker says how long it was."""
    assert "x" * MAX_VALUE_BYTES == shown("x" * MAX_VALUE_BYTES)
    assert f"{'x' * MAX_VALUE_BYTES}… [cut, 70000 characters in all]" == shown("x" * 70_000)
    assert "x" * MAX_TEXT == result_value("x" * MAX_TEXT) == cut("x" * MAX_TEXT)
    assert result_value("x" * 300_000).endswith("… [cut, 300000 characters in all]")
    assert {"password": "[redacted]"} == result_value({"password": "x"})


def test_a_lone_surrogate_in_a_text_is_mended() -> None:
    """Half an emoji, as a model may stream it, becomes a question mark."""
    assert {"text": "a?b"} == msgspec.json.decode(encode(MessageDelta("a\ud83db")))


def test_what_was_given_is_not_changed() -> None:
    """Redaction makes a copy."""
    value = {"password": "hunter2", "deep": [{"token": "x"}]}
    presentable(value)
    assert {"password": "hunter2", "deep": [{"token": "x"}]} == value


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.just(Opaque()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.builds(Login, user=inner, password=inner)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_value_can_be_told_and_never_with_a_password(value: Any) -> None:
    """Whatever an agent returns, the event is JSON of bounded size."""
    raw = bytes(encode(Custom("x", presentable(value))))
    assert "data" in msgspec.json.decode(raw)
    assert len(raw) < 2 * MAX_VALUE_BYTES
    assert b"hunter2" not in raw


@given(st.floats())
def test_a_duration_has_three_decimals(duration_ms: float) -> None:
    """Any number is taken, and is what `round` makes of it but for the last decimal of a tie."""
    expected, actual = round(duration_ms, 3), rounded(duration_ms)
    assert repr(expected) == repr(actual) or abs(expected - actual) <= 0.001 + 1e-9
    assert repr(actual) == repr(round(actual, 3))
