"""Host applications as hosts serve them: by plain uvicorn, on a free loopback port, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import uvicorn

from fakes import until


class _Uvicorn(uvicorn.Server):
    """uvicorn, which leaves the signals to the test."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def hosting(app: Any, **config: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve a host's application until the block ends; a client for it."""
    server = _Uvicorn(uvicorn.Config(app, port=0, lifespan="on", ws="websockets-sansio", log_config=None, **config))
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or task.done())
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a host's application without a server until the block ends; a client for it."""
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


def as_user(name: str) -> dict[str, str]:
    """The header by which the host applications of the tests know a user."""
    return {"x-user": name}
