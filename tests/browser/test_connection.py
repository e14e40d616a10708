"""The connection fails in every way it can: what the page tells of it, and that it ends up with all of it, once."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from issuers import AUDIENCE, ISSUER, SECRET, claims, signed
from paced import Paced, answer_to, flood
from playwright.async_api import Error, WebSocketRoute, expect
from serving import Served
from tcp_proxy import Cut, TcpProxy, proxying
from visitor import Serve, Visit, Visitor, rows_of

from fakes import events_of, until
from ssot_engine.context import UserExecutionContext
from ssot_engine.ids import new_id
from ssot_engine.runs.base import RunSpec

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What Chromium says of a connection that breaks or finds nobody.
BROKEN = r"WebSocket connection to|net::ERR_"

#: A port where nobody listens.
NOBODY = 1


@pytest.fixture
def paced() -> Paced:
    """Agents at the test's pace."""
    return Paced()


async def run(served: Served, thread: str, agent: str, message: str) -> str:
    """A run of alice's that her page did not ask for, to its end."""
    context = UserExecutionContext.from_request("alice", thread, new_id("run"))
    run_id = await served.site.container.runs().submit(RunSpec(context=context, agent=agent, message=message))
    await served.site.container.runs().wait("alice", run_id)
    return run_id


def go_away(proxy: TcpProxy) -> None:
    """The server cannot be reached from now on."""
    proxy.point_at(NOBODY)
    proxy.cut_all()


async def has_all(visitor: Visitor, served: Served) -> None:
    """The page shows exactly what the log has, and met no hole on the way."""
    told = events_of(served.site.container.event_log(), await visitor.thread())
    await visitor.read_to(told[-1].seq)
    assert rows_of(told) == await visitor.listed()
    assert "0" == await visitor.fact("gaps")


async def test_a_cut_while_text_streams(paced: Paced, serve: Serve, visit: Visit) -> None:
    """Lost is said, typed text stays, and what was missed is counted exactly: head less cursor."""
    served = await serve(*paced.agents, tools=paced.tools)
    async with proxying(served.port) as proxy:
        alice = await (await visit(f"http://127.0.0.1:{proxy.port}")).enter()
        alice.forgive(BROKEN)
        await alice.ask("Tell me 60")
        paced.give(3 + 10)
        await expect(alice[".answer"]).to_contain_text("word10 ")
        key, log = await alice.thread(), served.site.container.event_log()
        cursor = log.head(key).seq
        await alice.read_to(cursor)
        go_away(proxy)
        await expect(alice["#banner"]).to_contain_text("Connection lost · the run goes on without this page")
        await expect(alice["#link-pill"]).to_have_text("not connected")
        await expect(alice["#cancel"]).to_be_disabled()
        await alice.page.fill("#question", "kept while away")
        paced.give(20)
        await until(lambda: len(paced.said) == 31 and log.head(key).seq >= cursor + 40)
        head = log.head(key).seq
        proxy.point_at(served.port)
        await alice["#banner"].get_by_role("button", name="Try now").click()
        banner = alice["#banner"]
        await expect(banner).to_contain_text(f"Reconnected · {head - cursor} events replayed, none lost")
        await expect(banner).to_contain_text(f"#{cursor + 1}–#{head}, away")
        assert "kept while away" == await alice["#question"].input_value()
        await expect(alice["#falls .shade"].first).to_contain_text("offline")
        await alice.page.fill("#question", "")
        paced.free()
        await alice.ended()
        assert answer_to("60") == await alice.answer()
        await has_all(alice, served)
        assert ("1", str(head - cursor)) == (await alice.fact("reconnects"), await alice.fact("replayed"))


async def test_a_cut_with_nothing_missed_says_so(paced: Paced, serve: Serve, visit: Visit) -> None:
    """By itself, without anybody touching the page."""
    served = await serve(*paced.agents, tools=paced.tools)
    paced.free()
    async with proxying(served.port) as proxy:
        alice = await (await visit(f"http://127.0.0.1:{proxy.port}")).enter()
        alice.forgive(BROKEN)
        await alice.ask("Tell me 3")
        await alice.ended()
        proxy.cut_all()
        await expect(alice["#banner"]).to_contain_text("Reconnected · nothing was missed")
        await has_all(alice, served)


