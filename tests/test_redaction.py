"""Redaction: which keys are secret, what is hidden in payloads and in texts, and what stays."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssot_engine.redaction import REDACTED, is_secret_key, redact, redact_text

SECRET_KEYS = [
    "password",
    "PASSWORD",
    "db_password",
    "DBPassword",
    "password2",
    "passwd",
    "passphrase",
    "secret",
    "client_secret",
    "clientSecret",
    "secret_key",
    "token",
    "refresh_token",
    "authToken",
    "x-auth-token",
    "api_key",
    "apiKey",
    "APIKey",
    "apikey",
    "X-Api-Key",
    "api key",
    "private_key",
    "AccessKey",
    "Authorization",
    "proxy-authorization",
    "credential",
    "aws.credentials",
    "Set-Cookie",
    "bearer",
    "auth",
    "Auth",
]
OPEN_KEYS = [
    "keyboard",
    "author",
    "authority",
    "auth_method",
    "monkey",
    "key",
    "primary_key",
    "key_api",
    "tokenizer",
    "tokens",
    "max_tokens",
    "input_tokens",
    "token_count",
    "tokenUsage",
    "token_limit",
    "secretary",
    "passport",
    "compass",
    "",
    "_",
    "ключ",
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_key_with_a_secret_word_is_secret(key: str) -> None:
    """A whole word of the key decides, however the words are joined and cased."""
    assert is_secret_key(key)


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_a_key_that_only_contains_the_letters_is_not_secret(key: str) -> None:
    """Part of a word, another order, and counts of tokens are not secret."""
    assert not is_secret_key(key)


def test_a_very_long_key_is_judged_like_a_short_one() -> None:
    """The length of a key changes what is remembered, not the verdict."""
    long = "word_" * 1000
    assert [is_secret_key(f"{long}password"), is_secret_key(f"{long}keyboard")] == [True, False]


def test_verdicts_hold_for_more_keys_than_are_remembered() -> None:
    """Ten thousand different keys, twice: each verdict is the same both times."""
    keys = [f"{'token' if n % 2 else 'tokens'}_{n}" for n in range(10_000)]
    expected = [bool(n % 2) for n in range(10_000)]
    assert (expected, expected) == ([is_secret_key(key) for key in keys], [is_secret_key(key) for key in keys])


# -------------------------------------------------------------------- payloads


def test_secrets_are_hidden_at_any_depth_and_the_rest_stays() -> None:
    """Mappings, lists and tuples are searched; a secret's value is hidden whole, whatever its type."""
    value = {
        "a": 1,
        "login": {"password": "hunter2", "user": "ada", "auth": ["x"]},
        "list": [1, ("x", {"token": {"deep": "hunter2"}, "n": 2})],
        3: None,
    }
    assert redact(value) == {
        "a": 1,
        "login": {"password": REDACTED, "user": "ada", "auth": REDACTED},
        "list": [1, ("x", {"token": REDACTED, "n": 2})],
        3: None,
    }


def test_what_is_redacted_is_a_copy() -> None:
    """The caller's own objects are never changed."""
    inner = {"password": "hunter2"}
    value = {"inner": inner, "list": [inner]}
    redact(value)
    assert value == {"inner": {"password": "hunter2"}, "list": [{"password": "hunter2"}]}


@pytest.mark.parametrize("value", [{"a": 1}, {"a": {"b": [1, (2,)]}}, [1, {"a": 2}], (), "password", None, b"x", 1.5])
def test_nothing_to_hide_gives_the_same_object(value: object) -> None:
    """Without a secret no copy is made."""
    assert redact(value) is value


def test_redacting_twice_changes_nothing_more() -> None:
    """A redacted value has nothing left to hide."""
    once = redact({"password": "hunter2"})
    assert redact(once) is once


def test_every_mapping_is_searched() -> None:
    """A read-only view of a mapping hides nothing from the search."""
    assert redact({"m": MappingProxyType({"password": "hunter2"})}) == {"m": {"password": REDACTED}}


SEPARATORS = ["_", "-", ".", " ", "/"]


@st.composite
def secret_keys(draw: st.DrawFn) -> str:
    """A secret word or pair among harmless words, joined in some way."""
    words = draw(
        st.sampled_from([("password",), ("secret",), ("token",), ("cookie",), ("api", "key"), ("access", "key")])
    )
    before = draw(st.lists(st.sampled_from(["db", "my", "new", "x"]), max_size=2))
    after = draw(st.lists(st.sampled_from(["value", "old", "id"]), max_size=2))
    whole = [*before, *words, *after]
    if draw(st.booleans()):
        return whole[0] + "".join(word.capitalize() for word in whole[1:])
    return draw(st.sampled_from(SEPARATORS)).join(draw(st.sampled_from([word, word.upper()])) for word in whole)


