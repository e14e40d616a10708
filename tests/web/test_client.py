"""The reference client against a real server: runs, following, cancel, tokens, loss of the connection, bounds."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
import pytest
from serving import Served, serving
from tcp_proxy import TcpProxy, proxying
from websockets.asyncio.server import ServerConnection, serve

from fakes import check_thread, until
from running import Start
from ssot_engine import resuming
from ssot_engine.agents import RunContext, agent
from ssot_engine.client import Client, Replaced, RequestRefused, ServerUnreachable
from ssot_engine.errors import ClosedError, ConfigError, NotAuthenticated, RequestError
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, Outcome, Position, RunStatus
from ssot_engine.web import frames
from ssot_engine.web.frames import BadFrame, CloseCode, decode_client, encode

QUICK = (0.01, 0.05)
WEB = {"page": False, "frames_rate": "100000/second", "runs_rate": "100000/second"}


@agent("talker")
async def talker(run: RunContext) -> AsyncIterator[str]:
    """Says as many words as it is told to."""
    for number in range(run.inputs.get("words", 3)):
        run.emit.custom("said", number)
        yield f"{number} "


class Gate:
    """An agent that waits inside its run until it is let through."""

    def __init__(self) -> None:
        self.name = "gate"
        self.is_reached = asyncio.Event()
        self.may_pass = asyncio.Event()
        self.runs = 0

    async def execute(self, run: RunContext) -> str:
        """Wait."""
        self.runs += 1
        run.emit.custom("waiting")
        self.is_reached.set()
        await self.may_pass.wait()
        return "passed"


@asynccontextmanager
async def site(start: Start, *agents: object, **sections: Any) -> AsyncIterator[Served]:
    """A served container with the talker and other agents, for Alice and Bob."""
    container = await start(talker, *agents, auth={"dev_users": ("alice", "bob")}, web=WEB, **sections)
    async with serving(container) as served:
        yield served


def client(url: str, token: Any = "alice", **more: Any) -> Client:
    """A client that does not wait long."""
    return Client(url, token, retry_s=QUICK, **more)


async def take(source: Any, count: int) -> list[Any]:
    """The next so many of what is followed."""
    async with asyncio.timeout(5):
        return [await anext(source) for _ in range(count)]


async def all_of(handle: Any) -> list[Any]:
    """All events of a run."""
    async with asyncio.timeout(5):
        return [event async for event in handle]


# ---------------------------------------------------------------------------- runs


async def test_a_run_gives_its_events_and_its_result(start: Start) -> None:
    """A run's handle gives exactly its events, the last one last, and what the agent answered."""
    async with site(start) as served, client(served.ws_url) as alice:
        handle = await alice.run("hello", "talker", inputs={"words": 2})
        events = await all_of(handle)
        check_thread(events)
        assert {handle.run_id} == {event.run_id for event in events}
        assert [0, 1] == [event.payload["data"] for event in events if event.type == "custom"]
        result = await handle.result()
        assert (RunStatus.COMPLETED, "0 1 ", handle.run_id) == (result.status, result.output, result.run_id)
        assert "alice" == alice.user


async def test_the_sites_address_serves_as_url(start: Start) -> None:
    """A client may be given the address of the site, with or without a slash at the end."""
    async with site(start) as served:
        for url in (served.url, f"{served.url}/"):
            async with client(url) as alice:
                assert RunStatus.COMPLETED == (await (await alice.run("hello")).result()).status


async def test_a_result_takes_no_events(start: Start) -> None:
    """Waiting for the result leaves every event to the iteration, even one that began before."""
    async with site(start) as served, client(served.ws_url) as alice:
        handle = await alice.run("hello", "talker")
        first = await anext(handle)
        result = await handle.result()
        events = [first, *await all_of(handle)]
        check_thread(events)
        assert "0 1 2 " == result.output


