"""Replacements of a container's providers, checked before they are put in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dependency_injector import providers

from ssot_engine.container import ExecutionContainer
from ssot_engine.scoping.checks import WiringError, refused, unknown
from ssot_engine.scoping.graph import Names, Provider, class_of, drawn, is_shared, label, named, paths
from ssot_engine.scoping.scoped import Given, Scoped

_BUILDERS = (Scoped, providers.Factory, providers.BaseSingleton)


def replacements(container: ExecutionContainer, values: Mapping[str, Any]) -> list[tuple[Provider, Provider]]:
    """Each named provider with the one that takes its place.

    Raises:
        WiringError: a name is unknown or cannot be replaced while the container runs, or a value is of another class.
    """
    return [_replacement(container, name, value) for name, value in values.items()]


def _replacement(container: ExecutionContainer, name: str, value: Any) -> tuple[Provider, Provider]:
    if name not in container.providers:
        raise unknown(name, container.providers, "override_providers()")
    provider = container.providers[name]
    if isinstance(provider, Given | providers.Self | providers.Configuration):
        raise WiringError(
            f"{name!r} is a {type(provider).__name__}: nothing builds it, so nothing can replace it", name
        )
    _check_unbuilt(provider, name, named(container.providers))
    if isinstance(value, providers.Provider):
        return provider, _checked(name, provider, value)
    if isinstance(value, type) and isinstance(provider, _BUILDERS):
        return provider, _with_class(name, provider, value)
    wanted = class_of(provider)
    if wanted is not None and not isinstance(value, wanted):
        raise refused(name, wanted, value)
    return provider, providers.Object(value)


def _check_unbuilt(provider: Provider, name: str, names: Names) -> None:
    """What a running container has built with the provider's object would never see another one."""
    for holder in filter(is_shared, names):
        for path in paths(holder, stop=lambda _: False):
            if path[-1] is provider:
                steps = tuple(label(step, names) for step in path)
                raise WiringError(
                    f"{name!r} cannot be replaced now: the running container has built {steps[0]!r} with it: "
                    f"{drawn(steps)}; declare {name!r} in a subclass of ExecutionContainer and return that from "
                    "the fixture execution_container_class",
                    name,
                    steps,
                )


def _checked(name: str, provider: Provider, value: Provider) -> Provider:
    wanted, made = class_of(provider), class_of(value)
    if wanted is not None and made is not None and not issubclass(made, wanted):
        raise refused(name, wanted, value)
    return value


def _with_class(name: str, provider: Any, cls: type) -> Provider:
    wanted = class_of(provider)
    if wanted is not None and not issubclass(cls, wanted):
        raise refused(name, wanted, cls)
    if isinstance(provider, Scoped):
        return provider.built_by(cls)
    made: Provider = type(provider)(cls, *provider.args, **provider.kwargs)
    return made
