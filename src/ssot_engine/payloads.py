"""How values become the JSON an event carries: without secrets, cut to size, and always encodable."""

from __future__ import annotations

from typing import Any

import msgspec

from ssot_engine.errors import shown
from ssot_engine.events import Payload
from ssot_engine.redaction import redact, redact_text

#: The longest text of `agent_started.message` and `agent_completed.result`, in characters.
MAX_TEXT = 262_144
#: The largest other value, in bytes of JSON.
MAX_VALUE_BYTES = 65_536

_SMALL = frozenset((int, float, bool, type(None)))


def _fallback(value: object) -> str:
    return redact_text(shown(value))


_encoder = msgspec.json.Encoder(enc_hook=_fallback)


def encode(payload: Payload) -> msgspec.Raw:
    """A payload as JSON. What JSON cannot carry becomes its shortened `repr`."""
    try:
        return msgspec.Raw(_encoder.encode(payload))
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError, ValueError):
        return msgspec.Raw(_encoder.encode(_mend(_plain(payload))))


def rounded(duration_ms: float) -> float:
    """Milliseconds with three decimals."""
    # `round(x, 3)` goes by way of decimal text, which takes twice as long; but it takes any number.
    return round(duration_ms * 1e3) / 1e3 if 0.0 <= duration_ms < 1e12 else round(duration_ms, 3)


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """The text, or its first `limit` characters and how long it was."""
    return text if len(text) <= limit else f"{text[:limit]}… [cut, {len(text)} characters in all]"


def presentable(value: Any) -> Any:
    """A value as an event may show it: plain JSON, secrets by key removed, cut with a marker when it is large."""
    kind = type(value)
    if kind in _SMALL:
        return value
    if kind is str:
        return cut(value, MAX_VALUE_BYTES)
    if _is_small(value):
        return redact(value)
    return _cut_value(redact(_plain(value)))


def result_value(value: Any) -> Any:
    """What a run or agent returned, as its last event carries it: a text whole up to its limit, else as any value."""
    return cut(value) if type(value) is str else presentable(value)


def _is_small(value: Any) -> bool:
    """Whether it certainly fits, without encoding it."""
    if type(value) is not dict or len(value) > 16:
        return False
    for inner in value.values():
        if type(inner) not in _SMALL and (type(inner) is not str or len(inner) > 1024):
            return False
    return True


def _cut_value(value: Any) -> Any:
    try:
        encoded = _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError, ValueError):
        return cut(redact_text(shown(value)), MAX_VALUE_BYTES)
    if len(encoded) <= MAX_VALUE_BYTES:
        return value
    return {"cut": encoded[:1024].decode(errors="replace"), "size_bytes": len(encoded)}


def _plain(value: Any) -> Any:
    """Any object as builtin JSON values: only in these are secrets found."""
    try:
        return msgspec.to_builtins(value, enc_hook=_fallback, str_keys=True)
    except (RecursionError, TypeError, ValueError):
        return redact_text(shown(value))


def _mend(value: Any) -> Any:
    """Builtin values with what JSON cannot carry made into text that it can."""
    if type(value) is str:
        return value.encode("utf-8", "replace").decode()
    if type(value) is dict:
        return {_mend(key): _mend(inner) for key, inner in value.items()}
    if type(value) is list or type(value) is tuple:
        return [_mend(inner) for inner in value]
    if type(value) is int and not -(2**63) <= value < 2**64:
        return str(value)
    return value
