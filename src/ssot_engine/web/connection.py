"""One socket's conversation: who it is, what it follows and what it asked for, until it ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Receive, Send

from ssot_engine.errors import ClosedError, RequestError, SsotEngineError, TooManyRequests
from ssot_engine.events import Position
from ssot_engine.ids import check_lasting_id, new_id
from ssot_engine.logs import get_logger
from ssot_engine.web.access import RunOrder, UserAccess
from ssot_engine.web.cursors import ThreadCursor
from ssot_engine.web.frames import (
    PROTOCOL,
    Accepted,
    Ack,
    Authenticated,
    BadFrame,
    Cancel,
    ClientFrame,
    CloseCode,
    Cursor,
    Follow,
    Hello,
    Leave,
    Ping,
    Pong,
    Problem,
    Reauth,
    Receipt,
    Refused,
    Run,
    ServerFrame,
    ThreadHead,
    Welcome,
    decode_client,
    encode,
)
from ssot_engine.web.outlet import Gone, Outlet
from ssot_engine.web.problems import problem_of
from ssot_engine.web.site import Site

#: The most threads one socket may follow, and the most commands it may have under way.
MAX_THREADS = 256
MAX_COMMANDS = 16

_log = get_logger("ssot_engine.web.socket")


class Closing(Exception):
    """Why a connection ends. Without a code the client went away."""

    def __init__(self, code: CloseCode | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


#: Connections by user and the name the client gave itself.
Clients = dict[tuple[str, str], "Connection"]


class Connection:
    """An accepted socket. Its frames are answered in turn; threads are read and commands done beside that."""

    def __init__(self, site: Site, request: HTTPConnection, receive: Receive, send: Send, clients: Clients) -> None:
        self._site = site
        self._web = site.container.settings().web
        self._request = request
        self._receive = receive
        self._clients = clients
        self._outlet = Outlet(send, request.scope.get("extensions"), self._web.send_timeout_s, self._cut_off)
        self._id = new_id("socket")
        self._held = ExitStack()
        self._closing: Closing | None = None
        self._life = asyncio.timeout(None)
        self._expiry: asyncio.TimerHandle | None = None
        self._following: dict[str, asyncio.Task[None]] = {}
        self._commands: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------------------- its life

    async def serve(self) -> None:
        """Talk until it ends. Commands under way are done to their end, whether or not their client is still there."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                with self._held:
                    await self._end(await self._talk())
        finally:
            self._outlet.forget()

    async def _end(self, closing: Closing) -> None:
        self._closing = closing
        for task in (self._watch, *self._following.values()):
            task.cancel()
        if closing.code is None:
            self._outlet.forget()
        else:
            await self._outlet.close(closing.code, closing.reason)
        _log.debug("socket_closed", code=closing.code, reason=closing.reason)

    async def _talk(self) -> Closing:
        """Answer frames until there is a reason to end."""
        self._watch = self._tasks.create_task(self._stop_with_site())
        try:
            async with self._life:
                await self._greet()
                while True:
                    await self._answer(await self._frame())
        except TimeoutError:
            return self._closing or Closing(CloseCode.INTERNAL)
        except Closing as closing:
            return closing
        except Gone:
            return Closing(None)
        except SsotEngineError as error:
            return _failed(error)

    def stop(self, code: CloseCode, reason: str) -> None:
        """End the connection for the first reason given."""
        if self._closing is None:
            self._closing = Closing(code, reason)
            self._life.reschedule(0.0)

    async def _stop_with_site(self) -> None:
        await self._site.stopping.wait()
        self.stop(CloseCode.RESTART, "the server stops; resume from your cursors")

    def _cut_off(self) -> None:
        self._site.deliveries.slow_closed += 1
        limit_s = self._web.send_timeout_s
        _log.warning("socket_cut_off", user_id=self._access.user_id, unread_s=limit_s)
        self.stop(CloseCode.SLOW, f"nothing was read for {limit_s:g} s; resume from your cursors")

    def _replace(self) -> None:
        """Make room for a newer socket of the same client."""
        self._held.close()
        self.stop(CloseCode.REPLACED, "the same client opened a newer socket")

    # ------------------------------------------------------------------------------ frames

    async def _frame(self) -> ClientFrame:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Closing(None)
        text = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        if len(data) > self._web.max_message_bytes:
            raise Closing(CloseCode.TOO_BIG, f"a frame has at most {self._web.max_message_bytes} bytes")
        try:
            self._site.rates.check_frame(self._id)
            return decode_client(data)
        except TooManyRequests as error:
            raise Closing(CloseCode.TOO_MANY, str(error)) from None
        except BadFrame as error:
            raise Closing(CloseCode.BAD_FRAME, error.problem) from None

    async def _say(self, frame: ServerFrame) -> None:
        await self._outlet.send(encode(frame))

    async def _answer(self, frame: ClientFrame) -> None:
        match frame:
            case Ping():
                await self._say(Pong(frame.id, time.time()))
            case Ack():
                self._site.deliveries.acks += 1
            case Run() | Cancel():
                await self._begin(frame)
            case Follow():
                cursor = Cursor(frame.thread, frame.epoch, frame.seq)
                await self._welcome((cursor,))
            case Leave():
                self._leave(frame.thread)
            case Reauth():
                await self._reauthenticate(frame.token)
            case Hello():
                raise Closing(CloseCode.BAD_FRAME, "hello was said already")

    # --------------------------------------------------------------------------- who it is

    async def _greet(self) -> None:
        """Take the `hello` and answer it."""
        limit_s = self._web.hello_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                hello = await self._frame()
                if not isinstance(hello, Hello):
                    raise Closing(CloseCode.BAD_FRAME, "the first frame must be hello")
                if hello.protocol != PROTOCOL:
                    raise Closing(CloseCode.BAD_FRAME, f"this server speaks protocol {PROTOCOL}")
                self._access = await self._enter(hello.token)
        except TimeoutError:
            raise Closing(CloseCode.AUTH, f"no hello within {limit_s:g} s") from None
        self._register(hello.client)
        self._held.callback(self._forget_expiry)
        self._set_expiry()
        await self._welcome(hello.resume)

    async def _enter(self, token: str | None) -> UserAccess:
        try:
            return await self._site.enter(self._request, token)
        except (RequestError, HTTPException) as error:
            raise Closing(CloseCode.AUTH, problem_of(error).detail) from None

    def _register(self, client: str | None) -> None:
        """Take one of the user's places, in exchange for the older socket of the same client."""
        user_id = self._access.user_id
        if client is not None:
            name = (user_id, _checked("client", client))
            if (older := self._clients.get(name)) is not None:
                older._replace()
            self._clients[name] = self
            self._held.callback(self._unregister, name)
        try:
            self._held.enter_context(self._site.deliveries.reader(user_id, "socket"))
        except TooManyRequests as error:
            raise Closing(CloseCode.TOO_MANY, str(error)) from None

    def _unregister(self, name: tuple[str, str]) -> None:
        if self._clients.get(name) is self:
            del self._clients[name]

    def _set_expiry(self) -> None:
        """End when the identity does, unless a fresh token comes in time."""
        self._forget_expiry()
        expires_at = self._access.identity.expires_at
        if expires_at is not None:
            left_s = max(0.0, expires_at - time.time())
            why = "the sign-in has expired; sign in, then resume from your cursors"
            self._expiry = asyncio.get_running_loop().call_later(left_s, self.stop, CloseCode.AUTH, why)

    def _forget_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    async def _reauthenticate(self, token: str) -> None:
        access = await self._enter(token)
        if access.user_id != self._access.user_id:
            raise Closing(CloseCode.AUTH, "the token is another user's; open a new socket with it")
        self._access = access
        self._set_expiry()
        await self._say(Authenticated(access.user_id, access.identity.expires_at))

    # --------------------------------------------------------------------- what it follows

    async def _welcome(self, cursors: tuple[Cursor, ...]) -> None:
        """Tell the heads of threads, then read them from where the client stands."""
        access, log = self._access, self._access.log
        # A thread that is named again is read once, or one frame could start a reader per few bytes.
        last = {cursor.thread: cursor for cursor in cursors}
        keys = {thread: access.key(_checked("thread", thread)) for thread in last}
        if len(keys.keys() | self._following.keys()) > MAX_THREADS:
            raise Closing(CloseCode.BAD_FRAME, f"a socket follows at most {MAX_THREADS} threads")
        positions = [(thread, log.head(key)) for thread, key in keys.items()]
        heads = tuple(ThreadHead(thread, head.epoch, head.seq) for thread, head in positions)
        await self._say(Welcome(PROTOCOL, access.user_id, heads, time.time(), access.identity.expires_at))
        for cursor in last.values():
            self._follow(cursor.thread, cursor.position)

    def _follow(self, thread_id: str, after: Position | None) -> None:
        self._leave(thread_id)
        access = self._access
        cursor = ThreadCursor(
            access.log,
            access.key(thread_id),
            after,
            self._outlet.send,
            self._site.deliveries,
            self._web.coalesce_s,
        )
        self._following[thread_id] = self._tasks.create_task(self._read(cursor))

    def _leave(self, thread_id: str) -> None:
        task = self._following.pop(thread_id, None)
        if task is not None:
            task.cancel()

    async def _read(self, cursor: ThreadCursor) -> None:
        try:
            await cursor.run()
        except Gone:
            return  # Who receives is told as well.
        except SsotEngineError as error:
            failed = _failed(error)
            self.stop(failed.code or CloseCode.INTERNAL, failed.reason)

    # ------------------------------------------------------------------ what it asked for

    async def _begin(self, frame: Run | Cancel) -> None:
        """Do a command beside the conversation."""
        if len(self._commands) >= MAX_COMMANDS:
            error = TooManyRequests("commands", MAX_COMMANDS, "the most that one socket may have under way")
            await self._say(Refused(frame.id, problem_of(error)))
            return
        task = self._tasks.create_task(self._command(frame))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    async def _command(self, frame: Run | Cancel) -> None:
        try:
            await (self._run(frame) if isinstance(frame, Run) else self._cancel(frame))
        except Gone:
            return
        except Exception as error:
            # The boundary of a command: whatever it met is the answer to it, and the conversation goes on.
            with suppress(Gone):
                await self._say(Refused(frame.id, self._told(error)))

    def _told(self, error: Exception) -> Problem:
        """What the client is told of an error; one that is not the client's is told the operator."""
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("command_failed", user_id=self._access.user_id, exc_info=error)
        return problem

    async def _run(self, frame: Run) -> None:
        order = RunOrder(
            message=frame.message,
            agent=frame.agent,
            thread_id=frame.thread,
            inputs=frame.inputs,
            timeout_s=frame.timeout_s,
            idempotency_key=frame.key,
        )
        if frame.thread not in self._following and len(self._following) >= MAX_THREADS:
            raise TooManyRequests("threads", MAX_THREADS, "the most that one socket may follow")
        submitted = await self._access.submit(order)
        await self._say(Accepted(frame.id, submitted.run_id, submitted.thread_id))
        if self._closing is None and submitted.thread_id not in self._following:
            self._follow(submitted.thread_id, submitted.position)

    async def _cancel(self, frame: Cancel) -> None:
        receipt = await self._access.cancel(frame.run_id)
        await self._say(Receipt(frame.id, receipt))


def _checked(field: str, value: str) -> str:
    """An id of the client's.

    Raises:
        Closing: it is none.
    """
    try:
        return check_lasting_id(field, value)
    except RequestError as error:
        raise Closing(CloseCode.BAD_FRAME, str(error)) from None


def _failed(error: SsotEngineError) -> Closing:
    """How a connection ends when what it stands on failed."""
    if not isinstance(error, ClosedError):
        _log.error("socket_failed", error=repr(error))
    code = CloseCode.RESTART if isinstance(error, ClosedError) else CloseCode.INTERNAL
    return Closing(code, problem_of(error).detail)
