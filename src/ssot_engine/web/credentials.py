"""The token of a request: where it may stand, and the cookie that a browser keeps it in."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection
from starlette.responses import Response

from ssot_engine.errors import RequestError

#: The cookie's name.
COOKIE = "ssot_engine_session"

#: The longest cookie, name and value, that browsers keep (RFC 6265 section 6.1), in bytes.
MAX_COOKIE = 4096

#: What may stand in a path as it is (RFC 3986 section 3.3), but for ";", which ends the attribute.
_IN_PATH = "/:@!$&'()*+,=~-._"


@dataclass(frozen=True, slots=True)
class Credential:
    """The token of a request, if it has one. `is_ambient` is when a browser sends the same without being asked."""

    token: str | None = field(repr=False)
    is_ambient: bool


def credential_of(connection: HTTPConnection) -> Credential:
    """The bearer token, else the cookie. A bearer token that is empty is not replaced by the cookie."""
    token = _bearer(connection)
    if token is not None:
        return Credential(token, is_ambient=False)
    return Credential(_cookie(connection), is_ambient=True)


def _bearer(connection: HTTPConnection) -> str | None:
    header = connection.headers.get("authorization", "")
    scheme, _, token = header.strip().partition(" ")
    return _utf8(token.strip()) if scheme.lower() == "bearer" else None


def _utf8(text: str) -> str:
    """What a client meant whose header was read as latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _cookie(connection: HTTPConnection) -> str | None:
    """The first cookie of our name: browsers send the one of the longest path first (RFC 6265 section 5.4)."""
    for header in connection.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals and name == COOKIE:
                return unquote(value.strip('"')) or None
    return None


def set_cookie(response: Response, connection: HTTPConnection, token: str, expires_at: float | None) -> None:
    """Let the browser keep a verified token for as long as it lasts; without an end until the browser is closed.

    Raises:
        RequestError: the token is longer than browsers keep.
    """
    value = quote(token, safe="")
    if len(COOKIE) + len(value) > MAX_COOKIE:
        raise RequestError(
            f"the token takes {len(value)} bytes as a cookie, and browsers keep {MAX_COOKIE}; "
            "ask the issuer for a shorter one"
        )
    max_age = None if expires_at is None else max(1, int(expires_at - time.time()))
    response.set_cookie(
        COOKIE, value, max_age, path=_path(connection), secure=_is_secure(connection), httponly=True, samesite="strict"
    )


def clear_cookie(response: Response, connection: HTTPConnection) -> None:
    """Let the browser forget the token."""
    response.delete_cookie(
        COOKIE, path=_path(connection), secure=_is_secure(connection), httponly=True, samesite="strict"
    )


def _path(connection: HTTPConnection) -> str:
    """Where the site is mounted, so that no other application of the host is sent the token."""
    return quote(connection.scope.get("root_path", "").rstrip("/"), safe=_IN_PATH) or "/"


def _is_secure(connection: HTTPConnection) -> bool:
    return connection.scope["scheme"] in ("https", "wss")
