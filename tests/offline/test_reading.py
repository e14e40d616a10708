"""Facts about reading usage logs."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_logs import HEADER

from ssot_engine.offline.reading import parse_usage, read_usage
from ssot_engine.offline.usage import BadRow, Call, UnreadableLog, UsageLog

GOOD = "2026-09-01T10:00:00Z,gpt-4o,1000,20,812,ok,chat,abc"
CELLS = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))


def parse(text: str | bytes, **options: Any) -> UsageLog:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_usage(io.BytesIO(data), label="usage.csv", **options)


def changed(**cells: str) -> str:
    return ",".join({**CELLS, **cells}.values())


def bad_row(text: str | bytes) -> BadRow:
    with pytest.raises(BadRow) as caught:
        parse(text)
    return caught.value


EXPECTED = Call(
    row=2,
    time=datetime(2026, 9, 1, 10, tzinfo=UTC),
    model="gpt-4o",
    input_tokens=1000,
    output_tokens=20,
    latency_ms=812,
    status="ok",
    feature="chat",
    prompt_hash="abc",
)


def test_a_csv_row_becomes_a_call() -> None:
    """Each cell lands in its field."""
    assert parse(f"{HEADER}\n{GOOD}\n").calls == (EXPECTED,)


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\n{GOOD}\n",
        f"{HEADER}\r\n{GOOD}\r\n",
        f"{HEADER}\n{GOOD}",
        f"{HEADER}\n{GOOD}\n\n\r\n",
        f"{HEADER}\n{GOOD}\n".replace(",", ";"),
        f"{HEADER}\n{GOOD}\n".replace(",", "\t"),
        HEADER.upper().replace("_", " ") + f"\n{GOOD}\n",
        f"timestamp,model_name,prompt_tokens,completion-tokens,duration_ms,outcome,use_case,prompt_id\n{GOOD}\n",
        f'{HEADER},note\n{GOOD},"a ""quoted"" note, with comma"\n',
        f"note,{HEADER}\n\xff,{GOOD}\n".encode("latin-1"),
        f"{HEADER}\n{changed(tokens_in='1000.0', latency_ms='8.12e2', status=' OK ')}\n",
    ],
    ids=[
        "bom",
        "crlf",
        "no last newline",
        "blank lines",
        "semicolons",
        "tabs",
        "header case",
        "aliases",
        "quotes",
        "bytes in an unused column",
        "spellings",
    ],
)
def test_harmless_differences_read_the_same(text: str | bytes) -> None:
    """BOM, line ends, blank lines, delimiters, column names and number spellings do not change a call."""
    assert parse(text).calls == (EXPECTED,)


def test_a_jsonl_row_becomes_a_call() -> None:
    """Rows count from line 1, blank lines included; keys may come in any order."""
    record = {"feature": "chat", **CELLS, "tokens_in": 1000, "tokens_out": 20.0, "latency_ms": 812}
    found = parse("\n" + json.dumps(record) + "\n").calls
    assert found == (EXPECTED,)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-09-01T12:30:00+02:30", EXPECTED.time),
        ("2026-09-01 10:00:00", EXPECTED.time),
        ("1788256800", EXPECTED.time),
        ("1788256800000", EXPECTED.time),
        ("1788256800.5", EXPECTED.time + timedelta(seconds=0.5)),
        ("2026-09-01", datetime(2026, 9, 1, tzinfo=UTC)),
        ("20260901", datetime(2026, 9, 1, tzinfo=UTC)),
    ],
)
def test_times_become_utc(written: str, expected: datetime) -> None:
    """Offsets are converted; without one a time is UTC; Unix seconds and milliseconds are told apart."""
    found = parse(f"{HEADER}\n{changed(time=written)}\n").calls[0].time
    assert expected == found
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("time", value) for value in ["", "yesterday", "2026-13-01", "12", "0001-01-01T00:00:00+05:00"]],
        *[("model", value) for value in ["", "x" * 129, "a\x1b[31mb"]],
        *[("tokens_in", value) for value in ["", "abc", "-1", "1.5", "1_000", "1e3", "9" * 5000, "nan", "٣"]],
        *[("tokens_out", value) for value in ["", "-0", "0x10", "1000000000001"]],
        *[("latency_ms", value) for value in ["", "-1", "inf", "nan", "1e999", "1_0", "12 ms"]],
        *[("status", value) for value in ["", "x" * 129]],
        *[("feature", value) for value in ["", "a\x00b"]],
        ("prompt_hash", "x" * 129),
    ],
)
def test_a_bad_cell_is_named(column: str, value: str) -> None:
    """The error gives row, column, value and what was expected."""
    bad = bad_row(f"{HEADER}\n{GOOD}\n\n{changed(**{column: value})}\n")
    assert (4, column, value) == (bad.row, bad.column, bad.value)
    assert bad.expected in str(bad)


def test_a_bad_cell_is_named_as_the_file_names_it() -> None:
    """The column in the error is the file's own name for it."""
    bad = bad_row(f"{HEADER.replace('tokens_in', 'Prompt Tokens')}\n{changed(tokens_in='abc')}\n")
    assert bad.column == "Prompt Tokens"


