"""`Scoped` and `Given`: the providers whose objects live as long as a scope."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar, cast, overload

from dependency_injector import providers

from ssot_engine.scoping.compiled import overrides
from ssot_engine.scoping.scope import NoScope, current_scope

T = TypeVar("T")


class Scoped(providers.Provider[T]):
    """One object per scope, built by `provides` from the arguments given here.

    `provides` is a class, a function or a coroutine function (then ask with `scope.aget`). `close` names the method
    that ends the object, plain or async; they are called in reverse order of building.
    """

    @overload
    def __init__(
        self, provides: Callable[..., Coroutine[Any, Any, T]], *args: Any, close: str | None = None, **kwargs: Any
    ) -> None: ...
    @overload
    def __init__(
        self, provides: Callable[..., T] | None = None, *args: Any, close: str | None = None, **kwargs: Any
    ) -> None: ...
    def __init__(
        self, provides: Callable[..., Any] | None = None, *args: Any, close: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__()
        self.recipe: providers.Callable[Any] = providers.Callable(provides, *args, **kwargs)
        self.close = close

    def __deepcopy__(self, memo: dict[Any, Any] | None) -> Scoped[T]:
        memo = {} if memo is None else memo
        if (known := memo.get(id(self))) is not None:
            return cast("Scoped[T]", known)
        copied = memo[id(self)] = type(self)(close=self.close)
        copied.recipe = providers.deepcopy(self.recipe, memo)
        self._copy_overridings(copied, memo)
        return copied

    def __call__(self) -> T:  # type: ignore[override]
        """The current scope's object. Raises: NoScope."""
        try:
            scope = current_scope()
        except NoScope:
            raise NoScope(getattr(self.provides, "__name__", None)) from None
        return scope.get(self)

    @property
    def provides(self) -> Any:
        """The class or function that builds the object."""
        return self.recipe.provides

    @property
    def related(self) -> Iterator[providers.Provider[Any]]:
        yield from self.recipe.related
        yield from super().related

    def built_by(self, provides: Callable[..., T]) -> Scoped[T]:
        """The same dependencies and the same close, another class: `c.bridge.override(c.bridge.built_by(Mine))`."""
        return type(self)(provides, *self.recipe.args, close=self.close, **self.recipe.kwargs)

    def override(self, provider: Any) -> Any:
        """Replace this provider for the whole process; for tests and for a host's start."""
        try:
            return super().override(provider)
        finally:
            overrides.changed()

    def reset_last_overriding(self) -> None:
        """Undo the latest override."""
        super().reset_last_overriding()
        overrides.changed()

    def reset_override(self) -> None:
        """Undo every override."""
        super().reset_override()
        overrides.changed()


class Given(Scoped[T]):
    """A value that whoever opens a scope hands in; the class, if named, is what the value must be."""


def in_force(provider: providers.Provider[Any]) -> providers.Provider[Any]:
    """What a scoped provider is after the overrides of the process."""
    while isinstance(provider, Scoped) and provider.last_overriding is not None:
        provider = provider.last_overriding
    return provider
