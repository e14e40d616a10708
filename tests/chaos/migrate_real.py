"""Rewrites real code by a made-up table, and looks for anything that does not hold: `migrate_real.py [PATH…]`.

Without paths it takes the running interpreter's library and its installed packages. Each is copied, scanned, rewritten,
scanned again and rolled back: nothing may be raised, what parsed must parse, the second scan must have nothing to do,
and every byte must be back at the end. Ends with status 1 if anything is wrong, and keeps the copy then.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ssot_engine.legacy.former import FormerModule, FormerName, Kind, Table
from ssot_engine.migrate.applying.apply import apply, rollback
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.scan import Scanned, scan
from ssot_engine.migrate.source import edited

#: Where whole modules go: one level deeper, one higher, to a name that stays.
WHOLE = {
    "collections.abc": "new.collections.abc", "unittest.mock": "newmock", "typing": "new_typing", "os.path": "new.path",
    "urllib.parse": "new.urls.parse", "concurrent.futures": "new.futures", "importlib.metadata": "new.metadata",
    "logging.handlers": "new.logging.handlers", "xml.etree.ElementTree": "new.xml", "asyncio.events": "new.events",
    "email.message": "new_message", "json": "new_json",
}  # fmt: skip
#: Where names go: to two modules, renamed, removed, changed.
NAMES = {
    "functools": {
        "wraps": "newer.wraps", "partial": "newest.Partial", "lru_cache": "newest.lru_cache", "reduce": "newer.fold",
        "cached_property": "-cache it", "total_ordering": "!newer.total_ordering", "update_*": "-do not update",
    },
    "dataclasses": {"dataclass": "newer.data.record", "field": "newer.data.field", "replace": "other.replace"},
    "contextlib": {"contextmanager": "newer.contextmanager", "suppress": "newer.Suppress", "closing": "-close it"},
    "pathlib": {"Path": "newer.paths.Folder", "PurePath": "newer.paths.PurePath"},
    "subprocess": {"Popen": "newer.Process", "PIPE": "newer.PIPE", "run": "other.run", "check_output": "!other.output"},
    "test.support": {"verbose": "newer.verbose", "run_unittest": "-use pytest", "os_helper": "newer.files"},
    "types": {"ModuleType": "newer.ModuleType", "SimpleNamespace": "newer.Bag", "FunctionType": "newer.Function"},
}  # fmt: skip


def made_up() -> Table:
    """The table."""
    modules = {old: FormerModule(module=old, whole=former(old, "", new)) for old, new in WHOLE.items()}
    for old, names in NAMES.items():
        every = {name: former(old, name, new) for name, new in names.items()}
        modules[old] = FormerModule(module=old, names=every)
    return Table(modules=modules, source="made-up")


def former(module: str, name: str, to: str) -> FormerName:
    """An entry; a mark before the replacement says that it is not applied."""
    kind = {"-": Kind.REMOVED, "!": Kind.BEHAVIOUR_CHANGED}.get(to[0], Kind.RENAMED)
    versions = {"since": "0.1", "removed_in": "9.0"}
    return FormerName(module=module, name=name, kind=kind, reason="tried", replacement=to.lstrip("-!"), **versions)


def sources(folder: Path) -> Iterator[Path]:
    """Python files, those of packages within an interpreter's library left out."""
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__", "site-packages"})
        yield from (Path(above) / name for name in sorted(names) if name.endswith(".py"))


def digests(folder: Path) -> dict[Path, str]:
    """Of every file, what the tool keeps itself left out."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ssot-engine" not in path.parts
    }


def parses(raw: bytes) -> bool:
    """Whether this interpreter can parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(raw)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class Trial:
    """One tree, from the copy to the rollback."""

    def __init__(self, tree: Path, folder: Path, task: Task, processes: int | None) -> None:
        self.wrong: list[str] = []
        self.files = self.changed = self.findings = self.refused = 0
        self._tree = tree
        self._folder = folder
        self._task = task
        self._processes = processes

    def run(self) -> None:
        """All of it."""
        self._copy()
        before = digests(self._folder)
        scanned = scan([self._folder], self._task, processes=self._processes)
        self.files, self.findings = scanned.files, len(scanned.findings)
        self.refused = len(scanned.problems)
        self._look_at(scanned)
        applied = apply([self._folder], scanned.examined, table="made-up")
        self.changed = len(applied.written)
        self.wrong += [f"{one.path}: not written, {one.reason}" for one in applied.refused]
        again = scan([self._folder], self._task, processes=self._processes)
        self.wrong += [f"{one.path}: changed by a second run" for one in again.examined if one.edits]
        rolled = rollback(self._folder)
        self.wrong += [f"{one.path}: not rolled back, {one.reason}" for one in rolled.refused]
        after = digests(self._folder)
        self.wrong += [
            f"{path}: not as before" for path in before.keys() | after if before.get(path) != after.get(path)
        ]

    def _copy(self) -> None:
        for file in [self._tree] if self._tree.is_file() else sources(self._tree):
            target = self._folder / (file.name if file == self._tree else file.relative_to(self._tree))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)

    def _look_at(self, scanned: Scanned) -> None:
        for problem in scanned.problems:
            if "report this" in problem.reason or parses(Path(problem.path).read_bytes()):
                self.wrong.append(f"{problem.path}:{problem.line}: {problem.reason}")
        for one in scanned.examined:
            if one.edits and not parses(edited(Path(one.path).read_bytes(), one.edits)):
                self.wrong.append(f"{one.path}: does not parse any more")


def main(trees: Sequence[Path], processes: int | None, rename_uses: bool) -> bool:
    """Try all trees; whether nothing was wrong."""
    began = time.monotonic()
    task = Task(lookup=Lookup(made_up()), ssot=True, count_adopted=True, rename_uses=rename_uses)
    trials = []
    for tree in trees:
        place = Path(tempfile.mkdtemp(prefix="migrate-real-"))
        trial = Trial(tree, place, task, processes)
        trial.run()
        trials.append(trial)
        if trial.wrong:
            print(f"kept {place}, from {tree}")
        else:
            shutil.rmtree(place)
    wrong = [line for trial in trials for line in trial.wrong]
    for line in wrong[:20]:
        print(line)
    files, changed, findings, refused = (
        sum(getattr(trial, name) for trial in trials) for name in ("files", "changed", "findings", "refused")
    )
    print(
        f"{len(trees)} trees, {files:,} files, {findings:,} findings, {changed:,} rewritten and rolled back, "
        f"{refused} told as problems, {len(wrong)} wrong, {time.monotonic() - began:.1f} s"
    )
    return not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--rename-uses", action="store_true")
    options = parser.parse_args()
    found = sysconfig.get_paths()
    asked = options.paths or [Path(found["stdlib"]), Path(found["purelib"])]
    sys.exit(0 if main(asked, options.processes, options.rename_uses) else 1)
