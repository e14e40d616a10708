"""What modules export, told from their sources."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import re
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from ssot_engine.legacy.table import shipped_table
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.static.exports import Answer, Exports

FOUND, MISSING, UNKNOWN = Answer.FOUND, Answer.MISSING, Answer.UNKNOWN


def written(folder: Path, **files: str) -> Exports:
    """Exports of modules with these texts; `a__b` is `a/b.py`, `a__` the `__init__` of `a`."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py").replace("/.py", "/__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Exports([folder])


NAMES = [
    ("x = 1", FOUND),
    ("def x(): ...", FOUND),
    ("async def x(): ...", FOUND),
    ("class x: ...", FOUND),
    ("a, (x, *b) = 1, (2, 3)", FOUND),
    ("x: int = 1", FOUND),
    ("x: int", MISSING),
    ("import x.y", UNKNOWN),
    ("import json as x", FOUND),
    ("import json.decoder as x", FOUND),
    ("from json import loads as x", FOUND),
    ("from json import nothing as x", MISSING),
    ("import nowhere as x", UNKNOWN),
    ("import json.nowhere as x", MISSING),
    ("with open('f') as x: pass", FOUND),
    ("with open('f'): x = 1", FOUND),
    ("for x in f(): pass", UNKNOWN),
    ("while f(): x = 1", UNKNOWN),
    ("if f():\n  x = 1", UNKNOWN),
    ("if f():\n  x = 1\nelse:\n  x = 2", FOUND),
    ("if f():\n  x = 1\nelse:\n  raise SystemExit", FOUND),
    ("if f():\n  pass\nelse:\n  sys.exit()\nx = 1", FOUND),
    ("try:\n  import nowhere as x\nexcept ImportError:\n  x = None", FOUND),
    ("try:\n  import nowhere as x\nexcept ImportError:\n  pass", UNKNOWN),
    ("try:\n  import json as x\nexcept ImportError:\n  pass", UNKNOWN),
    ("try:\n  f()\nexcept E:\n  raise\nelse:\n  x = 1", FOUND),
    ("try:\n  f()\nfinally:\n  x = 1", FOUND),
    ("try:\n  f()\nexcept E:\n  pass\nfinally:\n  x = 1", FOUND),
    ("match f():\n  case 1: x = 1", UNKNOWN),
    ("x = 1\ndel x", MISSING),
    ("x, y = 1, 2\ndel (x, y)", MISSING),
    ("x = 1\nif f():\n  del x", UNKNOWN),
    ("import sys\nif sys.version_info >= (3, 11):\n  x = 1", FOUND),
    ("import sys\nif sys.version_info < (3, 11):\n  x = 1", MISSING),
    ("import sys\nif sys.platform == 'elsewhere':\n  x = 1\nelse:\n  y = 1", MISSING),
    ("if TYPE_CHECKING:\n  import json as x", MISSING),
    ("if not TYPE_CHECKING:\n  import json as x", FOUND),
    ("if __name__ == '__main__':\n  x = 1", MISSING),
    ("if 0:\n  x = 1", MISSING),
    ("def f():\n  global x\n  x = 1", UNKNOWN),
    ("if (x := f()): pass", UNKNOWN),
    ("def f():\n  x = 1", MISSING),
    ("def f():\n  return globals()['y']", MISSING),
    ("globals()['y'] = 1", UNKNOWN),
    ("globals().update(y=1)", UNKNOWN),
    ("y = 'z' in globals()", MISSING),
    ("y = '{z}'.format(**locals())", UNKNOWN),
    ("def f():\n  return '{z}'.format(**locals())", MISSING),
    ("exec('x = 1')", UNKNOWN),
    ("import sys\nsys.modules[__name__] = f()", UNKNOWN),
    ("import sys, wave as instead\nsys.modules[__name__] = instead\nx = 1", MISSING),
    ("import sys\nsetattr(sys.modules[__name__], 'y', 1)", UNKNOWN),
    ("def __getattr__(name): ...", UNKNOWN),
    ("def __getattr__(name): ...\nif TYPE_CHECKING:\n  from json import loads as x", FOUND),
    ("def __getattr__(name): ...\nif TYPE_CHECKING:\n  from json import nothing as x", UNKNOWN),
    ("from math import *", UNKNOWN),
    ("from nowhere import *", UNKNOWN),
    ("x = (", UNKNOWN),
    ("# coding: latin-1\nx = '\u00e9'", FOUND),
]


@pytest.mark.parametrize(("text", "answer"), NAMES)
def test_a_name_is_bound_as_the_language_says(text: str, answer: Answer, tmp_path: Path) -> None:
    """A name of a module is found, missing or not known by what every way through its top level does."""
    (tmp_path / "m.py").write_text(text, encoding="latin-1" if "latin" in text else "utf-8")
    assert answer == Exports([tmp_path]).resolves("m.x")


PACKAGES: list[tuple[str, Answer]] = [
    ("pack", FOUND),
    ("pack.inner", FOUND),
    ("pack.inner.deep", FOUND),
    ("pack.inner.Deep", FOUND),
    ("pack.Deep", FOUND),
    ("pack.Again", FOUND),
    ("pack.Same", FOUND),
    ("pack.up", FOUND),
    ("pack.loop", UNKNOWN),
    ("pack.listed", FOUND),
    ("pack._listed_too", FOUND),
    ("pack.added", FOUND),
    ("pack.unlisted", MISSING),
    ("pack.public", FOUND),
    ("pack.perhaps", UNKNOWN),
    ("pack._private", MISSING),
    ("pack.inner.deep.json.decoder.JSONDecoder", FOUND),
    ("pack.__path__", FOUND),
    ("pack.__name__", FOUND),
    ("pack.inner.deep.__path__", UNKNOWN),
    ("pack.nothing", MISSING),
    ("pack.nothing.more", MISSING),
    ("plain.folder.module.x", FOUND),
    ("plain.folder.nothing", MISSING),
    ("plain.Name", MISSING),
    ("nowhere", MISSING),
    ("nowhere.x", MISSING),
    ("sys", FOUND),
    ("sys.path", UNKNOWN),
    ("sys.path.x", UNKNOWN),
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Packages that take names from each other in all ways."""
    return written(
        tmp_path_factory.mktemp("packages"),
        pack__=(
            "from .inner import Deep, Deep as Again\nfrom . import inner as up\nfrom pack.two import loop\n"
            "Same = up.Deep\nfrom .listing import *\nfrom .open import *\n"
            "from .counted import *\n"
        ),
        pack__inner__="from .deep import Deep\n",
        pack__inner__deep="import json\nclass Deep: ...\n",
        pack__two="from pack import loop\n",
        pack__listing=(
            "from . import more\n__all__ = ['listed', '_listed_too'] + more.__all__\nfrom .more import *\n"
            "listed = _listed_too = unlisted = 1\n"
        ),
        pack__more="__all__ = []\n__all__ += ['added']\nadded = 1",
        pack__counted="__all__ = sorted(names)\nperhaps = 1\n",
        pack__open="public = _private = 1\n",
        plain__folder__module="x = 1\n",
    )


@pytest.mark.parametrize(("dotted", "answer"), PACKAGES)
def test_names_are_followed_through_packages(dotted: str, answer: Answer, packages: Exports) -> None:
    """Re-exports, relative imports, star imports, aliases and folders without `__init__` lead to where a name is."""
    assert answer == packages.resolves(dotted)


def test_a_definition_is_where_its_source_is(packages: Exports) -> None:
    """By whatever way a class is imported, its definition is the one."""
    places = [packages.definition(f"pack.{name}") for name in ("Deep", "Again", "Same", "inner.Deep", "up.deep.Deep")]
    assert ["pack.inner.deep.Deep"] * 5 == [one.dotted for one in places if one is not None]


def test_roots_come_first_and_may_be_packages(tmp_path: Path) -> None:
    """A module is looked for in the roots and their `src`, then elsewhere; a root in a package means what is above."""
    search = tmp_path / "later"
    written(tmp_path / "first", shop__="a = 1", shop__cart__="b = 1")
    written(tmp_path / "second" / "src", store="c = 1")
    written(search, shop__="z = 1", other="d = 1")
    exports = Exports([tmp_path / "first/shop/cart", tmp_path / "second"], [str(search)])
    names = ("shop.a", "shop.cart.b", "store.c", "other.d", "shop.z", "cart.b", "json")
    assert [FOUND] * 4 + [MISSING] * 3 == [exports.resolves(name) for name in names]


def test_what_has_no_source_is_not_known(tmp_path: Path) -> None:
    """Of an extension, of compiled files alone and of archives is known that they are, and what a stub says."""
    ending = importlib.machinery.EXTENSION_SUFFIXES[0]
    for name in (f"fast{ending}", f"told{ending}", "old.pyc", f"pack/__init__{ending}"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "told.pyi").write_text("x: int\ndef f() -> int: ...\nclass C:\n  a: int\n  def m(self): ...\n")
    (tmp_path / "pack/inner.py").write_text("x = 1")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("zipped.py", "x = 1")
    exports = Exports(search=[str(tmp_path), str(tmp_path / "packed.zip")])
    known = ("fast", "told", "old", "pack", "zipped", "told.x", "told.f", "pack.inner.x")
    assert dict.fromkeys(known, FOUND) == {name: exports.resolves(name) for name in known}
    open_ = ("fast.x", "told.y", "told.C.a", "told.C.m", "told.C.b", "old.x", "pack.x", "zipped.x")
    assert dict.fromkeys(open_, UNKNOWN) == {name: exports.resolves(name) for name in open_}


def test_a_large_module_is_read_like_any_other(tmp_path: Path) -> None:
    """The size of a file makes no difference."""
    exports = written(tmp_path, large="\n".join(f"name_{index} = {index}" for index in range(30_000)))
    assert (FOUND, MISSING) == (exports.resolves("large.name_29999"), exports.resolves("large.name_30000"))


class Editable:
    """What an installation for editing puts among the finders, which looks into a table of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "__init__.py"

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Where a package is."""
        if name != "edited_here":
            return None
        folders = [str(self.file.parent)]
        return importlib.util.spec_from_file_location(name, self.file, submodule_search_locations=folders)


def test_packages_installed_for_editing_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that a finder of its installation knows is found; no other finder is asked."""
    written(tmp_path, edited_here__="x = 1", edited_here__inner="y = 1")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable(tmp_path / "edited_here")])
    names = ("edited_here.x", "edited_here.inner.y")
    assert [MISSING, MISSING] == [Exports().resolves(name) for name in names]
    monkeypatch.setattr(Editable, "__module__", "__editable___edited_here_0_1_finder")
    assert [FOUND, FOUND] == [Exports().resolves(name) for name in names]