async def test_runs_of_one_thread_are_told_apart(start: Start) -> None:
    """Each of several runs in a thread gives its own events only, and all of them."""
    async with site(start) as served, client(served.ws_url) as alice:
        handles = [await alice.run("hello", thread="t-9", inputs={"words": 5}) for _ in range(4)]
        for handle in reversed(handles):
            events = await all_of(handle)
            assert list(range(1, len(events) + 1)) == [event.run_seq for event in events]
            assert "agent_completed" == events[-1].type
        assert {"t-9"} == {handle.thread for handle in handles}


async def test_a_key_starts_one_run(start: Start) -> None:
    """The same key again gives the run that was started with it, events and all, from another client too."""
    async with site(start) as served, client(served.ws_url) as one, client(served.ws_url) as two:
        first = await one.run("hello", thread="t-9", key="k-1")
        told = await all_of(first)
        again = await two.run("hello", key="k-1")
        assert (first.run_id, "t-9") == (again.run_id, again.thread)
        assert told == await all_of(again)
        assert 1 == len(await served.site.container.event_log().runs())


async def test_a_refused_run_says_why(start: Start) -> None:
    """What the server would not do is an error with its status and words."""
    async with site(start) as served, client(served.ws_url) as alice:
        with pytest.raises(RequestRefused, match="nobody") as caught:
            await alice.run("hello", "nobody")
        assert 404 == caught.value.status
        with pytest.raises(RequestError, match="no JSON"):
            await alice.run("hello", inputs={"x": object()})
        assert RunStatus.COMPLETED == (await (await alice.run("still fine")).result()).status


async def test_a_run_is_cancelled(start: Start) -> None:
    """A cancel stops the run and gives the receipt; another user's run is unknown."""
    gate = Gate()
    async with site(start, gate) as served, client(served.ws_url) as alice, client(served.ws_url, "bob") as bob:
        handle = await alice.run("hello", "gate")
        await gate.is_reached.wait()
        with pytest.raises(RequestRefused) as caught:
            await bob.cancel(handle.run_id)
        assert 404 == caught.value.status
        receipt = await alice.cancel(handle.run_id)
        assert (handle.run_id, Outcome.STOPPED) == (receipt.run_id, receipt.outcome)
        assert RunStatus.CANCELLED == (await handle.result()).status


# ----------------------------------------------------------------------- following


async def test_a_thread_is_followed_from_its_beginning(start: Start) -> None:
    """Without a position one gets all that is kept, then what comes, from several clients alike."""
    async with site(start) as served, client(served.ws_url) as one, client(served.ws_url) as two:
        before = await all_of(await one.run("hello", thread="t-9"))
        followings = [one.follow("t-9"), two.follow("t-9")]
        for following in followings:
            assert before == await take(following, len(before))
        after = await all_of(await one.run("again", thread="t-9"))
        for following in followings:
            assert after == await take(following, len(after))


async def test_a_thread_is_followed_from_a_position(start: Start) -> None:
    """After a position one gets what follows it; two readers at different places each get theirs."""
    async with site(start) as served, client(served.ws_url) as alice:
        events = await all_of(await alice.run("hello", thread="t-9"))
        late, early = alice.follow("t-9", events[4].position), alice.follow("t-9", events[1].position)
        assert events[5:] == await take(late, len(events) - 5)
        assert events[2:] == await take(early, len(events) - 2)
        assert 1 == alice.connections


async def test_another_history_is_told_by_a_reset(start: Start) -> None:
    """A position of another epoch is answered by a reset, and the thread goes on from there."""
    async with site(start) as served, client(served.ws_url) as alice:
        events = await all_of(await alice.run("hello", thread="t-9"))
        following = alice.follow("t-9", Position("another", 3))
        told, first = await take(following, 2)
        assert isinstance(told, Reset)
        assert ("epoch_changed", events[0].position.epoch, ("alice", "t-9")) == (
            told.reason, told.position.epoch, told.key,
        )  # fmt: skip
        assert events[0] == first
        assert 1 == alice.resets


