"""Old names in text, the modules that took their place on disk, and what becomes of a file: for strings and configs."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from before_after import OLD, table

from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.source import Edit, Source, edited
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.configs import rewrite_config
from ssot_engine.migrate.texts.strings import rewrite_strings

LOOKUP = Lookup(table(OLD))

NEW = {
    "new/__init__.py": "",
    "new/alpha.py": "class New:\n    def run(self): pass\nclass Same: pass\nclass Two: pass\nOnly = Primary = 1\n",
    "new/beta.py": "Other = Changed = 1\n",
    "new/whole.py": "class Engine:\n    def run(self): pass\ndef helper(): pass\n",
    "new/top.py": "def spin(): pass\n",
    "flat.py": "thing = 1\n",
}


def new_modules(folder: Path) -> Exports:
    """The modules that took the place of the old ones."""
    for name, text in NEW.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Exports([folder], search=[])


class Done(NamedTuple):
    """What became of a file."""

    raw: bytes
    findings: list[Finding]

    @property
    def text(self) -> str:
        """As text."""
        return self.raw.decode()

    @property
    def mapped(self) -> list[tuple[str, str | None]]:
        """Old and new names of what was rewritten."""
        return [(one.old, one.new) for one in self.findings if not one.by_hand]

    @property
    def left(self) -> list[tuple[str, str]]:
        """Rules and old names of what is left to a person."""
        return [(one.rule.value, one.old) for one in self.findings if one.by_hand]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Lines and columns of all findings."""
        return [(one.line, one.column) for one in self.findings]


def python(raw: bytes, exports: Exports) -> Done:
    """What becomes of the strings of a Python file; done once more, nothing would change."""
    done = _python(raw, exports)
    ast.parse(done.raw)
    again = _python(done.raw, exports)
    assert done.raw == again.raw
    assert done.left == again.left
    assert [] == again.mapped
    return done


def _python(raw: bytes, exports: Exports) -> Done:
    source = Source(raw)
    draft = Draft(source, Place(path="t.py", names=("app.t",), is_package=False), LOOKUP, Bindings(source.tree))
    rewrite_strings(draft, exports)
    return _done(raw, source.for_file(draft.edits), draft.findings)


def config(raw: bytes, path: str, exports: Exports) -> Done:
    """What becomes of a file of settings; done once more, nothing would change."""
    done = _done(raw, *rewrite_config(raw, path, LOOKUP, exports))
    again = _done(done.raw, *rewrite_config(done.raw, path, LOOKUP, exports))
    assert done.raw == again.raw
    assert done.left == again.left
    assert [] == again.mapped
    return done


def _done(raw: bytes, edits: Iterable[Edit], findings: list[Finding]) -> Done:
    return Done(edited(raw, edits), findings)
