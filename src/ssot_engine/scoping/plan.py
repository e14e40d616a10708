"""Compiled plans: each scoped provider as straight-line Python that builds what it needs, once, in order."""

from __future__ import annotations

import inspect
import itertools
import keyword
import linecache
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from dependency_injector import providers

from ssot_engine.scoping.checks import WiringError, bound
from ssot_engine.scoping.compiled import overrides
from ssot_engine.scoping.graph import Names, Provider, class_of, label, named
from ssot_engine.scoping.scoped import Given, Scoped, in_force

_compiling = threading.RLock()
_serial = itertools.count(1)


class Plan:
    """How to build one provider's object in a scope; `print(plan.source)` shows it.

    What was handed in (`given`) is read, never built, and neither is anything that only it would have needed. While a
    plan lives, tracebacks through it show its lines.
    """

    __slots__ = ("__weakref__", "build", "name", "source", "waits")

    def __init__(self, target: Provider, names: Names, given: frozenset[str]) -> None:
        writer = _Writer(names, given)
        result = writer.read(target)
        self.name = names[target]
        self.waits = writer.waits
        self.source = writer.source(result)
        self.build: Callable[[dict[str, Any], list[Callable[[], Any]], Any], Any] = self._compiled(writer.constants)

    def _compiled(self, constants: dict[str, Any]) -> Any:
        filename = f"<plan {next(_serial)} of {self.name}>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        weakref.finalize(self, linecache.cache.pop, filename, None).atexit = False
        exec(compile(self.source, filename, "exec"), constants)
        return constants.pop("build")


class Plans:
    """The plans of one container for one set of names handed in."""

    __slots__ = ("_providers", "compiled", "given", "kinds", "live", "overridden", "stamp")

    def __init__(
        self, by_name: Mapping[str, Provider], given: frozenset[str], required: frozenset[str], live: list[None]
    ) -> None:
        self._providers = by_name
        self.given = given
        #: The names handed in besides the required ones.
        self.overridden = given - required
        #: The class of each value handed in, where one is declared.
        self.kinds = tuple((name, kind) for name in sorted(given) if (kind := _checkable(by_name[name])) is not None)
        #: One entry per open scope of the container: appending and popping are atomic, counting up is not.
        self.live = live
        self.stamp = overrides.stamp
        self.compiled: dict[Provider, Plan] = {}

    def compile(self, provider: Provider) -> Plan:
        """The plan of a provider of the container. Raises: WiringError."""
        with _compiling:
            stamp = overrides.stamp  # read first: a change while compiling leaves the plan stale, never wrong
            if self.stamp is not stamp:
                self.compiled, self.stamp = {}, stamp
            plan = self.compiled.get(provider)
            if plan is None:
                names = named(self._providers)
                if provider not in names:
                    raise _foreign(provider)
                plan = self.compiled[provider] = Plan(provider, names, self.given)
            return plan


def required_names(by_name: Mapping[str, Provider]) -> frozenset[str]:
    """The names every scope must be given."""
    return frozenset(name for name, provider in by_name.items() if isinstance(in_force(provider), Given))


def _foreign(provider: Provider) -> WiringError:
    return WiringError(
        f"{provider} is not a provider of the container that opened this scope; "
        "ask with one of its own, `container.name`, not with its class's or another container's"
    )


def _checkable(provider: Provider) -> type | None:
    """The class `isinstance` can check; a Protocol that is not runtime-checkable says nothing."""
    kind = class_of(provider)
    silent = getattr(kind, "_is_protocol", False) and not getattr(kind, "_is_runtime_protocol", False)
    return None if silent else kind


class _Writer:
    """Writes the lines of one plan. Names with a leading underscore are the plan's own, all others providers'."""

    def __init__(self, names: Names, given: frozenset[str]) -> None:
        self.waits = False
        self.constants: dict[str, Any] = {}
        self._names = names
        self._given = given
        self._steps: list[tuple[bool, list[str]]] = []
        self._variables: dict[Provider, str] = {}

    def source(self, result: str) -> str:
        """The whole function. Among coroutines, each plain step takes the lock that threads build under."""
        lines = [f"{'async ' * self.waits}def build(_values, _opened, _lock):"]
        for waits, step in self._steps:
            guarded = self.waits and not waits
            lines += ["    with _lock:"] * guarded
            lines += [f"    {'    ' * guarded}{line}" for line in step]
        return "\n".join([*lines, f"    return {result}", ""])

    def visit(self, value: Any) -> str:
        """Write the steps that make the argument `value`; return the expression that reads it."""
        if not isinstance(value, providers.Provider):
            return self._constant(value)
        if providers.is_delegated(value) and self._names.get(value) not in self._given:
            return self._constant(value)  # an argument that is the provider itself
        if value not in self._variables:
            self._variables[value] = self.read(value)
        return self._variables[value]

    def read(self, provider: Provider) -> str:
        """Write the steps that make the provider's object; return the expression that reads it."""
        name, actual = self._names.get(provider), in_force(provider)
        if name is not None and name in self._given:
            return self._given_value(name)
        if isinstance(actual, Given):
            raise WiringError(f"{label(provider, self._names)!r} is Given but no name of the container can hand it in")
        if not isinstance(provider, Scoped):
            return f"{self._constant(provider)}()"  # asked each time, so that its own overrides go on working
        key = name or f"<{label(provider, self._names)} at {id(provider):#x}>"
        if isinstance(actual, Scoped) and (actual is provider or actual not in self._names):
            made, waits = self._call(key, actual)
            return self._build(key, made, actual.close, waits)
        return self._build(key, self.visit(actual), None, waits=False)

    def _call(self, name: str, provider: Scoped[Any]) -> tuple[str, bool]:
        provides = provider.provides
        if provides is None:
            raise WiringError(f"{name!r} has nothing to build it; give Scoped(...) a class or a function", name)
        args, kwargs = provider.recipe.args, provider.recipe.kwargs
        if (taken := bound(name, provider.recipe)) is not None:
            args, kwargs = taken.args, taken.kwargs  # a call by position takes half the time of one by keyword
        arguments = [self.visit(argument) for argument in args]
        arguments += [_keyword(key, self.visit(value)) for key, value in kwargs.items()]
        waits = inspect.iscoroutinefunction(provides)
        self.waits |= waits
        return f"{'await ' * waits}{self._constant(provides)}({', '.join(arguments)})", waits

    def _given_value(self, name: str) -> str:
        variable = self._variable(name)
        self._steps.append((True, [f"{variable} = _values[{name!r}]"]))
        return variable

    def _build(self, key: str, made: str, close: str | None, waits: bool) -> str:
        variable = self._variable(key)
        step = [
            f"if {key!r} in _values: {variable} = _values[{key!r}]",
            "else:",
            f"    {variable} = _values[{key!r}] = {made}",
        ]
        self._steps.append((waits, [*step, *([f"    _opened.append({variable}.{close})"] if close else [])]))
        return variable

    def _variable(self, name: str) -> str:
        if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name):
            return f"_v{len(self._steps)}"
        return name

    def _constant(self, value: Any) -> str:
        if value is None or type(value) in (bool, int, str):
            return repr(value)
        key = f"_c{len(self.constants)}"
        called = getattr(value, "__name__", "")
        key += f"_{called}" if isinstance(called, str) and called.isidentifier() else ""
        self.constants[key] = value
        return key


def _keyword(key: str, expression: str) -> str:
    plain = key.isidentifier() and not keyword.iskeyword(key)
    return f"{key}={expression}" if plain else f"**{{{key!r}: {expression}}}"
