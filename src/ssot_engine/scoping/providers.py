"""`ScopedContainer`, and with it the two providers it is declared with: `Scoped` and `Given`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from ssot_engine.scoping.checks import (
    WiringError,
    check_declarations,
    check_differs,
    check_graph,
    refused,
    unknown,
)
from ssot_engine.scoping.compiled import overrides
from ssot_engine.scoping.plan import Plans, required_names
from ssot_engine.scoping.replacing import replacements
from ssot_engine.scoping.rewiring import ScopedMeta
from ssot_engine.scoping.scope import Scope
from ssot_engine.scoping.scoped import Given, Scoped

__all__ = ["Given", "Scoped", "ScopedContainer"]


class ScopedContainer(containers.DeclarativeContainer, metaclass=ScopedMeta):
    """A declarative container whose instances open scopes.

    A subclass's provider reaches every inherited one that uses that name. Methods, properties and class methods of the
    body work on the instances, which are instances of the class.
    """

    if TYPE_CHECKING:
        providers: dict[str, providers.Provider[Any]]
        _openings: dict[tuple[str, ...], Plans]
        _live: list[None]
        __getattr__: None  # type: ignore[assignment,misc]  # a misspelt provider is a type error

    @property
    def open_scopes(self) -> int:
        """How many scopes were opened and have not ended; one that was dropped without closing counts for ever."""
        return len(self._live)

    def open_scope(self, **values: Any) -> Scope:
        """Start a scope. Every Given must be passed; any other name replaces that provider in this scope only.

        What is handed in stays its owner's to close. Raises: WiringError for a missing or unknown name, a value of
        another class than declared, or a name that something outside the scope holds.
        """
        plans = self._openings.get(tuple(values))
        if plans is None or plans.stamp is not overrides.stamp:
            plans = self._opening(tuple(values))
        for name, kind in plans.kinds:
            if not isinstance(values[name], kind):
                raise refused(name, kind, values[name])
        return Scope(plans, values)

    def check(self) -> None:
        """Refuse a graph that cannot work: cycles, a singleton holding a per-scope object, missing, superfluous or
        ill-typed arguments. Takes milliseconds; call it at every start. Raises: WiringError.
        """
        check_graph(self.providers)
        check_declarations(self.providers)
        required = required_names(self.providers)
        plans = Plans(self.providers, required, required, self._live)
        for provider in list(self.providers.values()):
            if isinstance(provider, Scoped):
                plans.compile(provider)

    def replace(self, dotted: Mapping[str, str]) -> None:
        """Override providers by classes named in configuration; all of them, or none if one is refused.

        `{"bridge": "myhost.bridges.RedisBridge"}` builds `bridge` from the same dependencies. Raises: WiringError.
        """
        for provider, replacement in replacements(self.providers, dotted).items():
            provider.override(replacement)

    def _opening(self, names: tuple[str, ...]) -> Plans:
        """Once per set of names: are they known, complete, and can they differ in one scope?"""
        given, required = frozenset(names), required_names(self.providers)
        for name in given:
            if name not in self.providers:
                raise unknown(name, self.providers, "open_scope()")
        if missing := sorted(required - given):
            raise WiringError(f"open_scope() needs {', '.join(missing)}; pass `{missing[0]}=...`", missing[0])
        check_graph(self.providers)
        check_differs(self.providers, given)
        plans = self._openings[names] = Plans(self.providers, given, required, self._live)
        return plans