MARK = "hunter2"
open_keys = st.sampled_from(["a", "keyboard", "author", "max_tokens", "city", "items"])
leaves = st.none() | st.booleans() | st.integers() | st.text(string.ascii_letters, max_size=5)
secrets = st.sampled_from([MARK, [MARK], {"a": MARK}, (MARK, {"b": MARK})])
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(open_keys, inner, max_size=3)
        | st.builds(
            lambda plain, key, hidden: {**plain, key: hidden}, st.dictionaries(open_keys, inner), secret_keys(), secrets
        )
    ),
    max_leaves=20,
)


def walk(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every key of two trees of one shape with both values, not going below a redacted one."""
    if isinstance(before, Mapping):
        assert before.keys() == after.keys()
        for key in before:
            yield key, before[key], after[key]
            if after[key] != REDACTED:
                yield from walk(before[key], after[key])
    elif isinstance(before, list | tuple):
        assert (type(before), len(before)) == (type(after), len(after))
        for one, other in zip(before, after, strict=True):
            yield from walk(one, other)
    else:
        assert before == after


@given(trees)
def test_no_secret_survives_and_every_other_key_stays(tree: Any) -> None:
    """In any tree: no value under a secret key is left, and every other key keeps its value."""
    after = redact(tree)
    assert MARK not in json.dumps(after)
    for key, _, value in walk(tree, after):
        assert (value == REDACTED) is is_secret_key(key)


# ----------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("login failed: password=hunter2", "login failed: password=[redacted]"),
        ("password = hunter2, user = ada", "password = [redacted] user = ada"),
        ("db_password: hunter2\nuser: ada", "db_password: [redacted]\nuser: ada"),
        ("api key: hunter2", "api key: [redacted]"),
        ('{"apiKey": "hun\\"ter2", "n": 1}', '{"apiKey": "[redacted]", "n": 1}'),
        ("{'token': 'hun ter2', 'n': 1}", "{'token': '[redacted]', 'n': 1}"),
        ("{'token': 'hunter2 hunter2 cut he", "{'token': '[redacted]'"),
        ('{"token": "hunter2 hunter2 cut he', '{"token": "[redacted]"'),
        ('{\\"token\\": \\"hunter2\\"}', '{\\"token\\": [redacted]'),
        ("Auth(token={'deep': 'hunter2'}, n=1)", "Auth(token=[redacted], n=1)"),
        ("credentials=('ada', 'hunter2') auth: [hunter2, hunter2", "credentials=[redacted] auth: [redacted]"),
        ("GET /x?access_token=hunter2&page=2", "GET /x?access_token=[redacted]&page=2"),
        ("Server=h;Password=hunter2;User=ada", "Server=h;Password=[redacted];User=ada"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: [redacted]"),
        ("authorization: Bearer hunter2", "authorization: [redacted]"),
        ("sent Bearer hunter2 to host", "sent Bearer [redacted] to host"),
        ("Cookie: a=hunter2; b=hunter2\nHost: h", "Cookie: [redacted]\nHost: h"),
        ("redis://ada:hunter2@host:1/0 refused", "redis://ada:[redacted]@host:1/0 refused"),
        ("redis://:hun@ter2@host", "redis://:[redacted]@host"),
        ("key sk-proj-abcdefgh12345678 is invalid", "key [redacted] is invalid"),
        ("ghp_abcdefgh12345678 expired", "[redacted] expired"),
        ("xoxb-12345678-abcdefgh", "[redacted]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is old", "jwt [redacted] is old"),
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str, expected: str) -> None:
    """Each form a program writes a secret in is hidden, and the words around it stay."""
    assert redact_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=512 keyboard: qwerty author='me'",
        "user 'ada' already runs 10 engines; wait for one to finish",
        "http://host:8080/path?mail=a@b.c",
        "task-management-system and risk-assessment-report",
        "primary key: 7",
        "a token is a word",
        "",
    ],
)
def test_a_text_without_a_secret_stays(text: str) -> None:
    """Prose, addresses and words that only resemble a secret are untouched."""
    assert redact_text(text) == text


@given(
    key=secret_keys(), secret=st.text("ABCXYZ0189_$!", min_size=12), between=st.sampled_from(["=", ": ", " = ", ":"])
)
def test_no_value_after_a_secret_key_survives(key: str, secret: str, between: str) -> None:
    """`key=value` and `key: value` hide the value for every key that is secret by itself."""
    joined = key.replace(" ", "_").replace("/", "_")
    assert secret not in redact_text(f"error: {joined}{between}{secret} (at 1)")


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["token", "=", ": ", '"', "'", "{", "]", "Bearer ", "Cookie: ", "://u:", "@", "x", "\n", "sk-abcdefgh", " "]
        )
    ).map("".join)
)
def test_any_text_is_accepted_and_redacting_it_twice_adds_nothing(text: str) -> None:
    """No input raises, and a redacted text has nothing left to hide."""
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize("piece", ["a", "a ", 'a="', "://a:", "a.-", "eyJ-", "password=", "'", "api ", "token ", "\\"])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """A quarter of a megabyte built to make a search backtrack is done in seconds, not hours."""
    started = time.perf_counter()
    redact_text(piece * (250_000 // len(piece)))
    assert time.perf_counter() - started < 5
