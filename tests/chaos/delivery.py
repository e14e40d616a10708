"""Kills `ssot-engine serve` again and again while many users read, and looks for anything lost, repeated or mixed up.

`python tests/chaos/delivery.py --users 100 --kills 5 --seed 7`. Each user has two tabs, whose lines break at random;
one reads slowly. The agents in the server write what they tell to a file of their own before they tell it: that account
is the reference, and the event log's file, read after the end, is the second one. A run that a kill ended must have
been told without a hole up to its end. Ends with status 1 if anything is wrong, and keeps the files then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "web")]

from emitting import Fact, Tally, facts  # noqa: E402
from tcp_proxy import Cut, TcpProxy, proxying  # noqa: E402

from ssot_engine.client import Client  # noqa: E402
from ssot_engine.eventlog.base import Reset, is_last  # noqa: E402
from ssot_engine.eventlog.sqlite import SqliteEventLog  # noqa: E402
from ssot_engine.events import Event, ThreadKey  # noqa: E402
from ssot_engine.following import Following  # noqa: E402

#: How long a server lives after it answers, in seconds.
LIFE_S = (1.5, 4.0)
#: How long a client waits before it connects again, in seconds.
RETRY_S = (0.05, 1.0)
#: Bytes after which a line breaks, if it does.
CUT_BYTES = 15_000

TEAM = """
import json, os
from emitting import Team
from ssot_engine.agents import Team as Agents

