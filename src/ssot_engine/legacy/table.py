"""The table of old names: what became of each, why, and until when it is answered.

A module moved whole has a `kind` and a `replacement`; a module whose names went to several places lists its `names`.
What is not said of a name is taken from its module, and then from the head of the file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ssot_engine.errors import ConfigError
from ssot_engine.legacy.former import FormerModule, FormerName, Kind, Table
from ssot_engine.settings_file import packaged, read_file

__all__ = ["load_table", "shipped_table"]

_SHIPPED = "migrations/netra.yaml"

_dotted = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*").fullmatch
_version = re.compile(r"\d+(\.\d+)*").fullmatch

_Shape = TypeVar("_Shape")


# ------------------------------------------------------------------ as it is written


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind | None = None
    reason: str | None = None
    replacement: str | None = None
    since: str | None = None
    removed_in: str | None = None


class _WrittenModule(_Written, frozen=True, forbid_unknown_fields=True):
    names: dict[str, Any] | None = None
    #: What happens where the host's own package has such a file.
    host_file: Literal["replaced", "kept"] = "replaced"


class _WrittenTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modules: dict[str, Any]
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
    plain = read_file(path, called="table of old names", section="modules")
    _check_quoted(str(path), "the head", plain)
    source = str(path)
    written = _read(source, "the head", plain, _WrittenTable)
    head = _Written(reason=written.reason, since=written.since, removed_in=written.removed_in)
    modules = {name: _module(source, name, one, head) for name, one in written.modules.items()}
    for module in modules.values():
        for former in (*module.names.values(), *([] if module.whole is None else [module.whole])):
            _check_once(source, former, modules)
    return Table(modules=modules, source=source)


def _check_quoted(source: str, entry: str, value: Any) -> None:
    """A version without quotes is a number in YAML, which takes 1.10 for 1.1."""
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key in ("since", "removed_in"):
            _check(not isinstance(inner, int | float), source, entry, f"put {key} into quotes: {key}: '{inner}'")
        _check_quoted(source, entry if key in ("modules", "names") else str(key), inner)


def _read(source: str, entry: str, plain: Any, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        kinds = f" (one of {', '.join(Kind)})" if str(error).endswith("`$.kind`") else ""
        raise ConfigError(f"{source!r}, entry {entry!r}: {error}{kinds}; correct it") from error


def _module(source: str, name: str, plain: Any, head: _Written) -> FormerModule:
    _check(bool(_dotted(name)), source, name, f"{name!r} is no module's name")
    written = _read(source, name, plain, _WrittenModule)
    yields = written.host_file == "kept"
    if written.names is None:
        return FormerModule(module=name, whole=_former(source, name, "", written, head), yields_to_host=yields)
    plain = written.kind is None and written.replacement is None
    _check(plain, source, name, "it has names, so kind and replacement belong to each of them")
    inherited = _over(written, head)
    names = {
        key: _former(source, name, key, _read(source, f"{name}.{key}", one, _Written), inherited)
        for key, one in written.names.items()
    }
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
