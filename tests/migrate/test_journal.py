"""The record of an apply."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_trees import OLD, applied, contents, interrupted, make, own_files, reasons

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.applying.apply import past, rollback
from ssot_engine.migrate.applying.atomic import write_all
from ssot_engine.migrate.applying.journal import Draft, Entry, Journal, digest, entry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a journal may be."""
    folder = tmp_path / ".ssot-engine" / "migrate"
    folder.mkdir(parents=True)
    return folder / "0001.journal"


def written(file: Path, *entries: Entry) -> Journal:
    """A journal with these files."""
    with Draft(file, "t.yaml") as draft:
        for one in entries:
            draft.add(one)
        return draft.commit()


NAMES = ["a.py", "line\nfeed", "\x00", "日本", os.fsdecode(b"\xff\xfe"), 'quo"te\\', "packed", "sub/b.py", "sub2/c.py"]


def test_entries_come_back(file: Path) -> None:
    """What is put in comes back in its order, whatever bytes are in names and files."""
    entries = [entry(name, number, name.encode(errors="surrogateescape"), b"") for number, name in enumerate(NAMES)]
    journal = written(file, *entries)
    assert list(enumerate(entries)) == list(journal.entries())
    assert [os.fsencode(name) for name in NAMES] == [one.original for _, one in journal.entries()]
    assert (len(NAMES), "t.yaml", False) == (journal.count, journal.table, journal.finished)
    assert digest(b"") == entries[0].after


def test_entries_of_a_place(file: Path) -> None:
    """A place is a file or a folder, not the beginning of a name; what was refused or put back is no longer there."""
    journal = written(file, *(entry(name, 0o644, b"a", b"b") for name in NAMES))
    assert [7] == [number for number, _ in journal.entries("sub")]
    assert [8] == [number for number, _ in journal.entries("sub2/c.py")]
    journal.finish([0])
    journal.close([8])
    for one in (journal, Journal(file)):
        assert [1, 2, 3, 4, 5, 6, 7] == [number for number, _ in one.entries()]
        assert one.finished
    journal.close([1, 2, 3, 4, 5, 6, 7])
    assert not file.exists()
    with pytest.raises(ConfigError, match="cannot be read: no such file or directory"):
        Journal(file)


def test_draft_is_no_journal(file: Path) -> None:
    """Until it is committed there is no journal, and nothing is left of it if it is not."""
    with pytest.raises(KeyError), Draft(file, "t") as draft:  # noqa: PT012
        draft.add(entry("a", 0, b"a", b"b"))
        assert not file.exists()
        raise KeyError
    assert [] == list(file.parent.iterdir())


def test_leftovers_are_removed(tmp_path: Path) -> None:
    """What a killed apply left before its journal was complete is removed by the next one."""
    make(tmp_path)
    store = tmp_path / ".ssot-engine" / "migrate"
    store.mkdir(parents=True)
    (store / "0001.journal.new").write_bytes(b'{"version": 1}\n{"pa')
    (store / ".gitignore").write_bytes(b"")
    assert () == past(tmp_path)
    applied(tmp_path)
    assert {".gitignore", "lock", "0001.journal"} == {path.name for path in store.iterdir()}
    assert b"*\n" == (store / ".gitignore").read_bytes()
    (store / "0002.journal.new").write_bytes(b"{")
    rollback(tmp_path)
    assert not store.exists()


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """Where the folder for journals cannot be made or used, an apply says so and writes nothing."""
    _, before = make(tmp_path)
    folder = tmp_path / ".ssot-engine"
    folder.write_bytes(b"")
    with pytest.raises(ConfigError, match="for journals cannot be used: not a directory"):
        applied(tmp_path)
    folder.unlink()
    (folder / "migrate" / ".gitignore").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ConfigError, match="for journals cannot be used: is a directory"):
            applied(tmp_path)
    assert before == own_files(contents(tmp_path))


@pytest.mark.parametrize("name", [".gitignore", "lock"])
def test_links_in_the_folder_are_not_written_through(name: str, tmp_path: Path) -> None:
    """A link that came with a tree in the place of our own file is refused, and what it leads to stays."""
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    _, before = make(tree)
    folder = tree / ".ssot-engine" / "migrate"
    folder.mkdir(parents=True)
    elsewhere.write_bytes(b"mine")
    elsewhere.chmod(0o600)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="for journals cannot be used"):
        applied(tree)
    assert before == own_files(contents(tree))
    assert (b"mine", 0o600) == (elsewhere.read_bytes(), elsewhere.stat().st_mode & 0o777)


def test_other_things_in_the_folder_stay(tmp_path: Path) -> None:
    """A rollback removes the folder with the last journal, unless somebody keeps something there."""
    _, before = make(tmp_path)
    kept = tmp_path / ".ssot-engine" / "baseline.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    applied(tmp_path)
    rollback(tmp_path)
    assert before == own_files(contents(tmp_path))
    assert [kept] == list(kept.parent.iterdir())


