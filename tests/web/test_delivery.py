"""Delivery over the socket: whatever is cut, and whenever, a reader gets what the agents told, once and in order."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from emitting import Tally, Team, facts
from serving import Served, serving
from tcp_proxy import Cut, Plan, TcpProxy, Way, proxying

from fakes import check_thread, until
from running import Start
from ssot_engine import resuming
from ssot_engine.client import Client
from ssot_engine.eventlog.base import Reset, is_last
from ssot_engine.events import Event
from ssot_engine.following import Following, RunHandle
from ssot_engine.web.access import RunOrder, UserAccess
from ssot_engine.web.identity import Identity

QUICK = (0.005, 0.05)
#: Steps of the reference run; each tells thirteen events or fewer.
STEPS = 3
#: No limit of the site is meant to stop the tests.
WIDE = {"runs_rate": "1000000/second", "frames_rate": "1000000/second", "max_connections_per_user": 10_000}
MANY = {"max_engines_per_user": 1000, "max_concurrent_runs_per_user": 1000}


@asynccontextmanager
async def site(
    start: Start, team: Team, users: tuple[str, ...] = ("alice",), *, events: Any = None, **web: Any
) -> AsyncIterator[Served]:
    """A served container with the team."""
    container = await start(
        *team.agents,
        tools=team.tools,
        engine=MANY,
        auth={"dev_users": users},
        web={"page": False, **WIDE, **web},
        events=events or {},
    )
    async with serving(container) as served:
        yield served


async def told_by_run(proxy: TcpProxy) -> tuple[str, list[Event], int]:
    """Start a run by way of the proxy and read it to its end: its id, its events, and the resets there were."""
    async with Client(proxy.ws_url, "alice", retry_s=QUICK) as alice:
        handle = await alice.run("go", "lead", inputs={"steps": STEPS})
        events = [event async for event in handle]
        return handle.run_id, events, alice.resets


async def read_by(served: Served, plan: Plan) -> tuple[str, list[Event], int]:
    """A reference run that is read over a broken line; how often the line was cut comes last."""
    async with proxying(served.port, plan) as proxy:
        async with asyncio.timeout(20):
            run_id, events, resets = await told_by_run(proxy)
        assert 0 == resets
        return run_id, events, proxy.cuts


def check_run(team: Team, run_id: str, events: list[Event]) -> None:
    """The events are the run's, whole, in order, each once: what its agents told, between a beginning and an end."""
    check_thread(events)
    assert {run_id} == {event.run_id for event in events}
    assert team.told[run_id] == facts(events)


async def check_all(team: Team, served: Served, reads: list[tuple[str, list[Event], int]]) -> None:
    """Every reader got its run, and each run ran once."""
    for run_id, events, _ in reads:
        check_run(team, run_id, events)
    assert len(reads) == len(team.told) == len({run_id for run_id, _, _ in reads})
    assert 0 == served.site.deliveries.resets


async def test_a_connection_may_be_cut_after_every_frame(start: Start) -> None:
    """Cut after any frame of the client or the server, a run is resumed with nothing lost, twice or out of order."""
    team = Team()
    async with site(start, team, coalesce_s=0.0) as served:
        uncut = await read_by(served, lambda _: None)
        frames = len(uncut[1]) + 1
        plans = [first_only(Cut("down", after_frame=number)) for number in range(1, frames)]
        plans += [first_only(Cut("up", after_frame=number)) for number in (1, 2)]
        plans += [each_of(lambda _, number=number: Cut("down", after_frame=number)) for number in (2, 3, 5)]
        reads = await asyncio.gather(*(read_by(served, plan) for plan in plans))
        await check_all(team, served, [uncut, *reads])
        cuts = sum(cuts for _, _, cuts in reads)
        assert cuts >= 15
        print(f"{sum(len(events) for _, events, _ in reads)} events, {cuts} cuts, 0 lost, 0 twice, 0 reordered")


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_connection_may_be_cut_at_any_byte(start: Start, way: Way) -> None:
    """Cut at random bytes, in the handshake, in a frame's head or in an event, nothing is lost, twice or reordered."""
    rng = random.Random(7)
    team = Team()
    longest = 900 if way == "up" else 12_000
    async with site(start, team) as served:
        plans = [each_of(lambda _: Cut(way, at_byte=rng.randint(1, longest)), 4) for _ in range(40)]
        reads = await asyncio.gather(*(read_by(served, plan) for plan in plans))
        await check_all(team, served, list(reads))
        cuts = sum(cuts for _, _, cuts in reads)
        assert cuts >= 40
        print(f"{sum(len(events) for _, events, _ in reads)} events, {cuts} cuts, 0 lost, 0 twice, 0 reordered")


