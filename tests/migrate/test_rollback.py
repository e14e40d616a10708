"""Applies rolled back, and what is told of them before."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_trees import applied, contents, examined, give_away, interrupted, make, own_files, reasons

from ssot_engine.errors import RequestError
from ssot_engine.migrate.applying.apply import Applied, apply, past, rollback
from ssot_engine.migrate.applying.journal import Journal


def test_edited_file_is_not_put_back(tmp_path: Path) -> None:
    """A file edited or removed since is refused and stays; the others are put back; then it can be repeated."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    wrote = paths[0].read_bytes()
    paths[0].write_bytes(b"mine")
    paths[1].unlink()
    done = rollback(tmp_path)
    told = "since the apply; put it back as the apply left it, or roll back with --discard-edits"
    assert {"a.py": f"was edited {told}", "b.py": f"is gone or something else {told}"} == reasons(done)
    assert (str(paths[2]),) == done.written
    assert {"a.py": b"mine", "sub/c.py": before["sub/c.py"][0]} == {
        name: raw for name, (raw, _) in own_files(contents(tmp_path)).items()
    }
    paths[0].write_bytes(wrote)
    assert ["b.py"] == list(reasons(rollback(tmp_path)))
    paths[1].write_bytes(before["b.py"][0])
    assert done.journal is not None
    assert Applied(written=(), refused=(), journal=None) == rollback(tmp_path)
    assert before == contents(tmp_path)


def test_put_back_files_are_not_touched_again(tmp_path: Path) -> None:
    """What is done with a file after it was put back stays, also if the rollback has to be repeated for others."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    paths[0].write_bytes(b"mine")
    assert ["a.py"] == list(reasons(rollback(tmp_path)))
    paths[1].write_bytes(b"new work")
    assert (str(paths[0]),) == rollback(tmp_path, discard_edits=True).written
    assert before | {"b.py": (b"new work", before["b.py"][1])} == contents(tmp_path)


def test_edits_can_be_discarded(tmp_path: Path) -> None:
    """On request what was edited, removed, or replaced by a link is put back too, with its folder."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    paths[0].unlink()
    paths[0].symlink_to("b.py")
    paths[1].write_bytes(b"mine")
    paths[2].unlink()
    paths[2].parent.rmdir()
    assert 3 == len(rollback(tmp_path, discard_edits=True).written)
    assert before == contents(tmp_path)
    assert not paths[0].is_symlink()


def test_folder_where_a_file_was(tmp_path: Path) -> None:
    """What cannot be put back even then is refused with the reason."""
    paths, _ = make(tmp_path)
    applied(tmp_path)
    paths[0].unlink()
    paths[0].mkdir()
    done = rollback(tmp_path, discard_edits=True)
    assert {"a.py": "cannot be replaced: is a directory; correct that and repeat"} == reasons(done)
    assert [] == list(tmp_path.rglob("*.tmp"))


def test_leftover_that_cannot_be_removed(tmp_path: Path) -> None:
    """What stands where new bytes are to be stored is in the way of that file alone."""
    make(tmp_path)
    done = applied(tmp_path)
    assert done.journal is not None
    journal = Journal(Path(done.journal))
    number, one = next(journal.entries())
    journal.temporary(number, one).mkdir()
    assert {"a.py": "cannot be replaced: file exists; correct that and repeat"} == reasons(rollback(tmp_path))
    journal.temporary(number, one).rmdir()
    assert ((str(tmp_path / "a.py"),), ()) == (rollback(tmp_path).written, past(tmp_path))


