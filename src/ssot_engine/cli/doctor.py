"""`ssot-engine doctor`: what is right and wrong with this installation, and what to do about it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import platform
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
from rich.table import Table
from rich.text import Text

from ssot_engine.cli.config import check_sign_in, summary
from ssot_engine.cli.local import settings_for_reading
from ssot_engine.cli.show import output, print_json, printable
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import ConfigError
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.settings import Settings

_DISTRIBUTION = "ssot-engine"
#: Extras for working on the package, not with it.
_FOR_DEVELOPERS = frozenset(("test", "dev", "bench", "browser"))
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. A `note` is neither right nor wrong."""

    name: str
    state: Literal["ok", "wrong", "note"]
    text: str


def examine(config: Path | None, events_url: str | None, as_json: bool) -> int:
    """Print every check; the exit status is 1 if one is wrong."""
    checks = [_python(), *_packages(), *_configured(config, events_url), *_extras()]
    is_ok = all(check.state != "wrong" for check in checks)
    if as_json:
        print_json({"ok": is_ok, "checks": checks})
        return 0 if is_ok else 1
    table = Table.grid(padding=(0, 2))
    styles = {"ok": "green", "wrong": "red", "note": "dim"}
    for check in checks:
        state = Text("--" if check.state == "note" else check.state, style=styles[check.state])
        table.add_row(state, check.name, Text(printable(check.text)))
    output().print(table)
    return 0 if is_ok else 1


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} ({platform.python_implementation()})")


# ---------------------------------------------------------------------------- packages


def _requirements() -> Iterator[tuple[str | None, str]]:
    """Every requirement of the distribution as (extra or None, name)."""
    for line in metadata.requires(_DISTRIBUTION) or ():
        name, extra = _REQUIREMENT.match(line), _EXTRA.search(line)
        if name is not None and "python_version" not in line:
            yield extra[1] if extra else None, name[1]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Check]:
    versions = {name: _version(name) for extra, name in _requirements() if extra is None}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        yield Check(
            "packages", "wrong", f"missing: {', '.join(missing)}; run: pip install --force-reinstall ssot-engine"
        )
    installed = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    yield Check("packages", "ok", f"ssot-engine {_version(_DISTRIBUTION)}; {installed}")


def _extras() -> Iterator[Check]:
    needs: dict[str, list[str]] = {}
    for extra, name in _requirements():
        if extra is not None and extra not in _FOR_DEVELOPERS:
            needs.setdefault(extra, []).append(name)
    for extra, names in needs.items():
        if any(_version(name) is None for name in names):
            yield Check(f"extra {extra}", "note", f"not installed; pip install 'ssot-engine[{extra}]'")
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(f"{name} {_version(name)}" for name in names))


# ---------------------------------------------------------------- what settings lead to


def _configured(config: Path | None, events_url: str | None) -> Iterator[Check]:
    try:
        settings = settings_for_reading(config, events_url)
    except ConfigError as error:
        yield Check("config", "wrong", str(error))
        return
    yield Check("config", "ok", summary(Settings.load(config)))
    yield _container(settings)
    yield _event_log(settings.events.url)
    yield _sign_in(settings)
    yield _port(settings.web.host, settings.web.port)
    yield Check("model", "note" if settings.model.name == "offline" else "ok", _model(settings.model.name))


def _model(name: str) -> str:
    return "offline: agents that need a language model are yours to register" if name == "offline" else name


def _container(settings: Settings) -> Check:
    try:
        container = ExecutionContainer.from_settings(settings)
        container.check()
        agents, tools = len(container.registry()), len(container.tools())
    except ConfigError as error:
        return Check("container", "wrong", str(error))
    return Check("container", "ok", f"complete; {agents} agents, {tools} tools")


def _sign_in(settings: Settings) -> Check:
    try:
        check_sign_in(settings)
    except ConfigError as error:
        return Check("sign-in", "wrong", str(error))
    if settings.auth.algorithms:
        return Check("sign-in", "ok", f"by tokens ({', '.join(settings.auth.algorithms)}) of {settings.auth.issuer}")
    if settings.auth.dev_users:
        return Check("sign-in", "ok", f"by name alone, on loopback: {', '.join(settings.auth.dev_users)}")
    return Check("sign-in", "note", "not set; `serve` needs --dev-users alice,bob or auth.algorithms and a key")


def _event_log(url: str) -> Check:
    if not url.startswith("sqlite:"):
        return Check("event log", "ok", f"{url} (nothing to look at from outside)")
    try:
        log = SqliteEventLog.from_url(url, read_only=True)
        if not log.path.exists():
            return _absent(log.path)
        epoch = asyncio.run(_epoch(log))
        holder = _holder(log.path)
    except (ConfigError, OSError) as error:
        return Check("event log", "wrong", str(error))
    wal = Path(f"{log.path}-wal")
    sizes = f"{_size(log.path)}, write-ahead log {_size(wal) if wal.exists() else 'empty'}"
    return Check("event log", "ok", f"{log.url}: {sizes}, epoch {epoch[:8]}, {holder}")


def _absent(path: Path) -> Check:
    home = next(parent for parent in path.parents if parent.exists())
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        problem = f"{path} cannot be made: {home} is no directory that can be written; set another events.url"
        return Check("event log", "wrong", problem)
    return Check("event log", "ok", f"{path} is not there yet; the first run makes it")


async def _epoch(log: SqliteEventLog) -> str:
    await log.open()
    try:
        return log.epoch
    finally:
        await log.aclose()


def _holder(path: Path) -> str:
    """Which process writes the file. A shared lock is tried for a moment, which the writer's own would refuse."""
    try:
        side = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return "no writer now"
    try:
        fcntl.lockf(side, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return f"written by {os.pread(side, 200, 0).decode(errors='replace').strip() or 'another process'}"
    else:
        return "no writer now"
    finally:
        os.close(side)


def _size(path: Path) -> str:
    size_bytes = path.stat().st_size
    return f"{size_bytes:,} bytes" if size_bytes < 10_000 else f"{size_bytes / 1e6:,.1f} MB"


def _port(host: str, port: int) -> Check:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_ours(host, port):
            return Check("web port", "ok", f"{host}:{port} is served by ssot-engine")
        problem = f"{host}:{port} cannot be listened on: {error.strerror}; stop what does, or set web.host and web.port"
        return Check("web port", "wrong", problem)
    return Check("web port", "ok", f"{host}:{port} is free")


def _is_ours(host: str, port: int) -> bool:
    """Whether the server that listens there is `ssot-engine serve`."""
    connection = HTTPConnection(host, port, timeout=0.5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().headers["server"] == _DISTRIBUTION
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
