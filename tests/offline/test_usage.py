"""Facts about calls, logs and their errors."""

from __future__ import annotations

import pickle
from datetime import datetime

import pytest
from usage_logs import call, log

from ssot_engine.errors import RequestError
from ssot_engine.offline.usage import BadRow, UnreadableLog, is_failure


@pytest.mark.parametrize("status", ["ok", "success", "completed", "200", "204", "stop", "true"])
def test_known_words_and_2xx_are_success(status: str) -> None:
    """A known word for success, or an HTTP status from 200 to 299, is no failure."""
    assert is_failure(status) is False


@pytest.mark.parametrize("status", ["error", "timeout", "429", "500", "2xx", "20", "2000", "false", "whatever"])
def test_every_other_status_is_a_failure(status: str) -> None:
    """Whatever is not known to be success counts as failed."""
    assert is_failure(status) is True


def test_bad_row_says_where_what_and_what_next() -> None:
    """The text of a bad row names file, row, column, value, expectation and remedy."""
    bad = BadRow("usage.csv", 17, "tokens_in", "a whole number >= 0", "abc")
    expected = (
        "usage.csv row 17, column 'tokens_in': expected a whole number >= 0, got 'abc'; "
        "fix the row or use --skip-bad-rows"
    )
    assert expected == str(bad)
    assert bad.status == 422
    assert isinstance(bad, RequestError)


def test_bad_row_is_bounded() -> None:
    """A huge cell does not make a huge error text."""
    assert len(str(BadRow("usage.csv", 2, "model", "a name", "x" * 100_000))) < 400


def test_errors_survive_pickling() -> None:
    """Both errors carry their data through pickle."""
    for error in (BadRow("u", 2, None, "e", "v"), UnreadableLog("u", "is empty")):
        assert str(error) == str(pickle.loads(pickle.dumps(error)))


def test_a_call_refuses_a_time_without_zone() -> None:
    """Times are aware."""
    with pytest.raises(ValueError, match="has no zone"):
        call(2, time=datetime(2026, 9, 1))  # noqa: DTZ001


@pytest.mark.parametrize("change", [{"input_tokens": -1}, {"output_tokens": -1}, {"latency_ms": -0.5}])
def test_a_call_refuses_negative_figures(change: dict[str, float]) -> None:
    """Tokens and latency count from 0."""
    with pytest.raises(ValueError, match="tokens and latency from 0"):
        call(2, **change)


def test_a_log_holds_a_call() -> None:
    """A log without calls cannot be built."""
    with pytest.raises(UnreadableLog, match="holds no calls"):
        log()
