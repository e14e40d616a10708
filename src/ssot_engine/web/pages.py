"""The page: its files, compressed once at start, served with the headers that keep it to itself."""

from __future__ import annotations

import gzip
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

_FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

#: What the page may load and do: its own files and its own server. Text can never become code (Trusted Types).
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)

_HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # The browser asks each time whether its copy still holds, so an upgrade of the server is seen at once.
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}

#: gzip by name or as any, and no q of zero behind it.
_TAKES_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?=,|$)")


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Bytes as they are sent, and the tag that names them."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    """One file of the page, plain and compressed."""

    plain: _Encoded
    packed: _Encoded

    @classmethod
    def read(cls, path: Path) -> _File:
        """The file at a path."""
        body, kind = path.read_bytes(), _TYPES[path.suffix]
        digest = sha256(body).hexdigest()[:20]
        plain = {**_HEADERS, "content-type": kind, "etag": f'"{digest}"'}
        packed = {**_HEADERS, "content-type": kind, "etag": f'"{digest}-gz"', "content-encoding": "gzip"}
        return cls(_Encoded(body, plain), _Encoded(gzip.compress(body, 9, mtime=0), packed))

    def answer(self, asked: Headers) -> Response:
        """What a browser gets: the file as it takes it, or that its copy holds."""
        encoded = self.packed if _TAKES_GZIP.search(asked.get("accept-encoding", "").lower()) else self.plain
        if _holds(encoded.headers["etag"], asked.get("if-none-match", "")):
            kept = {name: value for name, value in encoded.headers.items() if not name.startswith("content-e")}
            return Response(status_code=304, headers=kept)
        return Response(encoded.body, headers=encoded.headers)


def _holds(tag: str, known: str) -> bool:
    """Whether a copy with one of the `known` tags is this very one; proxies mark tags as weak."""
    return known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(","))


class _BareRoot(BaseRoute):
    """The path of the site without its last slash: leads to the one with it, or relative URLs would miss the site."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Nothing is left of the path once the path of the mount is taken off."""
        path, root = scope.get("path", ""), scope.get("root_path", "")
        is_bare = scope["type"] == "http" and path == root and scope["method"] in ("GET", "HEAD")
        return (Match.FULL if is_bare else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect by a relative URL, which holds behind any proxy."""
        query = scope.get("query_string", b"").decode("latin-1")
        here = quote(scope["path"].rpartition("/")[2]) + "/" + (f"?{query}" if query else "")
        await Response(status_code=308, headers={**_HEADERS, "location": here})(scope, receive, send)


def _endpoint(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return file.answer(request.headers)

    return answer


def page_routes() -> list[BaseRoute]:
    """The page at the site's root, and its files below `static/`."""
    files = {path.name: _File.read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    index = files.pop("index.html")
    return [
        _BareRoot(),
        Route("/", _endpoint(index), methods=["GET"], name="page"),
        *(Route(f"/static/{name}", _endpoint(file), methods=["GET"], name=name) for name, file in files.items()),
    ]
