"""Migrates generated hosts, one after the other, and looks for a reference that was neither led on nor told.

`python tests/chaos/migrate_corpus.py --trees 2000 --seed 7`. Each host is run before and after: what its files tell is
what is compared. Ends with status 1 if a host is wrong, and prints the smallest that is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "migrate"))

from corpus import BLOCKS, LINES, Module, trees
from corpus_shapes import SHAPES
from hypothesis import HealthCheck, Phase, given, seed, settings
from oracle import Ours, judge


class Tally:
    """What was migrated, in numbers."""

    def __init__(self) -> None:
        self.trees = 0
        self.files = 0
        self.probes = 0
        self.shapes: Counter[str] = Counter()
        self.wraps: Counter[str] = Counter()

    def add(self, modules: list[Module]) -> None:
        """One more host."""
        self.trees += 1
        self.files += len(modules)
        placed = [one for module in modules for one in module.placed]
        self.probes += sum(len(one.piece.probes) for one in placed)
        self.shapes.update(one.name for one in placed)
        self.wraps.update(wrap for one in placed for wrap in one.wraps)

    def __str__(self) -> str:
        rarest = min(self.shapes[name] for name in SHAPES)
        rarest_wrap = min(self.wraps[name] for name in (*BLOCKS, *LINES))
        return (
            f"{self.trees} hosts, {self.files} files, {sum(self.shapes.values())} pieces of {len(SHAPES)} shapes "
            f"(each at least {rarest} times, each wrap {rarest_wrap}), {self.probes} things told"
        )


def main() -> int:
    """Migrate so many hosts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=300, help="how many hosts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rename-uses", action="store_true", help="local names follow the new ones")
    parser.add_argument("--as-found", action="store_true", help="do not look for a smaller host that is wrong too")
    options = parser.parse_args()
    phases = [Phase.generate] if options.as_found else [Phase.generate, Phase.shrink]
    tally, folder, began = Tally(), Path(tempfile.mkdtemp(prefix="migrate-corpus-")), time.monotonic()
    tool = Ours(rename_uses=options.rename_uses)

    @seed(options.seed)
    @settings(max_examples=options.trees, deadline=None, database=None, phases=phases, report_multiple_bugs=False,
              suppress_health_check=list(HealthCheck), print_blob=False)  # fmt: skip
    @given(trees())
    def migrate(modules: list[Module]) -> None:
        shutil.rmtree(folder / "host", ignore_errors=True)
        wrong = judge(folder / "host", modules, tool, uses_stay=not options.rename_uses)
        assert not wrong, "\n\n".join(map(str, wrong[:5]))
        tally.add(modules)

    try:
        migrate()
    except AssertionError as error:
        print(error.args[0] if error.args else error)
        print(f"wrong after {tally} (seed {options.seed}); the host is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"right: {tally}, {time.monotonic() - began:.0f} s, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
