"""What a client that stops reading costs, how it ends, and what it has lost: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from serving import serving
from sockets import Bare, bare, edge, talking

from fakes import ALICE, draft, ending, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.events import Event, Position
from ssot_engine.settings import WebSettings
from ssot_engine.web.frames import PROTOCOL, Accepted, Ack, Cursor, Ev, Hello, Ping, Pong, Run, decode_server, encode
from ssot_engine.web.outlet import CLOSE_GRACE_S

COUNT = 400
BYTES = 40_000


@agent("echo")
async def echo(run: RunContext) -> str:
    return run.message


def ended(events: list[Event]) -> bool:
    """The newest event ends its run."""
    return bool(events) and events[-1].type == "agent_completed"


async def filled(container: ExecutionContainer, count: int = COUNT) -> None:
    """A thread of Alice's with more than any socket's buffers hold."""
    log = container.event_log()
    log.begin(ALICE, "run-1")
    for number in range(1, count + 1):
        await log.append(ALICE, [draft("message_delta", number, text="x" * BYTES)], attempt=1)


async def events_until_the_end(client: Bare) -> list[Event]:
    """What is still to be read of whole frames."""
    found: list[Event] = []
    while (frame := await client.frame())[0] == 1:
        told = decode_server(frame[1])
        if isinstance(told, Ev):
            found += told.events
    return found


def rss_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def hello(after: Position | None = None) -> bytes:
    """Alice, who has read her thread so far."""
    cursor = Cursor("t-1") if after is None else Cursor("t-1", after.epoch, after.seq)
    return encode(Hello(PROTOCOL, "alice", None, (cursor,)))


def test_a_stuck_client_is_gone_in_ten_seconds() -> None:
    """By default: what it may leave unread, and the time to take the close."""
    assert WebSettings().send_timeout_s + CLOSE_GRACE_S <= 10


async def test_a_stuck_client_is_cut_off_and_resumes_with_nothing_lost(start: Start) -> None:
    """Its connection is gone from the server, and what it reads later and after a resume is every event once."""
    container = await start(**edge(send_timeout_s=0.1))
    await filled(container)
    async with serving(container) as served:
        async with bare(served) as stuck:
            stuck.send(hello())
            await until(lambda: served.site.deliveries.slow_closed)
            await until(lambda: not served.server.server_state.connections)
            await until(lambda: not served.server.server_state.tasks)
            assert {} == +served.site.deliveries.open
            first = await events_until_the_end(stuck)
        assert 0 < len(first) < COUNT
        async with talking(served, "alice", Cursor("t-1", first[-1].epoch, first[-1].seq)) as talk:
            rest = await talk.events(lambda events: len(events) == COUNT - len(first))
        assert list(range(1, COUNT + 1)) == [event.seq for event in first + rest]


async def test_a_client_that_reads_again_in_time_is_not_cut_off(start: Start) -> None:
    """A pause within the limit costs nothing but the time."""
    container = await start(**edge(send_timeout_s=5.0))
    await filled(container)
    await container.event_log().append(ALICE, [ending(COUNT + 1)], attempt=1)
    async with serving(container) as served, bare(served) as client:
        client.send(hello())
        await until(lambda: 0 < served.site.deliveries.events < COUNT)
        seen = -1
        while seen != served.site.deliveries.events:
            seen = served.site.deliveries.events
            await asyncio.sleep(0.05)
        assert seen < COUNT
        found: list[Event] = []
        while not ended(found):
            told = decode_server((await client.frame())[1])
            found += told.events if isinstance(told, Ev) else ()
        assert list(range(1, COUNT + 2)) == [event.seq for event in found]
        assert 0 == served.site.deliveries.slow_closed


async def test_a_client_that_reads_again_within_the_grace_is_told_why(start: Start) -> None:
    """The close with 4008 waits behind what was unread."""
    container = await start(**edge(send_timeout_s=0.1))
    await filled(container)
    async with serving(container) as served, bare(served) as client:
        client.send(hello())
        await until(lambda: served.site.deliveries.slow_closed)
        assert 4008 == await client.closed()


async def test_stuck_clients_cost_little_and_nobody_else_anything(start: Start) -> None:
    """Each at most 2 MiB of memory; meanwhile another user's run, and another socket of the same user, go on."""
    stuck = 8
    container = await start(echo, **edge(send_timeout_s=60.0))
    await filled(container)
    async with serving(container) as served, AsyncExitStack() as stack:
        other = await stack.enter_async_context(talking(served, "bob"))
        same = await stack.enter_async_context(talking(served, "alice"))
        msgspec.json.encode("x" * 4_000_000)
        gc.collect()
        before = rss_bytes()
        for _ in range(stuck):
            (await stack.enter_async_context(bare(served))).send(hello())
        deliveries = served.site.deliveries
        await until(lambda: deliveries.open["socket"] == stuck + 2)
        seen = -1
        while seen != deliveries.events:
            seen = deliveries.events
            await asyncio.sleep(0.05)
        assert seen < stuck * COUNT
        grown = rss_bytes() - before
        assert grown <= stuck * 2 * 2**20, f"{grown / stuck / 2**20:.2f} MiB each"
        await other.say(Run("1", "hello"))
        await other.expect(Accepted)
        assert "hello" == (await other.events(ended))[-1].payload["result"]
        await same.say(Ping("1"))
        await same.expect(Pong)
        served.site.stopping.set()
        await until(lambda: not served.server.server_state.connections)


async def test_pings_of_a_client_that_reads_no_pongs_cost_little(start: Start) -> None:
    """A pong for each would be held for it without bound; one that reads gets its pongs."""
    container = await start(echo, **edge())
    async with serving(container) as served, bare(served) as client:
        client.send(hello())
        assert 1 == (await client.frame())[0]
        client.send(b"there?", 9)
        assert (10, b"there?") == await client.frame()
        (socket,) = served.server.server_state.connections
        for _ in range(100):
            for _ in range(1000):
                client.send(b"x" * 125, 9)
            await client.writer.drain()
        client.send(encode(Ack("t-1", 1)))
        await until(lambda: served.site.deliveries.acks == 1)
        assert socket.transport.get_write_buffer_size() < 2**20


async def test_fragments_of_a_frame_are_not_kept_one_by_one(start: Start) -> None:
    """Empty ones have no size that a limit would see; a frame in pieces is understood."""
    container = await start(echo, **edge())
    async with serving(container) as served, bare(served) as client:
        client.send(hello())
        assert 1 == (await client.frame())[0]
        (socket,) = served.server.server_state.connections
        start_of, rest = b'{"type":"ping",', [b'"id"', b"", b':"in ', b'pieces"}']
        client.writer.write(b"\x01" + bytes([0x80 | len(start_of)]) + b"\0\0\0\0" + start_of)
        client.writer.write((b"\x00\x80" + b"\0\0\0\0") * 50_000)
        for piece in rest:
            client.writer.write(b"\x00" + bytes([0x80 | len(piece)]) + b"\0\0\0\0" + piece)
        await client.writer.drain()
        await until(lambda: len(b"".join(socket.frames)) == len(start_of) + sum(map(len, rest)))  # type: ignore[union-attr]
        assert 1 == len(socket.frames)  # type: ignore[union-attr]
        client.writer.write(b"\x80\x80\0\0\0\0")
        opcode, told = await client.frame()
        assert (1, Pong) == (opcode, type(pong := decode_server(told)))
        assert isinstance(pong, Pong)
        assert "in pieces" == pong.id
