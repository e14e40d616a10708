"""The tools of the offline team: each reads the log its source names and returns figures with their arithmetic."""

from __future__ import annotations

from functools import cache

import msgspec

from ssot_engine.errors import RequestError
from ssot_engine.offline.failures import Failures, failures
from ssot_engine.offline.findings import Finding
from ssot_engine.offline.findings import find_savings as savings_in
from ssot_engine.offline.latency import Latency, latency_by_model
from ssot_engine.offline.moves import Move
from ssot_engine.offline.moves import what_if as move_in
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.repeats import Repeats, repeats
from ssot_engine.offline.report import reply
from ssot_engine.offline.source import Source, admit, usage_log
from ssot_engine.offline.spend import Dimension, Spend
from ssot_engine.offline.spend import spend_by as spend_in
from ssot_engine.offline.usage import UsageLog
from ssot_engine.tools import ToolCall, tool

__all__ = ["FILES_READ", "TOOLS", "Loaded", "TooManyGroups", "WhatIf"]

#: The permission to have this process read a file by its path.
FILES_READ = "files.read"

_MOST_GROUPS = 1_000


class TooManyGroups(RequestError):
    """A log names more `groups` of one kind (`what`) than figures can usefully be given for."""

    status = 422

    def __init__(self, label: str, what: str, groups: int) -> None:
        super().__init__(label, what, groups)
        self.label = label
        self.what = what
        self.groups = groups

    def __str__(self) -> str:
        return (
            f"usage log {self.label!r} has {self.groups:,} different {self.what}; at most {_MOST_GROUPS:,} are told "
            "apart: split the log, or write coarser names"
        )


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a log holds, and the `source` by which the other tools find it; None is the sample."""

    source: Source | None
    label: str
    calls: int
    period: Period
    models: int
    features: int
    skipped_rows: int
    #: The lines an answer about this log ends with: which data, which prices, which model.
    footer: str


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """A move, and the period of the log it was computed for."""

    move: Move
    period: Period


@tool
def load_sample(call: ToolCall) -> Loaded:
    """Load the sample usage log that ships with the package; its calls are made up."""
    return _loaded(None, call)


@tool(permission=FILES_READ)
def load_usage(path: str, call: ToolCall, skip_bad_rows: bool = False) -> Loaded:
    """Load a usage log from a CSV or JSONL file on this machine; bad rows are an error or left out."""
    return _loaded(admit(path, skip_bad_rows, call), call)


@tool
def spend_by(by: Dimension, call: ToolCall, source: Source | None = None) -> Spend:
    """Tell what each model, feature, day or hour of the day costs."""
    return spend_in(usage_log(source, call), _prices(), by)


@tool
def slowest_models(call: ToolCall, source: Source | None = None) -> tuple[Latency, ...]:
    """Tell how long each model takes to answer, slowest first."""
    return latency_by_model(usage_log(source, call))


@tool
def failed_calls(call: ToolCall, source: Source | None = None) -> Failures:
    """Tell which calls failed, what they cost, and how often they were tried again."""
    return failures(usage_log(source, call), _prices())


@tool
def repeated_prompts(call: ToolCall, source: Source | None = None) -> Repeats:
    """Tell which prompts repeat within minutes, and what a cache would save."""
    return repeats(usage_log(source, call), _prices())


@tool
def find_savings(call: ToolCall, source: Source | None = None) -> list[Finding]:
    """Find what could be saved, largest first; no call counts in two findings."""
    return savings_in(usage_log(source, call), _prices())


@tool
def what_if(model: str, target: str, call: ToolCall, source: Source | None = None) -> WhatIf:
    """Tell what moving every call of one model to another would save or cost."""
    log = usage_log(source, call)
    return WhatIf(move=move_in(log, _prices(), model, target), period=Period.of(log))


#: All tools of the team.
TOOLS = (
    load_sample, load_usage, spend_by, slowest_models, failed_calls, repeated_prompts, find_savings, what_if,
)  # fmt: skip


@cache
def _prices() -> PriceTable:
    return PriceTable.load()


def _loaded(source: Source | None, call: ToolCall) -> Loaded:
    log = usage_log(source, call)
    return Loaded(
        source=source,
        label=log.label,
        calls=len(log.calls),
        period=_period(log),
        models=_groups(log, "models", {one.model for one in log.calls}),
        features=_groups(log, "features", {one.feature for one in log.calls}),
        skipped_rows=log.skipped_rows,
        footer=reply("", log, _prices()),
    )


def _period(log: UsageLog) -> Period:
    _groups(log, "days", {one.time.date() for one in log.calls})
    return Period.of(log)


def _groups(log: UsageLog, what: str, names: set[object]) -> int:
    """How many there are. Results grow with them and go into events, so there is a limit."""
    if len(names) > _MOST_GROUPS:
        raise TooManyGroups(log.label, what, len(names))
    return len(names)
