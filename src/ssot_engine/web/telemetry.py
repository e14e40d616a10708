"""Metrics of one site for Prometheus, in a registry of its own. No label names a user, a thread or a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ssot_engine import __version__
from ssot_engine.events import RunStatus
from ssot_engine.legacy.census import census
from ssot_engine.metrics import Metrics
from ssot_engine.web.deliveries import Deliveries, Wire
from ssot_engine.web.site import Site

#: What each counter of `Metrics` counts.
_COUNTERS = {
    "engines_created": "Engines made",
    "engines_closed": "Engines closed",
    "engines_failed": "Engines that could not be made",
    "engines_swept": "Idle engines closed",
    "bridges_degraded": "Engines whose own bridge could not be built",
    "limit_refusals": "Requests refused because a cap was full",
    "runs_started": "Runs started",
    "runs_abandoned": "Runs whose agent ignored its stop",
    "runs_unrecorded": "Runs whose end the event log could not store",
    "tool_calls": "Tool calls",
    "sweeps_failed": "Searches for idle engines that failed",
}


class SiteCollector(Collector):
    """Reads what a site's container and deliveries count, when somebody asks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        """Every metric, as of now."""
        container, deliveries = self._site.container, self._site.deliveries
        yield _gauge("info", "The version that runs", {__version__: 1}, "version")
        yield from _counted(container.metrics())
        admission = container.admission()
        slots = {"engine": admission.engines, "run": admission.runs}
        yield _gauge("held", "Engines and runs alive", {what: one.live for what, one in slots.items()}, "what")
        yield _gauge(
            "waiting", "Requests that wait for one", {what: one.waiting for what, one in slots.items()}, "what"
        )
        yield _gauge("limit", "How many there may be", {what: one.total for what, one in slots.items()}, "what")
        yield _gauge("users", "Users who hold one", {what: len(one.held) for what, one in slots.items()}, "what")
        yield _gauge("connections", "Readers connected", _wires(deliveries), "wire")
        yield _counter("delivered_events", "Events handed to readers' transports", deliveries.events)
        yield _counter("delivered_frames", "Frames handed to readers' transports", deliveries.frames)
        yield _counter("delivery_resets", "Resets told to readers", deliveries.resets)
        yield _counter("slow_readers", "Readers cut off because they did not read", deliveries.slow_closed)
        p50, p99 = deliveries.lag_ms()
        yield _gauge(
            "delivery_lag_seconds", "From an event to its frame, over the newest deliveries",
            {"0.5": p50 / 1000, "0.99": p99 / 1000}, "quantile",
        )  # fmt: skip
        yield _counter("legacy_uses", "Uses of old doors in this process", census.uses)
        yield _gauge("legacy_sites", "Lines that used an old door", {"": census.known_sites})
        yield _gauge("stopping", "1 once the process is about to end", {"": int(self._site.stopping.is_set())})


def _wires(deliveries: Deliveries) -> dict[str, float]:
    return {wire: deliveries.open[wire] for wire in get_args(Wire)}


def _counted(metrics: Metrics) -> Iterator[Metric]:
    counts = metrics.snapshot()
    for name, what in _COUNTERS.items():
        yield _counter(name, what, counts[name])
    ended = CounterMetricFamily("ssot_engine_runs_ended", "Runs ended, by how", labels=("status",))
    for status in RunStatus:
        ended.add_metric((status.value,), counts[f"runs_{status.value}"])
    yield ended


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"ssot_engine_{name}", what, value)


def _gauge(name: str, what: str, values: Mapping[str, float], label: str | None = None) -> Metric:
    family = GaugeMetricFamily(f"ssot_engine_{name}", what, labels=() if label is None else (label,))
    for key, value in values.items():
        family.add_metric(() if label is None else (key,), value)
    return family


def registry(site: Site) -> CollectorRegistry:
    """A registry with the site's metrics and those of the process: two sites, or a host's own, never meet in one."""
    made = CollectorRegistry()
    made.register(SiteCollector(site))
    ProcessCollector(registry=made)
    GCCollector(registry=made)
    return made
