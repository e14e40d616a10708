"""Redirects of old modules and names."""

from __future__ import annotations

import pickle
import sys
from unittest import mock

import pytest
from old_code import OldCode, Told, moved, removed
from structlog.testing import capture_logs

from ssot_engine.errors import ConfigError, SsotEngineError
from ssot_engine.legacy.census import Counting, census
from ssot_engine.legacy.redirects import (
    NoEquivalent,
    RedirectFinder,
    install_redirects,
    is_redirected,
    uninstall_redirects,
)
from ssot_engine.testing.plugin import _LastAsked, pytest_configure

quiet = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")

NEW = "class A: pass\nclass B: pass\n"


@pytest.fixture
def names(old_code: OldCode) -> OldCode:
    """An old module whose names went to two places, and one that nothing answers."""
    old_code.write("new_home/first.py", NEW)
    old_code.write("new_home/second.py", "class C: pass\n")
    old_code.redirect({
        "old_home.app.mixed": {
            "names": {
                "A": moved("new_home.first.A"),
                "Old": {"kind": "renamed", "replacement": "new_home.second.C"},
                "Changed": {"kind": "behaviour_changed", "reason": "it is awaited", "replacement": "new_home.first.B"},
                "Gone": removed("call A()", reason="nobody needs it"),
                "make_*": removed("call A()", reason="makers went"),
            }
        },
        "old_home.app.whole": moved("new_home.first"),
        "old_home.app.lost": removed("write it anew", reason="it was unsafe"),
    })  # fmt: skip
    return old_code


@quiet
def test_names_go_to_several_places(names: OldCode) -> None:
    """Names of one old module are the very objects of several new ones."""
    got = names.run("from old_home.app.mixed import A, Old, Changed\nimport new_home.first as f, new_home.second as s")
    assert (got["f"].A, got["s"].C, got["f"].B) == (got["A"], got["Old"], got["Changed"])
    assert got["f"].A is got["A"]


@quiet
def test_star_import_takes_what_is_answered(names: OldCode) -> None:
    """A star import has the names that are answered, and passes over those that are not; so has `dir`."""
    got = names.run("from old_home.app.mixed import *\nimport old_home.app.mixed as mixed")
    assert {"A", "Old", "Changed"} == {"A", "Old", "Changed", "Gone"} & got.keys()
    assert {"A", "Old", "Changed"} <= set(dir(got["mixed"]))
    assert "Gone" not in dir(got["mixed"])


def test_every_use_of_a_name_warns_and_is_counted(names: OldCode) -> None:
    """Each import of a name warns at its line; the log has an entry for each line."""
    code = "for _ in range(3):\n    from old_home.app.mixed import A\nimport old_home.app.mixed as m\nm.A\n"
    with capture_logs() as entries:
        assert [2, 2, 2, 4] == [one.line for one in names.told(code)]
    assert [("redirect_used", "old_home.app.mixed.A", "new_home.first.A", 2),
            ("redirect_used", "old_home.app.mixed.A", "new_home.first.A", 4)] == [
        (one["event"], one["door"], one["instead"], one["line"]) for one in entries
    ]  # fmt: skip
    assert {(2, 3, Counting.EVERY_USE), (4, 1, Counting.EVERY_USE)} == {
        (one.line, one.count, one.counting) for one in census.sites()
    }


def test_alias_warns_and_is_counted_at_its_first_import(names: OldCode) -> None:
    """A module moved whole warns when it is imported first, and the census says that this is all it can see."""
    assert [Told("RemovedIn1_0Warning", "caller.py", 1)] == names.told(
        "import old_home.app.whole\nimport old_home.app.whole"
    )
    assert [] == names.told("from old_home.app.whole import A", "second.py")
    assert [("old_home.app.whole", 1, 1, Counting.FIRST_IMPORT)] == [
        (one.door, one.line, one.count, one.counting) for one in census.sites()
    ]


