"""Classes named in configuration."""

from __future__ import annotations

import pytest
from dependency_injector import providers

from fakes_scoping import App, Bridge, Context, RedisBridge, Registry, checked_app
from ssot_engine.scoping.checks import WiringError


class Sub(Registry):
    """Another registry."""


async def test_a_dotted_path_replaces_a_class() -> None:
    """Scoped objects, singletons and factories keep their dependencies and get another class."""
    app = checked_app()
    app.replace({"bridge": "fakes_scoping.RedisBridge", "registry": f"{__name__}.Sub"})
    app.check()
    async with app.open_scope(context=Context("u")) as scope:
        engine = scope.get(app.engine)
        assert (RedisBridge, app.hub()) == (type(engine.emitter.bridge), engine.emitter.bridge.hub)
        assert Sub.__name__ == type(engine.agent_factory.registry).__name__
        assert app.settings() is engine.agent_factory.registry.settings
    assert engine.emitter.bridge.closed


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("brige", "fakes_scoping.RedisBridge", r"names 'brige', which .* not provide; did you mean 'bridge'\?"),
        ("bridge", "fakes_scoping.Emitter", "which is not a subclass of fakes_scoping.Bridge"),
        ("bridge", "fakes_scoping.checked_app", "which is not a subclass of fakes_scoping.Bridge"),
        ("bridge", "fakes_scoping.Missing", "cannot be imported: module 'fakes_scoping' has no attribute 'Missing'"),
        ("bridge", "no_such_package.Bridge", "cannot be imported: No module named 'no_such_package'"),
        ("bridge", "RedisBridge", "cannot be imported: Empty module name; write 'package.module.Class'"),
        ("context", "fakes_scoping.Context", "it is a Given, which builds nothing"),
        ("constant", "fakes_scoping.Bridge", "it is a Object, which builds nothing"),
    ],
)
def test_a_wrong_replacement_is_refused(name: str, path: str, said: str) -> None:
    """The error names the provider, what was expected and what to write; nothing is replaced."""

    class WithConstant(App):
        constant = providers.Object(1)

    app = WithConstant()
    with pytest.raises(WiringError, match=said) as refused:
        app.replace({"registry": f"{__name__}.Sub", name: path})
    assert name == refused.value.provider
    assert Registry is type(app.registry())
    assert Bridge is type(app.open_scope(context=Context("u")).get(app.bridge))


def test_injected_attributes_are_kept() -> None:
    """What a factory sets on its objects it sets on the replacement's too."""

    class WithAttribute(App):
        made = providers.Factory(Registry, settings=App.settings).add_attributes(colour="red")

    app = WithAttribute()
    app.replace({"made": f"{__name__}.Sub"})
    assert (type(app.made()).__name__, app.made().colour) == ("Sub", "red")  # type: ignore[attr-defined]
