"""What the routes of a host's own application may depend on: the user's engine, and what the user may see and do."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import HTTPConnection

from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ConfigError
from ssot_engine.ids import new_id
from ssot_engine.web.access import UserAccess
from ssot_engine.web.site import Site

__all__ = ["get_access", "get_engine", "host_site"]

#: The header that names the thread where neither path nor query does.
THREAD_HEADER = "x-thread-id"


def host_site(connection: HTTPConnection) -> Site:
    """The site that `install` put into the application of this route.

    Raises:
        ConfigError: none was; a sub-application has one of its own or none.
    """
    site: Site | None = getattr(connection.app.state, "ssot_engine", None)
    if site is None:
        raise ConfigError(
            f"the application {connection.app.title!r} of {connection.url.path!r} has no engines: "
            "call ssot_engine.install(app, …) on the application that this route was added to"
        )
    return site


async def get_access(connection: HTTPConnection) -> UserAccess:
    """What the user behind a request may see and do: `access: Annotated[UserAccess, Depends(get_access)]`.

    Raises:
        NotAuthenticated: nobody is proven.
        Forbidden: a page of another site sent it.
    """
    return await host_site(connection).enter(connection)


async def get_engine(connection: HTTPConnection) -> AsyncIterator[UserExecutionEngine]:
    """An engine of the user behind a request: `engine: Annotated[UserExecutionEngine, Depends(get_engine)]`.

    Its thread is the `thread_id` of the path or the query, else the header `X-Thread-Id`, else new; its run is new. It
    ends after the answer was sent, so a streamed answer may still use it; `Depends(get_engine, scope="function")` ends
    it when the route returns.

    Raises:
        NotAuthenticated: nobody is proven.
        Forbidden: a page of another site sent it.
        InvalidContext: the thread id is refused.
        EngineLimitReached: the user, or the process, has too many engines.
    """
    site = host_site(connection)
    access = await site.enter(connection)
    context = UserExecutionContext.from_request(access.user_id, _thread_id(connection), new_id("run"))
    async with site.container.engine_factory().engine_for(context) as engine:
        yield engine


def _thread_id(connection: HTTPConnection) -> str:
    named = {"thread_id": connection.headers.get(THREAD_HEADER)}
    for place in (connection.path_params, connection.query_params, named):
        if (thread_id := place.get("thread_id")) is not None:
            return str(thread_id)
    return new_id("thread")
