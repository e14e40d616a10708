"""Who a request comes from, once that is verified, and who says so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import msgspec
from starlette.requests import HTTPConnection

from ssot_engine.ids import check_lasting_id


class Identity(msgspec.Struct, frozen=True):
    """A verified user. `expires_at` is when it must be verified again, in seconds since 1970; None is never.

    Raises:
        InvalidContext: the user's id is none.
    """

    user_id: str
    #: Whether the user may see the engines of all users.
    is_admin: bool = False
    expires_at: float | None = None

    def __post_init__(self) -> None:
        check_lasting_id("user_id", self.user_id)


class SignIn(msgspec.Struct, frozen=True):
    """How a person signs in: by picking one of `users`, by a `token`, or at the `host` application."""

    kind: Literal["users", "token", "host"]
    users: tuple[str, ...] = ()


class Authenticator(ABC):
    """Verifies who a request comes from. There is no anonymous user."""

    #: How the page signs people in.
    sign_in: SignIn

    @abstractmethod
    async def identify(self, connection: HTTPConnection, token: str | None) -> Identity:
        """Whose request it is. `token` is what it brought as bearer token, cookie or in `hello`, unverified.

        Raises:
            NotAuthenticated: it proves nobody; the text never quotes the token.
        """
