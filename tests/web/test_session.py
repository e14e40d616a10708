"""Signing in and out over HTTP, as the page does it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx2
import pytest
from issuers import AUDIENCE, ISSUER, SECRET, claims, jwk, key_server, rsa_key, signed
from serving import Served, serving
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from structlog.testing import capture_logs

from running import Start
from ssot_engine.errors import NotAuthenticated
from ssot_engine.web.authenticators import UserOf
from ssot_engine.web.credentials import COOKIE
from ssot_engine.web.identity import Identity

NAMES: dict[str, Any] = {"dev_users": ("alice", "bob"), "admins": ("bob",)}
TOKENS: dict[str, Any] = {"algorithms": ("HS256",), "secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE}
PATH = "/api/session"


@asynccontextmanager
async def site(start: Start, auth: dict[str, Any] | None = None, **web: Any) -> AsyncIterator[Served]:
    """A site without its page, where users sign in by name unless `auth` says otherwise."""
    container = await start(auth=NAMES if auth is None else auth, web={"page": False, **web})
    async with serving(container) as served:
        yield served


@asynccontextmanager
async def page(served: Served, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """What a page of the site does: it keeps cookies and names its origin."""
    async with httpx2.AsyncClient(
        base_url=served.url, headers={"Origin": served.url, **headers}, verify=False
    ) as client:
        yield client


def cookie_of(answer: httpx2.Response) -> Morsel[str]:
    """The cookie that an answer sets."""
    return SimpleCookie(answer.headers["set-cookie"])[COOKIE]


# ------------------------------------------------------------------------------- asking


async def test_nobody_is_told_how_to_sign_in(start: Start) -> None:
    """Who is not signed in gets no failure but the way in, with the names to pick from."""
    async with site(start) as served, page(served) as client:
        answer = await client.get(PATH)
    assert 200 == answer.status_code
    assert {"user": None, "sign_in": {"kind": "users", "users": ["alice", "bob"]}} == answer.json()
    assert "no-store" == answer.headers["cache-control"]


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer bob"}, {"Cookie": f"{COOKIE}=bob"}])
async def test_who_is_signed_in_is_told(start: Start, headers: dict[str, str]) -> None:
    """The user is told by token and by cookie alike."""
    async with site(start) as served, page(served, **headers) as client:
        assert {"user_id": "bob", "is_admin": True, "expires_at": None} == (await client.get(PATH)).json()["user"]


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer eve"}, {"Cookie": f"{COOKIE}=eve"}])
async def test_bad_token_is_nobody(start: Start, headers: dict[str, str]) -> None:
    """A token that proves nobody is no failure either."""
    async with site(start) as served, page(served, **headers) as client:
        answer = await client.get(PATH)
    assert (200, None) == (answer.status_code, answer.json()["user"])


async def test_names_are_told_in_development_only(start: Start) -> None:
    """Where tokens are needed, nobody is told any name, not even those of the admins."""
    async with site(start, {**TOKENS, "admins": ("bob",)}) as served, page(served) as client:
        answer = await client.get(PATH)
    assert {"user": None, "sign_in": {"kind": "token"}} == answer.json()


async def test_names_are_told_on_loopback_only(start: Start) -> None:
    """A page whose name was made to lead to this machine learns no names."""
    async with site(start) as served, page(served, Host="evil.org") as client:
        answer = await client.get(PATH)
    assert 403 == answer.status_code
    assert "alice" not in answer.text


# ------------------------------------------------------------------------- signing in, out


async def test_signing_in_and_out(start: Start) -> None:
    """A name signs in; from then on the cookie says who asks, until signing out."""
    async with site(start) as served, page(served) as client:
        signed_in = await client.post(PATH, json={"token": "alice"})
        assert (200, "alice") == (signed_in.status_code, signed_in.json()["user"]["user_id"])
        assert "alice" == (await client.get(PATH)).json()["user"]["user_id"]
        assert 200 == (await client.get("/api/threads")).status_code
        signed_out = await client.delete(PATH)
        assert (204, b"") == (signed_out.status_code, signed_out.content)
        assert (await client.get(PATH)).json()["user"] is None
        assert 401 == (await client.get("/api/threads")).status_code


async def test_cookie_is_the_pages_alone(start: Start) -> None:
    """No script reads the cookie and no other site sends it."""
    async with site(start) as served, page(served) as client:
        cookie = cookie_of(await client.post(PATH, json={"token": "alice"}))
    assert (True, "strict", "/", "") == (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"])


async def test_cookie_lasts_as_long_as_the_token(start: Start) -> None:
    """With a token that expires, the cookie does too, and the page learns when."""
    said = claims()
    async with site(start, TOKENS) as served, page(served) as client:
        answer = await client.post(PATH, json={"token": signed(said)})
        assert said["exp"] + 10 == answer.json()["user"]["expires_at"]
        assert 295 <= int(cookie_of(answer)["max-age"]) <= 310
        assert "alice" == (await client.get(PATH)).json()["user"]["user_id"]


async def test_signing_in_with_a_rotated_key(start: Start) -> None:
    """A token of an issuer whose keys rotate signs in by the key of the day."""
    with key_server(jwk(rsa_key(), "one")) as issuer:
        auth = {"algorithms": ("RS256",), "jwks_url": issuer.url, "issuer": ISSUER, "audience": AUDIENCE}
        async with site(start, auth) as served, page(served) as client:
            token = signed(claims(), rsa_key(), "RS256", {"kid": "one"})
            assert 200 == (await client.post(PATH, json={"token": token})).status_code


async def test_foreign_page_signs_nobody_in_or_out(start: Start) -> None:
    """A page of another site, or one that hides where it is from, changes no session."""
    async with site(start) as served, httpx2.AsyncClient(base_url=served.url, verify=False) as client:
        for headers in ({"Origin": "http://evil.org"}, {"Origin": "null"}, {}):
            for method in ("POST", "DELETE"):
                answer = await client.request(method, PATH, json={"token": "alice"}, headers=headers)
                assert 403 == answer.status_code
                assert "set-cookie" not in answer.headers


async def test_form_of_another_kind_signs_nobody_in(start: Start) -> None:
    """What a plain HTML form can send is no sign-in."""
    async with site(start) as served, page(served, **{"Content-Type": "text/plain"}) as client:
        assert 422 == (await client.post(PATH, content=b'{"token": "alice"}')).status_code


async def test_too_long_a_token_is_refused(start: Start) -> None:
    """A good token that no browser would keep is refused with the reason, not lost without one."""
    token = signed(claims(more="x" * 4000))
    async with site(start, TOKENS) as served, page(served) as client:
        answer = await client.post(PATH, json={"token": token})
    assert (400, True) == (answer.status_code, "browsers keep 4096" in answer.json()["detail"])


async def test_guessing_is_limited(start: Start) -> None:
    """After too many attempts even the right one waits, and is told for how long; asking who one is goes on."""
    async with site(start, sign_ins_rate="3/minute") as served, page(served) as client:
        tried = [(await client.post(PATH, json={"token": f"eve-{number}"})).status_code for number in range(3)]
        refused = await client.post(PATH, json={"token": "alice"})
        assert [401, 401, 401, 429] == [*tried, refused.status_code]
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert 200 == (await client.get(PATH)).status_code


async def test_foreign_page_uses_up_no_attempts(start: Start) -> None:
    """What is refused for its origin does not count: no other site can lock a user out."""
    async with site(start, sign_ins_rate="1/minute") as served, page(served) as client:
        for _ in range(3):
            await client.post(PATH, json={"token": "x"}, headers={"Origin": "http://evil.org"})
        assert 200 == (await client.post(PATH, json={"token": "alice"})).status_code


# -------------------------------------------------------------------------- no token shows

SECRETIVE = "hunter2-and-more"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the server's own libraries logged; the test's client is in the same process."""
    return [record.getMessage() for record in caplog.records if not record.name.startswith("http")]


