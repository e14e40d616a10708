"""Subclassing containers: what a subclass declares reaches everything it inherits, and methods reach its instances.

dependency-injector leaves inherited providers wired to the base's own, and returns instances without the class's
methods; both are put right when the class is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.graph import Provider
from ssot_engine.scoping.scoped import Scoped

if TYPE_CHECKING:
    DeclarativeMeta = type
else:
    DeclarativeMeta = type(containers.DeclarativeContainer)

_WITH_ARGUMENTS = (providers.Callable, providers.Factory, providers.BaseSingleton, providers.BaseResource)


class Instance(containers.DynamicContainer):
    """What every container made from a ScopedContainer class is, besides an instance of that class."""

    def __init__(self) -> None:
        self._openings: dict[tuple[str, ...], Any] = {}
        self._live: list[None] = []
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, providers.Provider):
            self._openings.clear()


class ScopedMeta(DeclarativeMeta):
    """Rewires a subclass and makes the type of its instances: the class itself plus `Instance`."""

    instance_type: type

    def __new__(mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> ScopedMeta:
        cls: Any = super().__new__(mcs, name, bases, attributes)
        _Rewiring(cls).apply()
        kept = {key: attributes.get(key) for key in ("__doc__", "__module__", "__qualname__")}
        own = {key: getattr(Instance, key) for key in ("override", "reset_last_overriding", "reset_override")}
        cls.instance_type = type.__new__(mcs, name, (cls, Instance), {**kept, **own, "__new__": object.__new__})
        return cls  # type: ignore[no-any-return]

    if not TYPE_CHECKING:

        def __call__(cls, **overriding: Any) -> Any:  # noqa: N805
            if issubclass(cls, Instance):
                return type.__call__(cls)
            return cls.__new__(cls, **overriding)  # already initialised: type.__call__ would do it again


class _Rewiring:
    """One subclass's providers: its own keep their identity, inherited ones become copies that know the new ones."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls
        self._own: dict[str, Provider] = dict(cls.cls_providers)
        self._ancestors = [c for c in cls.__mro__[1:] if isinstance(c, ScopedMeta)]
        self._sources: dict[str, Provider] = {}
        for ancestor in reversed(self._ancestors):
            declared: Any = ancestor.__dict__["cls_providers"]
            self._sources |= {n: p for n, p in declared.items() if not isinstance(p, providers.Self)}
        self._sources |= self._own
        self._names = {id(p): n for c in self._ancestors for n, p in _providers(c).items() if n in self._sources}
        self._names |= {id(p): n for n, p in self._own.items()}
        self._memo: dict[Any, Any] = {id(p): p for p in self._own.values()}
        self._memo |= {id(c.__dict__["__self__"]): cls.__self__ for c in (cls, *self._ancestors)}
        self._placed: set[str] = set()

    def apply(self) -> None:
        if not self._ancestors:
            return
        options_last = sorted(self._sources, key=lambda n: not isinstance(self._sources[n], providers.Configuration))
        for name in options_last:  # an option knows its configuration without naming it among its related providers
            self._place(name)
        placed = _providers(self._cls)
        self._cls.providers = placed
        self._cls.cls_providers = self._own
        self._cls.inherited_providers = {n: p for n, p in placed.items() if n not in self._own}
        for name, provider in self._own.items():
            self._refuse_split(name, provider)

    def _place(self, name: str) -> None:
        """Give the class its provider of that name, after those it refers to."""
        if name in self._placed:
            return
        self._placed.add(name)
        source = self._sources[name]
        for child in _around(source):
            if (known := self._names.get(id(child))) is not None:
                self._place(known)
        new = source if name in self._own else providers.deepcopy(source, self._memo)
        for ancestor in self._ancestors:
            if (old := _providers(ancestor).get(name)) is not None:
                self._memo[id(old)] = new
        if name in self._own:
            self._rewire(new)
        setattr(self._cls, name, new)

    def _rewire(self, provider: Any) -> None:
        """Make a declared provider's arguments those of this class. Its identity stays: others refer to it."""
        recipe = provider.recipe if isinstance(provider, Scoped) else provider
        if isinstance(recipe, _WITH_ARGUMENTS):
            recipe.set_args(*map(self._copied, recipe.args))
            recipe.set_kwargs(**{key: self._copied(value) for key, value in recipe.kwargs.items()})
            if isinstance(recipe, providers.Factory | providers.BaseSingleton):
                recipe.set_attributes(**{key: self._copied(value) for key, value in recipe.attributes.items()})

    def _copied(self, value: Any) -> Any:
        return providers.deepcopy(value, self._memo) if isinstance(value, providers.Provider) else value

    def _refuse_split(self, name: str, provider: Provider) -> None:
        """Refuse a provider that still refers to a base's: its graph would have two of what it names."""
        current = {id(p) for p in self._cls.providers.values()}
        for child in _around(provider):
            old = self._names.get(id(child))
            if old is not None and id(child) not in current:
                kind = type(provider).__name__
                raise WiringError(
                    f"{name!r} of {self._cls.__name__} is a {kind} over the base's {old!r}, which a subclass cannot "
                    f"rewire: {name} -> {old}; write the {kind} among the arguments of a Scoped, Factory or Singleton, "
                    f"or declare {old!r} in {self._cls.__name__} too",
                    name,
                    (name, old),
                )


def _providers(cls: Any) -> dict[str, Provider]:
    """The providers of a class, without the container itself, which wiring adds to them."""
    declared: dict[str, Provider] = cls.__dict__["providers"]
    return {name: provider for name, provider in declared.items() if not isinstance(provider, providers.Self)}


def _around(provider: Provider) -> Iterator[Provider]:
    """Everything a provider refers to at any depth, recipes included."""
    return (child for child in provider.traverse() if not isinstance(child, providers.Self))  # type: ignore[var-annotated]
