"""Metrics of one site: what they count, and what they never name."""

from __future__ import annotations

from asking import ADMINS, PAGELESS, asking, endless, failing, greeter
from prometheus_client import CollectorRegistry
from serving import serving

from fakes import until
from running import Start
from ssot_engine.web.app import create_site
from ssot_engine.web.telemetry import registry


def sample(metrics: CollectorRegistry, name: str, **labels: str) -> float | None:
    return metrics.get_sample_value(f"ssot_engine_{name}", labels)


async def test_runs_and_engines_are_counted_while_they_live_and_when_they_ended(start: Start) -> None:
    """The registry reads the container's own counters at each scrape."""
    container = await start(greeter, failing, endless, web=PAGELESS, auth=ADMINS)
    async with serving(container) as served, asking(served) as client:
        metrics = registry(served.site)
        assert 0 == sample(metrics, "runs_started_total")
        for name in ("greeter", "failing", "endless"):
            await client.post("/api/runs", json={"message": "x", "agent": name, "run_id": f"run of {name}"})
        await until(lambda: container.admission().engines.live == 1)
        during = {what: sample(metrics, "held", what=what) for what in ("engine", "run")}
        users = sample(metrics, "users", what="engine")
        await client.delete("/api/runs/run of endless")
        await until(lambda: not container.engine_factory().engines())
    assert {"engine": 1, "run": 1} == during
    assert 1 == users
    assert [3, 3, 3] == [
        sample(metrics, f"{name}_total") for name in ("runs_started", "engines_created", "engines_closed")
    ]
    assert [1, 1, 1, 0, 0] == [
        sample(metrics, "runs_ended_total", status=status)
        for status in ("completed", "failed", "cancelled", "timed_out", "lost")
    ]


async def test_what_is_delivered_is_counted(start: Start) -> None:
    """Connections by wire, events, frames, resets and readers that were cut off."""
    container = await start(greeter, web=PAGELESS, auth=ADMINS)
    site = create_site(container)
    metrics, deliveries = registry(site), site.deliveries
    deliveries.resets, deliveries.slow_closed, deliveries.events, deliveries.frames = 1, 2, 3, 4
    with deliveries.reader("alice", "socket"):
        assert [1, 0, 0] == [sample(metrics, "connections", wire=wire) for wire in ("socket", "stream", "agui")]
    assert [1, 2, 3, 4] == [
        sample(metrics, f"{name}_total")
        for name in ("delivery_resets", "slow_readers", "delivered_events", "delivered_frames")
    ]
    assert 0 == sample(metrics, "delivery_lag_seconds", quantile="0.99")


async def test_every_counter_of_the_container_is_a_metric(start: Start) -> None:
    """A counter that is added to `Metrics` is not forgotten here."""
    container = await start(greeter, web=PAGELESS, auth=ADMINS)
    metrics = registry(create_site(container))
    counts = [name for name in container.metrics().__slots__ if name != "runs_ended"]
    assert [] == [name for name in counts if sample(metrics, f"{name}_total") is None]


async def test_no_metric_names_a_user_a_thread_or_a_run(start: Start) -> None:
    """Labels come from short fixed lists, so their number does not grow with use."""
    container = await start(greeter, endless, web=PAGELESS, auth=ADMINS)
    async with serving(container) as served, asking(served) as client:
        before = {
            (one.name, *one.labels.items()) for family in registry(served.site).collect() for one in family.samples
        }
        body = {"message": "x", "agent": "endless", "thread_id": "thread-xyz", "run_id": "run-xyz"}
        await client.post("/api/runs", json=body)
        text = (await client.get("/metrics")).text
        after = {
            (one.name, *one.labels.items()) for family in registry(served.site).collect() for one in family.samples
        }
        await client.delete("/api/runs/run-xyz")
    assert before == after
    for word in ("alice", "bob", "xyz", "endless"):
        assert word not in text


async def test_two_sites_in_one_process_have_two_registries(start: Start) -> None:
    """Each counts its own; neither is in the library's global one."""
    first, second = await start(greeter, web=PAGELESS, auth=ADMINS), await start(greeter, web=PAGELESS, auth=ADMINS)
    async with serving(first) as served, asking(served) as client:
        await client.post("/api/runs", json={"message": "x"})
        assert 1 == sample(registry(served.site), "runs_started_total")
        assert 0 == sample(registry(create_site(second)), "runs_started_total")
        await until(lambda: not first.engine_factory().engines())
