"""Two people at once: nothing of one is anywhere in the other's browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from paced import Paced
from playwright.async_api import Response, expect
from visitor import Serve, Visit, Visitor

from fakes import events_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Ears:
    """All that the server answered a browser over HTTP."""

    def __init__(self, visitor: Visitor) -> None:
        self._reading: list[asyncio.Task[None]] = []
        self.bodies: list[str] = []
        visitor.page.on("response", lambda one: self._reading.append(asyncio.create_task(self._read(one))))

    async def _read(self, response: Response) -> None:
        if "/api/" in response.url and response.status == 200:
            self.bodies.append(await response.text())

    async def all(self) -> str:
        """What was heard so far."""
        await asyncio.gather(*self._reading, return_exceptions=True)
        return "\n".join(self.bodies)


async def test_nothing_of_one_user_reaches_the_other(serve: Serve, visit: Visit) -> None:
    """No id, question or answer of alice is in bob's document, network or console while both run, and the other way."""
    paced = Paced()
    served = await serve(*paced.agents, tools=paced.tools)
    people: dict[str, tuple[Visitor, Ears]] = {}
    for user in ("alice", "bob"):
        visitor = await visit(served.url)
        people[user] = (await visitor.enter(user), Ears(visitor))
    for user, (visitor, _) in people.items():
        await visitor.ask(f"Secret of {user} 25")
    paced.give(2 * 8)
    for user, (visitor, _) in people.items():
        await expect(visitor[".answer"]).to_contain_text(f"word2 of {user}.")
        await visitor["#threads summary"].click()
        await expect(visitor["#threads .thread"]).to_have_count(1)
        await visitor.page.keyboard.press("Escape")
        await expect(visitor["#dashboard tr.running"]).to_have_count(1)
    engines = {one.user_context.user_id: one.engine_id for one in served.site.container.engine_factory().engines()}
    paced.free()
    told: dict[str, set[str]] = {}
    for user, (visitor, _) in people.items():
        await visitor.ended()
        key = await visitor.thread(user)
        events = events_of(served.site.container.event_log(), key)
        told[user] = {key.thread_id, events[0].run_id, engines[user], f"Secret of {user}", f"of {user}."}
    for user, other in (("alice", "bob"), ("bob", "alice")):
        visitor, ears = people[user]
        everything = await _everything(visitor, ears)
        assert [] == [one for one in told[user] if one not in everything]
        assert [] == [one for one in told[other] if one in everything]


async def _everything(visitor: Visitor, ears: Ears) -> str:
    parts: list[Any] = [
        await visitor.page.content(),
        await ears.all(),
        *visitor.heard,
        *visitor.console,
        *visitor.asked,
    ]
    return "\n".join(map(str, parts))


async def test_a_foreign_thread_is_an_empty_one_of_ones_own(serve: Serve, visit: Visit) -> None:
    """A link to another user's conversation shows nothing of it."""
    paced = Paced()
    paced.free()
    served = await serve(*paced.agents, tools=paced.tools)
    alice = await (await visit(served.url)).enter("alice")
    await alice.ask("Secret 3")
    await alice.ended()
    bob = await (await visit(served.url)).enter("bob")
    await bob.open(f"#chat/{(await alice.thread()).thread_id}")
    await bob.is_live()
    await expect(bob["#talk .state h2"]).to_have_text("What would you like to know?")
    assert "Secret" not in await bob.page.content() + "".join(bob.heard)


async def test_signing_out_and_in_as_another_leaves_nothing(serve: Serve, visit: Visit) -> None:
    """Draft, thread and events of the first are gone from the page and from its storage."""
    paced = Paced()
    paced.free()
    served = await serve(*paced.agents, tools=paced.tools)
    one = await (await visit(served.url)).enter("alice")
    await one.ask("Secret 3")
    await one.ended()
    await one.page.fill("#question", "Secret draft")
    thread = (await one.thread()).thread_id
    await one["#account summary"].click()
    await one.page.get_by_role("button", name="Sign out").click()
    await one.page.get_by_role("button", name="bob").click()
    await one.is_live()
    left = await one.page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, location.href])")
    left += await one["#desk"].inner_html() + await one["header.bar"].inner_html()
    assert [] == [word for word in ("Secret", "alice", thread) if word in left]
