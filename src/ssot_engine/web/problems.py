"""Errors as RFC 9457 problem details, and what every answer of the site has in common."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ssot_engine.errors import ClosedError, EngineLimitReached, LogUnavailable, RequestError, TooManyRequests, shown
from ssot_engine.logs import get_logger
from ssot_engine.web.frames import Problem
from ssot_engine.web.models import PROBLEM_TYPE, describe
from ssot_engine.web.site import Site

log = get_logger("ssot_engine.web.problems")

#: What Python versions call differently.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: How many of a body's mistakes are told.
_TOLD = 5


class BodyTooLarge(RequestError, HTTPException):
    """A request's body is larger than `web.max_message_bytes`."""

    # FastAPI lets only its own kind of exception through while it reads a body.
    status = 413

    def __init__(self, limit: int) -> None:
        HTTPException.__init__(self, self.status)
        self.limit = limit

    def __str__(self) -> str:
        return f"the body is larger than {self.limit} bytes; send less, or raise web.max_message_bytes"


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error; of one that is not the client's, nothing but that it happened."""
    match error:
        case RequestError():
            return _problem(error.status, str(error), _snake(type(error).__name__), retry_after_s(error))
        case RequestValidationError():
            return _problem(422, _mistakes(error), "invalid_request")
        case HTTPException():
            return _problem(error.status_code, str(error.detail))
        case LogUnavailable():
            return _problem(503, "the event log cannot serve now; try again", "log_unavailable", 5.0)
        case ClosedError():
            return _problem(503, "the server is starting or stopping; try again", "unavailable", 5.0)
    return _problem(500, "the server failed, and its log says why; the request may have been carried out")


def retry_after_s(error: Exception) -> float | None:
    """How long to wait before asking again, in seconds, where that helps."""
    return error.retry_after_s if isinstance(error, EngineLimitReached | TooManyRequests) else None


def _problem(status: int, detail: str, code: str | None = None, retry_after_s: float | None = None) -> Problem:
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    words = re.findall("[a-z]+", title.lower().replace("'", ""))
    return Problem(title, status, detail, code or "_".join(words), retry_after_s=retry_after_s)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _mistakes(error: RequestValidationError) -> str:
    """What is wrong with a request, without quoting what it said."""
    mistakes = [f"{'.'.join(_place(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    more = [f"and {len(mistakes) - _TOLD} more"] if len(mistakes) > _TOLD else []
    return "; ".join([*mistakes[:_TOLD], *more])


def _place(part: object) -> str:
    return part if isinstance(part, str) and part.isidentifier() and len(part) <= 64 else shown(part)


def answer_of(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    more = dict(headers or {})
    if problem.retry_after_s is not None:
        more["Retry-After"] = str(math.ceil(problem.retry_after_s))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        more["WWW-Authenticate"] = 'Bearer realm="ssot-engine"'
    return Response(msgspec.json.encode(problem), problem.status, more, PROBLEM_TYPE)


async def _refuse(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in an error somebody meant."""
    problem = problem_of(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_refused", path=request.url.path, code=problem.code, error=repr(error))
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return answer_of(problem, {"Allow": ", ".join(_allowed(request))})
    return answer_of(problem, error.headers if isinstance(error, HTTPException) else None)


def _allowed(request: Request) -> list[str]:
    """The methods of a path, of all its routes; the router names those of the first."""
    routes = request.app.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


# ----------------------------------------------------------------------------- answers

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_API = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_API_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")


class Edge:
    """Bounds what comes in, and finishes what goes out: the headers of every answer, and an answer to every failure."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = _Sender(send, _is_api(scope))
        try:
            await self._app(scope, _Body(scope, receive, self._max_body_bytes), sender)
        except Exception as error:
            # Anything may have failed; this is where it becomes an answer, unless one was begun.
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if sender.has_begun:
                raise
            await answer_of(problem_of(error))(scope, receive, sender)


def _is_api(scope: Scope) -> bool:
    return str(scope["path"]).removeprefix(scope.get("root_path", "")).startswith(_API_PATHS)


class _Sender:
    """Sends an answer, with the headers that it does not have itself."""

    def __init__(self, send: Send, is_api: bool) -> None:
        self._send = send
        self._is_api = is_api
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            is_plain = self._is_api or message["status"] >= HTTPStatus.BAD_REQUEST
            for name, value in {**_ALWAYS, **(_API if is_plain else {})}.items():
                headers.setdefault(name, value)
        await self._send(message)


class _Body:
    """Receives a request's body, up to a limit."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        declared = Headers(scope=scope).get("content-length", "")
        self._declared = int(declared) if declared.isdecimal() else 0
        self._received = 0

    async def __call__(self) -> Message:
        if self._declared > self._limit:
            raise BodyTooLarge(self._limit)
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise BodyTooLarge(self._limit)
        return message


#: What pages of `web.allowed_origins` may do: everything with a bearer token, nothing with a cookie.
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
    "expose_headers": ["Location", "Retry-After"],
}


def install(app: FastAPI, site: Site) -> None:
    """Every error of the app becomes a problem; bodies are bounded; answers get their headers."""
    for kind in (RequestError, RequestValidationError, HTTPException, LogUnavailable, ClosedError):
        app.add_exception_handler(kind, _refuse)
    settings = site.container.settings().web
    if settings.allowed_origins:
        app.add_middleware(CORSMiddleware, allow_origins=site.origins.allowed(), **_CORS)
    app.add_middleware(Edge, max_body_bytes=settings.max_message_bytes)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema if app.openapi_schema else describe(plain())

    app.openapi = openapi  # type: ignore[method-assign]
