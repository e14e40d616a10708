"""The page is not always at the root: below a host application's prefix, and behind a proxy that takes a path off."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from asking import greeter
from fastapi import FastAPI
from host_serving import hosting
from playwright.async_api import expect
from prefix_proxy import proxying_below
from starlette.requests import HTTPConnection
from visitor import Serve, Visit, Visitor

from running import small_settings
from ssot_engine.container import ExecutionContainer
from ssot_engine.web.install import install

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def works_below(visitor: Visitor, prefix: str) -> None:
    """Asks, reloads, and looks at what was asked for: nothing beside the prefix."""
    await visitor.ask("world")
    await visitor.ended()
    assert "Hello, world" == await visitor.answer()
    await visitor.reload()
    assert "Hello, world" == await visitor.answer()
    assert [] == [url for url in visitor.asked if not f"{urlsplit(url).path}/".startswith(f"{prefix}/")]
    assert any(urlsplit(url).path == f"{prefix}/ws" for url in visitor.asked)


async def test_behind_a_proxy_that_takes_a_path_off(serve: Serve, visit: Visit) -> None:
    """Page, files, API, socket and cookie are all found below the path."""
    served = await serve(greeter, web={"root_path": "/deep/agents"})
    async with proxying_below("/deep/agents", served.port) as proxy:
        alice = await (await visit(f"{proxy.url}/")).enter()
        await works_below(alice, "/deep/agents")
        (cookie,) = await alice.page.context.cookies()
        assert ("/deep/agents", True, "Strict") == (cookie["path"], cookie["httpOnly"], cookie["sameSite"])
        assert [] == proxy.missed
        await alice.page.close()


async def test_below_the_prefix_of_a_host(visit: Visit) -> None:
    """`install(app)` is enough: the host says who the user is, and the page does not ask."""
    app = FastAPI()

    def signed_in(connection: HTTPConnection) -> str | None:
        return connection.cookies.get("host_user")

    container = ExecutionContainer.from_settings(small_settings())
    install(app, container, agents=[greeter], user=signed_in, prefix="/agents")
    async with hosting(app) as client:
        url = str(client.base_url)
        alice = await visit(f"{url}/agents")
        await alice.open()
        await expect(alice["#signin"]).to_contain_text("This page belongs to another application")
        await alice.page.context.add_cookies([{"name": "host_user", "value": "alice", "url": url}])
        await alice["#signin"].get_by_role("button", name="Try again").click()
        await alice.is_live()
        await works_below(alice, "/agents")
        await alice.page.close()
