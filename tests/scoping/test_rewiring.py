"""Subclassed containers: rewired graphs, and methods that reach the instances."""

from __future__ import annotations

import asyncio
import copy

import pytest
from dependency_injector import providers

from fakes_scoping import App, Bridge, Context, Hub, Registry, Settings
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.providers import Scoped, ScopedContainer


class HostBridge(Bridge):
    """A host's own."""


class Host(App):
    """Replaces the bridge, with the base's dependencies."""

    bridge = Scoped(HostBridge, context=App.context, hub=App.hub, close="aclose")


class HostHub(Hub):
    """A host's own."""


class Deeper(Host):
    """Replaces what the replaced bridge uses."""

    hub = providers.ThreadSafeSingleton(HostHub, settings=App.settings)


@pytest.mark.parametrize(("container", "hub"), [(Host, Hub), (Deeper, HostHub)])
async def test_a_replacement_reaches_everything_inherited(container: type[Host], hub: type[Hub]) -> None:
    """At any depth, and its own dependencies are the container's, not the base's."""
    host = container()
    host.check()
    async with host.open_scope(context=Context("u")) as scope:
        engine = scope.get(host.engine)
        bridge = engine.emitter.bridge
        assert (HostBridge, hub) == (type(bridge), type(bridge.hub))
        assert bridge.hub is host.hub()
        assert host.settings() is bridge.hub.settings is engine.agent_factory.registry.settings
    assert bridge.closed


async def test_the_base_is_left_as_it_was() -> None:
    """Subclasses change nothing for containers of the base."""
    app = App()
    async with app.open_scope(context=Context("u")) as scope:
        assert Bridge is type(scope.get(app.engine).emitter.bridge)


async def test_two_bases_follow_the_order_of_inheritance() -> None:
    """The first base that declares a name wins, and a base that only inherits it does not hide one that declares it."""

    class LeftBridge(Bridge):
        """Declared by the left base."""

    class RightBridge(Bridge):
        """Declared by the right base."""

    class Left(App):
        bridge = Scoped(LeftBridge, context=App.context, hub=App.hub)

    class Right(App):
        bridge = Scoped(RightBridge, context=App.context, hub=App.hub)
        hub = providers.ThreadSafeSingleton(HostHub, settings=App.settings)

    class Both(Left, Right):
        """Declares nothing."""

    class Plain(App):
        """Declares nothing."""

    class Late(Plain, Right):
        """Right's declarations, not Plain's copies of App's."""

    for container, bridge in ((Both, LeftBridge), (Late, RightBridge)):
        app = container()
        app.check()
        async with app.open_scope(context=Context("u")) as scope:
            found = scope.get(app.engine).emitter.bridge
            assert (bridge, HostHub) == (type(found), type(found.hub))
            assert app.hub() is found.hub


def test_configuration_and_self_are_the_containers_own() -> None:
    """Options used by a subclass read the instance's configuration; `__self__` is the instance."""

    class Configured(ScopedContainer):
        __self__ = providers.Self()
        config = providers.Configuration()
        opener = providers.ThreadSafeSingleton(dict, open_scope=__self__.provided.open_scope, mode=config.mode)

    class HostConfigured(Configured):
        other = providers.ThreadSafeSingleton(dict, opener=Configured.opener, mode=Configured.config.mode)

    one, two = HostConfigured(), HostConfigured()
    one.config.from_dict({"mode": "one"})
    two.config.from_dict({"mode": "two"})
    for app, mode in ((one, "one"), (two, "two")):
        assert (mode, mode) == (app.opener()["mode"], app.other()["mode"])
        assert app.opener() is app.other()["opener"]
        assert app.open_scope == app.opener()["open_scope"]


