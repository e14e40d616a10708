"""What git says before an apply."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_trees import (
    FILES,
    OLD,
    all_examined,
    applied,
    committed,
    contents,
    examined,
    git,
    make,
    plant,
)

from ssot_engine.errors import RequestError
from ssot_engine.migrate.applying.apply import apply, rollback


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A work tree with all committed."""
    make(tmp_path)
    committed(tmp_path)
    return tmp_path


def test_committed_tree(work_tree: Path) -> None:
    """In a work tree the journal is at its top, and git sees neither it nor anything else after a rollback."""
    done = apply([work_tree / "sub"], [examined(work_tree / "sub/c.py")], table="t")
    assert str(work_tree / ".ssot-engine/migrate/0001.journal") == done.journal
    assert b" M sub/c.py\n" == git(work_tree, "status", "--porcelain")
    rollback(work_tree / "sub")
    assert b"" == git(work_tree, "status", "--porcelain")


def staged(tree: Path) -> None:
    (tree / "b.py").write_bytes(b"old.module, staged")
    git(tree, "add", "b.py")


def odd(tree: Path) -> None:
    plant(tree, {"q\n é.py": b"1"})
    git(tree, "add", "-A")


DIRTY: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda tree: (tree / "b.py").write_bytes(b"x"), "are not committed: 'b.py'; commit or stash them"),
    "removed": (lambda tree: (tree / "b.py").unlink(), "not committed: 'b.py'"),
    "mode": (lambda tree: (tree / "b.py").chmod(0o755), "not committed: 'b.py'"),
    "staged": (staged, "not committed: 'b.py'"),
    "moved": (lambda tree: git(tree, "mv", "b.py", "e.py"), "not committed: 'b.py', 'e.py'"),
    "odd": (odd, r"not committed: 'q\\n é.py'"),
    "untracked": (lambda tree: plant(tree, {"d.py": OLD}), "git does not have 'd.py', and could not give"),
    "ignored": (
        lambda tree: (plant(tree, {"gen/d.py": OLD}), (tree / ".git/info/exclude").write_text("gen\n")),
        "git does not have 'gen/d.py'",
    ),
    "many": (lambda tree: plant(tree, {f"{one}.py": OLD for one in range(9)}), "'0.py', '1.py', '2.py' and 6 more"),
}


@pytest.mark.parametrize(("change", "told"), DIRTY.values(), ids=list(DIRTY))
def test_uncommitted_changes_are_refused(change: Callable[[Path], object], told: str, work_tree: Path) -> None:
    """Where git could not give back what is overwritten, nothing is written, unless that is allowed."""
    change(work_tree)
    before = contents(work_tree)
    with pytest.raises(RequestError) as refused:
        applied(work_tree)
    assert told.replace("\\\\", "\\") in str(refused.value)
    assert "--allow-dirty" in str(refused.value)
    assert before == contents(work_tree)
    files = [path for path in work_tree.rglob("*.py") if OLD in path.read_bytes()]
    assert len(files) == len(apply([work_tree], all_examined(files), table="t", allow_dirty=True).written)


def test_changes_elsewhere_do_not_matter(work_tree: Path) -> None:
    """Changes outside of the paths, and files git does not know that are not written, are nobody's business."""
    (work_tree / "a.py").write_bytes(b"x")
    plant(work_tree, {"sub/notes.txt": b"x"})
    done = apply([work_tree / "sub"], [examined(work_tree / "sub/c.py")], table="t")
    assert 1 == len(done.written)


def test_paths_are_taken_literally(work_tree: Path) -> None:
    """A name with characters that mean something to git is only a name."""
    plant(work_tree, {"s*/d.py": OLD, ":(top)x/e.py": OLD})
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-q", "-m", "more")
    (work_tree / "sub/c.py").write_bytes(b"x")
    for name in ("s*", ":(top)x"):
        (file,) = (work_tree / name).iterdir()
        assert 1 == len(apply([work_tree / name], [examined(file)], table="t").written)


def test_work_tree_within_another(work_tree: Path) -> None:
    """Files of an inner work tree are asked of it."""
    (inner,) = plant(work_tree, {"inner/d.py": OLD})
    committed(inner.parent)
    assert 1 == len(apply([work_tree], [examined(inner)], table="t").written)
    rollback(work_tree)
    inner.write_bytes(OLD + b" mine")
    with pytest.raises(RequestError, match=r"not committed: 'd\.py'"):
        apply([work_tree], [examined(inner)], table="t")


def test_work_tree_below_the_path(tmp_path: Path) -> None:
    """A folder that is no work tree may have one in it, which is asked of its files."""
    inner, other = plant(tmp_path, {"inner/d.py": OLD, "e.py": OLD})
    committed(inner.parent)
    assert 2 == len(applied(tmp_path).written)
    rollback(tmp_path)
    inner.write_bytes(OLD + b" mine")
    assert 1 == len(apply([tmp_path], [examined(other)], table="t").written)
    for paths in ([tmp_path], [tmp_path, tmp_path / "inner" / "other"], [inner]):
        with pytest.raises(RequestError, match=r"not committed: 'd\.py'"):
            apply(paths, [examined(inner)], table="t")


def test_git_is_asked_of_this_tree(work_tree: Path, tmp_path_factory: pytest.TempPathFactory,
                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """What a hook's environment says of another tree does not count, and the index is not written."""
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    index = (work_tree / ".git/index").read_bytes()
    os.utime(work_tree / "a.py", (1, 1))
    assert 3 == len(applied(work_tree).written)
    assert index == (work_tree / ".git/index").read_bytes()


def test_git_that_cannot_say(tmp_path: Path, work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git, or with a work tree it cannot read, an apply is refused, unless it may be dirty."""
    git_file = work_tree / ".git"
    git_file.rename(work_tree / "away")
    git_file.write_text("gitdir: nowhere\n")
    with pytest.raises(RequestError, match=r"git cannot say what is committed in .*nowhere.*--allow-dirty"):
        applied(work_tree)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(RequestError, match="there is no git to ask; install it, or apply with --allow-dirty"):
        applied(work_tree)
    files = all_examined(work_tree / name for name in FILES)
    assert 3 == len(apply([work_tree], files, table="t", allow_dirty=True).written)


def test_dirty_may_be_allowed_outside_of_git(tmp_path: Path) -> None:
    """Where there is no git there is nothing to allow, and it may be said all the same."""
    paths, _ = make(tmp_path)
    done = apply([tmp_path], all_examined(paths), table="t", allow_dirty=True)
    assert ((), 3) == (done.refused, len(done.written))
