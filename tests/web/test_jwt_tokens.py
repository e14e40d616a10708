"""Tokens of an issuer: which prove a user, and which do not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from issuers import (
    AUDIENCE,
    ISSUER,
    SECRET,
    claims,
    connection,
    ec_key,
    jwk,
    key_server,
    pem_file,
    public_pem,
    rsa_key,
    signed,
)
from structlog.testing import capture_logs

from ssot_engine.errors import ConfigError, NotAuthenticated
from ssot_engine.settings_sections import AuthSettings
from ssot_engine.web.identity import Identity, SignIn
from ssot_engine.web.jwt_tokens import MAX_TOKEN, JwtTokens


def settings(**more: Any) -> AuthSettings:
    """Settings for tokens with a shared secret, or whatever else is said."""
    said = {"algorithms": ("HS256",), "secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, **more}
    return AuthSettings(**{name: value for name, value in said.items() if value is not None})


def by_file(folder: Path, algorithm: str = "RS256", key: Any = None) -> JwtTokens:
    """An authenticator with a public key from a file."""
    path = pem_file(folder, key or (rsa_key() if algorithm == "RS256" else ec_key()))
    return JwtTokens(settings(algorithms=(algorithm,), secret=None, public_key_file=path))


async def identify(tokens: JwtTokens, token: str | None) -> Identity:
    """Whose token it is."""
    return await tokens.identify(connection(), token)


def segment(value: object) -> str:
    """A part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# -------------------------------------------------------------------------------- taken


async def test_shared_secret() -> None:
    """A token signed with the secret (HS256) proves its user until it expires, and a little longer."""
    said = claims()
    expected = Identity("alice", expires_at=said["exp"] + 10.0)
    assert expected == await identify(JwtTokens(settings()), signed(said))


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", rsa_key()), ("ES256", ec_key())])
async def test_public_key_file(tmp_path: Path, algorithm: str, key: Any) -> None:
    """A token signed with the private half of the key in the file proves its user."""
    identity = await identify(by_file(tmp_path, algorithm), signed(claims(), key, algorithm))
    assert "alice" == identity.user_id


async def test_key_set_with_rotation() -> None:
    """A token is verified with the issuer's key of its id, also when that key is newer than the set that was read."""
    with key_server(jwk(rsa_key("one"), "one")) as issuer:
        tokens = JwtTokens(settings(algorithms=("RS256", "ES256"), secret=None, jwks_url=issuer.url))
        first = signed(claims(), rsa_key("one"), "RS256", {"kid": "one"})
        second = signed(claims(sub="bob"), ec_key("two"), "ES256", {"kid": "two"})
        assert "alice" == (await identify(tokens, first)).user_id
        issuer.keys = [jwk(ec_key("two"), "two")]
        tokens._jwks._tried_at = float("-inf")
        assert "bob" == (await identify(tokens, second)).user_id
        with pytest.raises(NotAuthenticated, match="does not publish"):
            await identify(tokens, first)


async def test_secret_and_public_key_together(tmp_path: Path) -> None:
    """Each algorithm has its own key where several are accepted."""
    path = pem_file(tmp_path, rsa_key())
    tokens = JwtTokens(settings(algorithms=("HS256", "RS256"), public_key_file=path))
    assert "alice" == (await identify(tokens, signed(claims()))).user_id
    assert "alice" == (await identify(tokens, signed(claims(), rsa_key(), "RS256"))).user_id


@pytest.mark.parametrize(
    "said",
    [
        {"aud": [AUDIENCE]},
        {"aud": ["other", AUDIENCE]},
        {"iat": None},
        {"sub": "Zoë Müller"},
        {"admin": True, "roles": ["admin"]},
    ],
)
async def test_good_claims(said: dict[str, Any]) -> None:
    """Several audiences and claims of no concern here are good; a token makes no admin."""
    token = signed(claims(**said))
    assert not (await identify(JwtTokens(settings()), token)).is_admin


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_good_kinds(kind: str | None) -> None:
    """A token that is typed as an access token, or not typed, is good."""
    assert "alice" == (await identify(JwtTokens(settings()), signed(claims(), headers={"typ": kind}))).user_id


