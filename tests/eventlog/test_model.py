"""Every event log against a model of plain lists, in sequences of calls that a machine makes up."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventlog_backends import BACKENDS, make_log
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from fakes import deltas, draft, ending
from ssot_engine.errors import RunConflict, SsotEngineError, StaleAttempt, UnknownRun
from ssot_engine.eventlog.base import Draft, EventLog, Reset
from ssot_engine.events import CRITICAL, Position, ThreadKey

LATER = 10_000.0
KEYS = [ThreadKey(user, thread) for user in ("alice", "bob") for thread in ("t-1", "t-2")]
RUN_IDS = ["a", "b", "c"]


@dataclass
class Run:
    """A run as the model knows it."""

    key: ThreadKey
    attempt: int = 1
    ordinal: int = 0
    is_ended: bool = False


@dataclass
class Thread:
    """A thread as the model knows it: what was written to it, and how much of its beginning was trimmed."""

    written: list[tuple[str, Draft]] = field(default_factory=list)
    floor: int = 0


class LogMachine(RuleBasedStateMachine):
    """Does the same to every backend and to the model; all must give the same answers."""

    runs = Bundle("runs")

    @initialize()
    def open(self) -> None:
        """Empty logs, an empty model."""
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.logs = [self.opened(backend) for backend in BACKENDS]
        self.model_runs: dict[tuple[str, str], Run] = {}
        self.model_threads = {key: Thread() for key in KEYS}

    def opened(self, backend: str) -> EventLog:
        """A log of a backend, on the file of this machine."""
        log = make_log(backend, Path(self.directory.name))
        self.runner.run(log.open())
        return log

    def teardown(self) -> None:
        """Everything is closed."""
        if hasattr(self, "logs"):
            for log in self.logs:
                self.runner.run(log.aclose())
            self.runner.close()
            self.directory.cleanup()

    def each(self, call: Any, expected: Any) -> None:
        """Every log answers as the model does; errors are answers."""
        for log in self.logs:
            assert expected == self.runner.run(answer(call, log)), log.url

    # ------------------------------------------------------------------- writing

    @rule(target=runs, key=st.sampled_from(KEYS), run_id=st.sampled_from(RUN_IDS), takeover=st.booleans())
    def begin(self, key: ThreadKey, run_id: str, takeover: bool) -> tuple[ThreadKey, str]:
        """Begin a run or take one over."""
        name = (key.user_id, run_id)
        run = self.model_runs.get(name)
        expected: Any = RunConflict
        if run is None:
            self.model_runs[name] = run = Run(key)
            expected = 1
        elif takeover and not run.is_ended and run.key == key:
            run.attempt += 1
            expected = run.attempt

        async def call(log: EventLog) -> int:
            return log.begin(key, run_id, takeover=takeover)

        self.each(call, expected)
        return key, run_id

    @rule(
        run=runs,
        back=st.integers(0, 4),
        count=st.integers(1, 5),
        is_end=st.booleans(),
        behind=st.integers(0, 1),
        pipelined=st.booleans(),
    )
    def write(self, run: Any, back: int, count: int, is_end: bool, behind: int, pipelined: bool) -> None:
        """Append events, some of them again, perhaps with the end of the run, perhaps from a stale attempt."""
        key, run_id = run
        known = self.model_runs[key.user_id, run_id]
        attempt = known.attempt - behind
        first = max(1, known.ordinal + 1 - back)
        drafts: list[Draft] = deltas(first, count, run_id)
        if first == 1:
            drafts[0] = draft("agent_started", 1, run_id)
        if is_end:
            drafts.append(ending(first + count, run_id))
        expected = self.written(key, run_id, known, drafts, attempt)

        async def call(log: EventLog) -> int:
            if pipelined:
                acks = [log.submit(key, [one], attempt=attempt) for one in drafts]
                await asyncio.gather(*[asyncio.shield(ack) for ack in acks if ack is not None])
                return log.head(key).seq
            return (await log.append(key, drafts, attempt=attempt)).seq

        self.each(call, expected)

    def written(self, key: ThreadKey, run_id: str, run: Run, drafts: list[Draft], attempt: int) -> Any:
        """What the model answers to an append."""
        if run.key != key:
            return UnknownRun
        if attempt != run.attempt or (run.is_ended and drafts[-1].run_seq > run.ordinal):
            return StaleAttempt
        thread = self.model_threads[key]
        thread.written += [(run_id, one) for one in drafts if one.run_seq > run.ordinal]
        if drafts[-1].run_seq > run.ordinal and drafts[-1].type == "agent_completed":
            run.is_ended = True
        run.ordinal = max(run.ordinal, drafts[-1].run_seq)
        return len(thread.written)

    # ----------------------------------------------------------- trimming, restarting

    @rule()
    def trim(self) -> None:
        """Events of ended runs leave, as far as nothing else stands before them."""
        gone = 0
        for key, thread in self.model_threads.items():
            before = thread.floor
            while thread.floor < len(thread.written) and self.has_ended(key, thread.written[thread.floor][0]):
                thread.floor += 1
            gone += thread.floor - before
        self.each(lambda log: log.trim(time.time() + LATER), gone)

    def has_ended(self, key: ThreadKey, run_id: str) -> bool:
        """Whether the model's run is over."""
        return self.model_runs[key.user_id, run_id].is_ended

    @rule()
    def restart(self) -> None:
        """What has a file is closed and opened again; not while runs are open, which would end them."""
        if all(run.is_ended for run in self.model_runs.values()):
            for index, backend in enumerate(BACKENDS):
                if backend != "memory":
                    self.runner.run(self.logs[index].aclose())
                    self.logs[index] = self.opened(backend)

    # ------------------------------------------------------------------- reading

    @rule(key=st.sampled_from(KEYS), after=st.integers(0, 40), limit=st.integers(1, 12))
    def read(self, key: ThreadKey, after: int, limit: int) -> None:
        """A page is what the model has after a place, or says why not."""
        thread = self.model_threads[key]
        head = len(thread.written)
        status = "gap" if after < thread.floor else "ahead" if after > head else "ok"
        places = list(range(after + 1, min(head, after + limit) + 1)) if status == "ok" else []

        async def call(log: EventLog) -> Any:
            page = await log.read(key, Position(log.head(key).epoch, after), limit)
            return page.status, [event.seq for event in page.events], page.floor, page.head

        self.each(call, (status, places, thread.floor, head))

    @invariant()
    def everything_is_there(self) -> None:
        """Followers, snapshots and records tell what the model has."""
        if not hasattr(self, "logs"):
            return
        for key, thread in self.model_threads.items():
            places = [place(n, run_id, one) for n, (run_id, one) in enumerate(thread.written, 1)]
            kept = [(n, run_id, ordinal) for n, run_id, ordinal in places if n > thread.floor]
            critical = [p for p, (_, one) in zip(places, thread.written, strict=True) if one.type in CRITICAL]
            self.each(lambda log, key=key: followed(log, key), kept)
            self.each(
                lambda log, key=key, floor=thread.floor: snapshot(log, key, floor),
                [p for p in critical if p[0] <= thread.floor],
            )
        records = [(*name, run.attempt, run.is_ended) for name, run in reversed(self.model_runs.items())]
        self.each(listed, records)


async def answer(call: Any, log: EventLog) -> Any:
    """What a log says: a value, or the class of its error."""
    try:
        return await call(log)
    except SsotEngineError as error:
        return type(error)


def place(seq: int, run_id: str, one: Draft) -> tuple[int, str, int]:
    """An event's place and name."""
    return seq, run_id, one.run_seq


async def followed(log: EventLog, key: ThreadKey) -> list[tuple[int, str, int]]:
    """What a new follower gets after its reset."""
    items = [item async for item in log.follow(key, live=False)]
    return [(item.seq, item.run_id, item.run_seq) for item in items if not isinstance(item, Reset)]


async def snapshot(log: EventLog, key: ThreadKey, upto: int) -> list[tuple[int, str, int]]:
    """The critical events up to a place."""
    return [(event.seq, event.run_id, event.run_seq) for event in await log.snapshot(key, upto)]


async def listed(log: EventLog) -> list[tuple[str, str, int, bool]]:
    """All records."""
    return [(r.key.user_id, r.run_id, r.attempt, r.status is not None) for r in await log.runs()]


LogMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEveryLog = LogMachine.TestCase