def test_a_configuration_declared_again_reaches_inherited_options() -> None:
    """What reads an option of the base's configuration reads the subclass's own."""

    class Configured(ScopedContainer):
        opener = providers.ThreadSafeSingleton(dict)
        config = providers.Configuration(default={"mode": "base"})
        opener.add_kwargs(mode=config.mode)

    class Again(Configured):
        config = providers.Configuration(default={"mode": "own"})

    assert [app().opener()["mode"] for app in (Again, Configured)] == ["own", "base"]


@pytest.mark.parametrize(
    "over_base",
    [
        providers.Selector(lambda: "a", a=App.bridge),
        providers.List(App.bridge),
        providers.Dict(a=App.bridge),
        App.hub.provided.settings,
    ],
)
def test_what_cannot_be_rewired_is_refused(over_base: providers.Provider[object]) -> None:
    """A Selector, List, Dict or attribute over the base's providers would split the graph in two."""
    kind = type(over_base).__name__
    with pytest.raises(WiringError, match=f"'extra' of Bad is a {kind} over the base's '(bridge|hub)'") as refused:

        class Bad(App):
            extra = over_base

    assert refused.value.provider == "extra"


async def test_among_arguments_every_kind_of_provider_is_rewired() -> None:
    """A Selector or List among the arguments of a Scoped reads this container's objects."""

    class Nested(Host):
        picked = Scoped(
            dict,
            one=providers.Selector(lambda: "a", a=App.bridge),
            many=providers.List(App.bridge),
            attribute=App.hub.provided.settings,
            recipe=App.bridge.provider,
        )

    app = Nested()
    app.check()
    async with app.open_scope(context=Context("u")) as scope:
        picked, bridge = scope.get(app.picked), scope.get(app.bridge)
        assert (bridge, [bridge], app.settings(), app.bridge) == tuple(picked.values())


class Greeting(App):
    """Has everything a class body may hold."""

    greeting = "hello"

    def hello(self) -> str:
        return f"{self.greeting} {type(self.registry()).__name__}"

    @property
    def shared(self) -> Registry:
        return self.registry()

    @classmethod
    def named(cls) -> str:
        return cls.__name__

    @staticmethod
    def twice(number: int) -> int:
        return 2 * number

    async def open_and_ask(self) -> str:
        async with self.open_scope(context=Context("u")) as scope:
            await asyncio.sleep(0)
            return scope.get(self.engine).context.user_id


class Loud(Greeting):
    """Overrides methods, with super()."""

    greeting = "HELLO"

    def hello(self) -> str:
        return super().hello() + "!"

    def check(self) -> None:
        super().check()
        self.checked = True


async def test_methods_of_the_body_work_on_instances() -> None:
    """Methods, properties, class and static methods, and coroutines."""
    app = Greeting()
    assert app.hello() == "hello Registry"
    assert app.registry() is app.shared
    assert (app.named(), app.twice(2)) == ("Greeting", 4)
    assert await app.open_and_ask() == "u"


def test_methods_are_overridden_with_super() -> None:
    """As in any class, the library's own methods included."""
    app = Loud()
    assert app.hello() == "HELLO Registry!"
    app.check()
    assert app.checked


def test_instances_are_instances_of_their_class() -> None:
    """And of its bases, not of a sibling; a copy is one too."""
    app = Loud()
    assert isinstance(app, Loud)
    assert isinstance(app, App)
    assert not isinstance(Greeting(), Loud)
    assert type(app).__name__ == "Loud"
    assert isinstance(copy.deepcopy(app), Loud)


def test_dependency_injectors_own_calls_still_work() -> None:
    """Overriding by argument, by container and of the class, and resetting."""
    other = Settings()
    assert other is App(settings=providers.Object(other)).registry().settings

    class Overriding(ScopedContainer):
        settings = providers.Object(other)

    app = App()
    app.override(Overriding())  # type: ignore[arg-type]
    assert other is app.settings()
    app.reset_override()
    assert other is not app.settings()
    with app.override_providers(settings=providers.Object(other)):
        assert other is app.settings()
