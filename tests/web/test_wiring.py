"""Facts about a host's routes that dependency-injector fills: they work when wired, and else nothing starts."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import host_wired
import pytest
from dependency_injector import providers
from dependency_injector.wiring import DIWiringWarning, Provide
from fastapi import Depends, FastAPI
from host_greeting import greeter, signed_in
from host_serving import hosting, started

from running import small_settings
from ssot_engine import AgentRegistry, ExecutionContainer, install
from ssot_engine.errors import ConfigError


@pytest.fixture
def container() -> Iterator[ExecutionContainer]:
    """A container; what it wired is unwired."""
    made = ExecutionContainer.from_settings(small_settings())
    yield made
    made.unwire()


def host(container: ExecutionContainer, *, wires: bool = True) -> FastAPI:
    """An application with these routes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if wires:
            container.wire(modules=[host_wired])
        yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(host_wired.router)
    install(app, container, agents=[greeter], user=signed_in)
    return app


async def test_wired_routes_get_what_they_ask_for(container: ExecutionContainer) -> None:
    """Objects, providers, and dependencies of dependencies, of the container that runs."""
    async with hosting(host(container)) as client:
        assert (await client.get("/running")).json() is True
        assert ["greeter"] == (await client.get("/names")).json()
        assert "UnifiedIDManager" == (await client.get("/made")).json()


async def test_an_override_reaches_live_requests(container: ExecutionContainer) -> None:
    """For as long as it lasts."""
    async with started(host(container)) as client:
        with container.registry.override(providers.Object(AgentRegistry())):
            assert [] == (await client.get("/names")).json()
        assert ["greeter"] == (await client.get("/names")).json()


async def test_routes_that_nobody_wired_do_not_start(container: ExecutionContainer) -> None:
    """The text names the function, the parameter and the remedy."""
    expected = r"parameter 'factory' of host_wired.running\(\) would get a marker .*call container.wire\(modules="
    with pytest.raises(ConfigError, match=expected):
        async with started(host(container, wires=False)):
            pass


async def test_markers_without_inject_do_not_start(container: ExecutionContainer) -> None:
    """However well it is wired."""
    app = host(container)
    given = Depends(Provide[ExecutionContainer.registry])

    @app.get("/forgotten")
    async def forgotten(registry: AgentRegistry = given) -> None: ...

    with pytest.raises(ConfigError, match=r"forgotten\(\) would get a marker .*write @inject directly above"):
        async with started(app):
            pass


async def test_markers_hidden_by_postponed_annotations_do_not_start(container: ExecutionContainer) -> None:
    """dependency-injector sees text in place of the marker; FastAPI does see it."""
    with pytest.warns(DIWiringWarning, match="not required"):
        module = importlib.import_module("host_hidden")
    app = host(container)
    app.include_router(module.router)
    with pytest.raises(ConfigError, match=r"hidden\(\) would get a marker .*take `from __future__ import annotations`"):
        async with started(app):
            pass
