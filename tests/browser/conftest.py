"""Fixtures of the browser tests: one Chromium for all of them, served sites, and people who visit them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect
from serving import DEV_USERS, Served, serving
from visitor import Serve, Visit, Visitor

from running import assert_nothing_is_left, small_settings
from ssot_engine.container import ExecutionContainer

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT_MS = 15_000


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, as the system has it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on the PATH; on Debian: apt-get install chromium")
    expect.set_options(timeout=LIMIT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """Serves containers with agents and tools; at the end nothing of a run may be left of them."""
    containers: list[ExecutionContainer] = []
    async with AsyncExitStack() as stack:

        async def serve(*agents: object, tools: Sequence[Callable[..., Any]] = (), **sections: Any) -> Served:
            container = ExecutionContainer.from_settings(small_settings(**{"auth": DEV_USERS, **sections}))
            for one in agents:
                container.registry().register(one)
            for function in tools:
                container.tools().register(function)
            containers.append(await stack.enter_async_context(container.running()))
            return await stack.enter_async_context(serving(container))

        yield serve
    for container in containers:
        assert_nothing_is_left(container)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, serve: Serve) -> AsyncIterator[Visit]:
    """Opens the page in a context of its own; at the end no browser may have complained or gone elsewhere."""
    visitors: list[Visitor] = []
    async with AsyncExitStack() as stack:

        async def visit(url: str, width: int = 1440, height: int = 900, **options: Any) -> Visitor:
            context = await browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.push_async_callback(context.close)
            context.set_default_timeout(LIMIT_MS)
            visitor = Visitor(await context.new_page(), url)
            visitors.append(visitor)
            return visitor

        yield visit
    for visitor in visitors:
        visitor.check_is_content()
