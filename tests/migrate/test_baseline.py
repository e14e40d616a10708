"""The baseline: findings that are accepted for now, so that there can only be fewer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from ssot_engine.errors import ConfigError
from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.reporting.baseline import Compared, compare, write_baseline


def finding(path: str | Path, line: int = 1, old: str = "old.A", rule: Rule = Rule.IMPORT, column: int = 1) -> Finding:
    """A finding at that line."""
    return Finding(path=str(path), line=line, column=column, rule=rule, old=old)


def accepted(folder: Path, *findings: Finding) -> Path:
    """A baseline of these findings, in that folder."""
    write_baseline(folder / "baseline.json", findings, folder)
    return folder / "baseline.json"


def lines(compared: Compared) -> list[int]:
    """Where the new ones are."""
    return [one.line for one in compared.new]


def test_what_is_accepted_is_not_new(tmp_path: Path) -> None:
    """Nothing of what a baseline was written from is new against it, and nothing is gone."""
    every = [finding(tmp_path / "a.py", 3), finding(tmp_path / "a.py", 9), finding(tmp_path / "b.py", rule=Rule.STRING)]
    file = accepted(tmp_path, *every)
    assert Compared(new=(), accepted=3, gone=0) == compare(file, every, tmp_path)


def test_lines_do_not_matter(tmp_path: Path) -> None:
    """A finding that stands elsewhere in its file is the same."""
    file = accepted(tmp_path, finding(tmp_path / "a.py", 3))
    assert Compared(new=(), accepted=1, gone=0) == compare(file, [finding(tmp_path / "a.py", 300)], tmp_path)


@pytest.mark.parametrize(
    "other",
    [finding("b.py"), finding("a.py", old="old.B"), finding("a.py", rule=Rule.USE), finding("sub/a.py")],
    ids=["another file", "another name", "another rule", "another folder"],
)
def test_another_finding_is_new(other: Finding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, rule and name count: where one of them differs, it is another finding."""
    monkeypatch.chdir(tmp_path)
    file = accepted(tmp_path, finding("a.py"))
    assert Compared(new=(other,), accepted=0, gone=1) == compare(file, [other], tmp_path)


def test_of_several_alike_the_last_are_new(tmp_path: Path) -> None:
    """Beyond the accepted number, the last ones of the file are new; they keep the order they came in."""
    file = accepted(tmp_path, finding("a.py", 1), finding("a.py", 5))
    found = [finding("a.py", line) for line in (9, 2, 7, 4)]
    compared = compare(file, [finding("a.py", 2, column=8), *found], tmp_path)
    assert ([9, 7, 4], 2, 0) == (lines(compared), compared.accepted, compared.gone)


def test_the_number_can_only_fall(tmp_path: Path) -> None:
    """Written anew after some are gone, the baseline does not accept them again."""
    file = accepted(tmp_path, *(finding("a.py", line) for line in (1, 2, 3)))
    fewer = [finding("a.py", 1)]
    assert Compared(new=(), accepted=1, gone=2) == compare(file, fewer, tmp_path)
    accepted(tmp_path, *fewer)
    assert [2, 3] == lines(compare(file, [finding("a.py", line) for line in (1, 2, 3)], tmp_path))


