"""A real server for tests: the product's own on a free loopback port, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ssot_engine.container import ExecutionContainer
from ssot_engine.settings import WebSettings
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.authenticators import UserOf
from ssot_engine.web.server import Server, listen
from ssot_engine.web.site import Site


class Served:
    """A site that is served: its address, and what it is made of."""

    def __init__(self, site: Site, app: FastAPI, server: Server, port: int) -> None:
        self.site = site
        self.app = app
        self.server = server
        self.port = port

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where its socket is."""
        return f"ws://127.0.0.1:{self.port}/ws"


DEV_USERS = {"dev_users": ("alice", "bob", "carol")}


@asynccontextmanager
async def serving(
    container: ExecutionContainer, *, drains: bool = False, user: UserOf | None = None
) -> AsyncIterator[Served]:
    """Serve a running container until the block ends. `user`, or `auth.dev_users` of its settings, says who may come.

    At the end the container runs on, unless the server `drains` it as it does at a signal.
    """
    site = create_site(container, user=user)
    app = create_app(site)
    started = asyncio.Event()
    server = Server(site, app, takes_signals=False, on_started=started.set)
    listeners = listen(WebSettings(port=0), loopback_only=True)
    task = asyncio.create_task(server.serve(sockets=listeners))
    opened = asyncio.create_task(started.wait())
    await asyncio.wait((task, opened), return_when=asyncio.FIRST_COMPLETED)
    opened.cancel()
    try:
        yield Served(site, app, server, listeners[0].getsockname()[1])
    finally:
        if not drains:
            site.stopping.set()
        server.stop()
        await task
