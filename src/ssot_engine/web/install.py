"""The site inside a host's own FastAPI application."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, cast

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import ClosedError, ConfigError, LogUnavailable, RequestError
from ssot_engine.logs import get_logger
from ssot_engine.settings import Settings, explain
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.authenticators import UserOf
from ssot_engine.web.frames import Problem
from ssot_engine.web.problems import answer_of, problem_of
from ssot_engine.web.site import Site
from ssot_engine.web.wiring import check_wiring

log = get_logger("ssot_engine.web.install")

_PREFIX = re.compile(r"(/[^/{}?#\s]+)+")
_POLICY_VIOLATION, _INTERNAL = 1008, 1011


def install(
    app: FastAPI,
    container: ExecutionContainer | None = None,
    *,
    agents: Sequence[object] = (),
    user: UserOf | None = None,
    prefix: str = "/agents",
    settings: Settings | None = None,
) -> Site:
    """Put engines into a host's application: its page and API below `prefix`, and `get_engine` for its own routes.

    The container is run inside the host's lifespan; one that the host runs itself by then is only used. Without a
    container one is made of `settings`, which without being given are those of the environment without the built-in
    agents. `user` says who a request comes from; without it the `auth` settings must.

    install(app, agents=[greeter], user=lambda request: request.state.user_id)

    Raises:
        ConfigError: it was installed in this application before, the prefix is taken or no path, or nothing says who
            users are.
        ClosedError: an agent comes too late, the container runs already.
    """
    _check_free(app, prefix)
    if container is None:
        container = ExecutionContainer.from_settings(settings or _own_settings())
    elif settings is not None:
        raise ConfigError("install() was given a container and settings; a container has its settings, leave them out")
    site = create_site(container, user=user)
    for one in agents:
        container.registry().register(one)
    door = _Door(create_app(site), app.title)
    app.mount(prefix, door, name="ssot_engine")
    app.state.ssot_engine = site
    app.router.lifespan_context = _chained(app.router.lifespan_context, site, door)
    for kind in (RequestError, ClosedError, LogUnavailable):
        app.exception_handlers.setdefault(kind, cast("Any", _refuse))
    return site


def _own_settings() -> Settings:
    """The settings of the environment; agents that nobody asked for stay out."""
    asked = {line.name for line in explain(Settings.load()) if line.source != "default"}
    kept_out = {name: False for name in ("offline", "entry_points") if f"agents.{name}" not in asked}
    return Settings.load(agents=kept_out)


def _check_free(app: FastAPI, prefix: str) -> None:
    if getattr(app.state, "ssot_engine", None) is not None:
        raise ConfigError(f"install() was called on the application {app.title!r} before; one application has one site")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"prefix is {prefix!r}; write it as '/agents', with a slash before and none after")
    asked = {"type": "http", "method": "GET", "path": f"{prefix}/healthz", "root_path": "", "headers": []}
    for route in app.router.routes:
        if route.matches(asked)[0] is Match.FULL:
            raise ConfigError(
                f"prefix {prefix!r} is taken by {route!r} of the application {app.title!r}; "
                "call install() before that route is added, or pass another prefix="
            )


# -------------------------------------------------------------------------- life cycle


def _chained(outer: Lifespan[Any], site: Site, door: _Door) -> Lifespan[Any]:
    """The host's lifespan, with the container running inside it."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with outer(app) as state:
            if door.is_open:
                raise ClosedError(
                    f"the lifespan of the application {app.title!r} ran before, and its container runs only once; "
                    "make the application in a function, and a new one for each time it runs"
                )
            check_wiring(app.routes)
            factory = site.container.engine_factory()
            async with nullcontext() if factory.is_running else site.container.running():
                door.is_open = True
                with _ending_at_signals(site):
                    yield state
                site.stopping.set()

    return lifespan


@contextmanager
def _ending_at_signals(site: Site) -> Iterator[None]:
    """When the host's server is told to end, runs get to finish and then event streams end.

    Servers end the lifespan only after all requests, and an open event stream would never be over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, ending = asyncio.get_running_loop(), _Ending(site)
    chained = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    ours = {one: _before(before, loop, ending) for one, before in chained.items() if _is_a_servers(before)}
    for one, handler in ours.items():
        signal.signal(one, handler)
    try:
        yield
    finally:
        for one, handler in ours.items():
            if signal.getsignal(one) is handler:
                signal.signal(one, chained[one])


def _is_a_servers(handler: Any) -> bool:
    return callable(handler) and handler is not signal.default_int_handler


def _before(server: Any, loop: asyncio.AbstractEventLoop, ending: _Ending) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(ending.begin)
        server(number, frame)

    return handle


class _Ending:
    """Lets the runs of a site finish, then its streams."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to end, once."""
        if self._task is None:
            self._task = asyncio.create_task(self._end(), name="ending ssot-engine")

    async def _end(self) -> None:
        await self._site.container.engine_factory().shutdown()
        self._site.stopping.set()


# ------------------------------------------------------------------------------- doors


class _Door:
    """The mounted site; shut until the container runs, because a host's lifespan may never be run."""

    def __init__(self, app: ASGIApp, title: str) -> None:
        self._app = app
        self._title = title
        self.is_open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_open:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._never_started()(scope, receive, send)
        else:
            await _deny(WebSocket(scope, receive, send), self._never_started())

    def _never_started(self) -> Response:
        text = (
            f"the lifespan of the application {self._title!r} has not run, so neither do its engines: an application "
            "mounted below another one is not started by it; enter its lifespan in that of the outer application"
        )
        log.error("site_not_started", application=self._title)
        return answer_of(Problem("Service Unavailable", 503, text, "not_started"))


async def _refuse(connection: HTTPConnection, error: Exception) -> Response | None:
    """What a client of the host's own routes is told of our errors, where the host does not tell it otherwise."""
    problem = problem_of(error)
    if problem.status >= 500:
        log.warning("request_refused", path=connection.url.path, code=problem.code, error=repr(error))
    answer = answer_of(problem)
    if isinstance(connection, WebSocket):
        await _deny(connection, answer)
        return None
    return answer


async def _deny(socket: WebSocket, answer: Response) -> None:
    """Refuse a socket: with the answer if it was not accepted yet and the server can, else by closing it."""
    if socket.application_state is not WebSocketState.CONNECTING:
        await socket.close(_INTERNAL if answer.status_code >= 500 else _POLICY_VIOLATION)
    elif "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(answer)
    else:
        await socket.close()