@pytest.mark.parametrize("ahead", [{"exp": 100.5}, {"exp": -5}, {"nbf": 5, "iat": 5}])
async def test_clocks_that_differ_a_little(ahead: dict[str, float]) -> None:
    """Times may have fractions, and may be off by less than the leeway."""
    said = claims(**{name: time.time() + seconds for name, seconds in ahead.items()})
    assert "alice" == (await identify(JwtTokens(settings()), signed(said))).user_id


async def test_claim_of_the_settings_names_the_user() -> None:
    """The user's id is in the claim the settings name, and its admins are those of the settings."""
    tokens = JwtTokens(settings(user_claim="email", admins=("a@example.org",)))
    said = claims(email="a@example.org", email_verified=True)
    identity = await identify(tokens, signed(said))
    assert ("a@example.org", True) == (identity.user_id, identity.is_admin)


def test_page_asks_for_a_token() -> None:
    """The page is told that people sign in with a token."""
    assert SignIn("token") == JwtTokens(settings()).sign_in


# ------------------------------------------------------------------------------ refused

NOW = int(time.time())

CLAIMS: dict[str, dict[str, Any]] = {
    "no exp": {"exp": None},
    "no iss": {"iss": None},
    "no aud": {"aud": None},
    "no sub": {"sub": None},
    "expired": {"exp": NOW - 60},
    "expired long ago": {"exp": 0},
    "not valid yet": {"nbf": NOW + 6000},
    "issued in the future": {"iat": NOW + 6000},
    "of another issuer": {"iss": "https://evil.example.org/"},
    "of the issuer without its slash": {"iss": ISSUER.rstrip("/")},
    "of several issuers": {"iss": [ISSUER]},
    "of a numbered issuer": {"iss": 7},
    "for another audience": {"aud": "other"},
    "for part of the audience": {"aud": AUDIENCE[:-1]},
    "for more than the audience": {"aud": AUDIENCE + "x"},
    "for no audience": {"aud": []},
    "for an empty audience": {"aud": ""},
    "for an audience that is an object": {"aud": {AUDIENCE: 1}},
    "for an audience with a number": {"aud": [AUDIENCE, 1]},
    "exp is a text": {"exp": str(NOW + 6000)},
    "exp is true": {"exp": True},
    "exp is a list": {"exp": [NOW + 6000]},
    "exp is infinite": {"exp": float("inf")},
    "exp is no number": {"exp": float("nan")},
    "exp is beyond calendars": {"exp": 10**12},
    "exp is beyond numbers": {"exp": 10**400},
    "exp is negative": {"exp": -1},
    "nbf is a text": {"nbf": str(NOW)},
    "nbf is true": {"nbf": True},
    "nbf is no number": {"nbf": float("nan")},
    "nbf is minus infinity": {"nbf": float("-inf")},
    "iat is a text": {"iat": "now"},
    "iat is true": {"iat": True},
    "sub is a number": {"sub": 7},
    "sub is true": {"sub": True},
    "sub is a list": {"sub": ["alice"]},
    "sub is empty": {"sub": ""},
    "sub is blank": {"sub": "  "},
    "sub is a placeholder": {"sub": "undefined"},
    "sub breaks lines": {"sub": "alice\nbob"},
    "sub is too long": {"sub": "x" * 129},
    "jti is a number": {"jti": 7},
}


def hmac_with(key: bytes, header: dict[str, Any]) -> str:
    """A token signed by HMAC with any bytes as the key, which the library itself refuses to do."""
    said = f"{segment(header)}.{segment(claims())}"
    algorithm = jwt.get_algorithm_by_name("HS256")
    return f"{said}.{segment(algorithm.sign(said.encode(), key))}"


