"""What an outlet does with frames that are not taken."""

from __future__ import annotations

import asyncio

from fakes import until
from ssot_engine.web.outlet import ABORT, Outlet


class Transport:
    """Takes messages while there is room, as a server does."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.room = asyncio.Event()
        self.room.set()
        self.aborts = 0
        self.stuck = 0

    async def send(self, message: dict) -> None:
        await self.room.wait()
        self.taken.append(message)

    def abort(self) -> None:
        self.aborts += 1

    def outlet(self, timeout_s: float = 0.02) -> Outlet:
        return Outlet(self.send, {ABORT: self.abort}, timeout_s, self._count)

    def _count(self) -> None:
        self.stuck += 1


async def test_a_frame_that_is_not_taken_is_told() -> None:
    """Once, after the time limit; frames that were taken in time are not."""
    transport = Transport()
    outlet = transport.outlet()
    await outlet.send(b"one")
    await asyncio.sleep(0.05)
    assert 0 == transport.stuck
    transport.room.clear()
    task = asyncio.create_task(outlet.send(b"two"))
    await until(lambda: transport.stuck)
    task.cancel()
    await asyncio.wait((task,))
    outlet.forget()
    assert ([{"type": "websocket.send", "text": "one"}], 1) == (transport.taken, transport.stuck)


async def test_one_frame_waits_for_room_at_a_time() -> None:
    """Of several that wait together each would find room and write; here they come one after another."""
    transport = Transport()
    outlet = transport.outlet(60.0)
    transport.room.clear()
    tasks = [asyncio.create_task(outlet.send(b"%d" % number)) for number in range(3)]
    await until(lambda: outlet._turn.locked())
    transport.room.set()
    await asyncio.gather(*tasks)
    outlet.forget()
    assert ["0", "1", "2"] == [message["text"] for message in transport.taken]


async def test_closing_says_why_and_ends() -> None:
    """The reason is cut to what a close frame holds; after it nothing is sent."""
    transport = Transport()
    outlet = transport.outlet()
    await outlet.close(4008, "ü" * 100)
    await outlet.send(b"late")
    assert [{"type": "websocket.close", "code": 4008, "reason": "ü" * 61}] == transport.taken
    assert 0 == transport.aborts


async def test_a_client_that_takes_no_close_is_dropped() -> None:
    """The frame that waits goes with it; a server that cannot drop connections is left to end it by itself."""
    transport = Transport()
    outlet = transport.outlet(60.0)
    transport.room.clear()
    task = asyncio.create_task(outlet.send(b"one"))
    await until(lambda: outlet._turn.locked())
    await outlet.close(1012, "", 0.01)
    assert 1 == transport.aborts
    task.cancel()
    await asyncio.wait((task,))
    assert [] == transport.taken
    await Outlet(transport.send, None, 60.0, transport.abort).close(1012, "", 0.01)
    assert 1 == transport.aborts


async def test_closing_what_is_gone_is_nothing() -> None:
    """A server tells by an OSError that the client went away."""

    async def send(message: object) -> None:
        raise OSError

    await Outlet(send, None, 1.0, lambda: None).close(1000, "")