async def test_another_users_thread_is_ones_own(start: Start) -> None:
    """A thread id of another user leads to one's own thread of that name."""
    async with site(start) as served, client(served.ws_url) as alice, client(served.ws_url, "bob") as bob:
        await (await alice.run("hers", thread="t-9")).result()
        following = bob.follow("t-9")
        await (await bob.run("his", thread="t-9")).result()
        events = await take(following, 5)
        assert ({"bob"}, "his") == ({event.user_id for event in events}, events[0].payload["message"])


async def test_a_following_ends_when_it_is_closed(start: Start) -> None:
    """Closing ends the iteration; the thread is told no more once nobody reads it."""
    async with site(start) as served, client(served.ws_url) as alice:
        following, forgotten = alice.follow("t-9"), alice.follow("t-8")
        waiting = asyncio.create_task(take(following, 1))
        await asyncio.sleep(0)
        await following.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(following)
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await waiting
        del forgotten
        gc.collect()
        for thread in ("t-9", "t-8"):
            await (await alice.run("hello", thread=thread)).result()
        await alice.follow("t-7").aclose()
        assert {} == alice._threads


# -------------------------------------------------------------------------- bounds


async def test_a_reader_who_takes_nothing_holds_little(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody takes waits in the log; other readers and requests go on, and nothing is lost."""
    monkeypatch.setattr(resuming, "MAX_HELD_EVENTS", 25)
    async with site(start) as served, client(served.ws_url) as alice:
        idle = alice.follow("t-9")
        handle = await alice.run("hello", thread="t-9", inputs={"words": 100})
        unread = await alice.run("hello", thread="t-8", inputs={"words": 100})
        events = await all_of(handle)
        check_thread(events)
        assert RunStatus.COMPLETED == (await unread.result()).status
        assert 25 == len(idle.inbox) == len(unread._following.inbox)
        assert events == await take(idle, len(events))
        check_thread(await all_of(unread))
        assert (1, 0) == (alice.connections, alice.resets)


# ------------------------------------------------------------------ lost connections


@asynccontextmanager
async def by_proxy(start: Start, *agents: object, **more: Any) -> AsyncIterator[tuple[Served, TcpProxy, Client]]:
    """Alice's client behind a proxy in front of a site."""
    async with (
        site(start, *agents) as served,
        proxying(served.port) as proxy,
        client(proxy.ws_url, **more) as alice,
    ):
        yield served, proxy, alice


async def test_a_lost_connection_is_resumed(start: Start) -> None:
    """After a cut the run's events go on where they stopped."""
    gate = Gate()
    async with by_proxy(start, gate) as (_, proxy, alice):
        handle = await alice.run("hello", "gate")
        events = [await anext(handle), await anext(handle)]
        proxy.cut_all()
        gate.may_pass.set()
        events += await all_of(handle)
        check_thread(events)
        assert 2 == alice.connections


async def test_a_run_is_asked_for_while_there_is_no_connection(start: Start) -> None:
    """A request waits for the connection, and is done once."""
    gate = Gate()
    async with by_proxy(start, gate) as (_, proxy, alice):
        proxy.cut_all()
        asked = asyncio.create_task(alice.run("hello", "gate"))
        gate.may_pass.set()
        handle = await asked
        check_thread(await all_of(handle))
        assert 1 == gate.runs


async def test_an_unanswered_run_is_repeated_and_runs_once(start: Start) -> None:
    """When the answer to `run` is lost the same run is found again."""
    gate = Gate()
    async with by_proxy(start, gate) as (_, proxy, alice):
        proxy.flows.clear()
        asked = asyncio.create_task(alice.run("hello", "gate"))
        await gate.is_reached.wait()
        proxy.cut_all()
        proxy.flows.set()
        handle = await asked
        gate.may_pass.set()
        check_thread(await all_of(handle))
        assert (1, 2) == (gate.runs, alice.connections)


async def test_a_dead_network_is_noticed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection over which nothing comes any more is given up, and another one resumes."""
    monkeypatch.setattr("ssot_engine.client.CLOSE_TIMEOUT_S", 0.05)
    gate = Gate()
    async with by_proxy(start, gate, silence_s=0.2) as (_, proxy, alice):
        handle = await alice.run("hello", "gate")
        events = [await anext(handle), await anext(handle)]
        proxy.go_dead()
        gate.may_pass.set()
        check_thread(events + await all_of(handle))


async def test_a_restart_of_the_server_is_survived(start: Start) -> None:
    """A server that stops says so; the client comes back and goes on."""
    async with site(start) as served, client(served.ws_url) as alice:
        before = await all_of(await alice.run("hello", thread="t-9"))
        following = alice.follow("t-9", before[-1].position)
        served.site.stopping.set()
        await until(lambda: alice._session is None)
        served.site.stopping.clear()
        after = await all_of(await alice.run("again", thread="t-9"))
        check_thread(before + after)
        assert after == await take(following, len(after))
        assert alice.connections >= 2


async def test_an_unread_snapshot_of_a_run_is_told(start: Start) -> None:
    """Where a run's events are gone its handle gives one reset and then the rest, and the result is known."""
    async with site(start, events={"max_events_per_thread": 20}) as served, client(served.ws_url) as alice:
        await (await alice.run("hello", thread="t-9", inputs={"words": 100}, key="k-1")).result()
        told, *events = await all_of(await alice.run("hello", key="k-1"))
        assert isinstance(told, Reset)
        assert "agent_completed" == events[-1].type
        assert RunStatus.COMPLETED == (await (await alice.run("hello", key="k-1")).result()).status


# --------------------------------------------------------------------- who it is


async def test_a_wrong_token_is_refused(start: Start) -> None:
    """A token that proves nobody ends the client at entering; the error never quotes it."""
    async with site(start) as served:
        for token in ("mallory-secret", None, lambda: "mallory-secret"):
            with pytest.raises(NotAuthenticated) as caught:
                async with client(served.ws_url, token):
                    pytest.fail("entered")
            assert "mallory" not in str(caught.value)


async def test_a_newer_client_of_the_same_id_replaces_the_older(start: Start) -> None:
    """The older client's calls end with `Replaced`, and it does not come back."""
    async with site(start) as served, client(served.ws_url, client_id="page-1") as older:
        following = older.follow("t-9")
        waiting = asyncio.create_task(anext(following))
        async with client(served.ws_url, client_id="page-1") as newer:
            with pytest.raises(Replaced, match="page-1"):
                await waiting
            with pytest.raises(Replaced):
                await older.run("hello")
            assert RunStatus.COMPLETED == (await (await newer.run("hello")).result()).status
        assert 1 == older.connections


async def test_clients_without_an_id_live_side_by_side(start: Start) -> None:
    """Each client is one of its own unless it is named."""
    async with site(start) as served, client(served.ws_url) as one, client(served.ws_url) as two:
        for each in (one, two, one):
            await (await each.run("hello")).result()
        assert (1, 1) == (one.connections, two.connections)


# --------------------------------------------------------------------------- its life


async def test_nothing_is_left_after_closing(start: Start) -> None:
    """Closing ends every waiting call with `ClosedError` and leaves no task."""
    gate = Gate()
    async with site(start, gate) as served:
        before = asyncio.all_tasks()
        async with client(served.ws_url) as alice:
            handle = await alice.run("hello", "gate")
            calls = [asyncio.create_task(call) for call in (handle.result(), anext(alice.follow("t-9")))]
            await gate.is_reached.wait()
        for call in calls:
            with pytest.raises(ClosedError):
                await call
        for _ in range(2):
            await alice.aclose()
        with pytest.raises(ClosedError):
            await alice.run("hello")
        gate.may_pass.set()
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_client_is_used_only_when_it_is_open(start: Start) -> None:
    """Before it is entered, and a second time, a client says so."""
    async with site(start) as served:
        alice = client(served.ws_url)
        for call in (alice.run("hello"), anext(alice.follow("t-9"))):
            with pytest.raises(ClosedError, match="async with"):
                await call
        async with alice:
            with pytest.raises(ClosedError, match="entered once"):
                await alice.__aenter__()


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    """Entering fails with the URL when nobody listens, or who does speaks no socket; so does a URL of no kind."""
    with pytest.raises(ConfigError, match="ftp"):
        Client("ftp://127.0.0.1/ws")
    async with scripted(lambda _: None) as (url, _):
        pass
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1"):
        async with client(url):
            pytest.fail("entered")


async def test_a_wrong_path_is_told_at_once(start: Start) -> None:
    """A server without a socket at that path is as good as none."""
    async with site(start) as served:
        with pytest.raises((ServerUnreachable, NotAuthenticated)):
            async with client(f"{served.url}/elsewhere"):
                pytest.fail("entered")


# ------------------------------------------------- a server that does what it should not

Script = Callable[["Wire"], Awaitable[None] | None]


class Wire:
    """The server's end of one scripted connection; `number` counts connections from 0."""

    def __init__(self, connection: ServerConnection, number: int) -> None:
        self._connection = connection
        self.number = number

    async def hello(self, expires_in: float | None = None) -> frames.Hello:
        """Take the `hello` and welcome it."""
        hello = await self.hear()
        assert isinstance(hello, frames.Hello)
        heads = tuple(frames.ThreadHead(cursor.thread, "e1", 0) for cursor in hello.resume)
        now = time.time()
        await self.say(frames.Welcome(1, "alice", heads, now, None if expires_in is None else now + expires_in))
        return hello

    async def hear(self) -> frames.ClientFrame:
        """The next frame."""
        return decode_client(await self._connection.recv())

    async def say(self, frame: frames.ServerFrame | dict[str, Any]) -> None:
        """Send a frame, of the protocol or not."""
        await self._connection.send(encode(frame), text=True)

    async def events(self, *seqs: int, epoch: str = "e1") -> None:
        """Send events of a thread, a frame for each."""
        for seq in seqs:
            raw = msgspec.Raw(b'{"text":"x"}')
            await self.say(
                frames.Ev((Event("message_delta", "t-9", "r", "alice", "a", epoch, seq, seq, 0, None, 0.0, raw),))
            )

    async def end(self, code: int) -> None:
        """Close."""
        await self._connection.close(code)

    async def wait(self) -> None:
        """Until the client has gone."""
        await self._connection.wait_closed()


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[str, list[Wire]]]:
    """A server that follows a script on each connection: where it is, and the connections it had."""
    wires: list[Wire] = []

    async def handle(connection: ServerConnection) -> None:
        wires.append(Wire(connection, len(wires)))
        done = script(wires[-1])
        if done is not None:
            await done

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", wires