def parts() -> list[str]:
    """The three parts of a good token."""
    return signed(claims()).split(".")


def with_last_bit_changed() -> str:
    """A good token whose signature differs in one bit."""
    head, body, signature = parts()
    raw = bytearray(base64.urlsafe_b64decode(signature + "="))
    raw[-1] ^= 1
    return f"{head}.{body}.{segment(bytes(raw))}"


def with_other_claims() -> str:
    """A good token whose claims were replaced."""
    head, _, signature = parts()
    return f"{head}.{segment(claims(sub='bob'))}.{signature}"


GOOD_HEAD = {"alg": "HS256", "typ": "JWT"}

TOKENS: dict[str, Callable[[], str | None]] = {
    "nothing": lambda: None,
    "empty": lambda: "",
    "a name": lambda: "alice",
    "one part": lambda: parts()[0],
    "two parts": lambda: ".".join(parts()[:2]),
    "four parts": lambda: ".".join([*parts(), "x"]),
    "dots": lambda: "..",
    "padded twice": lambda: signed(claims()) + "==",
    "blanks around": lambda: f" {signed(claims())} ",
    "a line break": lambda: signed(claims()) + "\n",
    "no ASCII": lambda: signed(claims()) + "é",
    "a lone surrogate": lambda: "\ud800",
    "no base64": lambda: "!!!.!!!.!!!",
    "a head that is no JSON": lambda: ".".join([segment(b"{"), *parts()[1:]]),
    "a head that is a list": lambda: ".".join([segment([1]), *parts()[1:]]),
    "a head nested too deeply": lambda: ".".join([segment(b"[" * 6000), *parts()[1:]]),
    "claims that are a list": lambda: signed_bytes(b"[1]"),
    "claims that are no JSON": lambda: signed_bytes(b"{"),
    "claims nested too deeply": lambda: signed_bytes(b'{"a":' + b"[" * 6000),
    "too long": lambda: signed(claims(more="x" * MAX_TOKEN)),
    "another secret": lambda: signed(claims(), "another secret of more than 32 bytes"),
    "an empty signature": lambda: ".".join([*parts()[:2], ""]),
    "a signature with one bit changed": with_last_bit_changed,
    "claims replaced": with_other_claims,
    "alg none": lambda: f"{segment({'alg': 'none', 'typ': 'JWT'})}.{segment(claims())}.",
    "alg None": lambda: f"{segment({'alg': 'None', 'typ': 'JWT'})}.{segment(claims())}.",
    "alg none with a signature": lambda: hmac_with(SECRET.encode(), {"alg": "none"}),
    "no alg": lambda: hmac_with(SECRET.encode(), {"typ": "JWT"}),
    "alg is null": lambda: hmac_with(SECRET.encode(), {"alg": None}),
    "alg is a list": lambda: hmac_with(SECRET.encode(), {"alg": ["HS256"]}),
    "alg in small letters": lambda: hmac_with(SECRET.encode(), {"alg": "hs256"}),
    "HS512": lambda: signed(claims(), SECRET * 2, "HS512"),
    "RS256": lambda: signed(claims(), rsa_key(), "RS256"),
    "ES256": lambda: signed(claims(), ec_key(), "ES256"),
    "HMAC with no key": lambda: hmac_with(b"", GOOD_HEAD),
    "crit": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "crit": ["exp"], "exp": 1}),
    "crit is empty": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "crit": []}),
    "crit with b64": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "crit": ["b64"], "b64": True}),
    "b64": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "b64": True}),
    "b64 is false": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "b64": False}),
    "kid is a number": lambda: hmac_with(SECRET.encode(), {**GOOD_HEAD, "kid": 1}),
    "typ logout": lambda: signed(claims(), headers={"typ": "logout+jwt"}),
    "typ id event": lambda: signed(claims(), headers={"typ": "secevent+jwt"}),
    "typ is a number": lambda: signed(claims(), headers={"typ": 1}),
    "typ is a list": lambda: signed(claims(), headers={"typ": ["JWT"]}),
    "typ is empty": lambda: hmac_with(SECRET.encode(), {"alg": "HS256", "typ": ""}),
}


