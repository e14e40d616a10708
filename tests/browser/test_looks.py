"""How it fits: wide, laptop and phone, zoomed, light and dark, without motion and in forced colours.

The screenshots are written to the test's folder; `pytest --basetemp=DIR` says where that is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from paced import Paced
from playwright.async_api import expect
from visitor import Serve, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDE, LAPTOP, PHONE, ZOOMED = (1440, 900), (1100, 760), (390, 844), (720, 450)
VIEWS = ("Chat", "Timeline", "Dashboard")
ANSWER = "How can I optimize my LLM costs?"

_SIDEWAYS = """() => {
    const boxes = [document.documentElement, ...document.querySelectorAll('.pane, .talk, .falls, .cards, header.bar')];
    const isWide = (one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1;
    return boxes.filter(isWide).map((one) => `${one.tagName} ${one.className} ${one.scrollWidth}`);
}"""

_SMALL = """(least) => {
    const seen = { visibilityProperty: true, opacityProperty: true };
    return [...document.querySelectorAll('button, a, select, summary, textarea, input')]
        .filter((one) => one.checkVisibility(seen) && !one.matches('.tick, .skip'))
        .map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()])
        .filter(([, box]) => box.width && Math.min(box.height, box.width) < least - 0.5)
        .map(([one, box]) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 20)} ${box.width}`);
}"""


async def fits(visitor: Visitor, least_px: int) -> None:
    """Nothing scrolls sideways, and what can be pressed is large enough."""
    assert [] == await visitor.page.evaluate(_SIDEWAYS)
    assert [] == await visitor.page.evaluate(_SMALL, least_px)


async def shot(visitor: Visitor, folder: Path, name: str) -> None:
    """A picture of the page as it is."""
    await visitor.page.screenshot(path=folder / f"{name}.png")


async def test_it_fits_every_width_in_light_and_dark(serve: Serve, visit: Visit, tmp_path: Path) -> None:
    """With an answered question and a run going on: 1440, 1100 and 390 pixels, and 1440 at 200 %."""
    paced = Paced()
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await visit(served.url)
    await alice.open()
    await expect(alice["#signin button"].first).to_be_visible()
    await fits(alice, 24)
    await shot(alice, tmp_path, "signin")
    await alice.enter()
    await shot(alice, tmp_path, "empty")
    await alice.ask("What did last month cost 4")
    paced.give(40)
    await alice.ended()
    await alice.ask("And what would it cost on the small model, if nothing else changed 200")
    paced.give(60)
    await expect(alice[".answer"].last).to_contain_text("word12 ")
    await alice[".chip"].first.click()
    for name, (width, height), least in (
        ("wide", WIDE, 24),
        ("laptop", LAPTOP, 24),
        ("zoomed", ZOOMED, 24),
        ("phone", PHONE, 40),
    ):
        await alice.page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await alice.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for view in VIEWS:
                link = alice["#views"].get_by_role("link", name=view)
                if await link.is_visible():
                    await link.click()
                    await expect(alice[f"#{view.lower()}"]).to_be_in_viewport()
                    await alice.page.evaluate("document.activeElement.blur()")
                elif view != "Chat":
                    continue
                await fits(alice, least)
                await shot(alice, tmp_path, f"{name}-{scheme}-{view.lower()}")
    await alice.page.set_viewport_size({"width": 1440, "height": 900})
    await alice.page.emulate_media(color_scheme="light", forced_colors="active", reduced_motion="reduce")
    await fits(alice, 24)
    await shot(alice, tmp_path, "forced-colours")
    moving = await alice.page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length")
    assert 0 == moving
    paced.free()
    await alice.ended()


async def test_the_built_in_team_looks_good(serve: Serve, visit: Visit, tmp_path: Path) -> None:
    """The offered questions of a fresh page, one of them answered, and a failure."""
    served = await serve(agents={"offline": True, "entry_points": False})
    alice = await (await visit(served.url)).enter()
    await expect(alice[".suggest button"]).to_have_count(4)
    await shot(alice, tmp_path, "team-empty")
    await alice.page.get_by_role("button", name=ANSWER).click()
    await alice.ended()
    await shot(alice, tmp_path, "team-answer")
    await alice["#agent"].select_option("report")
    await alice.ask("write it up")
    await alice.ended("failed")
    await shot(alice, tmp_path, "team-failed")
    await alice.page.set_viewport_size({"width": 390, "height": 844})
    await expect(alice[".end .card.bad"]).to_be_in_viewport(ratio=1)
    await fits(alice, 40)
    await shot(alice, tmp_path, "team-failed-phone")
