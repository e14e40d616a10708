"""`python -m ssot_engine` is the command `ssot-engine`."""

from __future__ import annotations

from ssot_engine.cli import main

if __name__ == "__main__":
    main()
