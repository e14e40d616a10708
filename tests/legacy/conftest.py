"""Fixtures of the tests of old code: packages made for one test, redirects for them, and nothing left of either."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from old_code import OldCode

from ssot_engine.legacy.census import census
from ssot_engine.legacy.redirects import uninstall_redirects


@pytest.fixture
def old_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OldCode]:
    """Old code on a path of its own; afterwards no module, finder or count of it is left."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    uninstall_redirects()
    census.clear()
    yield OldCode(tmp_path)
    uninstall_redirects()
    census.clear()
    for name, module in list(sys.modules.items()):
        if str(vars(module).get("__file__")).startswith(str(tmp_path)):
            del sys.modules[name]
