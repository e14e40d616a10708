"""The floors of the package: what a module may import stands below it or, on its own floor, to its left."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "ssot_engine"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE

#: From the ground up, each floor from left to right. `folder: a b` are the modules of a folder; the folder's own
#: `__init__` stands right of them.
FLOORS = (
    # 1  values that check themselves
    """__init__ errors redaction ids former_calls context events
    settings_tree settings_file settings_layers settings_problems settings_sections settings logs current""",
    # 2  request scopes for dependency-injector, in which no word of an engine occurs; one event log, several backends
    "scoping: ending compiled scope scoped graph checks plan replacing rewiring providers",
    """eventlog: base memory reserve writer_lock helper_thread sqlite_reader sqlite_file sqlite_cache sqlite_retention
    sqlite_writer sqlite_trimmer sqlite_catalog sqlite by_url""",
    # 3  facts on the move
    "payloads run_emitter bridge emitter",
    # 4  agents and tools
    "tools agents registry instances extensions permissions",
    """offline: usage columns reading sample figures period prices rows bill spend failures latency repeats moves
    findings intents report answers source toolbox team""",
    # 5  work, limits, the one authority
    "metrics deadlines threads housekeeping admission calls run_control run_services run stream engine factory",
    # 6  where submitted runs execute
    "runs: base local",
    # 7  the only place that composes
    "container",
    # 8  the doors, and what tests use
    """legacy: former census deprecation table redirects contexts bridges host_bridge brought in_use execution
    entry_points unified_factory execution_factory""",
    "migrate: findings lookup words source literals modules bindings draft",
    """migrate.static: annotations answers located conditions changes outline leads decorators signatures ancestry
    classes exports""",
    "migrate.importing: plans statements splitting import_edits uses aliases chains branches imports",
    "migrate.texts: references strings config_text configs",
    "migrate.linting: adopted taken arguments variables instances awaiting lint",
    "migrate.ssot: roles constructions compliance",
    "migrate.rewriting: renaming pieces rewrite",
    "migrate.scanning: tree examine needles known_names workers scan",
    "migrate.applying: atomic journal git_tree store patch restore apply",
    "migrate.reporting: verify baseline sarif traffic folders next_steps progress",
    "testing: audit leaks overriding users plugin",
    """web: frames identity rates credentials origins dev_users host_users jwks jwt_tokens authenticators deliveries
    access site models problems telemetry http outlet streams sse agui_events agui cursors connection socket session
    health pages app dependencies wiring server install""",
    "resuming following client",
    # 9  the command
    """cli: options wrapping show local config doctor events evidence demo_view demo listing run chat serve script
    legacy migrate_view migrate migrate_report migrate_app app""",
    "__main__",
)


def in_order(rows: tuple[str, ...]) -> list[str]:
    """All modules, by name without the package's, from the bottom left to the top right."""
    names: list[str] = []
    for row in rows:
        folder, colon, modules = row.rpartition(":")
        within = f"{folder}." if colon else ""
        names += [within + name for name in modules.split()]
        names += [f"{folder}.__init__"] if colon else []
    return names


MODULES = in_order(FLOORS)


def existing() -> list[str]:
    """The modules there are."""
    return [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in sorted(SOURCE.rglob("*.py"))]


def imports(code: str, known: list[str]) -> Iterator[tuple[str, str]]:
    """What a module imports from the package when it runs, wherever that is written: module and name."""
    ahead: list[ast.AST] = [ast.parse(code)]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            ahead += node.orelse
            continue
        ahead += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == PACKAGE:
                    yield _module(alias.name, known), ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively; write the whole name"
            if node.module is not None and node.module.partition(".")[0] == PACKAGE:
                for alias in node.names:
                    inner = _module(f"{node.module}.{alias.name}", known)
                    found = inner in known
                    yield (inner, "") if found else (_module(node.module, known), alias.name)


def _module(dotted: str, known: list[str]) -> str:
    """A dotted name as the list has it: a folder's own name stands for its `__init__`."""
    name = dotted.removeprefix(PACKAGE).lstrip(".")
    folder = f"{name}.__init__".lstrip(".")
    return folder if folder in known else name


@functools.cache
def imports_of(module: str) -> list[tuple[str, str]]:
    """What one of the package's modules imports from the package."""
    return list(imports((SOURCE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"), MODULES))


def test_every_module_has_one_place() -> None:
    """The list names every module of the package once, and no other."""
    assert Counter(existing()) == Counter(MODULES)


@pytest.mark.parametrize("module", existing())
def test_imports_point_down(module: str) -> None:
    """A module imports only what stands before it in the list; so there can be no cycle."""
    below = MODULES[: MODULES.index(module)] if module in MODULES else []
    assert [] == [
        f"{module} imports {name}, which stands above it" for name, _ in imports_of(module) if name not in below
    ]


def test_nothing_inside_uses_the_face() -> None:
    """The package's `__init__` is for users: inside, only the version is taken from it."""
    taken = {(module, name) for module in existing() for source, name in imports_of(module) if source == "__init__"}
    assert set() == {(module, name) for module, name in taken if name != "__version__"}


def test_scoping_knows_no_engine() -> None:
    """Request scopes could serve any container: they import the errors and one another."""
    inside = [module for module in existing() if module.startswith("scoping.")]
    used = {name for module in inside for name, _ in imports_of(module) if not name.startswith("scoping.")}
    assert {"errors"} == used


KNOWN = ["__init__", "errors", "scoping.scope", "scoping.__init__", "engine"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import ssot_engine.errors", [("errors", "")]),
        ("import ssot_engine", [("__init__", "")]),
        ("from ssot_engine import agent", [("__init__", "agent")]),
        ("from ssot_engine import scoping, errors", [("scoping.__init__", ""), ("errors", "")]),
        ("from ssot_engine.scoping import scope", [("scoping.scope", "")]),
        ("from ssot_engine.errors import ConfigError as Wrong", [("errors", "ConfigError")]),
        ("def f():\n    from ssot_engine.engine import Run", [("engine", "Run")]),
        ("class A:\n    try:\n        import ssot_engine.engine\n    except ImportError: pass", [("engine", "")]),
        ("if TYPE_CHECKING:\n    import ssot_engine.engine\nelse:\n    import ssot_engine.errors", [("errors", "")]),
        ("import os\nfrom ssot_engineering import errors", []),
    ],
)
def test_imports_are_found(code: str, found: list[tuple[str, str]]) -> None:
    """Imports are found in whatever form they are written and wherever, except those for a type checker."""
    assert found == list(imports(code, KNOWN))


def test_order_is_read_as_it_is_written() -> None:
    """The list is read from the ground up, a row from left to right, a folder's `__init__` after its modules."""
    assert ["a", "b", "c.d", "c.e", "c.f", "c.__init__", "i"] == in_order(("a b", "c: d e\n    f", "i"))
