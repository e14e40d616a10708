"""The migration toolkit: finds old names in a host's source, rewrites them, proves it, and takes it back.

from ssot_engine import legacy, migrate

task = migrate.Task(lookup=migrate.Lookup(legacy.load_table("ours.yaml")))
found = migrate.scan([Path("src")], task)                                # found.findings, found.problems
done = migrate.apply([Path("src")], found.examined, table="ours.yaml")   # done.written, done.refused
migrate.rollback(Path("src"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssot_engine.migrate.applying.apply import Applied as Applied
    from ssot_engine.migrate.applying.apply import Past as Past
    from ssot_engine.migrate.applying.apply import apply as apply
    from ssot_engine.migrate.applying.apply import past as past
    from ssot_engine.migrate.applying.apply import rollback as rollback
    from ssot_engine.migrate.applying.patch import patch as patch
    from ssot_engine.migrate.findings import Finding as Finding
    from ssot_engine.migrate.findings import LeftAlone as LeftAlone
    from ssot_engine.migrate.findings import Problem as Problem
    from ssot_engine.migrate.findings import Rule as Rule
    from ssot_engine.migrate.lookup import Lookup as Lookup
    from ssot_engine.migrate.reporting.baseline import compare as compare
    from ssot_engine.migrate.reporting.baseline import write_baseline as write_baseline
    from ssot_engine.migrate.reporting.progress import progress as progress
    from ssot_engine.migrate.reporting.sarif import sarif as sarif
    from ssot_engine.migrate.reporting.verify import verify as verify
    from ssot_engine.migrate.scanning.examine import Examined as Examined
    from ssot_engine.migrate.scanning.examine import Task as Task
    from ssot_engine.migrate.scanning.scan import Scanned as Scanned
    from ssot_engine.migrate.scanning.scan import scan as scan
    from ssot_engine.migrate.static.exports import Answer as Answer
    from ssot_engine.migrate.static.exports import Exports as Exports

#: Public name → the module that owns it.
_OWNERS = {
    "Answer": "static.exports",
    "Applied": "applying.apply",
    "Examined": "scanning.examine",
    "Exports": "static.exports",
    "Finding": "findings",
    "LeftAlone": "findings",
    "Lookup": "lookup",
    "Past": "applying.apply",
    "Problem": "findings",
    "Rule": "findings",
    "Scanned": "scanning.scan",
    "Task": "scanning.examine",
    "apply": "applying.apply",
    "compare": "reporting.baseline",
    "past": "applying.apply",
    "patch": "applying.patch",
    "progress": "reporting.progress",
    "rollback": "applying.apply",
    "sarif": "reporting.sarif",
    "scan": "scanning.scan",
    "verify": "reporting.verify",
    "write_baseline": "reporting.baseline",
}

__all__ = [*_OWNERS]


def __getattr__(name: str) -> object:
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
