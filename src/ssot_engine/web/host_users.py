"""Users whom the host application knows."""

from __future__ import annotations

import inspect
import math
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from ssot_engine.errors import ConfigError, InvalidContext, NotAuthenticated, RequestError
from ssot_engine.logs import get_logger
from ssot_engine.web.identity import Authenticator, Identity, SignIn

#: How a host says whose request it is: the user's id, or None if it is nobody's.
UserOf = Callable[[HTTPConnection], "str | Identity | Awaitable[str | Identity | None] | None"]

_log = get_logger("ssot_engine.web.host_users")


class HostUserFailed(ConfigError):
    """The host's `user=` callable raised. Its log entry says where; what it said may hold a secret and is not kept."""

    status = 500

    def __init__(self, error: str, place: str) -> None:
        super().__init__(error, place)
        self.error = error
        self.place = place

    def __str__(self) -> str:
        return f"the callable given as user= raised {self.error} at {self.place}; it should return a user's id or None"


class HostUsers(Authenticator):
    """Asks the host whose request it is. A `user` that is no coroutine function runs on the event loop."""

    sign_in = SignIn("host")

    def __init__(self, user: UserOf, admins: Sequence[str] = ()) -> None:
        self._user = user
        self._admins = frozenset(admins)

    async def identify(self, connection: HTTPConnection, token: str | None) -> Identity:
        """The user whom the host names.

        Raises:
            NotAuthenticated: it names nobody.
            HostUserFailed: it raised something that is meant neither for HTTP nor for us.
        """
        return self._verified(await self._asked(connection))

    async def _asked(self, connection: HTTPConnection) -> object:
        try:
            answer = self._user(connection)
            return await answer if inspect.isawaitable(answer) else answer
        except (HTTPException, RequestError):
            raise
        except Exception as error:
            # The one boundary to the host's code: its text may quote what the request brought.
            failed = HostUserFailed(type(error).__name__, _place(error))
            _log.error("host_user_failed", error=failed.error, place=failed.place)
            raise failed from None

    def _verified(self, answer: object) -> Identity:
        identity = _identity(answer)
        if identity.expires_at == math.inf:
            identity = msgspec.structs.replace(identity, expires_at=None)
        # What is no number is no time either, and compares as False.
        if identity.expires_at is not None and not identity.expires_at > time.time():
            raise NotAuthenticated("the sign-in has expired; sign in again")
        if identity.user_id in self._admins and not identity.is_admin:
            return msgspec.structs.replace(identity, is_admin=True)
        return identity


def _identity(answer: object) -> Identity:
    if isinstance(answer, Identity):
        return answer
    if answer is None or answer == "":
        raise NotAuthenticated("not signed in; sign in at the application this is part of")
    try:
        return Identity(answer)  # type: ignore[arg-type]  # it checks what it is given
    except InvalidContext as error:
        _log.warning("host_user_refused", type=type(answer).__name__, problem=error.problem)
        raise NotAuthenticated("the application named no user that can be one; sign in there again") from None


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
