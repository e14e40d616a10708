"""Files replaced or refused, one apply at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_trees import (
    FILES,
    all_examined,
    applied,
    contents,
    examined,
    give_away,
    interrupted,
    make,
    migrated,
    own_files,
    plant,
    reasons,
)

from ssot_engine.errors import ConfigError, RequestError
from ssot_engine.migrate.applying.apply import Applied, apply, past, rollback
from ssot_engine.migrate.applying.atomic import said
from ssot_engine.migrate.applying.store import Store
from ssot_engine.migrate.scanning.examine import Examined
from ssot_engine.migrate.source import Edit


def test_apply_and_rollback(tmp_path: Path) -> None:
    """All files get their edits; rolled back, the folder is what it was, and nothing else is left in it."""
    paths, before = make(tmp_path)
    done = applied(tmp_path)
    journal = tmp_path / ".ssot-engine" / "migrate" / "0001.journal"
    names = tuple(path.as_posix() for path in paths)
    assert Applied(written=names, refused=(), journal=str(journal)) == done
    assert migrated(before) == own_files(contents(tmp_path))
    assert Applied(written=names, refused=(), journal=None) == rollback(tmp_path)
    assert before == contents(tmp_path)
    assert not (tmp_path / ".ssot-engine").exists()


def test_progress_is_told(tmp_path: Path) -> None:
    """After each file it is told how many are done of how many, in both directions."""
    make(tmp_path)
    told: list[tuple[int, int]] = []
    applied(tmp_path, lambda *one: told.append(one))
    rollback(tmp_path, told=lambda *one: told.append(one))
    assert [(1, 3), (2, 3), (3, 3)] * 2 == told


def test_paths_are_shown_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path from the working folder stays one, at the rollback too."""
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = apply([Path()], all_examined([Path("a.py"), Path("sub/c.py")]), table="t")
    assert ("a.py", "sub/c.py") == done.written == rollback(Path()).written
    apply([Path("sub/c.py")], all_examined([Path("sub/c.py")]), table="t")
    assert ("sub/c.py",) == rollback(Path("sub/c.py")).written


def test_mode_and_attributes_are_kept(tmp_path: Path) -> None:
    """Permission bits, owner and extended attributes stay; a mode changed since is put back with the bytes."""
    (path,) = plant(tmp_path, {"a.py": b"old.module"})
    path.chmod(0o4751)
    owner = (path.stat().st_uid, path.stat().st_gid)
    if sys.platform == "linux":
        os.setxattr(path, "user.seen", b"yes")
    applied(tmp_path)
    now = path.stat()
    assert (0o4751, owner) == (now.st_mode & 0o7777, (now.st_uid, now.st_gid))
    if sys.platform == "linux":
        assert b"yes" == os.getxattr(path, "user.seen")
    path.chmod(0o600)
    rollback(tmp_path)
    assert 0o4751 == path.stat().st_mode & 0o7777


def test_owner_is_kept(tmp_path: Path) -> None:
    """A file of somebody else stays theirs."""
    (path,) = plant(tmp_path, {"a.py": b"old.module"})
    give_away(path, 12345, 23456)
    applied(tmp_path)
    assert (12345, 23456) == (path.stat().st_uid, path.stat().st_gid)


def test_nothing_to_write_changes_nothing(tmp_path: Path) -> None:
    """Without edits, or with edits that change nothing, no folder is made; a journal from before stays the last."""
    paths, before = make(tmp_path)
    plain = Examined(path=str(paths[0]))
    same = Examined(path=str(paths[1]), edits=(Edit(0, 1, b"i"),), digest=examined(paths[1]).digest)
    assert Applied(written=(), refused=(), journal=None) == apply([tmp_path], [plain, same], table="t")
    assert before == contents(tmp_path)
    applied(tmp_path)
    during = contents(tmp_path)
    assert Applied(written=(), refused=(), journal=None) == apply([tmp_path], [plain], table="t")
    assert during == contents(tmp_path)


def test_name_with_any_bytes(tmp_path: Path) -> None:
    """Names with a line feed, quotes, or bytes that are no text are written and put back."""
    names = ["line\nfeed.py", 'quo"te\\.py', os.fsdecode(b"\xff\xfe.py"), "日本.py", "n" * 250 + ".py"]
    _, before = make(tmp_path, dict.fromkeys(names, b"old.module"))
    assert len(names) == len(applied(tmp_path).written)
    assert migrated(before) == own_files(contents(tmp_path))
    assert {str(tmp_path / name) for name in names} == set(rollback(tmp_path).written)
    assert before == contents(tmp_path)


