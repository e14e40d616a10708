"""The endpoint of sockets: it checks where one comes from, accepts it and lets it talk."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from ssot_engine.errors import Forbidden
from ssot_engine.web.connection import Clients, Connection
from ssot_engine.web.site import Site


class Socket:
    """The ASGI application at `/ws`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._clients: Clients = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it ends. One from a page of another site is answered 403 and never opened."""
        request = HTTPConnection(scope)
        await receive()
        try:
            self._site.origins.check(request, is_ambient=False)
        except Forbidden:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        await Connection(self._site, request, receive, send, self._clients).serve()
