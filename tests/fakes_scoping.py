"""A small request graph for the tests of scopes: what lives for the process, what lives for one request."""

from __future__ import annotations

from dependency_injector import providers

from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer


class Settings:
    """Of the process."""


class Registry:
    """Of the process; holds the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Hub:
    """Of the process; holds the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Context:
    """Handed in: whose request it is. Has no default, so it cannot be built by accident."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id


class Bridge:
    """Of the request; ends."""

    def __init__(self, context: Context, hub: Hub) -> None:
        self.context = context
        self.hub = hub
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


class Emitter:
    """Of the request; does not end."""

    def __init__(self, bridge: Bridge, context: Context) -> None:
        self.bridge = bridge
        self.context = context


class AgentFactory:
    """Of the request."""

    def __init__(self, registry: Registry, emitter: Emitter) -> None:
        self.registry = registry
        self.emitter = emitter


class Engine:
    """Of the request; ends."""

    def __init__(self, context: Context, agent_factory: AgentFactory, emitter: Emitter) -> None:
        self.context = context
        self.agent_factory = agent_factory
        self.emitter = emitter
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


class App(ScopedContainer):
    """The whole graph."""

    settings = providers.ThreadSafeSingleton(Settings)
    registry = providers.ThreadSafeSingleton(Registry, settings=settings)
    hub = providers.ThreadSafeSingleton(Hub, settings=settings)

    context = Given(Context)
    bridge = Scoped(Bridge, context=context, hub=hub, close="aclose")
    emitter = Scoped(Emitter, bridge=bridge, context=context)
    agent_factory = Scoped(AgentFactory, registry=registry, emitter=emitter)
    engine = Scoped(Engine, context=context, agent_factory=agent_factory, emitter=emitter, close="aclose")


class RedisBridge(Bridge):
    """A host's own, named in configuration by its dotted path."""


def checked_app() -> App:
    """A container of its own for one test."""
    app = App()
    app.check()
    return app
