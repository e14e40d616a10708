"""Which files may hold something."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from before_after import OLD, Written, table

from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.needles import Needles, any_of


def holds(text: str | bytes, path: str = "host/consumer.py", written: Written = OLD, ssot: bool = False) -> bool:
    """Whether a file is a candidate."""
    raw = text.encode() if isinstance(text, str) else text
    return Needles(Task(lookup=Lookup(table(written)), ssot=ssot)).hold(path, raw)


@pytest.mark.parametrize(
    "text",
    [
        "from app.one import Old",
        "from app import one",
        "import app.one",
        "import app.pack as p; p.single.Only",
        "from app . pack . single import Only",
        "from app.pack \\\n import single",
        "patch('app.one.Old')",
        "patch('app.' 'one.Old')",
        "import_module(f'app.one.{name}')",
        "import top",
        "from app.one.deeper import name",
        "x = (app  # the application\n     .one.Old)",
        "__import__('app', fromlist=['one'])",
        "import_module('.one', 'app')",
        "patch('app.pack.' 'single.Only')",
        "patch('app' '.pack.single.Only')",
        "from app import pack as p\np.single.Only",
        "import os, app as a\na.one.Old",
        "from app import *\none.Old",
    ],
)
def test_references_are_held(text: str) -> None:
    """However an old name is written, its file is a candidate."""
    assert holds(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_configuration_in_utf_16_is_held(encoding: str) -> None:
    """Configuration in an encoding of two bytes is looked at too; it is what says that it cannot be rewritten."""
    raw = "\ufeffx: app.one.Old".encode(encoding)
    assert holds(raw, "host/a.yaml")
    assert not holds("\ufeffx: app.two".encode(encoding), "host/a.yaml")


@pytest.mark.parametrize(
    "text",
    ["", "one = single = whole = 1", "import app", "from . import one", "from app import two", "from .one import x"],
)
def test_other_files_are_not(text: str) -> None:
    """A file without both ends of an old module's name is none."""
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    ["from .one import x", "from.one import x", "from . one import x", "from .. import one", "from \\\n . import one"],
)
def test_relative_imports_are_held(text: str) -> None:
    """Within a folder called as the first part of a name is, a relative import needs not say it."""
    assert holds(text, "src/app/deep/consumer.py")
    assert not holds(text, "src/apps/deep/consumer.py")


def test_relative_imports_within_an_old_package() -> None:
    """Within the package that is an old module, a relative import says nothing of its name."""
    assert holds("from . import Old", "src/app/one/part.py")
    assert not holds("from . import Old", "src/app/two/part.py")
    assert not holds("Old = 1", "src/app/one/part.py")


def test_configuration_has_no_relative_imports() -> None:
    """In a file of configuration both ends must stand."""
    assert holds("engine: app.one.Old", "app/settings.yaml")
    assert not holds("text: from .one", "app/settings.yaml")
    assert not holds("engine: new.alpha.New", "app/settings.yaml")


@pytest.mark.parametrize(
    "text",
    ["from new.alpha import New", "from new import alpha", "import new.whole", "patch('new.beta.Other')", "flat"],
)
def test_new_names_are_held(text: str) -> None:
    """What uses new names already is a candidate too: it may use them wrongly, and it counts as done."""
    assert holds(text)


def test_words_of_the_inspection_are_held() -> None:
    """A file to inspect need not name an old module."""
    written = {"app.one": {"ExecutionEngineFactory": "ssot_engine.factory.ExecutionEngineFactory"}}
    text = "class ExecutionEngineFactory: pass"
    assert (False, True) == (holds(text, written=written), holds(text, written=written, ssot=True))


def test_names_that_are_not_ascii_are_held() -> None:
    """In another encoding the rest of a name still is what it is in UTF-8."""
    written: Written = {"app.größe": "new.size"}
    assert holds("import app.größe".encode("latin-1"), written=written)
    assert not holds("import app.haus", written=written)


def test_rows_of_signs_are_passed_over() -> None:
    """A line of many # between the parts of a name is a comment, and is looked at once."""
    row = "#" * 200
    assert holds(f"x = (app {row}\n  .one)")
    assert not holds(f"x = app {row}\n{row}\n  one")


WIDE: Mapping[str, str] = {f"app.module_{number:02}x": f"new.module_{number}" for number in range(60)}


def test_wide_tables_hold_the_same() -> None:
    """A table of many modules, which is asked in another way, gives the same answers."""
    assert all(holds(f"import {name}", written=WIDE) for name in WIDE)
    assert not holds("import app.module_99x", written=WIDE)


@pytest.mark.parametrize("texts", [[], ["a"], ["ab", "abc", "b.c"], [f"x{number}" for number in range(100)]])
def test_any_of_some_words(texts: list[str]) -> None:
    """One of the words, anywhere in the bytes, is enough; of none there is none."""
    held = any_of(texts)
    assert all(held(f"-{text}-".encode()) for text in texts)
    assert not held(b"-B-X-")
