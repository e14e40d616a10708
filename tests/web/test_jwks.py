"""The keys of an issuer: read over HTTP, kept, and read again when they rotate."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from issuers import KeyServer, PrivateKey, ec_key, jwk, key_server, public_pem, rsa_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from fakes import until
from ssot_engine.errors import ConfigError, NotAuthenticated
from ssot_engine.web import jwks
from ssot_engine.web.jwks import Jwks


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_key(expected: PrivateKey, actual: Any) -> bool:
    """Whether it is the public half of that key."""
    return expected.public_key().public_numbers() == actual.public_numbers()


async def is_refused(keys: Jwks, kid: str | None = "one", algorithm: str = "RS256") -> bool:
    """Whether there is no such key."""
    try:
        await keys.key(algorithm, kid)
    except NotAuthenticated:
        return True
    return False


async def test_key_is_found_by_its_id() -> None:
    """Each key is found by its id and kind, with one reading for all of them."""
    with key_server(jwk(rsa_key("one"), "one"), jwk(rsa_key("two"), "two"), jwk(ec_key(), "one")) as issuer:
        keys = Jwks(issuer.url)
        assert is_key(rsa_key("one"), await keys.key("RS256", "one"))
        assert is_key(rsa_key("two"), await keys.key("RS256", "two"))
        assert is_key(ec_key(), await keys.key("ES256", "one"))
        assert 1 == issuer.asked


async def test_nothing_is_read_before_it_is_needed() -> None:
    """An issuer that is down does not keep a site from starting."""
    with key_server() as issuer:
        Jwks(issuer.url)
        assert 0 == issuer.asked


async def test_without_an_id_there_must_be_one() -> None:
    """A token that names no key is for the only key of its algorithm; where several could be meant, for none."""
    with key_server(jwk(rsa_key(), None), jwk(ec_key("one"), "one"), jwk(ec_key("two"), "two")) as issuer:
        keys = Jwks(issuer.url)
        assert is_key(rsa_key(), await keys.key("RS256", None))
        assert await is_refused(keys, None, "ES256")


async def test_rotation_is_noticed() -> None:
    """A key that appears after the set was read is found by asking again; the one it replaces is not found any more."""
    clock = Clock()
    with key_server(jwk(rsa_key("one"), "one")) as issuer:
        keys = Jwks(issuer.url, clock=clock)
        assert is_key(rsa_key("one"), await keys.key("RS256", "one"))
        issuer.keys = [jwk(rsa_key("two"), "two")]
        clock.now += jwks.PAUSE_S
        assert is_key(rsa_key("two"), await keys.key("RS256", "two"))
        assert await is_refused(keys, "one")


async def test_changed_key_of_the_same_id_is_taken_when_old() -> None:
    """A set is read again once it is old, so that what the issuer withdraws is withdrawn here."""
    clock = Clock()
    with key_server(jwk(rsa_key("one"), "one")) as issuer:
        keys = Jwks(issuer.url, clock=clock)
        await keys.key("RS256", "one")
        issuer.keys = [jwk(rsa_key("two"), "one")]
        clock.now += jwks.FRESH_S
        assert is_key(rsa_key("one"), await keys.key("RS256", "one"))
        clock.now += 1
        assert is_key(rsa_key("two"), await keys.key("RS256", "one"))
        assert 2 == issuer.asked


async def test_unknown_ids_ask_seldom() -> None:
    """However many tokens with made-up keys come, the issuer is asked once per pause."""
    clock = Clock()
    with key_server(jwk(rsa_key(), "one")) as issuer:
        keys = Jwks(issuer.url, clock=clock)
        await keys.key("RS256", "one")
        for number in range(60):
            clock.now += jwks.PAUSE_S / 20
            assert await is_refused(keys, f"made-up {number}")
        assert 1 + 3 == issuer.asked


async def test_many_at_once_ask_once() -> None:
    """Whoever comes while the keys are being read waits for that reading."""
    with key_server(jwk(rsa_key(), "one")) as issuer:
        keys = Jwks(issuer.url)
        found = await asyncio.gather(*(keys.key("RS256", "one") for _ in range(50)))
        assert 50 == len(found)
        assert 1 == issuer.asked


async def test_client_that_goes_away_stops_no_reading() -> None:
    """A reading goes on for the others when the request that began it is cancelled."""
    with key_server(jwk(rsa_key(), "one")) as issuer:
        issuer.answering.clear()
        keys = Jwks(issuer.url)
        first = asyncio.create_task(keys.key("RS256", "one"))
        second = asyncio.create_task(keys.key("RS256", "one"))
        await until(lambda: issuer.asked)
        first.cancel()
        issuer.answering.set()
        assert is_key(rsa_key(), await second)
        assert 1 == issuer.asked


async def test_loop_goes_on_meanwhile() -> None:
    """While an issuer lets one wait, everything else of the process goes on."""
    with key_server(jwk(rsa_key(), "one")) as issuer:
        issuer.answering.clear()
        reading = asyncio.create_task(Jwks(issuer.url).key("RS256", "one"))
        await until(lambda: issuer.asked)
        assert not reading.done()
        issuer.answering.set()
        await reading


# --------------------------------------------------------------------- an issuer in trouble


def down(issuer: KeyServer) -> None:
    """Answer with an error."""
    issuer.status = 503


def garbled(issuer: KeyServer) -> None:
    """Answer with what is no JSON."""
    issuer.body = b"<html>"


def empty(issuer: KeyServer) -> None:
    """Answer with no key."""
    issuer.keys = []


def of_another_form(issuer: KeyServer) -> None:
    """Answer with JSON that is no key set."""
    issuer.body = b'{"keys": {}}'


def nested(issuer: KeyServer) -> None:
    """Answer with JSON that is nested too deeply."""
    issuer.body = b'{"keys":' + b"[" * 100_000


def endless(issuer: KeyServer) -> None:
    """Answer with more than anybody reads."""
    issuer.body = json.dumps({"keys": issuer.keys, "more": "x" * jwks.MAX_BYTES}).encode()


def moved(issuer: KeyServer) -> None:
    """Send elsewhere, where a good key set is."""
    issuer.status, issuer.headers = 302, {"Location": issuer.url + "?elsewhere"}


def silent(issuer: KeyServer) -> None:
    """Let one wait."""
    issuer.answering.clear()


def patience_s(trouble: Any) -> float:
    """How long the issuer may take: longer than a busy machine does, and as short as can be where the wait is sure."""
    return 0.5 if trouble is silent else 5.0


TROUBLES = [down, garbled, empty, of_another_form, nested, endless, moved, silent]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_uses_the_kept_keys(trouble: Any) -> None:
    """Keys once read serve on while the issuer is in trouble, up to a day, and then no more."""
    clock = Clock()
    with key_server(jwk(rsa_key(), "one")) as issuer, capture_logs() as entries:
        keys = Jwks(issuer.url, clock=clock, fetch_s=patience_s(trouble))
        await keys.key("RS256", "one")
        trouble(issuer)
        clock.now += jwks.KEPT_S
        assert is_key(rsa_key(), await keys.key("RS256", "one"))
        clock.now += jwks.PAUSE_S
        assert await is_refused(keys)
        assert ["jwks_read", "jwks_read_failed", "jwks_read_failed"] == [entry["event"] for entry in entries]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_at_first_proves_nobody(trouble: Any) -> None:
    """Without a key no token is taken; as soon as the issuer answers, they are."""
    clock = Clock()
    with key_server(jwk(rsa_key(), "one")) as issuer:
        trouble(issuer)
        keys = Jwks(issuer.url, clock=clock, fetch_s=patience_s(trouble))
        assert await is_refused(keys)
        issuer.status, issuer.body, issuer.keys = 200, None, [jwk(rsa_key(), "one")]
        issuer.answering.set()
        assert await is_refused(keys)
        clock.now += jwks.FIRST_PAUSE_S
        assert is_key(rsa_key(), await keys.key("RS256", "one"))


async def test_slow_drip_is_given_up() -> None:
    """An issuer that sends a byte now and then is given up in the same time as one that sends none."""
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not ended.wait(0.02):
                try:
                    peer.sendall(b" ")
                except OSError:
                    ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        keys = Jwks(f"http://127.0.0.1:{listener.getsockname()[1]}/", fetch_s=0.1)
        async with asyncio.timeout(5):
            assert await is_refused(keys)
        # The thread that reads has ended too: the connection is closed from our side.
        await until(lambda: not thread.is_alive())


async def test_nobody_listens() -> None:
    """A port where nobody listens is an issuer in trouble like any other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await is_refused(Jwks(f"http://127.0.0.1:{port}/"))


