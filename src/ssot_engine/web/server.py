"""The server process of a site: uvicorn with our limits, and how it ends: runs first, then connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from ssot_engine.errors import ConfigError
from ssot_engine.logs import get_logger
from ssot_engine.settings import GcSettings, WebSettings
from ssot_engine.web.outlet import ABORT, TEXT, TextWriter
from ssot_engine.web.site import Site

__all__ = ["SERVER_NAME", "Server", "address_of", "listen", "run", "serve"]

log = get_logger("ssot_engine.web.server")

#: The header `server` of every answer, by which `doctor` knows who listens on a port.
SERVER_NAME = "ssot-engine"

#: What the head of a request may take; a longer one is answered 400.
MAX_HEAD_BYTES = 32_768
#: How often an open socket is asked whether its client is still there, and how long the answer may take.
PING_INTERVAL_S = PING_TIMEOUT_S = 20.0
#: What requests get to end by themselves once their connection was cut, and again once they were cancelled.
_CUT_GRACE_S = 0.5
_POLL_S = 0.005
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


# ------------------------------------------------------------------------- protocols


class _Abortable(asyncio.Protocol):
    """A protocol that offers `ABORT` to the application."""

    app: ASGIApp

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # uvloop's transports are none of asyncio's by type.
        self.app = _offering(self.app, ABORT, cast("asyncio.Transport", transport).abort)


def _offering(app: ASGIApp, name: str, offer: object) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        extensions: MutableMapping[str, Any] = scope.setdefault("extensions", {})
        extensions[name] = offer
        await app(scope, receive, send)

    return call


class _Http(_Abortable, H11Protocol):
    """HTTP/1.1 by h11, which bounds the head of a request; httptools does not."""


class _Socket(_Abortable, WebSocketsSansIOProtocol):
    """A WebSocket that offers `TEXT`: most of what is sent are small text frames, and there are many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.app = _offering(self.app, TEXT, TextWriter(self.writable, self._write_text))

    def handle_ping(self) -> None:
        """Answer while there is room; pongs that nobody reads would pile up without bound."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """Join fragments as they come; a list of them would grow without bound, as empty ones have no size."""
        whole: Any = self.frames[0]
        if not isinstance(whole, bytearray):
            whole = bytearray(whole)
            self.frames = [whole]
        whole += event.data
        if event.fin:
            self.send_receive_event_to_app()

    def _write_text(self, data: bytes) -> None:
        """Write a whole frame, unmasked and not compressed (RFC 6455, section 5.2)."""
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        size = len(data)
        if size < 126:
            head = _SHORT(0x81, size)
        elif size < 65_536:
            head = _MEDIUM(0x81, 126, size)
        else:
            head = _LONG(0x81, 127, size)
        self.transport.write(head + data)


_SHORT, _MEDIUM, _LONG = struct.Struct("!BB").pack, struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack


class _Entries(logging.Handler):
    """What the standard library's loggers tell, as entries of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # A request that outlived the server was cancelled: `connections_cut` has told so.
        if not isinstance(error, asyncio.CancelledError):
            tell = log.error if record.levelno >= logging.ERROR else log.warning
            tell("server_warned", source=record.name, text=record.getMessage().strip(), exc_info=error)


