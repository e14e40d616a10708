"""`ScopedContainer`: opening scopes and what a scope replaces."""

from __future__ import annotations

import asyncio

import pytest

from fakes_scoping import AgentFactory, App, Bridge, Context, Registry, Settings, checked_app
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer


class LegacyBridge(Bridge):
    """What a legacy caller brings."""


async def test_a_replacement_is_seen_in_its_scope_only() -> None:
    """Concurrent scopes with and without replacements do not see each other, and nothing brought is closed."""
    app = checked_app()
    turn = asyncio.Barrier(4)

    async def legacy() -> None:
        mine, registry = LegacyBridge(Context("l"), app.hub()), Registry(Settings())
        async with app.open_scope(context=Context("l"), bridge=mine, registry=registry) as scope:
            await turn.wait()
            engine = scope.get(app.engine)
            assert (mine, registry) == (engine.emitter.bridge, engine.agent_factory.registry)
            await turn.wait()
        assert not mine.closed

    async def normal() -> None:
        async with app.open_scope(context=Context("n")) as scope:
            await turn.wait()
            engine = scope.get(app.engine)
            assert (Bridge, app.registry()) == (type(engine.emitter.bridge), engine.agent_factory.registry)
            await turn.wait()

    await asyncio.wait_for(asyncio.gather(legacy(), normal(), legacy(), normal()), 5)


def test_overridden_names_what_was_handed_in_besides_the_given() -> None:
    """In any order of arguments, and empty where nothing was replaced."""
    app = checked_app()
    registry = Registry(Settings())
    assert frozenset() == app.open_scope(context=Context("u")).overridden
    for scope in (
        app.open_scope(context=Context("u"), registry=registry),
        app.open_scope(registry=registry, context=Context("u")),
    ):
        assert frozenset({"registry"}) == scope.overridden


async def test_a_provider_set_on_an_instance_is_known_to_the_next_scope() -> None:
    """A container may gain a provider after its first scope."""
    app = checked_app()
    async with app.open_scope(context=Context("u")):
        app.set_provider("extra", Given(int))
    with pytest.raises(WiringError, match="needs extra"):
        app.open_scope(context=Context("u"))
    async with app.open_scope(context=Context("u"), extra=3) as scope:
        assert scope.get(app.providers["extra"]) == 3


def test_containers_do_not_share_anything() -> None:
    """Each instance has its own singletons, scopes and count: one container per test is enough isolation."""
    one, two = checked_app(), checked_app()
    one.open_scope(context=Context("u"))
    assert (one.open_scopes, two.open_scopes) == (1, 0)
    assert one.registry() is not two.registry()
    with one.bridge.override(object()):
        assert Bridge is type(two.open_scope(context=Context("u")).get(two.bridge))


async def test_one_factory_can_own_a_scope_until_cleanup() -> None:
    """The pattern of an owning engine: built inside the block, kept, and ended by its own cleanup."""

    class Owned:
        closed = False

        def __init__(self, agent_factory: AgentFactory) -> None:
            self.agent_factory = agent_factory

        def stop(self) -> None:
            self.closed = True

    class Owning(App):
        owned = Scoped(Owned, agent_factory=App.agent_factory, close="stop")

    app = Owning()
    app.check()

    async def create(**replaced: object) -> tuple[Owned, object]:
        async with app.open_scope(context=Context("u"), **replaced) as scope:
            return scope.get(app.owned), scope.keep()

    registry = Registry(Settings())
    (one, first), (two, second) = await asyncio.gather(create(registry=registry), create())
    assert (registry, app.registry()) == (one.agent_factory.registry, two.agent_factory.registry)
    await first.aclose()  # type: ignore[attr-defined]
    assert (one.closed, two.closed, app.open_scopes) == (True, False, 1)
    await second.aclose()  # type: ignore[attr-defined]


def test_a_given_without_a_class_takes_anything() -> None:
    """What declares no class is not checked."""

    class Loose(ScopedContainer):
        anything: Given[object] = Given()

    loose = Loose()
    assert loose.open_scope(anything="x").get(loose.anything) == "x"
