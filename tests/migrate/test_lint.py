"""Uses that new classes and functions do not bear."""

from __future__ import annotations

from pathlib import Path

import pytest
from entries import former

from ssot_engine.legacy.former import FormerModule, Kind, Table
from ssot_engine.legacy.table import shipped_table
from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.linting.lint import lint_uses
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.source import Source
from ssot_engine.migrate.static.exports import Exports

NEW = """
from contextlib import asynccontextmanager
from elsewhere import Unknown, unknown
from abc import ABC
from collections.abc import Coroutine
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union, overload
if TYPE_CHECKING:
    from new.side import Thing

class Engine:
    limit = 3

    def __init__(self, name, size=1, *, colour=None):
        self.name = name

    def run(self, task): ...
    def go(self): ...
    async def work(self, task, *more, **options): ...
    @classmethod
    def made(cls, name): ...
    @staticmethod
    def free(a, /): ...
    @property
    def state(self): ...
    def twin(self) -> "Engine": ...

class Sub(Engine):
    def more(self): ...

class Open(Unknown):
    def run(self): ...

class Lazy:
    def __getattr__(self, name): ...

class Shape(Protocol):
    def run(self): ...

class Base(ABC):
    def run(self): ...

async def fetch(key): ...
def begin() -> Coroutine[None, None, int]: ...
async def flow():
    yield 1
@asynccontextmanager
async def block():
    yield 1
def plain(): ...

def make() -> Engine: ...
def quoted() -> "Engine | None": ...
def either() -> Union[None, Engine]: ...
def thing() -> Thing: ...
@lru_cache
def kept() -> Optional[Engine]: ...
async def amake(key=None) -> Engine: ...
async def remade() -> Engine: ...
def begun() -> Coroutine[Any, Any, "Engine"]: ...

class Odd(Coroutine): ...
def several() -> Engine | Open: ...
def many() -> list[Engine]: ...
def odd() -> Odd: ...
@contextmanager
def entered() -> Engine: ...
@unknown
def replaced() -> Engine: ...
@overload
def chosen(key: int) -> Sub: ...
@overload
def chosen(key: str) -> Engine: ...
def chosen(key): ...
def chosen(key) -> Engine: ...
def nothing() -> Nothing: ...
def shape() -> Shape: ...
def lost() -> Unknown: ...
async def yields() -> Engine:
    yield 1
"""

FACTORIES = (
    "make", "quoted", "either", "thing", "kept", "amake", "begun", "remade",
    "several", "many", "odd", "entered", "replaced", "chosen", "nothing", "shape", "lost", "yields",
)  # fmt: skip


def lookup() -> Lookup:
    """A table with two old modules: one whose names went to `new`, and one that went there whole."""
    names = ("Engine", "Sub", "Open", "Lazy", "Shape", "Base", "fetch", "begin", "flow", "block", "plain", *FACTORIES)
    entries = {name: former("old", name, f"new.core.{name}") for name in names}
    entries["Changed"] = former("old", "Changed", "new.core.Engine", Kind.BEHAVIOUR_CHANGED)
    entries["Gone"] = former("old", "Gone", "write it yourself", Kind.REMOVED)
    whole = former("pack.old", "", "new.core")
    modules = {
        "old": FormerModule(module="old", names=entries),
        "pack.old": FormerModule(module="pack.old", whole=whole),
    }
    return Lookup(Table(modules=modules, source="table.yaml"))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The new module, and of the old one a function that was not async yet."""
    folder = tmp_path_factory.mktemp("new")
    (folder / "new").mkdir()
    (folder / "new/__init__.py").write_text("from new.core import Engine\nfrom new.side import Thing\n")
    (folder / "new/side.py").write_text("class Thing: ...\n")
    (folder / "new/core.py").write_text(NEW)
    (folder / "old.py").write_text("def remade(): ...\n")
    return Exports([folder])


def linted(code: str, exports: Exports, table: Lookup | None = None) -> list[Finding]:
    """What is found in a host's file."""
    source = Source(code.encode())
    place = Place(path="host.py", names=("host",), is_package=False)
    draft = Draft(source, place, lookup() if table is None else table, Bindings(source.tree))
    lint_uses(draft, exports)
    return sorted(draft.findings, key=lambda one: (one.line, one.column, one.rule))


