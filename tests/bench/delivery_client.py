"""The clients of bench_delivery in a process of their own: sockets that count events, or tell how late they come.

`python delivery_client.py PORT CONNECTIONS EVENTS MODE` opens all, says `ready`, and `done` with figures as JSON once
each has got its events. MODE is `count`: sockets are emptied every two milliseconds, so that no write of the server
wakes this process and all servers pay the same for one; or `late`: each event's age when it comes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import select
import socket
import struct
import sys
import time
from typing import Any

import uvloop

HOST = "127.0.0.1"
#: What each event's JSON has once, and the answer to `hello`, which the raw server gives too.
MARK, WELCOME = b'"run_seq":', b'"welcome"'
PAUSE_S = 0.002
LIMIT_S = 120.0
_TIMESTAMP = re.compile(rb'"timestamp":([0-9.e+]+),')


def opening() -> bytes:
    """The request for a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def hello(number: int) -> bytes:
    """The first frame of a client, as a client masks it."""
    text = {"type": "hello", "protocol": 1, "token": f"u{number}", "resume": [{"thread": "t"}]}
    data = json.dumps(text).encode()
    return struct.pack("!BB", 0x81, 0x80 | len(data)) + b"\0\0\0\0" + data


# ----------------------------------------------------------------------------- count


class Counted:
    """A socket whose bytes are searched for events, and thrown away."""

    def __init__(self, port: int, number: int, events: int) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._left = events
        self._tail = b""
        self._socket.sendall(opening())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._socket.recv(4096)
        self.asked_at = self.done_at = time.perf_counter()
        self._socket.sendall(hello(number))
        while WELCOME not in self._tail:
            self._tail += self._socket.recv(1 << 16)
        self._socket.setblocking(False)

    @property
    def is_done(self) -> bool:
        """All events came."""
        return self._left <= 0

    def empty(self) -> None:
        """Count what has come."""
        try:
            data = self._tail + self._socket.recv(1 << 20)
        except BlockingIOError:
            data = self._tail
        if len(data) > len(self._tail) or self._left > 0:
            self._left -= data.count(MARK)
            self._tail = _beginning(data)
            self.done_at = time.perf_counter()


def _beginning(data: bytes) -> bytes:
    """The end of `data` that may be the first part of a mark."""
    sizes = range(len(MARK) - 1, 0, -1)
    return next((data[-size:] for size in sizes if data.endswith(MARK[:size])), b"")


def count(port: int, connections: int, events: int) -> dict[str, float]:
    """Read until every socket has got its events."""
    clients = [Counted(port, number, events) for number in range(connections)]
    print("ready", flush=True)
    waiting, until = clients, time.monotonic() + LIMIT_S
    while waiting and time.monotonic() < until:
        for client in waiting:
            client.empty()
        waiting = [client for client in waiting if not client.is_done]
        select.select((), (), (), PAUSE_S if waiting else 0)
    return {"took_ms": max(client.done_at - client.asked_at for client in clients) * 1e3}


# ------------------------------------------------------------------------------ late


class Timed(asyncio.Protocol):
    """A socket that notes how old each event is when it comes."""

    def __init__(self, number: int, events: int, ages: list[float]) -> None:
        loop = asyncio.get_running_loop()
        self.ready, self.done = loop.create_future(), loop.create_future()
        self._hello = hello(number)
        self._left = events
        self._ages = ages
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(opening())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if self.ready.done():
            self._rest = self._note(data)
        elif WELCOME in data:
            self.ready.set_result(None)
            self._rest = self._note(data)
        elif data.endswith(b"\r\n\r\n"):
            self._rest = b""
            self._transport.write(self._hello)
        else:
            self._rest = data

    def _note(self, data: bytes) -> bytes:
        now, end = time.time(), 0
        for found in _TIMESTAMP.finditer(data):
            self._ages.append(now - float(found[1]))
            self._left -= 1
            end = found.end()
        if self._left <= 0 and not self.done.done():
            self.done.set_result(None)
        return data[end:]


async def late(port: int, connections: int, events: int) -> dict[str, float]:
    """Read until every socket has got its events; the quantiles of their ages."""
    loop = asyncio.get_running_loop()
    ages: list[float] = []
    clients = []
    for number in range(connections):
        _, client = await loop.create_connection(lambda number=number: Timed(number, events, ages), HOST, port)
        await client.ready
        clients.append(client)
    print("ready", flush=True)
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*[client.done for client in clients])
    ages.sort()
    return {"p50_ms": ages[len(ages) // 2] * 1e3, "p99_ms": ages[int(len(ages) * 0.99)] * 1e3}


if __name__ == "__main__":
    port, connections, events = (int(text) for text in sys.argv[1:4])
    is_late = sys.argv[4] == "late"
    told = uvloop.run(late(port, connections, events)) if is_late else count(port, connections, events)
    print("done " + json.dumps(told), flush=True)
