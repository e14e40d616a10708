"""`Scoped` and `Given`: overriding for the process, and wiring."""

from __future__ import annotations

import sys
import threading
import types

import pytest
from dependency_injector import providers
from dependency_injector.wiring import Provide, inject

from fakes_scoping import App, Bridge, Context, Emitter, Engine, Registry, Settings, checked_app
from ssot_engine.scoping.compiled import Overrides
from ssot_engine.scoping.providers import Scoped, ScopedContainer


class OtherBridge(Bridge):
    """Another implementation."""


async def test_built_by_keeps_dependencies_and_close() -> None:
    """An override with `built_by` swaps the class only, for as long as the override lasts."""
    app = checked_app()
    with app.bridge.override(app.bridge.built_by(OtherBridge)):
        async with app.open_scope(context=Context("u")) as scope:
            bridge = scope.get(app.engine).emitter.bridge
            assert (OtherBridge, app.hub()) == (type(bridge), bridge.hub)
        assert bridge.closed
    async with app.open_scope(context=Context("u")) as scope:
        assert Bridge is type(scope.get(app.bridge))


async def test_an_instance_as_override_is_not_ours_to_close() -> None:
    """Who makes an object closes it: a plain override is given to every scope and survives them."""
    app = checked_app()
    mine = Bridge(Context("mine"), app.hub())
    with app.bridge.override(mine):
        async with app.open_scope(context=Context("u")) as scope:
            assert mine is scope.get(app.engine).emitter.bridge
    assert not mine.closed


async def test_an_override_by_a_named_provider_shares_its_object() -> None:
    """A name overridden by another name of the container gives that name's object, closed once."""

    class Two(App):
        spare = Scoped(OtherBridge, context=App.context, hub=App.hub, close="aclose")

    app = Two()
    with app.bridge.override(app.spare):
        async with app.open_scope(context=Context("u")) as scope:
            assert scope.get(app.engine).emitter.bridge is scope.get(app.spare)


async def test_a_given_value_may_be_fixed_for_the_process() -> None:
    """A Given that a test overrides need not be handed in; handed in all the same, that value counts."""
    app = checked_app()
    with app.context.override(Context("fixed")):
        async with app.open_scope() as scope:
            assert scope.get(app.engine).context.user_id == "fixed"
        async with app.open_scope(context=Context("mine")) as scope:
            assert scope.get(app.engine).context.user_id == "mine"


async def test_overrides_of_singletons_reach_scopes() -> None:
    """What is not scoped is asked each time, so dependency-injector's own overrides work."""
    app = checked_app()
    other = Registry(Settings())
    with app.registry.override(other):
        async with app.open_scope(context=Context("u")) as scope:
            assert other is scope.get(app.engine).agent_factory.registry
    async with app.open_scope(context=Context("u")) as scope:
        assert app.registry() is scope.get(app.engine).agent_factory.registry


async def test_a_late_override_by_a_factory_over_scoped_objects_sees_its_scope() -> None:
    """A plain provider overridden after plans were compiled takes scoped objects of the scope that builds it."""

    class WithJob(App):
        job = providers.Factory(dict)
        runner = Scoped(dict, job=job)

    app = WithJob()
    app.check()
    app.open_scope(context=Context("warm")).get(app.runner)
    with app.job.override(providers.Factory(dict, emitter=app.emitter)):
        async with app.open_scope(context=Context("outer")):
            inner = app.open_scope(context=Context("inner"))
            assert inner.get(app.emitter) is inner.get(app.runner)["job"]["emitter"]


async def test_an_override_while_a_scope_is_open_reaches_what_it_builds_next() -> None:
    """A scope with its own values keeps them when the process overrides something else."""
    app = checked_app()
    registry = Registry(Settings())
    async with app.open_scope(context=Context("u"), registry=registry) as scope:
        scope.get(app.bridge)

        class Other(Emitter):
            """Another class."""

        with app.emitter.override(app.emitter.built_by(Other)):
            engine = scope.get(app.engine)
            assert (registry, Other) == (engine.agent_factory.registry, type(engine.emitter))
    app.emitter.override(Other(Bridge(Context("u"), app.hub()), Context("u")))
    app.emitter.reset_override()
    async with app.open_scope(context=Context("u")) as scope:
        assert Emitter is type(scope.get(app.emitter))


