"""Problem details: what a client is told of an error, and what every answer has in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from asking import ADMINS, PAGELESS, asking, greeter
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from serving import Served, serving
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from running import Start
from ssot_engine import errors
from ssot_engine.errors import ClosedError, LogUnavailable, RequestError, SsotEngineError
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.frames import BadFrame
from ssot_engine.web.problems import BodyTooLarge, problem_of

SECRET = "sk-hunter2"


@asynccontextmanager
async def site(start: Start, **web: Any) -> AsyncIterator[Served]:
    container = await start(greeter, web={**PAGELESS, **web}, auth=ADMINS)
    async with serving(container) as served:
        yield served


def raising(served: Served, error: Exception) -> None:
    """Add a route that ends in this error."""

    async def fail() -> None:
        raise error

    served.app.add_api_route("/api/fail", fail)


# ------------------------------------------------------------------------- what is told

TOLD = [
    (RequestError("no"), 400, "request_error", "no"),
    (errors.InvalidContext("run_id", 7, "is a int"), 400, "invalid_context", "run_id 7 is a int"),
    (errors.NotAuthenticated("who?"), 401, "not_authenticated", "who?"),
    (errors.Forbidden("not so"), 403, "forbidden", "not so"),
    (errors.NotFound("none"), 404, "not_found", "none"),
    (errors.UnknownRun("r"), 404, "unknown_run", "unknown run 'r'; list your runs to see their ids"),
    (errors.UnknownAgent("a", ["b"]), 404, "unknown_agent", "unknown agent 'a'; registered are: 'b'"),
    (errors.RunConflict("r"), 409, "run_conflict", None),
    (errors.EngineLimitReached("u", 1, "engine.max_engines", "busy"), 429, "engine_limit_reached", None),
    (errors.TooManyRequests("runs", "1/minute", "web.runs_rate", 7.2), 429, "too_many_requests", None),
    (BadFrame("no JSON"), 400, "bad_frame", None),
    (BodyTooLarge(5), 413, "body_too_large", None),
    (LogUnavailable("sqlite:////home/x.db", "disk full"), 503, "log_unavailable", None),
    (ClosedError("engine 7 has ended"), 503, "unavailable", None),
    (errors.StaleAttempt("r", 1, 2, None), 503, "unavailable", None),
    (HTTPException(418, "short and stout"), 418, "im_a_teapot", "short and stout"),
    (errors.ConfigError(SECRET), 500, "internal_server_error", None),
    (errors.ToolError("t", SECRET), 500, "internal_server_error", None),
    (ValueError(SECRET), 500, "internal_server_error", None),
]


@pytest.mark.parametrize(("error", "status", "code", "detail"), TOLD, ids=lambda one: type(one).__name__)
def test_an_error_has_its_status_and_a_stable_code(
    error: Exception, status: int, code: str, detail: str | None
) -> None:
    """A client can tell errors apart by `code`; the text is what the error itself says."""
    problem = problem_of(error)
    assert (status, code) == (problem.status, problem.code)
    assert detail in (None, problem.detail)
    assert problem.title.replace("'m a", "").istitle()


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    """An error's class and all below it that a door can meet: of the web edge, and those that all parts share."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith(("ssot_engine.web.", "ssot_engine.errors")):
            yield from subclasses(below)


def test_every_error_of_a_client_is_in_the_table() -> None:
    """A new kind of `RequestError` gets its row, so that its code is chosen and not an accident."""
    listed = {type(error) for error, *_ in TOLD}
    assert set() == {kind.__name__ for kind in subclasses(RequestError)} - {kind.__name__ for kind in listed}


@pytest.mark.parametrize(
    "error", [error for error, status, *_ in TOLD if status >= 500], ids=lambda one: type(one).__name__
)
def test_errors_of_the_server_tell_nothing_of_it(error: Exception) -> None:
    """No path, no text of the exception, no class name."""
    told = json.dumps([problem_of(error).title, problem_of(error).detail])
    for word in (SECRET, "x.db", "disk", "engine 7", "attempt", type(error).__name__):
        assert word not in told


def test_waiting_is_advised_where_it_helps() -> None:
    """`retry_after_s` is the error's own for full limits, a few seconds for a server that cannot serve, else none."""
    advised = {type(error): problem_of(error).retry_after_s for error, *_ in TOLD}
    assert (1.0, 7.2, 5.0, 5.0) == (
        advised[errors.EngineLimitReached], advised[errors.TooManyRequests], advised[LogUnavailable],
        advised[ClosedError],
    )  # fmt: skip
    helped = {errors.EngineLimitReached, errors.TooManyRequests, LogUnavailable, ClosedError, errors.StaleAttempt}
    assert {None} == {advised[kind] for kind in advised if kind not in helped}


# ------------------------------------------------------------------------- on the wire


