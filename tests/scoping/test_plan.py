"""Compiled plans: what they read, what they build, what a traceback shows of them."""

from __future__ import annotations

import gc
import linecache
import re
import traceback

import pytest
from dependency_injector import providers

from fakes_scoping import App, Bridge, Context, Emitter, checked_app
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.plan import Plan
from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer


def plan_of(app: ScopedContainer, name: str, **values: object) -> Plan:
    plan = app.open_scope(**values)._plans.compile(app.providers[name])
    assert isinstance(plan, Plan)
    return plan


def test_a_plan_is_readable_python() -> None:
    """Each object once, in order, positional, with its close; printing it shows what happens."""
    source = plan_of(checked_app(), "emitter", context=Context("u")).source
    assert source == (
        "def build(_values, _opened, _lock):\n"
        "    context = _values['context']\n"
        "    if 'bridge' in _values: bridge = _values['bridge']\n"
        "    else:\n"
        "        bridge = _values['bridge'] = _c1_Bridge(context, _c0())\n"
        "        _opened.append(bridge.aclose)\n"
        "    if 'emitter' in _values: emitter = _values['emitter']\n"
        "    else:\n"
        "        emitter = _values['emitter'] = _c2_Emitter(bridge, context)\n"
        "    return emitter\n"
    )


async def test_what_is_handed_in_spares_what_only_it_needed() -> None:
    """A replaced emitter does not make the scope build the bridge."""

    class Never(Bridge):
        def __init__(self, context: Context, hub: object) -> None:
            raise AssertionError("built for nothing")

    app = checked_app()
    emitter = Emitter(Bridge(Context("u"), app.hub()), Context("u"))
    with app.bridge.override(app.bridge.built_by(Never)):
        async with app.open_scope(context=Context("u"), emitter=emitter) as scope:
            assert emitter is scope.get(app.engine).emitter


def test_a_traceback_shows_the_line_of_the_plan() -> None:
    """An error in a constructor points at the step of the plan that called it."""

    class Broken(Emitter):
        def __init__(self, bridge: Bridge, context: Context) -> None:
            raise RuntimeError("no socket")

    app = checked_app()
    app.emitter.override(app.emitter.built_by(Broken))
    with pytest.raises(RuntimeError, match="no socket") as raised:
        app.open_scope(context=Context("u")).get(app.engine)
    shown = "".join(traceback.format_exception(raised.value))
    assert re.search(r"of engine>.*\n *emitter = _values\['emitter'\] = _c\d_Broken\(bridge, context\)", shown)


def test_compiling_again_and_again_keeps_no_source() -> None:
    """Sources are registered while their plan lives: a thousand overrides leave no trace."""
    app = checked_app()
    scope = app.open_scope(context=Context("u"))
    gc.collect()
    before = sum(name.startswith("<plan ") for name in linecache.cache)
    for _ in range(100):
        with app.bridge.override(app.bridge.built_by(Bridge)):
            scope._plans.compile(app.engine)
    after = sum(name.startswith("<plan ") for name in linecache.cache)
    assert after <= before + 1


async def test_any_provider_name_is_safe() -> None:
    """Names that a plan uses itself, keywords and private names are providers' names like any other."""

    class Odd(ScopedContainer):
        values = Given(int)
        _values = Scoped(dict, a=values)
        opened = Scoped(dict, b=_values)
        build = Scoped(dict, c=opened)
        scope = Scoped(dict, d=build)
        _c0 = Scoped(dict, e=scope)
        _v1 = Scoped(dict, f=_c0)

    odd = Odd()
    odd.set_provider("class", Scoped(dict, **{"with": odd._v1, "not a name": 1}))
    odd.check()
    async with odd.open_scope(values=1) as scope:
        found = scope.get(odd.providers["class"])
        assert found == {"with": {"f": {"e": {"d": {"c": {"b": {"a": 1}}}}}}, "not a name": 1}


async def test_an_unnamed_provider_is_one_object_per_scope() -> None:
    """A Scoped written among the arguments of two others is shared by them, and closed."""
    shared = Scoped(Bridge, context=App.context, hub=App.hub, close="aclose")

    class Pair(App):
        left = Scoped(Emitter, bridge=shared, context=App.context)
        right = Scoped(Emitter, bridge=shared, context=App.context)
        both = Scoped(dict, left=left, right=right)

    app = Pair()
    app.check()
    async with app.open_scope(context=Context("u")) as scope:
        assert scope.get(app.left).bridge is scope.get(app.right).bridge
        both = scope.get(app.both)
        assert both["left"].bridge is both["right"].bridge
        assert scope.get(app.bridge) is not both["left"].bridge
    assert both["left"].bridge.closed


async def test_a_plain_factory_over_scoped_objects_uses_the_scope_that_builds() -> None:
    """dependency-injector's own providers may stand between scoped ones."""

    class Jobs(App):
        job = providers.Factory(dict, emitter=App.emitter)
        runner = Scoped(dict, job=job)

    app = Jobs()
    app.check()
    async with app.open_scope(context=Context("outer")):
        scope = app.open_scope(context=Context("inner"))
        assert scope.get(app.emitter) is scope.get(app.runner)["job"]["emitter"]


def test_what_nothing_can_build_is_refused() -> None:
    """A Scoped without a class, and a Given that no name can hand in, are found by the check."""

    class Empty(ScopedContainer):
        nothing = Scoped()

    with pytest.raises(WiringError, match="'nothing' has nothing to build it"):
        Empty().check()

    class Hidden(ScopedContainer):
        holder = Scoped(dict, hidden=Given(int))

    with pytest.raises(WiringError, match="no name of the container can hand it in"):
        Hidden().check()
