"""Start-up checks: each fault is refused with the path, what was expected and what to do."""

from __future__ import annotations

import pickle
import time
from typing import Protocol

import pytest
from dependency_injector import providers

from fakes_scoping import App, Bridge, Context, Emitter, Hub, Registry, Settings, checked_app
from ssot_engine.errors import ConfigError
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer


def refused(app: ScopedContainer) -> WiringError:
    with pytest.raises(WiringError) as raised:
        app.check()
    return raised.value


def test_a_right_container_passes_in_milliseconds() -> None:
    """The check belongs into every start."""
    app = App()
    app.check()
    start = time.process_time()
    app.check()
    assert time.process_time() - start < 0.1


def test_a_singleton_may_not_hold_a_scoped_object() -> None:
    """A captive dependency is found through a plain factory, and the path is drawn."""

    class Bad(App):
        cache = providers.ThreadSafeSingleton(dict, engine=providers.Factory(list, App.engine))

    error = refused(Bad())
    assert (error.provider, error.path) == ("cache", ("cache", "Factory", "engine"))
    assert str(error) == (
        "'cache' is built once per process but would hold 'engine', which is per scope: cache -> Factory -> engine; "
        "make 'cache' Scoped, or hand it the recipe `engine.provider`"
    )


@pytest.mark.parametrize(
    "captive",
    [
        providers.ThreadSafeSingleton(dict, a=App.emitter.provided.bridge),
        providers.Singleton(dict, a=providers.Dict(b=providers.List(App.context))),
        providers.Resource(dict, a=App.emitter),
        providers.Factory(dict, a=providers.Singleton(dict, b=App.emitter)),
    ],
)
def test_captives_are_found_at_any_depth(captive: providers.Provider[object]) -> None:
    """Through attributes, lists, dicts, resources and singletons without a name."""

    class Bad(App):
        holder = captive

    assert "is built once per process but would hold" in str(refused(Bad()))


def test_a_recipe_is_not_an_object() -> None:
    """A singleton may hold `engine.provider` and the container itself."""

    class Good(App):
        __self__ = providers.Self()
        factory = providers.ThreadSafeSingleton(dict, open_scope=__self__.provided.open_scope, e=App.engine.provider)
        delegated = providers.ThreadSafeSingleton(dict, make=providers.DelegatedFactory(dict, App.engine))

    good = Good()
    good.check()
    assert good.factory()["open_scope"] == good.open_scope


def test_a_cycle_is_refused_before_anything_is_built() -> None:
    """The loop is drawn, by the check and by the first scope."""

    class Bad(ScopedContainer):
        a = Scoped(dict)
        b = Scoped(dict, a=a)
        a.recipe.add_kwargs(b=b)

    error = refused(Bad())
    assert error.path == ("a", "b", "a")
    assert str(error) == "cycle: a -> b -> a; break it by handing one of them a recipe: `a.provider`"
    with pytest.raises(WiringError, match="cycle"):
        Bad().open_scope()


def test_a_cycle_through_recipes_is_none() -> None:
    """Two objects may know each other's recipe."""

    class Good(ScopedContainer):
        a = Scoped(dict)
        b = Scoped(dict, a=a)
        a.recipe.add_kwargs(b=b.provider)

    Good().check()


def test_an_undefined_dependency_is_refused() -> None:
    """A Dependency must be provided when the container starts."""

    class Bad(App):
        mail = providers.Dependency(instance_of=int)
        sender = Scoped(dict, mail=mail)

    assert refused(Bad()).provider == "mail"
    Bad(mail=providers.Object(1)).check()


def test_missing_constructor_arguments_are_refused() -> None:
    """A declaration that lacks an argument is found before a user meets it."""

    class Missing(App):
        emitter = Scoped(Emitter, context=App.context)

    assert "'emitter' cannot call Emitter: missing a required argument: 'bridge'" in str(refused(Missing()))


def test_superfluous_constructor_arguments_are_refused() -> None:
    """One that has too many as well, for scoped objects, singletons and factories."""
    for surplus in (
        Scoped(Emitter, bridge=App.bridge, context=App.context, colour="red"),
        providers.Singleton(Registry, settings=App.settings, colour="red"),
        providers.Factory(Registry, colour="red"),
    ):

        class Extra(App):
            extra = surplus

        assert "got an unexpected keyword argument 'colour'" in str(refused(Extra()))


def test_a_factory_may_leave_arguments_to_its_caller() -> None:
    """Only what is declared of a plain factory is checked."""

    class Later(App):
        later = providers.Factory(Emitter, context=App.context)

    Later().check()


@pytest.mark.parametrize(
    "wrong",
    [
        Scoped(Emitter, bridge=App.hub, context=App.context),
        Scoped(Emitter, App.hub, App.context),
    ],
)
def test_an_argument_of_another_class_is_refused(wrong: Scoped[Emitter]) -> None:
    """By keyword and by position, where both classes are known."""

    class Wrong(App):
        emitter = wrong

    error = refused(Wrong())
    assert (error.provider, error.path) == ("emitter", ("emitter", "hub"))
    assert "'emitter' wants bridge: Bridge but is given 'hub', a Hub: emitter -> hub" in str(error)