@pytest.mark.parametrize(("key", "value"), [("tokens_in", True), ("tokens_in", None), ("model", []), ("time", {})])
def test_a_json_value_of_the_wrong_type_is_a_bad_row(key: str, value: object) -> None:
    """JSON's own types are checked as text is."""
    bad = bad_row(json.dumps({**CELLS, key: value}))
    assert (1, key, value) == (bad.row, bad.column, bad.value)


def test_a_json_row_without_a_key_is_a_bad_row() -> None:
    """A missing key is told as the column's first name."""
    bad = bad_row(json.dumps(CELLS) + "\n" + json.dumps({**CELLS, "extra": 1} | {"model": None}))
    assert (bad.row, bad.column) == (2, "model")
    missing = {key: value for key, value in CELLS.items() if key != "status"}
    assert bad_row(json.dumps(missing)).column == "status"


@pytest.mark.parametrize("line", ["{", "[1]", "3", '{"a": 1}}', "[" * 100_000])
def test_a_line_that_is_no_json_object_is_a_bad_row(line: str) -> None:
    """Broken or foreign JSON is refused with its row, however deep it nests."""
    bad = bad_row(json.dumps(CELLS) + "\n" + line + "\n")
    assert (bad.row, bad.column) == (2, None)


def test_a_row_with_too_few_or_many_cells_is_a_bad_row() -> None:
    """The number of cells is that of the header."""
    assert "expected 8 cells as in the header, got '7 cells'" in str(bad_row(f"{HEADER}\n{GOOD.rsplit(',', 1)[0]}\n"))
    assert "got '9 cells'" in str(bad_row(f"{HEADER}\n{GOOD},more\n"))


def test_bytes_that_are_no_utf8_are_a_bad_cell() -> None:
    """Only the cell that holds them is wrong, so it can be named and skipped."""
    bad = bad_row(f"{HEADER}\n".encode() + changed(feature="caf\xe9").encode("latin-1"))
    assert (bad.row, bad.column) == (2, "feature")


def test_a_failed_call_may_leave_figures_empty() -> None:
    """Empty tokens and latency of a failed call count as 0."""
    found = parse(f"{HEADER}\n{changed(status='429', tokens_in='', tokens_out='', latency_ms='')}\n").calls[0]
    assert (found.input_tokens, found.output_tokens, found.latency_ms) == (0, 0, 0)


def test_skipping_counts_lines_and_keeps_examples() -> None:
    """Bad rows are left out; the count is of lines, the examples are the first five."""
    bad = changed(tokens_in="abc")
    broken = changed(model='"two\nlines"')
    log = parse(f"{HEADER}\n{GOOD}\n" + f"{bad}\n" * 6 + f"{broken}\n{GOOD}\n", skip_bad_rows=True)
    assert [call.row for call in log.calls] == [2, 11]
    assert log.skipped_rows == 8
    assert len(log.skipped_examples) == 5
    assert "row 3, column 'tokens_in'" in log.skipped_examples[0]