def test_paths_are_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file is known however it is given: whole, or from whatever folder the command runs in."""
    (tmp_path / "app" / "core").mkdir(parents=True)
    file = accepted(tmp_path, finding(tmp_path / "app" / "core" / "x.py"))
    spellings = {".": "app/core/x.py", "app": "core/x.py", "app/core": "../core/./x.py"}
    for folder, spelling in spellings.items():
        monkeypatch.chdir(tmp_path / folder)
        assert [] == lines(compare(file, [finding(spelling)], tmp_path))
        root = Path(*[".."] * len(Path(folder).parts)) if folder != "." else Path()
        assert [] == lines(compare(root / "baseline.json", [finding(spelling)], root))


def test_the_file_reads_well_in_a_review(tmp_path: Path) -> None:
    """Paths, rules and names are sorted, each finding has a line of its own, and the file ends with a newline."""
    every = [
        finding("b.py", old="z"), finding("b.py", 9, old="a"), finding("b.py", 2, old="z"),
        finding("a.py", rule=Rule.USE), finding("a.py"),
    ]  # fmt: skip

    def written(findings: Iterable[Finding]) -> str:
        write_baseline(tmp_path / "x.json", findings, Path())
        return (tmp_path / "x.json").read_text()

    text = """{
  "version": 1,
  "accepted": {
    "a.py": {
      "import": {
        "old.A": 1
      },
      "use": {
        "old.A": 1
      }
    },
    "b.py": {
      "import": {
        "a": 1,
        "z": 2
      }
    }
  }
}
"""
    assert text == written(every) == written(reversed(every))
    without = text.replace('        "a": 1,\n', "")
    assert without == written([one for one in every if one.old != "a"])


def test_a_baseline_of_nothing(tmp_path: Path) -> None:
    """With nothing found, nothing is accepted."""
    file = accepted(tmp_path)
    assert {"version": 1, "accepted": {}} == json.loads(file.read_text())
    assert [1] == lines(compare(file, [finding("a.py")], tmp_path))


def test_paths_of_any_characters_are_kept(tmp_path: Path) -> None:
    """Spaces, letters of other scripts and bytes that are no UTF-8 are in a baseline like others."""
    every = [finding(tmp_path / name) for name in ("ä b.py", "файл.py", 'q".py', "b\udcff.py")]
    file = accepted(tmp_path, *every)
    assert Compared(new=(), accepted=4, gone=0) == compare(file, every, tmp_path)


def test_a_file_outside_is_kept_by_the_way_to_it(tmp_path: Path) -> None:
    """A file that is not below the root is called from there all the same."""
    (tmp_path / "in").mkdir()
    write_baseline(tmp_path / "x.json", [finding(tmp_path / "out" / "a.py")], tmp_path / "in")
    assert ["../out/a.py"] == list(json.loads((tmp_path / "x.json").read_text())["accepted"])


BAD = {
    "no JSON": ("<<<<<<< HEAD\n{}", "JSON is malformed"),
    "nothing": ("", "Input data was truncated"),
    "no UTF-8": (b'{"version": 1, "accepted": {"\xff": {}}}', "is no baseline"),
    "another version": ('{"version": 2, "accepted": {}}', "Invalid enum value 2"),
    "no findings": ('{"version": 1}', "missing required field `accepted`"),
    "something more": ('{"version": 1, "accepted": {}, "lines": 3}', "unknown field `lines`"),
    "a list": ("[]", "Expected `object`"),
    "half a finding": ('{"version": 1, "accepted": {"a.py": {"import": 1}}}', "$.accepted[...][...]"),
    "no number": ('{"version": 1, "accepted": {"a.py": {"import": {"old.A": "1"}}}}', "Expected `int`, got `str`"),
    "none at all": ('{"version": 1, "accepted": {"a.py": {"import": {"old.A": 0}}}}', "Expected `int` >= 1"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_what_is_no_baseline_is_refused(content: str | bytes, said: str, tmp_path: Path) -> None:
    """A file of another form is refused with its path, the place in it, and what to do."""
    file = tmp_path / "b.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as refused:
        compare(file, [], tmp_path)
    text = str(refused.value)
    assert said in text
    assert text.startswith(f"{str(file)!r} is no baseline: ")
    assert text.endswith("correct it, or write it anew with --write-baseline")


def test_a_missing_baseline_is_refused(tmp_path: Path) -> None:
    """A file that is not there, or is a folder, is refused; nothing is taken for accepted."""
    with pytest.raises(ConfigError, match=r"'.*none.json' does not exist; correct its path, or write it with"):
        compare(tmp_path / "none.json", [], tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; correct that"):
        compare(tmp_path, [], tmp_path)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A folder that is not there is an error of the operator's, and leaves nothing behind."""
    with pytest.raises(ConfigError, match=r"baseline '.*x.json' cannot be replaced: no such file"):
        write_baseline(tmp_path / "none" / "x.json", [], tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_baseline_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails while it is written leaves the former one whole, and nothing beside it."""
    file = accepted(tmp_path, finding("a.py"))
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ConfigError, match="no space left on device"):
        accepted(tmp_path, finding("b.py"))
    assert (before, [file]) == (file.read_bytes(), list(tmp_path.iterdir()))


def test_a_baseline_keeps_its_permissions(tmp_path: Path) -> None:
    """Written anew, it is as readable as before; a new one is for everybody to read."""
    file = accepted(tmp_path)
    assert 0o644 == file.stat().st_mode & 0o777
    file.chmod(0o664)
    accepted(tmp_path, finding("a.py"))
    assert 0o664 == file.stat().st_mode & 0o777
