"""The command `ssot-engine`."""

from __future__ import annotations

import errno
import os
import sys

from ssot_engine import __version__

#: What writing to standard output fails with where its file is full; such errors name no file.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> None:
    """Run the command line that this process was started with, and exit."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM | {errno.EPIPE}:
            raise
        # What is still buffered cannot be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(1)
        print(
            f"error: the output cannot be written: {error.strerror}; make room, or send it elsewhere", file=sys.stderr
        )
        sys.exit(2)


def _run() -> None:
    if sys.argv[1:] == ["--version"]:
        # Scripts ask this often; everything else below costs ten times as much.
        print(f"ssot-engine {__version__}")
        return
    from ssot_engine.cli.app import app

    app(prog_name="ssot-engine")
