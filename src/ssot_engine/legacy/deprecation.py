"""Telling that an old door was used: a warning at the caller's line, an entry in the log, a number in the census.

Each removal version has a warning class of its own, so that a host can turn one version's into errors:

pytest -W error::ssot_engine.legacy.deprecation.RemovedIn1_0Warning
warnings.simplefilter("error", removed_in_class("1.0"))

The interpreter's own -W cannot: it reads its options before anything that is installed can be imported.
"""

from __future__ import annotations

import re
import sys
import warnings
from types import FrameType, FunctionType
from typing import Any, Literal

from ssot_engine.legacy.census import Counting, census
from ssot_engine.logs import get_logger

__all__ = ["LegacyWarning", "Notice", "is_raising", "raise_instead", "removed_in_class", "used"]

log = get_logger("ssot_engine.legacy")

#: Modules that call a door on behalf of somebody else; ours do too.
_BETWEEN = frozenset((
    "importlib", "importlib._bootstrap", "importlib._bootstrap_external", "importlib.util", "_frozen_importlib",
    "_frozen_importlib_external", "contextlib", "pickle", "pkgutil", "unittest.mock", "wrapt.importer",
))  # fmt: skip
_OURS = "ssot_engine"

_class_name = re.compile(r"RemovedIn(\d+(?:_\d+)*)Warning").fullmatch


class LegacyWarning(DeprecationWarning):
    """An old door was used. The subclass says in which version the door goes: `RemovedIn1_0Warning`."""


_classes: dict[str, type[LegacyWarning]] = {}


def removed_in_class(version: str) -> type[LegacyWarning]:
    """The warning class of the doors that go in this version, such as "1.0"; always the same one."""
    found = _classes.get(version)
    if found is None:
        values = {"__module__": __name__, "__doc__": f"The door that was used goes in ssot-engine {version}."}
        found = type(f"RemovedIn{version.replace('.', '_')}Warning", (LegacyWarning,), values)
        found = _classes.setdefault(version, found)
    return found


def __getattr__(name: str) -> Any:
    # pytest's -W option and pickle look a class up by its name.
    if (match := _class_name(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return removed_in_class(match[1].replace("_", "."))


class _Policy:
    """What a use does besides being counted, for the whole process."""

    __slots__ = ("raises",)

    def __init__(self) -> None:
        self.raises = False


_policy = _Policy()


def is_raising() -> bool:
    """Whether a use raises the warning's class."""
    return _policy.raises


def raise_instead(warn: Literal["default", "error"]) -> None:
    """Obey `legacy.warn`: `error` raises the warning's class where a door is used, `default` warns."""
    _policy.raises = warn == "error"


class Notice:
    """What a use of one door says: made once, given at every use."""

    __slots__ = ("_category", "_counting", "_door", "_entry", "_instead", "_text")

    def __init__(
        self,
        door: str,
        instead: str,
        *,
        since: str,
        removed_in: str,
        counting: Counting = Counting.EVERY_USE,
        entry: str = "legacy_door_used",
    ) -> None:
        self._door = door
        self._instead = instead
        self._counting = counting
        self._entry = entry
        self._category = removed_in_class(removed_in)
        self._text = f"{door} is deprecated since ssot-engine {since} and goes in {removed_in}; use {instead}"

    def give(self) -> None:
        """Count a use at the caller's line, log it if the line is a further one, and warn.

        Raises:
            LegacyWarning: `legacy.warn` is `error`, or a filter of the interpreter makes it one. The use is counted.
        """
        filename, line, names = _place(sys._getframe(1))
        if census.record(self._door, filename, line, self._counting):
            log.info(self._entry, door=self._door, instead=self._instead, file=filename, line=line)
        if _policy.raises:
            raise self._category(self._text)
        # Without `module_globals`: it would have the interpreter read the caller's source at every use.
        warnings.warn_explicit(
            self._text, self._category, filename, line,
            names.get("__name__"), names.setdefault("__warningregistry__", {}),
        )  # fmt: skip


def used(door: str, instead: str, *, since: str, removed_in: str) -> None:
    """Tell that the calling code used `door`; `instead` is what to use, from `since` on, and until `removed_in`.

    It warns at every use: whether a line is told once or always is for the interpreter's filters. The log gets an entry
    once for each line of code.

    Raises:
        LegacyWarning: `legacy.warn` is `error`, or a filter of the interpreter makes it one. The use is counted.
    """
    Notice(door, instead, since=since, removed_in=removed_in).give()


def _place(frame: FrameType | None) -> tuple[str, int, dict[str, Any]]:
    """File, line and names of the nearest code that is neither ours nor between; of none if only such code runs."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name not in _BETWEEN and (name is None or (name != _OURS and not name.startswith("ssot_engine."))):
            return frame.f_code.co_filename, frame.f_lineno, frame.f_globals
        if name == "unittest.mock" and (decorated := _decorated(frame)) is not None:
            return decorated.__code__.co_filename, decorated.__code__.co_firstlineno, decorated.__globals__
        frame = frame.f_back
    return "<unknown>", 0, {"__name__": "<unknown>"}


def _decorated(frame: FrameType) -> FunctionType | None:
    """The function that `mock.patch` decorates, if it is a call of that: who calls it knows nothing of the patch."""
    function = frame.f_locals.get("func") if frame.f_code.co_name == "patched" else None
    return function if isinstance(function, FunctionType) else None
