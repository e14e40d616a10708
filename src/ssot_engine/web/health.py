"""Whether the process lives, is ready, and how it fares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from ssot_engine.errors import ClosedError, Forbidden, LogUnavailable
from ssot_engine.web.models import Health, Json, answer, problems
from ssot_engine.web.origins import is_from_here
from ssot_engine.web.site import Site, enter, site_of
from ssot_engine.web.telemetry import registry

router = APIRouter()

#: How long the event log may take to answer, in seconds.
LOG_ANSWERS_S = 2.0

#: Who has one of these came through a proxy, or is a page in a browser: its peer says nothing about it.
_INDIRECT = (
    "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "sec-fetch-site",
)  # fmt: skip


@router.get("/healthz", response_class=Json, responses=answer(Health, "The process lives"))
async def show_life() -> Response:
    """Whether the process answers at all; restart it when it does not."""
    return Json(Health("ok"))


@router.get(
    "/readyz",
    response_class=Json,
    responses={**answer(Health, "It serves"), **answer(Health, "It does not, now; `failing` says why", 503)},
)
async def show_readiness(request: Request) -> Response:
    """Whether requests can be served; send none while they cannot."""
    failing = tuple([check async for check in _failing(site_of(request))])
    return Json(Health("unavailable" if failing else "ok", failing), 503 if failing else 200)


async def _failing(site: Site) -> AsyncIterator[str]:
    if site.stopping.is_set():
        yield "stopping"
    if not site.container.engine_factory().is_running:
        yield "container"
    if not await _log_answers(site):
        yield "event_log"


async def _log_answers(site: Site) -> bool:
    try:
        async with asyncio.timeout(LOG_ANSWERS_S):
            await site.container.event_log().runs(limit=1)
    except (LogUnavailable, ClosedError, TimeoutError):
        return False
    return True


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 403),
    },
    openapi_extra={"security": [{"bearer": []}, {}]},
)
async def show_metrics(request: Request) -> Response:
    """Metrics for Prometheus: to admins, and without signing in to programs on this machine.

    A proxy on this machine must say that it is one (X-Forwarded-For, Forwarded, Via), or keep this path to itself.
    """
    if not _is_local(request) and not (await enter(request)).identity.is_admin:
        raise Forbidden("metrics are for admins; list the user in auth.admins, or ask from the server's own machine")
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry(site_of(request))), headers={"Content-Type": media_type})


def _is_local(request: Request) -> bool:
    """Whether a program on this machine asks, by itself.

    Browsers send `sec-fetch-site` to names they trust only; a page whose name was made to lead here has another Host.
    """
    if request.client is None or any(name in request.headers for name in _INDIRECT):
        return False
    return is_from_here(request)
