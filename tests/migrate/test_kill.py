"""An apply and a rollback that are killed between any two calls to the system."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from small_trees import OLD, all_examined, contents, migrated, own_files, plant

from ssot_engine.errors import RequestError
from ssot_engine.migrate.applying.apply import apply, rollback

#: All calls by which something on disk becomes another.
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "fchmod", "fchown", "setxattr")
FILES = {
    "a.py": b"# old.module\nimport old.module\r\n",
    "sub/b.py": b"from old.module import X",
    "sub/deep/c.py": b"\xff old.module \x00",
    "sub/plain.py": b"nothing\n",
}
_DONE, _REFUSED = 0, 3


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process wrote outlives it without `fsync`; only the machine's own death would need it."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def killed_at(number: int, after: bool, work: Callable[[], object]) -> int | None:
    """Do the work in a process of its own that is killed before or after a call; its status, None if it was killed."""
    with warnings.catch_warnings():
        # About threads that earlier tests left: the new process waits for none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        status = 1
        try:
            _count_calls(number, after)
            work()
            status = _DONE
        except RequestError:
            status = _REFUSED
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, ended = os.waitpid(pid, 0)
    if os.WIFSIGNALED(ended):
        assert signal.SIGKILL == os.WTERMSIG(ended)
        return None
    return os.WEXITSTATUS(ended)


def _count_calls(number: int, after: bool) -> None:
    done = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def one(*args: object, **kwargs: object) -> object:
            nonlocal done
            done += 1
            chosen = done == number
            if chosen and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*args, **kwargs)
            finally:
                if chosen:
                    os.kill(os.getpid(), signal.SIGKILL)

        return one

    for name in filter(functools.partial(hasattr, os), CALLS):
        setattr(os, name, counted(getattr(os, name)))


def planted(folder: Path) -> dict[str, tuple[bytes, int]]:
    """A fresh tree; what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    plant(folder, FILES)
    (folder / "a.py").chmod(0o755)
    return contents(folder)


def apply_to(folder: Path) -> None:
    """Apply to all of the tree."""
    done = apply([folder], all_examined(folder / name for name in FILES), table="t.yaml")
    assert () == done.refused


def is_mixed(found: dict[str, tuple[bytes, int]], before: dict[str, tuple[bytes, int]]) -> bool:
    """Whether every file is whole: as it was, or as it shall be; others are temporary ones."""
    after = migrated(before)
    named = {name: one for name, one in found.items() if not name.rpartition("/")[2].startswith(".ssot-engine-")}
    return before.keys() == named.keys() and all(one in (before[name], after[name]) for name, one in named.items())


def test_killed_apply_can_be_rolled_back(tmp_path: Path) -> None:
    """Wherever an apply is killed before a call, every file is whole, and a rollback makes the tree what it was."""
    tree, number, midway = tmp_path / "tree", 0, 0
    while True:
        number += 1
        before = planted(tree)
        status = killed_at(number, False, lambda: apply_to(tree))
        found = own_files(contents(tree))
        assert is_mixed(found, before), number
        if status is not None:
            break
        midway += found not in (before, migrated(before))
        try:
            rollback(tree)
            assert before == contents(tree), number
        except RequestError:
            assert before == found, number
    assert (_DONE, migrated(before)) == (status, found)
    assert midway > 10


def test_killed_apply_can_be_made_again(tmp_path: Path) -> None:
    """Wherever an apply is killed after a call, the next one does all, or says to roll back first if it came midway."""
    tree, number, refused = tmp_path / "tree", 0, 0
    while True:
        number += 1
        before = planted(tree)
        status = killed_at(number, True, lambda: apply_to(tree))
        assert is_mixed(own_files(contents(tree)), before), number
        if status is not None:
            break
        try:
            apply_to(tree)
        except RequestError:
            refused += 1
            rollback(tree)
            apply_to(tree)
        assert migrated(before) == own_files(contents(tree)), number
        rollback(tree)
        assert before == contents(tree), number
    assert (_DONE, migrated(before)) == (status, own_files(contents(tree)))
    assert refused > 10


@pytest.mark.parametrize(("midway", "after"), [(False, False), (True, True)])
def test_killed_rollback_can_be_repeated(midway: bool, after: bool, tmp_path: Path) -> None:
    """Wherever a rollback is killed, every file is whole, and another rollback makes the tree what it was."""
    tree, number = tmp_path / "tree", 0
    while True:
        number += 1
        before = planted(tree)
        if midway:
            assert killed_at(40, False, lambda: apply_to(tree)) is None
            assert own_files(contents(tree)) not in (before, migrated(before))
        else:
            apply_to(tree)
        status = killed_at(number, after, lambda: rollback(tree))
        found = contents(tree)
        assert is_mixed(own_files(found), before), number
        if status is not None:
            break
        try:
            rollback(tree)
            assert before == contents(tree), number
        except RequestError:
            assert before == own_files(found), number
    assert (_DONE, before) == (status, found)
    assert number > 15


def test_killed_rollback_of_a_part(tmp_path: Path) -> None:
    """Wherever the rollback of a folder is killed, it can be repeated, and then be that of the rest."""
    tree, number = tmp_path / "tree", 0
    while True:
        number += 1
        before = planted(tree)
        apply_to(tree)
        part = {name: (before if name.startswith("sub/") else migrated(before))[name] for name in before}
        if killed_at(number, False, lambda: rollback(tree / "sub")) is not None:
            break
        with contextlib.suppress(RequestError):
            rollback(tree / "sub")
        assert part == own_files(contents(tree)), number
        rollback(tree)
        assert before == contents(tree), number
    assert part == own_files(contents(tree))


def test_killed_rollback_does_not_reach_the_apply_before(tmp_path: Path) -> None:
    """A rollback repeated after a kill ends what it began: the apply before the last one stays."""
    tree, number = tmp_path / "tree", 0
    while True:
        number += 1
        planted(tree)
        apply_to(tree)
        for path in ("a.py", "sub/b.py"):
            (tree / path).write_bytes(OLD + (tree / path).read_bytes())
        between = own_files(contents(tree))
        apply_to(tree)
        if killed_at(number, False, lambda: rollback(tree)) is not None:
            break
        if (tree / ".ssot-engine/migrate/0002.journal").exists():
            rollback(tree)
        assert between == own_files(contents(tree)), number
