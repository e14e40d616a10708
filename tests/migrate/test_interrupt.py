"""An apply and a rollback that Ctrl-C ends before or after any call to the system."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_trees import contents, migrated, own_files
from test_kill import CALLS, apply_to, is_mixed, planted

from ssot_engine.errors import RequestError
from ssot_engine.migrate.applying.apply import apply, past, rollback, settle


def was_interrupted(number: int, after: bool, work: Callable[[], object]) -> bool:
    """Whether the work came to its call of that number, before or after which Ctrl-C was pressed."""
    done = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def one(*args: object, **kwargs: object) -> object:
            nonlocal done
            done += 1
            if done == number and not after:
                raise KeyboardInterrupt
            chosen = done == number
            try:
                return call(*args, **kwargs)
            finally:
                if chosen:
                    raise KeyboardInterrupt

        return one

    # A file that was just opened is nobody's yet, and only the end of the process would close it.
    calls = set(CALLS) - ({"open"} if after else set())
    with pytest.MonkeyPatch.context() as patched:
        for name in filter(functools.partial(hasattr, os), sorted(calls)):
            patched.setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except KeyboardInterrupt:
            return True
    assert done < number, "Ctrl-C was swallowed"
    return False


def settled(tree: Path, since: float) -> bool | None:
    """What an interrupted apply came to; None if it ended midway."""
    try:
        return settle([tree], since)
    except RequestError:
        return None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_interrupted_apply_is_told_as_it_is(after: bool, tmp_path: Path) -> None:
    """Ctrl-C ends an apply at once; what is said of it is so, and a rollback makes the tree what it was."""
    tree, number, midway = tmp_path / "tree", 0, 0
    while True:
        number += 1
        before, since = planted(tree), time.time()
        if not was_interrupted(number, after, lambda: apply_to(tree)):
            break
        found = own_files(contents(tree))
        assert is_mixed(found, before), number
        outcome = settled(tree, since)
        truth = True if found == migrated(before) else False if found == before else None
        assert truth is outcome, number
        if outcome is not False and past(tree):
            rollback(tree)
        assert before == contents(tree), number
        midway += outcome is None
    assert midway > 5


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_interrupted_rollback_can_be_repeated(after: bool, tmp_path: Path) -> None:
    """Ctrl-C ends a rollback at once; another one makes the tree what it was."""
    tree, number = tmp_path / "tree", 0
    while True:
        number += 1
        before = planted(tree)
        apply_to(tree)
        if not was_interrupted(number, after, lambda: rollback(tree)):
            break
        assert is_mixed(own_files(contents(tree)), before), number
        if past(tree):
            rollback(tree)
        assert before == own_files(contents(tree)), number
    assert number > 15


def test_nothing_to_settle(tmp_path: Path) -> None:
    """Where no apply wrote anything, nothing was written, and no folder for journals remains."""
    apply([tmp_path], (), table="t.yaml")
    assert not settle([tmp_path], 0)
    assert not list(tmp_path.iterdir())