BODIES: list[Any] = [
    {"token": SECRETIVE},
    {"token": [SECRETIVE]},
    {"token": {SECRETIVE: SECRETIVE}},
    {"token": None, "password": SECRETIVE},
    {"token": SECRETIVE * 2000},
    [SECRETIVE],
    SECRETIVE,
]


@pytest.mark.parametrize("auth", [NAMES, TOKENS], ids=["names", "tokens"])
async def test_refused_token_shows_nowhere(
    start: Start, caplog: pytest.LogCaptureFixture, auth: dict[str, Any]
) -> None:
    """What was sent to sign in is in no answer, no header of one, and no entry of the log."""
    caplog.set_level(0)
    with capture_logs() as entries:
        async with site(start, auth) as served, page(served) as client:
            answers = [await client.post(PATH, json=body) for body in BODIES]
    assert {401, 422} == {answer.status_code for answer in answers}
    assert SECRETIVE not in f"{[(answer.text, answer.headers) for answer in answers]} {entries} {lines_of(caplog)}"


@pytest.mark.parametrize("where", ["authorization", "cookie"])
async def test_token_of_a_request_shows_nowhere(start: Start, caplog: pytest.LogCaptureFixture, where: str) -> None:
    """A token that a request brings, good or bad, is in no answer and no entry of the log."""
    caplog.set_level(0)
    good = signed(claims())
    bad = f"{good[:-8]}AAAAAAAA"
    with capture_logs() as entries:
        async with site(start, TOKENS) as served:
            for token in (good, bad):
                value = f"Bearer {token}" if where == "authorization" else f"{COOKIE}={token}"
                async with page(served, **{where: value}) as client:
                    for path in (PATH, "/api/threads", "/api/agents", "/api/nowhere"):
                        answer = await client.get(path)
                        assert not any(part in f"{answer.text} {answer.headers}" for part in token.split("."))
    assert not any(part in f"{entries} {lines_of(caplog)}" for part in f"{good}.{bad}".split("."))