def _keep_entries() -> None:
    """Warnings of uvicorn and asyncio go to our log; below that uvicorn's entries would hold query strings."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Entries()], False
        logger.setLevel(logging.WARNING)


# ------------------------------------------------------------------------- listening


def listen(settings: WebSettings, *, loopback_only: bool = False) -> list[socket.socket]:
    """Sockets that listen on every address `web.host` stands for.

    Raises:
        ConfigError: the host is unknown, the port is taken or not allowed, or it is not loopback though it must be.
    """
    addresses = _addresses(settings)
    if loopback_only and not all(ipaddress.ip_address(address[0]).is_loopback for _, address in addresses):
        raise ConfigError(
            f"web.host is {settings.host!r}, but with auth.dev_users (--dev-users) whoever reaches the port may sign "
            "in as anybody, so it is served on loopback only: use --host 127.0.0.1, or have users prove who they "
            "are by tokens (auth.algorithms)"
        )
    made: list[socket.socket] = []
    try:
        for family, address in addresses:
            port = made[0].getsockname()[1] if made else address[1]
            made.append(_listener(family, (address[0], port, *address[2:])))
    except OSError as error:
        for one in made:
            one.close()
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}; stop what does, or choose "
            "another port: --port, web.port or SSOT_ENGINE_WEB__PORT"
        ) from error
    return made


def _addresses(settings: WebSettings) -> list[tuple[int, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(
            f"web.host {settings.host!r} is no address of this machine: {error.strerror}; "
            "set --host, web.host or SSOT_ENGINE_WEB__HOST"
        ) from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listener(family: int, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(address)
        made.listen(2048)
    except BaseException:
        made.close()
        raise
    return made


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# ---------------------------------------------------------------------------- serving


class Server(uvicorn.Server):
    """Serves a site whose container runs, until a signal or `stop`; then it ends in this order.

    1. At once no run is accepted and `readyz` answers 503; open runs get `engine.drain_timeout_s` to finish, then they
       are cancelled. Meanwhile clients may come and read: every run's end reaches its readers.
    2. No connection is accepted; `site.stopping` is set: sockets close with 1012 and event streams end, each after
       what is left. They get `web.close_timeout_s`.
    3. Connections that are still there are cut, and their requests cancelled.

    A second signal ends the process as a kill would; the event log is safe against that. A caller that sets
    `site.stopping` itself skips the first step.
    """

    def __init__(
        self,
        site: Site,
        app: ASGIApp,
        *,
        takes_signals: bool = True,
        on_started: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(_configured(app, site.container.settings().web))
        self._site = site
        self._close_timeout_s = site.container.settings().web.close_timeout_s
        self._takes_signals = takes_signals
        self._on_started = on_started
        self._asked = asyncio.Event()

    def stop(self) -> None:
        """Begin to end."""
        self.should_exit = True
        self._asked.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let a signal end the server; uvicorn's own would let the process die of it after a clean end."""
        if not self._takes_signals:
            yield
            return
        loop = asyncio.get_running_loop()
        for one in _SIGNALS:
            loop.add_signal_handler(one, self._signalled)
        try:
            yield
        finally:
            for one in _SIGNALS:
                loop.remove_signal_handler(one)

    def _signalled(self) -> None:
        loop = asyncio.get_running_loop()
        for one in _SIGNALS:
            loop.remove_signal_handler(one)
            # A second one is the system's: it ends the process even if this loop is stuck.
            signal.signal(one, signal.SIG_DFL)
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets=sockets)
        log.info("server_started", urls=[address_of(one) for one in sockets or ()], pid=os.getpid())
        if self._on_started is not None:
            self._on_started()

    async def main_loop(self) -> None:
        """Wait until it is to end; uvicorn's own would look ten times a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as the class says."""
        if not self._site.stopping.is_set():
            log.info("server_stopping", runs=len(self._site.container.control().live))
            await self._site.container.engine_factory().shutdown()
        for server in self.servers:
            server.close()
        self._site.stopping.set()
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Http):
                connection.shutdown()
        await self._gone(self._close_timeout_s)
        await self._cut()
        await self.lifespan.shutdown()

    async def _gone(self, limit_s: float) -> None:
        """All connections and requests are over, or the time is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                # uvicorn tells nobody when a connection or a request is over.
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)

    async def _cut(self) -> None:
        if not self.server_state.connections and not self.server_state.tasks:
            return
        log.warning("connections_cut", connections=len(self.server_state.connections))
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._gone(_CUT_GRACE_S)
        for task in list(self.server_state.tasks):
            task.cancel()
        await self._gone(_CUT_GRACE_S)


def _configured(app: ASGIApp, settings: WebSettings) -> uvicorn.Config:
    _keep_entries()
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        root_path=_root_path(settings.root_path),
        http=_Http,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws=_Socket,
        ws_max_size=settings.max_message_bytes,
        # A frame is mostly deltas of a few bytes, and a compressed one could inflate without bound.
        ws_per_message_deflate=False,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("server", SERVER_NAME)],
        workers=1,
    )


def _root_path(text: str) -> str:
    if text and (not text.startswith("/") or text.endswith("/")):
        raise ConfigError(f"web.root_path is {text!r}; write it as /agents, with a slash before and none after")
    return text


async def serve(
    site: Site, app: ASGIApp, listeners: Sequence[socket.socket], on_started: Callable[[], None] | None = None
) -> None:
    """Run the site's container and serve it until a signal.

    Raises:
        ConfigError: the container cannot run: its event log is in use or damaged, or its graph is wrong.
    """
    async with site.container.running():
        await Server(site, app, on_started=on_started).serve(sockets=list(listeners))
    log.info("server_stopped", pid=os.getpid())


def run(
    site: Site, app: ASGIApp, listeners: Sequence[socket.socket], on_started: Callable[[], None] | None = None
) -> None:
    """`serve` in an event loop of its own, uvloop's where it is installed, with `gc.threshold` applied.

    Raises:
        ConfigError: as `serve` does.
    """
    settings = site.container.settings()
    _apply(settings.gc)
    factory = _configured(app, settings.web).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(site, app, listeners, on_started))


def _apply(settings: GcSettings) -> None:
    if settings.threshold is not None:
        gc.set_threshold(*settings.threshold)
