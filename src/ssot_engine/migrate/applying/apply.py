"""Files replaced one by one, so that every one of them is whole at any time, and can be put back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ssot_engine.errors import ConfigError, RequestError
from ssot_engine.migrate.applying.atomic import Held, Refused, check_writable, held, replace, said, sync_folders
from ssot_engine.migrate.applying.git_tree import check_committed
from ssot_engine.migrate.applying.journal import Entry, Journal, digest, entry
from ssot_engine.migrate.applying.restore import State, restore, states
from ssot_engine.migrate.applying.store import Store, newest_journal, real, store_for, stores_above
from ssot_engine.migrate.findings import Problem
from ssot_engine.migrate.scanning.examine import Examined
from ssot_engine.migrate.source import edited

#: Told after each file: how many are done, of how many.
Told = Callable[[int, int], None]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an apply or a rollback."""

    #: Files written.
    written: tuple[str, ...]
    #: Files that were not, and why; they are as they were.
    refused: tuple[Problem, ...]
    #: Where the journal is; None if there is none, as nothing was written or all was put back.
    journal: str | None


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An apply that can be rolled back."""

    journal: str
    #: In seconds since 1970.
    at: float
    table: str
    files: int
    #: How many of them are now as the apply wrote them, as they were before, and neither.
    applied: int
    restored: int
    edited: int
    #: Whether it came to its end.
    finished: bool
    size_bytes: int


def apply(
    paths: Sequence[Path], examined: Sequence[Examined], *, table: str, allow_dirty: bool = False,
    told: Told | None = None,
) -> Applied:  # fmt: skip
    """Write the edits of all files, after a journal of what they held.

    A file that cannot be written is refused, and the others are written all the same.

    Raises:
        RequestError: git has changes that are not committed, another apply is at work, or one did not finish.
        ConfigError: the journal cannot be written; nothing was changed.
    """
    wanted = [one for one in examined if one.edits]
    if not wanted:
        return Applied(written=(), refused=(), journal=None)
    places = [real(path) for path in paths]
    store = store_for(places)
    with store.locked():
        _check_finished(store)
        if not allow_dirty:
            check_committed(places, [real(Path(one.path)) for one in wanted])
        refused: list[Problem] = []
        noted = _note(store, wanted, table, refused)
        if noted is None:
            return Applied(written=(), refused=tuple(refused), journal=None)
        journal, files = noted
        written = _write(journal, files, refused, told)
        return Applied(written=written, refused=tuple(refused), journal=str(journal.file) if written else None)


def settle(paths: Sequence[Path], since: float) -> bool:
    """What an interrupted apply came to that began at `since`: whether all its files were written; if not, none was.

    Raises:
        RequestError: some were; it says how to put them back.
    """
    store = store_for([real(path) for path in paths])
    with store.locked():
        _check_finished(store)
        newest = next(store.journals(), None)
        return newest is not None and newest.at >= since


def _check_finished(store: Store) -> None:
    """See that no apply was killed midway, here or above; before or after all files it did no harm."""
    for one in stores_above(store.anchor):
        newest = next(one.journals(), None)
        if newest is not None and not newest.finished:
            _check_midway(newest, own=one.anchor == store.anchor)


def _check_midway(journal: Journal, *, own: bool) -> None:
    found = states(journal)
    if found[State.RESTORED] == found.total():
        if own:
            journal.remove_temporaries()
            journal.remove()
        return
    if found[State.APPLIED] == found.total():
        if own:
            sync_folders({journal.target(one).parent for _, one in journal.entries()})
            journal.finish()
        return
    command = f"ssot-engine migrate rollback {shlex.quote(str(journal.anchor))}"
    raise RequestError(
        f"an apply in {str(journal.anchor)!r} did not finish: {found[State.APPLIED]} of {found.total()} files were "
        f"written; put them back with `{command}`, or delete {str(journal.file)!r} if they are as they should be"
    )


def _note(
    store: Store, wanted: Sequence[Examined], table: str, refused: list[Problem]
) -> tuple[Journal, list[Examined]] | None:
    """The journal of all files that can be written, and these files in its order; None if there is no such file."""
    files: list[Examined] = []
    try:
        with store.draft(table) as draft:
            for one in wanted:
                try:
                    noted = _noted(store, one)
                except Refused as refusal:
                    refused.append(Problem(path=one.path, reason=refusal.reason))
                    continue
                if noted is not None:
                    draft.add(noted)
                    files.append(one)
            return (draft.commit(), files) if files else None
    except OSError as error:
        raise ConfigError(
            f"journal in {str(store.folder)!r} cannot be written: {said(error)}. No file was changed"
        ) from error


def _noted(store: Store, one: Examined) -> Entry | None:
    """The entry of a file; None if its edits change nothing."""
    path = real(Path(one.path))
    inside = store.within(path)
    if inside is None:
        raise Refused(f"is outside of {str(store.anchor)!r}, behind a symbolic link; name it by its real path")
    now, new = _edited(path, one)
    return None if new == now.raw else entry(inside, now.mode, now.raw, new)


def _edited(path: Path, one: Examined) -> tuple[Held, bytes]:
    """What the file holds and shall hold."""
    now = unchanged(path, one)
    check_writable(path, now)
    return now, edited(now.raw, one.edits)


def unchanged(path: Path, one: Examined) -> Held:
    """What the file holds, if that is what was scanned.

    Raises:
        Refused: it is not.
    """
    now = held(path)
    if digest(now.raw) != one.digest:
        raise Refused("was changed since it was scanned; scan again")
    return now


def _write(journal: Journal, files: Sequence[Examined], refused: list[Problem], told: Told | None) -> tuple[str, ...]:
    """Replace the files of a journal, which then says how that ended; it is gone if nothing was written."""
    written: list[str] = []
    left: list[int] = []
    folders: set[Path] = set()
    for (number, noted), one in zip(journal.entries(), files, strict=True):
        target = journal.target(noted)
        try:
            now, new = _edited(target, one)
            replace(target, new, temporary=journal.temporary(number, noted), mode=now.mode, now=now)
            written.append(one.path)
            folders.add(target.parent)
        except Refused as refusal:
            refused.append(Problem(path=one.path, reason=refusal.reason))
            left.append(number)
        if told is not None:
            told(number + 1, len(files))
    if not written:
        journal.remove()
        return ()
    try:
        sync_folders(folders)
        journal.finish(left)
    except OSError as error:
        raise ConfigError(
            f"journal {str(journal.file)!r} cannot be completed: {said(error)}; then roll back and apply again"
        ) from error
    return tuple(written)


def rollback(path: Path, *, discard_edits: bool = False, told: Told | None = None) -> Applied:
    """Put back what the last apply changed at or below `path`; a file edited since is refused, unless it may be lost.

    What it could not put back remains in the journal, and it can be called again, also after it was killed.

    Raises:
        RequestError: there is nothing to roll back, or another apply is at work.
        ConfigError: the journal is damaged or cannot be changed.
    """
    place = real(path)
    found = newest_journal(place)
    if found is None:
        missing = "" if path.exists() else ", which does not exist"
        raise RequestError(
            f"there is no apply to roll back at {str(path)!r}{missing}; name a path that was applied, or one below it"
        )
    store = Store(found.anchor)
    with store.locked():
        journal = newest_journal(place)
        if journal is None or journal.file != found.file:
            raise RequestError(f"another apply or rollback was at work at {str(path)!r} this moment; repeat")
        return _roll_back(journal, path, place, discard_edits, told)


def _roll_back(journal: Journal, path: Path, place: Path, discard_edits: bool, told: Told | None) -> Applied:
    written: list[str] = []
    refused: list[Problem] = []
    done: list[int] = []
    folders: set[Path] = set()
    inside = Store(journal.anchor).within(place) or ""
    total = sum(1 for _ in journal.entries(inside))
    journal.remove_temporaries()
    for number, one in journal.entries(inside):
        target = journal.target(one)
        # As it was given or found below what was given.
        shown = (path / target.relative_to(place)).as_posix()
        try:
            if restore(journal, number, one, discard_edits):
                written.append(shown)
            folders.add(target.parent)
            done.append(number)
        except Refused as refusal:
            refused.append(Problem(path=shown, reason=refusal.reason))
        if told is not None:
            told(len(done) + len(refused), total)
    try:
        sync_folders(folders)
        remains = journal.close(done)
    except OSError as error:
        raise ConfigError(f"journal {str(journal.file)!r} cannot be completed: {said(error)}") from error
    return Applied(written=tuple(written), refused=tuple(refused), journal=str(journal.file) if remains else None)


def past(path: Path) -> tuple[Past, ...]:
    """What could be rolled back at or below `path`, the newest first; other files of an apply are not counted."""
    place = real(path)
    found = [(store, one) for store in stores_above(place) for one in store.journals_of(place)]
    found.sort(key=lambda pair: pair[1].at, reverse=True)
    return tuple(_past(journal, store.within(place) or "") for store, journal in found)


def _past(journal: Journal, inside: str) -> Past:
    found = states(journal, inside)
    return Past(
        journal=str(journal.file),
        at=journal.at,
        table=journal.table,
        files=found.total(),
        applied=found[State.APPLIED],
        restored=found[State.RESTORED],
        edited=found[State.EDITED],
        finished=journal.finished,
        size_bytes=journal.size_bytes,
    )
