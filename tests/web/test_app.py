"""Facts about the site as an application: which paths it has, and what it needs to be made."""

from __future__ import annotations

import httpx2
import pytest
from host_greeting import signed_in
from serving import DEV_USERS

from running import Start
from ssot_engine.errors import ConfigError
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.site import Site


def client_of(site: Site) -> httpx2.AsyncClient:
    """A client of the site's application."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(site)), base_url="http://localhost", verify=False
    )


async def test_every_wire_has_its_path(start: Start) -> None:
    """The description names each path of the API; the socket's cannot be in it."""
    container = await start(auth=DEV_USERS)
    async with client_of(create_site(container)) as client:
        described = (await client.get("/api/openapi.json")).json()["paths"]
    assert {
        "/api/agents",
        "/api/agui",
        "/api/engines",
        "/api/protocol",
        "/api/runs",
        "/api/runs/{run_id}",
        "/api/session",
        "/api/threads",
        "/api/threads/{thread_id}/events",
        "/healthz",
        "/metrics",
        "/readyz",
    } <= set(described)


async def test_the_page_may_be_left_out(start: Start) -> None:
    """By `web.page`; the API stays."""
    for wanted in (True, False):
        container = await start(auth=DEV_USERS, web={"page": wanted})
        async with client_of(create_site(container)) as client:
            assert (200 if wanted else 404) == (await client.get("/")).status_code
            assert 200 == (await client.get("/readyz")).status_code


async def test_pages_of_strangers_are_left_out(start: Start) -> None:
    """FastAPI's own pages load scripts from elsewhere."""
    async with client_of(create_site(await start(auth=DEV_USERS))) as client:
        for path in ("/docs", "/redoc"):
            assert 404 == (await client.get(path)).status_code


async def test_a_site_needs_one_way_to_sign_in(start: Start) -> None:
    """Not none, and not two."""
    with pytest.raises(ConfigError, match="nothing says how users sign in"):
        create_site(await start())
    with pytest.raises(ConfigError, match=r"user= and auth\.dev_users both say"):
        create_site(await start(auth=DEV_USERS), user=signed_in)
    assert "host" == create_site(await start(), user=signed_in).authenticator.sign_in.kind
