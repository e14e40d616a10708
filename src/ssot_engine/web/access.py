"""What one verified user may see and do: every wire goes through it, so none can forget whose things they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec

from ssot_engine.admission import Slots
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import RequestError, UnknownAgent, UnknownRun
from ssot_engine.eventlog.base import EventLog, Follower, Page, RunRecord
from ssot_engine.events import CancelReceipt, Outcome, Position, ThreadKey
from ssot_engine.ids import check_lasting_id, made_at, new_id
from ssot_engine.run import Run
from ssot_engine.runs.base import RunSpec
from ssot_engine.web.identity import Identity
from ssot_engine.web.rates import Rates

#: The agent that answers where none is named, if it is registered.
DEFAULT_AGENT = "supervisor"

#: The longest idempotency key, in characters; the log keeps it with the run.
MAX_KEY = 255


class RunOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a client asks for it. Without a thread it gets a new one; the user is never part of it."""

    message: str
    agent: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, Any] | None = None


class Submitted(msgspec.Struct, frozen=True):
    """A run that was started: its events follow `position`. None if the same key had started it before."""

    run_id: str
    thread_id: str
    position: Position | None


class EngineView(msgspec.Struct, frozen=True):
    """An engine that lives; `agents` are at work in it now. `age_s` is in seconds."""

    engine_id: str
    user_id: str
    thread_id: str
    state: Literal["running", "idle"]
    agents: tuple[str, ...]
    age_s: float


class UserView(msgspec.Struct, frozen=True):
    """How many engines and runs a user has."""

    user_id: str
    engines: int
    runs: int


class Limits(msgspec.Struct, frozen=True):
    """The caps, as the settings have them."""

    max_engines_per_user: int
    max_engines: int
    max_concurrent_runs_per_user: int
    max_waiting: int


class Queued(msgspec.Struct, frozen=True):
    """A request that waits for an engine or a run. `place` counts from 1 over all users."""

    user_id: str
    place: int
    what: Literal["engine", "run"]


class Overview(msgspec.Struct, frozen=True):
    """What goes on: the user's own, or everybody's for an admin. `totals` are of the process, for admins only."""

    limits: Limits
    engines: tuple[EngineView, ...]
    users: tuple[UserView, ...]
    queue: tuple[Queued, ...]
    totals: dict[str, int] | None


class AgentView(msgspec.Struct, frozen=True):
    """What can be told of an agent without running it."""

    name: str
    description: str


class ThreadView(msgspec.Struct, frozen=True):
    """A thread of a user, by its runs that are still recorded. Times are seconds since 1970."""

    thread_id: str
    title: str
    runs: int
    is_running: bool
    started_at: float
    last_at: float


