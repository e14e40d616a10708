"""The reference client: runs, events and cancel over the socket, with every event once and in order.

It connects again by itself, resumes each followed thread from its cursor, and repeats unanswered requests safely.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, InvalidURI, WebSocketException

from ssot_engine.errors import ClosedError, ConfigError, NotAuthenticated, RequestError, shown
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import CancelReceipt, Event, Position, ThreadKey
from ssot_engine.following import Following, RunHandle
from ssot_engine.ids import new_id
from ssot_engine.logs import get_logger
from ssot_engine.resuming import Backoff, Cursor, Inbox, Verdict, earliest
from ssot_engine.web import frames
from ssot_engine.web.frames import BadFrame, CloseCode, Problem

__all__ = ["Client", "Replaced", "RequestRefused", "ServerUnreachable", "TokenSource"]

_log = get_logger("ssot_engine.client")

#: A token, or what gives a fresh one each time it is called.
TokenSource = str | Callable[[], str | Awaitable[str]] | None

#: Seconds to connect and be welcomed, and to take leave.
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
#: A frame larger than this is refused: more than the largest event, with room for a snapshot.
MAX_FRAME_BYTES = 67_108_864
#: A fresh token is fetched after this part of the old one's life.
RENEW_AFTER = 0.8
RENEW_AT_LEAST_S = 1.0
#: A connection that lasted so long went well, even if nothing came over it.
STEADY_S = 5.0

#: Refusals of the connection that waiting may end, as HTTP statuses.
_PASSING = frozenset((408, 425, 429))


class ServerUnreachable(ConfigError):
    """Nothing at `url` talked the protocol when the client first connected; `reason` is what happened instead."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"no socket of ssot-engine at {self.url!r}: {self.reason}; start the server, or correct the URL"


class RequestRefused(RequestError):
    """The server refused a request, and did nothing. `problem` is its answer; `retry_after_s` where waiting helps."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = problem.status
        self.retry_after_s = problem.retry_after_s

    def __str__(self) -> str:
        return f"{self.problem.title} ({self.problem.status}): {self.problem.detail}"


class Replaced(ClosedError):
    """A newer connection of the same user came with the same `client_id`, so the server ended this one."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id)
        self.client_id = client_id

    def __str__(self) -> str:
        return f"client {self.client_id!r} was replaced by a newer connection; give each client a client_id of its own"


class _Gap(Exception):
    """Events of a thread are missing: they are in the log, so the cursor is asked for again on a new connection."""


# ---------------------------------------------------------------------- connection


