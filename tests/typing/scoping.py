"""What a type checker knows of scopes; checked by mypy --strict, never run.

An ignore that covers no error is an error itself, so each line with one proves that the mistake is reported.
"""

from __future__ import annotations

from typing import assert_type

from dependency_injector import providers
from dependency_injector.wiring import Provide, inject

from ssot_engine.scoping.providers import Given, Scoped, ScopedContainer
from ssot_engine.scoping.scope import Scope, current_scope


class Context:
    """Handed in."""


class Bridge:
    """Of a request."""

    def __init__(self, context: Context) -> None:
        self.context = context


class Engine:
    """Of a request."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge


async def connect(context: Context) -> Bridge:
    """Builds with a coroutine."""
    return Bridge(context)


class App(ScopedContainer):
    """A container with a method."""

    names = providers.ThreadSafeSingleton(dict[str, int])
    context = Given(Context)
    bridge = Scoped(Bridge, context=context, close="aclose")
    connected = Scoped(connect, context=context)
    engine = Scoped(Engine, bridge=bridge)

    def hello(self) -> str:
        """Works on the instance."""
        return "hello"


class Host(App):
    """Inherits."""

    bridge = Scoped(Bridge, context=App.context)


app = App()
assert_type(app, App)
assert_type(app.hello(), str)
assert_type(Host().hello(), str)
assert_type(app.open_scopes, int)
assert_type(app.engine(), Engine)
assert_type(app.engine.built_by(Engine), Scoped[Engine])
app.check()
app.replace({"bridge": "host.Bridge"})
app.wire(modules=[__name__])

_typo = app.typo  # type: ignore[attr-defined]
_typo = App.typo  # type: ignore[attr-defined]
app.hello(1)  # type: ignore[call-arg]
app.engine(1)  # type: ignore[call-arg]

scope = app.open_scope(context=Context())
assert_type(scope, Scope)
assert_type(current_scope(), Scope)
assert_type(scope.get(app.engine), Engine)
assert_type(scope.get(app.names), dict[str, int])
assert_type(scope.overridden, frozenset[str])
scope.on_close(lambda: None)
scope.get("engine")  # type: ignore[arg-type]
_typo = scope.get(app.engine).typo  # type: ignore[attr-defined]


@inject
async def handler(engine: Engine = Provide[App.engine]) -> Engine:
    """A route handler at the edge."""
    return engine


async def main() -> None:
    """The ways to hold a scope."""
    async with app.open_scope(context=Context()) as entered:
        assert_type(entered, Scope)
        assert_type(await entered.aget(app.engine), Engine)
        assert_type(await entered.aget(app.connected), Bridge)
        assert_type(entered.keep(), Scope)
    await scope.aclose()
