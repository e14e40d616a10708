"""Which pages may let a browser ask: those of the site itself and of allowed origins."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from starlette.requests import HTTPConnection

from ssot_engine.errors import ConfigError, Forbidden, shown

_PORTS = {"http": 80, "https": 443}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Origins:
    """The origins that may ask. With `loopback_only` the site itself must have been asked by a loopback name.

    That is for sites whose tokens anybody knows: another site's name can be made to lead to this machine.

    Raises:
        ConfigError: an allowed origin is none.
    """

    def __init__(self, allowed: Sequence[str], *, loopback_only: bool) -> None:
        self._allowed = frozenset(_allowed(text) for text in allowed)
        self._loopback_only = loopback_only

    def allowed(self) -> list[str]:
        """The allowed origins as browsers write them: in lower case, without a port that goes without saying."""
        return [f"{one.scheme}://{_host_of(one)}" for one in sorted(self._allowed)]

    def check(self, connection: HTTPConnection, *, is_ambient: bool) -> None:
        """Refuse what a page of another site makes a browser send.

        Raises:
            Forbidden: the Origin is foreign, or missing where the request changes something and is `is_ambient`.
        """
        scope = connection.scope
        if self._loopback_only and not is_from_here(connection):
            raise Forbidden("users who sign in by name alone are served on loopback only; ask for http://localhost")
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return
        headers = connection.headers.getlist("origin")
        if not headers:
            if is_ambient and scope["type"] == "http":
                raise Forbidden("a request without a bearer token needs the header Origin; send a bearer token")
        elif len(headers) > 1 or not self._may_ask(connection, headers[0]):
            raise Forbidden("this page's origin may not ask here; list it in web.allowed_origins")

    def _may_ask(self, connection: HTTPConnection, text: str) -> bool:
        origin = _origin(text)
        if origin is None:
            return False
        return origin in self._allowed or origin == _own(connection, origin.scheme)


def _allowed(text: str) -> _Origin:
    origin = _origin(text)
    if origin is None:
        raise ConfigError(f"web.allowed_origins has {shown(text)}, which is no origin of a page; correct or remove it")
    return origin


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that has a host, if it is one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and parts.username is None else None


def _origin(text: str) -> _Origin | None:
    """An origin as it was written in a header or a setting; None if it is none, such as `null`."""
    parts = _split(text)
    if parts is None or parts.scheme not in _PORTS or text.lower() != f"{parts.scheme}://{parts.netloc.lower()}":
        return None
    return _at(parts.scheme, parts)


def _at(scheme: str, parts: SplitResult) -> _Origin:
    return _Origin(scheme, str(parts.hostname), _PORTS[scheme] if parts.port is None else parts.port)


def _host_of(origin: _Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


def _host(connection: HTTPConnection) -> SplitResult | None:
    """The host and port that the client asked for."""
    headers = connection.headers.getlist("host")
    parts = _split(f"//{headers[0]}") if len(headers) == 1 else None
    return parts if parts is not None and parts.netloc == headers[0] else None


def _own(connection: HTTPConnection, scheme: str) -> _Origin | None:
    """The site's own origin for a page of `scheme`. A proxy may have taken TLS off, so http here can be https there."""
    host = _host(connection)
    if host is None or (scheme == "http" and connection.scope["scheme"] in ("https", "wss")):
        return None
    return _at(scheme, host)


def is_from_here(connection: HTTPConnection) -> bool:
    """Whether this machine asks, by a name of its own; a host may listen on more. A Unix socket has no peer."""
    host, peer = _host(connection), connection.client
    return host is not None and _is_own(str(host.hostname)) and (peer is None or _is_own(peer.host))


def _is_own(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