def test_changed_behaviour_is_told(names: OldCode) -> None:
    """The warning of a name that behaves differently says how."""
    with pytest.warns(DeprecationWarning, match=r"use new_home\.first\.B \(it is awaited\)"):
        names.run("from old_home.app.mixed import Changed")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "from old_home.app.mixed import Gone",
            "old_home.app.mixed.Gone has no equivalent in ssot-engine: nobody needs",
        ),
        ("import old_home.app.mixed as m; m.Gone", "it; instead, call A()"),
        (
            "from old_home.app.mixed import make_tea",
            "old_home.app.mixed.make_tea has no equivalent in ssot-engine: makers",
        ),
        (
            "import old_home.app.lost",
            "old_home.app.lost has no equivalent in ssot-engine: it was unsafe; instead, write",
        ),
    ],
)
def test_names_without_equivalent_are_refused(code: str, told: str, names: OldCode) -> None:
    """A name or module that nothing answers raises an ImportError that says what to do instead."""
    with pytest.raises(NoEquivalent) as refused:
        names.run(code)
    assert told in str(refused.value)
    assert isinstance(refused.value, ImportError)
    assert isinstance(refused.value, SsotEngineError)
    assert "old_home.app.lost" not in sys.modules
    copy = pickle.loads(pickle.dumps(refused.value))
    assert (refused.value.door, refused.value.instead, str(refused.value)) == (copy.door, copy.instead, str(copy))


def test_names_that_never_were_are_missing(names: OldCode) -> None:
    """A name that the table does not have is missing as from any module; so is what the interpreter may ask for."""
    with pytest.raises(ImportError, match="cannot import name 'Never'"):
        names.run("from old_home.app.mixed import Never")
    module = names.run("import old_home.app.mixed as m")["m"]
    assert ("none", "none") == (getattr(module, "__file__", "none"), getattr(module, "Never", "none"))


@quiet
def test_a_new_name_that_is_not_there_is_told(names: OldCode) -> None:
    """If the table names what does not exist, the ImportError has both names."""
    names.redirect({"old_home.app.mixed": {"names": {"A": moved("new_home.first.Z")}}})
    with pytest.raises(ImportError, match=r"old_home\.app\.mixed\.A is new_home\.first\.Z now, which cannot be had"):
        names.run("from old_home.app.mixed import A")


# ------------------------------------------------------------------------ installing


def test_shipped_table_is_installed_by_default(old_code: OldCode) -> None:
    """Without a table, the one of the package is installed."""
    install_redirects()
    assert [Told("RemovedIn2_0Warning", "caller.py", 1)] == old_code.told(
        "from netra_backend.app.core.unified_id_manager import IDType"
    )


def test_installed_twice_is_installed_once(names: OldCode) -> None:
    """There is one finder, before all others, however often it is installed; and none afterwards."""
    sys.meta_path.append(sys.meta_path.pop(0))
    install_redirects()
    assert [0] == [place for place, finder in enumerate(sys.meta_path) if isinstance(finder, RedirectFinder)]
    uninstall_redirects()
    uninstall_redirects()
    assert [] == [finder for finder in sys.meta_path if isinstance(finder, RedirectFinder)]


@quiet
def test_tables_add_up(names: OldCode) -> None:
    """A host's own table adds names to a module of another one, and of two entries for one name the later wins."""
    mine = {"A": moved("new_home.first.B"), "Mine": moved("new_home.second.C")}
    names.redirect({"old_home.app.mixed": {"names": mine}, "old_home.more": moved("new_home.second")})
    got = names.run(
        "from old_home.app.mixed import A, Mine, Old\nfrom old_home.more import C\nfrom new_home.first import B"
    )
    assert (got["B"], got["C"], got["C"]) == (got["A"], got["Mine"], got["Old"])


@quiet
def test_a_later_table_reaches_what_was_imported(names: OldCode) -> None:
    """Names that a further table adds are found though their module was imported before, and so are its neighbours."""
    names.run("import old_home.app.mixed, old_home.app.whole")
    names.redirect({
        "old_home.app.mixed": {"names": {"Mine": moved("new_home.second.C")}},
        "old_home.app": {"names": {"Whole": moved("new_home.second.C")}},
    })  # fmt: skip
    got = names.run(
        "from old_home.app.mixed import A, Mine\nfrom old_home.app import Whole, whole\nimport old_home.app.mixed\n"
        "got = old_home.app.mixed.Mine"
    )
    assert (got["Mine"], got["Mine"]) == (got["Whole"], got["got"])
    assert sys.modules["new_home.first"] is got["whole"]


