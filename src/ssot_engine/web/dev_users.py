"""Users who sign in by name alone, for development."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import HTTPConnection

from ssot_engine.errors import ConfigError, InvalidContext, NotAuthenticated
from ssot_engine.web.identity import Authenticator, Identity, SignIn


class DevUsers(Authenticator):
    """Takes a listed user's name as proof. Whoever serves it must listen on loopback only.

    Raises:
        ConfigError: a name is no user id, or none is given.
    """

    def __init__(self, users: Sequence[str], admins: Sequence[str] = ()) -> None:
        self._identities = {name: _identity(name, is_admin=name in admins) for name in users}
        if not self._identities:
            raise ConfigError("auth.dev_users is empty; name at least one user")
        self.sign_in = SignIn("users", tuple(self._identities))

    async def identify(self, connection: HTTPConnection, token: str | None) -> Identity:
        """The user whose name the token is."""
        if not token:
            raise NotAuthenticated("not signed in; send the name of a development user as bearer token")
        identity = self._identities.get(token)
        if identity is None:
            raise NotAuthenticated("the token is no development user's name; auth.dev_users lists them")
        return identity


def _identity(name: str, *, is_admin: bool) -> Identity:
    try:
        return Identity(name, is_admin)
    except InvalidContext as error:
        raise ConfigError(f"auth.dev_users names a user who cannot be one: {error}") from error
