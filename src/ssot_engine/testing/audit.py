"""The audit of isolation: what mutable objects two engines can both reach, found by walking the heap."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import dis
import fractions
import functools
import gc
import pathlib
import re
import types
import uuid
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import Context, ContextVar
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from dependency_injector import containers, providers
from pydantic import BaseModel

from ssot_engine.agents import Agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import shown
from ssot_engine.scoping.graph import is_shared
from ssot_engine.scoping.plan import Plan, Plans

#: Nothing of these is reachable by being reached: code and its modules, the loop, what is ambient, and the container.
_BOUNDARIES = (
    types.ModuleType, type, types.CodeType, types.FrameType, types.TracebackType, asyncio.AbstractEventLoop, Context,
    containers.Container, providers.Provider, Plan, Plans,
)  # fmt: skip

#: Values without parts that matter.
_LEAVES = frozenset((
    bool, bytes, complex, float, int, object, range, slice, str, type(None), type(...), type(NotImplemented),
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, decimal.Decimal,
    fractions.Fraction, pathlib.PosixPath, pathlib.WindowsPath, re.Pattern, uuid.UUID, msgspec.Raw, ContextVar,
    weakref.ref,
))  # fmt: skip

#: What cannot change itself; what it holds may.
_IMMUTABLE = (
    tuple, frozenset, str, bytes, int, float, Enum, UserExecutionContext, functools.partial, property, staticmethod,
    classmethod, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType,
    types.MappingProxyType, types.GenericAlias, types.UnionType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType,
)  # fmt: skip

_Edges = Iterator[tuple[str, object]]


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """A mutable object that several roots reach, and how each reaches it, in the order of the roots."""

    obj: object
    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "".join([f"{type(self.obj).__qualname__} {shown(self.obj)}", *(f"\n    {path}" for path in self.paths)])


class Reach(NamedTuple):
    """What works for one user: the engine, and by name the shared agents and the tools it can call."""

    engine: UserExecutionEngine
    agents: dict[str, Agent]
    tools: dict[str, object]

    @classmethod
    def of(cls, engine: UserExecutionEngine) -> Reach:
        """All that this engine can use."""
        registry = engine.agent_factory.registry
        agents = {name: registry.make(name) for name in registry.names() if registry.is_shared(name)}
        return cls(engine, agents, {tool.name: tool.function for tool in engine.tool_registry.all()})


def assert_isolated(a: UserExecutionEngine, b: UserExecutionEngine, container: ExecutionContainer) -> None:
    """Refuse two engines of one container that share anything mutable besides the singletons it declares.

    Registered agents and tools serve everybody; what they hold must not change.

    Raises:
        AssertionError: it names each shared object and draws a path to it from either engine.
    """
    reaches = Reach.of(a), Reach.of(b)
    tools = [tool for engine in (a, b) for tool in engine.tool_registry.all()]
    found = shared_mutables(
        *reaches,
        allowed=[*declared_singletons(container), *tools],
        through=[one for reach in reaches for one in (*reach.agents.values(), *reach.tools.values())],
    )
    if found:
        users = " and ".join(f"{engine.user_context.user_id!r} ({engine.engine_id})" for engine in (a, b))
        drawn = "".join(f"\n  {one}" for one in found)
        raise AssertionError(f"the engines of {users} share {len(found)} mutable object(s):{drawn}")


def declared_singletons(container: ExecutionContainer) -> list[object]:
    """The objects a container declares to be one per process. Those not built yet are built."""
    return [
        provider()
        for provider in container.providers.values()
        if is_shared(provider) or isinstance(provider, providers.Object)
    ]


def shared_mutables(*roots: object, allowed: Iterable[object] = (), through: Iterable[object] = ()) -> list[Shared]:
    """The mutable objects that at least two roots reach, nearest first; of what hangs together only the topmost.

    The walk stops at `allowed` objects. Those in `through` may be shared, what they hold may not. It does not enter
    modules, classes, functions' globals, the event loop and context variables.
    """
    stops = {id(obj) for obj in allowed}
    excused = {id(obj) for obj in through}
    walks = [_Walk(root, stops) for root in roots]
    found: dict[int, Shared] = {}
    for walk in walks:
        for key, obj in walk.reached.items():
            holders = [other for other in walks if key in other.reached]
            if len(holders) > 1 and key not in found and key not in excused and walk.is_mutable(obj):
                found[key] = Shared(obj, tuple(holder.path(key) for holder in holders))
    return [shared for key, shared in found.items() if not any(walk.is_below(key, found) for walk in walks)]


class _Walk:
    """Everything one root reaches, breadth first, and from where each was reached first."""

    def __init__(self, root: object, stops: set[int]) -> None:
        #: id → object; what is reached is kept alive, so that ids stay true.
        self.reached: dict[int, object] = {id(root): root}
        self._from: dict[int, tuple[int, str]] = {}
        self._written: set[int] = set()
        ahead = deque([root])
        while ahead:
            holder = ahead.popleft()
            for label, child in self._edges(holder):
                key = id(child)
                if type(child) in _LEAVES or key in self.reached or key in stops or isinstance(child, _BOUNDARIES):
                    continue
                self.reached[key] = child
                self._from[key] = id(holder), label
                ahead.append(child)

    def path(self, key: int) -> str:
        """The way from the root."""
        labels: list[str] = []
        while key in self._from:
            key, label = self._from[key]
            labels.append(label)
        return type(self.reached[key]).__name__ + "".join(reversed(labels))

    def is_below(self, key: int, found: dict[int, Shared]) -> bool:
        """Whether it was reached through another object that was found, the root aside."""
        while key in self._from:
            key, _ = self._from[key]
            if key in found and key in self._from:
                return True
        return False

    def is_mutable(self, obj: object) -> bool:
        """Whether the object itself can change."""
        if isinstance(obj, types.CellType):
            return id(obj) in self._written
        if isinstance(obj, msgspec.Struct):
            return not obj.__struct_config__.frozen
        if isinstance(obj, BaseModel):
            return not obj.model_config.get("frozen")
        if dataclasses.is_dataclass(obj):
            return not type(obj).__dataclass_params__.frozen  # type: ignore[union-attr]
        return not isinstance(obj, _IMMUTABLE)

    # ------------------------------------------------------------------ from one to the next

    def _edges(self, obj: object) -> _Edges:
        if isinstance(obj, types.FunctionType):
            self._written.update(_written_cells(obj))
            return _of_function(obj)
        if isinstance(obj, asyncio.Future):
            return _of_future(obj)
        if isinstance(obj, dict):
            return _all(_of_dict(obj), _of_attributes(obj))
        if isinstance(obj, list | tuple | deque):
            return _all(_of_sequence(obj), _of_attributes(obj))
        if isinstance(obj, functools.partial):
            return iter([(".func", obj.func), *_of_sequence(obj.args), *_of_dict(obj.keywords)])
        return _of_instance(obj)


def _all(*edges: _Edges) -> _Edges:
    for some in edges:
        yield from some


def _of_dict(obj: dict[Any, Any]) -> _Edges:
    for key, value in dict.items(obj):
        yield f"[{shown(key)}]", value
        yield f" key {type(key).__name__}", key


def _of_sequence(obj: Iterable[object]) -> _Edges:
    fields = getattr(type(obj), "_fields", None)
    for index, item in enumerate(obj):
        yield (f"[{index}]" if fields is None else f".{fields[index]}"), item


def _of_function(function: types.FunctionType) -> _Edges:
    """Not its globals: what a module holds is the module's."""
    for index, value in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{index}]", value
    yield from _of_dict(function.__kwdefaults__ or {})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f".closure.{name}", cell
    for name, value in vars(function).items():
        yield f".{name}", value