ALL = (
    "from old import Engine, Changed, Open, Lazy, fetch, begin, flow, block, plain, Gone; "
    f"from old import Sub, Shape, Base, {', '.join(FACTORIES)}\n"
)
ATTRIBUTE, ARGUMENTS, AWAIT, UNBOUND = (
    Rule.MISSING_ATTRIBUTE, Rule.WRONG_ARGUMENTS, Rule.NOT_AWAITED, Rule.UNBOUND_NAME,
)  # fmt: skip

WRONG: list[tuple[str, Rule]] = [
    ("Engine.stop()", ATTRIBUTE),
    ("Engine.stop", ATTRIBUTE),
    ("Engine.stop\ndel Engine", ATTRIBUTE),
    ("x = [Engine.stop for y in z]", ATTRIBUTE),
    ("Engine.name", ATTRIBUTE),
    ("Changed.stop()", ATTRIBUTE),
    ("Engine('a').stop()", ATTRIBUTE),
    ("e = Engine('a')\ne.stop()", ATTRIBUTE),
    ("e: Engine = Engine('a')\ne.stop()", ATTRIBUTE),
    ("e = Engine('a')\nassert isinstance(e, Engine)\ne.stop()", ATTRIBUTE),
    ("def f():\n  e = Engine('a')\n  def g(): e.stop()", ATTRIBUTE),
    ("class C:\n  def a(self): self.e = Engine('a')\n  def b(self): self.e.stop()", ATTRIBUTE),
    ("patch.object(Engine, 'stop')", ATTRIBUTE),
    ("mock.patch.object(Engine, 'name')", ATTRIBUTE),
    ("monkeypatch.setattr(Engine, 'stop', None)", ATTRIBUTE),
    ("Engine()", ARGUMENTS),
    ("Engine('a', 1, 2)", ARGUMENTS),
    ("Engine('a', config=1)", ARGUMENTS),
    ("Engine('a', name='b')", ARGUMENTS),
    ("Engine(config=1, **more)", ARGUMENTS),
    ("Changed(config=1)", ARGUMENTS),
    ("Engine.run(1)", ARGUMENTS),
    ("Engine.run()", ARGUMENTS),
    ("Engine.go()", ARGUMENTS),
    ("Engine('a').run()", ARGUMENTS),
    ("Engine.made()", ARGUMENTS),
    ("Engine.free(a=1)", ARGUMENTS),
    ("plain(1)", ARGUMENTS),
    ("async def f():\n  await fetch()", ARGUMENTS),
    ("async def f():\n  await Engine('a').work()", ARGUMENTS),
    ("fetch(1)", AWAIT),
    ("begin()", AWAIT),
    ("Engine('a').work(1)", AWAIT),
    ("fetch(1).value", AWAIT),
    ("fetch(1)[0]", AWAIT),
    ("fetch(1)()", AWAIT),
    ("if fetch(1): pass", AWAIT),
    ("x = not fetch(1)", AWAIT),
    ("x = fetch(1) or 2", AWAIT),
    ("x = fetch(1) == 2", AWAIT),
    ("x = fetch(1) + 2", AWAIT),
    ("x = 1 if fetch(1) else 2", AWAIT),
    ("for x in fetch(1): pass", AWAIT),
    ("x = [y for y in fetch(1)]", AWAIT),
    ("with fetch(1): pass", AWAIT),
    ("async def f():\n  async with fetch(1): pass", AWAIT),
    ("x = f'{fetch(1)}'", AWAIT),
    ("x = fetch(1)\nx.value", AWAIT),
    ("def f():\n  x = fetch(1)", AWAIT),
    ("def f():\n  x = fetch(1)\n  return x.value", AWAIT),
    ("class C:\n  def a(self): self.x = fetch(1)\n  def b(self): return self.x.value", AWAIT),
    ("import pack.old as m\nm.Engine('a').stop()", ATTRIBUTE),
    ("import pack.old\npack.old.Engine.stop", ATTRIBUTE),
    ("import pack\npack.old.Engine.stop", ATTRIBUTE),
    ("from pack import old as m\nm.Engine.stop", ATTRIBUTE),
    ("import old as m\nm.Engine.stop", ATTRIBUTE),
    ("from new.core import Engine as E\nE.stop", ATTRIBUTE),
    ("from new import Engine as E\nE.stop", ATTRIBUTE),
    ("import new.core as n\nn.Engine.stop", ATTRIBUTE),
    ("import new\nnew.core.Engine.stop", ATTRIBUTE),
    ("from pack.old import Nothing", UNBOUND),
    ("from new.core import Nothing", UNBOUND),
    ("import pack.old as m\nm.Nothing", UNBOUND),
    ("import new.core as n\nn.Nothing()", UNBOUND),
    ("import new.core as n\npatch.object(n, 'Nothing')", UNBOUND),
    ("try:\n  from old import Engine as E\nexcept ImportError:\n  E = None\nE.stop", ATTRIBUTE),
    ("try:\n  from old import Engine as E\nexcept ImportError:\n  from new.core import Engine as E\nE.stop", ATTRIBUTE),
]