async def seqs(source: Any, count: int) -> list[int]:
    """The seqs of the next so many events."""
    return [event.seq for event in await take(source, count)]


async def test_a_gap_is_noticed_and_asked_for() -> None:
    """Where an event is missing the client connects again from its cursor, and the application never sees it."""
    asked = []

    async def script(wire: Wire) -> None:
        hello = await wire.hello()
        asked.append(hello.resume)
        await wire.events(*((1, 2, 5, 6) if wire.number == 0 else (2, 3, 4, 5)))
        await wire.wait()

    async with scripted(script) as (url, wires):
        alice = client(url)
        following = alice.add("t-9", resuming.Inbox(resuming.Cursor()))
        async with alice:
            assert [1, 2, 3, 4, 5] == await seqs(following, 5)
    assert [(frames.Cursor("t-9"),), (frames.Cursor("t-9", "e1", 2),)] == asked
    assert 2 == len(wires)


async def test_events_that_came_twice_are_given_once() -> None:
    """What the server repeats is dropped, and so is whatever the client does not know."""

    async def script(wire: Wire) -> None:
        await wire.hello()
        assert frames.Follow("t-9") == await wire.hear()
        await wire.say(frames.Welcome(1, "alice", (frames.ThreadHead("t-9", "e1", 3),), time.time()))
        await wire.events(1, 1, 2)
        await wire.say({"type": "later", "x": 1})
        await wire.say(frames.Ev(()))
        await wire.events(1, 2, 3)
        await wire.wait()

    async with scripted(script) as (url, wires), client(url) as alice:
        assert [1, 2, 3] == await seqs(alice.follow("t-9"), 3)
        assert 1 == len(wires)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4008, 4029, 4999])