def _of_future(future: asyncio.Future[Any]) -> _Edges:
    """What it computes; not who waits for it, who may be anybody."""
    if isinstance(future, asyncio.Task):
        yield ".get_coro()", future.get_coro()
    if future.done() and not future.cancelled() and future._exception is None:  # asking would count as seen
        yield ".result()", future.result()


def _of_instance(obj: object) -> _Edges:
    named: dict[int, tuple[str, object]] = {}
    for label, value in _of_attributes(obj):
        named.setdefault(id(value), (label, value))
    yield from named.values()
    own = _attributes(obj)
    for child in gc.get_referents(obj):
        if id(child) not in named and child is not own:
            yield f" > {type(child).__name__}", child


def _of_attributes(obj: object) -> _Edges:
    for name, value in (_attributes(obj) or {}).items():
        yield f".{name}", value
    for slot in _slots(type(obj)):
        try:
            yield f".{slot.__name__}", slot.__get__(obj)
        except AttributeError:  # never assigned
            continue


def _attributes(obj: object) -> dict[str, Any] | None:
    """The object's own attributes, as Python keeps them, whatever its class says about attribute access."""
    try:
        found = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _slots(cls: type) -> tuple[types.MemberDescriptorType, ...]:
    return tuple(
        value for base in cls.__mro__ for value in vars(base).values() if isinstance(value, types.MemberDescriptorType)
    )


def _written_cells(function: types.FunctionType) -> Iterator[int]:
    """The ids of the closure's cells that the function's code assigns to."""
    if function.__closure__:
        written = set(_assigned(function.__code__))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            if name in written:
                yield id(cell)


def _assigned(code: types.CodeType) -> Iterator[str]:
    """The names of outer variables that this code, or a function defined in it, assigns to."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in code.co_freevars:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from (name for name in _assigned(constant) if name in code.co_freevars)
