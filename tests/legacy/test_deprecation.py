"""Telling that an old door was used."""

from __future__ import annotations

import _thread
import pickle
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
from old_code import OldCode, Told
from structlog.testing import capture_logs

from ssot_engine.legacy import deprecation
from ssot_engine.legacy.census import Counting, census
from ssot_engine.legacy.deprecation import LegacyWarning, raise_instead, removed_in_class, used

USE = "from ssot_engine.legacy.deprecation import used\n\nused('old.door', 'new.door', since='0.1', removed_in='7.1')\n"
TWICE = """
from ssot_engine.legacy.deprecation import used
for _ in range(2):
    used('old.door', 'new.door', since='0.1', removed_in='7.1')
used('old.door', 'new.door', since='0.1', removed_in='7.1')
"""


@pytest.fixture
def _default_policy() -> Iterator[None]:
    yield
    raise_instead("default")


def test_each_version_has_one_class() -> None:
    """All doors that go in a version warn with one class, which is a LegacyWarning and a DeprecationWarning."""
    assert removed_in_class("7.1") is removed_in_class("7.1")
    assert removed_in_class("7.1") is not removed_in_class("7.2")
    assert (removed_in_class("7.1"), LegacyWarning, DeprecationWarning) == removed_in_class("7.1").__mro__[:3]
    assert "RemovedIn7_1Warning" == removed_in_class("7.1").__name__


def test_class_is_found_by_its_name() -> None:
    """A class can be named before any door of its version was used, as pickle and pytest's filters do."""
    assert deprecation.RemovedIn7_3Warning is removed_in_class("7.3")
    assert removed_in_class("7.1") is pickle.loads(pickle.dumps(removed_in_class("7.1")))
    with pytest.raises(AttributeError, match="RemovedInSevenWarning"):
        _ = deprecation.RemovedInSevenWarning


@pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.RemovedIn7_4Warning")
def test_filters_take_one_version() -> None:
    """A filter on one version's class leaves the other versions' as they are."""
    used("old.door", "new.door", since="0.1", removed_in="7.4")
    with pytest.raises(removed_in_class("7.5")):
        used("old.door", "new.door", since="0.1", removed_in="7.5")


def test_warns_at_the_callers_line(old_code: OldCode) -> None:
    """The warning points at the line that used the door, and says what to use, since when and until when."""
    assert [Told("RemovedIn7_1Warning", "caller.py", 3)] == old_code.told(USE)
    with pytest.warns(LegacyWarning) as caught:
        used("old.door", "new.door", since="0.1", removed_in="7.1")
    assert ["old.door is deprecated since ssot-engine 0.1 and goes in 7.1; use new.door"] == [
        str(one.message) for one in caught
    ]


def test_warns_at_every_use(old_code: OldCode) -> None:
    """Each use warns; that a line is told once is the interpreter's own doing."""
    assert [4, 4, 5] == [one.line for one in old_code.told(TWICE)]
    assert [4, 5] == [one.line for one in old_code.told(TWICE, action="default")]


@pytest.mark.parametrize(
    "name", ["ssot_engine.engine", "ssot_engine", "unittest.mock", "importlib._bootstrap", "pickle"]
)
def test_code_between_is_passed_over(name: str, old_code: OldCode) -> None:
    """Neither our own code nor what calls a door on behalf of others is taken for the caller."""
    between = {"__name__": name, "used": used}
    exec("def door():\n    used('old.door', 'new.door', since='0.1', removed_in='7.1')", between)
    sys.modules["between_here"] = type(sys)("between_here")
    sys.modules["between_here"].door = between["door"]  # type: ignore[attr-defined]
    assert [Told("RemovedIn7_1Warning", "caller.py", 4)] == old_code.told(
        "\nimport between_here\n\nbetween_here.door()"
    )


def test_other_packages_are_callers(old_code: OldCode) -> None:
    """A package whose name begins like ours is a caller as any other."""
    names = {"__name__": "ssot_engine_host", "used": used}
    with pytest.warns(LegacyWarning) as caught:
        exec(compile("used('old.door', 'new.door', since='0.1', removed_in='7.1')", "host.py", "exec"), names)
    assert ["host.py"] == [one.filename for one in caught]


def test_a_use_without_caller_is_counted(old_code: OldCode) -> None:
    """A door that a thread's start calls by itself has no caller; it warns and is counted all the same."""
    done = threading.Event()

    def door() -> None:
        try:
            used("old.door", "new.door", since="0.1", removed_in="7.1")
        finally:
            done.set()

    hidden = type(door)(door.__code__, {**globals(), "__name__": "ssot_engine.x"}, None, None, door.__closure__)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _thread.start_new_thread(hidden, ())
        assert done.wait(5)
    assert [LegacyWarning] == [one.category.__base__ for one in caught]
    assert [("old.door", "<unknown>", 0)] == [(one.door, one.file, one.line) for one in census.sites()]


def test_log_has_one_entry_for_each_line(old_code: OldCode) -> None:
    """The log tells of a line once, with what to do; the census has every use."""
    with capture_logs() as entries:
        old_code.told(TWICE)
    told = {"event": "legacy_door_used", "log_level": "info", "door": "old.door", "instead": "new.door"}
    assert [{**told, "file": "caller.py", "line": line} for line in (4, 5)] == entries
    assert {4: 2, 5: 1} == {one.line: one.count for one in census.sites()}
    assert {Counting.EVERY_USE} == {one.counting for one in census.sites()}


@pytest.mark.usefixtures("_default_policy")
def test_policy_raises_instead(old_code: OldCode) -> None:
    """With `legacy.warn: error` a use raises the class of its version, whatever the filters say, and is counted."""
    raise_instead("error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(removed_in_class("7.1"), match=r"old\.door is deprecated"):
            old_code.run(USE)
    assert [3] == [one.line for one in census.sites()]
    raise_instead("default")
    assert [3] == [one.line for one in old_code.told(USE)]


def test_a_use_that_a_filter_refuses_is_counted(old_code: OldCode) -> None:
    """Where the interpreter makes the warning an error, the census still has the use."""
    with pytest.raises(LegacyWarning):
        old_code.run(USE)
    assert [("old.door", "caller.py", 3, 1)] == [(one.door, one.file, one.line, one.count) for one in census.sites()]