async def test_a_closed_connection_is_opened_again(code: int) -> None:
    """Whatever the server closes with, if waiting may help the client comes back with its cursor."""

    async def script(wire: Wire) -> None:
        await wire.hello()
        await wire.events(wire.number + 1)
        if wire.number == 0:
            await wire.end(code)
        await wire.wait()

    async with scripted(script) as (url, wires):
        alice = client(url)
        following = alice.add("t-9", resuming.Inbox(resuming.Cursor()))
        async with alice:
            assert [1, 2] == await seqs(following, 2)
    assert 2 == len(wires)


@pytest.mark.parametrize(
    ("code", "error"), [(CloseCode.AUTH, NotAuthenticated), (CloseCode.REPLACED, Replaced), (4000, BadFrame)]
)
async def test_a_final_close_is_final(code: int, error: type[Exception]) -> None:
    """Where a new connection would be of no use every call ends with a typed error."""

    async def script(wire: Wire) -> None:
        await wire.hello()
        await wire.hear()
        await wire.end(code)

    async with scripted(script) as (url, wires), client(url) as alice:
        with pytest.raises(error):
            await alice.run("hello")
        with pytest.raises(error):
            await anext(alice.follow("t-9"))
        assert 1 == len(wires)


async def test_a_request_that_is_too_large_fails_alone() -> None:
    """A frame that the server does not take is not sent again; the client goes on."""

    async def script(wire: Wire) -> None:
        await wire.hello()
        await wire.hear()
        await wire.end(CloseCode.TOO_BIG)

    async with scripted(script) as (url, wires), client(url) as alice:
        with pytest.raises(RequestError, match="max_message_bytes"):
            await alice.run("hello")
        await until(lambda: len(wires) == 2)


