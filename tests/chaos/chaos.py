"""Kills a process that writes an event log, again and again, and looks for anything it had promised and is not there.

`python tests/chaos/chaos.py --kills 200 --seed 7`. The verifier is this process; it reads the file with SQL of its own.
`--show-before-commit` is the control: a log that shows events before they are stored, which must be found out.
Ends with status 1 if anything is wrong, and keeps the file then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from writer import digest

from ssot_engine.eventlog.sqlite import SqliteEventLog

#: How long a process lives after it has opened the log, in seconds.
LIFE_S = (0.15, 0.4)
#: One in so many is killed before that.
EARLY_KILLS = 10
#: Kills between two looks at the whole file.
LOOK_EVERY = 10

Place = tuple[str, str, str, int]
"""User, thread, epoch, seq."""


class Promises:
    """What the killed processes said: events acknowledged, and events that a reader saw."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.swept = 0
        self.epochs: set[str] = set()
        #: Of an append the place of its last event, its run, and its first and last ordinal.
        self.acks: list[tuple[Place, str, int, int]] = []
        self.seen: dict[Place, str] = {}
        self.reused: set[Place] = set()
        self.disorder: list[str] = []

    def hear(self, lines: list[str]) -> None:
        """Take in what one process said."""
        newest: dict[tuple[str, str], int] = {}
        for line in lines:
            kind, *words = line.split(" ")
            if kind == "up":
                self.epochs.add(words[0])
                self.swept += int(words[1])
            elif kind == "ack":
                user, thread, epoch, seq, first, last, run = words
                self.acks.append(((user, thread, epoch, int(seq)), run, int(first), int(last)))
                self.acknowledged += int(last) - int(first) + 1
            elif kind == "seen":
                self._hear_seen(words, newest)
            else:
                self.disorder.append(line)

    def _hear_seen(self, words: list[str], newest: dict[tuple[str, str], int]) -> None:
        user, thread, epoch, seq, what = words
        place = (user, thread, epoch, int(seq))
        if self.seen.setdefault(place, what) != what:
            self.reused.add(place)
        before = newest.get((user, thread))
        if before is not None and int(seq) != before + 1:
            self.disorder.append(f"a reader of {user} {thread} got {seq} after {before}")
        newest[user, thread] = int(seq)


class Verdict:
    """What the file says of the promises. Events up to a thread's floor were trimmed, and only those may be gone."""

    def __init__(self, path: Path, promises: Promises) -> None:
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            db.execute("begin")
            self._read(db)
        finally:
            db.close()
        self.acknowledged_lost = sum(self._lost_of(*ack) for ack in promises.acks)
        self.visible_lost = sum(self._is_missing(place) for place in promises.seen)
        wrong = {place for place, what in promises.seen.items() if self._rows.get(place, what) != what}
        self.reused = len(promises.reused | wrong)

    def _read(self, db: sqlite3.Connection) -> None:
        self.integrity = db.execute("pragma integrity_check").fetchone()[0]
        meta = dict(db.execute("select name, value from meta"))
        assert meta["generation"] == "0", "threads were forgotten; their records should have been kept"
        epoch = meta["epoch"]
        threads = {n: (owner, name, epoch) for n, owner, name in db.execute("select id, owner, name from thread")}
        self._floors = {threads[n]: trimmed for n, trimmed in db.execute("select id, trimmed from thread")}
        #: Place to digest, and place of each event of a run by its ordinal.
        self._rows: dict[Place, str] = {}
        self._ordinals: dict[str, dict[int, Place]] = defaultdict(dict)
        self.duplicates = 0
        terminals: Counter[str] = Counter()
        newest: dict[str, str] = {}
        for thread, seq, body in db.execute("select thread, seq, body from event order by thread, seq"):
            self._take(*threads[thread], seq, json.loads(body), body, terminals, newest)
        self.holes = self._count_holes()
        runs = dict(db.execute("select name, status from run"))
        self.runs_wrong = sum(
            (terminals[name], newest.get(name) == "agent_completed") != (1, True) if status else terminals[name] != 0
            for name, status in runs.items()
        ) + len(set(newest) - set(runs))

    def _take(self, user, thread, epoch, seq, event, body, terminals, newest) -> None:  # type: ignore[no-untyped-def]
        run, ordinal = event["run_id"], event["run_seq"]
        payload = body.partition('"payload":')[2][:-1].encode()
        place = (user, thread, epoch, seq)
        self._rows[place] = digest(event["type"], run, ordinal, payload)
        self.duplicates += ordinal in self._ordinals[run]
        self._ordinals[run][ordinal] = place
        terminals[run] += event["type"] == "agent_completed"
        newest[run] = event["type"]

    def _count_holes(self) -> int:
        """Places above the floor that no row has, up to the newest row."""
        places = defaultdict(list)
        for user, thread, epoch, seq in self._rows:
            if seq > self._floors[user, thread, epoch]:
                places[user, thread, epoch].append(seq)
        return sum(max(seqs) - self._floors[key] - len(seqs) for key, seqs in places.items())

    def _is_missing(self, place: Place) -> bool:
        return place not in self._rows and not self._is_trimmed(place)

    def _lost_of(self, place: Place, run: str, first: int, last: int) -> int:
        """How many events of an acknowledged append are gone, or elsewhere, though nothing trimmed them."""
        here = self._ordinals.get(run, {})
        if not place[3]:
            # Where they were is not known: they may have been trimmed, unless an earlier event of the run was not.
            oldest = min((ordinal for ordinal, at in here.items() if not self._is_trimmed(at)), default=last + 1)
            return sum(ordinal not in here for ordinal in range(max(first, oldest), last + 1))
        places = {ordinal: (*place[:3], place[3] - last + ordinal) for ordinal in range(first, last + 1)}
        return sum(here.get(ordinal) != at and not self._is_trimmed(at) for ordinal, at in places.items())

    def _is_trimmed(self, place: Place) -> bool:
        return place[3] <= self._floors.get(place[:3], 0)

    @property
    def is_good(self) -> bool:
        """Nothing is wrong with the file, beyond runs that are still open."""
        figures = (self.acknowledged_lost, self.visible_lost, self.reused, self.holes, self.runs_wrong, self.duplicates)
        return not any(figures) and self.integrity == "ok"


