"""The table of old names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from old_code import OldCode, moved, removed

from ssot_engine.errors import ConfigError
from ssot_engine.legacy.former import Kind
from ssot_engine.legacy.table import load_table, shipped_table


def test_a_name_is_what_its_entry_says(old_code: OldCode) -> None:
    """An entry of a name has kind, reason, replacement and versions; its target is the replacement in two parts."""
    entry = {"kind": "renamed", "reason": "better", "replacement": "new.mod.B", "since": "0.2", "removed_in": "3"}
    former = old_code.table({"old.mod": {"names": {"A": entry}}}).modules["old.mod"].names["A"]
    assert (Kind.RENAMED, "better", "new.mod.B", "0.2", "3") == (
        former.kind, former.reason, former.replacement, former.since, former.removed_in,
    )  # fmt: skip
    assert ("old.mod.A", ("new.mod", "B")) == (former.door, former.target)


def test_what_a_name_does_not_say_is_inherited(old_code: OldCode) -> None:
    """Reason and versions come from the nearest that says them: the name, its module, the head of the file."""
    names = {"A": moved("n.A"), "B": moved("n.B", reason="own"), "C": moved("n.C", removed_in="9")}
    table = old_code.table({"old": {"reason": "module's", "names": names}, "other": moved("m")}, since="0.4")
    named = {key: (one.reason, one.since, one.removed_in) for key, one in table.modules["old"].names.items()}
    assert {"A": ("module's", "0.4", "1.0"), "B": ("own", "0.4", "1.0"), "C": ("module's", "0.4", "9")} == named
    whole = table.modules["other"].whole
    assert whole is not None
    assert ("other", "m", "tests") == (whole.door, whole.replacement, whole.reason)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"old": {"names": {"A": {"kind": "moved"}}}}, "entry 'old.A': replacement is missing"),
    ({"old": {"names": {"A": {"replacement": "n.A"}}}}, "entry 'old.A': kind is missing"),
    ({"old": {"names": {"A": moved("n.A", reason="")}}, "x": {}}, "entry 'x': kind, replacement is missing"),
    ({"old": {"names": {"A": {"kind": "gone", "replacement": "n.A"}}}}, "entry 'old.A': Invalid enum value 'gone'"),
    ({"old": {"kind": "gone", "replacement": "n"}}, "`$.kind` (one of moved, renamed, removed, behaviour_changed); "),
    ({"old": {"names": {"A": moved("n.A", why="x")}}}, "entry 'old.A': Object contains unknown field `why`"),
    ({"old": {"names": {"A": moved("A")}}}, "'A' names no module"),
    ({"old": {"names": {"A": moved("use B")}}}, "'use B' is no dotted name"),
    ({"old": {"names": {"A b": moved("n.A")}}}, "'A b' is no name"),
    ({"old": {"names": {"A*": moved("n.A")}}}, "only what is removed can be named with *"),
    ({"old": {"names": {"A": "n.A"}}}, "entry 'old.A': Expected `object`, got `str`"),
    ({"old mod": moved("n")}, "'old mod' is no module's name"),
    ({"old": moved("n", since="soon")}, "versions, such as '1.0'"),
    ({"old": moved("n", since=0.1)}, "entry 'old': put since into quotes: since: '0.1'"),  # type: ignore[arg-type]
    ({"old": {"names": {"A": moved("n.A", removed_in=2)}}}, "entry 'A': put removed_in into quotes"),  # type: ignore[arg-type]
    ({"old": {"names": {}, **moved("n")}}, "kind and replacement belong to each of them"),
    ({"old": moved("n", host_file="gone")}, "entry 'old': Invalid enum value 'gone'"),
    ({"old": moved("older"), "older": moved("n")}, "'older' is an old name itself"),
    ({"old": {"names": {"A": moved("older.B")}}, "older": moved("n")}, "'older.B' is an old name itself"),
]


@pytest.mark.parametrize(("modules", "told"), WRONG)
def test_wrong_entries_are_refused(modules: dict[str, Any], told: str, old_code: OldCode) -> None:
    """An entry that says too little, too much or nonsense is refused, with its file."""
    with pytest.raises(ConfigError) as refused:
        old_code.table(modules)
    assert told in str(refused.value)
    assert str(old_code.folder / "table.yaml") in str(refused.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A table that does not exist is refused with its path."""
    with pytest.raises(ConfigError, match="does not exist; correct its path"):
        load_table(tmp_path / "none.yaml")


def test_a_file_that_is_no_table_is_called_one(tmp_path: Path) -> None:
    """What is wrong with its YAML is told of a table of old names, not of a config file."""
    file = tmp_path / "table.yaml"
    for text, told in (("old", "holds a str, not a mapping; write sections such as 'modules:'"), ("[", "is not valid")):
        file.write_text(text)
        with pytest.raises(ConfigError) as refused:
            load_table(file)
        assert str(refused.value).startswith(f"table of old names {str(file)!r} {told}")


def test_names_with_a_star_are_kept(old_code: OldCode) -> None:
    """A removed name may stand for many."""
    table = old_code.table({"old": {"names": {"make_*": removed("call it")}}})
    assert ["make_*"] == list(table.modules["old"].names)


def test_shipped_table_is_read_once() -> None:
    """The package's own table is one object, read from the file that comes with it."""
    assert shipped_table() is shipped_table()
    assert "netra.yaml" == Path(shipped_table().source).name
