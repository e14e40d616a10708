"""Patches, as git applies them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_trees import git, plant, renames

from ssot_engine.migrate.applying.patch import patch
from ssot_engine.migrate.source import Edit, edited

CASES = {
    "unix": b"a\nimport old.module\nb\n",
    "crlf": b"a\r\nimport old.module\r\nb\r\n",
    "mixed": b"a\rold.module\r\nb\nold.module\rc\r\n",
    "no newline": b"a\nold.module",
    "no newline after": b"old.module\na",
    "only line": b"old.module",
    "bom": b"\xef\xbb\xbfold.module\n",
    "latin-1": b"# coding: latin-1\n'\xe9' + old.module\n",
    "form feed": b"a\n\x0cold.module\x0b\x1c\x1d\x85\n\x0c\nold.module\n",
    "twice in a line": b"old.module, old.module\n",
    "near": b"old.module\n1\n2\n3\n4\n5\n6\nold.module\n",
    "far": b"old.module\n1\n2\n3\n4\n5\n6\n7\nold.module\n",
    "like a patch": b"--- a\n+++ b\n@@ -1 +1 @@\nold.module\n-old.module\n\\ No newline at end of file\n",
    "blank": b"\n\n\nold.module\n\n\n",
}


def applied(folder: Path, name: str, raw: bytes, edits: tuple[Edit, ...]) -> bytes:
    """What git makes of a file."""
    (path,) = plant(folder, {name: raw})
    git(folder, "apply", "-", given=patch(name, raw, edits))
    return path.read_bytes()


@pytest.mark.parametrize("raw", CASES.values(), ids=list(CASES))
def test_git_applies_it(raw: bytes, tmp_path: Path) -> None:
    """Whatever the ends of lines and the encoding, git makes of the file what the edits make of it."""
    assert edited(raw, renames(raw)) == applied(tmp_path, "a.py", raw, renames(raw))


NAMES = [
    "a b.py", "deep/er/ a .py", 'quo"te.py', "back\\slash.py", "tab\there.py", "line\nfeed.py", "é/ü.py", "日本.py",
    "$x;`y`'.py", "-dash.py", os.fsdecode(b"\xff\xfe.py"), "\x7f\x01.py", "é with space.py",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_git_finds_the_name(name: str, tmp_path: Path) -> None:
    """A name of any characters is written as git reads it."""
    raw = CASES["unix"]
    assert edited(raw, renames(raw)) == applied(tmp_path, name, raw, renames(raw))


NUMBERS = b"".join(b"%d\n" % number for number in range(60)) + b"end"


@pytest.mark.parametrize(
    ("raw", "lines"),
    [(NUMBERS, {3: b"three\n", 7: b"seven\neight\n", 30: b"", 58: b"x\n"}), (b"1\n", {1: b"one\n"})],
    ids=["many", "one"],
)
def test_it_is_what_git_would_say(raw: bytes, lines: dict[int, bytes], tmp_path: Path) -> None:
    """Hunks, their numbers and their context are those of `git diff`; only its lines on blobs are not there."""
    starts = {number: (b"\n" + raw).index(b"\n%d\n" % number) for number in lines}
    edits = tuple(Edit(starts[one], starts[one] + len(b"%d\n" % one), new) for one, new in lines.items())
    (path,) = plant(tmp_path, {"a b.py": raw})
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    path.write_bytes(edited(raw, edits))
    said = [line for line in git(tmp_path, "diff").split(b"\n") if not line.startswith(b"index ")]
    plain = [line.partition(b" @@")[0] + b" @@" if line.startswith(b"@@") else line for line in said]
    assert plain == patch("a b.py", raw, edits).split(b"\n")


def test_lines_that_stay_are_context() -> None:
    """Names that stay in an import are not shown as taken out and put in again, though one edit spans them."""
    raw = b"from old import (\n    One,\n    Two,\n    Three,\n)\n"
    new = b"from old import (\n    Two,\n    Three,\n)\nfrom new import One\n"
    body = patch("a.py", raw, (Edit(0, len(raw), new),)).split(b"@@\n")[1]
    assert b" from old import (\n-    One,\n     Two,\n     Three,\n )\n+from new import One\n" == body


def test_a_large_change_is_still_a_patch(tmp_path: Path) -> None:
    """Changes of more lines than are compared are shown as a whole."""
    raw = b"".join(b"%d\n" % number for number in range(600))
    new = b"".join(b"%d\n" % number for number in range(1, 601)) + b"0\n"
    assert new == applied(tmp_path, "a.py", raw, (Edit(0, len(raw), new),))


@pytest.mark.parametrize(("raw", "new"), [(b"", b"a\n"), (b"", b"a"), (b"a\n", b""), (b"a", b""), (b"a", b"b\n")])
def test_files_of_nothing(raw: bytes, new: bytes, tmp_path: Path) -> None:
    """A file may begin or end empty; it stays a file."""
    assert new == applied(tmp_path, "a.py", raw, (Edit(0, len(raw), new),))


def test_nothing_gives_no_patch() -> None:
    """No edits, or edits that change nothing, give no bytes at all, so that patches can be strung together."""
    assert b"" == patch("a.py", b"a\n", ())
    assert b"" == patch("a.py", b"a\nb\n", (Edit(0, 1, b"a"), Edit(2, 4, b"b\n")))


def test_patches_of_many_files_are_one_patch(tmp_path: Path) -> None:
    """Strung together, patches are a patch of all their files."""
    files = {f"{number}.py": raw for number, raw in enumerate(CASES.values())}
    paths = plant(tmp_path, files)
    git(tmp_path, "apply", "-", given=b"".join(patch(name, raw, renames(raw)) for name, raw in files.items()))
    assert [edited(raw, renames(raw)) for raw in files.values()] == [path.read_bytes() for path in paths]


@st.composite
def files_with_edits(draw: st.DrawFn) -> tuple[bytes, tuple[Edit, ...]]:
    """A file of any bytes, and edits anywhere in it."""
    pieces = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r", b"a", b"bc", b" ", b"\\", b"+", b"-", b"\x0c", b"\xe9"])
    raw = b"".join(draw(st.lists(pieces, max_size=60)))
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    spans = zip(cuts[::2], cuts[1::2], strict=False)
    news = st.lists(pieces, max_size=5).map(b"".join)
    return raw, tuple(sorted(Edit(start, end, draw(news)) for start, end in spans))


def test_any_edits_of_any_bytes(tmp_path: Path) -> None:
    """Wherever edits begin and end, git makes of every file what they make of it."""
    files: dict[str, tuple[bytes, tuple[Edit, ...]]] = {}

    @settings(max_examples=400, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(files_with_edits())
    def collect(one: tuple[bytes, tuple[Edit, ...]]) -> None:
        files[f"{len(files)}.py"] = one

    collect()
    paths = plant(tmp_path, {name: raw for name, (raw, _) in files.items()})
    git(tmp_path, "apply", "-", given=b"".join(patch(name, *one) for name, one in files.items()))
    wanted = {name: edited(*one) for name, one in files.items()}
    assert wanted == {path.name: path.read_bytes() for path in paths}
