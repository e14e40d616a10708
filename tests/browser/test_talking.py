"""Asking, reading, reloading and cancelling: what a person does with the page all day."""

from __future__ import annotations

import pytest
from asking import failing
from paced import Paced, answer_to
from playwright.async_api import expect
from visitor import Serve, Visit, rows_of

from fakes import check_thread, events_of, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIVE = {"agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"}


@pytest.fixture
def paced() -> Paced:
    """Agents at the test's pace."""
    return Paced()


async def test_two_people_ask_reload_cancel_and_see_the_dashboard(paced: Paced, serve: Serve, visit: Visit) -> None:
    """Two users in two browsers: five kinds of events and streamed text, a reload that loses nothing, a cancel."""
    served = await serve(*paced.agents, tools=paced.tools)
    log = served.site.container.event_log()
    alice = await (await visit(served.url)).enter("alice")
    bob = await (await visit(served.url)).enter("bob")
    await alice.ask("Where does it go? 40")
    await bob.ask("What is slow? 40")
    paced.give(2 * 3 + 2 * 10)
    for one, user in ((alice, "alice"), (bob, "bob")):
        await expect(one[".answer"]).to_contain_text(f"word8 of {user}.")
        await expect(one["#dashboard li .num"].first).to_have_text("1 of 10")

    await alice.reload()
    await expect(alice["#cancel"]).to_be_visible()
    assert (await alice.answer()).startswith(answer_to("40", words=9))
    await bob["#cancel"].click()
    await bob.ended("cancelled")
    await expect(bob[".end"]).to_contain_text("Cancelled. Nothing more of this run will happen.")
    paced.free()
    await alice.ended()
    assert answer_to("40") == await alice.answer()
    for one, user in ((alice, "alice"), (bob, "bob")):
        told = events_of(log, await one.thread(user))
        check_thread(told)
        assert rows_of(told) == await one.listed()
    assert {row[1] for row in await alice.listed()} >= FIVE


async def test_a_reload_in_mid_run_loses_and_doubles_nothing(paced: Paced, serve: Serve, visit: Visit) -> None:
    """The same text and the same events by number, dense from 1; what came meanwhile is told of."""
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await (await visit(served.url)).enter()
    await alice.ask("Tell me 60")
    paced.give(3 + 20)
    await expect(alice[".answer"]).to_contain_text("word20 ")
    await alice.page.fill("#question", "a draft, half written")
    before = await alice.listed()
    await alice.page.goto("about:blank")
    paced.give(15)
    await until(lambda: len(paced.said) == 36)
    await alice.page.go_back()
    await alice.is_live()
    await expect(alice[".answer"]).to_contain_text("word35 ")
    await expect(alice["#banner"]).to_contain_text("replayed, none lost")
    assert "a draft, half written" == await alice["#question"].input_value()
    after = await alice.listed()
    assert before == after[: len(before)]
    paced.free()
    await alice.ended()
    told = events_of(served.site.container.event_log(), await alice.thread())
    assert rows_of(told) == await alice.listed()
    assert list(range(1, len(told) + 1)) == [row[0] for row in await alice.listed()]
    assert ("0", "0") == (await alice.fact("doubles"), await alice.fact("gaps"))


@pytest.mark.parametrize("way", ["button", "escape"])
async def test_a_cancel_is_sent_once_and_ends_the_run(way: str, paced: Paced, serve: Serve, visit: Visit) -> None:
    """By the button or Esc, however often: one request, a terminal event, a receipt; a draft stays a draft."""
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await (await visit(served.url)).enter()
    await alice.ask("Go on for 500")
    paced.give(3 + 5)
    await expect(alice[".answer"]).to_contain_text("word5 ")
    await alice.page.fill("#question", "half written")
    if way == "button":
        await alice["#cancel"].dblclick(delay=50)
    else:
        await alice["#question"].press("Escape")
        await alice["#question"].press("Escape")
    await alice.ended("cancelled")
    await expect(alice[".end"]).to_contain_text("Nothing more of this run will happen")
    assert (1, 1) == (len(alice.sent("run")), len(alice.sent("cancel")))
    assert "half written" == await alice["#question"].input_value()
    last = events_of(served.site.container.event_log(), await alice.thread())[-1]
    assert ("agent_completed", "cancelled") == (last.type, last.payload["status"])
    await expect(alice["#question"]).to_be_focused()


async def test_a_failure_says_who_what_and_where(serve: Serve, visit: Visit) -> None:
    """The agent that failed, its reason, the event, and a way to ask again."""
    served = await serve(failing)
    alice = await (await visit(served.url)).enter()
    await alice.ask("why")
    await alice.ended("failed")
    card = alice[".end .card.bad"]
    await expect(card).to_contain_text("failing failed")
    await expect(card).to_contain_text("no such figure")
    await card.get_by_role("button", name="Show event #").click()
    await expect(alice["#inspector"]).to_contain_text("agent_error")
    await card.get_by_role("button", name="Run again").click()
    await expect(alice["article.run"]).to_have_count(2)
    await alice.ended("failed")


async def test_another_conversation_and_back(paced: Paced, serve: Serve, visit: Visit) -> None:
    """A new conversation begins empty, the list has both, and Back leads to the first."""
    served = await serve(*paced.agents, tools=paced.tools)
    paced.free()
    alice = await (await visit(served.url)).enter()
    await alice.ask("First 3")
    await alice.ended()
    first = await alice.thread()
    await alice["#threads summary"].click()
    await alice.page.get_by_role("button", name="New conversation").click()
    await expect(alice["article.run"]).to_have_count(0)
    await alice.ask("Second 4")
    await alice.ended()
    assert answer_to("4") == await alice.answer()
    await alice["#threads summary"].click()
    await expect(alice["#threads .thread"]).to_have_count(2)
    await alice.page.keyboard.press("Escape")
    await alice.page.go_back()
    await expect(alice["article.run .question"]).to_have_text("First 3")
    assert first == await alice.thread()
