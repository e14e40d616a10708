"""The files below some paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.findings import LeftAlone, Problem
from ssot_engine.migrate.scanning.tree import Tree


def plant(folder: Path, *names: str) -> None:
    """Files with no content; a name that ends with "/" is a folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def found(folder: Path, *exclude: str) -> list[str]:
    """Files of a folder, below it."""
    return [path.relative_to(folder).as_posix() for path in Tree([folder], exclude)]


def left(folder: Path, *exclude: str) -> list[tuple[str, str]]:
    """What of a folder is told to be left alone, below it."""
    tree = Tree([folder], exclude)
    list(tree)
    return [(Path(one.path).relative_to(folder).as_posix(), one.reason) for one in tree.left_alone]


def test_python_and_configuration_are_found_in_order(tmp_path: Path) -> None:
    """Files with Python's endings and those of configuration are found, in the order of their paths."""
    names = ["a.py", "a/b.pyi", "a/c/d.pyw", "a0.py", "b.yaml", "c.yml", "d.toml", "e.ini", "f.cfg", "é/x y.py"]
    plant(tmp_path, *names, "a.txt", "py", "b.pyc", "c.json", "a.py.orig")
    assert names == found(tmp_path)
    assert sorted(names) == names
    assert [] == left(tmp_path)


