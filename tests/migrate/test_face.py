"""The toolkit as a library."""

from __future__ import annotations

from pathlib import Path

from ssot_engine import legacy, migrate

TABLE = """
since: "1.0"
removed_in: "2.0"
reason: it has a place of its own
modules:
  old.shapes:
    names:
      Circle: {kind: renamed, replacement: fresh.round.Disc}
"""


def test_public_names_lead_to_their_owners() -> None:
    """Each name of the package is what its module defines under it."""
    assert [] == [name for name in migrate.__all__ if getattr(migrate, name).__name__ != name]
    assert set(migrate.__all__) <= set(dir(migrate))


def test_a_tree_there_and_back(tmp_path: Path) -> None:
    """Scan, apply and roll back, in as many lines as that takes."""
    (tmp_path / "table.yaml").write_text(TABLE)
    user = tmp_path / "src" / "user.py"
    user.parent.mkdir()
    user.write_text("from old.shapes import Circle\n")
    task = migrate.Task(lookup=migrate.Lookup(legacy.load_table(tmp_path / "table.yaml")))
    found = migrate.scan([user.parent], task)
    assert [("old.shapes.Circle", "fresh.round.Disc")] == [(one.old, one.new) for one in found.findings]
    done = migrate.apply([user.parent], found.examined, table="table.yaml")
    assert ((str(user),), ()) == (done.written, done.refused)
    assert "from fresh.round import Disc as Circle\n" == user.read_text()
    assert (str(user),) == migrate.rollback(user.parent).written
    assert "from old.shapes import Circle\n" == user.read_text()