@pytest.mark.parametrize(("code", "rule"), WRONG)
def test_a_wrong_use_is_found(code: str, rule: Rule, exports: Exports) -> None:
    """What is certainly wrong about a use of a new class, function or module is found, once, and left to a person."""
    found = linted(ALL + code, exports)
    assert [(rule, True)] == [(one.rule, one.by_hand) for one in found]


RIGHT = [
    "Engine.limit; Engine.run; Engine.made('a'); Engine.free(1); Engine.__doc__; Engine.__qualname__; Engine.mro()",
    "e = Engine('a', 2, colour=3)\ne.name; e.run(1); e.run(task=1); e.state.anything; e.limit",
    "Engine(*args); Engine(**options); Engine('a', *args, **options)",
    "Engine.run(Engine('a'), 1); Engine.run(*args)",
    "Engine.stop = lambda self: 1\nEngine.stop()",
    "e = Engine('a')\ne.stop = 1\ne.stop",
    "if hasattr(Engine, 'stop'): Engine.stop()",
    "getattr(Engine, 'stop', None)",
    "e = Engine('a') if x else Other()\ne.stop()",
    "e = Engine('a')\ne = Other()\ne.stop()",
    "def f(Engine): Engine.stop()",
    "patch.object(Engine, 'stop', create=True); monkeypatch.setattr(Engine, 'stop', 1, raising=False)",
    "patch.object(Engine, 'run'); patch.object(Engine, name); patch.object(Engine)",
    "Open.stop(); Open(1, 2); Open(x=1); Open().stop; Lazy().anything; Lazy.anything",
    "flow(); block(); x = flow(); y = block()\nx.aclose(); plain(); Gone.anything(); Gone(1)",
    "async def f():\n  await fetch(1)\n  x = await fetch(1)\n  x.value\n  return fetch(1)",
    "async def f():\n  x = fetch(1)\n  y = await x\n  y.value; x.close()",
    "async def f():\n  async with block() as b: b.value\n  async for x in flow(): pass",
    "asyncio.run(fetch(1)); asyncio.gather(fetch(1), begin()); unknown(fetch(1)); unknown(key=fetch(1))",
    "x = lambda: fetch(1)\ny = [fetch(1), begin()]\nz = {1: fetch(1)}",
    "def f():\n  yield fetch(1)",
    "x = fetch(1)\nrun(x)",
    "x = fetch(1)",
    "def f():\n  global x\n  x = fetch(1)",
    "class C:\n  def a(self): self.x = fetch(1)\n  async def b(self): return await self.x",
    "class C:\n  def a(self): self.x = fetch(1)",
    "class C:\n  x = fetch(1)",
    "x = y or fetch(1)\nz = fetch(1) if y else begin()",
    "import pack.old as m\nm.Engine('a').run(1); m.NEW = 1",
    "from new.core import Unknown\nUnknown.anything(1)",
    "import new\nnew.other.thing()",
    "from new import Thing\nThing.stop()",
    "import pack.old as m\nm.Engine.stop = 1\ndel m.Engine.stop",
    "async def f():\n  await Engine('a').work(1, 2, x=3)",
    "class C:\n  def a(self): self.e = Engine('a')\n  def b(self): self.e = Other()\n  def c(self): self.e.stop()",
    "def f():\n  x = fetch(1)\n  x.close()\n  fetch(1).close()",
    "x = fetch(1)\nrun(x)\nx.value",
    "from other import Engine as E\nE.stop()",
    "from old import *\nstop()",
    "E = None\nfrom old import Engine as E\nE.stop",
    "from .old import Engine as E",
]


@pytest.mark.parametrize("code", RIGHT)
def test_what_may_be_right_is_left_alone(code: str, exports: Exports) -> None:
    """What is right, or right as far as anybody can tell from the source, is not told of."""
    assert [] == linted(ALL + code, exports)


