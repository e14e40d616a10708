"""The census: how often which line of the host still uses which old door, in this process."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from ssot_engine.errors import ConfigError
from ssot_engine.logs import get_logger

log = get_logger("ssot_engine.legacy.census")

#: How many sites are told apart. Uses from further ones are counted together.
MAX_SITES = 2_000


class Counting(StrEnum):
    """What of a door can be seen, and so what its number means."""

    EVERY_USE = "every use"
    #: A module that is an alias of another is found by the interpreter itself after its first import in a process.
    FIRST_IMPORT = "first import"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the host that uses an old door."""

    door: str
    file: str
    line: int
    count: int
    #: When it was used first, in seconds since 1970.
    first_at: float
    counting: Counting


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What one process, or several together, counted."""

    sites: tuple[Site, ...] = ()
    #: Uses from sites beyond `MAX_SITES`.
    overflow: int = 0

    @property
    def uses(self) -> int:
        """All uses, whether their site is known or not."""
        return self.overflow + sum(site.count for site in self.sites)


class _Count:
    """The number of one site, which goes up in place."""

    __slots__ = ("counting", "first_at", "uses")

    def __init__(self, counting: Counting) -> None:
        self.counting = counting
        self.first_at = time.time()
        self.uses = 1


class Census:
    """Counts uses by door, file and line. It is bounded, and may be used from any thread."""

    def __init__(self, max_sites: int = MAX_SITES) -> None:
        self._max_sites = max_sites
        # A finaliser that uses an old door may run inside of any line of `record`.
        self._lock = threading.RLock()
        self._counts: dict[tuple[str, str, int], _Count] = {}
        self._overflow = 0
        self._file: Path | None = None
        self._told_of_workers = False

    def record(self, door: str, filename: str, line: int, counting: Counting = Counting.EVERY_USE) -> bool:
        """Count a use; whether it is the first of this door at this line.

        Once the census is full, a use from a further site is never the first: it goes into `overflow`.
        """
        site = (door, filename, line)
        with self._lock:
            if (count := self._counts.get(site)) is not None:
                count.uses += 1
                return False
            if len(self._counts) >= self._max_sites:
                self._overflow += 1
                return False
            self._counts[site] = _Count(counting)
            return True

    @property
    def overflow(self) -> int:
        """Uses from sites for which there was no room."""
        return self._overflow

    @property
    def uses(self) -> int:
        """All uses until now."""
        with self._lock:
            return self._overflow + sum(one.uses for one in self._counts.values())

    @property
    def known_sites(self) -> int:
        """How many sites are told apart now."""
        return len(self._counts)

    def sites(self) -> list[Site]:
        """Every site, the most used first."""
        return list(self.tally().sites)

    def tally(self) -> Tally:
        """What was counted until now."""
        with self._lock:
            sites = [
                Site(
                    door=door, file=file, line=line, count=count.uses, first_at=count.first_at, counting=count.counting
                )
                for (door, file, line), count in self._counts.items()
            ]
            return Tally(sites=_ordered(sites), overflow=self._overflow)

    def clear(self) -> None:
        """Forget all uses."""
        with self._lock:
            self._counts.clear()
            self._overflow = 0

    def write_at_exit(self, path: str | Path | None) -> None:
        """When the process ends, append what it counted to this file (`legacy.census_file`); None: write nothing.

        The last call decides.
        """
        atexit.unregister(self._write)
        self._file = None if path is None else Path(path).absolute()
        if self._file is not None:
            atexit.register(self._write)
            self._write_in_workers()

    def _write_in_workers(self) -> None:
        """Processes that `multiprocessing` forks end without `atexit`; they have a list of their own for it."""
        if not self._told_of_workers:
            # Slow to import, and few need it.
            from multiprocessing import util

            self._told_of_workers = True
            util.register_after_fork(self, lambda mine: util.Finalize(None, mine._write, exitpriority=-1))

    def _write(self) -> None:
        """Even if nothing was counted: so a report can tell that from a process which never ended."""
        if self._file is None:
            return
        tally = self.tally()
        try:
            append(self._file, tally)
        except OSError as error:
            log.error("census_not_written", file=str(self._file), error=repr(error), uses=tally.uses)

    def forked(self) -> None:
        """In a forked process: its parent counts what was counted before."""
        self._lock = threading.RLock()
        self.clear()


def append(path: Path, tally: Tally) -> None:
    """Add a line to a census file. Several processes may do so at once: each line is one write.

    Raises:
        OSError: the file cannot be written.
    """
    line = msgspec.json.encode(tally) + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def read(path: Path) -> Tally:
    """What all processes together wrote to a census file.

    Raises:
        ConfigError: there is no such file, or it is no census file.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(
            f"no census can be read from {str(path)!r} ({error.strerror}); set legacy.census_file for the process that "
            "is to be counted, and let it end"
        ) from error
    try:
        return together(msgspec.json.decode(line, type=Tally) for line in lines if line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{str(path)!r} is no census file ({error}); remove it, and let the process run again"
        ) from error


def together(tallies: Iterable[Tally]) -> Tally:
    """Several tallies as one: the same site's counts are added."""
    sites: dict[tuple[str, str, int], Site] = {}
    overflow = 0
    for tally in tallies:
        overflow += tally.overflow
        for site in tally.sites:
            key = (site.door, site.file, site.line)
            known = sites.get(key)
            sites[key] = site if known is None else _added(known, site)
    return Tally(sites=_ordered(sites.values()), overflow=overflow)


def _added(one: Site, other: Site) -> Site:
    return msgspec.structs.replace(one, count=one.count + other.count, first_at=min(one.first_at, other.first_at))


def _ordered(sites: Iterable[Site]) -> tuple[Site, ...]:
    return tuple(sorted(sites, key=lambda site: (-site.count, site.door, site.file, site.line)))


#: The census of this process.
census = Census()
os.register_at_fork(after_in_child=census.forked)
