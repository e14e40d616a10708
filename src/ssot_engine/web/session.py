"""Signing in and out, for the page: the token is kept in a cookie no script can read."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ssot_engine.errors import NotAuthenticated, RequestError
from ssot_engine.web.credentials import clear_cookie, credential_of, set_cookie
from ssot_engine.web.identity import Identity
from ssot_engine.web.site import Site, site_of

router = APIRouter(tags=["session"])

_UNKEPT = {"cache-control": "no-store"}


class SignInWith(BaseModel):
    """What proves who signs in."""

    token: str = Field(min_length=1, description="A token of the issuer, or for development a user's name")


class SignedIn(BaseModel):
    """A user who is signed in. `expires_at` is when the sign-in ends, in seconds since 1970; null is never."""

    user_id: str
    is_admin: bool
    expires_at: float | None


class WayIn(BaseModel):
    """How a person signs in: by picking one of `users`, by a `token`, or at the `host` application."""

    kind: Literal["users", "token", "host"]
    users: list[str] | None = None


class Session(BaseModel):
    """Who is signed in, if anybody is, and how one signs in."""

    user: SignedIn | None
    sign_in: WayIn


def _session(site: Site, identity: Identity | None) -> JSONResponse:
    way, user = site.authenticator.sign_in, None
    if identity is not None:
        user = SignedIn(user_id=identity.user_id, is_admin=identity.is_admin, expires_at=identity.expires_at)
    users = list(way.users) if way.kind == "users" else None
    body = Session(user=user, sign_in=WayIn(kind=way.kind, users=users)).model_dump()
    if users is None:
        del body["sign_in"]["users"]
    return JSONResponse(body, headers=_UNKEPT)


@router.get("/api/session", response_model=Session, summary="Who is signed in")
async def read(request: Request) -> Response:
    """Who is signed in, if anybody is, and how one signs in. Asking is no failure for who is not."""
    site = site_of(request)
    credential = credential_of(request)
    site.origins.check(request, is_ambient=credential.is_ambient)
    try:
        identity = await site.authenticator.identify(request, credential.token)
    except NotAuthenticated:
        identity = None
    except HTTPException as error:
        if error.status_code >= 500:
            raise
        identity = None
    return _session(site, identity)


@router.post("/api/session", response_model=Session, summary="Sign in")
async def sign_in(request: Request, body: SignInWith) -> Response:
    """Verify a token and keep it in a cookie for as long as it lasts. Only a page can: the header Origin is needed."""
    site = site_of(request)
    # Without an Origin a page of another site could sign its visitor in as somebody else.
    site.origins.check(request, is_ambient=True)
    site.rates.check_sign_in(request.client.host if request.client else "")
    if site.authenticator.sign_in.kind == "host":
        raise RequestError("users sign in at the application this is part of, not here")
    identity = await site.authenticator.identify(request, body.token)
    response = _session(site, identity)
    set_cookie(response, request, body.token, identity.expires_at)
    return response


@router.delete("/api/session", status_code=204, summary="Sign out")
async def sign_out(request: Request) -> Response:
    """Forget the token in the browser; it stays valid until it expires."""
    site = site_of(request)
    site.origins.check(request, is_ambient=True)
    response = Response(status_code=204, headers=_UNKEPT)
    clear_cookie(response, request)
    return response