async def test_a_problem_is_answered_as_rfc_9457_says(start: Start) -> None:
    """Media type, status in the body as on the line, Retry-After in whole seconds rounded up."""
    async with site(start) as served, asking(served) as client:
        raising(served, errors.TooManyRequests("runs", "1/minute", "web.runs_rate", 7.2))
        answer = await client.get("/api/fail")
    assert (429, "application/problem+json", "8") == (
        answer.status_code, answer.headers["content-type"], answer.headers["retry-after"],
    )  # fmt: skip
    assert {
        "title": "Too Many Requests",
        "status": 429,
        "detail": "too many runs: web.runs_rate is 1/minute; try again in 7.2 s",
        "code": "too_many_requests",
        "retry_after_s": 7.2,
    } == answer.json()


async def test_an_unknown_path_and_method_are_problems_too(start: Start) -> None:
    """What the router refuses looks like what a route refuses; 405 says all that is allowed."""
    async with site(start) as served, asking(served) as client:
        nowhere, wrong = await client.get("/api/nowhere"), await client.get("/api/runs")
        several = await client.post("/api/runs/run-1")
    assert (404, "not_found") == (nowhere.status_code, nowhere.json()["code"])
    assert (405, "method_not_allowed", "POST") == (wrong.status_code, wrong.json()["code"], wrong.headers["allow"])
    assert "GET, DELETE" == several.headers["allow"]
    assert {"application/problem+json"} == {nowhere.headers["content-type"], wrong.headers["content-type"]}


async def test_who_is_not_signed_in_is_told_how(start: Start) -> None:
    """401 comes with WWW-Authenticate."""
    async with site(start) as served, asking(served, None) as client:
        answer = await client.get("/api/agents")
    assert (401, 'Bearer realm="ssot-engine"', "not_authenticated") == (
        answer.status_code, answer.headers["www-authenticate"], answer.json()["code"],
    )  # fmt: skip


async def test_a_malformed_request_is_told_where_but_never_quoted(start: Start) -> None:
    """Each mistake by its place; a token that stands at a wrong place does not come back."""
    body = {"timeout_s": SECRET, "token": SECRET, "inputs": SECRET, "agent": 5, "run_id": "", "thread_id": "x" * 200}
    async with site(start) as served, asking(served) as client:
        answer = await client.post("/api/runs", json=body)
        torn = await client.post("/api/runs", content=b'{"message": ', headers={"content-type": "application/json"})
    assert (422, "invalid_request") == (answer.status_code, answer.json()["code"])
    assert "body.message: Field required" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("and 2 more")
    assert SECRET not in answer.text
    assert (422, "invalid_request") == (torn.status_code, torn.json()["code"])