def test_no_change_is_lost_when_threads_override_at_once() -> None:
    """Each change gives a stamp that no plan compiled before it carries, however many threads change at once."""
    overrides = Overrides()
    seen: list[object] = [overrides.stamp]

    def change() -> None:
        for _ in range(2000):
            before = overrides.stamp
            overrides.changed()
            seen.append(overrides.stamp)
            assert before is not overrides.stamp

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overrides.stamp in seen
    assert overrides.stamp is not seen[0]


def test_an_override_reaches_plans_compiled_before() -> None:
    """Overriding and both ways of undoing it are seen by scopes already open and by the next one."""
    app = checked_app()
    waiting = [app.open_scope(context=Context("u")) for _ in range(4)]

    def built() -> list[type]:
        """What a scope opened before, and one opened now, build."""
        scopes = (waiting.pop(), app.open_scope(context=Context("u")))
        return [type(scope.get(app.engine).emitter.bridge) for scope in scopes]

    assert built() == [Bridge, Bridge]
    app.bridge.override(app.bridge.built_by(OtherBridge))
    assert built() == [OtherBridge, OtherBridge]
    app.bridge.reset_last_overriding()
    assert built() == [Bridge, Bridge]
    app.bridge.override(app.bridge.built_by(OtherBridge))
    app.open_scope(context=Context("u")).get(app.engine)
    app.bridge.reset_override()
    assert built() == [Bridge, Bridge]


def test_an_override_during_compilation_leaves_the_plan_stale() -> None:
    """A change that falls into a compilation is not lost: the next question compiles again."""

    class Interrupting:
        """Its signature is read after the plan's line for the bridge is written; then the bridge is overridden."""

    class Signature:
        def __get__(self, instance: object, owner: type) -> object:
            if interrupt and not app.bridge.overridden:
                app.bridge.override(app.bridge.built_by(OtherBridge))
            raise AttributeError("__signature__")

    Interrupting.__signature__ = Signature()  # type: ignore[attr-defined]

    class Late(App):
        last = Scoped(Interrupting)
        both = Scoped(dict, bridge=App.bridge, last=last)

    interrupt = False
    app = Late()
    scope = app.open_scope(context=Context("u"))
    interrupt = True
    scope._plans.compile(app.both)
    assert type(scope.get(app.both)["bridge"]) is OtherBridge


async def test_wiring_injects_from_the_current_scope() -> None:
    """dependency-injector's `@inject` works with scoped providers, by reference and by name, before and after."""
    module = types.ModuleType("wired_for_scoping")
    sys.modules[module.__name__] = module

    @inject
    async def by_reference(engine: Engine = Provide[App.engine]) -> Engine:
        return engine

    @inject
    async def by_name(engine: Engine = Provide["engine"]) -> Engine:
        return engine

    for function in (by_reference, by_name):
        function.__module__ = module.__name__
        setattr(module, function.__name__, function)
    app = checked_app()
    app.wire(modules=[module])
    try:
        async with app.open_scope(context=Context("u")) as scope:
            assert await module.by_reference() is await module.by_name() is scope.get(app.engine)
        app.check()

        class Later(App):
            """Made after wiring put the container itself among App's providers."""

        later = Later()
        later.check()
        assert later.__self__() is later
    finally:
        app.unwire()
        del sys.modules[module.__name__]


def test_a_scoped_provider_takes_no_arguments_when_called() -> None:
    """Arguments belong into the declaration; one passed to the call is not dropped silently."""
    with pytest.raises(TypeError):
        checked_app().engine("surplus")  # type: ignore[call-arg]


async def test_literal_and_delegated_arguments_arrive_as_they_are() -> None:
    """A literal, a delegate and a delegated factory are handed over, not called."""

    class Box(ScopedContainer):
        inner = Scoped(dict)
        made = providers.DelegatedFactory(dict)
        outer = Scoped(dict, number=1, text="it's", nothing=None, items=[1, 2], recipe=inner.provider, made=made)

    box = Box()
    box.check()
    async with box.open_scope() as scope:
        found = scope.get(box.outer)
        assert tuple(found[key] for key in ("number", "text", "nothing", "items")) == (1, "it's", None, [1, 2])
        assert (box.inner, box.made) == (found["recipe"], found["made"])
