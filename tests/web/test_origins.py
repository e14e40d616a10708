"""Which pages may let a browser ask."""

from __future__ import annotations

import pytest
from issuers import connection
from starlette.requests import HTTPConnection

from ssot_engine.errors import ConfigError, Forbidden
from ssot_engine.web.origins import Origins

ALLOWED = "https://app.example.org"
SITE = Origins([ALLOWED], loopback_only=False)
DEV = Origins([], loopback_only=True)


def is_refused(origins: Origins, asked: HTTPConnection, *, is_ambient: bool = True) -> bool:
    """Whether a request is refused."""
    try:
        origins.check(asked, is_ambient=is_ambient)
    except Forbidden:
        return True
    return False


OWN = [
    ("http", "site.org", "http://site.org"),
    ("http", "site.org:80", "http://site.org"),
    ("http", "site.org", "http://site.org:80"),
    ("http", "SITE.org:8000", "http://site.org:8000"),
    ("http", "127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("http", "[::1]:8000", "http://[::1]:8000"),
    ("https", "site.org", "https://site.org"),
    ("http", "site.org", "https://site.org"),
    ("https", "site.org:443", "https://site.org"),
    ("http", "internal", ALLOWED),
]
FOREIGN = [
    ("http", "site.org", "http://evil.org"),
    ("http", "site.org", "http://site.org.evil.org"),
    ("http", "site.org", "http://evil.org/site.org"),
    ("http", "site.org", "http://site.org@evil.org"),
    ("http", "site.org", "http://user@site.org"),
    ("http", "site.org", "http://sub.site.org"),
    ("http", "site.org", "http://site.org:8000"),
    ("http", "site.org:8000", "http://site.org"),
    ("https", "site.org", "http://site.org"),
    ("http", "site.org:80", "https://site.org"),
    ("http", "site.org", "null"),
    ("http", "site.org", ""),
    ("http", "site.org", "site.org"),
    ("http", "site.org", "http://"),
    ("http", "site.org", "http://site.org:x"),
    ("http", "site.org", "http://[::1"),
    ("http", "site.org", "file://site.org"),
    ("http", "site.org", "chrome-extension://site.org"),
    ("http", "site.org", "http://site.org/"),
    ("http", "site.org", "http://site.org?"),
    ("http", "site.org", "http://app.example.org"),
    ("http", "", "http://"),
    ("http", "site.org/x", "http://site.org"),
]
CHANGES = [("POST", "http"), ("DELETE", "http"), ("PUT", "http"), ("PATCH", "http"), ("GET", "websocket")]


@pytest.mark.parametrize(("method", "kind"), CHANGES)
@pytest.mark.parametrize(("scheme", "host", "origin"), OWN)
def test_own_and_allowed_pages_may_ask(method: str, kind: str, scheme: str, host: str, origin: str) -> None:
    """The site's own pages and those of allowed origins may, however ports and letters are written."""
    scheme = scheme.replace("http", "ws") if kind == "websocket" else scheme
    assert not is_refused(SITE, connection(method, scheme, kind, host=host, origin=origin))


@pytest.mark.parametrize("is_ambient", [True, False])
@pytest.mark.parametrize(("method", "kind"), CHANGES)
@pytest.mark.parametrize(("scheme", "host", "origin"), FOREIGN)
def test_foreign_pages_may_not(method: str, kind: str, scheme: str, host: str, origin: str, is_ambient: bool) -> None:
    """A page of another site may neither change anything nor open a socket, with whatever token."""
    scheme = scheme.replace("http", "ws") if kind == "websocket" else scheme
    assert is_refused(SITE, connection(method, scheme, kind, host=host, origin=origin), is_ambient=is_ambient)


@pytest.mark.parametrize(
    ("method", "kind", "is_ambient", "refused"),
    [
        ("POST", "http", True, True),
        ("DELETE", "http", True, True),
        ("POST", "http", False, False),
        ("GET", "http", True, False),
        ("HEAD", "http", True, False),
        ("GET", "websocket", True, False),
    ],
)
def test_without_an_origin(method: str, kind: str, is_ambient: bool, refused: bool) -> None:
    """Who names no origin is no browser's page, but what a browser might add by itself may change nothing then."""
    assert refused == is_refused(SITE, connection(method, "http", kind, host="site.org"), is_ambient=is_ambient)


def test_two_origins_are_refused() -> None:
    """A request with two Origin headers is refused, even if one is the site's own."""
    headers = [(b"host", b"site.org"), (b"origin", b"http://site.org"), (b"origin", b"http://evil.org")]
    asked = HTTPConnection({"type": "http", "method": "POST", "scheme": "http", "path": "/", "headers": headers})
    assert is_refused(SITE, asked)


@pytest.mark.parametrize("origin", [b"http://site.org", b"http://evil.org"])
def test_two_hosts_are_no_host(origin: bytes) -> None:
    """A request with two Host headers has no origin of its own."""
    headers = [(b"host", b"site.org"), (b"host", b"evil.org"), (b"origin", origin)]
    asked = HTTPConnection({"type": "http", "method": "POST", "scheme": "http", "path": "/", "headers": headers})
    assert is_refused(SITE, asked)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "app.localhost:1", "127.0.0.1", "127.8.8.8:5", "[::1]:8000"]
)
def test_loopback_names_are_served(host: str) -> None:
    """A site for this machine only answers to the machine's own names."""
    assert not is_refused(DEV, connection(host=host))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host",
    ["evil.org", "evil.org:8000", "localhost.evil.org", "127.0.0.1.evil.org", "0.0.0.0", "10.0.0.1", "", "localhost/x",
     "evil.org@localhost", "notlocalhost"],
)  # fmt: skip
def test_other_names_are_not(method: str, host: str) -> None:
    """A name that was made to lead to this machine is refused, even for reading."""
    own = f"http://{host}"
    assert is_refused(DEV, connection(method, host=host, origin=own), is_ambient=False)


def test_no_host_is_not_loopback() -> None:
    """A request without the header Host is refused where only loopback is served."""
    assert is_refused(DEV, connection())


@pytest.mark.parametrize("text", ["https://app.example.org:x", "https://a@b", "ftp://a", "https://a/"])
def test_bad_setting_is_refused(text: str) -> None:
    """An allowed origin that no page can have is refused at start, not passed over."""
    with pytest.raises(ConfigError, match=r"web\.allowed_origins"):
        Origins([text], loopback_only=False)
