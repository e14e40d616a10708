"""A whole tree by the product: `python scan_pass.py TABLE FOLDER [PROCESSES]`, TABLE being "" for the shipped one."""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path

from ssot_engine.legacy.table import load_table, shipped_table
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.scan import Task, scan

KIB = 1024


def peak_bytes() -> int:
    """The most memory this process, or one it started, ever had."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells of a process begins with what the one had that started it.
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None
        return max(int(found[1]), children) * KIB
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) * KIB


def main(table: str, folder: str, processes: int | None = None) -> None:
    """Find everything, write nothing."""
    task = Task(lookup=Lookup(load_table(table) if table else shipped_table()))
    scanned = scan([Path(folder)], task, processes=processes)
    told = {
        "files": scanned.files,
        "candidates": scanned.candidates,
        "changed": sum(bool(one.edits) for one in scanned.examined),
        "findings": len(scanned.findings),
        "problems": len(scanned.problems),
        "processes": scanned.processes,
        "why": scanned.why_processes,
        "seconds": scanned.duration_s,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
