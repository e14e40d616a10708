"""One recorded LLM call, the usage log that holds many, and what can be wrong with a log."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ssot_engine.errors import RequestError, shown

__all__ = ["BadRow", "Call", "UnreadableLog", "UsageLog", "is_failure"]

_OK_STATUSES = frozenset(
    {
        "ok",
        "success",
        "succeeded",
        "successful",
        "complete",
        "completed",
        "done",
        "true",
        "stop",
        "length",
        "tool_calls",
    }
)


def is_failure(status: str) -> bool:
    """Whether `status` (lower case) is neither a known word for success nor 200 to 299."""
    return not (status in _OK_STATUSES or (len(status) == 3 and status.isdigit() and status.startswith("2")))


class UnreadableLog(RequestError):
    """A usage log cannot be read as a whole: it is missing, no text, lacks columns or holds no call.

    `path` is the log as the caller named it, `problem` says what is wrong and what to do.
    """

    status = 422

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"usage log {shown(self.path)} {self.problem}"


class BadRow(RequestError):
    """One row of a usage log breaks the format.

    `row` is its line in the file (the header is line 1), `column` the column as the file calls it, or None when
    the whole row is wrong; `expected` says what belongs there and `value` is what stands there.
    """

    status = 422

    def __init__(self, path: str, row: int, column: str | None, expected: str, value: object) -> None:
        super().__init__(path, row, column, expected, value)
        self.path = path
        self.row = row
        self.column = column
        self.expected = expected
        self.value = value

    def __str__(self) -> str:
        where = f"{self.path} row {self.row}" + ("" if self.column is None else f", column {shown(self.column)}")
        return f"{where}: expected {self.expected}, got {shown(self.value)}; fix the row or use --skip-bad-rows"


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One LLM call as the log states it."""

    #: line in the file, 1-based; where the record starts if it spans several
    row: int
    #: aware, in UTC
    time: datetime
    model: str
    input_tokens: int
    output_tokens: int
    latency_ms: float
    #: lower case; see `is_failure`
    status: str
    feature: str
    #: equal for equal prompts; None when the log does not tell
    prompt_hash: str | None = None

    def __post_init__(self) -> None:
        if self.time.utcoffset() is None:
            raise ValueError(f"time {self.time!r} has no zone; pass an aware datetime")
        if min(self.row - 1, self.input_tokens, self.output_tokens, self.latency_ms) < 0:
            raise ValueError(f"row counts from 1, tokens and latency from 0; got {self!r}")

    @property
    def failed(self) -> bool:
        """Whether the call failed by its `status`."""
        return is_failure(self.status)


class UsageLog(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one log in the order of the file; there is at least one."""

    #: how answers name the data
    label: str
    calls: tuple[Call, ...]
    #: lines left out because they are bad rows; 0 unless skipping was asked for
    skipped_rows: int = 0
    #: the first few of the rows left out, and why
    skipped_examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.calls:
            raise UnreadableLog(self.label, "holds no calls; give a log with at least one row")