async def test_token_in_the_query_is_not_read(start: Start) -> None:
    """A token in an address, where logs and histories would keep it, proves nobody."""
    async with site(start) as served, page(served) as client:
        for name in ("token", "access_token", COOKIE):
            assert 401 == (await client.get("/api/threads", params={name: "alice"})).status_code


# --------------------------------------------------------------------------------- host


@asynccontextmanager
async def hosted(start: Start, user: UserOf) -> AsyncIterator[Served]:
    """A site whose host says who asks."""
    container = await start(web={"page": False})
    async with serving(container, user=user) as served:
        yield served


async def test_host_says_who_it_is(start: Start) -> None:
    """Where the host knows the users, its word counts, and nobody signs in here."""

    async def user(asked: HTTPConnection) -> Identity | None:
        name = asked.headers.get("x-user")
        return None if name is None else Identity(name)

    async with hosted(start, user) as served, page(served) as client:
        assert {"user": None, "sign_in": {"kind": "host"}} == (await client.get(PATH)).json()
        known = await client.get(PATH, headers={"X-User": "alice"})
        assert "alice" == known.json()["user"]["user_id"]
        refused = await client.post(PATH, json={"token": "alice"})
        assert 400 == refused.status_code
        assert "set-cookie" not in refused.headers


async def test_host_that_refuses_is_nobody(start: Start) -> None:
    """A host that raises for who is not signed in is understood; one that is out of order is not taken for that."""
    errors = {"401": HTTPException(401), "303": HTTPException(303), "ours": NotAuthenticated("no")}
    errors["503"] = HTTPException(503)

    def user(asked: HTTPConnection) -> str:
        raise errors[asked.headers["x-error"]]

    async with hosted(start, user) as served, page(served) as client:
        answers = [await client.get(PATH, headers={"X-Error": name}) for name in errors]
    assert [200, 200, 200, 503] == [answer.status_code for answer in answers]
    assert [None, None, None] == [answer.json()["user"] for answer in answers[:3]]


async def test_host_that_fails_tells_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A host that fails is a 500 that quotes nothing; the log has the kind and the place."""

    def user(asked: HTTPConnection) -> str:
        raise LookupError(f"no session {asked.headers['authorization']}")

    caplog.set_level(0)
    with capture_logs() as entries:
        async with (
            hosted(start, user) as served,
            page(served, Authorization=f"Bearer {SECRETIVE}") as client,
        ):
            answer = await client.get(PATH)
            assert 500 == answer.status_code
    assert SECRETIVE not in f"{answer.text} {entries} {lines_of(caplog)}"
    assert "LookupError" not in answer.text
    assert ["LookupError"] == [entry["error"] for entry in entries if entry["event"] == "host_user_failed"]


async def test_schema_has_the_session(start: Start) -> None:
    """The API's own description has the three, so that clients can be made from it."""
    async with site(start) as served, page(served) as client:
        described = json.loads((await client.get("/api/openapi.json")).text)
    assert {"get", "post", "delete"} <= set(described["paths"][PATH])
