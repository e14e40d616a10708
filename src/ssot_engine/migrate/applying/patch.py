"""Edits as a patch that `git apply` takes."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

from ssot_engine.migrate.source import Edit, edited

#: Unchanged lines around a change.
_CONTEXT = 3
#: Pairs of lines that are compared at most to find those one change keeps; a larger change is shown as a whole.
_PAIRS = 250_000
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


class _Change(msgspec.Struct, frozen=True):
    """Lines `start` to `end`, from 0, become `new`."""

    start: int
    end: int
    new: list[bytes]


def patch(path: str, raw: bytes, edits: tuple[Edit, ...]) -> bytes:
    """A unified diff of one file; `path` as git shall see it. Empty if nothing changes.

    The hunks come from the edits themselves: bytes are never compared that no edit touches.
    """
    lines = _lines(raw)
    hunks = b"".join(_hunks(lines, list(_changes(raw, lines, sorted(edits)))))
    return _head(path) + hunks if hunks else b""


def _lines(text: bytes) -> list[bytes]:
    """Lines as git has them: whatever else ends a line elsewhere, here it is a character."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _changes(raw: bytes, lines: Sequence[bytes], edits: Sequence[Edit]) -> Iterator[_Change]:
    """What becomes of whole lines; edits that meet in a line are one change."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    waiting: list[Edit] = []
    for edit in edits:
        if waiting and (end := _end(starts, waiting)) < len(lines) and edit.start >= starts[end]:
            yield from _change(raw, lines, starts, waiting)
            waiting = []
        waiting.append(edit)
    if waiting:
        yield from _change(raw, lines, starts, waiting)


def _end(starts: Sequence[int], edits: Sequence[Edit]) -> int:
    """The line after those the edits are in. The one after an edit's end is in it too: it may be joined."""
    return min(bisect_right(starts, edits[-1].end), len(starts) - 1)


def _change(raw: bytes, lines: Sequence[bytes], starts: Sequence[int], edits: Sequence[Edit]) -> Iterator[_Change]:
    start = min(bisect_right(starts, edits[0].start) - 1, len(lines) - 1) if lines else 0
    end = _end(starts, edits)
    begin = starts[start]
    moved = [Edit(edit.start - begin, edit.end - begin, edit.new) for edit in edits]
    new = _lines(edited(raw[begin : starts[end]], moved))
    old = lines[start:end]
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    for begun, ended, put in _replaced(old, new):
        yield _Change(start + head + begun, start + head + ended, put)


def _alike(some: Sequence[bytes], others: Sequence[bytes]) -> int:
    """How many lines are the same at the beginning of both."""
    return next((at for at, (one, other) in enumerate(zip(some, others, strict=False)) if one != other),
                min(len(some), len(others)))  # fmt: skip


def _replaced(old: Sequence[bytes], new: list[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
    """Which lines become which; names that stay in an import of many lines are no part of it."""
    if len(old) * len(new) > _PAIRS:
        yield 0, len(old), new
        return
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start, end, new[new_start:new_end]


def _hunks(lines: Sequence[bytes], changes: Sequence[_Change]) -> Iterator[bytes]:
    grown = 0
    together: list[_Change] = []
    for change in changes:
        if together and change.start - together[-1].end > 2 * _CONTEXT:
            yield _hunk(lines, together, grown)
            grown += sum(len(one.new) - (one.end - one.start) for one in together)
            together = []
        together.append(change)
    if together:
        yield _hunk(lines, together, grown)


def _hunk(lines: Sequence[bytes], changes: Sequence[_Change], grown: int) -> bytes:
    first = max(0, changes[0].start - _CONTEXT)
    last = min(len(lines), changes[-1].end + _CONTEXT)
    body: list[bytes] = []
    at = first
    for change in changes:
        body += _marked(b" ", lines[at : change.start])
        body += _marked(b"-", lines[change.start : change.end])
        body += _marked(b"+", change.new)
        at = change.end
    body += _marked(b" ", lines[at:last])
    old = last - first
    new = old + sum(len(one.new) - (one.end - one.start) for one in changes)
    return f"@@ -{_range(first, old)} +{_range(first + grown, new)} @@\n".encode() + b"".join(body)


def _range(first: int, count: int) -> str:
    """The lines of a hunk; one that has none stands after the line before."""
    return f"{first + 1}" if count == 1 else f"{first + 1 if count else first},{count}"


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _head(path: str) -> bytes:
    old, new = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    # Without it a name would end at its first space.
    tab = "\t" if " " in path and not old.startswith('"') else ""
    return f"diff --git {old} {new}\n--- {old}{tab}\n+++ {new}{tab}\n".encode()


def _quoted(path: str) -> str:
    """The path in git's way to write it: in quotes as soon as one byte is special or not of ASCII."""
    written = "".join(_escaped(byte) for byte in os.fsencode(path))
    return path if written == path else f'"{written}"'


def _escaped(byte: int) -> str:
    if byte in _ESCAPES:
        return f"\\{_ESCAPES[byte]}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
