"""The keys of an issuer of tokens: read from its URL, kept, and read again when they rotate."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import BaseHandler, HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ssot_engine.errors import ConfigError, NotAuthenticated, shown
from ssot_engine.logs import get_logger

PublicKey = RSAPublicKey | EllipticCurvePublicKey

#: Keys are read again when they are older, in seconds; an issuer that withdraws one is heard after this time.
FRESH_S = 3600.0
#: While the issuer cannot be read its keys are used up to this age, in seconds.
KEPT_S = 86_400.0
#: The least time between two readings, in seconds, whatever tokens ask for; and before there is any key.
PAUSE_S = 10.0
FIRST_PAUSE_S = 1.0
#: How long one reading may take, in seconds, and how much is read, in bytes.
FETCH_S = 5.0
MAX_BYTES = 262_144

_MIN_RSA_BITS = 2048
_log = get_logger("ssot_engine.web.jwks")


class _Unreadable(Exception):
    """The issuer's answer is no key set."""


class _KeySet(msgspec.Struct):
    keys: list[Any]


class Jwks:
    """The key set at a URL. `clock` is in seconds and only goes up.

    Raises:
        ConfigError: the URL is neither https nor of this machine.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic, fetch_s: float = FETCH_S) -> None:
        self._url = _checked(url)
        self._clock = clock
        self._fetch_s = fetch_s
        self._keys: dict[tuple[str, str | None], PublicKey] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, kid: str | None) -> PublicKey:
        """The issuer's key of that id. Without an id its only one for the algorithm.

        Raises:
            NotAuthenticated: it has none, or cannot be asked.
        """
        found = self._find(algorithm, kid)
        if found is None or self._age() > FRESH_S:
            await self._read_once()
            found = self._find(algorithm, kid)
        if self._age() > KEPT_S:
            raise NotAuthenticated("the issuer's keys cannot be read, so no token can be verified; try again later")
        if found is None:
            raise NotAuthenticated("the token is signed with a key the issuer does not publish; sign in again")
        return found

    def _find(self, algorithm: str, kid: str | None) -> PublicKey | None:
        if kid is not None:
            return self._keys.get((algorithm, kid))
        keys = [key for (fits, _), key in self._keys.items() if fits == algorithm]
        return keys[0] if len(keys) == 1 else None

    def _age(self) -> float:
        return self._clock() - self._read_at

    async def _read_once(self) -> None:
        """Read the keys, unless that was tried a moment ago; whoever comes meanwhile waits for the same reading."""
        if self._reading is None:
            if self._clock() - self._tried_at < (PAUSE_S if self._keys else FIRST_PAUSE_S):
                return
            self._reading = asyncio.create_task(self._read())
        # A client that goes away does not take the reading along.
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._fetch_s):
                body = await _in_thread(lambda: _fetch(self._url, self._fetch_s))
            self._keys = _parse(body)
            self._read_at = self._clock()
            _log.debug("jwks_read", url=self._url, keys=len(self._keys))
        except (OSError, HTTPException, _Unreadable) as error:
            _log.warning("jwks_read_failed", url=self._url, error=type(error).__name__, kept=len(self._keys))
        finally:
            self._tried_at = self._clock()
            self._reading = None


# ----------------------------------------------------------------------------- keys


def algorithm_of(key: object) -> str | None:
    """The one algorithm a key is for; None if it is for none that is accepted, too short, or private."""
    match key:
        case RSAPublicKey() if key.key_size >= _MIN_RSA_BITS:
            return "RS256"
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return "ES256"
    return None


def _parse(body: bytes) -> dict[tuple[str, str | None], PublicKey]:
    """The usable keys of a key set, by algorithm and id. Keys of other kinds are passed over (RFC 7517 section 5)."""
    try:
        entries = msgspec.json.decode(body, type=_KeySet).keys
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _Unreadable from error
    keys: dict[tuple[str, str | None], PublicKey] = {}
    for entry in entries:
        if isinstance(entry, dict) and _is_for_signatures(entry):
            key = _key(entry)
            algorithm = algorithm_of(key)
            if algorithm is not None and entry.get("alg", algorithm) == algorithm:
                keys.setdefault((algorithm, entry.get("kid")), key)
    if not keys:
        raise _Unreadable
    return keys


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    """Whether the issuer means it for this; a secret that is published is nobody's proof."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") in ("RSA", "EC")
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(entry.get("kid"), str | None)
    )


def _key(entry: dict[str, Any]) -> Any:
    try:
        return jwt.PyJWK(entry, "RS256" if entry["kty"] == "RSA" else "ES256").key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        return None


# -------------------------------------------------------------------------- reading


class _NoRedirect(HTTPRedirectHandler):
    """The keys are where the settings say or nowhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = _is_safe(parts) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        # A password in it must not be shown.
        text = "with a user name or password" if "@" in url else shown(url)
        raise ConfigError(f"auth.jwks_url {text} cannot be used; give an https URL (http only for this machine)")
    return url


def _is_safe(parts: SplitResult) -> bool:
    if not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _fetch(url: str, limit_s: float) -> bytes:
    """What is at the URL; blocks."""
    deadline = time.monotonic() + limit_s
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "ssot-engine"})
    try:
        answer = _opener(url).open(request, timeout=limit_s)
    except HTTPError as error:
        error.close()
        raise
    with answer as response:
        parts, size = [], 0
        while part := response.read1(65_536):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES or time.monotonic() > deadline:
                raise _Unreadable
    return b"".join(parts)


def _opener(url: str) -> OpenerDirector:
    """Opens without redirects; by the proxy of the environment, but never to this machine."""
    proxies: Iterable[BaseHandler] = () if url.startswith("https:") else (ProxyHandler({}),)
    return build_opener(_NoRedirect, *proxies)


async def _in_thread(work: Callable[[], bytes]) -> bytes:
    """What `work` returns, done beside the loop. The thread is a daemon: an issuer that hangs delays no exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def settle(result: bytes, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = b"", None
        try:
            result = work()
        except Exception as error:
            # The thread has no caller; whoever waits for the future is.
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            return  # the loop has ended

    threading.Thread(target=run, name="ssot-engine-jwks", daemon=True).start()
    return await done