# -------------------------------------------------------------------- keys not to be used


def private(key: PrivateKey) -> dict[str, Any]:
    """A key whose private half is published as well."""
    kind = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**json.loads(kind.to_jwk(key)), "kid": "one", "key_ops": ["verify"]}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "one"}, id="a shared secret"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "one", "alg": "RS256"}, id="a secret for RS256"),
        pytest.param(jwk(rsa_key("weak", 1024), "one"), id="RSA of 1024 bits"),
        pytest.param(jwk(ec_key("big", ec.SECP384R1), "one"), id="P-384"),
        pytest.param(jwk(rsa_key(), "one", use="enc"), id="for encryption"),
        pytest.param(jwk(rsa_key(), "one", key_ops=["encrypt"]), id="not to verify with"),
        pytest.param(jwk(rsa_key(), "one", key_ops="verify"), id="operations that are no list"),
        pytest.param(jwk(rsa_key(), "one", alg="RS512"), id="for RS512"),
        pytest.param(jwk(rsa_key(), "one", alg="HS256"), id="for HS256"),
        pytest.param(private(rsa_key()), id="a private RSA key"),
        pytest.param(private(ec_key()), id="a private EC key"),
        pytest.param({**jwk(rsa_key(), "one"), "n": 5}, id="RSA with a number"),
        pytest.param({**jwk(rsa_key(), "one"), "n": "!"}, id="RSA with no base64"),
        pytest.param({"kty": "RSA", "kid": "one"}, id="RSA with nothing"),
        pytest.param({**jwk(ec_key(), "one"), "y": jwk(ec_key(), "one")["x"]}, id="a point off the curve"),
        pytest.param({**jwk(rsa_key(), "one"), "kid": ["one"]}, id="an id that is a list"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "kid": "one"}, id="Ed25519"),
        pytest.param("one", id="no key at all"),
    ],
)
async def test_other_keys_are_passed_over(entry: Any) -> None:
    """A key of another kind or use, or a broken one, is never used, and spoils none of the others."""
    with key_server(entry, jwk(rsa_key("good"), "good")) as issuer:
        keys = Jwks(issuer.url)
        assert is_key(rsa_key("good"), await keys.key("RS256", "good"))
        assert await is_refused(keys, "one", "RS256")
        assert await is_refused(keys, "one", "ES256")
        assert await is_refused(keys, "one", "HS256")


