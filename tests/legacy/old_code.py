"""Old code for tests: files on a path of their own, the table that redirects them, and callers at known lines."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.former import Table
from ssot_engine.legacy.redirects import install_redirects
from ssot_engine.legacy.table import load_table


class Told(NamedTuple):
    """A warning about an old door: its class, and where it points."""

    category: str
    file: str
    line: int


class OldCode:
    """What a test writes and runs. A file's packages are made with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str = "") -> Path:
        """A file, and an `__init__.py` in each folder above it that has none."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(self.folder).parents:
            if folder != Path() and not (init := self.folder / folder / "__init__.py").exists():
                init.write_text("")
        file.write_text(text)
        importlib.invalidate_caches()
        return file

    def table(self, modules: Mapping[str, Any], **head: str) -> Table:
        """A table of old names as a host writes it."""
        file = self.folder / "table.yaml"
        file.write_text(
            yaml.safe_dump({"since": "0.1", "removed_in": "1.0", "reason": "tests", **head, "modules": modules})
        )
        return load_table(file)

    def redirect(self, modules: Mapping[str, Any], **head: str) -> Table:
        """Install such a table."""
        table = self.table(modules, **head)
        install_redirects(table)
        return table

    def run(self, code: str, file: str = "caller.py") -> dict[str, Any]:
        """Run code as that file; the names it made."""
        names: dict[str, Any] = {"__name__": file.removesuffix(".py")}
        exec(compile(code, file, "exec"), names)
        return names

    def told(self, code: str, file: str = "caller.py", action: Any = "always") -> list[Told]:
        """Run code; the warnings about old doors it led to."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            self.run(code, file)
        return [
            Told(one.category.__name__, Path(one.filename).name, one.lineno)
            for one in caught
            if issubclass(one.category, LegacyWarning)
        ]


def moved(to: str, **more: str) -> dict[str, str]:
    """An entry of something that moved there."""
    return {"kind": "moved", "replacement": to, **more}


def removed(instead: str, **more: str) -> dict[str, str]:
    """An entry of something that nothing answers."""
    return {"kind": "removed", "replacement": instead, **more}
