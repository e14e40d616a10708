"""What functions take and classes have, told from their sources."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from ssot_engine.legacy.table import shipped_table
from ssot_engine.migrate.linting.arguments import shown
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.static.exports import Answer, Definition, Exports

HEAD = """
import abc, contextlib, dataclasses, enum, functools, typing
from collections.abc import Callable, Coroutine
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar, Generic, NamedTuple, Never, ParamSpec, Protocol, TypeVar
from msgspec import Struct
from nowhere import Strange, strange
F = TypeVar("F", bound=Callable)
P = ParamSpec("P")
def same(function: F) -> F: ...
def made(x: int) -> Callable[[F], F]: ...
def other(function: Callable) -> Callable: ...
def swapped(function: Callable) -> F: ...
class Base:
    def __init__(self, a, b=1): self.own = a
    def run(self): ...
class Call(Coroutine): ...
"""


def defined(text: str, folder: Path) -> Definition:
    """The definition of `x` in a module."""
    (folder / "m.py").write_text(HEAD + text)
    definition = Exports([folder]).definition("m.x")
    assert definition is not None
    return definition


CALLS: list[tuple[str, str | None]] = [
    ("def x(a, b=1, /, c=2, *d, e, f=3, **g): ...", "x(a, b=…, /, c=…, *more, e, f=…, **more)"),
    ("def x(a, *, b): ...", "x(a, *, b)"),
    ("def x(a, *b: Never, **c: Never): ...", "x(a)"),
    ("async def x(a): ...", "x(a)"),
    ("@same\ndef x(a): ...", "x(a)"),
    ("@made(1)\ndef x(a): ...", "x(a)"),
    ("@functools.lru_cache(maxsize=1)\ndef x(a): ...", "x(a)"),
    ("@functools.lru_cache\ndef x(a): ...", "x(a)"),
    ("@contextlib.contextmanager\ndef x(a): yield", "x(a)"),
    ("@other\ndef x(a): ...", None),
    ("@swapped\ndef x(a): ...", None),
    ("@strange\ndef x(a): ...", None),
    ("@same\n@strange\ndef x(a): ...", None),
    ("@typing.overload\ndef x(a): ...", None),
    ("class x: ...", "x()"),
    ("class x:\n  def __init__(self, a, *, b=1): ...", "x(a, *, b=…)"),
    ("class x:\n  def __new__(cls, a): ...", "x(a)"),
    ("class x:\n  def __new__(cls, *a, **b): ...\n  def __init__(self, c): ...", "x(c)"),
    ("class x:\n  def __new__(cls, a): ...\n  def __init__(self, b): ...", None),
    ("class x:\n  def __init__(*args): ...", "x(*more)"),
    ("class x(Base): ...", "x(a, b=…)"),
    ("class x(Base):\n  def __init__(self): ...", "x()"),
    ("class x(Generic[F], Base): ...", "x(a, b=…)"),
    ("class x(abc.ABC): ...", "x()"),
    ("class x(metaclass=abc.ABCMeta): ...", "x()"),
    ("class x(Protocol): ...", None),
    ("class x(Strange):\n  def __init__(self, a): ...", None),
    ("class x(metaclass=Strange): ...", None),
    ("@strange\nclass x: ...", None),
    ("class x(Exception): ...", None),
    ("class x(Exception):\n  def __init__(self, a): ...", "x(a)"),
    ("class x(enum.Enum):\n  A = 1\n  def __init__(self, a): ...", None),
    ("@dataclass\nclass x:\n  a: int\n  b: int = 1\n  c: ClassVar[int] = 2", "x(a, b=…)"),
    ("@dataclass(kw_only=True)\nclass x:\n  a: int\n  b: int = 1", "x(*, a, b=…)"),
    ("@dataclass\nclass x:\n  a: InitVar[int]\n  _: KW_ONLY\n  b: int", "x(a, *, b)"),
    ("@dataclass\nclass x:\n  a: int = field()\n  b: list = field(default_factory=list)", "x(a, b=…)"),
    ("@dataclass\nclass x:\n  a: int = field(init=False)\n  b: int = field(default=1, kw_only=True)", "x(*, b=…)"),
    ("@dataclass(init=False)\nclass x(Base):\n  c: int", "x(a, b=…)"),
    ("@dataclass\nclass y:\n  a: int\n  b: int\n@dataclass\nclass x(y):\n  c: int\n  a: int = 1", "x(a=…, b, c)"),
    ("class x(Struct):\n  a: int\n  b: int = 1", "x(a, b=…)"),
    ("class y(Struct, kw_only=True):\n  a: int\nclass x(y):\n  b: int", "x(b, *, a)"),
    ("class x(NamedTuple):\n  a: int\n  b: int = 1", "x(a, b=…)"),
    ("class y:\n  def x(self, a): ...\nx = y", "y()"),
    ("if f():\n  def x(a): ...\nelse:\n  def x(b): ...\nx = x", None),
]


@pytest.mark.parametrize(("text", "call"), CALLS)
def test_calls_are_known(text: str, call: str | None, tmp_path: Path) -> None:
    """What a call takes is what the source says, or not known where something else may decide on it."""
    (tmp_path / "m.py").write_text(HEAD + text)
    definition = Exports([tmp_path]).definition("m.x")
    takes = None if definition is None else definition.parameters
    assert call == (None if definition is None or takes is None else shown(definition.name, takes))


ASYNC = [
    ("async def x(): ...", True),
    ("async def x():\n  async def y(): yield", True),
    ("def x() -> Coroutine[None, None, int]: ...", True),
    ("def x() -> 'Coroutine[None, None, int]': ...", True),
    ("def x() -> typing.Coroutine[None, None, int]: ...", True),
    ("def x() -> Call: ...", True),
    ("@same\nasync def x(): ...", True),
    ("async def x():\n  yield 1", False),
    ("@contextlib.asynccontextmanager\nasync def x():\n  yield 1", False),
    ("@contextlib.asynccontextmanager\nasync def x(): ...", False),
    ("@other\nasync def x(): ...", False),
    ("def x() -> typing.Awaitable[int]: ...", False),
    ("def x() -> Base: ...", False),
    ("def x(): ...", False),
]


@pytest.mark.parametrize(("text", "is_async"), ASYNC)
def test_what_gives_a_coroutine_is_known(text: str, is_async: bool, tmp_path: Path) -> None:
    """A function that is async, or declared to give a coroutine, is so; a generator and a context manager are not."""
    assert is_async == defined(text, tmp_path).is_async


# The class has `c`, its instances `i` too; None: it may have more.
ATTRIBUTES: list[tuple[str, str, str]] = [
    ("class x:\n  c = 1\n  def d(self): self.i = 1", "c d", "i"),
    ("class x:\n  i: int\n  c: int = 1", "c", "i"),
    ("class x:\n  __slots__ = ('c', 'd')\n  c: int\n  def e(self): self.c = 1", "c d e", ""),
    ("class x:\n  def c(self):\n    def d(): self.i = self.j = 1", "c", "i j"),
    ("class x:\n  def c(self): self.i: int = 1; self.j, self.k = 1, 2", "c", "i j k"),
    (
        "class x:\n  def c(self): object.__setattr__(self, 'i', 1); put(self, 'j', 1); setattr(self, 'k', 2)",
        "c",
        "i j k",
    ),
    ("class x:\n  def __new__(cls):\n    self = object.__new__(cls); self.i = 1", "__new__", "i"),
    ("class x(Base):\n  def run(self): ...", "run", "own"),
    ("class x:\n  @property\n  def c(self): ...\n  @functools.cached_property\n  def d(self): ...", "c d", ""),
    ("class x:\n  def c(self): ...\n  d = c\nx.e = 1", "c d e", ""),
    ("class x:\n  class c: ...", "c", ""),
    ("class x(enum.Enum):\n  A = 1", "A name value", ""),
    ("@dataclass\nclass x:\n  i: int\n  c: int = 1\n  j: list = field(default_factory=list)", "c", "i j"),
    ("@dataclass(slots=True)\nclass x:\n  c: int", "c", ""),
    ("class x(Struct):\n  c: int", "c", ""),
    ("class x(NamedTuple):\n  c: int", "c count _replace", ""),
    ("class x(Exception):\n  def __init__(self): self.args = 1", "args with_traceback", ""),
    ("class y:\n  @classmethod\n  def c(cls): ...\nclass x(y): ...", "c", ""),
]


@pytest.mark.parametrize(("text", "of_class", "of_instances"), ATTRIBUTES)
def test_attributes_are_known(text: str, of_class: str, of_instances: str, tmp_path: Path) -> None:
    """What a class has, and what only its instances have; anything else it has not."""
    (tmp_path / "m.py").write_text(HEAD + text)
    exports = Exports([tmp_path])
    answers = {name: exports.resolves(f"m.x.{name}") for name in f"{of_class} {of_instances} nothing".split()}
    missing = dict.fromkeys([*of_instances.split(), "nothing"], Answer.MISSING)
    assert dict.fromkeys(of_class.split(), Answer.FOUND) | missing == answers
    definition = exports.definition("m.x")
    assert definition is not None
    assert {*of_class.split(), *of_instances.split()} <= definition.attributes.keys()
    assert not definition.is_open


OPEN = [
    "class x(Strange): ...",
    "class x(Strange, Base): ...",
    "class x(namedtuple('x', 'a')): ...",
    "class x(metaclass=Strange): ...",
    "class x(**options): ...",
    "@strange\nclass x: ...",
    "class x:\n  def __getattr__(self, name): ...",
    "class x:\n  if typing.TYPE_CHECKING:\n    def __getattr__(self, name): ...",
    "class x:\n  def c(self): setattr(self, name, 1)",
    "class x:\n  def c(self): self.__dict__.update(a=1)",
    "class x:\n  def c(self): vars(self).update(a=1)",
    "class x:\n  __slots__ = names",
    "class x: ...\nfor name in names: setattr(x, name, 1)",
    "class y(Strange): ...\nclass x(y): ...",
    "class x(typing.Any): ...",
    "class x(x): ...",
]


@pytest.mark.parametrize("text", OPEN)
def test_what_may_have_more_is_open(text: str, tmp_path: Path) -> None:
    """A class that may have attributes its source does not spell answers for none that it misses."""
    assert defined(text, tmp_path).is_open
    assert Answer.UNKNOWN == Exports([tmp_path]).resolves("m.x.nothing")


@pytest.fixture(scope="module")
def installed() -> Exports:
    """Exports of what is installed here."""
    return Exports()


@pytest.mark.parametrize("target", sorted(Lookup(shipped_table()).targets))
def test_replacements_are_as_they_are_told(target: str, installed: Exports) -> None:
    """Of each class and function of the shipped table: its parameters, attributes, and whether it is awaited."""
    definition = installed.definition(target)
    if definition is None:
        assert importlib.import_module(target)
        return
    thing = getattr(importlib.import_module(definition.module), definition.name)
    if definition.parameters is not None:
        assert _parameters(thing) == (definition.parameters.positional, definition.parameters.keyword_only)
    if definition.is_class:
        assert not definition.is_open
        assert set() == {name for name in dir(thing) if not name.startswith("__")} - definition.attributes.keys()
    for name, one in definition.attributes.items():
        if inspect.iscoroutinefunction(getattr(thing, name, None)):
            assert one.is_async, name


def _parameters(thing: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    assert callable(thing)
    parameters = inspect.signature(thing).parameters.values()
    return (
        tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD),
        tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY),
    )