async def test_a_cut_during_every_replay(serve: Serve, visit: Visit) -> None:
    """Each connection breaks a frame further into a long replay, twice in the middle of a frame: all comes, once."""
    served = await serve(flood)
    cuts: list[Cut] = []
    async with proxying(served.port, lambda _: cuts.pop(0) if cuts else None) as proxy:
        alice = await (await visit(f"http://127.0.0.1:{proxy.port}", width=1100)).enter()
        alice.forgive(BROKEN)
        thread = (await alice.thread()).thread_id
        # Narrower than 1280 without the dashboard in view: nothing but sockets is asked for.
        go_away(proxy)
        await expect(alice["#link-pill"]).to_have_text("not connected")
        before = proxy.connections
        cuts += [
            Cut("down", after_frame=2),
            Cut("down", at_byte=500_000),
            Cut("down", after_frame=3),
            Cut("up", after_frame=1),
        ]
        await run(served, thread, "flood", "bulk 400")
        proxy.point_at(served.port)
        while cuts or proxy.cuts < 5:
            await _try_now(alice)
            await asyncio.sleep(0.02)
        await _try_now(alice)
        assert proxy.connections >= before + 4
        await expect(alice["#banner"]).to_contain_text("replayed, none lost")
        await alice.page.get_by_role("link", name="Timeline").click()
        told = events_of(served.site.container.event_log(), await alice.thread())
        await alice.read_to(told[-1].seq)
        assert rows_of(told) == await alice.listed()


async def _try_now(visitor: Visitor) -> None:
    """Press the button of the banner, if it is there."""
    button = visitor["#banner"].get_by_role("button", name="Try now")
    try:
        await button.click(timeout=1500)
    except Error:
        return  # It came back by itself meanwhile.


async def test_a_cursor_older_than_what_is_kept_starts_afresh(paced: Paced, serve: Serve, visit: Visit) -> None:
    """Instead of a hole there is a banner that stays, and a snapshot in place of what was shown."""
    served = await serve(*paced.agents, flood, tools=paced.tools, events={"max_events_per_thread": 50})
    paced.free()
    async with proxying(served.port) as proxy:
        alice = await (await visit(f"http://127.0.0.1:{proxy.port}")).enter()
        alice.forgive(BROKEN)
        await alice.ask("The old one 3")
        await alice.ended()
        key, log = await alice.thread(), served.site.container.event_log()
        cursor = log.head(key).seq
        go_away(proxy)
        await expect(alice["#link-pill"]).to_have_text("not connected")
        await run(served, key.thread_id, "flood", "bulk 200")
        await log.trim()
        await run(served, key.thread_id, "supervisor", "The new one 5")
        page = log.read_now(key, None, 1)
        assert page is not None
        assert page.floor > cursor
        proxy.point_at(served.port)
        await _try_now(alice)
        await expect(alice["#banner"]).to_contain_text("Started afresh")
        await expect(alice["#banner"]).to_contain_text(f"the page cannot go on from #{cursor}")
        await alice.ended()
        await alice.read_to(log.head(key).seq)
        shown = [row[0] for row in await alice.listed()]
        assert list(range(page.floor + 1, log.head(key).seq + 1)) == [seq for seq in shown if seq > page.floor]
        await alice["#banner"].get_by_role("button", name="Close").click()
        await expect(alice["#banner"]).to_be_hidden()


async def test_another_epoch_starts_afresh(paced: Paced, serve: Serve, visit: Visit) -> None:
    """The server comes back with an empty log: no run of the old one stays on screen."""
    served, reborn = await serve(*paced.agents, tools=paced.tools), await serve(*paced.agents, tools=paced.tools)
    paced.free()
    async with proxying(served.port) as proxy:
        alice = await (await visit(f"http://127.0.0.1:{proxy.port}")).enter()
        alice.forgive(BROKEN)
        await alice.ask("Of the old log 3")
        await alice.ended()
        proxy.point_at(reborn.port)
        proxy.cut_all()
        await expect(alice["#banner"]).to_contain_text("Started afresh")
        await expect(alice["#banner"]).to_contain_text("another history")
        await expect(alice["article.run"]).to_have_count(0)
        await alice.ask("Of the new log 4")
        await alice.ended()
        await expect(alice["article.run"]).to_have_count(1)
        await has_all(alice, reborn)


