"""The table of old names: what became of each, why, and until when it is answered.

A module moved whole has a `kind` and a `replacement`; a module whose names went to several places lists its `names`.
What is not said of a name is taken from its module, and then from the head of the file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from ssot_engine.errors import ConfigError
from ssot_engine.settings_file import packaged, read_file

__all__ = ["FormerModule", "FormerName", "Kind", "Table", "load_table", "shipped_table"]

_SHIPPED = "migrations/netra.yaml"

_dotted = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*").fullmatch
_version = re.compile(r"\d+(\.\d+)*").fullmatch


class Kind(StrEnum):
    """What became of an old name."""

    #: The same object is elsewhere.
    MOVED = "moved"
    #: It is elsewhere, and is called otherwise.
    RENAMED = "renamed"
    #: Nothing answers it: importing it is refused, and says what to do instead.
    REMOVED = "removed"
    #: It is answered, and what answers behaves differently; the reason says how.
    BEHAVIOUR_CHANGED = "behaviour_changed"


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    reason: str
    #: Dotted name of what answers; for a removed one, what to do instead.
    replacement: str
    #: Versions of ssot-engine.
    since: str
    removed_in: str


class FormerName(_Entry, frozen=True, kw_only=True):
    """An old name of a module; one with * stands for every name of that form which is not listed."""

    module: str
    name: str

    @property
    def door(self) -> str:
        """Its whole old name."""
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def target(self) -> tuple[str, str]:
        """Module and name of what answers; of a removed one there is none."""
        module, _, name = self.replacement.rpartition(".")
        return module, name


class FormerModule(msgspec.Struct, frozen=True, kw_only=True):
    """An old module: `whole` if one thing became of all of it, else its `names`.

    A module moved whole is an alias: patching a name of it patches the replacement. One with names is not: patching an
    old name changes what importers of the old path see, and nothing else.
    """

    module: str
    whole: FormerName | None = None
    names: Mapping[str, FormerName] = {}
    #: Whether a file of that name in the host's own package is used instead.
    yields_to_host: bool = False


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Old modules by their names. `source` is where the table was read."""

    modules: Mapping[str, FormerModule]
    source: str


# ------------------------------------------------------------------ as it is written


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind | None = None
    reason: str | None = None
    replacement: str | None = None
    since: str | None = None
    removed_in: str | None = None


class _WrittenModule(_Written, frozen=True, forbid_unknown_fields=True):
    names: dict[str, _Written] | None = None
    #: What happens where the host's own package has such a file.
    host_file: Literal["replaced", "kept"] = "replaced"


class _WrittenTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modules: dict[str, _WrittenModule]
    since: str | None = None
    removed_in: str | None = None
    reason: str | None = None


@functools.cache
def shipped_table() -> Table:
    """The table that comes with the package, read once."""
    return load_table(packaged(_SHIPPED))


def load_table(path: Path | str) -> Table:
    """The table in a YAML file.

    Raises:
        ConfigError: the file is missing or no YAML, or one of its entries says too little, too much or nonsense.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"table of old names {str(path)!r} does not exist; correct its path")
    try:
        written = msgspec.convert(read_file(path), _WrittenTable)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{str(path)!r} is no table of old names: {error}; correct it") from error
    head = _Written(reason=written.reason, since=written.since, removed_in=written.removed_in)
    source = str(path)
    modules = {name: _module(source, name, one, head) for name, one in written.modules.items()}
    for module in modules.values():
        for former in (*module.names.values(), *([] if module.whole is None else [module.whole])):
            _check_once(source, former, modules)
    return Table(modules=modules, source=source)


def _module(source: str, name: str, written: _WrittenModule, head: _Written) -> FormerModule:
    _check(bool(_dotted(name)), source, name, f"{name!r} is no module's name")
    yields = written.host_file == "kept"
    if written.names is None:
        return FormerModule(module=name, whole=_former(source, name, "", written, head), yields_to_host=yields)
    plain = written.kind is None and written.replacement is None
    _check(plain, source, name, "it has names, so kind and replacement belong to each of them")
    inherited = _over(written, head)
    names = {key: _former(source, name, key, one, inherited) for key, one in written.names.items()}
    return FormerModule(module=name, names=names, yields_to_host=yields)


def _over(written: _Written, inherited: _Written) -> _Written:
    return _Written(
        kind=written.kind,
        replacement=written.replacement,
        reason=written.reason or inherited.reason,
        since=written.since or inherited.since,
        removed_in=written.removed_in or inherited.removed_in,
    )


def _former(source: str, module: str, name: str, written: _Written, inherited: _Written) -> FormerName:
    door = f"{module}.{name}" if name else module
    values = msgspec.structs.asdict(_over(written, inherited))
    missing = [key for key, value in values.items() if value is None or value == ""]
    _check(not missing, source, door, f"{', '.join(missing)} is missing")
    _check(not name or name.replace("*", "_").isidentifier(), source, door, f"{name!r} is no name")
    former = FormerName(module=module, name=name, **values)
    versions = _version(former.since) and _version(former.removed_in)
    _check(bool(versions), source, door, "since and removed_in must be versions, such as '1.0'")
    if former.kind is not Kind.REMOVED:
        _check("*" not in name, source, door, "only what is removed can be named with *")
        _check(bool(_dotted(former.replacement)), source, door, f"{former.replacement!r} is no dotted name")
        _check(not name or "." in former.replacement, source, door, f"{former.replacement!r} names no module")
    return former


def _check_once(source: str, former: FormerName, modules: Mapping[str, FormerModule]) -> None:
    if former.kind is Kind.REMOVED:
        return
    module = former.target[0] if former.name else former.replacement
    _check(module not in modules, source, former.door, f"its replacement {former.replacement!r} is an old name itself")


def _check(holds: bool, source: str, door: str, problem: str) -> None:
    if not holds:
        raise ConfigError(f"{source!r}, entry {door!r}: {problem}; correct it")