account = os.open(os.environ["DELIVERY_ACCOUNT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
team = Team(hear=lambda run_id, fact: os.write(account, (json.dumps([run_id, *fact]) + "\\n").encode()))
brought = Agents(agents=team.agents, tools=team.tools)
"""
"""The package that brings the agents: they are found by their entry point, as any host's are."""


class Server:
    """The process that is killed, and started again at the same address."""

    def __init__(self, folder: Path, users: Sequence[str], port: int) -> None:
        self.folder = folder
        self.port = port
        self.kills = 0
        self._users = users
        self._process: asyncio.subprocess.Process | None = None
        package = folder / "team" / "delivery_team-1.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: delivery-team\nVersion: 1\n")
        (package / "entry_points.txt").write_text("[ssot_engine.agents]\ndelivery = delivery_team:brought\n")
        (package.parent / "delivery_team.py").write_text(TEAM)

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        paths = [str(self.folder / "team"), str(TESTS), str(TESTS / "web")]
        settings = {
            "PYTHONPATH": os.pathsep.join(paths),
            "DELIVERY_ACCOUNT": str(self.folder / "account.jsonl"),
            "SSOT_ENGINE_WEB__FRAMES_RATE": "1000000/second",
            "SSOT_ENGINE_WEB__RUNS_RATE": "1000000/second",
            "SSOT_ENGINE_WEB__MAX_CONNECTIONS_PER_USER": "1000",
            "SSOT_ENGINE_LOG__LEVEL": "error",
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ssot_engine", "serve", "--json", "--port", str(self.port),
            "--dev-users", ",".join(self._users), "--events-url", f"sqlite:///{self.folder / 'events.db'}",
            stdout=asyncio.subprocess.PIPE, env={**os.environ, **settings},
        )  # fmt: skip
        assert self._process.stdout is not None
        if not await asyncio.wait_for(self._process.stdout.readline(), 30):
            raise SystemExit("the server did not start")

    async def end(self, how: signal.Signals) -> None:
        """Send it a signal, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(how)
        await self._process.wait()

    async def torment(self, kills: int, rng: random.Random) -> None:
        """Kill it so many times, and leave it running."""
        while self.kills < kills:
            await asyncio.sleep(rng.uniform(*LIFE_S))
            await self.end(signal.SIGKILL)
            self.kills += 1
            await self.start()


class User:
    """A user with two tabs on one thread: what each tab was given, and the runs that were asked for."""

    def __init__(self, name: str, is_slow: bool) -> None:
        self.name = name
        self.is_slow = is_slow
        self.runs: dict[str, list[Event | Reset]] = {}
        self.watched: list[Event | Reset] = []

    async def live(self, proxy: TcpProxy, steps: int, over: asyncio.Event) -> None:
        """Ask for one run after the other until it is over, and watch the thread meanwhile."""
        async with (
            Client(proxy.ws_url, self.name, retry_s=RETRY_S) as one,
            Client(proxy.ws_url, self.name, retry_s=RETRY_S) as two,
        ):
            watching = asyncio.create_task(self._watch(two.follow(self.name), over))
            while not over.is_set() or not self.runs:
                handle = await one.run("go", "lead", thread=self.name, inputs={"steps": steps})
                self.runs[handle.run_id] = [item async for item in handle]
            await self._wait_for_last(watching)

    async def _watch(self, following: Following, over: asyncio.Event) -> None:
        async for item in following:
            self.watched.append(item)
            if self.is_slow and not over.is_set():
                await asyncio.sleep(0.02)

    async def _wait_for_last(self, watching: asyncio.Task[None]) -> None:
        """The second tab is to have seen the end of the newest run too."""
        last = next(reversed(self.runs))
        async with asyncio.timeout(60):
            while not any(isinstance(item, Event) and is_last(item) and item.run_id == last for item in self.watched):
                await asyncio.sleep(0.05)
        watching.cancel()


def read_account(path: Path) -> dict[str, list[Fact]]:
    """What the agents told, by run; text of one speaker in a row is one fact."""
    told: dict[str, list[Fact]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        run_id, *fact = json.loads(line)
        mine = told[run_id]
        if fact[0] == "text" and mine and mine[-1][:2] == ("text", fact[1]):
            mine[-1] = ("text", fact[1], mine[-1][2] + fact[2])
        else:
            mine.append(tuple(fact))
    return told


def status_of(items: Sequence[Event | Reset]) -> str:
    """How a run ended, as its reader was told."""
    last = items[-1] if items else None
    return str(last.payload["status"]) if isinstance(last, Event) and is_last(last) else "unended"


def begins_with(told: Sequence[Fact], got: Sequence[Fact]) -> bool:
    """Whether what was got is the beginning of what was told; the last text may be cut short."""
    if not got:
        return True
    *whole, last = got
    if list(told[: len(whole)]) != whole or len(told) < len(got):
        return False
    other = told[len(whole)]
    return last == other or (last[0] == "text" and last[:2] == other[:2] and other[2].startswith(last[2]))


def told_before_the_kill(got: list[Fact]) -> list[Fact]:
    """Without what a log says by itself when it ends the calls and agents that a kill left open."""
    while got and got[-1][0] in ("tool done", "agent done") and not isinstance(got[-1][1], (int, str)):
        got = got[:-1]
    return got


class Findings:
    """What came out: the tally of whole runs, and what is wrong with those that a kill ended."""

    def __init__(self, told: dict[str, list[Fact]]) -> None:
        self.told = told
        self.tally = Tally(told)
        self.whole = 0
        self.killed = 0
        self.wrong: list[str] = []

    def look_at(self, user: User, stored: Sequence[Event]) -> None:
        """Compare both tabs of a user with the account and with the file."""
        whole = [run_id for run_id, items in user.runs.items() if status_of(items) == "completed"]
        for run_id, items in user.runs.items():
            if run_id in whole:
                self.tally.add_run(user.name, run_id, items)
            else:
                self._look_at_killed(user, run_id, items)
        self.tally.add_thread(user.name, whole, user.watched)
        self.whole += len(whole)
        watched = [item for item in user.watched if isinstance(item, Event)]
        if list(stored[: len(watched)]) != watched:
            self.wrong.append(f"{user.name}: the second tab was told something else than the log holds")
        for run_id, items in user.runs.items():
            if items != [event for event in stored if event.run_id == run_id]:
                self.wrong.append(f"{user.name}: the first tab was told something else of {run_id} than the log holds")

    def _look_at_killed(self, user: User, run_id: str, items: Sequence[Event | Reset]) -> None:
        self.killed += 1
        events = [item for item in items if isinstance(item, Event)]
        self.tally.events += len(events)
        if status_of(items) != "lost":
            self.wrong.append(f"{user.name}: run {run_id} ended {status_of(items)}")
        if not begins_with(self.told[run_id], told_before_the_kill(facts(events))):
            self.wrong.append(f"{user.name}: run {run_id} has a hole before its end")

    @property
    def is_good(self) -> bool:
        """Whether all is as it was promised."""
        tally = self.tally
        bad = (tally.lost, tally.duplicated, tally.out_of_order, tally.cross_user, tally.invented, tally.resets)
        return not any(bad) and not self.wrong


async def stored_events(path: Path, users: Sequence[User]) -> dict[str, list[Event]]:
    """What the file holds of each user's thread."""
    log = SqliteEventLog(path, read_only=True)
    await log.open()
    try:
        found = {}
        for user in users:
            key = ThreadKey(user.name, user.name)
            found[user.name] = [
                item async for item in log.follow(key, None, live=False) if isinstance(item, Event)
            ]  # fmt: skip
        return found
    finally:
        await log.aclose()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(options: argparse.Namespace, folder: Path) -> bool:
    """Run it all; whether nothing was wrong."""
    rng = random.Random(options.seed)
    users = [User(f"user-{number:03}", is_slow=number == 0) for number in range(options.users)]
    server = Server(folder, [user.name for user in users], free_port())
    began = time.monotonic()
    await server.start()
    over = asyncio.Event()

    def plan(_: int) -> Any:
        return Cut("down", at_byte=rng.randint(1, CUT_BYTES)) if rng.random() < 0.5 and not over.is_set() else None

    async with proxying(server.port, plan) as proxy:
        try:
            lives = [asyncio.create_task(user.live(proxy, options.steps, over)) for user in users]
            await server.torment(options.kills, rng)
            over.set()
            await asyncio.gather(*lives)
        finally:
            await server.end(signal.SIGTERM)
        cuts = proxy.cuts
    stored = await stored_events(folder / "events.db", users)
    findings = Findings(read_account(folder / "account.jsonl"))
    for user in users:
        findings.look_at(user, stored[user.name])
    for line in findings.wrong[:20]:
        print(line)
    print(
        f"{findings.tally}; {server.kills} kills, {cuts} cuts, {findings.whole} runs whole, {findings.killed} ended by "
        f"a kill, {len(findings.wrong)} wrong, {time.monotonic() - began:.1f} s"
    )
    return findings.is_good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    place = Path(tempfile.mkdtemp(prefix="delivery-"))
    is_good = asyncio.run(main(parser.parse_args(), place))
    if is_good:
        shutil.rmtree(place)
    else:
        print(f"kept {place}")
    sys.exit(0 if is_good else 1)
