"""The way out of one socket: a frame at a time, and none left unread for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Send

#: The scope extension by which a server offers to drop a connection with all that is unsent: a callable without
#: arguments.
ABORT = "ssot_engine.abort"
#: How long the client gets to take the frame that closes the connection, in seconds.
CLOSE_GRACE_S = 1.0
#: The most bytes a reason may have (RFC 6455, section 5.5).
_MAX_REASON_BYTES = 123


class Gone(Exception):
    """The client went away."""


class Outlet:
    """Sends what it is given, and holds nothing: who sends waits until the transport has room.

    `on_stuck` is called once when a frame has waited for that room for `timeout_s` seconds.
    """

    __slots__ = ("_abort", "_began", "_is_closed", "_loop", "_on_stuck", "_send", "_timeout_s", "_timer", "_turn")

    def __init__(
        self, send: Send, extensions: Mapping[str, Any] | None, timeout_s: float, on_stuck: Callable[[], None]
    ) -> None:
        self._send = send
        self._abort: Callable[[], None] | None = (extensions or {}).get(ABORT)
        self._timeout_s = timeout_s
        self._on_stuck = on_stuck
        self._loop = asyncio.get_running_loop()
        # One at a time: of several that wait for room, each would find it and write.
        self._turn = asyncio.Lock()
        self._began: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, frame: bytes) -> None:
        """Send one frame; after the end it goes nowhere.

        Raises:
            Gone: the client is.
        """
        await self._turn.acquire()
        try:
            if self._is_closed:
                return
            self._began = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_s, self._look)
            await self._send({"type": "websocket.send", "text": frame.decode()})
        except OSError as error:
            raise Gone from error
        finally:
            self._began = None
            self._turn.release()

    def _look(self) -> None:
        """See whether a frame is stuck. Armed by a send and not by each, as a timer costs as much as a small frame."""
        self._timer = None
        if self._began is None or self._is_closed:
            return
        left_s = self._began + self._timeout_s - self._loop.time()
        if left_s <= 0:
            self._on_stuck()
        else:
            self._timer = self._loop.call_later(left_s, self._look)

    async def close(self, code: int, reason: str, grace_s: float = CLOSE_GRACE_S) -> None:
        """Say why and end; a client that does not take it is dropped with all that is unsent."""
        try:
            async with asyncio.timeout(grace_s), self._turn:
                self.forget()
                await self._send({"type": "websocket.close", "code": code, "reason": _cut(reason)})
        except TimeoutError:
            self.forget()
            if self._abort is not None:
                self._abort()
        except OSError:
            return

    def forget(self) -> None:
        """Send nothing more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _cut(reason: str) -> str:
    """A reason short enough for a close frame."""
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
