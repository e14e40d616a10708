"""Whether dependency-injector has wired what the routes of a host ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dependency_injector import wiring
from fastapi.dependencies.models import Dependant
from starlette.routing import BaseRoute

from ssot_engine.errors import ConfigError

_MARKERS: tuple[type, ...] = (wiring.Provide, wiring.Provider, wiring.Closing)  # type: ignore[assignment]


_TOO_EARLY = (
    "it was wired too early or not at all; call container.wire(modules=[…]) in the application's lifespan, and write "
    "@inject directly above the function"
)
_NOT_INJECTED = (
    "write @inject directly above the function; if it is there, take `from __future__ import annotations` out of the "
    "module, which hides the marker from @inject"
)


class Unwired(NamedTuple):
    """A parameter that would be given the marker itself."""

    function: str
    parameter: str
    is_injected: bool


def check_wiring(routes: Iterable[BaseRoute]) -> None:
    """Every `Depends(Provide[…])` of these routes leads to a provider.

    Raises:
        ConfigError: one does not; it names the function, the parameter and the likely cause.
    """
    for name, parameter, is_injected in unwired(routes):
        raise ConfigError(
            f"parameter {parameter!r} of {name} would get a marker instead of what it asks for: "
            f"{_TOO_EARLY if is_injected else _NOT_INJECTED}"
        )


def unwired(routes: Iterable[BaseRoute]) -> Iterator[Unwired]:
    """The parameters of these routes, and of what they depend on, that nothing is injected into."""
    for route in routes:
        # Newer FastAPI keeps an included router whole, older ones copied its routes into the application.
        yield from unwired(getattr(getattr(route, "original_router", route), "routes", None) or ())
        dependant = getattr(route, "dependant", None)
        if isinstance(dependant, Dependant):
            yield from _of(dependant)


def _of(dependant: Dependant) -> Iterator[Unwired]:
    call: Any = dependant.call
    # The library tells nobody else what it has injected.
    patched = wiring._patched_registry.get_callable(call)
    for part in dependant.dependencies:
        if not isinstance(part.call, _MARKERS):
            yield from _of(part)
        elif patched is None or part.name not in patched.injections:
            is_injected = patched is not None and part.name in patched.reference_injections
            yield Unwired(f"{call.__module__}.{call.__qualname__}()", str(part.name), is_injected)