async def test_an_expired_token_is_replaced_by_a_fresh_one() -> None:
    """After 4001 a fresh token is asked for, from a function or a coroutine function, and the thread resumes."""
    for make in (fresh_tokens, fresh_tokens_later):
        heard = []

        async def script(wire: Wire, heard: list[str | None] = heard) -> None:
            heard.append((await wire.hello()).token)
            await wire.events(wire.number + 1)
            if wire.number < 2:
                await wire.end(CloseCode.AUTH)
            await wire.wait()

        async with scripted(script) as (url, _):
            alice = client(url, make())
            following = alice.add("t-9", resuming.Inbox(resuming.Cursor()))
            async with alice:
                assert [1, 2, 3] == await seqs(following, 3)
        assert ["token-1", "token-2", "token-3"] == heard


async def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is about to expire is replaced on the same connection, again and again."""
    monkeypatch.setattr("ssot_engine.client.RENEW_AT_LEAST_S", 0.01)
    heard: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.hello(expires_in=0.05)
        for _ in range(3):
            frame = await wire.hear()
            assert isinstance(frame, frames.Reauth)
            heard.append(frame.token)
            await wire.say(frames.Authenticated("alice", time.time() + 0.05))
        await wire.wait()

    async with scripted(script) as (url, wires), client(url, fresh_tokens()):
        await until(lambda: len(heard) == 3)
        assert 1 == len(wires)
    assert ["token-2", "token-3", "token-4"] == heard


async def test_a_token_source_that_fails_ends_the_client() -> None:
    """What a host's function raises reaches whoever waits."""

    def source() -> str:
        raise LookupError("no session")

    async with scripted(lambda _: None) as (url, _):
        with pytest.raises(LookupError, match="no session"):
            async with client(url, source):
                pytest.fail("entered")


def fresh_tokens() -> Callable[[], str]:
    """Gives token-1, token-2 and so on."""
    numbers = count(1)
    return lambda: f"token-{next(numbers)}"


def fresh_tokens_later() -> Callable[[], Awaitable[str]]:
    """The same, asynchronously."""
    fresh = fresh_tokens()

    async def source() -> str:
        await asyncio.sleep(0)
        return fresh()

    return source