def first_only(cut: Cut) -> Plan:
    """Cut the first connection; the others are left alone."""
    return lambda number: cut if number == 0 else None


def each_of(cut: Plan, count: int = 10_000) -> Plan:
    """Cut each of the first so many connections."""
    return lambda number: cut(number) if number < count else None


async def test_an_accepted_run_is_stored(start: Start, tmp_path: Path) -> None:
    """When a wire says that a run was accepted it is in the file, so that no crash can make it unknown."""
    team, file = Team(lambda: asyncio.sleep(0.2)), tmp_path / "events.db"
    async with site(start, team, events={"url": f"sqlite:///{file}"}) as served:
        access = UserAccess(served.site.container, Identity("alice"), served.site.rates)
        for agent in ("lead", "helper"):
            run_id = (await access.submit(RunOrder(message="go", agent=agent, inputs={"steps": 1}))).run_id
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
                assert [(1,)] == reader.execute("SELECT count(*) FROM run WHERE name = ?", (run_id,)).fetchall()
            await access.cancel(run_id)


# ---------------------------------------------------------------------- many at once

USERS = tuple(f"user-{number:03}" for number in range(30))
#: Runs of each user, at the same time in one thread.
RUNS = 2
#: Whose line stands still until the server cuts it off, and whose program takes its time.
STUCK, SLOW = "user-007", "user-013"


async def test_many_users_with_two_tabs_each(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With lines that break at random and slow readers among them, every tab gets what its user's agents told."""
    monkeypatch.setattr(resuming, "MAX_HELD_EVENTS", 40)
    rng = random.Random(7)
    team = Team()
    tally = Tally(team.told)
    async with (
        site(start, team, USERS, send_timeout_s=0.4) as served,
        proxying(served.port, each_of(lambda _: Cut("down", at_byte=rng.randint(1, 30_000)), 90)) as broken,
        proxying(served.port, receive_bytes=4096) as narrow,
        asyncio.timeout(30),
    ):
        tabs = [two_tabs(broken, user, tally) for user in USERS if user != STUCK]
        await asyncio.gather(*tabs, two_stuck_tabs(narrow, served, tally))
        delivered = served.site.deliveries
        print(f"{tally}; {broken.cuts} cuts, {delivered.slow_closed} cut off as too slow")
        assert (True, 0) == (delivered.slow_closed >= 1, delivered.resets)
    expected = f"{tally.events} events, 0 lost, 0 duplicated after dedupe, 0 out of order, 0 cross-user"
    assert f"{expected}, 0 invented, 0 resets" == str(tally)
    assert len(USERS) * RUNS == len(team.told)
    assert broken.cuts >= 30


async def two_tabs(proxy: TcpProxy, user: str, tally: Tally) -> None:
    """A user who asks in one tab, and has the same thread open in another."""
    async with tab(proxy, user) as one, tab(proxy, user) as two:
        watching = asyncio.create_task(
            watch(two.follow(user), (lambda: asyncio.sleep(0.001)) if user == SLOW else None)
        )
        handles = [await one.run("go", "lead", thread=user, inputs={"steps": 2}) for _ in range(RUNS)]
        await compare(user, handles, watching, tally)


async def two_stuck_tabs(proxy: TcpProxy, served: Served, tally: Tally) -> None:
    """The same over a line that carries nothing from the middle of the runs on, until both tabs were cut off."""
    bulk = {"steps": 2, "bulk": 400_000}
    async with tab(proxy, STUCK) as one, tab(proxy, STUCK) as two:
        watching = asyncio.create_task(watch(two.follow(STUCK), None))
        handles = [await one.run("go", "lead", thread=STUCK, inputs=bulk) for _ in range(RUNS)]
        proxy.flows.clear()
        await until(lambda: served.site.deliveries.slow_closed >= 2, 20)
        proxy.flows.set()
        await compare(STUCK, handles, watching, tally)


def tab(proxy: TcpProxy, user: str) -> Client:
    """One of a user's connections."""
    return Client(proxy.ws_url, user, retry_s=QUICK)


async def watch(following: Following, rest: Callable[[], Any] | None) -> list[Event | Reset]:
    """All of a thread until its runs have ended; `rest` is taken after each event."""
    items: list[Event | Reset] = []
    open_runs = RUNS
    while open_runs:
        items.append(await anext(following))
        open_runs -= isinstance(items[-1], Event) and is_last(items[-1])
        if rest is not None:
            await rest()
    return items


async def compare(
    user: str, handles: Sequence[RunHandle], watching: asyncio.Task[list[Event | Reset]], tally: Tally
) -> None:
    """Count what both tabs were given."""
    for handle in handles:
        tally.add_run(user, handle.run_id, [event async for event in handle])
    tally.add_thread(user, [handle.run_id for handle in handles], await watching)
