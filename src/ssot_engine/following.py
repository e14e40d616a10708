"""What reads a thread on the client's side: its events as they come, and a run's among them."""

from __future__ import annotations

import asyncio
from typing import Protocol, Self

import msgspec

from ssot_engine.eventlog.base import Reset, is_last
from ssot_engine.events import AgentCompleted, Event, RunResult, Usage
from ssot_engine.resuming import Inbox, Verdict

__all__ = ["Feed", "Following", "RunHandle"]


class Feed(Protocol):
    """Where readers get their threads from: a connection that comes and goes."""

    def add(self, thread: str, inbox: Inbox) -> Following:
        """One more reader of a thread, which is not asked for yet."""

    def forget(self, following: Following) -> None:
        """A reader wants no more."""

    def ask_for(self, following: Following) -> None:
        """Have a reader's thread told from where it stands."""

    def check_open(self, following: Following) -> None:
        """Whether there may be more to come.

        Raises:
            StopAsyncIteration: the reader was forgotten.
            SsotEngineError: the feed has ended.
        """


class Following:
    """A thread's events as they come, each once and in order, and a `Reset` where some are gone.

    One task iterates it. While nobody takes what is ready, at most a thousand events or a mebibyte are held; the rest
    waits in the server's log. Forgetting the object ends the following, as `aclose` does.
    """

    def __init__(self, feed: Feed, thread: str, inbox: Inbox) -> None:
        self.thread = thread
        self.feed = feed
        #: What came and was not taken yet.
        self.inbox = inbox
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Reset:
        while (item := self.inbox.take()) is None:
            self.feed.check_open(self)
            if self.inbox.is_behind:
                self.inbox.catch_up()
                self.feed.ask_for(self)
            self._news.clear()
            await self._news.wait()
        return item

    async def aclose(self) -> None:
        """End the following. Safe to call twice."""
        self.inbox.is_behind = True
        self.feed.forget(self)
        self._news.set()

    def hear(self, item: Event | Reset) -> Verdict:
        """Something of the thread came."""
        verdict = self.inbox.hear(item) if isinstance(item, Event) else self.inbox.hear_reset(item)
        if verdict is Verdict.NEW:
            self._news.set()
        return verdict

    def wake(self) -> None:
        """Look again whether there is more, or an end."""
        self._news.set()

    def start_over(self) -> None:
        """Be told the whole thread again."""
        self.inbox.start_over()
        self.feed.ask_for(self)


class RunHandle:
    """A run that was started: exactly its events, its last one last, and then the iteration ends.

    It goes on by itself on the server; leaving it only stops reading. A `Reset` comes where events of it are gone.
    """

    def __init__(self, run_id: str, following: Following, *, run_seq: int = 0) -> None:
        self.run_id = run_id
        self._following = following
        self._run_seq = run_seq
        self._may_jump = False
        self._is_over = False
        self._result: RunResult | None = None

    @property
    def thread(self) -> str:
        """In which conversation it is."""
        return self._following.thread

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Reset:
        while not self._is_over:
            item = await anext(self._following)
            if self._take_reset(item) if isinstance(item, Reset) else self._take(item):
                return item
        await self.aclose()
        raise StopAsyncIteration

    async def result(self) -> RunResult:
        """Wait for the run's end, however it ends. It takes no events from whoever iterates.

        Raises:
            ClosedError: the client was closed before.
        """
        if self._result is None:
            second = self._second_reader()
            async for _ in second:
                pass
            self._result = second._result
            assert self._result is not None
        return self._result

    async def aclose(self) -> None:
        """Read no more; the run goes on. Safe to call twice."""
        await self._following.aclose()

    def _second_reader(self) -> RunHandle:
        first = self._following
        following = first.feed.add(first.thread, first.inbox.copy())
        second = RunHandle(self.run_id, following, run_seq=self._run_seq)
        second._may_jump = self._may_jump
        return second

    def _take(self, event: Event) -> bool:
        """Whether an event of the thread is the next one of the run."""
        if event.run_id != self.run_id or event.run_seq <= self._run_seq:
            return False
        if event.run_seq != self._run_seq + 1 and not self._may_jump:
            self._may_jump = True
            self._following.start_over()
            return False
        self._accept(event)
        return True

    def _take_reset(self, reset: Reset) -> bool:
        """Whether events that are gone were of the run; what is kept of it is taken as seen."""
        kept = [event for event in reset.snapshot if event.run_id == self.run_id]
        self._may_jump = True
        for event in kept:
            self._accept(event)
        return bool(kept) or self._run_seq > 0

    def _accept(self, event: Event) -> None:
        self._run_seq = max(self._run_seq, event.run_seq)
        if is_last(event):
            self._is_over = True
            self._result = _result_of(event)


def _result_of(event: Event) -> RunResult:
    ending = msgspec.convert(event.payload, AgentCompleted)
    return RunResult(ending.status, ending.result, ending.error, ending.usage or Usage(), event.run_id)
