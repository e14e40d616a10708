"""Reading a usage log: CSV (comma, semicolon or tab) or JSONL, told apart by content, line by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain
from os import PathLike, fspath
from typing import Any

import msgspec

from ssot_engine.errors import shown
from ssot_engine.offline.columns import COLUMNS, locate
from ssot_engine.offline.usage import BadRow, Call, UnreadableLog, UsageLog, is_failure

__all__ = ["parse_usage", "read_usage"]

_LONGEST_LINE_BYTES = 1 << 20
_MOST_CALLS = 1_000_000
_MOST_EXAMPLES = 5
_FREE_WHEN_FAILED = frozenset({"input_tokens", "output_tokens", "latency_ms"})


class _Record(msgspec.Struct, frozen=True):
    """One record before its cells are read: the line it starts on, how many lines it takes, its cells by field."""

    row: int
    lines: int
    names: Mapping[str, str]
    cells: Mapping[str, Any]
    problem: BadRow | None = None


def read_usage(path: str | PathLike[str], *, skip_bad_rows: bool = False, most_calls: int = _MOST_CALLS) -> UsageLog:
    """The usage log in the file `path`; see `parse_usage`.

    Raises:
        UnreadableLog: also when the file cannot be opened or read.
        BadRow: as in `parse_usage`.
    """
    label = fspath(path)
    try:
        with open(path, "rb") as file:
            lines = iter(partial(file.readline, _LONGEST_LINE_BYTES + 1), b"")
            return parse_usage(lines, label=label, skip_bad_rows=skip_bad_rows, most_calls=most_calls)
    except OSError as problem:
        raise UnreadableLog(label, f"cannot be read: {problem.strerror or problem}; check the path") from problem


def parse_usage(
    lines: Iterable[bytes], *, label: str, skip_bad_rows: bool = False, most_calls: int = _MOST_CALLS
) -> UsageLog:
    """The usage log in `lines`, which end in their newline; blank lines are passed over.

    Times become UTC; a time without a zone is taken as UTC. Tokens and latency may be empty on a failed call and
    then count as 0. `skip_bad_rows` leaves bad rows out and counts the lines they take.

    Raises:
        UnreadableLog: no text, a column is missing, a quote stays open, no usable call, or more than `most_calls`.
        BadRow: a row breaks the format and `skip_bad_rows` is false.
    """
    calls: list[Call] = []
    skipped = 0
    examples: list[str] = []
    for record in _records(lines, label):
        try:
            calls.append(_call(record, label))
        except BadRow as bad:
            if not skip_bad_rows:
                raise
            skipped += record.lines
            if len(examples) < _MOST_EXAMPLES:
                examples.append(str(bad))
        if len(calls) > most_calls:
            raise UnreadableLog(label, f"holds more than {most_calls:,} calls; split it, by month for example")
    if examples and not calls:
        raise UnreadableLog(label, f"holds no usable row; the first problem: {examples[0]}")
    return UsageLog(label=label, calls=tuple(calls), skipped_rows=skipped, skipped_examples=tuple(examples))


def _call(record: _Record, label: str) -> Call:
    if record.problem is not None:
        raise record.problem
    values = {"status": _value(record, "status", label)}
    failed = is_failure(str(values["status"]))
    for field in COLUMNS:
        if failed and field in _FREE_WHEN_FAILED and record.cells.get(field) in (None, ""):
            values[field] = 0
        else:
            values[field] = _value(record, field, label)
    return Call(row=record.row, **values)


def _value(record: _Record, field: str, label: str) -> Any:
    column = COLUMNS[field]
    cell = record.cells.get(field)
    try:
        return column.read(cell)
    except ValueError as problem:
        name = record.names.get(field, column.names[0])
        raise BadRow(label, record.row, name, column.expected, cell) from problem


def _records(lines: Iterable[bytes], label: str) -> Iterator[_Record]:
    texts = _texts(lines, label)
    blank, first = 0, ""
    for first in texts:
        if first.strip():
            break
        blank += 1
    if not first.strip():
        raise UnreadableLog(label, "is empty; give a CSV with a header line, or one JSON object per line")
    if first.lstrip().startswith("["):
        raise UnreadableLog(label, "is a JSON array; write one JSON object per line (JSONL) instead")
    whole = chain([first], texts)
    return _jsonl(whole, blank, label) if first.lstrip().startswith("{") else _csv(whole, blank, label)


def _texts(lines: Iterable[bytes], label: str) -> Iterator[str]:
    """The lines as text. A byte that is no UTF-8 becomes a lone surrogate, which the cell it stands in refuses."""
    for number, line in enumerate(lines, start=1):
        if number == 1:
            if b"\0" in line or line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise UnreadableLog(label, "is not UTF-8 text; unpack it or save it as CSV or JSONL in UTF-8")
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > _LONGEST_LINE_BYTES:
            raise UnreadableLog(label, f"has more than {_LONGEST_LINE_BYTES:,} bytes in line {number}; split the line")
        yield line.decode("utf-8", "surrogateescape")


def _jsonl(lines: Iterable[str], blank: int, label: str) -> Iterator[_Record]:
    # Rows of one log nearly always share their keys, in one order.
    names_of = lru_cache(maxsize=16)(locate)
    for row, line in enumerate(lines, start=blank + 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            problem = BadRow(label, row, None, "one JSON object per line", line.rstrip("\r\n"))
            yield _Record(row, 1, {}, {}, problem)
            continue
        names = names_of(tuple(found))
        yield _Record(row, 1, names, {field: found[name] for field, name in names.items()})


def _csv(lines: Iterator[str], blank: int, label: str) -> Iterator[_Record]:
    first = next(lines)
    reader = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count), strict=True)
    rows = _csv_rows(reader, blank, label)
    _, _, header = next(rows)
    names = _csv_names(header, label)
    places = {field: header.index(name) for field, name in names.items()}
    for row, taken, cells in rows:
        if len(cells) != len(header):
            problem = BadRow(label, row, None, f"{len(header)} cells as in the header", f"{len(cells)} cells")
            yield _Record(row, taken, names, {}, problem)
        else:
            yield _Record(row, taken, names, {field: cells[place] for field, place in places.items()})


def _csv_rows(reader: Any, blank: int, label: str) -> Iterator[tuple[int, int, list[str]]]:
    """Line a record starts on, lines it takes, its cells. How much a broken quote swallows cannot be told, so the
    file is refused as a whole."""
    before = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            raise UnreadableLog(label, f"cannot be split from row {blank + before + 1} on: {problem}") from problem
        if cells is None:
            return
        if cells:
            yield blank + before + 1, reader.line_num - before, cells
        before = reader.line_num


def _csv_names(header: list[str], label: str) -> dict[str, str]:
    names = locate(header)
    missing = [column.names for field, column in COLUMNS.items() if column.required and field not in names]
    if missing:
        wanted = "; ".join(" or ".join(repr(name) for name in accepted) for accepted in missing)
        raise UnreadableLog(label, f"lacks a column: {wanted}; its columns are {shown(header)}")
    return names
