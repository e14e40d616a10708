"""What git says of a tree: whether changes in it could be lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssot_engine.errors import RequestError

# Set while git runs a hook; they would point to another tree than the one that is asked for.
_FROM_OUTSIDE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"}
_SHOWN = 3


def top_of(folder: Path) -> Path | None:
    """The top of the work tree that `folder` is in; None outside of git."""
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one / ".git")), None)


def check_committed(paths: Sequence[Path], files: Sequence[Path]) -> None:
    """See that git has every one of `files`, and below `paths` no changes that are not committed. Both are real paths.

    Files outside of git are not asked about.

    Raises:
        RequestError: it is not so, or git cannot say.
    """
    for top, own in _by_top(files).items():
        below = _below(top, paths)
        changed = _names(top, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no",
                         "--ignore-submodules=dirty", "--", *below)  # fmt: skip
        if changed:
            raise RequestError(
                f"git has changes that are not committed: {_listed([name[3:] for name in changed])}; "
                "commit or stash them, or apply with --allow-dirty"
            )
        known = set(_names(top, "ls-files", "-z", "--", *below))
        unknown = [name for name in own if name not in known]
        if unknown:
            raise RequestError(
                f"git does not have {_listed(unknown)}, and could not give the old text back; "
                "commit it, leave it out, or apply with --allow-dirty"
            )


def _by_top(files: Iterable[Path]) -> dict[Path, list[str]]:
    """The files of each work tree, from its top; a work tree may be within another."""
    tops: dict[Path, Path | None] = {}
    found: dict[Path, list[str]] = {}
    for file in files:
        if file.parent not in tops:
            tops[file.parent] = top_of(file.parent)
        if (top := tops[file.parent]) is not None:
            found.setdefault(top, []).append(file.relative_to(top).as_posix())
    return found


def _below(top: Path, paths: Iterable[Path]) -> list[str]:
    """The paths from the top; the top itself where a path is above it."""
    if any(top.is_relative_to(path) for path in paths):
        return ["."]
    return [path.relative_to(top).as_posix() for path in paths if path.is_relative_to(top)]


def _names(top: Path, *command: str) -> list[str]:
    """What a git command says, one for each NUL."""
    call = ["git", "--literal-pathspecs", *command]
    environment = {key: value for key, value in os.environ.items() if key not in _FROM_OUTSIDE}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(call, cwd=top, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise RequestError(
            f"{str(top)!r} is a git work tree and there is no git to ask; install it, or apply with --allow-dirty"
        ) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise RequestError(
            f"git cannot say what is committed in {str(top)!r}: {said}; correct that, or apply with --allow-dirty"
        ) from error
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(repr(name) for name in names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
