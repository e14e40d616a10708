"""A server that refuses or does not answer: the question is kept, and the page knows when to try again."""

from __future__ import annotations

import json
import re

import pytest
from asking import endless, greeter
from playwright.async_api import Route, expect
from visitor import Serve, Visit

from ssot_engine.context import UserExecutionContext
from ssot_engine.ids import new_id
from ssot_engine.runs.base import RunSpec

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_full_limit_keeps_the_question_and_tries_again(serve: Serve, visit: Visit) -> None:
    """After the time the server named one more request goes out; once there is room the run starts, unasked."""
    served = await serve(greeter, endless, engine={"max_concurrent_runs_per_user": 1})
    alice = await (await visit(served.url)).enter()
    runs = served.site.container.runs()
    context = UserExecutionContext.from_request("alice", "elsewhere", new_id("run"))
    busy = await runs.submit(RunSpec(context=context, agent="endless", message="stay"))
    await alice["#agent"].select_option("greeter")
    await alice.ask("world")
    notice = alice["#notice"]
    await expect(notice).to_contain_text("A limit is reached")
    await runs.cancel("alice", busy)
    await expect(notice).to_contain_text("engine.max_concurrent_runs_per_user (now 1)")
    await expect(notice).to_contain_text(re.compile(r"Trying again"))
    assert "world" == await alice["#question"].input_value()
    sent = len(alice.sent("run"))
    await alice.ended()
    assert sent + 1 == len(alice.sent("run"))
    assert "Hello, world" == await alice.answer()
    await expect(notice).to_be_hidden()
    assert "" == await alice["#question"].input_value()


async def test_it_gives_up_after_three_tries_by_itself(serve: Serve, visit: Visit) -> None:
    """Then it waits for the person, who is told so; by hand it counts anew."""
    served = await serve(greeter, endless, engine={"max_concurrent_runs_per_user": 1})
    alice = await (await visit(served.url)).enter()
    runs = served.site.container.runs()
    context = UserExecutionContext.from_request("alice", "elsewhere", new_id("run"))
    busy = await runs.submit(RunSpec(context=context, agent="endless", message="stay"))
    await alice["#agent"].select_option("greeter")
    await alice.ask("world")
    await expect(alice["#notice"]).to_contain_text("It is not tried again by itself")
    assert 4 == len(alice.sent("run"))
    assert 4 == len({frame["key"] for frame in alice.sent("run")})
    await runs.cancel("alice", busy)
    await alice["#notice"].get_by_role("button", name="Try now").click()
    await alice.ended()
    assert "Hello, world" == await alice.answer()


async def test_a_longer_time_counts_down(serve: Serve, visit: Visit) -> None:
    """With a minute to wait nothing is sent meanwhile, and the figure goes down; leaving it keeps the text."""
    served = await serve(greeter, web={"runs_rate": "1/minute"})
    alice = await (await visit(served.url)).enter()
    await alice.ask("one")
    await alice.ended()
    await alice.ask("two")
    left = alice["#notice .left"]
    await expect(left).to_contain_text(re.compile(r"Trying again in\s\d+\ss"))
    first = _seconds(await left.inner_text())
    await expect(left).not_to_contain_text(f"{first}\u00a0s")
    assert first > _seconds(await left.inner_text()) > 40
    assert 2 == len(alice.sent("run"))
    await alice["#notice"].get_by_role("button", name="Leave it").click()
    await expect(alice["#notice"]).to_be_hidden()
    assert "two" == await alice["#question"].input_value()


def _seconds(text: str) -> int:
    found = re.search(r"(\d+)", text)
    assert found is not None
    return int(found[1])


async def test_a_history_that_cannot_be_read_says_so(serve: Serve, visit: Visit) -> None:
    """Instead of an empty conversation: the reason, its code, and a button that reads it once it is back."""
    served = await serve(greeter)
    alice = await (await visit(served.url)).enter()
    alice.forgive("503")
    await alice.ask("world")
    await alice.ended()
    problem = {
        "title": "Log Unavailable",
        "status": 503,
        "detail": "the log does not answer",
        "code": "log_unavailable",
    }

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(problem))

    await alice.page.route(re.compile(r"/api/threads/[^/]+/events"), refuse)
    await alice.page.reload()
    shown = alice["#talk .state.bad"]
    await expect(shown).to_contain_text("The conversation cannot be shown now")
    await expect(shown).to_contain_text("The log does not answer.")
    await expect(shown).to_contain_text("503 log_unavailable")
    await expect(alice["#send"]).to_be_disabled()
    await alice.page.unroute_all()
    await shown.get_by_role("button", name="Try again").click()
    await expect(alice["article.run .answer"]).to_have_text("Hello, world")
    await expect(alice["#send"]).to_be_enabled()
