"""Tokens (JWT) of an issuer: what makes one a proof, and whose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import HTTPConnection

from ssot_engine.errors import ConfigError, InvalidContext, NotAuthenticated
from ssot_engine.settings_sections import AuthSettings
from ssot_engine.web.identity import Authenticator, Identity, SignIn
from ssot_engine.web.jwks import Jwks, PublicKey, algorithm_of

#: The longest token that is looked at, in characters.
MAX_TOKEN = 16_384

# Three parts in base64url without padding (RFC 7515 section 7.1); the library is more lenient.
_is_compact = re.compile(r"(?:[\w-]+\.){2}[\w-]*", re.ASCII).fullmatch

#: The shortest secret for HS256 (RFC 7518 section 3.2), in bytes.
_MIN_SECRET = 32

#: What a token that proves a user is typed as, if it is typed (RFC 8725 section 3.11, RFC 9068 section 2.1).
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "has expired; sign in again"),
    (jwt.ImmatureSignatureError, "is not valid yet; compare the clocks, or try again later"),
    (jwt.InvalidAudienceError, "is meant for another audience"),
    (jwt.InvalidIssuerError, "is of another issuer"),
    (jwt.MissingRequiredClaimError, "lacks a claim that is needed: exp, iss, aud or the user's id"),
    (jwt.InvalidSignatureError, "has a wrong signature"),
)
_MALFORMED = "is malformed"


#: Seconds since 1970, before the year 10000: calendars end there.
_Time = Annotated[float, msgspec.Meta(lt=253_402_300_800)]


class _Times(msgspec.Struct):
    """The times of a token."""

    exp: _Time
    nbf: _Time | None = None
    iat: _Time | None = None


class JwtTokens(Authenticator):
    """Takes tokens that an issuer signed for this audience.

    A key verifies one algorithm only: the secret HS256, an RSA key RS256, a P-256 key ES256, whatever a token says.

    Raises:
        ConfigError: a key, the issuer or the audience is missing, or a key does not fit.
    """

    sign_in = SignIn("token")

    def __init__(self, settings: AuthSettings) -> None:
        _check_parts(settings)
        self._settings = settings
        self._algorithms = frozenset(settings.algorithms)
        self._secret = _secret(settings)
        self._public_key = _public_key(settings)
        self._jwks = None if settings.jwks_url is None else Jwks(settings.jwks_url)

    async def identify(self, connection: HTTPConnection, token: str | None) -> Identity:
        """The user whom the token is about."""
        if not token:
            raise NotAuthenticated("not signed in; send a token")
        algorithm, kid = self._header(token)
        return self._identity(self._claims(token, algorithm, await self._key(algorithm, kid)))

    def _header(self, token: str) -> tuple[str, str | None]:
        """The algorithm, which is an allowed one, and the key's id, both as the token has them."""
        if len(token) > MAX_TOKEN or not _is_compact(token):
            raise _refused(_MALFORMED)
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _refused(_MALFORMED) from None
        algorithm, kind = header.get("alg"), header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise _refused("is not signed by an accepted algorithm")
        if "crit" in header or "b64" in header:
            raise _refused("asks for an extension that is not known here")
        if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
            raise _refused("is of a kind that proves no user")
        return algorithm, header.get("kid")

    async def _key(self, algorithm: str, kid: str | None) -> bytes | PublicKey:
        if algorithm == "HS256":
            return self._secret
        if self._jwks is not None:
            return await self._jwks.key(algorithm, kid)
        assert self._public_key is not None
        return self._public_key

    def _claims(self, token: str, algorithm: str, key: bytes | PublicKey) -> dict[str, Any]:
        """What the token says, once it is verified."""
        settings = self._settings
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=settings.audience,
                # Earlier versions of the library take a part of a text for the whole.
                issuer=[str(settings.issuer)],
                leeway=settings.leeway_s,
                options={"require": ["exp", "iss", "aud", settings.user_claim]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # The library's text may quote the token.
            raise _refused(next((text for kind, text in _REFUSALS if isinstance(error, kind)), _MALFORMED)) from None

    def _identity(self, claims: dict[str, Any]) -> Identity:
        settings = self._settings
        if settings.user_claim == "email" and claims.get("email_verified", True) is not True:
            raise _refused("names an e-mail address that the issuer has not verified")
        user_id = claims[settings.user_claim]
        try:
            # The library would take "1" and true for times.
            times = msgspec.convert(claims, _Times)
            return Identity(user_id, user_id in settings.admins, times.exp + settings.leeway_s)
        except (msgspec.ValidationError, InvalidContext):
            raise _refused("names no user that can be one, or its times are no numbers") from None


def _refused(problem: str) -> NotAuthenticated:
    return NotAuthenticated(f"the token {problem}")


# ------------------------------------------------------------------------- settings


def _check_parts(settings: AuthSettings) -> None:
    """Refuse settings that lack a part, or have one that nothing would use."""
    public = [name for name in settings.algorithms if name != "HS256"]
    for name in ("issuer", "audience"):
        if not getattr(settings, name):
            raise ConfigError(f"auth.algorithms is set, but auth.{name} is not; a token for others would be taken")
    _check_pair("auth.secret", settings.secret is not None, "HS256", "HS256" in settings.algorithms)
    keys = [name for name in ("public_key_file", "jwks_url") if getattr(settings, name) is not None]
    _check_pair("auth.public_key_file or auth.jwks_url", bool(keys), "RS256 or ES256", bool(public))
    if len(keys) > 1:
        raise ConfigError("auth.public_key_file and auth.jwks_url are both set; keep one")


def _check_pair(setting: str, is_set: bool, algorithm: str, is_used: bool) -> None:
    if is_used and not is_set:
        raise ConfigError(f"auth.algorithms has {algorithm}, but no key: set {setting}")
    if is_set and not is_used:
        raise ConfigError(f"{setting} is set, but auth.algorithms has no {algorithm} that would use it")


def _secret(settings: AuthSettings) -> bytes:
    secret = b"" if settings.secret is None else settings.secret.get_secret_value().encode()
    if settings.secret is not None and len(secret) < _MIN_SECRET:
        raise ConfigError(f"auth.secret has {len(secret)} bytes; HS256 needs {_MIN_SECRET} or more, chosen at random")
    return secret


def _public_key(settings: AuthSettings) -> PublicKey | None:
    """The key in the file, which must be for the one algorithm besides HS256."""
    path = settings.public_key_file
    if path is None:
        return None
    try:
        key: Any = load_pem_public_key(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"auth.public_key_file {path!r} cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"auth.public_key_file {path!r} holds no public key in PEM") from None
    if [algorithm_of(key)] != [name for name in settings.algorithms if name != "HS256"]:
        raise ConfigError(
            f"auth.public_key_file {path!r} holds no key for {', '.join(settings.algorithms)}: RS256 takes RSA of 2048 "
            "bits or more, ES256 takes P-256, and one file holds one key"
        )
    return key  # type: ignore[no-any-return]
