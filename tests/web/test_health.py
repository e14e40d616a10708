"""Whether the process lives, is ready, and who may read its metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asking import ADMINS, PAGELESS, asking, greeter
from prometheus_client.parser import text_string_to_metric_families
from serving import serving
from starlette.types import Receive, Scope, Send

from running import Start, small_settings
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import LogUnavailable
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.web import health
from ssot_engine.web.app import create_app, create_site


async def test_a_process_that_serves_lives_and_is_ready(start: Start) -> None:
    """Both need no user."""
    async with serving(await start(greeter, web=PAGELESS, auth=ADMINS)) as served, asking(served, None) as client:
        answers = [await client.get(path) for path in ("/healthz", "/readyz")]
    assert [(200, {"status": "ok", "failing": []})] * 2 == [(one.status_code, one.json()) for one in answers]


async def test_a_process_that_stops_lives_but_is_not_ready(start: Start) -> None:
    """A balancer sends it no more; nobody restarts it."""
    async with serving(await start(greeter, web=PAGELESS, auth=ADMINS)) as served, asking(served, None) as client:
        served.site.stopping.set()
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (200, 503) == (alive.status_code, ready.status_code)
    assert {"status": "unavailable", "failing": ["stopping"]} == ready.json()


async def test_a_container_that_does_not_run_is_not_ready() -> None:
    """Before it runs, there are no engines and there is no log."""
    container = ExecutionContainer.from_settings(small_settings(web=PAGELESS, auth=ADMINS))
    async with serving(container) as served, asking(served, None) as client:
        answer = await client.get("/readyz")
    assert (503, "container") == (answer.status_code, answer.json()["failing"][0])


class _Mute(MemoryEventLog):
    """A log whose storage fails, or does not answer at all."""

    failure: Exception | None = None

    async def runs(self, **_: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()


@pytest.mark.parametrize("failure", [LogUnavailable("memory://", "gone"), None], ids=["fails", "hangs"])
async def test_a_log_that_does_not_answer_is_not_ready(
    start: Start, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    """Whether it refuses or hangs; the reason stays in the process."""
    monkeypatch.setattr(health, "LOG_ANSWERS_S", 0.05)
    container = await start(greeter, web=PAGELESS, auth=ADMINS)
    mute = _Mute()
    mute.failure = failure
    async with serving(container) as served, asking(served, None) as client:
        with container.event_log.override(mute):
            answer = await client.get("/readyz")
    assert (503, ["event_log"]) == (answer.status_code, answer.json()["failing"])
    assert "gone" not in answer.text


# --------------------------------------------------------------------- who reads metrics

INDIRECT = [
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Sec-Fetch-Site",
]


async def test_metrics_are_read_on_the_servers_own_machine_without_signing_in(start: Start) -> None:
    """In the text format that Prometheus reads; a scraper that knows OpenMetrics gets that."""
    async with serving(await start(greeter, web=PAGELESS, auth=ADMINS)) as served, asking(served, None) as client:
        plain = await client.get("/metrics")
        modern = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.text.endswith("# EOF\n")
    names = {family.name for family in text_string_to_metric_families(plain.text)}
    assert {"ssot_engine_runs_started", "ssot_engine_held", "process_open_fds"} <= names


@pytest.mark.parametrize("header", INDIRECT)
async def test_metrics_through_a_proxy_or_from_a_page_are_for_admins(start: Start, header: str) -> None:
    """A peer on loopback is no proof then: nobody is 401, a user is 403, an admin reads."""
    async with serving(await start(greeter, web=PAGELESS, auth=ADMINS)) as served:
        statuses = []
        for user in (None, "alice", "carol"):
            async with asking(served, user) as client:
                statuses.append((await client.get("/metrics", headers={header: "127.0.0.1"})).status_code)
    assert [401, 403, 200] == statuses


async def test_metrics_asked_for_by_another_name_are_for_admins(start: Start) -> None:
    """A page whose name was made to lead to this machine asks from it, and over http says nothing of being a page."""
    container = await start(greeter, web=PAGELESS)
    async with serving(container, user=lambda connection: None) as served, asking(served, None) as client:
        statuses = [
            (await client.get("/metrics", headers={"host": host})).status_code
            for host in ("evil.example:8000", "localhost:8000", "127.0.0.1")
        ]
    assert [401, 200, 200] == statuses


PEERS = [(("10.1.2.3", 5000), 401), (("::1", 5000), 200), (("127.0.0.9", 5000), 200), (("unix", 0), 401), (None, 401)]


@pytest.mark.parametrize(("peer", "status"), PEERS)
async def test_metrics_are_for_admins_wherever_the_peer_is_not_this_machine(peer: Any, status: int) -> None:
    """Also where the server does not know its peer."""
    container = ExecutionContainer.from_settings(small_settings(web=PAGELESS))
    app = create_app(create_site(container, user=lambda connection: None))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await _get(app, "/metrics", peer, receive, send)
    assert status == sent[0]["status"]


async def _get(app: Any, path: str, peer: Any, receive: Receive, send: Send) -> None:
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": peer,
        "server": ("127.0.0.1", 80), "headers": [(b"host", b"127.0.0.1")],
    }  # fmt: skip
    await app(scope, receive, send)
