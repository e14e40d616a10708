"""What a socket's conversation is: who it is, what it follows, what it asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from serving import Served, serving
from sockets import Talk, edge, opened, readers_of, talking
from starlette.requests import HTTPConnection

from fakes import ALICE, BOB, deltas, ending, events_of, types_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.events import Event, Outcome, ThreadKey
from ssot_engine.web import connection
from ssot_engine.web.authenticators import UserOf
from ssot_engine.web.connection import MAX_COMMANDS, MAX_THREADS
from ssot_engine.web.cursors import ThreadCursor
from ssot_engine.web.frames import (
    PROTOCOL,
    Accepted,
    Ack,
    Authenticated,
    Cancel,
    ClientFrame,
    CloseCode,
    Cursor,
    Ev,
    Follow,
    Hello,
    Leave,
    Ping,
    Pong,
    Reauth,
    Receipt,
    Refused,
    Run,
    Welcome,
)
from ssot_engine.web.identity import Identity


@agent("echo")
async def echo(run: RunContext) -> str:
    return run.message


@agent("endless")
async def endless(run: RunContext) -> None:
    await asyncio.Event().wait()


def ended(events: list[Event]) -> bool:
    """The newest event ends its run."""
    return bool(events) and events[-1].type == "agent_completed"


async def test_hello_is_answered_welcome_with_the_heads(start: Start) -> None:
    """The answer says who the client is taken for and where each thread it resumes stands."""
    container = await start(**edge())
    log = container.event_log()
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 3), attempt=1)
    async with serving(container) as served, talking(served, "alice", Cursor("t-1"), Cursor("t-2")) as talk:
        welcome = talk.welcome
        assert welcome is not None
        assert (PROTOCOL, "alice", None) == (welcome.protocol, welcome.user, welcome.expires_at)
        assert [("t-1", log.epoch, 3), ("t-2", log.epoch, 0)] == [(t.thread, t.epoch, t.head) for t in welcome.threads]
        assert [1, 2, 3] == [event.seq for event in await talk.events(lambda events: len(events) == 3)]
        log.submit(ALICE, [ending(4)], attempt=1)
        assert [4] == [event.seq for event in await talk.events(ended)]


async def test_a_run_is_accepted_and_its_events_come(start: Start) -> None:
    """Without a thread it gets a new one, which is followed from before the run."""
    container = await start(echo, **edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Run("1", "hello"))
        accepted = await talk.expect(Accepted)
        events = await talk.events(ended)
        assert "1" == accepted.id
        assert {(accepted.run_id, accepted.thread)} == {(event.run_id, event.thread_id) for event in events}
        assert ["agent_started", "agent_completed"] == types_of(events)
        assert list(range(1, len(events) + 1)) == [event.seq for event in events]


async def test_runs_of_one_thread_begin_in_the_order_asked(start: Start) -> None:
    """Several asked for at once in a thread that is not followed yet: all events of all of them come."""
    container = await start(echo, **edge())
    async with serving(container) as served, talking(served) as talk:
        for number in range(5):
            await talk.say(Run(str(number), f"message {number}", "echo", "t-1"))
        found: list[Event] = []
        accepted: list[str] = []
        while sum(event.type == "agent_completed" for event in found) < 5 or len(accepted) < 5:
            match await talk.hear():
                case Ev(events):
                    found += events
                case Accepted(id, _, thread):
                    assert "t-1" == thread
                    accepted.append(id)
        assert ["0", "1", "2", "3", "4"] == accepted
        assert list(range(1, len(found) + 1)) == [event.seq for event in found]
        messages = [event.payload["message"] for event in found if event.type == "agent_started"]
        assert [f"message {number}" for number in range(5)] == messages


async def test_a_run_with_a_key_is_started_once(start: Start) -> None:
    """Asked for again by a socket that lost the answer, it is accepted with the same ids, and its events come."""
    container = await start(echo, **edge())
    async with serving(container) as served:
        async with talking(served) as talk:
            await talk.say(Run("1", "hello", key="once"))
            first = await talk.answer(Accepted)
            events = await talk.events(ended)
        async with talking(served) as talk:
            await talk.say(Run("2", "hello", key="once"))
            again = await talk.expect(Accepted)
            assert (first.run_id, first.thread) == (again.run_id, again.thread)
            assert events == await talk.events(ended)


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        (Run("1", "hi", "nobody"), 404, "unknown_agent"),
        (Run("1", "hi", "echo", " "), 400, "invalid_context"),
        (Run("1", "hi", "echo", key=""), 400, "request_error"),
        (Run("1", "hi", "echo", key="k" * 256), 400, "request_error"),
        (Cancel("1", "run-of-nobody"), 404, "unknown_run"),
        (Cancel("1", "run-of-bob"), 404, "unknown_run"),
    ],
)
async def test_what_cannot_be_done_is_refused(start: Start, frame: Run | Cancel, status: int, code: str) -> None:
    """The problem says why, another user's run is unknown, and the conversation goes on."""
    container = await start(echo, **edge())
    container.event_log().begin(ThreadKey("bob", "t-1"), "run-of-bob")
    async with serving(container) as served, talking(served) as talk:
        await talk.say(frame)
        refused = await talk.expect(Refused)
        assert ("1", status, code) == (refused.id, refused.problem.status, refused.problem.code)
        await talk.say(Ping("still there"))
        assert "still there" == (await talk.expect(Pong)).id


