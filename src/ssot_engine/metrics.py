"""Counters of one container: plain integers, read when somebody asks."""

from __future__ import annotations

from collections import Counter

from ssot_engine.events import RunStatus


class Metrics:
    """What happened since the container was made. No counter knows a user, thread or run."""

    __slots__ = (
        "bridges_degraded", "engines_closed", "engines_created", "engines_failed", "engines_swept", "limit_refusals",
        "runs_abandoned", "runs_ended", "runs_started", "runs_unrecorded", "sweeps_failed", "tool_calls",
    )  # fmt: skip

    def __init__(self) -> None:
        self.engines_created = 0
        self.engines_closed = 0
        self.engines_failed = 0
        self.engines_swept = 0
        self.bridges_degraded = 0
        self.limit_refusals = 0
        self.runs_started = 0
        self.runs_ended: Counter[RunStatus] = Counter()
        #: Runs whose agent ignored its stop, and runs whose end the log could not store.
        self.runs_abandoned = 0
        self.runs_unrecorded = 0
        self.tool_calls = 0
        self.sweeps_failed = 0

    def snapshot(self) -> dict[str, int]:
        """All counters by name; `engines_active` is what is open now."""
        counts = {name: getattr(self, name) for name in self.__slots__ if name != "runs_ended"}
        counts["engines_active"] = self.engines_created - self.engines_closed
        for status in RunStatus:
            counts[f"runs_{status.value}"] = self.runs_ended[status]
        return counts