def test_folder_that_became_a_link(tmp_path: Path) -> None:
    """Nothing is written through a link that was put where a folder was."""
    paths, _ = make(tmp_path)
    applied(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    paths[2].parent.rename(elsewhere)
    paths[2].parent.symlink_to(elsewhere)
    done = rollback(tmp_path, discard_edits=True)
    assert {"c.py": "is behind a symbolic link that was not there; put the folder back"} == reasons(done)


def test_two_applies_two_rollbacks(tmp_path: Path) -> None:
    """Each rollback undoes one apply, the last one first; then there is nothing to roll back."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    paths[0].write_bytes(b"old.module, once more")
    between = own_files(contents(tmp_path))
    assert str(tmp_path / ".ssot-engine/migrate/0002.journal") == applied(tmp_path).journal
    rollback(tmp_path)
    assert between == own_files(contents(tmp_path))
    assert ["a.py"] == list(reasons(rollback(tmp_path)))
    rollback(tmp_path, discard_edits=True)
    assert before == contents(tmp_path)
    with pytest.raises(RequestError, match=r"there is no apply to roll back at .*; name a path that was applied"):
        rollback(tmp_path)


def test_rollback_of_a_part(tmp_path: Path) -> None:
    """A folder or a file is put back alone; repeated, it is the apply before whose turn it is."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes() + b"old.module")
    between = own_files(contents(tmp_path))
    applied(tmp_path)
    after = own_files(contents(tmp_path))
    assert (str(paths[2]),) == rollback(tmp_path / "sub").written
    assert after | {"sub/c.py": between["sub/c.py"]} == own_files(contents(tmp_path))
    assert ["c.py"] == list(reasons(rollback(tmp_path / "sub")))
    assert (str(paths[1]),) == rollback(paths[1]).written
    assert (str(paths[0]),) == rollback(tmp_path).written
    assert between == own_files(contents(tmp_path))
    assert 3 == len(rollback(tmp_path, discard_edits=True).written)
    assert before == contents(tmp_path)


def test_journals_of_inner_folders(tmp_path: Path) -> None:
    """Without git each folder that was named has its journals; the newest with such a file is the one rolled back."""
    paths, before = make(tmp_path)
    applied(tmp_path)
    paths[2].write_bytes(b"old.module")
    apply([tmp_path / "sub"], [examined(paths[2])], table="t")
    assert (tmp_path / "sub" / ".ssot-engine").is_dir()
    assert ["sub", tmp_path.name] == [Path(one.journal).parents[2].name for one in past(paths[2])]
    rollback(paths[2])
    assert b"old.module" == paths[2].read_bytes()
    assert not (tmp_path / "sub" / ".ssot-engine").exists()
    rollback(tmp_path, discard_edits=True)
    assert before == contents(tmp_path)


def test_journal_moves_with_its_folder(tmp_path: Path) -> None:
    """A tree that was moved can still be rolled back."""
    _, before = make(tmp_path / "here")
    applied(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert () == rollback(tmp_path / "there").refused
    assert before == contents(tmp_path / "there")


def test_journal_of_somebody_else(tmp_path: Path) -> None:
    """What another user laid above our files is not put into them."""
    paths, before = make(tmp_path)
    done = applied(tmp_path)
    assert done.journal is not None
    give_away(Path(done.journal), 12345)
    give_away(paths[2], 12345)
    refused = reasons(rollback(tmp_path))
    assert ["a.py", "b.py"] == list(refused)
    assert "is not put back from another user's journal" in refused["a.py"]
    assert before["sub/c.py"] == contents(tmp_path)["sub/c.py"]


def test_past_says_how_files_are(tmp_path: Path) -> None:
    """Every apply is told with its table and time, the newest first, and with how its files are now."""
    assert () == past(tmp_path)
    paths, before = make(tmp_path)
    applied(tmp_path)
    paths[0].write_bytes(b"old.module")
    apply([tmp_path], [examined(paths[0])], table="other.yaml")
    paths[1].write_bytes(b"mine")
    paths[2].write_bytes(before["sub/c.py"][0])
    new, old = past(tmp_path)
    assert ("other.yaml", "t.yaml") == (new.table, old.table)
    assert (1, 1, 0, 0, True) == (new.files, new.applied, new.restored, new.edited, new.finished)
    assert (3, 0 if new.applied else 1, 1, 2) == (old.files, old.applied, old.restored, old.edited)
    assert new.at >= old.at
    assert Path(old.journal).stat().st_size == old.size_bytes
    (inner,) = past(tmp_path / "sub")
    assert (1, 0, 1, 0, old.journal) == (inner.files, inner.applied, inner.restored, inner.edited, inner.journal)
    assert () == past(tmp_path / "nowhere")


def test_past_of_an_unfinished_apply(tmp_path: Path) -> None:
    """Of an apply that was interrupted it is told how far it came."""
    make(tmp_path)
    interrupted(tmp_path, 1)
    (one,) = past(tmp_path)
    assert (3, 1, 2, 0, False) == (one.files, one.applied, one.restored, one.edited, one.finished)
