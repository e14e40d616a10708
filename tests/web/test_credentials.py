"""Where a request's token may stand, and how a browser is given it to keep."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie

import pytest
from issuers import connection
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ssot_engine.errors import RequestError
from ssot_engine.web.credentials import COOKIE, Credential, clear_cookie, credential_of, set_cookie


def mounted(root_path: str = "", scheme: str = "http") -> HTTPConnection:
    """A request to a site mounted at a path."""
    return HTTPConnection({"type": "http", "scheme": scheme, "root_path": root_path, "path": "/", "headers": []})


def kept(root_path: str = "", scheme: str = "http", token: str = "t", expires_at: float | None = None) -> str:
    """The Set-Cookie header for a token."""
    response = Response()
    set_cookie(response, mounted(root_path, scheme), token, expires_at)
    return response.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "token", "is_ambient"),
    [
        ({"authorization": "Bearer abc.def"}, "abc.def", False),
        ({"authorization": "bearer  abc"}, "abc", False),
        ({"authorization": "Bearer alice", "cookie": f"{COOKIE}=bob"}, "alice", False),
        ({"authorization": "Bearer ", "cookie": f"{COOKIE}=bob"}, "", False),
        ({"authorization": "Bearer", "cookie": f"{COOKIE}=bob"}, "", False),
        ({"authorization": "Bearer Zoë"}, "Zoë", False),
        ({"authorization": "Basic YWxpY2U6cHc="}, None, True),
        ({"authorization": "Basic YWxpY2U6cHc=", "cookie": f"{COOKIE}=bob"}, "bob", True),
        ({"cookie": f"theme=dark; {COOKIE}=bob; x=y"}, "bob", True),
        ({"cookie": f"{COOKIE}=inner; {COOKIE}=outer"}, "inner", True),
        ({"cookie": f'{COOKIE}="bob"'}, "bob", True),
        ({"cookie": f"{COOKIE}="}, None, True),
        ({"cookie": f"x{COOKIE}=bob; {COOKIE}x=eve"}, None, True),
        ({}, None, True),
    ],
)
def test_token_is_found(headers: dict[str, str], token: str | None, is_ambient: bool) -> None:
    """The bearer token comes first, then the cookie of the longest path; a cookie and nothing at all are ambient."""
    assert Credential(token, is_ambient=is_ambient) == credential_of(connection(**headers))


def test_token_is_never_shown() -> None:
    """A credential that is printed shows no token."""
    assert "abc" not in repr(credential_of(connection(authorization="Bearer abc")))


def test_latin_1_is_read_too() -> None:
    """A header that is no UTF-8 is read as what it was sent as."""
    raw = HTTPConnection({"type": "http", "headers": [(b"authorization", b"Bearer Zo\xeb")]})
    assert "Zoë" == credential_of(raw).token


def test_cookie_is_out_of_reach() -> None:
    """No script reads the cookie, no other site's page sends it, and over https it never goes in the clear."""
    assert f"{COOKIE}=t; HttpOnly; Path=/; SameSite=strict" == kept()
    assert f"{COOKIE}=t; HttpOnly; Path=/; SameSite=strict; Secure" == kept(scheme="https")


@pytest.mark.parametrize(
    ("root_path", "path"),
    [("", "/"), ("/", "/"), ("/agents", "/agents"), ("/agents/", "/agents"), ("/a b/ü;x", "/a%20b/%C3%BC%3Bx")],
)
def test_cookie_is_for_the_mounted_site(root_path: str, path: str) -> None:
    """The cookie's path is where the site is mounted, and nothing in that path can add an attribute."""
    assert path == SimpleCookie(kept(root_path))[COOKIE]["path"]


@pytest.mark.parametrize("token", ["alice", "Jane Doe", "Zoë; Path=/; x", 'a"b,c\\', "%41%", "eyJ.e30._-", "\r\nX: y"])
def test_any_token_survives_the_cookie(token: str) -> None:
    """Whatever a token consists of comes back as it was, and adds nothing to the header."""
    value = kept(token=token).partition(";")[0]
    assert token == credential_of(connection(cookie=value)).token


def test_cookie_ends_with_the_token() -> None:
    """The browser forgets a token when it expires; one that lasts is forgotten with the browser."""
    age = int(SimpleCookie(kept(expires_at=time.time() + 300.5))[COOKIE]["max-age"])
    assert 290 < age <= 300
    assert "Max-Age" not in kept(expires_at=None)
    assert "Max-Age=1;" in kept(expires_at=time.time() - 5)


def test_too_long_a_token_is_refused() -> None:
    """A token that a browser would drop silently is refused, and not quoted."""
    kept(token="x" * (4096 - len(COOKIE)))
    with pytest.raises(RequestError, match="browsers keep 4096") as refused:
        kept(token="x" * (4097 - len(COOKIE)))
    assert "xxx" not in str(refused.value)


def test_clearing_names_the_same_cookie() -> None:
    """The cookie is cleared by its name and path, at once."""
    response = Response()
    clear_cookie(response, mounted("/agents", "https"))
    morsel = SimpleCookie(response.headers["set-cookie"])[COOKIE]
    assert ("", "0", "/agents", True) == (morsel.value, morsel["max-age"], morsel["path"], morsel["secure"])
