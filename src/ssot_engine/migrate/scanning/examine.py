"""One file of any kind: read, examined, and whatever went wrong told as a value."""

from __future__ import annotations

import functools
import gc
import hashlib
import os
from pathlib import Path

import msgspec

from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding, LeftAlone, Problem
from ssot_engine.migrate.linting.adopted import adopted_in_config, adopted_names
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place, place_of
from ssot_engine.migrate.rewriting.renaming import renamable
from ssot_engine.migrate.rewriting.rewrite import checked_edits, draft_of, rewrite
from ssot_engine.migrate.source import Edit, NotReadable, edited
from ssot_engine.migrate.ssot.compliance import inspect
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.configs import ENDINGS, rewrite_config

_OWN_PACKAGE = "ssot_engine"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with every file."""

    lookup: Lookup
    #: Look for what there should be only one of.
    ssot: bool = False
    #: Count names that come from the new modules already.
    count_adopted: bool = False
    #: Uses of a renamed class follow its new name where nobody outside the file can see it.
    rename_uses: bool = False
    #: Where modules are looked for before sys.path.
    roots: tuple[str, ...] = ()


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of one file."""

    path: str
    findings: tuple[Finding, ...] = ()
    #: In the file's own bytes, sorted.
    edits: tuple[Edit, ...] = ()
    #: sha256 of the bytes that were examined, in hex; only with edits.
    digest: str = ""
    #: References to new names that were there already: dotted name and line, in the order of the file.
    adopted: tuple[tuple[str, int], ...] = ()
    #: Local names that could be renamed if no other file knows them.
    renamable: tuple[str, ...] = ()
    problem: Problem | None = None
    left_alone: LeftAlone | None = None


def examine(file: Path, raw: bytes, task: Task, exports: Exports, rename: frozenset[str] = frozenset()) -> Examined:
    """Examine a file that may hold something; it never raises for what is in a file."""
    path = file.as_posix()
    # A tree holds many objects and no circles: looking for circles takes a fifth of the time it takes to parse.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        if file.name.endswith(ENDINGS):
            return _examine_config(file, path, raw, task, exports)
        return _examine_python(place_of(file, path), raw, task, exports, rename)
    except NotReadable as error:
        return Examined(path=path, problem=Problem(path=path, reason=error.reason, line=error.line))
    except RecursionError:
        return _failed(path, "is nested too deeply to be examined; change it by hand")
    except Exception as error:
        # The boundary of one file: a defect that one of them meets shall not keep the others from being done.
        return _failed(path, f"could not be examined ({type(error).__name__}: {error}); please report this")
    finally:
        if was_enabled:
            gc.enable()


def _failed(path: str, reason: str) -> Examined:
    return Examined(path=path, problem=Problem(path=path, reason=reason))


def _examine_config(file: Path, path: str, raw: bytes, task: Task, exports: Exports) -> Examined:
    if os.path.realpath(file) == _real(task.lookup.source):
        return Examined(path=path, left_alone=LeftAlone(path=path, reason="is the table of old names itself"))
    edits, findings = rewrite_config(raw, path, task.lookup, exports)
    edited(raw, edits)
    told = _told(path, raw, findings, tuple(sorted(edits)))
    adopted = adopted_in_config(raw, path, task.lookup) if task.count_adopted else ()
    return msgspec.structs.replace(told, adopted=adopted)


def _examine_python(place: Place, raw: bytes, task: Task, exports: Exports, rename: frozenset[str]) -> Examined:
    path = place.path
    left = _not_ours_to_change(place, task.lookup)
    if left is not None and not task.ssot:
        return Examined(path=path, left_alone=left)
    draft = draft_of(raw, place, task.lookup)
    if task.ssot:
        inspect(draft)
    if left is not None:
        # Second definitions of canonical names are just where the old modules are.
        told = _told(path, raw, draft.findings, ())
        return msgspec.structs.replace(told, left_alone=left)
    rewrite(draft, exports, rename)
    examined = _told(path, raw, draft.findings, checked_edits(draft))
    return _counted(examined, draft, task)


def _counted(examined: Examined, draft: Draft, task: Task) -> Examined:
    """With what the task asks for beyond findings."""
    if not task.count_adopted and not task.rename_uses:
        return examined
    return msgspec.structs.replace(
        examined,
        adopted=adopted_names(draft) if task.count_adopted else (),
        renamable=renamable(draft) if task.rename_uses else (),
    )


def _told(path: str, raw: bytes, findings: list[Finding], edits: tuple[Edit, ...]) -> Examined:
    return Examined(
        path=path,
        findings=tuple(sorted(findings, key=lambda one: (one.line, one.column))),
        edits=edits,
        digest=hashlib.sha256(raw).hexdigest() if edits else "",
    )


def _not_ours_to_change(place: Place, lookup: Lookup) -> LeftAlone | None:
    """Why a file is never rewritten; None if it is."""
    if _OWN_PACKAGE not in lookup.roots and place.names and place.names[0].partition(".")[0] == _OWN_PACKAGE:
        return LeftAlone(path=place.path, reason=f"belongs to {_OWN_PACKAGE} itself")
    for name in reversed(place.names):
        module = _old_module(name, lookup)
        if module == name:
            return LeftAlone(path=place.path, reason=f"is the old module {name!r} itself", module=name)
        if module is not None:
            return LeftAlone(path=place.path, reason=f"belongs to the old module {module!r}")
    return None


def _old_module(name: str, lookup: Lookup) -> str | None:
    """The old module a module is, or is a part of; None also for one that is the host's own."""
    became = lookup.resolve(name)
    if became is None or lookup.modules[became.module].yields_to_host:
        return None
    is_within = became.module != name
    return None if is_within and lookup.modules[became.module].whole is None else became.module


@functools.cache
def _real(path: str) -> str:
    return os.path.realpath(path)
