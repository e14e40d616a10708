"""Events from the append to the client's socket, beside raw uvicorn: `python tests/bench/bench_delivery.py`.

Servers and producers are in this process, the clients in another one, which counts events in the bytes it gets. The raw
server sends a text made beforehand, as long as an event's frame. Runs alternate; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop
from figures import Figure, table
from starlette.types import Receive, Scope, Send

from ssot_engine.container import ExecutionContainer
from ssot_engine.eventlog.base import Draft, EventLog
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.events import Event, ThreadKey
from ssot_engine.settings import Settings, WebSettings
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.frames import Ev, encode
from ssot_engine.web.server import Server, listen

CLIENTS = 100
CROWD = 1000
COALESCE_S = WebSettings().coalesce_s
PAYLOAD = msgspec.Raw(msgspec.json.encode({"text": "the model spend of your team rose by 14 % in week 000042"}))
CLIENT = Path(__file__).with_name("delivery_client.py")


def key_of(number: int) -> ThreadKey:
    """The thread that a client follows."""
    return ThreadKey(f"u{number}", "t")


def draft(run_id: str, ordinal: int) -> Draft:
    """A piece of text, of now."""
    return Draft("message_delta", run_id, "supervisor", ordinal, 0, None, time.time(), PAYLOAD)


def frame() -> str:
    """One event's frame as ours is."""
    event = Event(
        *("message_delta", "t", "run_0199aa00042", "u42", "supervisor"),
        *("0123456789ab", 500, 500, 0, None, time.time(), PAYLOAD),
    )
    return encode(Ev((event,))).decode()


class RawApp:
    """Sends a text as often as it is told, giving way after each: what the server beneath ours can do."""

    def __init__(self) -> None:
        self.text = frame()
        self.go = asyncio.Event()
        self.events = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": '{"type":"welcome"}'})
        await self.go.wait()
        for _ in range(self.events):
            await send({"type": "websocket.send", "text": self.text})
            await asyncio.sleep(0)
        await receive()


# --------------------------------------------------------------------------- servers


