"""Runs, threads, agents and engines over HTTP."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response

from ssot_engine.events import CancelReceipt
from ssot_engine.web import frames
from ssot_engine.web.access import MAX_KEY, RunOrder, Submitted
from ssot_engine.web.models import (
    Agents,
    Engines,
    Json,
    RunRequest,
    RunView,
    Threads,
    answer,
    engines,
    problems,
    run_view,
)
from ssot_engine.web.site import Access, site_of

router = APIRouter(prefix="/api")

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1, max_length=MAX_KEY, description="Makes it safe to repeat the request: the same key, the same run"
    ),
]
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the run's end, 0 to 60")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most, 1 to 1000")]

_RUN_ID = {"run_id": "$response.body#/run_id"}
_LINKS = {name: {"operationId": name, "parameters": _RUN_ID} for name in ("show_run", "cancel_run")}


@router.post(
    "/runs",
    status_code=202,
    response_class=Json,
    responses={
        202: {**answer(Submitted, "It has started; Location says where its record is", 202)[202], "links": _LINKS},
        **answer(Submitted, "The same key had started it before"),
        **problems(400, 401, 403, 404, 409, 413, 429, 503),
    },
)
async def start_run(order: RunRequest, access: Access, idempotency_key: IdempotencyKey = None) -> Response:
    """Start a run. It goes on whether or not the client stays."""
    started = await access.submit(RunOrder(**dict(order), idempotency_key=idempotency_key))
    # Relative to this request, so it holds behind any prefix.
    where = {"Location": f"runs/{quote(started.run_id, safe='')}"}
    return Json(started, 200 if started.position is None else 202, where)


@router.get(
    "/runs/{run_id:path}",
    operation_id="show_run",
    response_class=Json,
    responses={**answer(RunView, "The run; its result once it has ended"), **problems(401, 403, 404, 503)},
)
async def show_run(run_id: str, access: Access, request: Request, wait_s: Wait = 0) -> Response:
    """What is known of a run."""
    stopping = site_of(request).stopping.is_set()
    return Json(run_view(await access.record(run_id, 0 if stopping else wait_s)))


@router.delete(
    "/runs/{run_id:path}",
    operation_id="cancel_run",
    response_class=Json,
    responses={
        **answer(CancelReceipt, "What became of it: nothing of the run acts any more, except what the receipt names"),
        **problems(401, 403, 404, 503),
    },
)
async def cancel_run(run_id: str, access: Access) -> Response:
    """Stop a run."""
    return Json(await access.cancel(run_id))


@router.get("/threads", response_class=Json, responses={**answer(Threads, "Newest first"), **problems(401, 403, 503)})
async def list_threads(access: Access, limit: Limit = 100) -> Response:
    """The user's conversations."""
    return Json(Threads(await access.threads(limit)))


@router.get("/agents", response_class=Json, responses={**answer(Agents, "By name"), **problems(401, 403, 503)})
async def list_agents(access: Access) -> Response:
    """The agents that can be asked."""
    return Json(Agents(await access.agents()))


@router.get("/engines", response_class=Json, responses={**answer(Engines, "As of now"), **problems(401, 403)})
async def show_engines(access: Access, request: Request) -> Response:
    """Engines, limits, queue and lag: the user's own, everybody's for an admin."""
    return Json(engines(access.overview(), site_of(request).deliveries, time.time()))


@router.get("/protocol", response_class=Json)
async def show_protocol() -> Response:
    """The JSON Schema of the socket's frames."""
    return Json(frames.schema())