class UserAccess:
    """What one verified user may see and do.

    Another user's run is unknown to it, and another user's thread is its own empty one.
    """

    __slots__ = ("_container", "_rates", "identity")

    def __init__(self, container: ExecutionContainer, identity: Identity, rates: Rates) -> None:
        self._container = container
        self._rates = rates
        self.identity = identity

    @property
    def user_id(self) -> str:
        """Whose access it is."""
        return self.identity.user_id

    @property
    def log(self) -> EventLog:
        """The event log; its keys come from `key`."""
        return self._container.event_log()

    def key(self, thread_id: str) -> ThreadKey:
        """The user's own thread of that id.

        Raises:
            InvalidContext: it is no id.
        """
        return ThreadKey(self.user_id, check_lasting_id("thread_id", thread_id))

    # ----------------------------------------------------------------------------- runs

    async def submit(self, order: RunOrder) -> Submitted:
        """Start a run that outlives whoever asked for it.

        Raises:
            RequestError: the agent is unknown, an id is refused, a limit is reached or the run exists already.
        """
        if order.idempotency_key is not None and order.run_id is not None:
            raise RequestError("an idempotency key decides the run's id; send the key or a run_id, not both")
        _check_texts(order)
        agent = self.agent_name(order.agent)
        self._rates.check_run(self.user_id)
        context = UserExecutionContext.from_request(
            self.user_id, order.thread_id or new_id("thread"), order.run_id or new_id("run"), metadata=order.metadata
        )
        spec = RunSpec(
            context=context,
            agent=agent,
            message=order.message,
            inputs=order.inputs,
            timeout_s=self._time_limit(order.timeout_s),
            idempotency_key=order.idempotency_key,
        )
        position = self.log.head(self.key(context.thread_id))
        run_id = await self._container.runs().submit(spec)
        if order.idempotency_key is None or self._is_live(run_id, context.request_id):
            await self._begun(run_id, context.thread_id, position)
            return Submitted(run_id, context.thread_id, position)
        return Submitted(run_id, await self._thread_of(run_id), None)

    async def _begun(self, run_id: str, thread_id: str, position: Position) -> None:
        """Wait until the run's first event is stored, so that a run that was accepted survives a crash."""
        live = self._container.control().live.get((self.user_id, run_id))
        guard = None if live is None else live.check_recorded
        await anext(self.log.follow(self.key(thread_id), position, run_id=run_id, guard=guard), None)

    def _time_limit(self, timeout_s: float | None) -> float | None:
        """What a client asks for, but no more than the operator gives."""
        return None if timeout_s is None else min(timeout_s, self._container.settings().engine.run_timeout_s)

    def _is_live(self, run_id: str, request_id: str) -> bool:
        """Whether a run goes on that this very request started."""
        live = self._container.control().live.get((self.user_id, run_id))
        return live is not None and live.context.request_id == request_id

    async def _thread_of(self, run_id: str) -> str:
        """The thread of a run that was started before."""
        if (live := self._container.control().live.get((self.user_id, run_id))) is not None:
            return live.context.thread_id
        return (await self.record(run_id)).key.thread_id

    async def record(self, run_id: str, wait_s: float = 0) -> RunRecord:
        """What is known of a run of the user, once it has ended or `wait_s` seconds have passed.

        A run that still waits for its turn is at attempt 0.

        Raises:
            UnknownRun: the user has no such run.
        """
        live = self._container.control().live.get((self.user_id, run_id))
        if live is not None and wait_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await live.over()
        try:
            return await self._container.runs().record(self.user_id, run_id)
        except UnknownRun:
            if live is None or live.ended:
                raise
            return _queued(live)

    async def cancel(self, run_id: str) -> CancelReceipt:
        """Stop a run of the user.

        Raises:
            UnknownRun: the user has no such run.
        """
        receipt = await self._container.runs().cancel(self.user_id, run_id)
        if receipt.outcome is Outcome.UNKNOWN:
            raise UnknownRun(run_id)
        return receipt

    # --------------------------------------------------------------------------- events

    async def page(self, thread_id: str, after: Position | None, limit: int) -> Page:
        """Events of a thread of the user after a position."""
        return await self.log.read(self.key(thread_id), after, limit)

    def follow(self, thread_id: str, after: Position | None, *, run_id: str | None = None) -> Follower:
        """Events of a thread of the user as they come, from a position; with `run_id` until that run has ended."""
        return self.log.follow(self.key(thread_id), after, run_id=run_id)

    async def threads(self, limit: int = 100) -> list[ThreadView]:
        """The user's threads, the one used last first."""
        views: dict[str, ThreadView] = {}
        for record in await self.log.runs(user_id=self.user_id):
            _count(views, record)
        return sorted(views.values(), key=lambda view: view.last_at, reverse=True)[:limit]

    # ------------------------------------------------------------------- agents, engines

    async def agents(self) -> list[AgentView]:
        """The agents that can be asked, by name."""
        context = UserExecutionContext.from_request(self.user_id, new_id("thread"), new_id("run"))
        async with self._container.open_scope(context=context) as scope:
            return [AgentView(*info) for info in scope.get(self._container.agent_factory).available()]

    def agent_name(self, name: str | None) -> str:
        """The agent of that name; without a name the supervisor, or the only one there is.

        Raises:
            UnknownAgent: there is none of that name.
            RequestError: no name was given and several agents could be meant.
        """
        registry = self._container.registry()
        if name is not None:
            if name not in registry:
                raise UnknownAgent(name, registry.names())
            return name
        if DEFAULT_AGENT in registry:
            return DEFAULT_AGENT
        if len(registry) != 1:
            raise RequestError(f"no agent was named; name one of {', '.join(map(repr, registry.names())) or 'none'}")
        return registry.names()[0]

    def overview(self) -> Overview:
        """Engines, limits and queue: the user's own, everybody's for an admin."""
        settings, admission = self._container.settings().engine, self._container.admission()
        users = set(admission.engines.held) | set(admission.runs.held) | {self.user_id}
        shown = sorted(users) if self.identity.is_admin else [self.user_id]
        return Overview(
            limits=Limits(
                settings.max_engines_per_user,
                settings.max_engines,
                settings.max_concurrent_runs_per_user,
                settings.max_waiting,
            ),
            engines=tuple(self._engines()),
            users=tuple(
                UserView(user, admission.engines.held.get(user, 0), admission.runs.held.get(user, 0)) for user in shown
            ),
            queue=(*self._waiting(admission.engines, "engine"), *self._waiting(admission.runs, "run")),
            totals=self._container.metrics().snapshot() if self.identity.is_admin else None,
        )

    def _may_see(self, user_id: str) -> bool:
        return self.identity.is_admin or user_id == self.user_id

    def _engines(self) -> Iterator[EngineView]:
        now, live = time.time(), self._container.control().live
        for engine in self._container.engine_factory().engines():
            context = engine.user_context
            if self._may_see(context.user_id):
                runs = [live.get((context.user_id, run_id)) for run_id in engine.active_runs]
                agents = tuple(run.agent.name for run in runs if run is not None)
                age_s = now - made_at(engine.engine_id)
                state: Literal["running", "idle"] = "running" if engine.active_runs else "idle"
                yield EngineView(engine.engine_id, context.user_id, context.thread_id, state, agents, age_s)

    def _waiting(self, slots: Slots, what: Literal["engine", "run"]) -> Iterator[Queued]:
        for place, user_id in enumerate(slots.queue(), 1):
            if self._may_see(user_id):
                yield Queued(user_id, place, what)


def _check_texts(order: RunOrder) -> None:
    """Refuse what the log could not keep: text that is none, or a key of any size.

    Raises:
        RequestError: the message or the key cannot be.
    """
    key = order.idempotency_key
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise RequestError(f"the idempotency key has {len(key)} characters; send 1 to {MAX_KEY}")
    try:
        order.message.encode()
    except UnicodeEncodeError:
        raise RequestError("the message holds a lone surrogate; it is no valid text") from None


def _queued(run: Run) -> RunRecord:
    """A run that waits for its turn: the log knows nothing of it yet."""
    key = ThreadKey(run.context.user_id, run.context.thread_id)
    return RunRecord(key, run.run_id, run.agent.name, 0, None, time.time(), None, run.message, None, None)


def _count(views: dict[str, ThreadView], record: RunRecord) -> None:
    """Add a run, which is older than those counted before, to its thread."""
    last_at = record.ended_at or time.time()
    known = views.get(record.key.thread_id)
    views[record.key.thread_id] = ThreadView(
        record.key.thread_id,
        record.message,
        1 if known is None else known.runs + 1,
        record.status is None or (known is not None and known.is_running),
        record.started_at,
        last_at if known is None else max(last_at, known.last_at),
    )