async def test_a_threads_events_are_its_users(start: Start) -> None:
    """Two users follow one thread id and send each a run: each gets its own."""
    container = await start(echo, **edge())
    async with serving(container) as served, talking(served) as alice, talking(served, "bob", Cursor("t-1")) as bob:
        await alice.say(Run("1", "of alice", "echo", "t-1"))
        await alice.expect(Accepted)
        assert {"alice"} == {event.user_id for event in await alice.events(ended)}
        await bob.say(Run("1", "of bob", "echo", "t-1"))
        await bob.answer(Accepted)
        assert {"bob"} == {event.user_id for event in events_of(container.event_log(), BOB)}
        async with talking(served, "bob", Cursor("t-1")) as again:
            events = await again.events(ended)
        assert [("bob", "of bob")] == [(e.user_id, e.payload["message"]) for e in events if e.type == "agent_started"]


async def test_a_cancel_does_not_hold_up_the_rest(start: Start) -> None:
    """It is answered when the run has stopped; until then events come and pings are answered."""
    release = asyncio.Event()

    @agent("stubborn")
    async def stubborn(run: RunContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()

    container = await start(stubborn, echo, engine={"stop_grace_s": 10.0}, **edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Run("1", "hi", "stubborn"))
        accepted = await talk.expect(Accepted)
        await talk.say(Cancel("2", accepted.run_id))
        await talk.say(Run("3", "hello", "echo"))
        await talk.answer(Accepted)
        await talk.say(Ping("4"))
        await talk.answer(Pong)
        release.set()
        receipt = await talk.answer(Receipt)
        assert ("2", accepted.run_id, Outcome.STOPPED) == (receipt.id, receipt.receipt.run_id, receipt.receipt.outcome)


async def test_commands_under_way_are_bounded(start: Start) -> None:
    """One more than a socket may have is refused with a time to wait; when one is done there is room again."""
    release = asyncio.Event()

    @agent("stubborn")
    async def stubborn(run: RunContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()

    container = await start(stubborn, engine={"stop_grace_s": 10.0}, **edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Run("run", "hi", "stubborn"))
        accepted = await talk.expect(Accepted)
        for number in range(MAX_COMMANDS + 1):
            await talk.say(Cancel(str(number), accepted.run_id))
        refused = await talk.answer(Refused)
        assert (str(MAX_COMMANDS), 429, 1.0) == (refused.id, refused.problem.status, refused.problem.retry_after_s)
        release.set()
        done = {(await talk.answer(Receipt)).id for _ in range(MAX_COMMANDS)}
        assert {str(number) for number in range(MAX_COMMANDS)} == done
        await talk.say(Cancel("again", accepted.run_id))
        assert "again" == (await talk.answer(Receipt)).id


async def test_commands_are_done_though_their_client_is_gone(start: Start) -> None:
    """A client that asks for a run and hangs up has asked for it."""
    container = await start(echo, engine={"max_concurrent_runs_per_user": 1, "when_full": "wait"}, **edge())
    async with serving(container) as served:
        async with talking(served) as talk:
            for number in range(3):
                await talk.say(Run(str(number), f"message {number}", "echo", "t-1"))
        log = container.event_log()
        await until(lambda: types_of(events_of(log)).count("agent_completed") == 3)
        await until(lambda: not container.engine_factory().engines())


async def test_a_thread_is_followed_and_left(start: Start) -> None:
    """`follow` is answered with the head and reads from a cursor, anew if it was followed; `leave` ends that."""
    container = await start(**edge())
    log = container.event_log()
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 5), attempt=1)
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Follow("t-1", log.epoch, 3))
        assert [("t-1", 5)] == [(head.thread, head.head) for head in (await talk.expect(Welcome)).threads]
        assert [4, 5] == [event.seq for event in await talk.events(lambda events: len(events) == 2)]
        await talk.say(Follow("t-1"))
        await talk.expect(Welcome)
        assert [1, 2, 3, 4, 5] == [event.seq for event in await talk.events(lambda events: len(events) == 5)]
        await until(lambda: 1 == readers_of(container, ALICE))
        await talk.say(Leave("t-1"))
        await talk.say(Leave("never followed"))
        await until(lambda: 0 == readers_of(container, ALICE))
        await log.append(ALICE, [ending(6)], attempt=1)
        await talk.say(Ping("1"))
        await talk.expect(Pong)


