"""The command `ssot-engine`."""

from __future__ import annotations

import sys

from ssot_engine import __version__


def main() -> None:
    """Run the command line that this process was started with, and exit."""
    if sys.argv[1:] == ["--version"]:
        # Scripts ask this often; everything else below costs ten times as much.
        print(f"ssot-engine {__version__}")
        return
    from ssot_engine.cli.app import app

    app(prog_name="ssot-engine")