def test_memory_does_not_grow_with_files(tmp_path: Path) -> None:
    """Contents are held one file at a time, by an apply and by a rollback."""
    noise = os.urandom(1 << 19)
    paths, _ = make(tmp_path, {f"{number}.py": b"old.module" + noise for number in range(16)})
    files = all_examined(paths)
    tracemalloc.start()
    try:
        apply([tmp_path], files, table="t")
        rollback(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20


def test_file_changed_since_the_scan(tmp_path: Path) -> None:
    """A file that is not what was scanned is refused; the others are written."""
    paths, before = make(tmp_path)
    files = all_examined(paths)
    paths[1].write_bytes(b"mine old.module")
    done = apply([tmp_path], files, table="t")
    assert {"b.py": "was changed since it was scanned; scan again"} == reasons(done)
    assert (b"mine old.module", before["b.py"][1]) == contents(tmp_path)["b.py"]
    assert (paths[0].as_posix(), paths[2].as_posix()) == done.written


def test_file_changed_while_others_are_written(tmp_path: Path) -> None:
    """What changes after it was noted is refused as well; the rollback leaves it, and is complete without it."""
    paths, before = make(tmp_path)

    def change(count: int, _: int) -> None:
        if count == 1:
            paths[1].write_bytes(b"mine")

    done = applied(tmp_path, change)
    assert {"b.py": "was changed since it was scanned; scan again"} == reasons(done)
    assert () == rollback(tmp_path).refused
    assert before | {"b.py": (b"mine", before["b.py"][1])} == contents(tmp_path)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"mine"), os.unlink], ids=["edited", "removed"])
