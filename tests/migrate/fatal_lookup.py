"""A table that ends the process which asks it for one name, as a crash of the parser would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ssot_engine.legacy.former import Table
from ssot_engine.migrate.lookup import Became, Lookup


class FatalLookup(Lookup):
    """Asked for a name with "fatal" in it, it kills its process; at most `times`, counted in a file."""

    def __init__(self, table: Table, kills: Path, times: int = 1000) -> None:
        super().__init__(table)
        self.owner = os.getpid()
        self.kills = kills
        self.times = times

    def resolve(self, dotted: str) -> Became | None:
        """What became of a name."""
        if "fatal" in dotted:
            assert os.getpid() != self.owner, "the process of the test was to die"
            done = self.kills.read_bytes() if self.kills.exists() else b""
            if len(done) < self.times:
                self.kills.write_bytes(done + b"x")
                os.kill(os.getpid(), signal.SIGKILL)
        return super().resolve(dotted)
