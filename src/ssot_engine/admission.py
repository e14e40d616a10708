"""Who may start something now: caps per user and in all, and a fair queue for those who wait."""

from __future__ import annotations

import asyncio
from collections import deque

from ssot_engine.errors import EngineLimitReached
from ssot_engine.metrics import Metrics
from ssot_engine.settings import EngineSettings

_Waiter = asyncio.Future[None]


class Slots:
    """Counts what users hold, up to a cap per user and a cap in all. Each operation takes constant time.

    Who waits is served round-robin over the users, oldest first within one. A user at its own cap is set aside until
    it gives something back, so it holds up nobody else.
    """

    def __init__(self, *, per_user: int, total: int, max_waiting: int) -> None:
        self.per_user = per_user
        self.total = total
        self.max_waiting = max_waiting
        #: How many are held in all, by each user, and how many calls wait.
        self.live = 0
        self.held: dict[str, int] = {}
        self.waiting = 0
        self._queues: dict[str, deque[_Waiter]] = {}
        #: Users whose turn can come: they wait, and are below their own cap.
        self._turns: deque[str] = deque()

    def take(self, user_id: str) -> bool:
        """Take one for the user, unless a cap is full; it is while anybody waits who could go."""
        held = self.held.get(user_id, 0)
        if held >= self.per_user or self.live >= self.total:
            return False
        self.held[user_id] = held + 1
        self.live += 1
        return True

    async def wait(self, user_id: str, timeout_s: float) -> bool:
        """Take one for the user when its turn comes; False after `timeout_s` seconds, or if too many wait already."""
        if self.waiting >= self.max_waiting:
            return False
        waiter = asyncio.get_running_loop().create_future()
        self._enqueue(user_id, waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except (asyncio.CancelledError, TimeoutError) as error:
            granted = waiter.done() and not waiter.cancelled()
            if granted and isinstance(error, TimeoutError):
                return True
            if granted:
                self.release(user_id)
            else:
                self._leave(user_id, waiter)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def release(self, user_id: str) -> None:
        """Give one back, and hand what is free to those who wait."""
        held = self.held[user_id] - 1
        self.live -= 1
        if held:
            self.held[user_id] = held
        else:
            del self.held[user_id]
        if self.waiting:
            if held == self.per_user - 1 and user_id in self._queues:
                self._turns.append(user_id)
            self._grant()

    def limit(self, user_id: str) -> tuple[bool, int]:
        """Which cap stands in the user's way: whether it is the user's own, and how large it is."""
        own = self.held.get(user_id, 0) >= self.per_user
        return own, self.per_user if own else self.total

    def queue(self) -> list[str]:
        """The users who wait, once for each call that does, in the order they are served as things stand."""
        ahead = {user_id: sum(not waiter.done() for waiter in queue) for user_id, queue in self._queues.items()}
        order = [*self._turns, *(user_id for user_id in ahead if user_id not in self._turns)]
        return [user_id for turn in range(max(ahead.values(), default=0)) for user_id in order if ahead[user_id] > turn]

    def _enqueue(self, user_id: str, waiter: _Waiter) -> None:
        queue = self._queues.get(user_id)
        if queue is None:
            self._queues[user_id] = deque((waiter,))
            if self.held.get(user_id, 0) < self.per_user:
                self._turns.append(user_id)
        else:
            queue.append(waiter)
        self.waiting += 1
        self._grant()

    def _leave(self, user_id: str, waiter: _Waiter) -> None:
        """A waiter gave up. It stays in its queue as done and is passed over, unless the queue is empty without it."""
        waiter.cancel()
        self.waiting -= 1
        queue = self._queues.get(user_id)
        while queue and queue[0].done():
            queue.popleft()
        if queue is not None and not queue:
            del self._queues[user_id]
            if user_id in self._turns:
                self._turns.remove(user_id)

    def _grant(self) -> None:
        while self._turns and self.live < self.total:
            user_id = self._turns.popleft()
            queue = self._queues[user_id]
            waiter = queue.popleft()
            while queue and queue[0].done():
                queue.popleft()
            if not waiter.done():
                self.held[user_id] = self.held.get(user_id, 0) + 1
                self.live += 1
                self.waiting -= 1
                waiter.set_result(None)
            if not queue:
                del self._queues[user_id]
            elif self.held.get(user_id, 0) < self.per_user:
                self._turns.append(user_id)


class Admission:
    """The caps of engines and of runs, and what happens when one is full."""

    def __init__(self, settings: EngineSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        waiting = settings.max_waiting
        self.engines = Slots(per_user=settings.max_engines_per_user, total=settings.max_engines, max_waiting=waiting)
        self.runs = Slots(
            per_user=settings.max_concurrent_runs_per_user,
            total=settings.max_engines * settings.max_concurrent_runs_per_engine,
            max_waiting=waiting,
        )

    @property
    def waits(self) -> bool:
        """Whether a request beyond a cap queues."""
        return self._settings.when_full == "wait"

    async def wait_for_engine(self, user_id: str) -> None:
        """A slot for an engine, after `engines.take` said no.

        Raises:
            EngineLimitReached: a cap is full and requests do not wait, too many wait, or the wait took too long.
        """
        if not (self.waits and await self.engines.wait(user_id, self._settings.wait_timeout_s)):
            raise self.engine_refusal(user_id)

    async def wait_for_run(self, user_id: str) -> None:
        """A slot for a run, like `wait_for_engine`."""
        if not (self.waits and await self.runs.wait(user_id, self._settings.wait_timeout_s)):
            raise self.run_refusal(user_id)

    def engine_refusal(self, user_id: str) -> EngineLimitReached:
        """Why the user gets no engine now."""
        own, limit = self.engines.limit(user_id)
        what = f"already runs {limit} engines" if own else f"all {limit} engines of this process are in use"
        return self._refusal(user_id, limit, f"engine.max_engines{'_per_user' * own}", what)

    def run_refusal(self, user_id: str) -> EngineLimitReached:
        """Why the user gets no run now."""
        limit = self.runs.limit(user_id)[1]
        return self._refusal(
            user_id, limit, "engine.max_concurrent_runs_per_user", f"already has {limit} runs going on"
        )

    def _refusal(self, user_id: str, limit: int, setting: str, what: str) -> EngineLimitReached:
        self._metrics.limit_refusals += 1
        return EngineLimitReached(user_id, limit, setting, what)