async def test_a_thread_that_is_named_again_is_read_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """From where it was named last; a frame full of one thread would hold up everybody."""
    read: list[object] = []
    monkeypatch.setattr(connection, "ThreadCursor", lambda *args: read.append(args[2]) or ThreadCursor(*args))
    container = await start(echo, **edge())
    head = container.event_log().head(ALICE)
    cursors = [Cursor(ALICE.thread_id)] * 1000 + [Cursor(ALICE.thread_id, head.epoch, head.seq)]
    async with serving(container) as served, talking(served, ALICE.user_id, *cursors) as talk:
        assert talk.welcome is not None
        assert [ALICE.thread_id] == [one.thread for one in talk.welcome.threads]
        await talk.say(Ping("1"))
        await talk.expect(Pong)
    assert [head] == read


async def test_pings_are_answered_and_acks_are_not(start: Start) -> None:
    """`pong` has the ping's id and the server's time; an ack counts for figures."""
    container = await start(**edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Ack("t-1", 7))
        await talk.say(Ping("p"))
        pong = await talk.expect(Pong)
        assert "p" == pong.id
        assert abs(time.time() - pong.now) < 60
        assert 1 == served.site.deliveries.acks


# ------------------------------------------------------------------------ who it is


def _until(*expiries: float | None) -> UserOf:
    """A host that knows its user at first for so long, the next time for so long."""
    left = iter(expiries)

    def user(connection: HTTPConnection) -> Identity:
        lasts = next(left)
        return Identity("alice", expires_at=None if lasts is None else time.time() + lasts)

    return user


async def test_an_identity_that_ends_ends_the_socket(start: Start) -> None:
    """It closes with 4001 when the token does, in the middle of reading."""
    container = await start(web={"page": False})
    async with serving(container, user=_until(0.1)) as served, talking(served, "t", Cursor("t-1")) as talk:
        assert talk.welcome is not None
        assert talk.welcome.expires_at is not None
        assert (
            CloseCode.AUTH,
            "the sign-in has expired; sign in, then resume from your cursors",
        ) == await talk.closed()


async def test_a_fresh_token_prolongs_the_socket(start: Start) -> None:
    """The time of the first does not end it any more, that of the second does."""
    container = await start(web={"page": False})
    async with serving(container, user=_until(0.2, None, 0.0)) as served, talking(served) as talk:
        await talk.say(Reauth("fresh"))
        assert Authenticated("alice", None) == await talk.expect(Authenticated)
        await asyncio.sleep(0.25)
        await talk.say(Ping("still here"))
        await talk.expect(Pong)
        await talk.say(Reauth("short"))
        assert CloseCode.AUTH == (await talk.closed())[0]


@pytest.mark.parametrize("token", ["bob", "mallory", ""])
async def test_a_fresh_token_must_be_the_same_users(start: Start, token: str) -> None:
    """Another user's, or one that proves nobody, closes with 4001."""
    container = await start(**edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(Reauth(token))
        assert CloseCode.AUTH == (await talk.closed())[0]


@pytest.mark.parametrize("token", ["mallory", "", None])
async def test_nobody_gets_in_without_a_proof(start: Start, token: str | None) -> None:
    """The code is 4001, and the reason does not quote the token."""
    container = await start(**edge())
    async with serving(container) as served, opened(served) as talk:
        await talk.say(Hello(PROTOCOL, token))
        code, reason = await talk.closed()
        assert CloseCode.AUTH == code
        assert "mallory" not in reason


async def test_a_bearer_token_of_the_request_is_enough(start: Start) -> None:
    """Programs may say who they are where HTTP has it; one in `hello` counts more."""
    container = await start(**edge())
    headers = {"Authorization": "Bearer alice"}
    async with serving(container) as served:
        async with opened(served, additional_headers=headers) as talk:
            await talk.say(Hello(PROTOCOL))
            assert "alice" == (await talk.expect(Welcome)).user
        async with opened(served, additional_headers=headers) as talk:
            await talk.say(Hello(PROTOCOL, "bob"))
            assert "bob" == (await talk.expect(Welcome)).user


async def test_a_newer_socket_replaces_the_same_clients(start: Start) -> None:
    """The older closes with 4009 and leaves its place at once; other clients and other users stay."""
    container = await start(**edge(max_connections_per_user=2))
    async with (
        serving(container) as served,
        talking(served, client="page") as older,
        talking(served, client="other") as other,
        talking(served, "bob", client="page") as bob,
        talking(served, client="page"),
    ):
        assert CloseCode.REPLACED == (await older.closed())[0]
        for talk in (other, bob):
            await talk.say(Ping("still here"))
            await talk.expect(Pong)


async def test_a_user_has_so_many_sockets(start: Start) -> None:
    """One more closes with 4029; when one is gone there is room again."""
    container = await start(**edge(max_connections_per_user=1))
    async with serving(container) as served:
        async with talking(served), talking(served, "bob"), opened(served) as third:
            await third.say(Hello(PROTOCOL, "alice"))
            assert CloseCode.TOO_MANY == (await third.closed())[0]
        await until(lambda: not +served.site.deliveries.open)
        async with talking(served):
            pass


# --------------------------------------------------------------------- what is no frame


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (Ping("1"), "the first frame must be hello"),
        (Hello(99, "alice"), "this server speaks protocol 1"),
        (Hello(PROTOCOL, "alice", " "), "client ' '"),
        (Hello(PROTOCOL, "alice", None, (Cursor(""),)), "thread ''"),
        (
            Hello(PROTOCOL, "alice", None, tuple(Cursor(f"t{number}") for number in range(MAX_THREADS + 1))),
            f"a socket follows at most {MAX_THREADS} threads",
        ),
    ],
)
async def test_a_hello_that_is_none_closes(start: Start, frame: ClientFrame, reason: str) -> None:
    """The code is 4000 and the reason says what is wrong."""
    container = await start(**edge())
    async with serving(container) as served, opened(served) as talk:
        await talk.say(frame)
        code, said = await talk.closed()
        assert CloseCode.BAD_FRAME == code
        assert said.startswith(reason)