async def test_key_of_one_kind_serves_no_other() -> None:
    """An RSA key is not found for ES256, nor a P-256 key for RS256, nor either for HS256."""
    with key_server(jwk(rsa_key(), "rsa"), jwk(ec_key(), "ec")) as issuer:
        keys = Jwks(issuer.url)
        for kid, algorithm in (("rsa", "ES256"), ("ec", "RS256"), ("rsa", "HS256"), ("ec", "HS256")):
            assert await is_refused(keys, kid, algorithm)


# ----------------------------------------------------------------------------------- URL


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example.org/keys",
        "https://issuer.example.org:8443/keys?a=b",
        "http://localhost/keys",
        "http://127.0.0.1:80/keys",
        "http://[::1]:80/keys",
    ],
)
def test_safe_url_is_taken(url: str) -> None:
    """Anywhere over https, and on this machine over http."""
    Jwks(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.org/keys",
        "http://10.0.0.1/keys",
        "http://localhost.example.org/keys",
        "file:///etc/keys",
        "ftp://localhost/keys",
        "data:application/json,{}",
        "https://",
        "https:///keys",
        "keys",
        "",
        "https://issuer.example.org:x/keys",
        "https://issuer.example.org/k s",
        "https://issuer.example.org/k\ns",
        "https://issuer.example.org/schlüssel",
        "https://[::1/keys",
    ],
)
def test_unsafe_url_is_refused(url: str) -> None:
    """Keys that anybody on the way could replace are refused at start."""
    with pytest.raises(ConfigError, match=r"auth\.jwks_url .* https"):
        Jwks(url)


def test_password_in_url_is_not_shown() -> None:
    """A URL with a password is refused without showing it."""
    with pytest.raises(ConfigError) as refused:
        Jwks("https://user:hunter2@issuer.example.org/keys")
    assert "hunter2" not in str(refused.value)


def test_pem_is_no_key_set() -> None:
    """A PEM served in place of a key set is unreadable, not taken for a key."""
    with pytest.raises(jwks._Unreadable):
        jwks._parse(public_pem(rsa_key()))
