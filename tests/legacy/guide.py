"""The guide that the old names come from, where it stands beside this checkout.

`python tests/legacy/guide.py FILE` writes its acceptance test to a file, unchanged.
"""

from __future__ import annotations

import sys
from pathlib import Path

GUIDE = Path(__file__).parents[3] / "shared" / "seed" / "ssot-execution-engine-guide.md"


def block(heading: str, language: str) -> str:
    """The first block of code in that language below a heading, exactly as it stands there."""
    text = GUIDE.read_text(encoding="utf-8")
    below = text[text.index(f"\n### {heading}") :]
    start = below.index(f"\n```{language}\n") + len(f"\n```{language}\n")
    return below[start : below.index("\n```", start)] + "\n"


def acceptance_test() -> str:
    """The test of step 4.1."""
    return block("Step 4.1", "python")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(acceptance_test(), encoding="utf-8")