def test_nothing_is_imported_or_run(tmp_path: Path) -> None:
    """A module that would end the process does no harm, nor does its package, and neither gets imported."""
    exports = written(
        tmp_path, bomb__="raise SystemExit\n", bomb__inner="import os\nos._exit(3)\nx = 1\nclass C: ...\n"
    )
    assert MISSING == exports.resolves("bomb.inner.x")
    assert exports.resolves("bomb.inner") is FOUND
    assert {"bomb", "bomb.inner"}.isdisjoint(sys.modules)


# ------------------------------------------------------------------ against what is really there


STANDARD = """
abc argparse ast asyncio base64 bisect calendar codecs collections collections.abc concurrent.futures configparser
contextlib copy csv dataclasses datetime decimal email.message functools glob hashlib heapq importlib importlib.util
inspect io json logging logging.handlers math multiprocessing numbers os os.path pathlib pickle queue random re
shutil signal socket ssl string subprocess sys tempfile textwrap threading time tokenize types typing unittest
unittest.mock urllib.parse urllib.request uuid warnings weakref zipfile
""".split()


@pytest.fixture(scope="module")
def standard() -> Exports:
    """Exports of what is installed here."""
    return Exports()


# Asking the standard library for a deprecated name warns.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", STANDARD)
def test_answers_hold_for_the_standard_library(name: str, standard: Exports) -> None:
    """No name that a module has is missing, and none is found that it has not: any word of its source is tried."""
    module = importlib.import_module(name)
    wrong = [one for one in dir(module) if standard.resolves(f"{name}.{one}") is MISSING]
    words = set(re.findall(r"[A-Za-z_]\w*", source_of(module)))
    found = (one for one in words if standard.resolves(f"{name}.{one}") is FOUND)
    # A submodule is an attribute as soon as somebody imports it.
    wrong += [
        one for one in found if not hasattr(module, one) and standard.resolves(f"{name}.{one}.__spec__") is not FOUND
    ]
    assert [] == wrong


