"""Users who sign in by name alone."""

from __future__ import annotations

import pytest
from issuers import connection

from ssot_engine.errors import ConfigError, NotAuthenticated
from ssot_engine.web.dev_users import DevUsers
from ssot_engine.web.identity import Identity, SignIn


async def test_name_is_the_token() -> None:
    """A listed name proves its user; who is an admin is what the settings say."""
    users = DevUsers(["alice", "bob"], ["bob", "carol"])
    assert Identity("alice") == await users.identify(connection(), "alice")
    assert Identity("bob", is_admin=True) == await users.identify(connection(), "bob")


@pytest.mark.parametrize("token", [None, "", "carol", "Alice", " alice", "alice ", "alice\0", "ali", "*", "alicе"])
async def test_nothing_else_is(token: str | None) -> None:
    """Any other text proves nobody and is not repeated."""
    with pytest.raises(NotAuthenticated) as refused:
        await DevUsers(["alice", "bob"], ["carol"]).identify(connection(), token)
    assert not token or token.strip() not in str(refused.value)


def test_page_is_told_the_names() -> None:
    """The page offers the users to pick from."""
    assert SignIn("users", ("alice", "bob")) == DevUsers(["alice", "bob", "alice"]).sign_in


@pytest.mark.parametrize("users", [(), ("",), ("test",), ("a\nb",), ("x" * 129,)])
def test_bad_list_is_refused(users: tuple[str, ...]) -> None:
    """A list that is empty, or names a user no run could belong to, is the operator's mistake."""
    with pytest.raises(ConfigError, match=r"auth\.dev_users"):
        DevUsers(users)