def test_skipping_works_in_jsonl() -> None:
    """A broken JSON line can be left out too."""
    log = parse(json.dumps(CELLS) + "\nnot json\n" + json.dumps(CELLS), skip_bad_rows=True)
    assert ([call.row for call in log.calls], log.skipped_rows) == ([1, 3], 1)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (HEADER.encode(), "holds no calls"),
        (b"time,model\n1,2\n", "lacks a column: 'tokens_in' or 'input_tokens' or 'prompt_tokens'"),
        (b"[\n{}\n]", "is a JSON array"),
        (HEADER.encode("utf-16"), "is not UTF-8 text"),
        (b"PK\x03\x04\x00", "is not UTF-8 text"),
        (f'{HEADER}\n{GOOD}\n"open,{GOOD}\n'.encode(), "cannot be split from row 3 on"),
        (b"x" * (2 << 20), "more than 1,048,576 bytes in line 1"),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_a_log_that_cannot_be_read_says_why(data: bytes, problem: str, skip: bool) -> None:
    """What is wrong with the whole file is never skipped."""
    with pytest.raises(UnreadableLog) as caught:
        parse(data, skip_bad_rows=skip)
    assert problem in str(caught.value)
    assert caught.value.status == 422
    assert len(str(caught.value)) < 700


def test_a_log_of_only_bad_rows_says_why() -> None:
    """Skipping everything is an error that shows the first problem."""
    with pytest.raises(UnreadableLog, match=r"no usable row; the first problem: .*row 2"):
        parse(f"{HEADER}\n{changed(model='')}\n", skip_bad_rows=True)


def test_a_log_of_too_many_calls_is_refused() -> None:
    """Memory is bounded by a number of calls."""
    assert len(parse(f"{HEADER}\n{GOOD}\n{GOOD}\n", most_calls=2).calls) == 2
    with pytest.raises(UnreadableLog, match="more than 1 calls"):
        parse(f"{HEADER}\n{GOOD}\n{GOOD}\n", most_calls=1)


def test_lines_are_read_one_by_one() -> None:
    """A problem is met before the lines after it are asked for."""
    asked = []

    def lines() -> Any:
        for number, line in enumerate([HEADER, changed(model=""), *[GOOD] * 50]):
            asked.append(number)
            yield f"{line}\n".encode()

    with pytest.raises(BadRow):
        parse_usage(lines(), label="usage.csv")
    assert asked == [0, 1]


def test_a_path_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A missing file and a directory are errors about the log, naming the path."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableLog, match="cannot be read") as caught:
            read_usage(path)
        assert str(path) == caught.value.path


printable = st.just(" ") | st.characters(exclude_categories=["C", "Z"])
names = st.text(printable, min_size=1, max_size=20).map(str.strip).filter(lambda text: text.isprintable() and text)
calls = st.builds(
    Call,
    row=st.just(1),
    time=st.datetimes(
        datetime(2001, 9, 10),  # noqa: DTZ001
        datetime(9998, 12, 31),  # noqa: DTZ001
        timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    ),
    model=names,
    input_tokens=st.integers(0, 10**12),
    output_tokens=st.integers(0, 10**12),
    latency_ms=st.floats(0, 10**12),
    status=names.map(lambda text: text.lower().strip()).filter(lambda text: len(text) > 0 and text.isprintable()),
    feature=names,
    prompt_hash=st.none() | names,
)


def cells(call: Call) -> list[object]:
    return [
        call.time.isoformat(),
        call.model,
        call.input_tokens,
        call.output_tokens,
        call.latency_ms,
        call.status,
        call.feature,
        call.prompt_hash,
    ]


@given(st.lists(calls, min_size=1, max_size=8))
def test_csv_and_jsonl_read_back_what_was_written(written: list[Call]) -> None:
    """Any log survives both formats, and both read the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER.split(","))
    writer.writerows(cells(call) for call in written)
    lines = "\n".join(json.dumps(dict(zip(HEADER.split(","), cells(call), strict=True))) for call in written)
    from_csv, from_jsonl = parse(text.getvalue()), parse(lines)
    expected = [cells(call) for call in written]
    for found, shift in ((from_csv, 2), (from_jsonl, 1)):
        assert list(range(shift, shift + len(written))) == [call.row for call in found.calls]
        assert [row[1:] for row in expected] == [cells(call)[1:] for call in found.calls]
        assert [call.time for call in written] == [call.time for call in found.calls]
