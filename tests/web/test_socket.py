"""What the socket's endpoint lets in, and what it does with bytes that no decent client sends."""

from __future__ import annotations

import json
import zlib

import pytest
from serving import serving
from sockets import bare, edge, opened
from websockets.exceptions import InvalidStatus

from fakes import until
from running import Start
from ssot_engine.web.frames import PROTOCOL, CloseCode, Hello, Welcome, encode

HELLO = encode(Hello(PROTOCOL, "alice"))
LIMIT = 20_000


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_a_page_of_another_site_is_not_let_in(start: Start, origin: str) -> None:
    """It is answered 403 and no socket opens."""
    container = await start(**edge())
    async with serving(container) as served:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(served, origin=origin):
                pass
        assert 403 == refused.value.response.status_code


async def test_own_and_allowed_pages_are_let_in(start: Start) -> None:
    """So is a program, which sends no Origin."""
    container = await start(**edge(allowed_origins=("https://app.example.org",)))
    async with serving(container) as served:
        for origin in (served.url, "https://app.example.org", None):
            async with opened(served, origin=origin) as talk:
                await talk.say(Hello(PROTOCOL, "alice"))
                await talk.expect(Welcome)


async def test_compression_is_not_negotiated(start: Start) -> None:
    """A client that offers it is not refused, and gets none."""
    container = await start(**edge())
    async with serving(container) as served, opened(served, compression="deflate") as talk:
        assert [] == list(talk.connection.protocol.extensions)
        await talk.say(Hello(PROTOCOL, "alice"))
        await talk.expect(Welcome)


async def test_a_compressed_bomb_does_not_inflate(start: Start) -> None:
    """A frame that says it is compressed breaks the protocol: the connection closes without looking into it."""
    container = await start(**edge())
    bomb = zlib.compress(b"x" * 10_000_000)
    async with serving(container) as served, bare(served, "Sec-WebSocket-Extensions: permessage-deflate") as client:
        assert "permessage-deflate" not in client.head
        client.send(bomb, rsv1=True)
        assert 1002 == await client.closed()


async def test_a_binary_frame_is_read_as_json(start: Start) -> None:
    """Programs that have bytes need not decode them."""
    container = await start(**edge())
    async with serving(container) as served, bare(served) as client:
        client.send(HELLO, opcode=2)
        opcode, data = await client.frame()
        assert (1, "welcome") == (opcode, json.loads(data)["type"])


MALFORMED = {
    "empty": b"",
    "no JSON": b"hello",
    "half": HELLO[:-1],
    "null": b"null",
    "a list": b"[]",
    "no type": b"{}",
    "unknown type": b'{"type":"shutdown"}',
    "no text for a token": b'{"type":"hello","protocol":1,"token":7}',
    "no number for a protocol": b'{"type":"hello","protocol":"1"}',
    "a number too large": b'{"type":"hello","protocol":' + b"9" * 5000 + b"}",
    "deep": b'{"type":"run","id":"1","message":"m","inputs":' + b'{"a":' * 3000 + b"1" + b"}" * 3001,
    "deep and unknown": b'{"type":"ping","x":' + b"[" * 9000 + b"]" * 9000 + b"}",
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("opcode", [1, 2])
async def test_a_malformed_frame_closes(start: Start, name: str, opcode: int) -> None:
    """With 4000 before and after `hello`; the server goes on."""
    container = await start(**edge(max_message_bytes=LIMIT))
    async with serving(container) as served:
        for greeting in ([], [HELLO]):
            async with bare(served) as client:
                for frame in greeting:
                    client.send(frame)
                client.send(MALFORMED[name], opcode)
                assert CloseCode.BAD_FRAME == await client.closed()
        await until(lambda: not +served.site.deliveries.open)


async def test_text_that_is_no_utf8_closes(start: Start) -> None:
    """With the protocol's own code as a text frame, with ours as a binary one."""
    container = await start(**edge())
    async with serving(container) as served:
        for opcode, code in ((1, 1007), (2, CloseCode.BAD_FRAME)):
            async with bare(served) as client:
                client.send(b'{"type":"ping","id":"\xff"}', opcode)
                assert code == await client.closed()


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
async def test_a_frame_that_is_too_large_closes(start: Start, size: int) -> None:
    """With 1009, and it is never held whole; one as large as it may be is read."""
    container = await start(**edge(max_message_bytes=LIMIT))
    async with serving(container) as served:
        async with bare(served) as client:
            client.send(HELLO + b" " * (size - len(HELLO)))
            assert CloseCode.TOO_BIG == await client.closed()
        async with bare(served) as client:
            client.send(HELLO + b" " * (LIMIT - len(HELLO)))
            assert 1 == (await client.frame())[0]


async def test_a_server_without_a_limit_of_its_own_has_ours(start: Start) -> None:
    """Where a host serves the site, its server may let larger frames through; they close as well."""
    container = await start(**edge(max_message_bytes=LIMIT))
    async with serving(container) as served:
        served.server.config.ws_max_size = 10 * LIMIT
        async with bare(served) as client:
            client.send(b'"' + "ü".encode() * (LIMIT // 2) + b'"')
            assert CloseCode.TOO_BIG == await client.closed()


@pytest.mark.parametrize("cut", range(0, 60, 7))
async def test_a_connection_cut_in_a_frame_leaves_nothing(start: Start, cut: int) -> None:
    """Wherever in the greeting the client goes away."""
    container = await start(**edge())
    async with serving(container) as served:
        async with bare(served) as client:
            client.writer.write((b"\x81" + bytes([0x80 | len(HELLO)]) + b"\0\0\0\0" + HELLO)[:cut])
        await until(lambda: not served.server.server_state.connections)
        await until(lambda: not served.server.server_state.tasks)