def signed_bytes(body: bytes) -> str:
    """A token with any bytes in place of its claims."""
    return jwt.PyJWS().encode(body, SECRET, "HS256", {"typ": "JWT"})


async def refusal(tokens: JwtTokens, token: str | None) -> str:
    """Why a token is refused. Neither the text nor the log nor a chained error holds any part of it."""
    with capture_logs() as entries, pytest.raises(NotAuthenticated) as refused:
        await identify(tokens, token)
    error = refused.value
    seen = f"{error} {error!r} {entries!r}"
    for piece in filter(lambda piece: len(piece) > 3, (token or "").split(".")):
        assert piece not in seen
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return str(error)


@pytest.mark.parametrize("said", CLAIMS.values(), ids=CLAIMS)
async def test_bad_claims_are_refused(said: dict[str, Any]) -> None:
    """A token that is signed well but says too little, too much or the wrong thing proves nobody."""
    await refusal(JwtTokens(settings()), signed(claims(**said)))


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_bad_tokens_are_refused(token: Callable[[], str | None]) -> None:
    """A text that is no token, or one not signed as the settings want, proves nobody."""
    await refusal(JwtTokens(settings()), token())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 6000}, "not valid yet"),
        ({"aud": "other"}, "audience"),
        ({"iss": "https://evil.example.org/"}, "issuer"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": "undefined"}, "no user"),
    ],
)
async def test_refusal_says_why(said: dict[str, Any], text: str) -> None:
    """Who holds a token learns what is wrong with it in general."""
    assert text in await refusal(JwtTokens(settings()), signed(claims(**said)))


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_unverified_address_is_refused(verified: Any) -> None:
    """An address that the issuer says it has not verified could be anybody's."""
    said = {**claims(email="a@example.org"), "email_verified": verified}
    await refusal(JwtTokens(settings(user_claim="email")), signed(said))


async def test_missing_claim_of_the_settings_is_refused() -> None:
    """Where another claim names the user, `sub` does not stand in for it."""
    await refusal(JwtTokens(settings(user_claim="email")), signed(claims()))


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", rsa_key()), ("ES256", ec_key())])
@pytest.mark.parametrize("accepted", [True, False])
async def test_public_key_is_no_secret(tmp_path: Path, algorithm: str, key: Any, accepted: bool) -> None:
    """A token signed by HMAC with the public key, which anybody knows, is refused even where HS256 is accepted."""
    path = pem_file(tmp_path, key)
    more = {"algorithms": ("HS256", algorithm)} if accepted else {"algorithms": (algorithm,), "secret": None}
    tokens = JwtTokens(settings(public_key_file=path, **more))
    for secret in (public_pem(key), public_pem(key).strip(), json.dumps(jwk(key, "one")).encode(), b""):
        await refusal(tokens, hmac_with(secret, GOOD_HEAD))
        await refusal(tokens, hmac_with(secret, {**GOOD_HEAD, "alg": algorithm}))


async def test_other_keys_are_refused(tmp_path: Path) -> None:
    """A token signed with another key of the same kind is refused, and so is one of the other kind."""
    tokens = by_file(tmp_path)
    await refusal(tokens, signed(claims(), rsa_key("two"), "RS256"))
    await refusal(tokens, signed(claims(), ec_key(), "ES256"))
    await refusal(tokens, signed(claims(), rsa_key(), "PS256"))


