"""`ssot-engine serve`: the site in a process of its own, and what it tells the person who started it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from ssot_engine import __version__
from ssot_engine.cli.local import state_url
from ssot_engine.cli.show import output, paragraph
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import ConfigError
from ssot_engine.logs import configure_logging
from ssot_engine.redaction import redact_text
from ssot_engine.settings import Settings, explain
from ssot_engine.web.app import create_app, create_site
from ssot_engine.web.identity import SignIn
from ssot_engine.web.server import address_of, listen, run
from ssot_engine.web.site import Site


def settings_for_serving(
    config: Path | None, events_url: str | None, web: dict[str, Any], dev_users: str | None
) -> Settings:
    """The settings of the server: options over environment over file; its events are kept in a file unless said.

    Raises:
        ConfigError: a setting is wrong, or the config file cannot be read.
    """
    configured = {line.name for line in explain(Settings.load(config)) if line.source != "default"}
    changes: dict[str, Any] = {"web": {name: value for name, value in web.items() if value is not None}}
    if dev_users is not None:
        changes["auth"] = {"dev_users": [name.strip() for name in dev_users.split(",") if name.strip()]}
    if events_url is not None or "events.url" not in configured:
        changes["events"] = {"url": events_url or state_url()}
    settings = Settings.load(config, **changes)
    configure_logging(settings.log.level, settings.log.format)
    return settings


def serve_site(settings: Settings, as_json: bool) -> None:
    """Serve until a signal.

    Raises:
        ConfigError: nobody could sign in, the port is taken, or the event log is in use.
    """
    if not settings.auth.dev_users and not settings.auth.algorithms:
        raise ConfigError(
            "nothing says how users sign in, and there is no anonymous user; to try it here run: "
            "ssot-engine serve --dev-users alice,bob; for tokens set auth.algorithms, issuer, audience and a key"
        )
    site = create_site(ExecutionContainer.from_settings(settings))
    app = create_app(site)
    listeners = listen(settings.web, loopback_only=site.authenticator.sign_in.kind == "users")
    try:
        run(site, app, listeners, lambda: _tell(site, [address_of(one) for one in listeners], as_json))
    finally:
        for one in listeners:
            one.close()


def _tell(site: Site, urls: list[str], as_json: bool) -> None:
    settings, sign_in = site.container.settings(), site.authenticator.sign_in
    events_url = redact_text(settings.events.url)
    if as_json:
        told = {"urls": urls, "pid": os.getpid(), "sign_in": sign_in, "events_url": events_url}
        print(msgspec.json.encode(told).decode(), flush=True)
        return
    for line in (
        f"ssot-engine {__version__} serves {' and '.join(urls)}",
        f"  sign in   {_ways_in(sign_in)}",
        f"  events    {events_url}",
        f"  stop      Ctrl-C; open runs get {settings.engine.drain_timeout_s:g} s to finish, a second one ends at once",
    ):
        paragraph(output(), line)
    sys.stdout.flush()


def _ways_in(sign_in: SignIn) -> str:
    if sign_in.kind == "users":
        return f"as {' or '.join(sign_in.users)}, by name alone, from this machine only (development)"
    return "with a token of the issuer that the auth settings name"
