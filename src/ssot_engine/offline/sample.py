"""The sample usage log that ships with the package. Its calls are made up."""

from __future__ import annotations

from importlib.resources import files

from ssot_engine.offline.reading import parse_usage
from ssot_engine.offline.usage import UsageLog

__all__ = ["SAMPLE_LABEL", "sample_log"]

SAMPLE_LABEL = "sample usage log (synthetic)"


def sample_log() -> UsageLog:
    """The packaged sample, read afresh; its label says what it is."""
    with files("ssot_engine.offline").joinpath("sample_usage.csv").open("rb") as lines:
        return parse_usage(lines, label=SAMPLE_LABEL)
