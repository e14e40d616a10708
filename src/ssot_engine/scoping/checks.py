"""What can be wrong with a container, found when it starts instead of when a user connects."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dependency_injector import providers

from ssot_engine.errors import ConfigError, shown
from ssot_engine.scoping.graph import (
    Names,
    Provider,
    class_in_force,
    class_of,
    drawn,
    is_shared,
    kept_by,
    label,
    named,
    path_to,
    paths,
    reached,
)
from ssot_engine.scoping.scoped import Given, Scoped, in_force


class WiringError(ConfigError, TypeError):
    """The container's graph is wrong, or a scope was opened with a wrong, missing or unknown value.

    `provider` is the name it is about, or None; `path` the names from the holder down to what it holds.
    """

    def __init__(self, problem: str, provider: str | None = None, path: Iterable[str] = ()) -> None:
        path = tuple(path)
        super().__init__(problem, provider, path)
        self.problem = problem
        self.provider = provider
        self.path = path

    def __str__(self) -> str:
        return self.problem


def check_graph(by_name: Mapping[str, Provider]) -> None:
    """Refuse cycles and captive objects: what must be right before anything is built."""
    names = named(by_name)
    _check_cycles(names)
    _check_captives(names)


def check_declarations(by_name: Mapping[str, Provider]) -> None:
    """Refuse undefined dependencies, arguments no constructor takes, wrong classes and closes that do not exist."""
    names = named(by_name)
    for provider in reached(names):
        if isinstance(provider, providers.Dependency) and not provider.is_defined:
            path = path_to(provider, names)
            raise WiringError(
                f"{path[-1]!r} is not defined: {drawn(path)}; pass it when making the container or override it",
                path[-1],
                path,
            )
        _check_arguments(provider, names)
        _check_close(provider, names)


def bound(name: str, provider: Any, *, partial: bool = False) -> inspect.BoundArguments | None:
    """The arguments of a provider as its class takes them; None if the class does not say. Raises: WiringError."""
    provides = provider.provides
    try:
        signature = inspect.signature(provides)
    except (TypeError, ValueError):  # a built-in without a signature
        return None
    try:
        return (signature.bind_partial if partial else signature.bind)(*provider.args, **provider.kwargs)
    except TypeError as error:
        called = getattr(provides, "__name__", repr(provides))
        raise WiringError(
            f"{name!r} cannot call {called}: {error}; declare {name!r} with exactly what {called}{signature} takes",
            name,
        ) from None


def refused(name: str, wanted: type, value: object) -> WiringError:
    """The error for a value of another class than the provider declares."""
    return WiringError(
        f"{name!r} must be a {wanted.__name__}, got {type(value).__name__} {shown(value)}; "
        f"hand in a {wanted.__name__}, or leave {name!r} out to have the container's own",
        name,
    )


def unknown(name: str, known: Iterable[str], what: str) -> WiringError:
    """The error for a name the container does not have."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it provides: {', '.join(known)}"
    return WiringError(f"{what} names {name!r}, which this container does not provide; {hint}", name)


def check_differs(by_name: Mapping[str, Provider], given: frozenset[str]) -> None:
    """Refuse a name that one scope cannot have to itself, because something else reads the process's object."""
    names = named(by_name)
    for name in given:
        if isinstance(by_name[name], providers.Configuration):
            raise WiringError(f"{name!r} cannot differ in one scope: its options are read by the whole process", name)
    for root, root_name in names.items():
        if root_name in given:
            continue
        for path in paths(root, stop=lambda provider: names.get(provider) in given):
            *holders, held = path
            if names.get(held) in given and not isinstance(held, Scoped) and not isinstance(holders[-1], Scoped):
                _refuse_difference(names, path)


def _refuse_difference(names: Names, path: tuple[Provider, ...]) -> None:
    steps = tuple(label(provider, names) for provider in path)
    holder = path[-2]
    how = "holds it for the whole process" if is_shared(holder) else "takes it from the whole process"
    raise WiringError(
        f"{steps[-1]!r} cannot differ in one scope: {label(holder, names)!r} {how}: {drawn(steps)}; "
        f"hand in {steps[-2] if holder in names else steps[0]!r} too, or override {steps[-1]!r} for the process",
        steps[-1],
        steps,
    )


def _check_cycles(names: Names) -> None:
    done: set[Provider] = set()

    def visit(provider: Provider, path: tuple[Provider, ...]) -> None:
        if provider in path:
            loop = tuple(label(step, names) for step in (*path[path.index(provider) :], provider))
            raise WiringError(
                f"cycle: {drawn(loop)}; break it by handing one of them a recipe: `{loop[0]}.provider`", loop[0], loop
            )
        if provider not in done:
            for child in kept_by(provider):
                visit(child, (*path, provider))
            done.add(provider)

    for provider in names:
        visit(provider, ())


def _check_captives(names: Names) -> None:
    for holder in filter(is_shared, reached(names)):
        for path in paths(holder, stop=lambda provider: isinstance(provider, Scoped)):
            if isinstance(path[-1], Scoped):
                steps = tuple(label(provider, names) for provider in path)
                raise WiringError(
                    f"{steps[0]!r} is built once per process but would hold {steps[-1]!r}, which is per scope: "
                    f"{drawn(steps)}; make {steps[0]!r} Scoped, or hand it the recipe `{steps[-1]}.provider`",
                    steps[0],
                    steps,
                )


def _check_arguments(provider: Provider, names: Names) -> None:
    actual: Any = in_force(provider)
    recipe = actual.recipe if isinstance(actual, Scoped) else actual
    if not isinstance(recipe, providers.Callable | providers.Factory | providers.BaseSingleton):
        return
    if isinstance(actual, Given) or recipe.provides is None or isinstance(recipe.provides, providers.Provider):
        return
    name = label(provider, names)
    complete = isinstance(actual, Scoped | providers.BaseSingleton)
    taken = bound(name, recipe, partial=not complete)
    if taken is not None:
        _check_classes(name, recipe.provides, taken, names)


def _check_classes(name: str, provides: Any, taken: inspect.BoundArguments, names: Names) -> None:
    try:
        wanted = get_type_hints(provides.__init__ if isinstance(provides, type) else provides)  # type: ignore[misc]
    except (AttributeError, NameError, TypeError):  # names that exist for a type checker only
        return
    for parameter, given in taken.arguments.items():
        classes = _classes(wanted.get(parameter))
        have = class_in_force(given) if isinstance(given, providers.Provider) else None
        if classes and have is not None and not providers.is_delegated(given) and not issubclass(have, classes):
            want = " | ".join(cls.__name__ for cls in classes)
            path = (name, label(given, names))
            raise WiringError(
                f"{name!r} wants {parameter}: {want} but is given {path[-1]!r}, a {have.__name__}: {drawn(path)}; "
                f"give it a provider of {want}",
                name,
                path,
            )


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes an annotation allows; empty where that cannot be told from classes alone."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if Any in members or object in members:
        return ()
    plain = all(
        isinstance(m, type) and get_origin(m) is None and not getattr(m, "_is_protocol", False) for m in members
    )
    return (*members, *([int] if float in members else [])) if plain else ()


def _check_close(provider: Provider, names: Names) -> None:
    actual = in_force(provider)
    made = class_of(actual)
    if isinstance(actual, Scoped) and actual.close and made and not callable(getattr(made, actual.close, None)):
        name = label(provider, names)
        raise WiringError(
            f"{name!r} closes with {actual.close!r}, which {made.__name__} does not have; name one of its methods", name
        )
