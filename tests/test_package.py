"""The package as it is installed: what a wheel carries, what the public names are, what an import costs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

import ssot_engine

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel built from this checkout."""
    if find_spec("hatchling") is None:
        pytest.skip("no wheel can be built without hatchling: install hatchling here")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True, timeout=120)
    (built,) = folder.glob("ssot_engine-*.whl")
    with zipfile.ZipFile(built) as files:
        return set(files.namelist())


def test_wheel_carries_every_module(wheel: set[str]) -> None:
    """A wheel holds each file of the package, with its type marker and the sample log."""
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    shipped = {name for name in files if "__pycache__" not in name}
    assert {"ssot_engine/py.typed", "ssot_engine/offline/sample_usage.csv"} <= shipped
    assert set() == shipped - wheel


def test_wheel_carries_the_settings(wheel: set[str]) -> None:
    """A wheel holds each file of config/ inside the package, where `settings.packaged` looks first."""
    configs = {f"ssot_engine/config/{path.name}" for path in (ROOT / "config").glob("*.yaml")}
    assert "ssot_engine/config/default.yaml" in configs
    assert set() == configs - wheel


def test_wheel_carries_nothing_else(wheel: set[str]) -> None:
    """A wheel holds no tests and no leftovers, only the package and its metadata."""
    assert {"ssot_engine", f"ssot_engine-{ssot_engine.__version__}.dist-info"} == {
        name.partition("/")[0] for name in wheel
    }
    assert [] == [name for name in wheel if "__pycache__" in name]


def test_entry_points_are_declared() -> None:
    """Installing brings the command, the pytest plugin and the built-in team."""
    points = {(point.group, point.name) for point in distribution("ssot-engine").entry_points}
    assert {
        ("console_scripts", "ssot-engine"),
        ("pytest11", "ssot_engine"),
        ("ssot_engine.agents", "offline"),
    } <= points
    for point in distribution("ssot-engine").entry_points:
        assert callable(point.load()) or point.group == "pytest11"


@pytest.mark.parametrize("name", ssot_engine.__all__)
def test_public_name_resolves(name: str) -> None:
    """Each public name is there, and is listed by `dir`."""
    assert getattr(ssot_engine, name) is not None
    assert name in dir(ssot_engine)


def test_unknown_name_is_an_attribute_error() -> None:
    """A name the package does not have is told like any other module's."""
    with pytest.raises(AttributeError, match="has no attribute 'bogus'"):
        ssot_engine.bogus  # noqa: B018


def test_import_costs_nothing() -> None:
    """`import ssot_engine` imports none of its modules and nothing that is installed; a name imports what it needs."""
    code = """
import sys
before = set(sys.modules)
import ssot_engine
print(*sorted(name for name in set(sys.modules) - before if name not in sys.stdlib_module_names))
ssot_engine.ThreadKey
print("dependency_injector" in sys.modules, "ssot_engine.events" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, resolved = done.stdout.splitlines()
    third_party = {name for name in names.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {"ssot_engine"} == third_party
    assert resolved == "False True"
