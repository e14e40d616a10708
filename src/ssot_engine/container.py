"""The container: everything an execution engine is made of, and how long each part lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from weakref import WeakSet

from dependency_injector import providers

from ssot_engine.admission import Admission
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import ConfigError
from ssot_engine.eventlog import by_url
from ssot_engine.extensions import load_team
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.housekeeping import Housekeeping
from ssot_engine.ids import UnifiedIDManager
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.metrics import Metrics
from ssot_engine.permissions import no_permissions
from ssot_engine.registry import AgentRegistry
from ssot_engine.run_control import RunControl
from ssot_engine.runs.local import LocalRuns
from ssot_engine.scoping.providers import ScopedContainer
from ssot_engine.scoping.scoped import Given, Scoped
from ssot_engine.settings import Settings
from ssot_engine.tools import ToolRegistry

#: Every container there is; the test kit looks here for what a test left open.
alive: WeakSet[ExecutionContainer] = WeakSet()


class ExecutionContainer(ScopedContainer):
    """Everything an execution engine is made of, and how long each part lives.

    async with ExecutionContainer.from_settings(Settings()).running() as container:
        async with container.engine_factory().engine_for(context) as engine:
            result = await engine.run("supervisor", "Where does my LLM spend go?")
    """

    __self__ = providers.Self()
    config = providers.Configuration(strict=True)

    # one per process
    settings = providers.ThreadSafeSingleton(Settings)
    ids = providers.ThreadSafeSingleton(UnifiedIDManager)
    metrics = providers.ThreadSafeSingleton(Metrics)
    event_log = providers.ThreadSafeSingleton(by_url.event_log, settings.provided.events)
    team = providers.ThreadSafeSingleton(load_team, settings.provided.agents)
    registry = providers.ThreadSafeSingleton(AgentRegistry, team.provided.agents)
    tools = providers.ThreadSafeSingleton(ToolRegistry, team.provided.tools)
    permissions = providers.Object(no_permissions)
    admission = providers.ThreadSafeSingleton(Admission, settings.provided.engine, metrics)
    control = providers.ThreadSafeSingleton(
        RunControl, settings.provided.engine, event_log, admission, metrics, permissions
    )
    # the host's own; they reach every engine as attributes
    database_session_manager: providers.Provider[Any] = providers.Object(None)
    redis_manager: providers.Provider[Any] = providers.Object(None)

    # one per request
    context = Given(UserExecutionContext)
    bridge = Scoped(AgentWebSocketBridge, context=context, event_log=event_log, close="aclose")
    emitter = Scoped(UnifiedWebSocketEmitter, bridge=bridge, context=context)
    agent_factory = Scoped(AgentInstanceFactory, registry=registry, emitter=emitter)
    engine = Scoped(
        UserExecutionEngine,
        context=context,
        agent_factory=agent_factory,
        emitter=emitter,
        tools=tools,
        control=control,
        database_session_manager=database_session_manager,
        redis_manager=redis_manager,
        close="stop",
    )

    # the one door
    engine_factory = providers.ThreadSafeSingleton(
        ExecutionEngineFactory,
        open_scope=__self__.provided.open_scope,
        engine=engine.provider,
        bridge=bridge.provider,
        admission=admission,
        metrics=metrics,
        settings=settings,
    )
    runs = providers.ThreadSafeSingleton(LocalRuns, engine_factory, control, event_log)

    def __init__(self) -> None:
        super().__init__()
        #: Tasks the container itself keeps; no test is blamed for one.
        self.own_tasks: set[asyncio.Task[Any]] = set()
        alive.add(self)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A container with these settings, and the providers they name replaced.

        Raises:
            ConfigError: a setting asks for what is not there.
        """
        if settings.model.name != "offline":
            raise ConfigError(
                f"model.name is {settings.model.name!r}, but this version runs no language model by itself; "
                "register an agent that does, and leave model.name at 'offline'"
            )
        if not settings.runs.url.startswith("local://"):
            raise ConfigError(
                f"runs.url is {settings.runs.url!r}, but this version runs everything itself: use local://"
            )
        container = cls()
        container.settings.override(providers.Object(settings))
        container.config.from_dict(settings.model_dump(mode="json"))
        container.replace(settings.providers)
        return container

    @asynccontextmanager
    async def running(self, *, freeze: bool = True) -> AsyncIterator[Self]:
        """Check the graph, open the log, end what a crash left open, and make engines until the block ends.

        From now on no agent and no tool can be registered, unless a test says `freeze=False`. At the end open runs may
        finish for `engine.drain_timeout_s`; everything closes in reverse.

        Raises:
            ConfigError: the graph or the settings are wrong, or the event log cannot be opened.
        """
        self.check()
        log = self.event_log()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(log.aclose)
            await log.open()
            if freeze:
                self.registry().freeze()
                self.tools().freeze()
            factory = self.engine_factory()
            stack.callback(self.control().deadlines.close)
            stack.push_async_callback(self.runs().aclose)
            stack.push_async_callback(factory.shutdown)
            settings = self.settings()
            housekeeping = Housekeeping(
                (factory.sweep, settings.engine.sweep_interval_s), (log.trim, settings.events.trim_interval_s)
            )
            stack.push_async_callback(housekeeping.aclose)
            self.own_tasks.update(housekeeping.tasks)
            factory.start()
            yield self
