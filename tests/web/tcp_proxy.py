"""A TCP proxy for tests: it passes bytes on both ways, and cuts, stalls or goes silent where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

Way = Literal["up", "down"]

#: Bytes passed on at a time.
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Cut:
    """Break a connection once so many bytes or whole WebSocket frames went one way: `up` is from the client."""

    way: Way
    at_byte: int | None = None
    after_frame: int | None = None

    def end(self, stream: bytes) -> int | None:
        """Where the stream that began so is broken; None if further on."""
        if self.after_frame is not None:
            return end_of_frame(stream, self.after_frame)
        return self.at_byte if self.at_byte is not None and self.at_byte <= len(stream) else None


def end_of_frame(stream: bytes, count: int) -> int | None:
    """Where the frame with that number ends, counted from 1 after the handshake; None if it is not there yet.

    Source: RFC 6455, section 5.2.
    """
    end = stream.find(b"\r\n\r\n") + 4
    for _ in range(count):
        if end < 4 or len(stream) < end + 2:
            return None
        length, is_masked = stream[end + 1] & 0x7F, stream[end + 1] >= 0x80
        more = {126: 2, 127: 8}.get(length, 0)
        if more:
            length = int.from_bytes(stream[end + 2 : end + 2 + more], "big")
        end += 2 + more + 4 * is_masked + length
    return end if end <= len(stream) else None


#: What becomes of the connection with this number, counted from 0; None leaves it alone.
Plan = Callable[[int], Cut | None]


class TcpProxy:
    """The way to one server. `cuts` and `connections` count what happened."""

    def __init__(self, port: int, plan: Plan, receive_bytes: int | None) -> None:
        self._target = port
        self._plan = plan
        self._receive_bytes = receive_bytes
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        #: Clear while nothing is passed on to clients, so that what is sent fills the buffers on the way.
        self.flows = asyncio.Event()
        self.flows.set()
        #: Connections with a number below lost their network, while nobody said so: their bytes are swallowed.
        self._dead_below = 0
        self.port = 0
        self.connections = 0
        self.cuts = 0

    @property
    def ws_url(self) -> str:
        """Where the server's socket is, by way of this proxy."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def point_at(self, port: int) -> None:
        """Lead to another server from now on."""
        self._target = port

    def go_dead(self) -> None:
        """Swallow whatever is said on the connections there are."""
        self._dead_below = self.connections

    def cut_all(self) -> None:
        """Break every connection there is, without a farewell."""
        for near, far in self._open.values():
            near.transport.abort()
            far.transport.abort()
            self.cuts += 1

    async def wait_closed(self) -> None:
        """Until the last connection has ended."""
        while self._open:
            await asyncio.wait(self._open)

    async def serve(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """Pass one connection on until it ends."""
        number = self.connections
        cut = self._plan(number)
        self.connections += 1
        try:
            far_in, far = await self._connect()
        except OSError:
            near.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = (near, far)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(number, "up", near_in, far, near, cut))
                group.create_task(self._pass(number, "down", far_in, near, far, cut))
        finally:
            del self._open[task]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        far = socket.socket()
        far.setblocking(False)
        if self._receive_bytes is not None:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", self._target))
        except BaseException:
            far.close()
            raise
        return await asyncio.open_connection(sock=far, limit=self._receive_bytes or CHUNK_BYTES)

    async def _pass(
        self, number: int, way: Way, source: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter,
        cut: Cut | None,
    ) -> None:  # fmt: skip
        mine = cut if cut is not None and cut.way == way else None
        passed, end = b"", None
        with contextlib.suppress(OSError):
            while end is None and (data := await source.read(CHUNK_BYTES)):
                if way == "down":
                    await self.flows.wait()
                if number < self._dead_below:
                    continue
                if mine is not None:
                    before, passed = len(passed), passed + data
                    if (end := mine.end(passed)) is not None:
                        data = data[: end - before]
                to.write(data)
                await to.drain()
        self.cuts += end is not None
        await self._end(to, back, is_cut=end is not None)

    async def _end(self, to: asyncio.StreamWriter, back: asyncio.StreamWriter, *, is_cut: bool) -> None:
        """One side has ended, so the other does, once it has what is under way."""
        to.close()
        with contextlib.suppress(OSError):
            await to.wait_closed()
        if is_cut:
            back.transport.abort()


@asynccontextmanager
async def proxying(
    port: int, plan: Plan = lambda _: None, *, receive_bytes: int | None = None
) -> AsyncIterator[TcpProxy]:
    """A proxy in front of a port, until the block ends. It takes in `receive_bytes` more than it can pass on."""
    proxy = TcpProxy(port, plan, receive_bytes)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.flows.set()
        proxy.cut_all()
        await proxy.wait_closed()
        await server.wait_closed()
