"""How often one may ask: each rate counts its own keys over a moving window."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ssot_engine.errors import TooManyRequests
from ssot_engine.settings_sections import WebSettings
from ssot_engine.web.rates import Rates

CHECKS: list[tuple[str, Callable[[Rates, str], None], str]] = [
    ("runs_rate", Rates.check_run, "runs"),
    ("frames_rate", Rates.check_frame, "frames"),
    ("sign_ins_rate", Rates.check_sign_in, "attempts to sign in"),
]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("setting", "check", "what"), CHECKS)
def test_more_than_the_rate_is_refused(setting: str, check: Callable[[Rates, str], None], what: str) -> None:
    """The one too many is refused, and told which setting it was and when to try again."""
    clock = Clock()
    rates = Rates(WebSettings(**{setting: "2/minute"}), clock=clock)
    check(rates, "alice")
    clock.now += 20
    check(rates, "alice")
    with pytest.raises(TooManyRequests) as refused:
        check(rates, "alice")
    error = refused.value
    assert (what, "2/minute", f"web.{setting}", 40.0) == (error.what, error.limit, error.setting, error.retry_after_s)


def test_the_window_moves() -> None:
    """Each thing counted is forgotten one period after it was counted, not with the clock's minute."""
    clock = Clock()
    rates = Rates(WebSettings(runs_rate="2/minute"), clock=clock)
    for wait in (0.0, 40.0, 20.0, 40.0):
        clock.now += wait
        rates.check_run("alice")
    with pytest.raises(TooManyRequests):
        rates.check_run("alice")


def test_what_is_refused_is_not_counted() -> None:
    """Who keeps asking while refused does not wait longer for it."""
    clock = Clock()
    rates = Rates(WebSettings(runs_rate="1/minute"), clock=clock)
    rates.check_run("alice")
    for _ in range(5):
        clock.now += 10
        with pytest.raises(TooManyRequests):
            rates.check_run("alice")
    clock.now += 10
    rates.check_run("alice")


def test_keys_and_rates_are_counted_apart() -> None:
    """One user's runs take nothing from another's, nor from frames of the same name."""
    rates = Rates(WebSettings(runs_rate="1/minute", frames_rate="1/minute", sign_ins_rate="1/minute"))
    for name in ("alice", "bob"):
        rates.check_run(name)
        rates.check_frame(name)
        rates.check_sign_in(name)
    with pytest.raises(TooManyRequests):
        rates.check_run("alice")


def test_old_keys_are_dropped() -> None:
    """A million connections that come and go leave no memory behind, and one that is still counted stays counted."""
    clock = Clock()
    rates = Rates(WebSettings(frames_rate="1/second"), clock=clock)
    for number in range(10_000):
        clock.now += 0.01
        rates.check_frame(f"connection {number}")
        with pytest.raises(TooManyRequests):
            rates.check_frame(f"connection {max(0, number - 50)}")
    windows = rates._frames._limiter.storage
    assert len(windows._times) <= 2048


def test_no_thread_is_started() -> None:
    """Counting happens where it is asked for; no thread or timer comes with it."""
    before = threading.enumerate()
    Rates(WebSettings()).check_run("alice")
    assert before == threading.enumerate()