def test_too_late_is_refused(old_code: OldCode) -> None:
    """A file that is imported already cannot be redirected; nothing of its table is installed."""
    old_code.write("late_home/used.py", "X = 1")
    old_code.run("import late_home.used")
    with pytest.raises(
        ConfigError, match=r"'late_home\.used' cannot be redirected, it is imported already from .*used"
    ):
        old_code.redirect({"late_home.used": moved("new_home"), "late_home.other": moved("new_home")})
    with pytest.raises(ModuleNotFoundError):
        old_code.run("import late_home.other")


@quiet
def test_uninstalling_leaves_nothing(names: OldCode) -> None:
    """Afterwards no old module is known, nor what stood above it; the new ones stay."""
    names.run("import old_home.app.mixed, old_home.app.whole")
    uninstall_redirects()
    assert [] == [name for name in sys.modules if name.startswith("old_home")]
    assert "new_home.first" in sys.modules
    with pytest.raises(ModuleNotFoundError, match="old_home"):
        names.run("import old_home.app.mixed")


@quiet
def test_uninstalling_gives_the_hosts_file_back(old_code: OldCode) -> None:
    """In a host's own package, the redirected file is found again once nothing redirects it."""
    old_code.write("real_home/part.py", "WHOSE = 'host'")
    old_code.write("new_home/first.py", "WHOSE = 'new'")
    old_code.redirect({"real_home.part": moved("new_home.first")})
    assert "new" == old_code.run("import real_home.part as p; w = p.WHOSE")["w"]
    uninstall_redirects()
    assert "part" not in vars(sys.modules["real_home"])
    assert "host" == old_code.run("import real_home.part as p; w = p.WHOSE")["w"]
    assert "host" == sys.modules["real_home"].part.WHOSE


def test_a_file_that_is_kept_is_used(old_code: OldCode) -> None:
    """Where the entry says that the host's file is kept, that file is imported, else the redirect answers."""
    old_code.write("real_home/kept.py", "A = 'host'")
    entry = {"host_file": "kept", "names": {"A": removed("call it"), "B": removed("call it")}}
    old_code.redirect({"real_home.kept": entry, "real_home.missing": entry})
    assert "host" == old_code.run("from real_home.kept import A")["A"]
    with pytest.raises(ImportError, match="cannot import name 'B'"):
        old_code.run("from real_home.kept import B")
    with pytest.raises(NoEquivalent):
        old_code.run("from real_home.missing import B")


def test_other_imports_are_not_touched(names: OldCode) -> None:
    """The finder has no answer to what is not in its table."""
    finder = sys.meta_path[0]
    assert isinstance(finder, RedirectFinder)
    assert [None] * 3 == [finder.find_spec(name) for name in ("json.decoder", "old_homes", "old_home.app.other")]


# ------------------------------------------------------------------- by the pytest plugin


def test_plugin_answers_where_nobody_does(old_code: OldCode) -> None:
    """In a test session the shipped table is installed when `netra_backend` is imported."""
    assert [Told("RemovedIn2_0Warning", "caller.py", 1)] == old_code.told(
        "from netra_backend.app.core.unified_id_manager import IDType"
    )
    assert is_redirected("netra_backend")


def test_plugin_leaves_a_real_package_alone(old_code: OldCode) -> None:
    """Where there is a package of that name nothing is installed, even if a module of it is missing."""
    old_code.write("netra_backend/own.py", "OWN = 1")
    assert 1 == old_code.run("from netra_backend.own import OWN")["OWN"]
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'netra_backend\.app'"):
        old_code.run("import netra_backend.app.core.unified_id_manager")
    assert not is_redirected("netra_backend")


def test_plugin_installs_nothing_by_itself(old_code: OldCode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session in which nothing asks for old names has no redirects."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    pytest_configure(mock.Mock())
    assert isinstance(sys.meta_path[-1], _LastAsked)
    assert not is_redirected("netra_backend")


@quiet
def test_plugin_is_gone_with_its_session(old_code: OldCode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the plugin put into the interpreter is taken out when its session ends."""
    others = [finder for finder in sys.meta_path if not isinstance(finder, _LastAsked)]
    last = _LastAsked()
    monkeypatch.setattr(sys, "meta_path", [*others, last])
    old_code.run("import netra_backend.app.core.unified_id_manager")
    last.remove()
    assert others == sys.meta_path
    assert "netra_backend" not in sys.modules
    last.remove()
