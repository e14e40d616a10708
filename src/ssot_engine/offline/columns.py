"""The columns of a usage log: their accepted names, and how one cell becomes a value."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec

__all__ = ["COLUMNS", "Column", "locate"]

_WHOLE = re.compile(r"([0-9]{1,13})(?:\.0*)?")
_NUMBER = re.compile(r"[0-9]{1,13}(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_EPOCH = re.compile(r"[0-9]{10,13}(?:\.[0-9]+)?")
_MOST = 10**12
_LONGEST_NAME = 128


class Column(msgspec.Struct, frozen=True):
    """One column: `names` are accepted in this order, `read` raises ValueError for a cell that is not `expected`."""

    names: tuple[str, ...]
    expected: str
    read: Callable[[object], object]
    required: bool = True


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise ValueError(cell)
    return repr(cell)


def _whole(cell: object) -> int:
    found = _WHOLE.fullmatch(_text(cell))
    if found is None or (number := int(found[1])) > _MOST:
        raise ValueError(cell)
    return number


def _number(cell: object) -> float:
    text = _text(cell)
    if _NUMBER.fullmatch(text) is None or not math.isfinite(number := float(text)) or number > _MOST:
        raise ValueError(cell)
    return number


def _time(cell: object) -> datetime:
    text = _text(cell)
    try:
        if _EPOCH.fullmatch(text):
            seconds = float(text)
            return datetime.fromtimestamp(seconds / 1000 if seconds >= 1e11 else seconds, UTC)
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
    except OverflowError as problem:
        raise ValueError(cell) from problem


def _name(cell: object) -> str:
    text = _text(cell)
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(cell)
    return sys.intern(text)


def _optional_name(cell: object) -> str | None:
    return None if cell is None or cell == "" else _name(cell)


def _status(cell: object) -> str:
    return sys.intern(("true" if cell else "false") if isinstance(cell, bool) else _name(cell).lower())


_NAME = f"a name of 1 to {_LONGEST_NAME} printable characters"

#: field of `Call` -> its column; units and rules are those of `Call`
COLUMNS: Mapping[str, Column] = {
    "time": Column(
        ("time", "timestamp", "created_at", "created", "datetime"),
        "an ISO 8601 time (no zone means UTC) or Unix seconds or milliseconds",
        _time,
    ),
    "model": Column(("model", "model_name", "model_id"), _NAME, _name),
    "input_tokens": Column(("tokens_in", "input_tokens", "prompt_tokens"), "a whole number >= 0", _whole),
    "output_tokens": Column(("tokens_out", "output_tokens", "completion_tokens"), "a whole number >= 0", _whole),
    "latency_ms": Column(("latency_ms", "duration_ms", "latency"), "milliseconds as a number >= 0", _number),
    "status": Column(("status", "status_code", "outcome"), "'ok', an error word or an HTTP status", _status),
    "feature": Column(("feature", "feature_name", "use_case"), _NAME, _name),
    "prompt_hash": Column(("prompt_hash", "prompt_id"), f"nothing or {_NAME}", _optional_name, required=False),
}


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def locate(names: Iterable[str]) -> dict[str, str]:
    """Which of a file's column names feeds which field of `Call`; fields without a column are left out."""
    given: dict[str, str] = {}
    for name in names:
        given.setdefault(_plain(name), name)
    found = {}
    for field, column in COLUMNS.items():
        accepted = next((name for name in column.names if name in given), None)
        if accepted is not None:
            found[field] = given[accepted]
    return found
