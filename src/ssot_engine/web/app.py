"""The site as an ASGI application: every wire at its path."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from ssot_engine import __version__
from ssot_engine.container import ExecutionContainer
from ssot_engine.web import agui, health, http, problems, session, sse
from ssot_engine.web.authenticators import UserOf, authenticator
from ssot_engine.web.deliveries import Deliveries
from ssot_engine.web.origins import Origins
from ssot_engine.web.pages import page_routes
from ssot_engine.web.rates import Rates
from ssot_engine.web.site import Site
from ssot_engine.web.socket import Socket


def create_site(container: ExecutionContainer, *, user: UserOf | None = None) -> Site:
    """What the wires of one edge share. `user` says who a request comes from, in place of the `auth` settings.

    Raises:
        ConfigError: nothing says how users prove who they are.
    """
    settings = container.settings()
    verifier = authenticator(settings.auth, user=user)
    return Site(
        container=container,
        authenticator=verifier,
        origins=Origins(settings.web.allowed_origins, loopback_only=verifier.sign_in.kind == "users"),
        rates=Rates(settings.web),
        deliveries=Deliveries(settings.web.max_connections_per_user),
    )


def create_app(site: Site) -> FastAPI:
    """The site as an application to serve or to mount. Whoever does runs the container around it."""
    app = FastAPI(
        title="ssot-engine",
        version=__version__,
        description="Runs of AI agents, and their events in order with none lost.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.site = site
    problems.install(app, site)
    for part in (http, sse, agui, session, health):
        app.include_router(part.router)
    app.router.routes.append(WebSocketRoute("/ws", Socket(site)))
    if site.container.settings().web.page:
        app.router.routes.extend(page_routes())
    return app