@asynccontextmanager
async def raw_server() -> AsyncIterator[tuple[RawApp, int]]:
    """Uvicorn with nothing of ours."""
    app = RawApp()
    (listener,) = listen(WebSettings(port=0))
    config = uvicorn.Config(
        app, ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield app, listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def our_server(url: str, coalesce_s: float) -> AsyncIterator[tuple[EventLog, int]]:
    """The product's server on an event log."""
    settings = Settings(
        events={"url": url},
        agents={"offline": False, "entry_points": False},
        auth={"dev_users": tuple(f"u{number}" for number in range(CROWD))},
        web={"page": False, "coalesce_s": coalesce_s},
    )
    container = ExecutionContainer.from_settings(settings)
    async with container.running():
        site = create_site(container)
        (listener,) = listen(WebSettings(port=0), loopback_only=True)
        server = Server(site, create_app(site), takes_signals=False)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield container.event_log(), listener.getsockname()[1]
        finally:
            site.stopping.set()
            server.stop()
            await task


# ----------------------------------------------------------------------------- a run


class Run(msgspec.Struct, frozen=True):
    """What a run of the clients cost this process, how late its events were, and how long the slowest client took."""

    events: int
    wall_s: float
    cpu_s: float
    took_ms: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU of servers and producers per event, in microseconds."""
        return self.cpu_s / self.events * 1e6

    @property
    def cores(self) -> float:
        """How much of a core they took."""
        return self.cpu_s / self.wall_s


async def measured(
    port: int, path: str, clients: int, events: int, produce: Callable[[], Awaitable[Any]], mode: str = "count"
) -> Run:
    """Let the clients of a new process read what `produce` makes: `events` each."""
    arguments = (str(CLIENT), str(port), path, str(clients), str(events), mode)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert b"ready\n" == await process.stdout.readline()
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        _, line = await asyncio.gather(produce(), process.stdout.readline())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        told = json.loads(line.removeprefix(b"done "))
        return Run(events * clients, wall, cpu, told["took_ms"], told["p50_ms"], told["p99_ms"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def raw(clients: int, events: int) -> Run:
    """The raw server at its best."""
    async with raw_server() as (app, port):
        app.events = events

        async def produce() -> None:
            app.go.set()

        return await measured(port, "/ws", clients, events, produce)


async def ours(url: str, events: int, coalesce_s: float, await_every: int = 0) -> Run:
    """One producer and one client on each of 100 threads, as fast as they can."""
    async with our_server(url, coalesce_s) as (log, port):
        # Made beforehand, as the raw server's text is.
        drafts = [[draft(run_of(number), ordinal + 1) for ordinal in range(events)] for number in range(CLIENTS)]

        async def produce() -> None:
            await asyncio.gather(*[writes(log, number, drafts[number], await_every) for number in range(CLIENTS)])

        return await measured(port, "/ws", CLIENTS, events, produce)


def run_of(number: int) -> str:
    """The run that writes to a client's thread."""
    return f"run_0199aa{number:05d}"


async def writes(log: EventLog, number: int, drafts: list[Draft], await_every: int) -> None:
    """Append pieces of text, one in a turn of the loop; with `await_every` the n-th waits for its commit."""
    key = key_of(number)
    log.begin(key, run_of(number))
    for ordinal, one in enumerate(drafts, 1):
        if await_every and not ordinal % await_every:
            await log.append(key, (one,), attempt=1)
        else:
            log.submit(key, (one,), attempt=1)
            await asyncio.sleep(0)


async def paced(url: str, clients: int, rate_each: float, seconds: float, mode: str = "count") -> Run:
    """Each client's thread gets an event every `1 / rate_each` seconds."""
    count = int(rate_each * seconds)
    async with our_server(url, COALESCE_S) as (log, port):

        async def produce() -> None:
            await asyncio.gather(*[ticks(log, number, count, number / clients, rate_each) for number in range(clients)])

        return await measured(port, "/ws", clients, count, produce, mode)


async def ticks(log: EventLog, number: int, count: int, phase: float, rate: float) -> None:
    """Append at a steady rate."""
    key, run_id = key_of(number), run_of(number)
    log.begin(key, run_id)
    due = time.perf_counter() + phase / rate
    for ordinal in range(1, count + 1):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        due += 1 / rate
        log.submit(key, (draft(run_id, ordinal),), attempt=1)


async def replayed(url: str, missed: int = 1000) -> Run:
    """A client asks for what it missed of a thread; with SQLite it is in the file only."""
    if url.startswith("sqlite:"):
        log = SqliteEventLog.from_url(url)
        await log.open()
        await fill(log, missed)
        await log.aclose()
    async with our_server(url, COALESCE_S) as (served, port):
        if url.startswith("memory:"):
            await fill(served, missed)

        async def produce() -> None:
            return

        return await measured(port, "/ws", 1, missed, produce)


async def fill(log: EventLog, count: int) -> None:
    """Events of the first client's thread."""
    log.begin(key_of(0), run_of(0))
    await log.append(key_of(0), [draft(run_of(0), ordinal + 1) for ordinal in range(count)], attempt=1)


# --------------------------------------------------------------------------- figures


async def rates(folder: str, rounds: int, events: int) -> AsyncIterator[Figure]:
    """Events per second at most, beside the raw server in the same round."""
    ways: dict[str, tuple[str, str, float, int, float]] = {
        "single": ("one per frame, memory", "memory://", 0.0, 0, 0.60),
        "gathered": ("coalesced, memory", "memory://", COALESCE_S, 0, 2.0),
        "sqlite": ("coalesced, SQLite", "sqlite:///{folder}/{turn}.db", COALESCE_S, 10, 0.40),
    }
    found: dict[str, list[tuple[Run, Run]]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, (_, url, coalesce_s, await_every, _) in ways.items():
            bare = await raw(CLIENTS, events)
            mine = await ours(url.format(folder=folder, turn=turn), events, coalesce_s, await_every)
            found[name].append((mine, bare))
    for name, (what, _, _, _, target) in ways.items():
        ratio = statistics.median(mine.rate / bare.rate for mine, bare in found[name])
        cpu = statistics.median(bare.cpu_us / mine.cpu_us for mine, bare in found[name])
        best, best_raw = max(mine.rate for mine, _ in found[name]), max(bare.rate for _, bare in found[name])
        note = f"{best:,.0f} events/s, raw {best_raw:,.0f}; by CPU {cpu:.2f} x"
        yield Figure(f"delivered events/s, {what}", ratio, "x raw uvicorn", target, note, is_least=True)


async def steady(folder: str, seconds: float) -> AsyncIterator[Figure]:
    """What SQLite costs, and how late events are, at a given rate."""
    memory = await paced("memory://", CLIENTS, 10.0, seconds)
    sqlite = await paced(f"sqlite:///{folder}/paced.db", CLIENTS, 10.0, seconds)
    note = f"memory {memory.cores:.2f}, SQLite {sqlite.cores:.2f}"
    yield Figure("CPU of SQLite above memory at 1,000 events/s", sqlite.cores - memory.cores, "core", 0.10, note)
    crowd = await paced("memory://", CROWD, 10.0, seconds, "late")
    note = f"p50 {crowd.p50_ms:.1f} ms, {crowd.cores:.2f} core"
    yield Figure("lag at 1,000 sockets x 10 events/s, p99", crowd.p99_ms, "ms", 50, note)


async def resumed(folder: str) -> AsyncIterator[Figure]:
    """A client that comes back."""
    for name, url in (("memory", "memory://"), ("SQLite", f"sqlite:///{folder}/replay.db")):
        run = await replayed(url)
        yield Figure(f"1,000 missed events to a socket, {name}", run.took_ms, "ms", 100)


async def measure(rounds: int, events: int, seconds: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-delivery-") as folder:
        parts = (rates(folder, rounds, events), steady(folder, seconds), resumed(folder))
        return [figure for part in parts async for figure in part]


def figures(rounds: int = 5, events: int = 1000, seconds: float = 5.0) -> list[Figure]:
    """All of them, on uvloop as the product serves."""
    return uvloop.run(measure(rounds, events, seconds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the comparisons with the raw server")
    parser.add_argument("--events", type=int, default=1000, help="events of each of 100 clients in a comparison")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the steady rates are kept up")
    options = parser.parse_args()
    print(table(figures(options.rounds, options.events, options.seconds)))
