"""The page's files: compressed, not sent twice, kept to themselves, and found behind any prefix."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message, Scope

from ssot_engine.web import pages

FOLDER = Path(pages.__file__).parent / "static"
FILES = sorted(path.name for path in FOLDER.iterdir())


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


async def ask(path: str, *, root_path: str = "", query: bytes = b"", method: str = "GET", **headers: str) -> Answer:
    """Ask the page's own application, mounted at /agents as well."""
    site = Starlette(routes=pages.page_routes())
    app = Starlette(routes=[Mount("/agents", site), *pages.page_routes()])
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {
        "type": "http", "method": method, "path": path, "root_path": root_path, "query_string": query,
        "headers": [(b"host", b"test"), *named], "scheme": "http", "http_version": "1.1", "server": ("test", 80),
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


async def test_root_is_the_page() -> None:
    """The root of the site is the page, as HTML."""
    answer = await ask("/")
    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert (FOLDER / "index.html").read_bytes() == answer.body


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
async def test_every_file_is_served(name: str) -> None:
    """Each file of the folder is served as what it is."""
    answer = await ask(f"/static/{name}")
    assert (200, (FOLDER / name).read_bytes()) == (answer.status, answer.body)
    kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}[Path(name).suffix]
    assert kind == answer.headers["content-type"].partition(";")[0]
    assert "nosniff" == answer.headers["x-content-type-options"]


async def test_nothing_else_is_served() -> None:
    """What is not a file of the page is not found, however it is written."""
    for path in ("/static/", "/static/../pages.py", "/static/index.html", "/static/nothing.js", "/app.js"):
        assert 404 == (await ask(path)).status, path


async def test_page_may_load_only_its_own() -> None:
    """The policy lets in nothing but the page's own files and server, and no text ever becomes code."""
    policy = (await ask("/")).headers["content-security-policy"].split("; ")
    assert "default-src 'none'" == policy[0]
    assert {"script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'"} <= set(policy)
    assert {"require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert not [part for part in policy if "unsafe" in part or "*" in part or "data:" in part]


@pytest.mark.parametrize("name", FILES)
def test_no_file_needs_more_than_the_policy_allows(name: str) -> None:
    """No inline script, style or handler, no HTML from text, no address elsewhere."""
    text = (FOLDER / name).read_text()
    assert None is re.search(r"(inner|outer)HTML|insertAdjacent|document\.write|eval\(|new Function", text)
    assert None is re.search(r"<style|<script>|\s(on\w+|style)=\"", text)
    elsewhere = [url for url in re.findall(r"https?://[\w.]+", text) if url != "http://www.w3.org"]
    assert [] == elsewhere


@pytest.mark.parametrize("name", FILES)
def test_addresses_are_relative(name: str) -> None:
    """No file is asked for by an absolute path, so that any prefix will do."""
    text = (FOLDER / name).read_text()
    assert [] == re.findall(r"""(?:href|src|url\(|from|import\(|fetch\()=?\s*["'`](/[^"'`]*)""", text)


def test_all_imports_are_preloaded() -> None:
    """The page names each of its modules, so that none waits for another to be read."""
    index = (FOLDER / "index.html").read_text()
    assert [] == [name for name in FILES if name.endswith((".js", ".css", ".svg")) and f'"static/{name}"' not in index]


async def test_files_come_compressed() -> None:
    """Who takes gzip gets it, much smaller and with a tag of its own; who does not, gets the plain file."""
    plain = await ask("/static/timeline.js")
    packed = await ask("/static/timeline.js", accept_encoding="br;q=1.0, gzip;q=0.8")
    assert "gzip" == packed.headers["content-encoding"]
    assert plain.body == gzip.decompress(packed.body)
    assert len(packed.body) < len(plain.body) / 2
    assert plain.headers["etag"] != packed.headers["etag"]
    assert "accept-encoding" == packed.headers["vary"] == plain.headers["vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "xgzip", "*;q=0"])
async def test_who_refuses_gzip_gets_none(accepted: str) -> None:
    """A header that does not ask for gzip is answered plainly."""
    assert "content-encoding" not in (await ask("/", accept_encoding=accepted)).headers


@pytest.mark.parametrize("accepted", ["gzip", "GZIP", "*", "deflate, gzip", "gzip;q=0.5", "gzip, br;q=0"])
async def test_who_takes_gzip_gets_it(accepted: str) -> None:
    """A header that asks for gzip in any way is answered with it."""
    assert "gzip" == (await ask("/", accept_encoding=accepted)).headers["content-encoding"]


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
async def test_copy_that_holds_is_not_sent_again(known: str) -> None:
    """A browser that has this very file is told so, without a body."""
    tag = (await ask("/static/app.js", accept_encoding="gzip")).headers["etag"]
    answer = await ask("/static/app.js", accept_encoding="gzip", if_none_match=known.format(tag))
    assert (304, b"") == (answer.status, answer.body)
    assert tag == answer.headers["etag"]
    assert "content-encoding" not in answer.headers


async def test_upgrade_is_seen_at_once() -> None:
    """A browser asks each time, and a copy of another version is replaced."""
    answer = await ask("/static/app.js", if_none_match='"older"')
    assert (200, "no-cache") == (answer.status, answer.headers["cache-control"])


async def test_mount_without_slash_leads_to_the_one_with_it() -> None:
    """Below a mount the bare prefix leads on, or relative files would be looked for beside it."""
    answer = await ask("/agents", query=b"a=1")
    assert answer.status in (307, 308)
    assert answer.headers["location"].endswith("/agents/?a=1")
    assert 200 == (await ask("/agents/")).status
    assert 200 == (await ask("/agents/static/app.js")).status


async def test_bare_root_path_leads_on() -> None:
    """A prefix that a proxy leaves in the path leads on by a relative address, whatever its host and scheme."""
    answer = await ask("/deep/my agents", root_path="/deep/my agents", query=b"a=1")
    assert (308, "my%20agents/?a=1") == (answer.status, answer.headers["location"])
    assert 200 == (await ask("/deep/my agents/", root_path="/deep/my agents")).status


async def test_head_is_answered_and_others_are_not() -> None:
    """The page is read; nothing can be done to it."""
    assert 200 == (await ask("/", method="HEAD")).status
    assert 405 == (await ask("/", method="POST")).status
    assert 405 == (await ask("/static/app.js", method="DELETE")).status