@pytest.mark.parametrize("code", [4008, 1012])
async def test_it_resumes_by_itself_after_a_close(code: int, paced: Paced, serve: Serve, visit: Visit) -> None:
    """Cut off as slow, or because the server restarts: nobody has to do anything, and nothing is lost."""
    served = await serve(*paced.agents, tools=paced.tools)
    routes: list[WebSocketRoute] = []

    def between(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    alice = await visit(served.url)
    await alice.page.route_web_socket(re.compile("/ws$"), between)
    await alice.enter()
    await alice.ask("Tell me 30")
    paced.give(3 + 10)
    await expect(alice[".answer"]).to_contain_text("word10 ")
    await routes[0].close(code=code)
    paced.free()
    await alice.ended()
    await expect(alice["body[data-link=live]"]).to_be_attached()
    assert answer_to("30") == await alice.answer()
    assert len(routes) == 2
    await has_all(alice, served)


async def test_frames_that_come_twice_or_not_at_all(paced: Paced, serve: Serve, visit: Visit) -> None:
    """On the way every frame of events is doubled and every fourth is swallowed: the page shows each event once."""
    served = await serve(*paced.agents, tools=paced.tools, web={"coalesce_s": 0.0})
    seen = 0

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(frame: str | bytes) -> None:
            nonlocal seen
            is_events = '"type":"ev"' in str(frame)
            seen += is_events
            if is_events and seen % 4 == 0 and "agent_completed" not in str(frame):
                return  # What follows the last event of all would not tell of a hole.
            for _ in range(1 + is_events):
                route.send(frame)

        server.on_message(pass_on)

    alice = await visit(served.url)
    await alice.page.route_web_socket(re.compile("/ws$"), between)
    await alice.enter()
    await alice.ask("Tell me 40")
    for turns in (4, 4, 4, 10, 10, 10):
        paced.give(turns)
        await alice.page.wait_for_timeout(30)
    paced.free()
    await alice.ended()
    assert answer_to("40") == await alice.answer()
    told = events_of(served.site.container.event_log(), await alice.thread())
    assert rows_of(told) == await alice.listed()
    assert int(await alice.fact("doubles")) > 0
    assert int(await alice.fact("gaps")) > 0


async def test_taken_over_waits_for_the_person(serve: Serve, visit: Visit, paced: Paced) -> None:
    """After 4009 it does not fight for the connection; a button takes it back."""
    served = await serve(*paced.agents, tools=paced.tools)
    routes: list[WebSocketRoute] = []

    def between(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    alice = await visit(served.url)
    await alice.page.route_web_socket(re.compile("/ws$"), between)
    await alice.enter()
    await routes[0].close(code=4009)
    await expect(alice["#banner"]).to_contain_text("This page was taken over")
    await alice["#banner"].get_by_role("button", name="Connect here").click()
    await alice.is_live()
    assert len(routes) == 2


TOKENS: dict[str, Any] = {
    "algorithms": ("HS256",), "secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, "leeway_s": 0.0,
}  # fmt: skip


async def test_a_session_that_ends_mid_run_goes_on_after_signing_in(paced: Paced, serve: Serve, visit: Visit) -> None:
    """After 4001 the reason is told, the draft stays, and the new session has all the old one missed."""
    served = await serve(*paced.agents, tools=paced.tools, auth=TOKENS)
    alice = await visit(served.url)
    await alice.open()
    short = signed(claims(exp=time.time() + 5))
    await alice.page.get_by_label("Token").fill(short)
    await alice.page.get_by_role("button", name="Sign in").click()
    await alice.is_live()
    await alice.ask("Tell me 30")
    paced.give(3 + 5)
    await expect(alice[".answer"]).to_contain_text("word5 ")
    await alice.page.fill("#question", "half a thought")
    await expect(alice["#signin .notice"]).to_contain_text("Your session ended")
    alice.forgive("401")
    paced.free()
    await alice.page.get_by_label("Token").fill(signed(claims()))
    await alice.page.get_by_role("button", name="Sign in").click()
    await alice.is_live()
    await alice.ended()
    assert answer_to("30") == await alice.answer()
    assert "half a thought" == await alice["#question"].input_value()
    await has_all(alice, served)
    stored = await alice.page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert short not in stored
