"""One file of a journal: how it is now, and how it is put back."""

from __future__ import annotations

import os
from collections import Counter
from enum import Enum, auto
from pathlib import Path

from ssot_engine.migrate.applying.atomic import Held, Refused, held, replace, said
from ssot_engine.migrate.applying.journal import Entry, Journal, digest
from ssot_engine.migrate.applying.store import real


class State(Enum):
    """How a file of a journal is now."""

    #: As the apply wrote it.
    APPLIED = auto()
    #: As it was before the apply.
    RESTORED = auto()
    #: Neither of them, gone, or no file any more.
    EDITED = auto()


def restore(journal: Journal, number: int, one: Entry, discard_edits: bool) -> bool:
    """Put a file back; whether it had to be. One edited since is refused, unless `discard_edits`.

    Raises:
        Refused: it is as it was.
    """
    target = journal.target(one)
    if real(target.parent) != target.parent:
        raise Refused("is behind a symbolic link that was not there; put the folder back")
    now = _held(target)
    state = _state(now, one)
    if state is State.RESTORED:
        return False
    if state is State.EDITED and not discard_edits:
        gone = "is gone or something else" if now is None else "was edited"
        raise Refused(f"{gone} since the apply; put it back as the apply left it, or roll back with --discard-edits")
    _check_owner(journal, now)
    try:
        original = one.original
        target.parent.mkdir(parents=True, exist_ok=True)
    except ValueError as error:
        raise Refused(f"cannot be put back, the journal is damaged: {error}; restore it by other means") from error
    except OSError as error:
        raise Refused(f"cannot be put back: {said(error)}") from error
    replace(target, original, temporary=journal.temporary(number, one), mode=one.mode, now=now)
    return True


def _check_owner(journal: Journal, now: Held | None) -> None:
    """What is put back comes from a file; nobody else may have laid it out above a folder of ours."""
    trusted = {0, os.geteuid()} | (set() if now is None else {now.status.st_uid})
    if journal.file.stat().st_uid not in trusted:
        raise Refused(
            f"is not put back from another user's journal {str(journal.file)!r}; delete that, or run as its owner"
        )


def _state(now: Held | None, one: Entry) -> State:
    sha = None if now is None else digest(now.raw)
    return {one.before: State.RESTORED, one.after: State.APPLIED}.get(sha or "", State.EDITED)


def states(journal: Journal, inside: str = "") -> Counter[State]:
    """How many of the files at or below a place are in which state."""
    return Counter(_state(_held(journal.target(one)), one) for _, one in journal.entries(inside))


def _held(path: Path) -> Held | None:
    """What the file holds now; None where there is no file that could be read."""
    try:
        return held(path)
    except Refused:
        return None
