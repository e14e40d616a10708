"""A long conversation: the document stays small, and all of it can still be reached."""

from __future__ import annotations

import pytest
from paced import Paced, chatter
from playwright.async_api import expect
from test_connection import run
from visitor import Serve, Visit

from fakes import events_of
from ssot_engine.events import ThreadKey

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUNS, WORDS = 50, 200
#: A dozen runs are near the view, each with at most 60 stops and 200 marks. All the events would be more than 50,000.
MOST_NODES = 5000

_FRAMES = """async (ms) => {
    const times = [];
    let last = performance.now();
    const end = last + ms;
    while (last < end) {
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
    }
    times.sort((a, b) => a - b);
    return [times.length, times[times.length >> 1], times[Math.floor(times.length * 0.99)]];
}"""


async def test_ten_thousand_events_leave_the_document_small(
    serve: Serve, visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    """50 runs, 10,000 events: at most MOST_NODES elements, at the end, at the top and while one more run streams."""
    paced = Paced()
    served = await serve(*paced.agents, chatter, tools=paced.tools, events={"max_events_per_thread": 50_000})
    for _ in range(RUNS):
        await run(served, "long", "chatter", f"talk {WORDS}")
    key, log = ThreadKey("alice", "long"), served.site.container.event_log()
    assert log.head(key).seq >= 10_000
    alice = await (await visit(served.url)).enter()
    await alice.open("#chat/long")
    await alice.page.reload()
    await alice.is_live()
    await alice.read_to(log.head(key).seq)
    most = await alice["*"].count()
    await alice["#agent"].select_option("supervisor")
    await alice.ask("go on 2000")
    paced.give(20_000)
    await expect(alice[".answer"].last).to_contain_text("word3 ")
    count, p50, p99 = await alice.page.evaluate(_FRAMES, 800)
    most = max(most, await alice["*"].count())
    paced.free()
    await alice["#question"].press("Escape")
    await expect(alice["#cancel"]).to_be_hidden()
    for top in (0, 0.3, 0.7):
        for pane in ("talk", "falls"):
            await alice.page.evaluate(
                "([id, top]) => { const box = document.getElementById(id); box.scrollTop = box.scrollHeight * top; }",
                [pane, top],
            )
        await alice.page.evaluate(_FRAMES, 60)
        most = max(most, await alice["*"].count())
    await expect(alice["#tl-live"]).to_be_visible()
    await alice["#tl-live"].click()
    await alice.page.fill("#tl-find", "talk of 12")
    assert await alice.listed()
    await alice.page.fill("#tl-find", "#5000")
    await expect(alice["#falls tbody tr:not(.edge)"].first).to_contain_text("#5000")
    assert most <= MOST_NODES
    told = events_of(log, key)
    with capsys.disabled():
        print(f"\n{len(told)} events, at most {most} elements; {count} frames, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