async def test_key_inside_the_token_is_not_used(tmp_path: Path) -> None:
    """A token that brings its own key, or says where it is, is verified with ours and refused."""
    with key_server(jwk(rsa_key("two"), "two")) as evil:
        headers = {"jwk": jwk(rsa_key("two"), "two"), "jku": evil.url, "x5u": evil.url, "kid": "two"}
        await refusal(by_file(tmp_path), signed(claims(), rsa_key("two"), "RS256", headers))
        assert 0 == evil.asked


async def test_kid_is_only_a_name() -> None:
    """A key's id that is a path or a URL leads nowhere."""
    with key_server(jwk(rsa_key(), "one")) as issuer:
        tokens = JwtTokens(settings(algorithms=("RS256",), secret=None, jwks_url=issuer.url))
        for kid in ("../../etc/passwd", issuer.url, "", "' or 1=1"):
            await refusal(tokens, signed(claims(), rsa_key(), "RS256", {"kid": kid}))


async def test_leeway_is_a_setting() -> None:
    """Without leeway a token is good up to its last second and no longer."""
    strict = JwtTokens(settings(leeway_s=0))
    said = claims()
    assert said["exp"] == (await identify(strict, signed(said))).expires_at
    await refusal(strict, signed(claims(exp=NOW - 1)))


# ----------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"issuer": None}, "auth.issuer is not"),
        ({"audience": None}, "auth.audience is not"),
        ({"issuer": ""}, "auth.issuer is not"),
        ({"audience": ""}, "auth.audience is not"),
        ({"secret": None}, "HS256, but no key: set auth.secret"),
        ({"secret": "short secret"}, "auth.secret has 12 bytes"),
        ({"secret": "x" * 31}, "auth.secret has 31 bytes"),
        ({"secret": "ü" * 15}, "auth.secret has 30 bytes"),
        ({"algorithms": ("RS256",), "secret": None}, "set auth.public_key_file or auth.jwks_url"),
        ({"algorithms": ("ES256",)}, "auth.secret is set, but auth.algorithms has no HS256"),
        ({"jwks_url": "https://i.example.org/"}, "is set, but auth.algorithms has no RS256 or ES256"),
        ({"public_key_file": "x.pem"}, "is set, but auth.algorithms has no RS256 or ES256"),
        (
            {"algorithms": ("RS256",), "secret": None, "public_key_file": "x", "jwks_url": "https://i.example.org/"},
            "keep one",
        ),
        ({"algorithms": ("RS256",), "secret": None, "jwks_url": "http://i.example.org/"}, "auth.jwks_url"),
        ({"algorithms": ("RS256",), "secret": None, "public_key_file": "/no/such.pem"}, "cannot be read: No such file"),
    ],
)
def test_bad_settings_are_refused(more: dict[str, Any], said: str) -> None:
    """Settings with a part missing, weak or left over are refused at start, without showing the secret."""
    with pytest.raises(ConfigError) as refused:
        JwtTokens(settings(**more))
    assert said in str(refused.value)
    assert str(more.get("secret") or SECRET) not in str(refused.value)


@pytest.mark.parametrize(
    ("algorithms", "content"),
    [
        (("RS256",), public_pem(ec_key())),
        (("ES256",), public_pem(rsa_key())),
        (("RS256",), public_pem(rsa_key("weak", 1024))),
        (("ES256",), public_pem(ec_key("big", ec.SECP384R1))),
        (("RS256", "ES256"), public_pem(rsa_key())),
        (("RS256",), b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        (("RS256",), b"a private thing"),
        (("RS256",), b""),
    ],
)
def test_key_that_does_not_fit_is_refused(tmp_path: Path, algorithms: tuple[str, ...], content: bytes) -> None:
    """A file must hold one public key, of the one algorithm that would use it; what it holds is not shown."""
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"auth\.public_key_file .* holds no") as refused:
        JwtTokens(settings(algorithms=algorithms, secret=None, public_key_file=str(path)))
    assert "private thing" not in str(refused.value)
