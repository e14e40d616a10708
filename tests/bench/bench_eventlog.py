"""What the SQLite event log costs beside the one in memory; run it by hand: `python tests/bench/bench_eventlog.py`.

Prints one line per target: the figure, the target, and whether it is met. CPU is of the process, per event, with one
producer and one live reader on each of 100 threads. Ratios compare runs that alternate in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ssot_engine.eventlog.base import Draft, EventLog, Reset
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.eventlog.sqlite_file import END_RUN, INSERT_EVENT, INSERT_RUN, INSERT_THREAD, SqliteFile
from ssot_engine.eventlog.sqlite_reader import encode_body
from ssot_engine.events import Event, ThreadKey

THREADS = 100
TEXT = "the model spend of your team rose by 14 %% in week %06d"


def delta(run_id: str, number: int) -> Draft:
    """A message delta of usual size."""
    raw = msgspec.Raw(msgspec.json.encode({"text": TEXT % number}))
    return Draft("message_delta", run_id, "supervisor", number, 0, None, time.time(), raw)


def key_of(number: int) -> ThreadKey:
    """The thread of a producer."""
    return ThreadKey(f"user_{number % 20:04d}", f"thread_{number:05d}")


async def read(log: EventLog, key: ThreadKey, count: int, seen: Callable[[int], None] | None = None) -> None:
    """Follow a thread live until `count` events were seen."""
    follower = log.follow(key)
    for _ in range(count):
        event = await anext(follower)
        if seen is not None and not isinstance(event, Reset):
            seen(event.run_seq)


async def produce(log: EventLog, number: int, count: int, await_every: int) -> None:
    """Write `count` deltas as fast as the log takes them, awaiting every n-th."""
    key, run_id = key_of(number), f"run_0199aa{number:05d}"
    log.begin(key, run_id)
    for ordinal in range(1, count + 1):
        drafts = (delta(run_id, ordinal),)
        if ordinal % await_every and ordinal < count:
            log.submit(key, drafts, attempt=1)
            if ordinal % await_every == await_every // 2:
                await asyncio.sleep(0)
        else:
            await log.append(key, drafts, attempt=1)
            if isinstance(log, MemoryEventLog):  # its appends do not wait, so its readers would never get a turn
                await asyncio.sleep(0)


async def cpu_per_event(log: EventLog, count: int, await_every: int) -> tuple[float, float]:
    """Microseconds of CPU per event, and events per second."""
    await log.open()
    gc.collect()
    gc.freeze()
    readers = [asyncio.ensure_future(read(log, key_of(n), count)) for n in range(THREADS)]
    await asyncio.sleep(0)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*[produce(log, n, count, await_every) for n in range(THREADS)], *readers)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await log.aclose()
    return cpu / count / THREADS * 1e6, count * THREADS / wall


async def compare(directory: Path, title: str, await_every: int, count: int, repeats: int) -> None:
    """Memory and SQLite by turns."""
    memory, sqlite, rates = [], [], []
    for turn in range(repeats):
        memory.append((await cpu_per_event(MemoryEventLog(), count, await_every))[0])
        log = SqliteEventLog(directory / f"{title.split()[0]}-{turn}.db")
        cpu, rate = await cpu_per_event(log, count, await_every)
        sqlite.append(cpu)
        rates.append(rate)
    ratio = statistics.median(s / m for s, m in zip(sqlite, memory, strict=True))
    say(
        f"CPU per event, {title}",
        ratio,
        3.0,
        "x",
        f"memory {min(memory):.1f}-{max(memory):.1f} us, sqlite {min(sqlite):.1f}-{max(sqlite):.1f} us, "
        f"{min(rates):.0f}-{max(rates):.0f} events/s",
    )


async def paced(log: EventLog, rate: int, seconds: float) -> list[float]:
    """How long each event took from submission to its reader, in seconds, at `rate` events per second in all."""
    await log.open()
    count = int(rate * seconds / THREADS)
    sent = [[0.0] * (count + 1) for _ in range(THREADS)]
    took: list[float] = []

    async def one(number: int) -> None:
        key, run_id = key_of(number), f"run-{number}"
        log.begin(key, run_id)
        due = time.perf_counter() + number / rate
        for ordinal in range(1, count + 1):
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            due += THREADS / rate
            sent[number][ordinal] = time.perf_counter()
            log.submit(key, (delta(run_id, ordinal),), attempt=1)

    def seen_by(number: int) -> Callable[[int], None]:
        return lambda ordinal: took.append(time.perf_counter() - sent[number][ordinal])

    gc.collect()
    readers = [asyncio.ensure_future(read(log, key_of(n), count, seen_by(n))) for n in range(THREADS)]
    await asyncio.sleep(0)
    await asyncio.gather(*[one(n) for n in range(THREADS)], *readers)
    await log.aclose()
    return sorted(took)


async def visibility(directory: Path) -> None:
    """Submission to reader at a steady rate."""
    memory = await paced(MemoryEventLog(), 10_000, 4.0)
    sqlite = await paced(SqliteEventLog(directory / "paced.db"), 10_000, 4.0)
    say(
        "visible p50 at 10,000 events/s",
        statistics.median(sqlite) * 1e3,
        0.5,
        "ms",
        f"memory {statistics.median(memory) * 1e3:.2f} ms; p99 {at(memory, 0.99):.1f} and {at(sqlite, 0.99):.1f} ms",
    )


def at(ordered: list[float], part: float) -> float:
    """A quantile in milliseconds."""
    return ordered[int(len(ordered) * part)] * 1e3


async def big_file(directory: Path, events: int) -> None:
    """Opening and size of a file with many events, in 2,000 threads."""
    path = directory / "big.db"
    body_bytes = fill(path, 2000, events // 2000)
    size_bytes = path.stat().st_size
    openings = []
    for _ in range(3):
        log = SqliteEventLog(path)
        started = time.perf_counter()
        await log.open()
        openings.append(time.perf_counter() - started)
        await log.aclose()
    say(f"opening a file of {events} events", max(openings) * 1e3, 100, "ms", "slowest of 3; the first ends 100 runs")
    say("file size / bodies", size_bytes / body_bytes, 1.25, "x", f"{size_bytes / events:.0f} bytes per event")


async def replay(directory: Path) -> None:
    """A thousand events of one thread from the file, its rows scattered over 100 threads."""
    path = directory / "replay.db"
    fill(path, 100, 1000)
    log = SqliteEventLog(path)
    await log.open()
    took = []
    for number in range(THREADS):
        started = time.perf_counter()
        page = await log.read(key_of(number), None, 1000)
        took.append(time.perf_counter() - started)
        assert 1000 == len(page.events)
    await log.aclose()
    say(
        "1,000 events replayed from the file", statistics.median(took) * 1e3, 10, "ms", f"slowest {max(took) * 1e3:.1f}"
    )


def fill(path: Path, threads: int, count: int) -> int:
    """A file with `count` events in each thread, written by turns; the bytes of their bodies."""
    file = SqliteFile(path, "normal")
    file.open()
    key_rows = [(number + 1, *key_of(number)) for number in range(threads)]
    file.write(
        [
            (INSERT_THREAD, [(*row, 0, 0) for row in key_rows]),
            (INSERT_RUN, [(n, user, f"run-{n}", n, "supervisor", "hello", None, 1.0, 1) for n, user, _ in key_rows]),
            (END_RUN, [(1, "completed", 2.0, count, count, n) for n, _, _ in key_rows if n > 100]),
        ]
    )
    body_bytes = 0
    for first in range(1, count + 1, 50):
        rows = [
            (number, seq, number, 0, body_of(ThreadKey(user, thread), number, seq))
            for seq in range(first, min(first + 50, count + 1))
            for number, user, thread in key_rows
        ]
        body_bytes += sum(len(row[-1]) for row in rows)
        file.write([(INSERT_EVENT, rows)])
        file.checkpoint()
    file.close()
    return body_bytes


def body_of(key: ThreadKey, number: int, seq: int) -> str:
    """A delta as it is stored."""
    made = delta(f"run_0199aa{number:05d}", seq)
    return encode_body(
        Event(
            *(made.type, key.thread_id, made.run_id, key.user_id, made.agent_name),
            *("", seq, seq, 0, None, made.timestamp, made.raw),
        )
    )


def say(what: str, figure: float, target: float, unit: str, more: str) -> None:
    """One line of the report."""
    verdict = "met" if figure <= target else "MISSED"
    print(f"{what}: {figure:.2f} {unit} (target <= {target:g} {unit}, {verdict}); {more}", flush=True)


async def main(events: int, repeats: int, file_events: int) -> None:
    """Everything, in a directory that goes away."""
    with tempfile.TemporaryDirectory(prefix="bench-eventlog-") as name:
        directory = Path(name)
        await compare(directory, "pipelined, every 10th awaited", 10, events // THREADS, repeats)
        await compare(directory, "awaited one by one", 1, events // THREADS, repeats)
        await visibility(directory)
        await replay(directory)
        await big_file(directory, file_events)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="events per run of the CPU comparison")
    parser.add_argument("--repeats", type=int, default=5, help="runs of the CPU comparison, memory and SQLite by turns")
    parser.add_argument("--file-events", type=int, default=1_000_000, help="events in the big file")
    options = parser.parse_args()
    asyncio.run(main(options.events, options.repeats, options.file_events))
