"""The process's container: named once for all threads, and the doors that are found by name."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from ssot_engine import current
from ssot_engine.legacy import entry_points


@pytest.fixture(autouse=True)
def nobody_named_one() -> Any:
    """Each test begins and ends with no container named."""
    before = current.choose(None)
    yield
    current.choose(before)


def test_the_one_before_is_told() -> None:
    """Who names another container learns which one it follows."""
    one: Any = object()
    other: Any = object()
    assert current.chosen() is None
    assert current.choose(one) is None
    assert one is current.choose(other)
    assert other is current.chosen()


def test_no_container_is_followed_by_two() -> None:
    """Whichever thread names one, each container before is told to exactly one of them, and so drained once."""
    named: list[Any] = [object() for _ in range(8 * 200)]
    followed: list[Any] = []

    def name(mine: list[Any]) -> None:
        followed.extend([current.choose(container) for container in mine])

    threads = [threading.Thread(target=name, args=(named[first::8],)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(one) for one in [None, *named]} == {id(one) for one in [*followed, current.chosen()]}
    assert len(named) == len(followed)


def test_the_doors_are_those_of_the_legacy_folder() -> None:
    """They are found by name, and each that a canonical class leads to is there."""
    doors: Any = current.doors()
    assert doors is entry_points
    names = [name for name in vars(current.Doors) if not name.startswith("_")]
    assert len(names) == 4
    assert all(callable(getattr(doors, name)) for name in names)


def test_nobody_pays_for_doors_that_are_not_used() -> None:
    """Importing the engine, the factory or the container imports no old door."""
    code = "import sys, ssot_engine.container; print([name for name in sys.modules if '.legacy' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
