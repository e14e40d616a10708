"""Findings a host accepts for now, so that there can only be fewer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.applying.atomic import Held, Refused, held, replace
from ssot_engine.migrate.findings import Finding

_Count = Annotated[int, msgspec.Meta(ge=1)]
# Path, rule, and what was found there.
_Key = tuple[str, str, str]

_WRITE_ANEW = "correct it, or write it anew with --write-baseline"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Findings against a baseline."""

    #: Beyond what it accepts.
    new: tuple[Finding, ...]
    accepted: int
    #: How many of its entries are gone: it can be written anew.
    gone: int


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1] = 1
    #: By path, rule and what was found: how often. Without lines, which move with every change above them.
    accepted: dict[str, dict[str, dict[str, _Count]]]


def write_baseline(file: Path, findings: Iterable[Finding], root: Path) -> None:
    """Accept these findings; paths are kept from `root`. The file is replaced at once, or stays as it is.

    Raises:
        ConfigError: it cannot be written.
    """
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for (path, rule, old), count in sorted(Counter(_key(one, root) for one in findings).items()):
        nested.setdefault(path, {}).setdefault(rule, {})[old] = count
    encoded = msgspec.json.encode(_Written(accepted=nested))
    _replace(file, msgspec.json.format(encoded, indent=2) + b"\n")


def compare(file: Path, findings: Iterable[Finding], root: Path) -> Compared:
    """What is new against the baseline in a file: of several alike, the last ones by line.

    Raises:
        ConfigError: it cannot be read, or is no baseline.
    """
    left = _read(file)
    allowed = left.total()
    known: set[int] = set()
    every = list(findings)
    for index in sorted(range(len(every)), key=lambda index: (every[index].line, every[index].column)):
        key = _key(every[index], root)
        if left[key] > 0:
            left[key] -= 1
            known.add(index)
    new = tuple(one for index, one in enumerate(every) if index not in known)
    return Compared(new=new, accepted=len(known), gone=allowed - len(known))


def from_root(path: str, root: Path) -> str:
    """A path as it is called from `root`, wherever the process works, with "/" between its parts."""
    return Path(os.path.relpath(path, root)).as_posix()


def plain(path: str) -> str:
    """A path as text that any file takes; bytes of it that are no UTF-8 are written as numbers."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _key(finding: Finding, root: Path) -> _Key:
    return plain(from_root(finding.path, root)), finding.rule.value, finding.old


def _read(file: Path) -> Counter[_Key]:
    shown = repr(str(file))
    try:
        written = msgspec.json.decode(file.read_bytes(), type=_Written)
    except FileNotFoundError:
        raise ConfigError(
            f"baseline {shown} does not exist; correct its path, or write it with --write-baseline"
        ) from None
    except OSError as error:
        raise ConfigError(f"baseline {shown} cannot be read: {error.strerror}; correct that, or its path") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown} is no baseline: {error}; {_WRITE_ANEW}") from error
    return Counter(
        {
            (path, rule, old): count
            for path, rules in written.accepted.items()
            for rule, found in rules.items()
            for old, count in found.items()
        }
    )


def _replace(file: Path, new: bytes) -> None:
    try:
        now = _now(file)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.new")
        replace(file, new, temporary=temporary, mode=0o644 if now is None else now.mode, now=now)
    except Refused as error:
        raise ConfigError(f"baseline {str(file)!r} {error.reason}") from error


def _now(file: Path) -> Held | None:
    return held(file) if file.exists() or file.is_symlink() else None
