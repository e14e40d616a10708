"""Which authenticator a site has: the settings or the host name exactly one."""

from __future__ import annotations

from ssot_engine.errors import ConfigError
from ssot_engine.settings_sections import AuthSettings
from ssot_engine.web.dev_users import DevUsers
from ssot_engine.web.host_users import HostUsers, UserOf
from ssot_engine.web.identity import Authenticator

__all__ = ["UserOf", "authenticator"]


def authenticator(settings: AuthSettings, *, user: UserOf | None) -> Authenticator:
    """How requests prove whose they are: by the host's `user`, by a token, or for development by a name.

    Raises:
        ConfigError: none or several are configured, or the one is configured wrongly.
    """
    named = {"user=": user is not None, "auth.dev_users": settings.dev_users, "auth.algorithms": settings.algorithms}
    chosen = [name for name, value in named.items() if value]
    if not chosen:
        raise ConfigError(
            "nothing says how users sign in: set auth.algorithms and its key for tokens, auth.dev_users "
            "for development (--dev-users alice,bob), or pass user= to install()"
        )
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} both say how users sign in; keep one")
    if user is not None:
        return HostUsers(user, settings.admins)
    if settings.dev_users:
        return DevUsers(settings.dev_users, settings.admins)
    return _jwt_tokens(settings)


def _jwt_tokens(settings: AuthSettings) -> Authenticator:
    try:
        from ssot_engine.web.jwt_tokens import JwtTokens
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("jwt", "cryptography"):
            raise
        raise ConfigError("auth.algorithms needs the extra auth: pip install 'ssot-engine[auth]'") from error
    return JwtTokens(settings)