def source_of(module: ModuleType) -> str:
    """A module's source; empty if it has none."""
    file = getattr(module, "__file__", None) or ""
    return Path(file).read_text(encoding="utf-8") if file.endswith(".py") else ""


# Asking the standard library for a deprecated name warns.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", STANDARD)
def test_answers_hold_for_classes_of_the_standard_library(name: str, standard: Exports) -> None:
    """No attribute that a class has is missing, and none is found that it has not."""
    module = importlib.import_module(name)
    wrong = []
    for own, cls in vars(module).items():
        definition = standard.definition(f"{name}.{own}") if isinstance(cls, type) else None
        if isinstance(cls, type) and definition is not None:
            for one in {*dir(cls), *dir(type(cls)), *definition.attributes}:
                answer = standard.resolves(f"{name}.{own}.{one}")
                if answer is (MISSING if _has(cls, one) else FOUND) and not one.startswith("__"):
                    wrong.append(f"{own}.{one} is {answer}")
    assert [] == wrong


def _has(cls: type, name: str) -> bool:
    """Whether a class has an attribute; an enum's own properties are in it, and refuse to be read from it."""
    return any(name in vars(base) for base in (*cls.__mro__, *type(cls).__mro__))


@pytest.mark.parametrize("target", sorted(Lookup(shipped_table()).targets))
def test_every_replacement_of_the_shipped_table_resolves(target: str, standard: Exports) -> None:
    """Whatever the table leads to is there."""
    assert FOUND == standard.resolves(target)


@pytest.mark.parametrize(
    ("module", "answer"),
    [
        ("ssot_engine.factory", Answer.FOUND),
        ("ssot_engine.nowhere", Answer.MISSING),
        ("ssot_engine.nowhere.deep", Answer.MISSING),
        ("ssot_engine.factory.ExecutionEngineFactory", Answer.MISSING),
        ("package_of_nobody", Answer.UNKNOWN),
        ("package_of_nobody.inner", Answer.UNKNOWN),
    ],
)
def test_modules_that_can_be_imported(module: str, answer: Answer) -> None:
    """A package that makes names when asked makes no modules; of a package that is not there nothing is known."""
    assert answer is Exports().is_module(module)


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("ssot_engine.factory.ExecutionEngineFactory", False),
        ("ssot_engine.factory.Nobody", True),
        ("ssot_engine.factory.ExecutionEngineFactory.nothing", True),
        ("package_of_nobody.inner.Name", False),
    ],
)
def test_only_a_module_that_is_found_lacks_a_name(name: str, lacks: bool) -> None:
    """Of a module that is not found, nobody knows what it lacks."""
    assert lacks is Exports().lacks(name)
