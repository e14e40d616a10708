"""Classes named in configuration: `{"bridge": "myhost.bridges.RedisBridge"}`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dependency_injector import providers

from ssot_engine.scoping.checks import WiringError, unknown
from ssot_engine.scoping.graph import Provider, class_of
from ssot_engine.scoping.scoped import Given, Scoped

_REPLACEABLE = (Scoped, providers.Factory, providers.Callable, providers.BaseSingleton)


def replacements(by_name: Mapping[str, Provider], dotted: Mapping[str, str]) -> dict[Provider, Provider]:
    """For each name a provider with the same dependencies and the class at the dotted path. Raises: WiringError."""
    found: dict[Provider, Provider] = {}
    for name, path in dotted.items():
        if name not in by_name:
            raise unknown(name, by_name, "the configuration")
        provider = by_name[name]
        found[provider] = _with_class(provider, _checked(name, path, provider))
    return found


def _with_class(provider: Any, made: Any) -> Provider:
    if isinstance(provider, Scoped):
        return provider.built_by(made)
    replacement = type(provider)(made, *provider.args, **provider.kwargs)
    if isinstance(provider, providers.Factory | providers.BaseSingleton):
        replacement.set_attributes(**provider.attributes)
    return replacement  # type: ignore[no-any-return]


def _checked(name: str, path: str, provider: Provider) -> Any:
    if isinstance(provider, Given) or not isinstance(provider, _REPLACEABLE):
        raise WiringError(
            f"{name!r} cannot be replaced by a class: it is a {type(provider).__name__}, which builds nothing; "
            f"remove {name!r} from the configuration",
            name,
        )
    made, wanted = _imported(name, path), class_of(provider)
    expected = f"a subclass of {wanted.__module__}.{wanted.__qualname__}" if wanted else "a class or a function"
    if not callable(made) or (wanted is not None and not (isinstance(made, type) and issubclass(made, wanted))):
        raise WiringError(f"{name!r} is replaced by {path!r}, which is not {expected}; name {expected}", name)
    return made


def _imported(name: str, path: str) -> Any:
    module, _, attribute = path.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise WiringError(
            f"{name!r} is replaced by {path!r}, which cannot be imported: {error}; "
            "write 'package.module.Class', importable by this process",
            name,
        ) from error
