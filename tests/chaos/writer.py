"""The process that chaos.py kills: many threads write to one SQLite event log and say what was acknowledged and seen.

`python writer.py FILE LIFE SEED [--show-before-commit]` writes until it is killed. One line per fact, each one `write`:
`up EPOCH SWEPT`, `ack USER THREAD EPOCH SEQ FIRST LAST RUN` (ordinals FIRST to LAST of the run, the last at SEQ, 0 if
that is not known because the append was repeated) and `seen USER THREAD EPOCH SEQ DIGEST`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import time
from collections.abc import Sequence

import msgspec

from ssot_engine.eventlog.base import Draft, Reset
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.eventlog.sqlite_writer import Batch, SqliteWriter
from ssot_engine.events import ThreadKey

THREADS = 20
#: Some threads have two.
WORKERS = 30
#: So many appends are cancelled and repeated, and so many repeated after they were acknowledged.
REPEATS = 0.1
#: Short, so that rows are removed while processes are killed.
RETENTION_S = 0.5
TRIM_INTERVAL_S = 0.05


class HastyWriter(SqliteWriter):
    """The control: shows and acknowledges first, and commits 10 ms later."""

    def flush(self) -> None:
        """Settle the batch, then write it behind everybody's back."""
        self._is_armed = False
        batch = self.batch
        if self._is_lent or batch.is_empty:
            return
        self.batch = Batch(self._loop)
        statements = batch.statements()
        self._keeper.committed(batch)
        batch.settle()
        self._loop.call_later(0.01, self._file.write, statements)


class HastyEventLog(SqliteEventLog):
    """A log with the hasty writer."""

    async def open(self) -> int:
        """Open, then change the writer."""
        swept = await super().open()
        self._writer = HastyWriter(self._file, self, self._helper)
        return swept


def digest(type: str, run_id: str, run_seq: int, payload: bytes) -> str:
    """What an event is, in a few characters."""
    return hashlib.blake2b(f"{type} {run_id} {run_seq} ".encode() + payload, digest_size=8).hexdigest()


def tell(*words: object) -> None:
    """One line, in one system call: a kill never tears it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def make_draft(type: str, run_id: str, ordinal: int, **payload: object) -> Draft:
    """An event of a run."""
    raw = msgspec.Raw(msgspec.json.encode(payload))
    return Draft(type, run_id, "writer", ordinal, 0, None, time.time(), raw)


class Worker:
    """Writes run after run to one thread, repeating some appends as if it had not heard the answer."""

    def __init__(self, log: SqliteEventLog, key: ThreadKey, name: str, rng: random.Random, repeats: float) -> None:
        self._log = log
        self._key = key
        self._name = name
        self._rng = rng
        self._repeats = repeats

    async def work(self) -> None:
        """Until the process is killed."""
        number = 0
        while True:
            number += 1
            await self._run(f"{self._name}-{number}")

    async def _run(self, run_id: str) -> None:
        self._log.begin(self._key, run_id, message="hello")
        await self._append([make_draft("agent_started", run_id, 1, message="hello")])
        ordinal = 1
        for _ in range(self._rng.randint(0, 12)):
            drafts = [self._any_draft(run_id, ordinal + 1 + n) for n in range(self._rng.randint(1, 6))]
            ordinal += len(drafts)
            if self._rng.random() < 0.3:
                self._log.submit(self._key, drafts, attempt=1)
            else:
                await self._append(drafts)
            if self._rng.random() < 0.2:
                await asyncio.sleep(self._rng.random() * 0.01)
        end = make_draft("agent_completed", run_id, ordinal + 1, status="completed", result=None)
        await self._append([end])

    def _any_draft(self, run_id: str, ordinal: int) -> Draft:
        kind = "tool_executing" if self._rng.random() < 0.1 else "message_delta"
        return make_draft(kind, run_id, ordinal, text="x" * self._rng.randint(1, 300), salt=self._rng.random())

    async def _append(self, drafts: Sequence[Draft]) -> None:
        is_cancelled = self._rng.random() < self._repeats
        if is_cancelled:
            task = asyncio.ensure_future(self._log.append(self._key, drafts, attempt=1))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
        position = await self._log.append(self._key, drafts, attempt=1)
        if self._rng.random() < self._repeats:
            again = await self._log.append(self._key, drafts, attempt=1)
            if again.seq < position.seq:
                tell("wrong", "a repeated append went back from", position.seq, "to", again.seq)
        key, first, last = self._key, drafts[0].run_seq, drafts[-1].run_seq
        seq = 0 if is_cancelled else position.seq
        tell("ack", key.user_id, key.thread_id, position.epoch, seq, first, last, drafts[0].run_id)


async def read(log: SqliteEventLog, key: ThreadKey) -> None:
    """Say what a live reader of a thread gets."""
    async for item in log.follow(key, log.head(key)):
        if isinstance(item, Reset):
            continue
        what = digest(item.type, item.run_id, item.run_seq, bytes(item.raw))
        tell("seen", key.user_id, key.thread_id, item.epoch, item.seq, what)


async def trim(log: SqliteEventLog) -> None:
    """Remove what is old, again and again."""
    while True:
        await asyncio.sleep(TRIM_INTERVAL_S)
        await log.trim()


async def main(path: str, life: int, seed: int, hasty: bool) -> None:
    """Write until killed."""
    make = HastyEventLog if hasty else SqliteEventLog
    log = make(path, retention_s=RETENTION_S)
    swept = await log.open()
    tell("up", log.epoch, swept)
    keys = [ThreadKey(f"user-{n % 7}", f"thread-{n}") for n in range(THREADS)]
    async with asyncio.TaskGroup() as tasks:
        for key in keys:
            tasks.create_task(read(log, key))
        for n in range(WORKERS):
            rng = random.Random(seed * 1_000_003 + life * 101 + n)
            tasks.create_task(Worker(log, keys[n % THREADS], f"{life}-{n}", rng, 0.0 if hasty else REPEATS).work())
        if not hasty:
            tasks.create_task(trim(log))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("life", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--show-before-commit", action="store_true")
    options = parser.parse_args()
    asyncio.run(main(options.path, options.life, options.seed, options.show_before_commit))
