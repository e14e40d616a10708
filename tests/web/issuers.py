"""Issuers of tokens for tests: real keys, real tokens, and a key set served over HTTP on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import HTTPConnection

SECRET = "a secret that only this test knows, 32+"
ISSUER = "https://issuer.example.org/"
AUDIENCE = "ssot-engine"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key, the same for the same name."""
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(name: str = "one", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """A key on a curve, the same for the same name."""
    return ec.generate_private_key(curve())


def public_pem(key: PrivateKey) -> bytes:
    """The public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pem_file(folder: Path, key: PrivateKey) -> str:
    """The public half in a file."""
    path = folder / "public.pem"
    path.write_bytes(public_pem(key))
    return str(path)


def jwk(key: PrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half as an issuer publishes it."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    entry = json.loads(kind.to_jwk(key.public_key()))
    entry.pop("key_ops", None)
    return {**entry, "use": "sig", **({} if kid is None else {"kid": kid}), **more}


def claims(**more: Any) -> dict[str, Any]:
    """What a good token says; a claim given as None is left out."""
    now = int(time.time())
    said = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, **more}
    return {name: value for name, value in said.items() if value is not None}


def signed(
    said: Mapping[str, Any],
    key: PrivateKey | str = SECRET,
    algorithm: str = "HS256",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """A token with these claims, as the library writes them."""
    return jwt.PyJWS().encode(json.dumps(dict(said)).encode(), key, algorithm, {"typ": "JWT", **(headers or {})})


def connection(method: str = "GET", scheme: str = "http", kind: str = "http", **headers: str) -> HTTPConnection:
    """A request with these headers, `_` standing for `-`."""
    raw = [(name.replace("_", "-").encode(), value.encode("utf-8")) for name, value in headers.items()]
    return HTTPConnection({"type": kind, "method": method, "scheme": scheme, "path": "/", "headers": raw})


class KeyServer:
    """What an issuer answers, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.status = 200
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.asked = 0
        #: Cleared while answers are to wait.
        self.answering = threading.Event()
        self.answering.set()
        self.url = ""

    def answer(self) -> bytes:
        """The body of the next answer."""
        return json.dumps({"keys": self.keys}).encode() if self.body is None else self.body


@contextmanager
def key_server(*keys: Any) -> Iterator[KeyServer]:
    """Serves a key set on a free port of loopback until the block ends."""
    issuer = KeyServer()
    issuer.keys = list(keys)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.answering.wait(10)
            body = issuer.answer()
            self.send_response(200 if self.path.endswith("?elsewhere") else issuer.status)
            for name, value in issuer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                return  # whoever asked has gone

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/keys.json"
    try:
        yield issuer
    finally:
        issuer.answering.set()
        server.shutdown()
        thread.join()
        server.server_close()
