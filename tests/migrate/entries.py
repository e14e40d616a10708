"""Entries of tables of old names."""

from __future__ import annotations

from ssot_engine.legacy.former import FormerName, Kind


def former(module: str, name: str, replacement: str, kind: Kind = Kind.MOVED) -> FormerName:
    """An entry; an empty name is the module itself."""
    return FormerName(
        kind=kind, reason="it differs", replacement=replacement, since="0.1", removed_in="1.0", module=module, name=name
    )