def test_scripts_are_found_by_their_first_line(tmp_path: Path) -> None:
    """A file without an ending is a script if its first line calls Python."""
    for name, text in {"a": "#!/usr/bin/env python3\n", "b": "#!/bin/sh\npython x\n", "c": " #!python\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "d.run").write_text("#!/usr/bin/env python3\n")
    assert ["a"] == found(tmp_path)


@pytest.mark.parametrize("name", [".git", ".hg", ".svn", "node_modules", ".venv", "venv", ".tox", ".nox", ".eggs"])
def test_folders_of_tools_are_left_alone(name: str, tmp_path: Path) -> None:
    """Folders nobody's own source is in are left alone and told once, at any depth."""
    plant(tmp_path, f"{name}/a.py", f"x/{name}/y/b.py", f"x/{name}/c.py")
    reason = "holds no source of the host's own"
    assert [] == found(tmp_path)
    assert [(name, reason), (f"x/{name}", reason)] == left(tmp_path)


def test_what_marks_a_folder_leaves_it_alone(tmp_path: Path) -> None:
    """Virtual environments of any name, installations and our own folder are left alone, each with its reason."""
    plant(tmp_path, "env/pyvenv.cfg", "env/lib/a.py", "x.egg-info/b.py", ".ssot-engine/c.py", "c.py")
    assert ["c.py"] == found(tmp_path)
    assert [
        (".ssot-engine", "holds what migrations are rolled back with"),
        ("env", "is a virtual environment"),
        ("x.egg-info", "holds what an installation wrote"),
    ] == left(tmp_path)


def test_caches_are_left_out_silently(tmp_path: Path) -> None:
    """Folders of compiled modules, of which there is one beside every source, are not told."""
    plant(tmp_path, "a/__pycache__/a.py", "a/a.py")
    assert (["a/a.py"], []) == (found(tmp_path), left(tmp_path))


def test_what_is_given_is_entered_whatever_its_name(tmp_path: Path) -> None:
    """A folder that would be left alone within another is looked at if it is given itself."""
    plant(tmp_path, "venv/pyvenv.cfg", "venv/a.py")
    assert ["a.py", "pyvenv.cfg"] == found(tmp_path / "venv")


EXCLUDED: list[tuple[str, Sequence[str]]] = [
    ("tests/fixtures/*", ["tests/fixtures/a.py", "tests/fixtures/deep"]),
    ("tests/fixtures", ["tests/fixtures"]),
    ("tests/fixtures/", ["tests/fixtures"]),
    ("./tests/fixtures", ["tests/fixtures"]),
    ("fixtures", ["tests/fixtures"]),
    ("x.py", ["tests/fixtures/deep/x.py", "x.py"]),
    ("**/x.py", ["tests/fixtures/deep/x.py", "x.py"]),
    ("tests/**/x.py", ["tests/fixtures/deep/x.py"]),
    ("tests/**", ["tests/fixtures"]),
    ("tests/*/x.py", []),
    ("/x.py", []),
    ("?.py", ["tests/fixtures/a.py", "tests/fixtures/deep/x.py", "x.py"]),
    ("[a-c].py", ["tests/fixtures/a.py"]),
    ("[!a-c].py", ["tests/fixtures/deep/x.py", "x.py"]),
    ("x+py", []),
    ("", []),
]


@pytest.mark.parametrize(("pattern", "told"), EXCLUDED)
def test_patterns_exclude(pattern: str, told: Sequence[str], tmp_path: Path) -> None:
    """A pattern leaves out what it matches; a folder is told once, and nothing in it is looked at."""
    every = ["tests/fixtures/a.py", "tests/fixtures/deep/x.py", "x.py"]
    plant(tmp_path, *every)
    assert [(name, f"is excluded by {pattern!r}") for name in told] == left(tmp_path, pattern)
    assert [name for name in every if not any(name == one or name.startswith(f"{one}/") for one in told)] == found(
        tmp_path, pattern
    )


def test_patterns_match_the_whole_path_too(tmp_path: Path) -> None:
    """A pattern may begin with what was given, and it holds for files that are given themselves."""
    plant(tmp_path, "a/x.py", "b/x.py")
    assert ["b/x.py"] == found(tmp_path, f"{tmp_path.as_posix()}/a/*")
    assert [tmp_path / "b/x.py"] == list(Tree([tmp_path / "a/x.py", tmp_path / "b/x.py"], ["**/a/*"]))


def test_two_stars_stand_for_no_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right in the folder one is in is below any number of folders: none."""
    plant(tmp_path, "a/x.py", "x.py", "y.py")
    monkeypatch.chdir(tmp_path)
    assert ["y.py"] == list(Tree([Path()], ["**/x.py"]).names())


def test_pattern_without_an_end_is_refused(tmp_path: Path) -> None:
    """A pattern that is none is the operator's to correct."""
    with pytest.raises(ConfigError, match=r"pattern '\[z-a\]' .* correct it"):
        Tree([tmp_path], ["[z-a]"])


def test_missing_path_is_refused(tmp_path: Path) -> None:
    """A path that does not exist is refused, before any file is looked at."""
    with pytest.raises(ConfigError, match="does not exist; correct it"):
        Tree([tmp_path, tmp_path / "none"])


def test_pipe_is_refused(tmp_path: Path) -> None:
    """What is neither file nor folder is refused where it is given, and passed over in a folder."""
    os.mkfifo(tmp_path / "a.py")
    assert [] == found(tmp_path)
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        Tree([tmp_path / "a.py"])


def test_file_that_is_given_is_taken(tmp_path: Path) -> None:
    """A file that is given itself is taken whatever its ending."""
    plant(tmp_path, "a.txt", "b.py")
    assert [tmp_path / "a.txt"] == list(Tree([tmp_path / "a.txt"]))


def test_each_file_counts_once(tmp_path: Path) -> None:
    """What is given twice, below something given, or under another spelling is found once."""
    plant(tmp_path, "a/b/c.py", "a/d.py")
    given = [tmp_path / "a/b/c.py", tmp_path / "a", tmp_path / "a/b", tmp_path / "a/../a/d.py", tmp_path / "a"]
    assert ["c.py", "d.py"] == sorted(path.name for path in Tree(given))


def test_paths_are_shown_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays relative, and the folder one is in has no name."""
    plant(tmp_path, "a/b.py")
    monkeypatch.chdir(tmp_path)
    assert ["a/b.py"] == list(Tree([Path()]).names())
    assert ["a/b.py"] == list(Tree([Path("a/")]).names())
    monkeypatch.chdir("a")
    assert ["../a/b.py"] == list(Tree([Path("../a")]).names())


def test_links_within_the_tree_are_covered(tmp_path: Path) -> None:
    """A link to something below what was given needs no word: that is looked at where it is."""
    plant(tmp_path, "a/b.py")
    (tmp_path / "c.py").symlink_to("a/b.py")
    (tmp_path / "d").symlink_to("a")
    assert (["a/b.py"], []) == (found(tmp_path), left(tmp_path))


def test_links_to_elsewhere_are_told(tmp_path: Path) -> None:
    """A link that leads out of the tree, or to nothing, is not followed, and told."""
    plant(tmp_path, "out/x.py", "in/b.py", "in/deep/run")
    for name, target in {"c.py": "../out/x.py", "d": "../out", "e.py": "none", "f.txt": "../out/x.py"}.items():
        (tmp_path / "in" / name).symlink_to(target)
    (tmp_path / "in/g.py").symlink_to("deep/run")
    assert ["b.py"] == found(tmp_path / "in")
    assert [
        (name, f"is a symbolic link to {str(tmp_path / target)!r}, and links are not followed")
        for name, target in {"c.py": "out/x.py", "d": "out", "e.py": "in/none", "g.py": "in/deep/run"}.items()
    ] == left(tmp_path / "in")


def test_link_that_is_given_is_a_problem(tmp_path: Path) -> None:
    """A link that is given itself is not followed: the operator is told what to give."""
    plant(tmp_path, "a/b.py")
    (tmp_path / "c").symlink_to("a")
    tree = Tree([tmp_path / "c"])
    assert [] == list(tree)
    reason = f"is a symbolic link, and links are not followed; give {str(tmp_path / 'a')!r} itself"
    assert [Problem(path=str(tmp_path / "c"), reason=reason)] == tree.problems


def test_link_that_leads_to_itself_ends(tmp_path: Path) -> None:
    """Links that lead around in a circle are no way without an end."""
    plant(tmp_path, "a/b.py")
    (tmp_path / "a/c").symlink_to("..")
    (tmp_path / "a/d.py").symlink_to("d.py")
    assert ["a/b.py"] == found(tmp_path)
    assert ["a/d.py"] == [name for name, _ in left(tmp_path)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder; run the tests as another user")
def test_folder_without_rights_is_a_problem(tmp_path: Path) -> None:
    """A folder that cannot be read is told, and the others are looked at."""
    plant(tmp_path, "a/b.py", "c/d.py")
    (tmp_path / "a").chmod(0)
    tree = Tree([tmp_path])
    assert [tmp_path / "c/d.py"] == list(tree)
    (tmp_path / "a").chmod(0o700)
    reason = "cannot be read: Permission denied; give yourself the right, or exclude it"
    assert [Problem(path=str(tmp_path / "a"), reason=reason)] == tree.problems


def test_what_may_be_a_script_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file without an ending whose first line cannot be read is left alone, and not without a word."""
    plant(tmp_path, "a.py", "b", "c.py")
    tree = Tree([tmp_path])
    names = tree.names()
    next(names)
    (tmp_path / "b").unlink()
    assert [f"{tmp_path}/c.py"] == list(names)
    reason = "may be a script, but cannot be read: No such file or directory"
    assert [LeftAlone(path=f"{tmp_path}/b", reason=reason)] == tree.left_alone


def test_folder_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    """A folder that is gone when its turn comes is told, and the others are looked at."""
    plant(tmp_path, "a/b.py", "c/d.py", "e/f.py")
    tree = Tree([tmp_path / "a", tmp_path / "c", tmp_path / "e"])
    names = tree.names()
    assert str(tmp_path / "a/b.py") == next(names)
    (tmp_path / "c/d.py").unlink()
    (tmp_path / "c").rmdir()
    assert [str(tmp_path / "e/f.py")] == list(names)
    assert [str(tmp_path / "c")] == [one.path for one in tree.problems]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_name_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    """A file whose name findings could not show is told in a form that can be shown."""
    plant(tmp_path, "b.py")
    with open(os.fsencode(tmp_path) + b"/a\xff.py", "wb"):
        pass
    tree = Tree([tmp_path])
    assert [tmp_path / "b.py"] == list(tree)
    assert [Problem(path=f"{tmp_path}/a\\udcff.py", reason="its name is not in UTF-8; rename it")] == tree.problems


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_name_that_is_given_and_no_text_is_a_problem(tmp_path: Path) -> None:
    """A file that is given itself is a problem likewise."""
    path = tmp_path / os.fsdecode(b"\xff.py")
    path.touch()
    tree = Tree([path])
    assert [] == list(tree)
    assert [Problem(path=f"{tmp_path}/\\udcff.py", reason="its name is not in UTF-8; rename it")] == tree.problems


@pytest.fixture
def deep_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder within more others than calls may be within each other, and removed afterwards as nobody else could."""
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 200
    for count in range(1, depth + 1):
        os.mkdir("d/" * count)
    yield "d/" * depth
    Path("d/" * depth, "a.py").unlink()
    for count in range(depth, 0, -1):
        os.rmdir("d/" * count)


def test_folders_may_be_deeper_than_calls(deep_folder: str) -> None:
    """Files are found however many folders they are in."""
    plant(Path(), f"{deep_folder}a.py", "z.py")
    assert [f"{deep_folder}a.py", "z.py"] == list(Tree([Path()]).names())


def test_tree_can_be_walked_again(tmp_path: Path) -> None:
    """A second walk tells what is left alone anew, once."""
    plant(tmp_path, "a.py", ".git/b.py")
    tree = Tree([tmp_path])
    assert list(tree) == list(tree)
    assert [LeftAlone(path=str(tmp_path / ".git"), reason="holds no source of the host's own")] == tree.left_alone
