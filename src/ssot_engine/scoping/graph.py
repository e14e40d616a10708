"""How the providers of a container hold one another: the walks that plans and checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dependency_injector import providers

from ssot_engine.scoping.scoped import Scoped

Provider = providers.Provider[Any]
#: The container's name of each of its providers, in order of declaration.
Names = Mapping[Provider, str]

_MAKERS = (Scoped, providers.Factory, providers.Callable, providers.BaseSingleton, providers.BaseResource)


def named(by_name: Mapping[str, Provider]) -> dict[Provider, str]:
    """A container's `providers` turned round, without the container itself, which wiring adds to them."""
    return {provider: name for name, provider in by_name.items() if not isinstance(provider, providers.Self)}


def label(provider: Provider, names: Names) -> str:
    """The provider's name in the container or, inside another provider's arguments, its kind."""
    return names.get(provider) or type(provider).__name__


def kept_by(provider: Provider) -> Iterator[Provider]:
    """The providers whose objects this provider's object holds. A delegate holds a recipe, not an object."""
    for child in provider.related:
        recipe = isinstance(child, providers.Delegate | providers.Self) or providers.is_delegated(child)
        if not recipe:
            yield child


def reached(roots: Names) -> Iterator[Provider]:
    """Every provider that is named or held at any depth, each once, the container's own first and in order."""
    ahead, seen = list(roots), set(roots)
    for provider in ahead:
        yield provider
        for child in kept_by(provider):
            if child not in seen:
                seen.add(child)
                ahead.append(child)


def is_shared(provider: Provider) -> bool:
    """Whether its object outlives a scope."""
    return isinstance(provider, providers.BaseSingleton | providers.BaseResource)


def class_of(provider: Provider) -> type | None:
    """The class its objects are declared to have, where that is known before one is built."""
    if isinstance(provider, providers.Dependency):
        return provider.instance_of if provider.instance_of is not object else None
    provides = provider.provides if isinstance(provider, _MAKERS) else None
    return provides if isinstance(provides, type) else None


def class_in_force(provider: Provider) -> type | None:
    """`class_of`, after the overrides of the process; of an object that was handed over, its own."""
    while provider.last_overriding is not None:
        provider = provider.last_overriding
    if isinstance(provider, providers.Object):
        # Not type(): a mock that stands for a class says so here.
        given = provider.provides.__class__
        return given if isinstance(given, type) else None
    return class_of(provider)


def paths(root: Provider, stop: Callable[[Provider], bool]) -> Iterator[tuple[Provider, ...]]:
    """One path from `root` to each provider it holds at any depth; nothing beyond a provider that `stop` names."""
    ahead: list[tuple[Provider, ...]] = [(root,)]
    seen = {root}
    for path in ahead:
        for child in kept_by(path[-1]):
            yield (*path, child)
            if child not in seen and not stop(child):
                seen.add(child)
                ahead.append((*path, child))


def drawn(path: Iterable[str]) -> str:
    """A path as an error shows it."""
    return " -> ".join(path)


def path_to(wanted: Provider, names: Names) -> tuple[str, ...]:
    """The names from one of the container's own providers down to `wanted`."""
    for root in names:
        for path in paths(root, stop=lambda _: False):
            if path[-1] is wanted:
                return tuple(label(provider, names) for provider in path)
    return (label(wanted, names),)
