"""What an outlet does with frames that are not taken."""

from __future__ import annotations

import asyncio

import pytest

from fakes import until
from ssot_engine.web.outlet import ABORT, TEXT, Gone, Outlet, TextWriter


class Transport:
    """Takes messages while there is room, as a server does; one that `is_ours` takes text the short way."""

    def __init__(self, *, is_ours: bool = False) -> None:
        self.is_ours = is_ours
        self.is_gone = False
        self.taken: list[dict] = []
        self.room = asyncio.Event()
        self.room.set()
        self.aborts = 0
        self.stuck = 0

    async def send(self, message: dict) -> None:
        await self.room.wait()
        if self.is_gone:
            raise OSError
        self.taken.append(message)

    def write(self, text: bytes) -> None:
        assert self.room.is_set()
        if self.is_gone:
            raise OSError
        self.taken.append({"type": "websocket.send", "text": text.decode()})

    def abort(self) -> None:
        self.aborts += 1

    def outlet(self, timeout_s: float = 0.02) -> Outlet:
        text = {TEXT: TextWriter(self.room, self.write)} if self.is_ours else {}
        return Outlet(self.send, {ABORT: self.abort, **text}, timeout_s, self._count)

    def _count(self) -> None:
        self.stuck += 1


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_frame_that_is_not_taken_is_told(is_ours: bool) -> None:
    """Once, after the time limit; frames that were taken in time are not."""
    transport = Transport(is_ours=is_ours)
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


@pytest.mark.parametrize("is_ours", [True, False])
async def test_one_frame_waits_for_room_at_a_time(is_ours: bool) -> None:
    """Of several that wait together each would find room and write; here they come one after another."""
    transport = Transport(is_ours=is_ours)
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


@pytest.mark.parametrize("is_ours", [True, False])
async def test_who_sends_to_a_client_that_is_gone_is_told(is_ours: bool) -> None:
    """A server tells it by an OSError, which from elsewhere may mean other things; closing what is gone is nothing."""
    transport = Transport(is_ours=is_ours)
    outlet = transport.outlet()
    transport.is_gone = True
    with pytest.raises(Gone):
        await outlet.send(b"one")
    await outlet.close(1000, "")
    assert ([], 0) == (transport.taken, transport.aborts)
