"""A site: what all wires of one mounted edge share, and the way in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from ssot_engine.container import ExecutionContainer
from ssot_engine.web.access import UserAccess
from ssot_engine.web.credentials import credential_of
from ssot_engine.web.deliveries import Deliveries
from ssot_engine.web.identity import Authenticator
from ssot_engine.web.origins import Origins
from ssot_engine.web.rates import Rates


@dataclass(frozen=True, slots=True)
class Site:
    """What all wires of one mounted edge share. `stopping` is set when the process is about to end."""

    container: ExecutionContainer
    authenticator: Authenticator
    origins: Origins
    rates: Rates
    deliveries: Deliveries
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def enter(self, connection: HTTPConnection, token: str | None = None) -> UserAccess:
        """What the user behind a request may do. `token` is one that came in a frame instead of a header or cookie.

        Raises:
            NotAuthenticated: nobody is proven.
            Forbidden: a page of another site sent it.
        """
        credential = credential_of(connection)
        self.origins.check(connection, is_ambient=token is None and credential.is_ambient)
        identity = await self.authenticator.identify(connection, credential.token if token is None else token)
        return UserAccess(self.container, identity, self.rates)


def site_of(connection: HTTPConnection) -> Site:
    """The site that a request came to."""
    site: Site = connection.app.state.site
    return site


async def enter(connection: HTTPConnection) -> UserAccess:
    """What the user behind a request may do, as a FastAPI dependency."""
    return await site_of(connection).enter(connection)


Access = Annotated[UserAccess, Depends(enter)]
