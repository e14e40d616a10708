"""How far a migration is: what the source still says, and what processes still used."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ssot_engine.legacy.census import Tally
from ssot_engine.migrate.reporting.folders import folders
from ssot_engine.migrate.reporting.next_steps import next_steps
from ssot_engine.migrate.reporting.traffic import Hot, Traffic, traffic
from ssot_engine.migrate.scanning.scan import Scanned

__all__ = ["Hot", "PackageProgress", "Progress", "progress"]


class PackageProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the tree."""

    package: str
    #: References that name new modules, that the tool would rewrite, and that a person has to change.
    done: int
    pending: int
    by_hand: int
    #: Uses of old doors that processes counted at its lines.
    uses: int

    @property
    def percent(self) -> float:
        """Of its references, how many are done."""
        total = self.done + self.pending + self.by_hand
        return 100.0 if total == 0 else 100.0 * self.done / total


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    total: PackageProgress
    #: By name. A folder's line does not count the folders below it that have a line of their own.
    packages: tuple[PackageProgress, ...]
    #: The most used first.
    hot: tuple[Hot, ...]
    #: Findings that no counted process went through.
    cold: int
    #: What to do next, most useful first, each a sentence with a command or a place.
    next_steps: tuple[str, ...]


def progress(scanned: Scanned, tally: Tally | None, root: Path, within: Sequence[Path] = ()) -> Progress:
    """Join what was found with what was counted; without a tally nothing is hot or cold.

    `root` is what paths of findings are relative to; `within` are the paths that were scanned, all of it if none.
    """
    joined = Traffic() if tally is None else traffic(scanned, tally, root, within)
    files = _by_file(scanned, joined.hot)
    shown = {file: _below(root, file) for file in files}
    folder_of = folders({shown[file]: _weight(one) for file, one in files.items()})
    by_folder: dict[str, list[PackageProgress]] = {}
    for file, one in files.items():
        by_folder.setdefault(folder_of[shown[file]], []).append(one)
    return Progress(
        total=_sum("total", files.values()),
        packages=tuple(_sum(folder, every) for folder, every in sorted(by_folder.items())),
        hot=joined.hot,
        cold=len(joined.cold),
        next_steps=next_steps(scanned, tally, joined, [_below(root, path) for path in within]),
    )


def _by_file(scanned: Scanned, hot: Iterable[Hot]) -> dict[str, PackageProgress]:
    """Of each file with references or uses, the numbers."""
    done = {one.path: len(one.adopted) for one in scanned.examined}
    pending = Counter(one.path for one in scanned.findings if not one.by_hand)
    by_hand = Counter(one.path for one in scanned.findings if one.by_hand)
    uses: Counter[str] = Counter()
    for one in hot:
        uses[one.path] += one.uses
    return {
        path: PackageProgress(
            package=path, done=done.get(path, 0), pending=pending[path], by_hand=by_hand[path], uses=uses[path]
        )
        for path in sorted({*done, *uses})
        if done.get(path) or pending[path] or by_hand[path] or uses[path]
    }


def _weight(one: PackageProgress) -> int:
    return one.done + one.pending + one.by_hand + (one.uses > 0)


def _sum(package: str, every: Iterable[PackageProgress]) -> PackageProgress:
    parts = list(every)
    return PackageProgress(
        package=package,
        done=sum(one.done for one in parts),
        pending=sum(one.pending for one in parts),
        by_hand=sum(one.by_hand for one in parts),
        uses=sum(one.uses for one in parts),
    )


def _below(root: Path, path: str | Path) -> str:
    """A path as it is shown: relative to the root, if it is in it."""
    relative = os.path.relpath(os.path.join(root, path), root)
    return Path(path if relative.startswith(os.pardir) else relative).as_posix()
