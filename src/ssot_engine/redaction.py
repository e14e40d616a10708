"""What is secret in a payload or a text, by the name of its key or the shape of its value, and how it is hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["REDACTED", "is_secret_key", "redact", "redact_text"]

#: What stands in place of a secret value.
REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "token",
    }
)
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("private", "key"), ("access", "key"), ("secret", "key"), ("client", "secret")}
)
# `token_count` and its like are numbers of language-model tokens.
_COUNTED = frozenset({"count", "counts", "usage", "limit", "budget"})

# One word of a key: an upper-case run ("API" of "APIKey"), a capitalised or lower-case word, or letters without case.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_KEPT = 4096
_KEPT_LENGTH = 128


def _judge(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    if words == ["auth"]:
        return True
    pairs = zip(words, [*words[1:], ""], strict=False)
    return any(
        pair in _SECRET_PAIRS or (pair[0] in _SECRET_WORDS and not (pair[0] == "token" and pair[1] in _COUNTED))
        for pair in pairs
    )


class _Verdicts(dict[object, bool]):
    """What `_judge` said of each key; a plain look-up, because every event asks. Long keys are not kept."""

    def __missing__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        secret = _judge(key)
        if len(key) <= _KEPT_LENGTH:
            if len(self) >= _KEPT:
                self.clear()
            self[key] = secret
        return secret


_is_secret = _Verdicts().__getitem__


def is_secret_key(key: str) -> bool:
    """Whether a value under `key` is a secret: one of its words says so ("api_key", "authToken"; not "max_tokens")."""
    return _is_secret(key)


_PLAIN = frozenset({str, int, float, bool, type(None), bytes})


def redact(value: object) -> object:
    """`value` with what stands under a secret key replaced, at any depth of mappings, lists and tuples.

    Nothing is changed in place; where nothing needs hiding the same object is returned.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - dict first: asking an ABC is slow
        return _redact_mapping(value)
    if isinstance(value, list | tuple):
        return _redact_items(value)
    return value


def _redact_mapping(mapping: Mapping[object, object]) -> Mapping[object, object]:
    if not any(map(_is_secret, mapping)) and _PLAIN.issuperset(map(type, mapping.values())):
        return mapping
    changed: dict[object, object] = {}
    for key, value in mapping.items():
        inner = REDACTED if _is_secret(key) else redact(value)
        if inner is not value:
            changed[key] = inner
    return {**mapping, **changed} if changed else mapping


def _redact_items(items: list[object] | tuple[object, ...]) -> object:
    inner = [redact(item) for item in items]
    if all(after is before for after, before in zip(inner, items, strict=True)):
        return items
    return tuple(inner) if isinstance(items, tuple) else inner


# ------------------------------------------------------------------------- texts

# Userinfo of a URL: the password ends at the last "@" before the path.
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/]+@")
# A cookie header is a list of pairs; the whole line is hidden.
_COOKIES = re.compile(r"(?i)(?<![\w-])((?:set-)?cookie[ \t]*:[ \t]*)[^\r\n]+")
_BEARER = re.compile(r"(?i)\b(bearer[ \t]+)[\w.~+/=-]+")
# The key of `key=value`, `key: value` or `"key": "value"` up to where the value begins, and the value: quoted, in
# brackets or one word. What never closes was cut there and is hidden to the end.
# Possessive repeats (*+) keep the search linear in hostile text.
_KEY = re.compile(
    r"""(?ix)
    ((?<![\w.-])(?:(?:api|private|access|secret|client)[ ])?[^\W\d][\w.-]*+)
    \\?["']?[ \t]*+(?:=>|==?|:)[ \t]*+
    """
)
_VALUE = re.compile(
    r"""(?isx)
    (?:(?:bearer|basic|digest|negotiate|token)[ \t]++)?
    (?:"(?:[^"\\]|\\.)*+(?:"|\Z) | '(?:[^'\\]|\\.)*+(?:'|\Z)
    | \{[^}]*+(?:\}|\Z) | \[[^\]]*+(?:\]|\Z) | \([^)]*+(?:\)|\Z)
    | [^\s&;]+)
    """
)
# Issued tokens with a shape of their own: OpenAI and its like, GitHub, Slack, JSON Web Tokens.
_TOKEN = re.compile(
    r"\b(?:sk-[\w-]{8,}|gh[a-z]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|xox[a-z]-[A-Za-z0-9-]{8,}|eyJ[\w-]{5,}(?:\.[\w-]*)*)"
)


def _hide_values(text: str) -> str:
    """`text` without the values of secret keys. A value may itself hold a key: `error: password=…`."""
    kept, start = [], 0
    for key in _KEY.finditer(text):
        if key.start() < start or not is_secret_key(key[1]):
            continue
        value = _VALUE.match(text, key.end())
        if value is None:
            continue
        quote = value[0][0] if value[0][0] in "\"'" else ""
        kept += [text[start : key.end()], quote, REDACTED, quote]
        start = value.end()
    return "".join([*kept, text[start:]])


def redact_text(text: str) -> str:
    """`text` without the secrets a program's message may carry.

    Hidden are values after a secret key (`api_key=…`, `"token": "…"`, `Authorization: Basic …`), `Bearer …`, passwords
    in URLs and tokens of well-known shape. A secret in free prose cannot be told from prose and stays.
    """
    text = _URL_PASSWORD.sub(rf"\1{REDACTED}@", text)
    text = _COOKIES.sub(rf"\1{REDACTED}", text)
    text = _hide_values(text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    return _TOKEN.sub(REDACTED, text)