@pytest.mark.parametrize(
    "content", [b'{"message": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b"7", b'{"message": 1e999}']
)
async def test_odd_bodies_are_the_clients_mistake(start: Start, content: bytes) -> None:
    """Lone surrogates, no UTF-8, nesting without end, no object: refused, never a failure of the server."""
    async with site(start) as served, asking(served) as client:
        answer = await client.post("/api/runs", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert "application/problem+json" == answer.headers["content-type"]


async def test_a_failure_is_logged_and_not_told(start: Start) -> None:
    """500 without a word of the exception; the entry has it, without its secrets."""
    async with site(start) as served, asking(served) as client:
        raising(served, ZeroDivisionError(f"password={SECRET} and the divisor"))
        with capture_logs() as entries:
            answer = await client.get("/api/fail")
    assert (500, "internal_server_error") == (answer.status_code, answer.json()["code"])
    assert "divisor" not in answer.text
    assert [("request_failed", "GET", "/api/fail", "error")] == [
        (entry["event"], entry["method"], entry["path"], entry["log_level"]) for entry in entries
    ]
    assert "nosniff" == answer.headers["x-content-type-options"]


async def test_a_server_that_cannot_serve_says_so_and_logs_why(start: Start) -> None:
    """503 with Retry-After; the reason is in the log only."""
    async with site(start) as served, asking(served) as client:
        raising(served, LogUnavailable("sqlite:////home/x.db", "disk full"))
        with capture_logs() as entries:
            answer = await client.get("/api/fail")
    assert (503, "5", "log_unavailable") == (
        answer.status_code, answer.headers["retry-after"], answer.json()["code"],
    )  # fmt: skip
    assert [("request_refused", "log_unavailable")] == [(entry["event"], entry["code"]) for entry in entries]
    assert "disk full" in entries[0]["error"]


async def test_a_failure_after_the_answer_began_breaks_it_off(start: Start) -> None:
    """The client sees that something is missing; it is not handed a shorter answer as a whole one."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise ZeroDivisionError("midway")

    async def stream() -> StreamingResponse:
        return StreamingResponse(pieces())

    async with site(start) as served:
        served.app.add_api_route("/api/stream", stream)
        with capture_logs() as entries:
            got = await raw(served, b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200")
    assert not got.endswith(b"0\r\n\r\n")
    assert 1 == [entry["event"] for entry in entries].count("request_failed")


# ----------------------------------------------------------------------------- bodies


async def raw(served: Served, request: bytes) -> bytes:
    """What a socket that sends these bytes gets until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


def post(*headers: str, body: bytes = b"") -> bytes:
    lines = ["POST /api/runs HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer alice", "Connection: close",
             "Content-Type: application/json", *headers, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (*chunks, b""))


MESSAGE = json.dumps({"message": "x" * 200}).encode()


async def test_a_body_up_to_the_limit_is_read_and_one_byte_more_is_not(start: Start) -> None:
    """Declared or in chunks; what is too large is refused with 413."""
    async with site(start, max_message_bytes=len(MESSAGE)) as served:
        fits = await raw(served, post(f"Content-Length: {len(MESSAGE)}", body=MESSAGE))
        in_chunks = await raw(served, post("Transfer-Encoding: chunked", body=chunked(MESSAGE[:9], MESSAGE[9:])))
        larger = await raw(served, post(f"Content-Length: {len(MESSAGE) + 1}", body=MESSAGE + b" "))
        larger_in_chunks = await raw(served, post("Transfer-Encoding: chunked", body=chunked(MESSAGE, b" ")))
    assert [b"202", b"202", b"413", b"413"] == [
        answer.split()[1] for answer in (fits, in_chunks, larger, larger_in_chunks)
    ]
    for refused in (larger, larger_in_chunks):
        assert b"application/problem+json" in refused
        assert b'"code":"body_too_large"' in refused


async def test_a_body_that_is_declared_too_large_is_refused_before_it_comes(start: Start) -> None:
    """The answer does not wait for a single byte of it."""
    async with site(start) as served:
        answer = await raw(served, post("Content-Length: 99999999999"))
    assert b"413" == answer.split()[1]


# ---------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("method", "path", "user"),
    [("GET", "/api/agents", "alice"), ("GET", "/api/nowhere", "alice"), ("GET", "/api/agents", None),
     ("POST", "/api/runs", "alice"), ("GET", "/healthz", None), ("GET", "/readyz", None), ("GET", "/metrics", None),
     ("GET", "/api/openapi.json", None)],
)  # fmt: skip
async def test_every_answer_of_the_api_has_its_security_headers(
    start: Start, method: str, path: str, user: str | None
) -> None:
    """Nothing guesses its type, keeps it, frames it or runs a script of it; refusals included."""
    async with site(start) as served, asking(served, user) as client:
        headers = (await client.request(method, path)).headers
    assert {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    } == {name: headers[name] for name in sorted(headers) if name.startswith(
        ("x-content", "cache", "referrer", "x-frame", "cross", "content-security")
    )}  # fmt: skip


async def test_a_mounted_site_answers_the_same(start: Start) -> None:
    """Below a host's prefix: headers, problems and methods are told by the path within the site."""
    container = await start(greeter, web=PAGELESS, auth=ADMINS)
    host = FastAPI()
    host.mount("/agents", create_app(create_site(container)))
    transport = httpx2.ASGITransport(host, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/agents", verify=False) as client:
        alive, nowhere, wrong = [await client.get(path) for path in ("healthz", "api/nowhere", "api/runs")]
    assert [(200, "no-store"), (404, "no-store"), (405, "no-store")] == [
        (one.status_code, one.headers["cache-control"]) for one in (alive, nowhere, wrong)
    ]
    assert ("not_found", "POST") == (nowhere.json()["code"], wrong.headers["allow"])


@pytest.mark.parametrize("written", ["https://app.example.org", "https://App.example.org:443"])
async def test_pages_of_allowed_origins_may_read_answers_and_no_others(start: Start, written: str) -> None:
    """A browser asks first (CORS): an allowed origin may send a bearer token, another gets no permission."""
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,idempotency-key"}
    async with site(start, allowed_origins=(written,)) as served, asking(served) as client:
        friend = await client.options("/api/runs", headers={**ask, "origin": "https://app.example.org"})
        stranger = await client.options("/api/runs", headers={**ask, "origin": "https://evil.example.org"})
        read = await client.get("/api/agents", headers={"origin": "https://app.example.org"})
    assert "https://app.example.org" == friend.headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in stranger.headers
    assert "https://app.example.org" == read.headers["access-control-allow-origin"]
    assert {None} == {one.headers.get("access-control-allow-credentials") for one in (friend, stranger, read)}


def test_an_error_that_is_no_clients_is_a_failure_or_a_stop() -> None:
    """Whatever else the package raises is told as 500, or as 503 where trying again helps."""
    for kind in subclasses(SsotEngineError):
        bare = kind.__new__(kind)
        if not issubclass(kind, RequestError):
            assert problem_of(bare).status in (500, 503)
