"""A file's place tells which dotted names it may be imported by, and what its relative imports mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssot_engine.migrate.modules import Place, place_of

TREE = """
    src/app/__init__.py src/app/core/__init__.py src/app/core/engine.py src/app/plain/tool.py src/app/conf.local.py
    space/one/two/mod.py my-scripts/run.py my-scripts/pkg/__init__.py my-scripts/pkg/mod.py top.py
"""


@pytest.fixture
def tree(tmp_path):
    """A tree of packages, below a folder that can be no package."""
    root = tmp_path / "not-a-package"
    for path in TREE.split():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    return root


NAMES = {
    "src/app/core/engine.py": ("app.core.engine", "src.app.core.engine"),
    "src/app/core/__init__.py": ("app.core", "src.app.core"),
    "src/app/__init__.py": ("app", "src.app"),
    "src/app/plain/tool.py": ("tool", "plain.tool", "app.plain.tool", "src.app.plain.tool"),
    "space/one/two/mod.py": ("mod", "two.mod", "one.two.mod", "space.one.two.mod"),
    "my-scripts/run.py": ("run",),
    "my-scripts/pkg/mod.py": ("pkg.mod",),
    "my-scripts/pkg/__init__.py": ("pkg",),
    "top.py": ("top",),
}


@pytest.mark.parametrize(("path", "names"), NAMES.items())
def test_names(tree, path, names):
    """Regular packages belong to the name, other folders may, and one that is no identifier ends it."""
    place = place_of(tree / path, path)
    assert names == place.names
    assert path.endswith("__init__.py") == place.is_package
    assert path == place.path


def test_relative_paths(tree, monkeypatch):
    """A path relative to the current folder names the same module."""
    monkeypatch.chdir(tree / "src" / "app")
    assert ("app.core.engine", "src.app.core.engine") == place_of(Path("core/engine.py"), "x").names


def test_a_dot_in_the_file_name(tree):
    """A file whose name has a dot cannot be imported, but its relative imports are those of its folder."""
    place = place_of(tree / "src/app/conf.local.py", "x")
    assert ("app", "src.app") == place.absolute(1, None)


RELATIVE = [
    ("src/app/core/engine.py", 0, "a.b", ("a.b",)),
    ("src/app/core/engine.py", 1, None, ("app.core", "src.app.core")),
    ("src/app/core/engine.py", 1, "x.y", ("app.core.x.y", "src.app.core.x.y")),
    ("src/app/core/engine.py", 2, "x", ("app.x", "src.app.x")),
    ("src/app/core/engine.py", 3, "x", ("src.x",)),
    ("src/app/core/engine.py", 4, "x", ()),
    ("src/app/core/__init__.py", 1, "x", ("app.core.x", "src.app.core.x")),
    ("src/app/core/__init__.py", 2, None, ("app", "src.app")),
    ("src/app/core/__init__.py", 3, "x", ("src.x",)),
    ("space/one/two/mod.py", 1, "x", ("two.x", "one.two.x", "space.one.two.x")),
    ("space/one/two/mod.py", 2, "x", ("one.x", "space.one.x")),
    ("my-scripts/run.py", 1, "x", ()),
]


@pytest.mark.parametrize(("path", "level", "module", "expected"), RELATIVE)
def test_relative_imports(tree, path, level, module, expected):
    """Each level goes up one package, an `__init__` standing in its own; none goes up beyond the topmost."""
    assert expected == place_of(tree / path, path).absolute(level, module)


def test_place_by_hand():
    """A place can be made from names, as for a file that is not there."""
    assert ("a",) == Place(path="x", names=("a.b",), is_package=False).absolute(1, None)
