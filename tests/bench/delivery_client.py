"""The clients of bench_delivery in a process of their own: sockets that count events, and tell how late they come.

`python delivery_client.py PORT PATH CONNECTIONS EVENTS MODE`: opens all, says `ready`, and `done` with figures as JSON
once each has got its events. MODE is count (as cheap as can be) or late (each event's age, from its timestamp).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from typing import Any

import uvloop

MARK = b'"run_seq":'
_TIMESTAMP = re.compile(rb'"timestamp":([0-9.e+]+)')
#: What tells that a socket is open and welcomed: the raw server says it too.
WELCOME = b'"welcome"'


def masked(text: str) -> bytes:
    """A text frame as a client sends it."""
    data = text.encode()
    head = struct.pack("!BB", 0x81, 0x80 | len(data)) if len(data) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(data))
    return head + b"\0\0\0\0" + data


class Reader(asyncio.Protocol):
    """One socket. Its bytes are searched for events, and nothing is kept of them."""

    def __init__(self, path: str, hello: str, events: int, ages: list[float] | None) -> None:
        loop = asyncio.get_running_loop()
        self.ready = loop.create_future()
        self.done = loop.create_future()
        self._path, self._hello = path, hello
        self._left = events
        self._ages = ages
        self._tail = b""
        self.size_bytes = 0
        self.asked_at = self.done_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.size_bytes += len(data)
        data = self._tail + data
        if not self.ready.done():
            self._open(data)
            return
        self._left -= data.count(MARK)
        if self._ages is None:
            self._tail = _beginning(data)
        else:
            self._tail = self._age(data, self._ages)
        if self._left <= 0 and not self.done.done():
            self.done_at = time.perf_counter()
            self.done.set_result(None)

    def _open(self, data: bytes) -> None:
        if WELCOME in data:
            self.ready.set_result(None)
            self._tail = b""
            if MARK in data:
                self.data_received(data[data.index(WELCOME) :])
        elif data.endswith(b"\r\n\r\n"):
            self._tail = b""
            self.asked_at = time.perf_counter()
            self.transport.write(masked(self._hello))
        else:
            self._tail = data

    def _age(self, data: bytes, ages: list[float]) -> bytes:
        now = time.time()
        end = 0
        for found in _TIMESTAMP.finditer(data):
            if found.end() < len(data):
                ages.append(now - float(found[1]))
                end = found.end()
        rest = data[end:]
        # An event that is cut before its timestamp was counted already if its mark was whole.
        return rest if MARK not in rest else rest.replace(MARK, b"")

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in (self.ready, self.done):
            if not waiting.done():
                waiting.set_exception(ConnectionError("the server ended the connection"))


def _beginning(data: bytes) -> bytes:
    """The end of `data` that may be the first part of a mark."""
    for size in range(len(MARK) - 1, 0, -1):
        if data.endswith(MARK[:size]):
            return data[-size:]
    return b""


async def main(port: int, path: str, connections: int, events: int, mode: str) -> None:
    loop = asyncio.get_running_loop()
    ages: list[float] | None = [] if mode == "late" else None
    readers = []
    for number in range(connections):
        hello = {"type": "hello", "protocol": 1, "token": f"u{number}", "resume": [{"thread": "t"}]}
        _, reader = await loop.create_connection(
            lambda hello=hello: Reader(path, json.dumps(hello), events, ages), "127.0.0.1", port
        )
        readers.append(reader)
        await reader.ready
    print("ready", flush=True)
    async with asyncio.timeout(120):
        await asyncio.gather(*[reader.done for reader in readers])
    ages = sorted(ages or [])
    told = {
        "bytes": sum(reader.size_bytes for reader in readers),
        "took_ms": max(reader.done_at - reader.asked_at for reader in readers) * 1e3,
        "p50_ms": ages[len(ages) // 2] * 1e3 if ages else 0.0,
        "p99_ms": ages[int(len(ages) * 0.99)] * 1e3 if ages else 0.0,
    }
    print("done " + json.dumps(told), flush=True)


if __name__ == "__main__":
    port, path, connections, events, mode = sys.argv[1:]
    uvloop.run(main(int(port), path, int(connections), int(events), mode))