DECLARED: list[tuple[str, Rule]] = [
    ("def f(e: Engine): e.stop()", ATTRIBUTE),
    ("def f(e: Engine, /): e.stop()", ATTRIBUTE),
    ("def f(*, e: Engine): e.stop()", ATTRIBUTE),
    ("def f(e: Engine = None): e.stop()", ATTRIBUTE),
    ("def f(e: Engine):\n  return lambda: e.stop()", ATTRIBUTE),
    ("def f(e: 'Engine'): e.stop()", ATTRIBUTE),
    ("def f(e: Engine | None): e.stop()", ATTRIBUTE),
    ("def f(e: None | Engine): e.stop()", ATTRIBUTE),
    ("def f(e: 'Engine | None'): e.stop()", ATTRIBUTE),
    ("def f(e: Optional[Engine]): e.stop()", ATTRIBUTE),
    ("def f(e: t.Optional['Engine']): e.stop()", ATTRIBUTE),
    ("def f(e: Union[Engine, None]): e.stop()", ATTRIBUTE),
    ("def f(e: Changed): e.stop()", ATTRIBUTE),
    ("import pack.old as m\ndef f(e: m.Engine): e.stop()", ATTRIBUTE),
    ("import pack.old\ndef f(e: 'pack.old.Engine'): e.stop()", ATTRIBUTE),
    ("if TYPE_CHECKING:\n  from new.core import Engine as E\ndef f(e: 'E'): e.stop()", ATTRIBUTE),
    ("def f(e: Engine): e.run()", ARGUMENTS),
    ("def f(e: Engine): e.work(1)", AWAIT),
    ("e: Engine = thing\ne.stop()", ATTRIBUTE),
    ("e: Engine = unknown()\ne.stop()", ATTRIBUTE),
    ("async def f():\n  e: Engine = await unknown()\n  e.stop()", ATTRIBUTE),
    ("e: Engine = Engine('a')\ne.stop()", ATTRIBUTE),
    ("class C:\n  e: Engine\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  e: Engine | None = None\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  def __init__(self): self.e: Engine = unknown()\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  def __init__(self, e: Engine): self.e = e\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  def __init__(self, e: Engine): self.e: Engine = e\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  e: Engine\n  def __init__(self, e: Engine): self.e = e\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("class C:\n  e = None\n  def __init__(self, e: Engine): self.e = e\n  def a(self): self.e.stop()", ATTRIBUTE),
    ("def f(e: Engine):\n  d = e\n  d.stop()", ATTRIBUTE),
]


@pytest.mark.parametrize(("code", "rule"), DECLARED)
def test_what_is_declared_to_be_an_instance_is_followed(code: str, rule: Rule, exports: Exports) -> None:
    """A parameter, variable or attribute whose only type is a new class is looked at as an instance of it."""
    assert [rule] == [one.rule for one in linted(ALL + code, exports)]


RESULTS: list[tuple[str, Rule]] = [
    ("make().stop()", ATTRIBUTE),
    ("make().run()", ARGUMENTS),
    ("make().work(1)", AWAIT),
    ("e = make()\ne.stop()", ATTRIBUTE),
    ("e = quoted()\ne.stop()", ATTRIBUTE),
    ("either().stop()", ATTRIBUTE),
    ("thing().stop()", ATTRIBUTE),
    ("kept().stop()", ATTRIBUTE),
    ("async def f():\n  (await amake()).stop()", ATTRIBUTE),
    ("async def f():\n  e = await amake()\n  e.stop()", ATTRIBUTE),
    ("class C:\n  async def a(self): self.e = await amake()\n  def b(self): self.e.stop()", ATTRIBUTE),
    ("async def f():\n  e = await begun()\n  e.stop()", ATTRIBUTE),
    ("Engine('a').twin().stop()", ATTRIBUTE),
    ("e: Engine = make()\ne.stop()", ATTRIBUTE),
]


@pytest.mark.parametrize(("code", "rule"), RESULTS)
def test_what_a_function_gives_is_followed(code: str, rule: Rule, exports: Exports) -> None:
    """The result of a function that says which class it is of is looked at as an instance of it."""
    assert [rule] == [one.rule for one in linted(ALL + code, exports)]


OPEN = [
    "def f(e: Engine): e.run(1); e.name; e.work",
    "def f(e: Engine):\n  e = other()\n  e.stop()",
    "def f(e: Engine):\n  for e in x: e.stop()",
    "def f(e: Engine):\n  def g():\n    nonlocal e\n    e = other()\n  e.stop()",
    "def f(*e: Engine, **d: Engine): e.stop(); d.stop()",
    "def f(e: Engine | Open): e.stop()",
    "def f(e: Engine | Other | None): e.stop()",
    "def f(e: Union[Engine, Other]): e.stop()",
    "def f(e: list[Engine], d: type[Engine], c: Literal['Engine']): e.stop(); d.stop(); c.stop()",
    "def f(e: 'not a type'): e.stop()",
    "def f(e: Open): e.stop()",
    "def f(e: Other): e.stop()",
    "def f(e: Shape, d: Base): e.stop(); d.stop()",
    "def f(e: Engine): e()\nEngine('a')()",
    "def f(e: Engine):\n  e.stop()  # type: ignore[attr-defined]\n  e.stop()",
    "def f(e: Engine):\n  if e.stop():  # pyright: ignore\n    e.stop()",
    "def f(e: make): e.stop(); e(1)",
    "def f(e: Engine):\n  if isinstance(e, Sub): e.stop()",
    "def f(e: Engine):\n  known = isinstance(e, Sub)\n  known and e.stop()",
    "def f(e: Engine):\n  if is_sub(e): e.stop()",
    "def f(e: Engine):\n  match e:\n    case Sub(): e.stop()",
    "def f(e: Engine):\n  if type(e) is Sub: e.stop()",
    "def f(e: Engine):\n  if hasattr(e, 'stop'): e.stop()",
    "def f(e: Engine):\n  getattr(e, 'stop', None) and e.stop()",
    "def f(e: Engine):\n  e.stop = 1\n  e.stop",
    "e: Engine = Sub('a') if x else other()\ne.stop()",
    "e: Engine = Mock()\ne.stop()",
    "e: Engine = Sub('a')\ne.more()",
    "e: Engine | None = None\ndef f():\n  global e\n  e = other()\n  e.stop()",
    "e: Engine\ne = other()\ne.stop()",
    "e: make() = other()\ne.stop()",
    "class C:\n  Engine = 1\n  e: Engine\n  def a(self): self.e.stop()",
    "class C:\n  e: Engine\n  def a(self): self.e = other()\n  def b(self): self.e.stop()",
    "class C:\n  e: Engine = Field()\n  def a(self): self.e.stop()",
    "class C:\n  e: Engine\n  def a(self): isinstance(self.e, Sub) and self.e.stop()",
    "class C:\n  e: Engine\n  e = other()\n  def a(self): self.e.stop()",
    "class C:\n  e: Engine\nclass D(C):\n  def a(self): self.e.stop()",
    "class C:\n  def __init__(self, e: Engine): self.e = e\n  def a(self): self.e = 1\n  def b(self): self.e.stop()",
    "class C:\n  e = other()\n  def __init__(self, e: Engine): self.e = e\n  def b(self): self.e.stop()",
    "class C:\n  def e(self): ...\n  def __init__(self, e: Engine): self.e = e\n  def b(self): self.e.stop()",
    "class C:\n  def __init__(self, e: Engine): self.e = e\n  def a(self):\n    if hasattr(self.e, 'x'): self.e.stop()",
    "class C:\n  def a(self): self.e = Engine('a')\n  def b(self):\n    if hasattr(self.e, 'stop'): self.e.stop()",
    "a: Engine = b\nb: Engine = a",
    "several().stop(); many().stop(); entered().stop(); replaced().stop(); nothing().stop(); lost().stop()",
    "shape().stop(); begun().close(); x = run(amake())\nx.stop()",
    "async def f():\n  e = await remade()\n  run(e.work(1))",
    "chosen(1).more(); yields().stop(); thing().__doc__",
    "async def f():\n  (await odd()).stop()",
    "e = make()\nassert isinstance(e, Sub)\ne.more()",
    "e = make()\ne = other()\ne.stop()",
    "Sub('a').twin().more()",
    "async def f():\n  (await amake()).run(1)\n  e = amake()\n  await e",
]


@pytest.mark.parametrize("code", OPEN)
def test_what_may_be_more_than_it_is_declared_is_left_alone(code: str, exports: Exports) -> None:
    """Nothing is told of what may be bound otherwise, of several classes, or of one that the file asks for."""
    assert [] == linted(ALL + code, exports)


def test_an_instance_that_was_found_asks_nothing_of_its_function(exports: Exports) -> None:
    """Names in a finding tell how the instance was come by, and the class it is of."""
    assert [("old.make().stop", "new.core.Engine"), ("old.Engine.stop", "new.core.Engine")] == [
        (one.old, one.new) for one in linted(f"{ALL}make().stop()\ndef f(e: Engine): e.stop()", exports)
    ]


def test_where_no_name_is_close_some_are_listed(exports: Exports) -> None:
    """What a class has is told in the order of its source, without what every class has."""
    [finding] = linted(f"{ALL}Engine('n').configure()", exports)
    had = "limit, run, go, work, made, free and 3 more"
    told = f"new.core.Engine has no attribute 'configure'; use what it has ({had}), or remove this use"
    assert told == finding.todo


def test_a_finding_says_what_to_do(exports: Exports) -> None:
    """Findings name the old and the new, and say the change; an entry whose behaviour changed adds why."""
    code = f"{ALL}async def f():\n  Changed(config=1).works()\n  x = fetch('k')\n  x.v\n"
    assert [
        (
            3, 3, "old.Changed", "new.core.Engine", "it differs",
            "new.core.Engine does not take config= and lacks name; call it as Engine(name, size=…, *, colour=…)",
        ),
        (
            3, 3, "old.Changed.works", "new.core.Engine", "it differs",
            "new.core.Engine has no attribute 'works'; use 'work', or remove this use",
        ),
        (
            4, 7, "old.fetch", "new.core.fetch", "",
            "await this call: it gives a coroutine, whose attribute 'v' is asked for as 'x'",
        ),
    ] == [
        (one.line, one.column, one.old, one.new, one.note, one.todo)
        for one in sorted(linted(code, exports), key=lambda one: (one.line, one.old))
    ]  # fmt: skip


def test_where_nothing_can_be_awaited_that_is_said(exports: Exports) -> None:
    """A function that is not async cannot await; what is to be done says so."""
    (finding,) = linted(f"{ALL}def f():\n  fetch(1)", exports)
    told = "await this call, in a function that is async itself: it gives a coroutine, which nobody awaits"
    assert told == finding.todo


def test_methods_are_named_whole(exports: Exports) -> None:
    """The old name of a method's call is the class's with the method's."""
    assert [("old.Engine.run", "new.core.Engine.run")] == [
        (one.old, one.new) for one in linted(f"{ALL}Engine('a').run()", exports)
    ]


def test_relative_imports_are_resolved(exports: Exports) -> None:
    """In a package, a relative import of an old module counts like any other."""
    source = Source(b"from .old import Engine\nEngine.stop()\n")
    draft = Draft(source, Place(path="p", names=("pack.m",), is_package=False), lookup(), Bindings(source.tree))
    lint_uses(draft, exports)
    assert ["pack.old.Engine.stop"] == [one.old for one in draft.findings]


@pytest.fixture(scope="module")
def installed() -> Exports:
    """Exports of what is installed here."""
    return Exports()


OF_THE_GUIDE = [
    ("execution_engine_factory import ExecutionEngineFactory as F\nF.configure(websocket_bridge=b)", ATTRIBUTE),
    ("execution_factory import ExecutionEngineFactory as F\nF(config=c)", None),
    ("execution_factory import ExecutionEngineFactory as F\nF(other=c)", ARGUMENTS),
    ("execution_engine_factory import ExecutionEngineFactory as F\nF(config=c)", ARGUMENTS),
    ("execution_engine_factory import get_execution_engine_factory as g\ng().create_for_user(c)", AWAIT),
    ("execution_engine_factory import get_execution_engine_factory as g\nasync def f():\n  return await g()", None),
    ("execution_engine_factory import user_execution_engine as u\nasync def f():\n  async with u(c) as e: e.run", None),
    ("execution_engine_factory import create_request_scoped_engine as c\ne = c(x)\ne.run('a', 'b')", AWAIT),
    (
        "user_execution_engine import UserExecutionEngine as E\nE(context=c, websocket_emitter=w)",
        ARGUMENTS,
    ),
]


@pytest.mark.parametrize(("code", "rule"), OF_THE_GUIDE)
def test_the_shipped_table_is_linted(code: str, rule: Rule | None, installed: Exports) -> None:
    """What broke at the calls of migrated hosts is found with the shipped table."""
    found = linted(f"from netra_backend.app.agents.supervisor.{code}", installed, Lookup(shipped_table()))
    assert ([] if rule is None else [rule]) == [one.rule for one in found]


def test_a_new_module_that_is_nowhere_tells_nothing(tmp_path: Path) -> None:
    """Where the new modules cannot be found, nothing is said of their names; verifying says that they are missing."""
    assert [] == linted(f"{ALL}from pack.old import Nothing\nEngine.stop()\nfetch()", Exports([], [str(tmp_path)]))
