"""Everything can be done without a pointer, and nothing takes the focus away."""

from __future__ import annotations

import pytest
from paced import Paced
from playwright.async_api import expect
from visitor import Serve, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_TABS = 60


async def tab_to(visitor: Visitor, selector: str, *, back: bool = False) -> None:
    """Press Tab until what has the focus fits."""
    for _ in range(MOST_TABS):
        if await visitor.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        await visitor.page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{selector} is not reached within {MOST_TABS} tabs")


async def focused(visitor: Visitor) -> str:
    """The number or the text of what has the focus."""
    return str(await visitor.page.evaluate("document.activeElement.dataset.seq ?? document.activeElement.textContent"))


async def test_a_whole_session_by_keyboard(serve: Serve, visit: Visit) -> None:
    """Sign in, ask, open a tool call, walk along the events, filter, cancel, sign out."""
    paced = Paced()
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await visit(served.url)
    await alice.open()
    keys = alice.page.keyboard
    await expect(alice["#signin button"].first).to_be_focused()
    await keys.press("Enter")
    await alice.is_live()
    await expect(alice["#question"]).to_be_focused()
    await keys.type("Tell me")
    await keys.press("Shift+Enter")
    await keys.type("about 60")
    await keys.press("Enter")
    paced.give(3 + 10)
    await expect(alice[".answer"]).to_contain_text("word10 ")
    await expect(alice["article.run .question"]).to_have_text("Tell me\nabout 60")

    await tab_to(alice, ".chip", back=True)
    await keys.press("Enter")
    await expect(alice[".chip:focus"]).to_have_attribute("aria-expanded", "true")
    await expect(alice[".detail"]).to_contain_text("arguments")
    paced.give(10)
    await expect(alice[".answer"]).to_contain_text("word20 ")
    await expect(alice[".chip:focus"]).to_have_count(1)

    await tab_to(alice, "#falls [data-seq]")
    assert 1 == await alice["#falls [data-seq][tabindex='0']"].count()
    await keys.press("Home")
    assert "1" == await focused(alice)
    await keys.press("ArrowRight")
    assert "2" == await focused(alice)
    await expect(alice["#inspector"]).to_contain_text("agent_thinking")
    await keys.press("ArrowDown")
    below = await focused(alice)
    assert int(below) > 2
    await keys.press("Enter")
    await expect(alice["#inspector"]).to_contain_text("kept · Esc lets go")
    await keys.press("ArrowUp")
    await keys.press("Escape")
    await expect(alice["#inspector"]).not_to_contain_text("kept")

    await tab_to(alice, "#tl-find", back=True)
    await keys.type("price_calls")
    await expect(alice["#falls .row"]).to_have_count(1)
    await keys.press("Control+A")
    await keys.press("Delete")
    await expect(alice["#falls .row"]).to_have_count(4)

    await tab_to(alice, "#cancel", back=True)
    await keys.press("Enter")
    await alice.ended("cancelled")
    await expect(alice["#question"]).to_be_focused()
    await tab_to(alice, "#account summary", back=True)
    await keys.press("Enter")
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(alice["#signin"]).to_be_visible()


async def test_screen_readers_hear_what_matters(serve: Serve, visit: Visit) -> None:
    """Start and answer are announced once; the streamed text itself is no live region."""
    paced = Paced()
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await (await visit(served.url)).enter()
    await alice.ask("Tell me 5")
    paced.give(4)
    await expect(alice["#say"]).to_have_text("supervisor started")
    await expect(alice[".answer"]).to_have_attribute("aria-busy", "true")
    assert "off" == await alice["#talk"].get_attribute("aria-live")
    paced.free()
    await expect(alice["#say"]).to_have_text(
        "Answer: word0 of alice. word1 of alice. word2 of alice. word3 of alice. word4 of alice."
    )
    await expect(alice[".answer"]).not_to_have_attribute("aria-busy", "true")


async def test_skip_link_leads_to_the_question(serve: Serve, visit: Visit) -> None:
    """From wherever the page was opened."""
    served = await serve(*Paced().agents)
    alice = await (await visit(served.url, width=390, height=844)).enter()
    await alice.page.get_by_role("link", name="Dashboard").click()
    await alice.page.evaluate("document.activeElement.blur()")
    await tab_to(alice, "#skip")
    await alice.page.keyboard.press("Enter")
    await expect(alice["#question"]).to_be_focused()
    assert "chat" == await alice["body"].get_attribute("data-view")