@pytest.mark.parametrize("frame", [Hello(PROTOCOL, "alice"), Follow("\n")])
async def test_a_frame_that_cannot_be_closes(start: Start, frame: ClientFrame) -> None:
    """A second hello, or a thread that cannot be one."""
    container = await start(**edge())
    async with serving(container) as served, talking(served) as talk:
        await talk.say(frame)
        assert CloseCode.BAD_FRAME == (await talk.closed())[0]


async def test_who_says_no_hello_is_let_go(start: Start) -> None:
    """After `web.hello_timeout_s` with 4001."""
    container = await start(**edge(hello_timeout_s=0.05))
    async with serving(container) as served, opened(served) as talk:
        assert (CloseCode.AUTH, "no hello within 0.05 s") == await talk.closed()


async def test_too_many_frames_close(start: Start) -> None:
    """Beyond `web.frames_rate` with 4029."""
    container = await start(**edge(frames_rate="5/hour"))
    async with serving(container) as served, talking(served) as talk:
        for number in range(5):
            await talk.say(Ping(str(number)))
        code, reason = await talk.closed()
        assert CloseCode.TOO_MANY == code
        assert "web.frames_rate" in reason


# ---------------------------------------------------------------------- how it ends


async def _hangs_up(talk: Talk, served: Served) -> None:
    await talk.connection.close()


async def _is_cut(talk: Talk, served: Served) -> None:
    talk.connection.transport.abort()


async def _errs(talk: Talk, served: Served) -> None:
    await talk.connection.send("no frame")


async def _is_stopped(talk: Talk, served: Served) -> None:
    served.site.stopping.set()
    assert CloseCode.RESTART == (await talk.closed())[0]


async def _log_closes(talk: Talk, served: Served) -> None:
    await served.site.container.event_log().aclose()
    assert CloseCode.RESTART == (await talk.closed())[0]


@pytest.mark.parametrize("end", [_hangs_up, _is_cut, _errs, _is_stopped, _log_closes])
async def test_nothing_is_left_of_a_socket(start: Start, end: Callable[[Talk, Served], Awaitable[None]]) -> None:
    """However it ends: no task, no place, no name, nobody waiting on a thread; its run goes on."""
    container = await start(endless, **edge())
    async with serving(container) as served:
        before = asyncio.all_tasks()
        async with talking(served, "alice", *(Cursor(f"t-{number}") for number in range(5)), client="page") as talk:
            await talk.say(Run("1", "hi", "endless", "t-1"))
            accepted = await talk.answer(Accepted)
            await until(lambda: 5 == sum(readers_of(container, ThreadKey("alice", f"t-{n}")) for n in range(5)))
            mine = {task for task in asyncio.all_tasks() - before if "Connection" in repr(task.get_coro())}
            assert len(mine) >= 6
            await end(talk, served)
            await until(lambda: not mine & asyncio.all_tasks())
            assert {} == +served.site.deliveries.open
            assert {} == {
                thread: count
                for n in range(5)
                if (count := readers_of(container, thread := ThreadKey("alice", f"t-{n}")))
            }
            (endpoint,) = [route.endpoint for route in served.app.routes if getattr(route, "path", "") == "/ws"]
            assert {} == endpoint._clients
            assert 1 == len(container.control().live)
        await container.control().cancel("alice", accepted.run_id)