class _Session:
    """One connection: what is followed on it, and what is still to be sent over it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.followed: set[str] = set()
        #: How many answers to `follow` a thread awaits. Until they came, what is missing may be on its way.
        self.awaited: Counter[str] = Counter()
        self.renewals: asyncio.Queue[float | None] = asyncio.Queue()
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()

    def post(self, data: bytes) -> None:
        """Send a frame after those before it, without waiting."""
        self._outgoing.put_nowait(data)

    def follow(self, thread: str, position: Position | None) -> None:
        """Have a thread told from a position, whether or not it is followed already."""
        self.leave(thread)
        self.followed.add(thread)
        self.awaited[thread] += 1
        self.post(frames.encode(frames.Follow(thread, *_place(position))))

    def leave(self, thread: str) -> None:
        """Have a thread told no more."""
        if thread in self.followed:
            self.followed.discard(thread)
            self.post(frames.encode(frames.Leave(thread)))

    async def send(self) -> None:
        """Send what is posted, until the connection ends."""
        while True:
            await self.say(await self._outgoing.get())

    async def say(self, data: bytes) -> None:
        """Send a frame now."""
        await self.socket.send(data, text=True)


def _place(position: Position | None) -> tuple[str | None, int]:
    return (None, 0) if position is None else (position.epoch, position.seq)


class _Asked(msgspec.Struct, frozen=True):
    """A request without an answer yet; it is repeated on each new connection."""

    data: bytes
    #: The thread that the server follows from then on.
    thread: str | None
    answer: asyncio.Future[Any]


class Client:
    """A user's connection to a server. `url` is the site's (http, https) or its socket's (ws, wss).

    `token` proves the user: a token, or a function, asynchronous or not, that gives a fresh one each time; it is asked
    at the start, before a token expires and when one was refused. A newer client with the same `client_id` replaces an
    older one. `retry_s` is the shortest and the longest wait before connecting again, in seconds, `silence_s` after how
    long without a sign of life the connection is given up.

    Entering connects, and raises what is wrong; later losses are mended silently.

    Raises:
        ServerUnreachable: at entering, nothing there talks the protocol.
        NotAuthenticated: the token was refused and no fresh one is to be had; all waiting calls raise it.
        Replaced: a newer connection took over; all waiting calls raise it.
        ClosedError: the client is not open.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource = None,
        *,
        client_id: str | None = None,
        retry_s: tuple[float, float] = (0.1, 15.0),
        silence_s: float = 20.0,
    ) -> None:
        self._url = _socket_url(url)
        self._source = token
        self._token = token if isinstance(token, str) else None
        #: Whether the token was fetched for this very connection.
        self._is_fresh = False
        self._client_id = client_id or new_id("client")
        self._backoff = Backoff(*retry_s)
        self._silence_s = silence_s
        self._session: _Session | None = None
        self._threads: dict[str, WeakSet[Following]] = {}
        #: The epoch that the server told last of a thread.
        self._epochs: dict[str, str] = {}
        self._asked: dict[str, _Asked] = {}
        self._task: asyncio.Task[None] | None = None
        self._welcomed = asyncio.Event()
        self._failure: Exception | None = ClosedError("the client is not open; use `async with Client(…) as client`")
        self._user: str | None = None
        #: How often it connected, and how many resets it was told.
        self.connections = 0
        self.resets = 0

    @property
    def user(self) -> str:
        """Who the server takes it for.

        Raises:
            ClosedError: it was never connected.
        """
        if self._user is None:
            raise ClosedError("the client was never connected; use `async with Client(…) as client`")
        return self._user

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ClosedError("a client is entered once; make another")
        self._failure = None
        self._task = asyncio.create_task(self._stay_connected(), name="ssot_engine.client")
        try:
            await self._welcomed.wait()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connection; runs go on. Waiting calls raise `ClosedError`. Safe to call twice."""
        self._fail(ClosedError("the client is closed"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # ----------------------------------------------------------------------- requests

    async def run(
        self,
        message: str,
        agent: str | None = None,
        thread: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        key: str | None = None,
    ) -> RunHandle:
        """Start a run; without `thread` in a new one. The same `key` again gives the run that was started with it.

        Raises:
            RequestRefused: the server would not.
        """
        following = self.add(thread or new_id("thread"), Inbox(Cursor(is_anywhere=key is None)))
        if key is not None:
            self.ask_for(following)
        named = None if inputs is None else dict(inputs)
        frame = frames.Run(new_id("request"), message, agent, following.thread, named, timeout_s, key or new_id("key"))
        try:
            accepted: frames.Accepted = await self._ask(frame, following.thread)
        except BaseException:
            await following.aclose()
            raise
        if accepted.thread != following.thread:
            await following.aclose()
            following = self.follow(accepted.thread)
        return RunHandle(accepted.run_id, following)

    async def cancel(self, run_id: str) -> CancelReceipt:
        """Stop a run. If the connection is lost meanwhile it is asked again, so the receipt may say that it has ended.

        Raises:
            RequestRefused: the user has no such run.
        """
        answer: frames.Receipt = await self._ask(frames.Cancel(new_id("request"), run_id))
        return answer.receipt

    def follow(self, thread: str, after: Position | None = None) -> Following:
        """Every event of a thread after a position, as they come; None begins with the oldest that is kept."""
        following = self.add(thread, Inbox(Cursor(after)))
        self.ask_for(following)
        return following

    async def _ask(self, frame: frames.Run | frames.Cancel, thread: str | None = None) -> Any:
        if self._failure is not None:
            raise self._failure
        asked = _Asked(_encoded(frame), thread, asyncio.get_running_loop().create_future())
        self._asked[frame.id] = asked
        try:
            if self._session is not None:
                self._send_request(self._session, asked)
            return await asked.answer
        finally:
            del self._asked[frame.id]

    def _send_request(self, session: _Session, asked: _Asked) -> None:
        session.post(asked.data)
        if asked.thread is not None:
            session.followed.add(asked.thread)

    # ------------------------------------------------------------------------ readers

    def add(self, thread: str, inbox: Inbox) -> Following:
        """One more reader of a thread, which is not asked for yet."""
        self._leave_unread()
        following = Following(self, thread, inbox)
        self._threads.setdefault(thread, WeakSet()).add(following)
        return following

    def forget(self, following: Following) -> None:
        """A reader wants no more."""
        readers = self._threads.get(following.thread)
        if readers is not None:
            readers.discard(following)
            self._leave_if_unread(following.thread)

    def check_open(self, following: Following) -> None:
        """Whether there may be more to come for a reader.

        Raises:
            StopAsyncIteration: it was forgotten.
            SsotEngineError: the client has ended.
        """
        if self._failure is not None:
            raise self._failure
        if following not in self._threads.get(following.thread, ()):
            raise StopAsyncIteration

    def _waiting(self, thread: str) -> list[Inbox]:
        """What the readers of a thread have who want to hear of it."""
        return [reader.inbox for reader in self._threads.get(thread, ()) if not reader.inbox.is_behind]

    def _from(self, inboxes: list[Inbox], thread: str) -> Position | None:
        return earliest((inbox.cursor.position for inbox in inboxes), self._epochs.get(thread))

    def ask_for(self, following: Following) -> None:
        """Have its thread told from where the first of its readers stands."""
        thread = following.thread
        if self._session is not None:
            self._session.follow(thread, self._from(self._waiting(thread), thread))

    def _leave_unread(self) -> None:
        """Let go of threads whose readers were forgotten without a word."""
        for thread in list(self._threads):
            self._leave_if_unread(thread)

    def _leave_if_unread(self, thread: str) -> None:
        if not self._threads.get(thread):
            self._threads.pop(thread, None)
            self._epochs.pop(thread, None)
        if self._session is not None and not self._waiting(thread):
            self._session.leave(thread)

    # --------------------------------------------------------------------- connection

    async def _stay_connected(self) -> None:
        try:
            while True:
                await self._connect_once()
                await asyncio.sleep(self._backoff.next_s())
        except Exception as error:
            # Whatever ends the connection for good, a host's token source included, is for the calls that wait.
            self._fail(error)

    async def _connect_once(self) -> None:
        """One connection from its beginning to its end.

        Raises:
            SsotEngineError: another one would be of no use.
        """
        began = time.monotonic()
        try:
            self._is_fresh = self._token is None
            if self._token is None and callable(self._source):
                self._token = await _fetch(self._source)
            await self._converse()
        except (OSError, WebSocketException, _Gap) as error:
            if time.monotonic() - began > STEADY_S:
                self._backoff.reset()
            self._judge(error)
        finally:
            self._session = None

    async def _converse(self) -> None:
        async with connect(
            self._url, compression=None, max_size=MAX_FRAME_BYTES, open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S, ping_interval=self._silence_s / 2, ping_timeout=self._silence_s / 2,
        ) as socket:  # fmt: skip
            session = _Session(socket)
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                welcome = await self._greet(session)
            tasks = [asyncio.create_task(session.send()), asyncio.create_task(self._renew(session, welcome))]
            try:
                while True:
                    self._hear(session, await socket.recv(decode=False))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _greet(self, session: _Session) -> frames.Welcome:
        """Say who one is and how far one has come; from the answer on the session is open."""
        cursors = tuple(self._cursors())
        session.followed.update(cursor.thread for cursor in cursors)
        await session.say(frames.encode(frames.Hello(frames.PROTOCOL, self._token, self._client_id, cursors)))
        welcome = frames.decode_server(await session.socket.recv(decode=False))
        if not isinstance(welcome, frames.Welcome):
            raise BadFrame(f"the answer to hello was {type(welcome).__name__}")
        self._session = session
        self._hear_welcome(session, welcome)
        self._catch_up(session, cursors)
        self.connections += 1
        self._user = welcome.user
        for asked in self._asked.values():
            self._send_request(session, asked)
        self._welcomed.set()
        return welcome

    def _cursors(self) -> list[frames.Cursor]:
        """Where each thread is to go on."""
        self._leave_unread()
        cursors = []
        for thread in self._threads:
            if inboxes := self._waiting(thread):
                cursors.append(frames.Cursor(thread, *_place(self._from(inboxes, thread))))
                for inbox in inboxes:
                    inbox.catch_up()
        return cursors

    def _catch_up(self, session: _Session, cursors: tuple[frames.Cursor, ...]) -> None:
        """Ask for what readers came to want while the greeting was under way."""
        told = {cursor.thread: cursor.position for cursor in cursors}
        for thread in self._threads:
            inboxes = self._waiting(thread)
            if inboxes and (thread not in told or told[thread] != self._from(inboxes, thread)):
                session.follow(thread, self._from(inboxes, thread))

    def _hear(self, session: _Session, data: bytes) -> None:
        try:
            frame = frames.decode_server(data)
        except BadFrame as error:
            # A newer server may say more than this client knows; were it events, the gap would be found.
            _log.warning("frame_ignored", problem=error.problem)
            return
        match frame:
            case frames.Ev(events) if events:
                self._tell(session, events[0].thread_id, events)
            case frames.Reset():
                self.resets += 1
                key = ThreadKey(self.user, frame.thread)
                place = Position(frame.epoch, frame.seq)
                self._tell(session, frame.thread, (Reset(key, place, frame.reason, tuple(frame.snapshot)),))
            case frames.Welcome():
                self._hear_welcome(session, frame)
            case frames.Accepted() | frames.Receipt() | frames.Refused():
                self._hear_answer(frame)
            case frames.Authenticated():
                session.renewals.put_nowait(frame.expires_at)

    def _tell(self, session: _Session, thread: str, items: Sequence[Event | Reset]) -> None:
        """Tell the readers of a thread what came of it.

        Raises:
            _Gap: something before it did not come.
        """
        readers = list(self._threads.get(thread, ()))
        for item in items:
            verdicts = {reader.hear(item) for reader in readers}
            if Verdict.GAP in verdicts and not session.awaited[thread]:
                raise _Gap(f"events of thread {thread!r} are missing before seq {item.position.seq}")
            if Verdict.NEW in verdicts:
                self._backoff.reset()
        self._epochs[thread] = items[-1].position.epoch
        self._leave_if_unread(thread)

    def _hear_welcome(self, session: _Session, welcome: frames.Welcome) -> None:
        for head in welcome.threads:
            if head.thread in self._threads:
                self._epochs[head.thread] = head.epoch
            if session.awaited[head.thread] > 0:
                session.awaited[head.thread] -= 1

    def _hear_answer(self, frame: frames.Accepted | frames.Receipt | frames.Refused) -> None:
        asked = self._asked.get(frame.id)
        if asked is None or asked.answer.done():
            return
        self._backoff.reset()
        if isinstance(frame, frames.Refused):
            asked.answer.set_exception(RequestRefused(frame.problem))
        else:
            asked.answer.set_result(frame)

    # ------------------------------------------------------------------------ identity

    async def _renew(self, session: _Session, welcome: frames.Welcome) -> None:
        """Send a fresh token before the old one expires, again and again."""
        expires_at, ahead_s = welcome.expires_at, welcome.now - time.time()
        if not callable(self._source):
            return
        while expires_at is not None:
            await asyncio.sleep(max(RENEW_AT_LEAST_S, RENEW_AFTER * (expires_at - time.time() - ahead_s)))
            self._token = await _fetch(self._source)
            session.post(frames.encode(frames.Reauth(self._token)))
            expires_at = await session.renewals.get()

    # ------------------------------------------------------------------------- endings

    def _judge(self, error: Exception) -> None:
        """Log a loss that a new connection mends.

        Raises:
            SsotEngineError: none would.
        """
        match error:
            case InvalidURI():
                raise ServerUnreachable(self._url, "it is no URL of a socket") from error
            case InvalidStatus(response=response) if 400 <= (status := response.status_code) < 500:
                if status not in _PASSING:
                    raise self._refused(status) from error
            case ConnectionClosed(rcvd=close) if close is not None:
                self._judge_close(close.code, close.reason)
        if not self._welcomed.is_set() and not _was_cut(error):
            raise ServerUnreachable(self._url, str(error) or type(error).__name__) from error
        _log.info("connection_lost", client=self._client_id, reason=f"{type(error).__name__}: {error}")

    def _refused(self, status: int) -> Exception:
        if status in (401, 403):
            return NotAuthenticated(f"the server refused the connection with {status}; check the token and the origin")
        return ServerUnreachable(self._url, f"the server answered {status}")

    def _judge_close(self, code: int, reason: str) -> None:
        match code:
            case CloseCode.AUTH:
                self._discard_token(reason)
            case CloseCode.REPLACED:
                raise Replaced(self._client_id)
            case CloseCode.BAD_FRAME:
                raise BadFrame(f"the server closed the connection: {reason}")
            case CloseCode.TOO_BIG:
                self._fail_requests(RequestError("the request is larger than web.max_message_bytes; send less"))

    def _discard_token(self, reason: str) -> None:
        """Have a fresh one fetched for the next connection.

        Raises:
            NotAuthenticated: there is none, or it was just this one.
        """
        if not callable(self._source) or (self._is_fresh and self._session is None):
            raise NotAuthenticated(f"the token was refused: {reason or 'no reason given'}; sign in again")
        self._token = None

    def _fail(self, failure: Exception) -> None:
        """End all that waits with this error; the first one counts."""
        self._failure = self._failure or failure
        self._fail_requests(self._failure)
        self._welcomed.set()
        for readers in self._threads.values():
            for reader in readers:
                reader.wake()

    def _fail_requests(self, failure: Exception) -> None:
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(failure)


def _was_cut(error: Exception) -> bool:
    """Whether a server that was there went away, as it does when it restarts."""
    if isinstance(error, InvalidMessage):
        return isinstance(error.__cause__, EOFError)
    return isinstance(error, (ConnectionClosed, ConnectionResetError))


def _encoded(frame: frames.Run | frames.Cancel) -> bytes:
    """A request as text.

    Raises:
        RequestError: it holds what JSON does not have.
    """
    try:
        return frames.encode(frame)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"the request is no JSON: {error}; pass text, numbers, lists and dicts as inputs") from error


async def _fetch(source: Callable[[], str | Awaitable[str]]) -> str:
    token = source()
    return await token if inspect.isawaitable(token) else token


def _socket_url(url: str) -> str:
    """The address of the socket.

    Raises:
        ConfigError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss"):
        return url
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"url {shown(url)} is none of a server; write http://host:port or ws://host:port/ws")
    return urlunsplit((parts.scheme.replace("http", "ws"), parts.netloc, f"{parts.path.rstrip('/')}/ws", "", ""))
