"""How often one user, one socket and one address may ask."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from limits import RateLimitItem, parse
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from ssot_engine.errors import TooManyRequests
from ssot_engine.settings_sections import WebSettings


class Rates:
    """The rates of one site, each over a moving window. `clock` is in seconds and only goes up."""

    def __init__(self, settings: WebSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._runs = _Rate("runs", settings.runs_rate, "web.runs_rate", clock)
        self._frames = _Rate("frames", settings.frames_rate, "web.frames_rate", clock)
        self._sign_ins = _Rate("attempts to sign in", settings.sign_ins_rate, "web.sign_ins_rate", clock)

    def check_run(self, user_id: str) -> None:
        """Count a run of a user.

        Raises:
            TooManyRequests: the user starts too many; this one is not counted.
        """
        self._runs.check(user_id)

    def check_frame(self, connection_id: str) -> None:
        """Count a frame of a socket.

        Raises:
            TooManyRequests: the socket sends too many.
        """
        self._frames.check(connection_id)

    def check_sign_in(self, address: str) -> None:
        """Count an attempt to sign in from a client's address.

        Raises:
            TooManyRequests: there were too many from there.
        """
        self._sign_ins.check(address)


class _Rate:
    """One rate, and what it is of."""

    def __init__(self, what: str, rate: str, setting: str, clock: Callable[[], float]) -> None:
        self._what = what
        self._text = rate
        self._setting = setting
        self._item: RateLimitItem = parse(rate)
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(_Windows(clock))

    def check(self, key: str) -> None:
        if not self._limiter.hit(self._item, key):
            wait_s = self._limiter.get_window_stats(self._item, key).reset_time - self._clock()
            raise TooManyRequests(self._what, self._text, self._setting, max(wait_s, 0.1))


class _Windows(Storage, MovingWindowSupport):
    """When each key was counted, oldest first.

    The library's own memory storage starts a thread per burst and keeps every key for ever; connections come and go.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._sweep_at = 1024

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the storage raises by itself; the library asks for it."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` at a key, unless that makes more than `limit` in the last `expiry` seconds."""
        now = self._clock()
        times = self._times.get(key)
        if times is None:
            self._sweep(now - expiry)
            times = self._times[key] = deque()
        _forget(times, now - expiry)
        if len(times) + amount > limit:
            return False
        times.extend([now] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest counted was, and how many are counted."""
        now = self._clock()
        times = self._times.get(key, deque())
        _forget(times, now - expiry)
        return (times[0] if times else now, len(times))

    def _sweep(self, before: float) -> None:
        """Drop the keys that count nothing any more, whenever there are twice as many as after the last time."""
        if len(self._times) < self._sweep_at:
            return
        self._times = {key: times for key, times in self._times.items() if times and times[-1] > before}
        self._sweep_at = max(1024, 2 * len(self._times))

    def reset(self) -> int:
        """Forget all; returns how many keys there were."""
        count = len(self._times)
        self._times.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._times.pop(key, None)

    def check(self) -> bool:
        """Whether the storage works."""
        return True

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not offered: windows move here."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Not offered: windows move here."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not offered: windows move here."""
        raise NotImplementedError


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
