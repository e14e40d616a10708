"""Users whom the host application names."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from issuers import connection
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from structlog.testing import capture_logs

from ssot_engine.errors import Forbidden, NotAuthenticated
from ssot_engine.web.host_users import HostUserFailed, HostUsers
from ssot_engine.web.identity import Identity

SECRET = "hunter2-and-more"


def by_header(asked: HTTPConnection) -> str | None:
    """The user whom a header names."""
    return asked.headers.get("x-user")


async def by_header_later(asked: HTTPConnection) -> str | None:
    """The same as a coroutine."""
    return by_header(asked)


class ByHeader:
    """The same as an object with a coroutine method."""

    async def __call__(self, asked: HTTPConnection) -> str | None:
        return by_header(asked)


def answering(answer: Any) -> HostUsers:
    """A host that always gives the same answer."""
    return HostUsers(lambda _: answer)


@pytest.mark.parametrize("user", [by_header, by_header_later, ByHeader(), lambda asked: by_header_later(asked)])
async def test_host_is_asked(user: Any) -> None:
    """A function, a coroutine function or anything that can be called says whose request it is."""
    assert Identity("alice") == await HostUsers(user).identify(connection(x_user="alice"), None)


@pytest.mark.parametrize("user", [by_header, by_header_later])
async def test_nobody_is_nobody(user: Any) -> None:
    """A request that is nobody's is refused; a token of ours does not help."""
    with pytest.raises(NotAuthenticated, match="sign in at the application"):
        await HostUsers(user).identify(connection(), "alice")


async def test_identity_is_taken_as_it_is() -> None:
    """A host may say more than the id."""
    given = Identity("alice", is_admin=True, expires_at=time.time() + 60)
    assert given == await answering(given).identify(connection(), None)


async def test_a_sign_in_without_an_end_has_none() -> None:
    """JSON has no infinity to tell the page, and no timer takes one."""
    assert Identity("alice") == await answering(Identity("alice", expires_at=math.inf)).identify(connection(), None)


@pytest.mark.parametrize("answer", ["alice", Identity("alice", expires_at=1e10)])
async def test_admins_of_the_settings_are_admins(answer: Any) -> None:
    """Who is listed in auth.admins is one, whatever form the host names it in."""
    identity = await HostUsers(lambda _: answer, ["alice"]).identify(connection(), None)
    assert ("alice", True) == (identity.user_id, identity.is_admin)


class Text(str):
    """A text of another class."""

    __slots__ = ()


@pytest.mark.parametrize(
    "answer",
    [None, "", "   ", "None", "null", "a\nb", "x" * 129, True, False, 0, 7, b"alice", ["alice"], {"sub": "alice"},
     object(), Text("alice"), Identity("alice", expires_at=1.0), Identity("alice", expires_at=math.nan)],
)  # fmt: skip
async def test_anything_else_is_nobody(answer: Any) -> None:
    """What is no user's id, or a sign-in that is over, proves nobody."""
    with pytest.raises(NotAuthenticated):
        await answering(answer).identify(connection(), None)


async def test_wrong_answer_is_logged() -> None:
    """A host that answers with the wrong kind finds out from the log, which does not quote it."""
    with capture_logs() as entries, pytest.raises(NotAuthenticated):
        await answering({"token": SECRET}).identify(connection(), None)
    assert [("host_user_refused", "dict")] == [(entry["event"], entry["type"]) for entry in entries]
    assert SECRET not in repr(entries)


@pytest.mark.parametrize(
    "error", [HTTPException(403, "no"), HTTPException(302), NotAuthenticated("no"), Forbidden("no")]
)
async def test_answers_for_http_pass(error: Exception) -> None:
    """What the host raises for its client reaches the client."""

    async def user(_: HTTPConnection) -> str:
        raise error

    with pytest.raises(type(error)) as raised:
        await HostUsers(user).identify(connection(), None)
    assert error is raised.value


async def test_other_failure_says_where_but_not_what() -> None:
    """Any other failure names its kind and place; its text, which may quote a token, is nowhere."""

    def user(asked: HTTPConnection) -> str:
        raise KeyError(asked.headers["authorization"])

    with capture_logs() as entries, pytest.raises(HostUserFailed) as failed:
        await HostUsers(user).identify(connection(authorization=f"Bearer {SECRET}"), SECRET)
    (entry,) = entries
    assert ("host_user_failed", "KeyError", "error") == (entry["event"], entry["error"], entry["log_level"])
    assert entry["place"].startswith(f"{__file__}:")
    assert SECRET not in repr(entries) + str(failed.value) + repr(failed.value)
    assert failed.value.__suppress_context__
