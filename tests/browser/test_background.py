"""A page nobody looks at: it asks for nothing, and is up to date when somebody comes back."""

from __future__ import annotations

import re

import pytest
from paced import Paced, answer_to
from playwright.async_api import expect
from tcp_proxy import proxying
from visitor import Serve, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HIDE = """(state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


async def test_ten_minutes_in_the_background(serve: Serve, visit: Visit) -> None:
    """No figures are asked for meanwhile; back again, one connection is made and the figures are fresh."""
    paced = Paced()
    served = await serve(*paced.agents, tools=paced.tools)
    async with proxying(served.port) as proxy:
        alice = await visit(f"http://127.0.0.1:{proxy.port}")
        alice.forgive(r"WebSocket connection to|net::ERR_")
        await alice.page.clock.install()
        await alice.enter()
        await alice.ask("Tell me 30")
        paced.give(3 + 5)
        await expect(alice[".answer"]).to_contain_text("word5 ")
        await alice.page.evaluate(_HIDE, "hidden")
        sockets = len(alice.sockets)
        asked = len(_polls(alice.asked))
        proxy.cut_all()
        paced.free()
        await alice.page.clock.fast_forward("10:00")
        await alice.page.clock.run_for(2000)
        assert len(_polls(alice.asked)) - asked <= 1
        await alice.page.evaluate(_HIDE, "visible")
        await alice.ended()
        assert answer_to("30") == await alice.answer()
        assert len(alice.sockets) - sockets <= 2
        await expect(alice["#dash-age"]).to_have_text("every 2 s")
        assert 1 == served.site.deliveries.open["socket"]


def _polls(urls: list[str]) -> list[str]:
    return [url for url in urls if re.search(r"/api/engines$", url)]


async def test_figures_that_are_old_say_so(serve: Serve, visit: Visit) -> None:
    """While the server cannot be asked, their age is told in place of how often they come."""
    served = await serve(*Paced().agents)
    async with proxying(served.port) as proxy:
        alice = await visit(f"http://127.0.0.1:{proxy.port}")
        alice.forgive(r"WebSocket connection to|net::ERR_")
        await alice.page.clock.install()
        await alice.enter()
        await expect(alice["#dash-age"]).to_have_text("every 2 s")
        proxy.go_dead()
        proxy.flows.clear()
        await alice.page.clock.fast_forward(6000)
        await expect(alice["#dash-age"]).to_contain_text(re.compile(r"figures are \d+ s old"))