def damaged(change: Callable[[list[dict[str, object]]], object], file: Path) -> None:
    lines = [json.loads(line) for line in file.read_bytes().splitlines() if line]
    change(lines)
    file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


DAMAGES: list[tuple[Callable[[list[dict[str, object]]], object], str]] = [
    (lambda lines: lines.pop(), "it has 3 files and should have more"),
    (lambda lines: lines.pop(1), "it has 2 files and should have 3"),
    (lambda lines: lines[1].update(path="/etc/passwd"), "path '/etc/passwd' leaves its folder"),
    (lambda lines: lines[1].update(path="a/../../b"), "leaves its folder"),
    (lambda lines: lines[1].pop("mode"), "mode"),
    (lambda lines: lines[1].update(path=1), "path"),
    (lambda lines: lines[0].pop("at"), "at"),
    (lambda lines: lines[0].update(at="then"), "at"),
    (lambda lines: lines[0].pop("token"), "token"),
    (lambda lines: lines[0].update(token="a/b"), "token"),
    (lambda lines: lines.insert(1, []), "a line is no object"),  # type: ignore[arg-type]
    (lambda lines: lines[0].update(version=2), "is not of version 1; use the ssot-engine that wrote it"),
    (lambda lines: lines.clear(), "is not of version 1"),
]


@pytest.mark.parametrize(("change", "told"), DAMAGES)
def test_damaged_journal_is_refused(
    change: Callable[[list[dict[str, object]]], object], told: str, tmp_path: Path
) -> None:
    """A journal that lacks something, or says what it never would, is refused before any file is touched."""
    make(tmp_path)
    interrupted(tmp_path, 3)
    after = own_files(contents(tmp_path))
    file = tmp_path / ".ssot-engine" / "migrate" / "0001.journal"
    damaged(change, file)
    with pytest.raises(ConfigError) as refused:
        rollback(tmp_path)
    assert told in str(refused.value)
    assert repr(str(file)) in str(refused.value)
    assert after == own_files(contents(tmp_path))


def test_torn_lines(file: Path) -> None:
    """A line cut off within the files is a damage; one cut off by a kill while it was appended is none."""
    journal = written(file, entry("a", 0, b"a", b"b"))
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\n" + whole[100:])
    with pytest.raises(ConfigError, match="is damaged"):
        Journal(file)
    file.write_bytes(whole + b'\n{"closed": [')
    assert 1 == len(list(Journal(file).entries()))
    journal.finish()
    assert Journal(file).finished


def test_damaged_contents_are_not_put_back(tmp_path: Path) -> None:
    """A file whose old bytes are damaged in the journal is refused, and the others are put back."""
    _, before = make(tmp_path)
    applied(tmp_path)
    file = tmp_path / ".ssot-engine" / "migrate" / "0001.journal"
    other = entry("a.py", 0, b"other", b"").packed
    damaged(lambda lines: (lines[1].update(packed=other), lines[2].update(packed="AAAA")), file)
    done = rollback(tmp_path)
    assert ["a.py", "b.py"] == list(reasons(done))
    assert "cannot be put back, the journal is damaged: its checksum is another" in reasons(done)["a.py"]
    assert (str(tmp_path / "sub/c.py"),) == done.written
    assert before["sub/c.py"] == contents(tmp_path)["sub/c.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="files are told by /proc, which only Linux has; run this there")
def test_everything_is_on_disk_before_what_relies_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is on disk before a file is replaced, new bytes before they take a name, names before the end is."""
    make(tmp_path, {"a.py": OLD, "b.py": OLD})
    fsync, replace, unlink, seen = os.fsync, os.replace, os.unlink, []

    def name(path: object) -> str:
        return Path(str(path)).name.replace(tmp_path.name, "TREE")

    def spied_fsync(fd: int) -> None:
        seen.append(f"sync {name(os.readlink(f'/proc/self/fd/{fd}'))}")
        fsync(fd)

    def spied_replace(source: Path, target: Path) -> None:
        seen.append(f"replace {name(target)}")
        replace(source, target)

    def spied_unlink(path: Path) -> None:
        if name(path).endswith(".journal"):
            seen.append(f"unlink {name(path)}")
        unlink(path)

    monkeypatch.setattr(os, "fsync", spied_fsync)
    monkeypatch.setattr(os, "replace", spied_replace)
    monkeypatch.setattr(os, "unlink", spied_unlink)
    applied(tmp_path)
    rollback(tmp_path)
    token = Path(seen[4].removeprefix("sync ")).stem.removesuffix("-0")
    files = [f"sync {token}-0.tmp", "replace a.py", f"sync {token}-1.tmp", "replace b.py", "sync TREE"]
    noted = ["sync 0001.journal.new", "sync migrate", "sync .ssot-engine", "sync TREE"]
    assert [*noted, *files, "sync 0001.journal", *files, "unlink 0001.journal", "sync migrate"] == seen


def test_writing_goes_on_after_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system that takes only some of the bytes is given the rest."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    fd = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT)
    write_all(fd, b"0123456789")
    os.close(fd)
    assert b"0123456789" == (tmp_path / "a").read_bytes()
