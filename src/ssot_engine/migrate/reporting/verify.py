"""Whether every new name resolves: those the table gives, and those a tree uses once it is rewritten."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.scan import Scanned
from ssot_engine.migrate.static.exports import Answer, Exports

_MOST_PLACES = 10
_ORDER = (Answer.MISSING, Answer.UNKNOWN, Answer.FOUND)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """One new name, and where it is used."""

    name: str
    answer: Answer
    #: "path:line", at most ten; the table's file if only that names it.
    used_at: tuple[str, ...]
    #: In the tree, once it is rewritten.
    uses: int


def verify(scanned: Scanned, lookup: Lookup, exports: Exports) -> tuple[Verified, ...]:
    """Every new name of the table and of the rewritten tree, those that do not resolve first, then by name.

    Of the tree count what the tool rewrites, and names it takes from new modules already, if the scan counted these.
    """
    places: dict[str, list[str]] = {name: [] for name in lookup.targets}
    for name, place in _used(scanned):
        places.setdefault(name, []).append(place)
    absent = [module for module in lookup.target_modules if exports.is_module(module) is Answer.MISSING]
    verified = [_verified(name, found, lookup.source, exports, absent) for name, found in places.items()]
    return tuple(sorted(verified, key=lambda one: (_ORDER.index(one.answer), one.name)))


def _used(scanned: Scanned) -> Iterator[tuple[str, str]]:
    """Every use of a new name, with its place."""
    for file in scanned.examined:
        for finding in file.findings:
            if finding.new is not None and not finding.by_hand:
                yield finding.new, f"{finding.path}:{finding.line}"
        for name, line in file.adopted:
            yield name, f"{file.path}:{line}"


def _verified(name: str, found: list[str], table: str, exports: Exports, absent: list[str]) -> Verified:
    distinct = tuple(dict.fromkeys(found))[:_MOST_PLACES]
    is_absent = any(name == module or name.startswith(f"{module}.") for module in absent)
    answer = Answer.MISSING if is_absent else exports.resolves(name)
    return Verified(name=name, answer=answer, used_at=distinct or (table,), uses=len(found))