def live_and_die(path: Path, life: int, options: argparse.Namespace, rng: random.Random) -> tuple[list[str], str]:
    """Start a writer, kill it at some moment; what it said, and what it complained of."""
    command = [sys.executable, str(Path(__file__).with_name("writer.py")), str(path), str(life), str(options.seed)]
    command += ["--show-before-commit"] * options.show_before_commit
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    is_up = threading.Event()

    def listen() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            is_up.set()
        is_up.set()

    ear = threading.Thread(target=listen)
    ear.start()
    if rng.randrange(EARLY_KILLS):
        is_up.wait(20)
        time.sleep(rng.uniform(*LIFE_S))
    else:
        time.sleep(rng.uniform(0.0, 0.5))
    process.send_signal(signal.SIGKILL)
    complaint = process.stderr.read() if process.stderr else ""
    process.wait()
    ear.join()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return lines, complaint


async def sweep(path: Path) -> int:
    """One more start, so that the runs of the last life end too."""
    log = SqliteEventLog(path)
    swept = await log.open()
    await log.aclose()
    return swept


def torment(path: Path, options: argparse.Namespace) -> bool:
    """Kill writers of one file; whether every promise was kept."""
    rng = random.Random(options.seed)
    promises = Promises()
    complaints: list[str] = []
    for life in range(1, options.kills + 1):
        lines, complaint = live_and_die(path, life, options, rng)
        promises.hear(lines)
        if complaint:
            complaints.append(complaint)
        if life % LOOK_EVERY == 0 and path.exists() and promises.epochs and not Verdict(path, promises).is_good:
            break
    promises.swept += asyncio.run(sweep(path))
    return report(life, promises, Verdict(path, promises), complaints)


def report(kills: int, promises: Promises, verdict: Verdict, complaints: list[str]) -> bool:
    """Print the line of figures, and what else is wrong."""
    terminals = "every run exactly one terminal"
    if verdict.runs_wrong:
        terminals = f"{verdict.runs_wrong} runs without exactly one terminal"
    print(
        f"{kills} kills: {promises.acknowledged} acknowledged, {verdict.acknowledged_lost} acknowledged lost, "
        f"{verdict.visible_lost} visible lost, {verdict.reused} seq reused, {verdict.holes} holes, {terminals}"
    )
    others = [
        (verdict.integrity != "ok", f"integrity: {verdict.integrity}"),
        (verdict.duplicates, f"{verdict.duplicates} events stored twice"),
        (len(promises.epochs) != 1, f"{len(promises.epochs)} epochs"),
        (promises.disorder, f"{len(promises.disorder)} out of order, the first: {promises.disorder[:1]}"),
        (complaints, f"{len(complaints)} writers complained, the first: {complaints[:1]}"),
    ]
    for is_wrong, text in others:
        if is_wrong:
            print(text)
    return verdict.is_good and not any(is_wrong for is_wrong, _ in others)


def main() -> int:
    """Run, and keep the file if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show-before-commit", action="store_true")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    is_good = torment(directory / "events.db", options)
    if is_good or options.show_before_commit:
        shutil.rmtree(directory)
    else:
        print(f"kept: {directory}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
