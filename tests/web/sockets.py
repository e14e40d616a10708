"""A client of the socket for tests: typed frames over a real connection, and bytes over a bare one."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from serving import DEV_USERS, Served
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ssot_engine.container import ExecutionContainer
from ssot_engine.events import Event, ThreadKey
from ssot_engine.web.frames import PROTOCOL, Cursor, Ev, Hello, ServerFrame, Welcome, decode_server, encode

Frame = TypeVar("Frame", bound=ServerFrame)
LIMIT_S = 5.0


def edge(**web: Any) -> dict[str, Any]:
    """Sections of settings for a site without pages, of the development users."""
    return {"auth": DEV_USERS, "web": {"page": False, **web}}


class Talk:
    """A socket as a client sees it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: Welcome | None = None

    async def say(self, frame: Any) -> None:
        """Send a frame."""
        await self.connection.send(encode(frame).decode())

    async def hear(self) -> ServerFrame:
        """The next frame."""
        async with asyncio.timeout(LIMIT_S):
            return decode_server(await self.connection.recv())

    async def expect(self, kind: type[Frame]) -> Frame:
        """The next frame, which must be of a kind."""
        frame = await self.hear()
        assert isinstance(frame, kind), frame
        return frame

    async def answer(self, kind: type[Frame]) -> Frame:
        """The next frame that tells no events, which must be of a kind."""
        while isinstance(frame := await self.hear(), Ev):
            pass
        assert isinstance(frame, kind), frame
        return frame

    async def events(self, enough: Callable[[list[Event]], bool]) -> list[Event]:
        """Events as they come until there are enough."""
        found: list[Event] = []
        while not enough(found):
            found += (await self.expect(Ev)).events
        return found

    async def closed(self) -> tuple[int, str]:
        """The code and reason with which the server closes."""
        async with asyncio.timeout(LIMIT_S):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as ended:
                return (1006, "") if ended.rcvd is None else (ended.rcvd.code, ended.rcvd.reason)


@asynccontextmanager
async def opened(served: Served, **options: Any) -> AsyncIterator[Talk]:
    """A socket on which nothing was said."""
    async with connect(served.ws_url, max_size=None, **options) as connection:
        yield Talk(connection)


@asynccontextmanager
async def talking(
    served: Served, user: str = "alice", *resume: Cursor, client: str | None = None
) -> AsyncIterator[Talk]:
    """A socket of a user, welcomed."""
    async with opened(served) as talk:
        await talk.say(Hello(PROTOCOL, user, client, resume))
        talk.welcome = await talk.expect(Welcome)
        yield talk


class Bare:
    """A WebSocket by hand, for what no decent client would do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""

    def send(self, data: bytes, opcode: int = 1, *, rsv1: bool = False) -> None:
        """Write one masked frame."""
        size = len(data)
        length = (
            bytes([0x80 | size])
            if size < 126
            else struct.pack("!BH", 0x80 | 126, size)
            if size < 65_536
            else struct.pack("!BQ", 0x80 | 127, size)
        )
        self.writer.write(bytes([0x80 | (0x40 if rsv1 else 0) | opcode]) + length + b"\0\0\0\0" + data)

    async def frame(self) -> tuple[int, bytes]:
        """The opcode and content of the next frame; opcode -1 is the end of the connection."""
        async with asyncio.timeout(LIMIT_S):
            try:
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 15, await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return -1, b""

    async def closed(self) -> int:
        """The code with which the server closes, 1006 if it says none."""
        while True:
            opcode, data = await self.frame()
            if opcode == 8:
                code: int = struct.unpack("!H", data[:2])[0]
                return code
            if opcode == -1:
                return 1006


@asynccontextmanager
async def bare(served: Served, *headers: str) -> AsyncIterator[Bare]:
    """A connection that asked for a WebSocket; `head` is what it was answered. What is not read soon fills it up."""
    made = socket.create_connection(("127.0.0.1", served.port))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    reader, writer = await asyncio.open_connection(sock=made)
    try:
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{served.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *headers,
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        bare = Bare(reader, writer)
        bare.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield bare
    finally:
        writer.transport.abort()


def readers_of(container: ExecutionContainer, key: ThreadKey) -> int:
    """How many wait on a thread of a memory log."""
    thread = container.event_log()._threads.get(key)
    waiters = [] if thread is None else thread.waiters.asleep + thread.waiters.patient
    return sum(not waiter.done() for waiter in waiters)
