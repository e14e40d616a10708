"""A reverse proxy for tests: shows a server below a path, which it takes off before it passes a request on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK_BYTES = 65_536


class PrefixProxy:
    """The way to one server, below `prefix`. What is asked for beside it is `missed`."""

    def __init__(self, target: int, prefix: str) -> None:
        self._target = target
        self._prefix = prefix
        self._open: set[asyncio.StreamWriter] = set()
        self.missed: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where the server is seen, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    async def serve(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """Pass on one request and its answer, or a socket until it ends."""
        self._open.add(near)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(near_in, near)
        finally:
            self._open.discard(near)
            near.close()

    async def _serve(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        head = (await near_in.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, rest = head.split(" ", 2)
        if not path.startswith(self._prefix):
            self.missed.append(path)
            near.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        if "upgrade: websocket" not in rest.lower():
            # One request per connection, so that no second head has to be found in the stream.
            rest = rest.replace("Connection: keep-alive", "Connection: close")
        far_in, far = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add(far)
        far.write(f"{method} {path.removeprefix(self._prefix) or '/'} {rest}".encode("latin-1"))
        up = asyncio.create_task(_pass(near_in, far))
        await _pass(far_in, near)
        up.cancel()
        self._open.discard(far)
        far.close()

    def close(self) -> None:
        """End every connection."""
        for writer in self._open:
            writer.transport.abort()


async def _pass(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            to.write(data)
            await to.drain()


@asynccontextmanager
async def proxying_below(prefix: str, target: int) -> AsyncIterator[PrefixProxy]:
    """A reverse proxy in front of a port, until the block ends."""
    proxy = PrefixProxy(target, prefix)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
        await server.wait_closed()
