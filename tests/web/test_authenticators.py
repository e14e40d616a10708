"""Which authenticator a site has."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from issuers import AUDIENCE, ISSUER, SECRET

from ssot_engine.errors import ConfigError
from ssot_engine.settings_sections import AuthSettings
from ssot_engine.web.authenticators import authenticator
from ssot_engine.web.dev_users import DevUsers
from ssot_engine.web.host_users import HostUsers
from ssot_engine.web.jwt_tokens import JwtTokens

TOKENS: dict[str, Any] = {"algorithms": ("HS256",), "secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE}
NAMES: dict[str, Any] = {"dev_users": ("alice",)}


def nobody(_: object) -> None:
    """A host that knows nobody."""


@pytest.mark.parametrize(
    ("settings", "user", "kind"), [(NAMES, None, DevUsers), (TOKENS, None, JwtTokens), ({}, nobody, HostUsers)]
)
def test_the_one_configured_is_taken(settings: dict[str, Any], user: Any, kind: type) -> None:
    """Names, tokens or the host: whichever is there."""
    assert kind is type(authenticator(AuthSettings(**settings), user=user))


def test_nothing_is_no_anonymous_user() -> None:
    """A site without a way to sign in does not start; the text says all ways there are."""
    with pytest.raises(ConfigError, match=r"auth\.algorithms.*auth\.dev_users.*--dev-users.*user="):
        authenticator(AuthSettings(), user=None)


@pytest.mark.parametrize(
    ("settings", "user", "said"),
    [
        ({**NAMES, **TOKENS}, None, "auth.dev_users and auth.algorithms"),
        (NAMES, nobody, "user= and auth.dev_users"),
        (TOKENS, nobody, "user= and auth.algorithms"),
        ({**NAMES, **TOKENS}, nobody, "user= and auth.dev_users and auth.algorithms"),
    ],
)
def test_two_ways_are_refused(settings: dict[str, Any], user: Any, said: str) -> None:
    """Where several ways are configured none is silently preferred."""
    with pytest.raises(ConfigError, match=f"^{said}"):
        authenticator(AuthSettings(**settings), user=user)


def test_admins_are_handed_on() -> None:
    """The settings' admins are known to whichever it is."""
    chosen = authenticator(AuthSettings(dev_users=("alice",), admins=("alice",)), user=None)
    assert isinstance(chosen, DevUsers)
    assert chosen._identities["alice"].is_admin


MISSING = """
import sys
sys.modules[{module!r}] = None
from ssot_engine.errors import ConfigError
from ssot_engine.settings_sections import AuthSettings
from ssot_engine.web.authenticators import authenticator
assert authenticator(AuthSettings(dev_users=("alice",)), user=None)
try:
    authenticator(AuthSettings(algorithms=("HS256",)), user=None)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["jwt", "cryptography"])
def test_missing_extra_is_named(module: str) -> None:
    """Without the extra, tokens are refused at start with the command that helps; names work as ever."""
    done = subprocess.run(
        [sys.executable, "-c", MISSING.format(module=module)], capture_output=True, text=True, check=False
    )
    assert ("auth.algorithms needs the extra auth: pip install 'ssot-engine[auth]'\n", "") == (done.stdout, done.stderr)
