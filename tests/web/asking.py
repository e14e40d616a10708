"""Clients and agents of the tests that ask a served site over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from serving import Served

from ssot_engine.agents import RunContext, agent


def asking(served: Served, user: str | None = "alice", **more: Any) -> httpx2.AsyncClient:
    """A client signed in as a user, or as nobody."""
    headers = {} if user is None else {"authorization": f"Bearer {user}"}
    # Reading the system's certificates would cost more than most tests, and nothing here speaks TLS.
    return httpx2.AsyncClient(base_url=served.url, headers=headers, verify=False, **more)


@agent("greeter")
async def greeter(run: RunContext) -> str:
    """Greets whoever asks."""
    return f"Hello, {run.message}"


@agent("failing")
async def failing(run: RunContext) -> str:
    """Fails."""
    raise LookupError("no such figure")


@agent("endless")
async def endless(run: RunContext) -> None:
    """Works until it is stopped."""
    await asyncio.Event().wait()


PAGELESS = {"page": False}
ADMINS = {"dev_users": ("alice", "bob", "carol"), "admins": ("carol",)}
