"""Small trees of files, and the edits that would be made in them."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ssot_engine.migrate.applying.apply import Applied, apply
from ssot_engine.migrate.scanning.examine import Examined
from ssot_engine.migrate.source import Edit

#: What the edits look for, and what they put there.
OLD, NEW = b"old.module", b"the_new.place"

FILES = {"a.py": b"old.module\n", "b.py": b"import old.module\r\n", "sub/c.py": b"\xff old.module"}


def plant(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write files, in the order given."""
    paths = [folder / name for name in files]
    for path, raw in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return paths


def renames(raw: bytes) -> tuple[Edit, ...]:
    """An edit for each old name."""
    found, at = [], raw.find(OLD)
    while at >= 0:
        found.append(Edit(at, at + len(OLD), NEW))
        at = raw.find(OLD, at + len(OLD))
    return tuple(found)


def examined(path: Path) -> Examined:
    """What a scan says of a file in which the old names are to be replaced."""
    raw = path.read_bytes()
    return Examined(path=path.as_posix(), edits=renames(raw), digest=hashlib.sha256(raw).hexdigest())


def all_examined(paths: Iterable[Path]) -> list[Examined]:
    """The same of many."""
    return [examined(path) for path in paths]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and permission bits of all files below a folder, git's own left out."""
    found: dict[str, tuple[bytes, int]] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] != ".git":
            found[inside.as_posix()] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    return found


def migrated(before: dict[str, tuple[bytes, int]]) -> dict[str, tuple[bytes, int]]:
    """What a whole apply makes of a tree."""
    return {name: (raw.replace(OLD, NEW), mode) for name, (raw, mode) in before.items()}


def own_files(found: dict[str, tuple[bytes, int]]) -> dict[str, tuple[bytes, int]]:
    """A tree without the folder for journals."""
    return {name: one for name, one in found.items() if not name.startswith(".ssot-engine/")}


def make(folder: Path, files: dict[str, bytes] = FILES) -> tuple[list[Path], dict[str, tuple[bytes, int]]]:
    """A tree: its files and what is in them."""
    paths = plant(folder, files)
    return paths, contents(folder)


def applied(folder: Path, told: Callable[[int, int], None] | None = None) -> Applied:
    """Apply to all files of a tree that have something old."""
    files = [path for path in sorted(folder.rglob("*.py")) if OLD in path.read_bytes()]
    return apply([folder], all_examined(files), table="t.yaml", told=told)


def reasons(done: Applied) -> dict[str, str]:
    """What was refused, by the last part of its name."""
    return {Path(one.path).name: one.reason for one in done.refused}


def give_away(path: Path, user: int, group: int = -1) -> None:
    """Have a file belong to somebody else; the test is skipped where that is not allowed."""
    try:
        os.chown(path, user, group)
    except PermissionError:
        pytest.skip("only root gives a file to another user; run this as root")


def git(folder: Path, *command: str, given: bytes = b"") -> bytes:
    """What git says; nothing of the machine's configuration counts."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *command], cwd=folder, env=environment, input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def committed(folder: Path) -> None:
    """Make the folder a work tree with all its files committed."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")


def interrupted(folder: Path, count: int) -> None:
    """An apply that ends after some files."""

    def stop(done: int, _: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        applied(folder, stop)