def test_file_changed_at_the_last_moment(
    change: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes while its new bytes are put on disk is refused, and none of them stay."""
    paths, _ = make(tmp_path)
    fsync, told = os.fsync, list[object]()

    def changing(fd: int) -> None:
        fsync(fd)
        if len(told) == 1:
            told.append(change(paths[1]))

    monkeypatch.setattr(os, "fsync", changing)
    done = applied(tmp_path, lambda *one: told.append(one))
    assert ["b.py"] == list(reasons(done))
    assert paths[1].read_bytes() == b"mine" if paths[1].exists() else change is os.unlink
    assert [] == list(tmp_path.rglob("*.tmp"))


def test_only_writable_files_are_written(tmp_path: Path) -> None:
    """Read-only files, links, what is no file and what is gone are refused, each with what to do; others go on."""
    names = ["read_only.py", "target.py", "gone.py", "pipe.py", "fine.py"]
    paths, _ = make(tmp_path, dict.fromkeys(names, b"old.module"))
    files = all_examined(paths)
    paths[0].chmod(0o444)
    paths[1].rename(tmp_path / "other.py")
    paths[1].symlink_to("other.py")
    paths[2].unlink()
    paths[3].unlink()
    os.mkfifo(paths[3])
    done = apply([tmp_path], files, table="t")
    assert {
        "read_only.py": "is read-only; make it writable (chmod u+w) or leave it out",
        "target.py": "is a symbolic link; name its target",
        "gone.py": "is gone; scan again",
        "pipe.py": "is no regular file; leave it out",
    } == reasons(done)
    assert (str(paths[4]),) == done.written
    assert paths[1].is_symlink()
    assert b"old.module" == (tmp_path / "other.py").read_bytes() == paths[0].read_bytes()


def test_if_all_are_refused_there_is_no_journal(tmp_path: Path) -> None:
    """An apply that writes no file leaves no journal."""
    (path,) = plant(tmp_path, {"a.py": b"old.module"})
    path.chmod(0o444)
    done = applied(tmp_path)
    assert (None, ["a.py"]) == (done.journal, list(reasons(done)))
    path.chmod(0o644)
    done = apply([tmp_path], all_examined([path] * 2), table="t", told=lambda *_: None)
    assert 1 == len(done.written) == len(done.refused)
    rollback(tmp_path)
    assert ["a.py"] == list(contents(tmp_path))


def test_if_all_change_meanwhile_there_is_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apply whose files all changed after they were noted leaves no journal either."""
    (path,) = plant(tmp_path, {"a.py": b"old.module"})
    fsync = os.fsync

    def changing(fd: int) -> None:
        fsync(fd)
        path.write_bytes(b"mine")

    monkeypatch.setattr(os, "fsync", changing)
    done = applied(tmp_path)
    assert (None, (), ["a.py"]) == (done.journal, done.written, list(reasons(done)))
    assert ["a.py"] == list(contents(tmp_path))


def test_file_behind_a_link_to_elsewhere(tmp_path: Path) -> None:
    """A file that is really outside of what the journal is for is refused."""
    plant(tmp_path, {"here/a.py": b"old.module", "there/b.py": b"old.module"})
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    file = tmp_path / "here" / "link" / "b.py"
    done = apply([tmp_path / "here"], [examined(file)], table="t")
    assert "behind a symbolic link; name it by its real path" in reasons(done)["b.py"]
    assert b"old.module" == file.read_bytes()


@contextlib.contextmanager
def small_files(size_bytes: int = 1 << 16) -> Iterator[None]:
    """No file can grow beyond a size; not for longer than needed, as pytest's own output may go to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def large_tree(tmp_path: Path) -> Path:
    """A tree with one large file that compresses well, and one that does not."""
    make(tmp_path)
    plant(tmp_path, {"large.py": b"old.module" + b"\n" * 200_000, "noise.txt": b"old.module" + os.urandom(100_000)})
    return tmp_path


def test_no_room_for_a_file(large_tree: Path) -> None:
    """A file whose new bytes cannot be stored is refused and whole; the others are written; nothing else is left."""
    before = contents(large_tree)
    with small_files():
        done = applied(large_tree)
    assert {"large.py": "cannot be replaced: file too large; correct that and repeat"} == reasons(done)
    kept = {name: before[name] for name in ("large.py", "noise.txt")}
    assert migrated(before) | kept == own_files(contents(large_tree))
    assert () == rollback(large_tree).refused
    assert before == contents(large_tree)


def test_no_room_for_the_journal(large_tree: Path) -> None:
    """If the journal cannot be stored, no file is touched."""
    before = contents(large_tree)
    files = all_examined(large_tree / name for name in (*FILES, "noise.txt"))
    told = r"cannot be written: file too large; .*No file was changed"
    with small_files(), pytest.raises(ConfigError, match=told):
        apply([large_tree], files, table="t")
    assert before == contents(large_tree)


def test_no_room_for_the_folder_of_the_journal(tmp_path: Path) -> None:
    """If not even the folder for the journal can be prepared, nothing of it is left."""
    paths, before = make(tmp_path)
    files = all_examined(paths)
    with small_files(1), pytest.raises(ConfigError, match="for journals cannot be used: file too large"):
        apply([tmp_path], files, table="t")
    assert before == contents(tmp_path)
    assert not (tmp_path / ".ssot-engine").exists()


def test_remedies_are_said() -> None:
    """A full disk, a missing right and whatever else are told with what to do."""
    assert "no space left on device; free space on its disk" == said(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert "oserror; correct that and repeat" == said(OSError())


def test_only_one_is_at_work(tmp_path: Path) -> None:
    """While one apply or rollback is at work, another is refused."""
    paths, _ = make(tmp_path)
    files = all_examined(paths)
    refused: list[str] = []
    works: list[Callable[[], object]] = [lambda: apply([tmp_path], files, table="t"), lambda: rollback(tmp_path)]

    def again(*_: int) -> None:
        for work in works:
            with pytest.raises(RequestError, match=r"another apply or rollback is at work in .*; wait") as error:
                work()
            refused.append(str(error.value))

    apply([tmp_path], files, table="t", told=again)
    rollback(tmp_path, told=again)
    assert 4 * len(FILES) == len(refused)


def test_lock_is_on_the_file_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever had the lock before may have removed its file at that moment: then it is taken anew."""
    store, flock, calls = Store(tmp_path), fcntl.flock, []

    def removed(fd: int, how: int) -> None:
        flock(fd, how)
        calls.append(fd)
        if len(calls) == 1:
            (store.folder / "lock").unlink()

    monkeypatch.setattr(fcntl, "flock", removed)
    with store.locked(), pytest.raises(RequestError), store.locked():
        raise AssertionError("locked twice")
    assert 2 == len(calls)
    assert {} == contents(tmp_path)


def test_unfinished_apply_is_rolled_back_first(tmp_path: Path) -> None:
    """After an apply that came midway the next one is refused, here and below, with the command that helps."""
    _, before = make(tmp_path)
    interrupted(tmp_path, 2)
    for folder in (tmp_path, tmp_path / "sub"):
        with pytest.raises(RequestError) as error:
            applied(folder)
        assert "did not finish: 2 of 3 files were written" in str(error.value)
        assert f"`ssot-engine migrate rollback {tmp_path}`" in str(error.value)
    assert 2 == len(rollback(tmp_path).written)
    assert before == contents(tmp_path)
    assert 3 == len(applied(tmp_path).written)


def test_apply_that_only_did_not_say_its_end(tmp_path: Path) -> None:
    """If all files were written, an apply was killed too late to do harm: it counts as finished."""
    paths, before = make(tmp_path)
    interrupted(tmp_path, 3)
    assert not past(tmp_path)[0].finished
    paths[0].write_bytes(b"old.module again")
    with pytest.raises(RequestError, match="2 of 3 files"):
        applied(tmp_path)
    paths[0].write_bytes(b"the_new.place\n")
    plant(tmp_path, {"d.py": b"old.module"})
    assert (str(tmp_path / "d.py"),) == applied(tmp_path).written
    assert [True, True] == [one.finished for one in past(tmp_path)]
    rollback(tmp_path)
    rollback(tmp_path)
    assert before == {name: one for name, one in contents(tmp_path).items() if name != "d.py"}


def test_apply_whose_files_were_put_back_by_hand(tmp_path: Path) -> None:
    """An unfinished apply is no obstacle once all its files are what they were."""
    paths, before = make(tmp_path)
    interrupted(tmp_path, 1)
    paths[0].write_bytes(before["a.py"][0])
    assert str(tmp_path / ".ssot-engine/migrate/0001.journal") == applied(tmp_path).journal
    rollback(tmp_path)
    assert before == contents(tmp_path)
