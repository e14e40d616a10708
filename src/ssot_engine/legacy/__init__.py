"""Doors for code of before: old names, old signatures and old import paths that lead to the one container.

from ssot_engine import legacy

legacy.use(container)        # from now on old code gets its engines here
legacy.install_redirects()   # and its imports find our modules
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssot_engine.legacy.deprecation import LegacyWarning as LegacyWarning
    from ssot_engine.legacy.in_use import use as use
    from ssot_engine.legacy.redirects import install_redirects as install_redirects
    from ssot_engine.legacy.redirects import uninstall_redirects as uninstall_redirects
    from ssot_engine.legacy.table import load_table as load_table

#: Public name → the module that owns it.
_OWNERS = {
    "LegacyWarning": "deprecation",
    "install_redirects": "redirects",
    "load_table": "table",
    "uninstall_redirects": "redirects",
    "use": "in_use",
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