class Speaks(Protocol):
    """What a type checker checks, and we do not."""


class Typed:
    """Annotations that classes alone cannot answer."""

    def __init__(self, protocol: Speaks, generic: list[int]) -> None:
        pass


class Unresolved:
    """A name that exists for a type checker only."""

    def __init__(self, unknown: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass


class Union:
    """A union of classes."""

    def __init__(self, either: Bridge | None) -> None:
        pass


class Ratio:
    """An int is a float to a caller."""

    def __init__(self, ratio: float) -> None:
        pass


def test_what_annotations_do_not_tell_is_not_refused() -> None:
    """Protocols, generics, unresolvable names and int for float pass; a union's members are checked."""

    class Passing(App):
        typed = Scoped(Typed, App.hub, App.hub)
        unresolved = Scoped(Unresolved, App.hub)
        union = Scoped(Union, App.bridge)
        ratio = Scoped(Ratio, providers.Callable(int, 1))

    Passing().check()

    class Wrong(App):
        union = Scoped(Union, App.hub)

    assert "wants either: Bridge | NoneType but is given 'hub'" in str(refused(Wrong()))


def test_a_close_that_does_not_exist_is_refused() -> None:
    """The method named as close must be one of the class."""

    class Bad(App):
        emitter = Scoped(Emitter, bridge=App.bridge, context=App.context, close="stop")

    assert "'emitter' closes with 'stop', which Emitter does not have" in str(refused(Bad()))


def test_a_given_class_is_never_called() -> None:
    """A Given names what a value must be; its constructor's arguments are nobody's business."""

    class Good(ScopedContainer):
        context = Given(Context)

    Good().check()


def test_opening_names_what_is_missing_or_unknown() -> None:
    """A scope without its context, and a misspelt name, say what to pass."""
    app = checked_app()
    with pytest.raises(WiringError, match=r"open_scope\(\) needs context; pass `context=...`"):
        app.open_scope()
    with pytest.raises(WiringError, match=r"names 'brigde', which .* does not provide; did you mean 'bridge'\?"):
        app.open_scope(context=Context("u"), brigde=1)
    with pytest.raises(WiringError, match="it provides: agent_factory, bridge"):
        app.open_scope(context=Context("u"), xyz=1)


def test_every_value_handed_in_is_of_its_class() -> None:
    """The Given on the fast path and any other name; a subclass passes, None does not."""
    app = checked_app()
    app.open_scope(context=Context("u"))
    for wrong in ("u", None, Context):
        with pytest.raises(WiringError, match="'context' must be a Context, got"):
            app.open_scope(context=wrong)
    with pytest.raises(WiringError, match="'bridge' must be a Bridge, got str 'x'"):
        app.open_scope(context=Context("u"), bridge="x")
    assert app.open_scopes == 1


@pytest.mark.parametrize(
    ("name", "value", "holder"),
    [("settings", Settings(), "registry"), ("hub", Hub(Settings()), "url")],
)
def test_a_value_others_hold_cannot_differ_in_one_scope(name: str, value: object, holder: str) -> None:
    """An override nobody in the scope would see is refused, and the error names who holds the process's object."""

    class Holding(App):
        url = Scoped(dict, a=App.hub.provided.settings)

    with pytest.raises(WiringError, match=f"'{name}' cannot differ in one scope: .*{holder} -> .*{name}; hand in"):
        Holding().open_scope(context=Context("u"), **{name: value})


async def test_a_held_value_may_differ_with_its_holders() -> None:
    """Handing in every holder as well makes the scope consistent."""
    app = checked_app()
    settings = Settings()
    mine = {"settings": settings, "registry": Registry(settings), "hub": Hub(settings)}
    async with app.open_scope(context=Context("u"), **mine) as scope:
        assert settings is scope.get(app.engine).agent_factory.registry.settings
        assert settings is scope.get(app.bridge).hub.settings


def test_configuration_cannot_differ_in_one_scope() -> None:
    """Options are read where they are used, so a scope cannot have its own."""

    class Configured(App):
        config = providers.Configuration()

    with pytest.raises(WiringError, match="'config' cannot differ in one scope"):
        Configured().open_scope(context=Context("u"), config={})


def test_wiring_errors_pickle_and_are_the_operators() -> None:
    """The text, the name and the path cross a process boundary."""
    error = WiringError("wrong", "engine", ("a", "b"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.provider, again.path) == ("wrong", "engine", ("a", "b"))
    assert isinstance(error, ConfigError)
    assert isinstance(error, TypeError)
    assert (WiringError("x").provider, WiringError("x").path) == (None, ())
