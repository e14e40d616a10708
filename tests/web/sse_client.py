"""A reader of server-sent events on a bare TCP connection, which can be cut at any byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import h11
from serving import DEV_USERS

from ssot_engine.errors import LogUnavailable
from ssot_engine.eventlog.base import PAGE_SIZE, Page
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import Position, ThreadKey


def edge(*, auth: Any = DEV_USERS, **web: Any) -> dict[str, Any]:
    """Settings of a served container, without the page."""
    return {"auth": auth, "web": {"page": False, **web}}


STREAM = "text/event-stream"


class Message(NamedTuple):
    """One dispatched event: its type, its data, and the id a reader would send to resume after it."""

    type: str
    data: str
    id: str

    @property
    def json(self) -> Any:
        """The data, decoded."""
        return json.loads(self.data)


class SseParser:
    """Parses a stream as the HTML standard says (9.2.6): an event counts once the blank line after it has come."""

    def __init__(self) -> None:
        self.comments = 0
        self.retry_ms: int | None = None
        self._text = b""
        self._data: list[str] = []
        self._type = ""
        self._id = ""

    def feed(self, data: bytes) -> list[Message]:
        """The events that these bytes complete."""
        *lines, self._text = (self._text + data).replace(b"\r\n", b"\n").split(b"\n")
        found = [self._line(line.decode()) for line in lines]
        return [message for message in found if message is not None]

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments += 1
            case "data":
                self._data.append(value)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isdecimal():
                self.retry_ms = int(value)
        return None

    def _dispatch(self) -> Message | None:
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        return Message(kind or "message", "\n".join(data), self._id) if data else None


class Answer:
    """The answer to one request, read as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._http = h11.Connection(h11.CLIENT)
        self.writer = writer
        self.parser = SseParser()
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.messages: list[Message] = []
        #: Whether the server said that this is all.
        self.is_whole = False
        self.received = 0

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send the request."""
        if body:
            headers = {**headers, "Content-Length": str(len(body)), "Content-Type": "application/json"}
        request = h11.Request(method=method, target=path, headers=[("Host", "127.0.0.1"), *headers.items()])
        self.writer.write(self._http.send(request) + (self._http.send(h11.Data(body)) if body else b""))
        self.writer.write(self._http.send(h11.EndOfMessage()))
        await self.writer.drain()

    async def read(self, enough: Callable[[Answer], object] = lambda _: False, cut: int | None = None) -> Answer:
        """Read until the answer is whole, is enough, or `cut` bytes of it came; a cut drops what came behind it."""
        while not self.is_whole and not enough(self) and (cut is None or self.received < cut):
            data = await self._reader.read(65_536)
            if cut is not None:
                data = data[: cut - self.received]
            if not data:
                break
            self.received += len(data)
            self._take(data)
        return self

    def _take(self, data: bytes) -> None:
        self._http.receive_data(data)
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            match event:
                case h11.Response():
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                case h11.Data():
                    self.body += bytes(event.data)
                    self.messages += self.parser.feed(bytes(event.data))
                case h11.EndOfMessage():
                    self.is_whole = True
                    return

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@asynccontextmanager
async def asked(
    port: int,
    path: str,
    *,
    user: str = "alice",
    method: str = "GET",
    body: Any = None,
    limit_s: float = 10.0,
    **headers: str,
) -> AsyncIterator[Answer]:
    """Ask on a connection of its own, which is dropped when the block ends. `headers` have underscores for dashes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = Answer(reader, writer)
    sent = {"Authorization": f"Bearer {user}", **{name.replace("_", "-"): text for name, text in headers.items()}}
    try:
        async with asyncio.timeout(limit_s):
            await answer.ask(method, path, sent, b"" if body is None else json.dumps(body).encode())
            yield answer
    finally:
        writer.transport.abort()


async def stream(
    port: int,
    path: str,
    enough: Callable[[Answer], object] = lambda _: False,
    *,
    cut: int | None = None,
    **options: Any,
) -> Answer:
    """What one connection streams until it ends, is enough, or is cut."""
    async with asked(port, path, Accept=STREAM, **options) as answer:
        return await answer.read(enough, cut)


async def fetch(port: int, path: str, **options: Any) -> Answer:
    """The whole answer to one request."""
    async with asked(port, path, **options) as answer:
        return await answer.read()


class FailingLog(MemoryEventLog):
    """A log that can be stored in and, once it `fails`, not read."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def read_now(self, key: ThreadKey, after: Position | None, limit: int = PAGE_SIZE) -> Page:
        """A page.

        Raises:
            LogUnavailable: it fails.
        """
        if self.fails:
            raise LogUnavailable(self.url, "its disk is gone")
        return super().read_now(key, after, limit)

    def fail(self, key: ThreadKey) -> None:
        """From now on, and who waits for the thread learns of it."""
        self.fails = True
        self.wake(key)
