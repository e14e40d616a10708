"""What is known to go wrong with redirected imports, each as a fact that holds here.

A free-threaded interpreter and a frozen application are not at hand in the tests.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import threading
import types
import zipfile
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.resources import files
from typing import Any
from unittest import mock

import pytest
from old_code import OldCode, Told, moved
from structlog.testing import capture_logs

from ssot_engine.legacy.census import census
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.legacy.redirects import uninstall_redirects

quiet = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")

FIRST = "import new_home\nnew_home.loads = getattr(new_home, 'loads', 0) + 1\nclass A: pass\nclass B: pass\n"
ALIAS, NAMES = "old_home.app.whole", "old_home.app.mixed"
BOTH = pytest.mark.parametrize("old", [ALIAS, NAMES])


@pytest.fixture
def home(old_code: OldCode) -> OldCode:
    """A new module, an alias of it, and an old module whose names went there."""
    old_code.write("new_home/first.py", FIRST)
    names = {"A": moved("new_home.first.A"), "B": moved("new_home.first.B")}
    old_code.redirect({ALIAS: moved("new_home.first"), NAMES: {"names": names}})
    return old_code


# ------------------------------------------------------------------- where it is told


@BOTH
def test_one_warning_at_the_importing_line(old: str, home: OldCode) -> None:
    """An import inside a module that is itself being imported warns once, at that module's line."""
    home.write("consumer.py", f"import json\n\nfrom {old} import A\n")
    assert [Told("RemovedIn1_0Warning", "consumer.py", 3)] == home.told("import consumer")


def test_alias_is_told_once_per_process_and_names_at_each_place(home: OldCode) -> None:
    """A second importer of an alias is silent, for nothing of ours runs; one of a name is told."""
    both = f"import {ALIAS}\nfrom {NAMES} import A"
    assert [1, 2] == [one.line for one in home.told(both)]
    assert [("second.py", 2)] == [(one.file, one.line) for one in home.told(both, "second.py")]


def test_default_filters_hide_it_outside_main(home: OldCode) -> None:
    """The interpreter shows the warning of a program's main file, and hides a module's; the census has both."""
    home.write("consumer.py", f"from {NAMES} import A\n")
    program = f"""
from ssot_engine.legacy import install_redirects, load_table
from ssot_engine.legacy.census import census
install_redirects(load_table("table.yaml"))
import consumer
from {NAMES} import A
print(*sorted(site.file.rpartition("/")[2] for site in census.sites()))
"""
    main = home.write("main.py", program)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, main], cwd=home.folder, env=environment, capture_output=True, text=True, check=True
    )
    assert "consumer.py main.py\n" == done.stdout
    assert [f"{main}:6: RemovedIn1_0Warning"] == re.findall(r".*py:\d+: \w+Warning", done.stderr)


@BOTH
def test_frames_of_the_import_system_are_passed_over(old: str, home: OldCode) -> None:
    """`import_module`, `__import__` and mock's resolution of a dotted name are told where they are called."""
    code = f"import importlib\n\nmodule = importlib.import_module({old!r})\nmodule.A"
    assert [3 if old == ALIAS else 4] == [one.line for one in home.told(code)]
    uninstall_redirects()
    home.redirect({ALIAS: moved("new_home.first"), NAMES: {"names": {"A": moved("new_home.first.A")}}})
    code = f"from unittest import mock\n\nwith mock.patch('{old}.A'):\n    pass\n"
    assert {("caller.py", 3)} == {(one.file, one.line) for one in home.told(code)}


@pytest.mark.parametrize("keyword", ["", "async "])
def test_a_patch_that_decorates_is_told_where_it_stands(keyword: str, home: OldCode) -> None:
    """A function that `mock.patch` decorates is called by others; the use is counted at its decorators."""
    call = "asyncio.run(test())" if keyword else "test()"
    code = f"import asyncio\nfrom unittest import mock\n\n@mock.patch('{NAMES}.A')\n{keyword}def test(A): A()\n\n{call}"
    assert {("caller.py", 4)} == {(one.file, one.line) for one in home.told(code)}
    assert {("caller.py", 4)} == {(one.file, one.line) for one in census.sites()}


@BOTH
def test_process_start_is_told_once_in_the_log(old: str, home: OldCode) -> None:
    """The log has one entry for a line, not one for each import of it."""
    with capture_logs() as entries:
        home.told(f"for _ in range(9):\n    from {old} import A\n")
    assert [(2, "redirect_used")] == [(one["line"], one["event"]) for one in entries]


# ------------------------------------------------------------- beside a host's own files


@pytest.fixture
def host(old_code: OldCode) -> OldCode:
    """A host's real package in which two files are redirected; loading either is an error."""
    old_code.write("new_home/first.py", FIRST)
    for name in ("whole", "mixed"):
        old_code.write(f"real_home/app/{name}.py", "raise RuntimeError('the old file was run')")
    old_code.write("real_home/app/other.py", "OTHER = 1")
    old_code.write("real_home/__init__.py", "REAL = True")
    names = {"A": moved("new_home.first.A")}
    old_code.redirect({"real_home.app.whole": moved("new_home.first"), "real_home.app.mixed": {"names": names}})
    return old_code


@quiet
def test_only_the_named_modules_are_taken_over(host: OldCode) -> None:
    """In a host's package the old files are not run, and their neighbours and parents are the host's."""
    got = host.run(
        "from real_home.app.whole import A\nfrom real_home.app.mixed import A as B\n"
        "import real_home.app.other as other, real_home"
    )
    assert (True, 1) == (got["real_home"].REAL, got["other"].OTHER)
    assert got["A"] is got["B"]
    assert str(host.folder / "real_home" / "__init__.py") == got["real_home"].__file__


@quiet
def test_the_rest_of_a_redirected_package_stays(old_code: OldCode) -> None:
    """If a package's own names are redirected, its other modules are still the host's."""
    old_code.write("new_home/first.py", FIRST)
    old_code.write("real_home/app/__init__.py", "raise RuntimeError('the old file was run')")
    old_code.write("real_home/app/other.py", "OTHER = 1")
    old_code.redirect({"real_home.app": {"names": {"A": moved("new_home.first.A")}}})
    assert 1 == old_code.run("from real_home.app import A, other\none = other.OTHER")["one"]


@quiet
def test_parents_that_nobody_has_are_made(home: OldCode) -> None:
    """Without a host's package the packages above an old module are there, and know nothing else."""
    got = home.run(f"import {ALIAS}, {NAMES}\nimport old_home.app as app")
    assert [] == list(got["app"].__path__)
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'old_home\.app\.unknown'"):
        home.run("import old_home.app.unknown")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'old_home\.unknown'"):
        home.run("import old_home.unknown")


@quiet
def test_a_package_that_appears_later_is_found(home: OldCode) -> None:
    """A package that was made hides a real one that appears later, until caches are invalidated as Python asks."""
    home.run(f"import {ALIAS}, {NAMES}")
    (home.folder / "old_home" / "app").mkdir(parents=True)
    for path in ("old_home", "old_home/app"):
        (home.folder / path / "__init__.py").write_text("REAL = True")
    (home.folder / "old_home" / "app" / "other.py").write_text("OTHER = 1")
    with pytest.raises(ModuleNotFoundError):
        home.run("import old_home.app.other")
    importlib.invalidate_caches()
    got = home.run(f"import old_home.app.other as other\nfrom {NAMES} import A\nimport {ALIAS} as whole")
    assert (1, True) == (got["other"].OTHER, got["whole"].A is got["A"])
    assert sys.modules["old_home.app"].whole is got["whole"]
    importlib.invalidate_caches()
    assert 1 == home.run("import old_home.app.other as other")["other"].OTHER


@quiet
def test_old_package_in_an_archive(old_code: OldCode) -> None:
    """A host's package inside a zip file is redirected like one in a folder."""
    old_code.write("new_home/first.py", FIRST)
    archive = old_code.folder / "host.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zip_home/__init__.py", "")
        file.writestr("zip_home/old.py", "raise RuntimeError('the old file was run')")
        file.writestr("zip_home/other.py", "OTHER = 1")
    sys.path.append(str(archive))
    old_code.redirect({"zip_home.old": moved("new_home.first")})
    try:
        got = old_code.run("import zip_home.old as old, zip_home.other as other, new_home.first as new")
    finally:
        sys.path.remove(str(archive))
    assert (got["new"], 1) == (got["old"], got["other"].OTHER)


# ---------------------------------------------------------------------------- identity


@quiet
def test_an_alias_is_the_new_module(home: OldCode) -> None:
    """`sys.modules[old] is new`, on its parent too; the new module keeps its name and spec."""
    got = home.run(f"import {ALIAS}\nimport {ALIAS} as old, new_home.first as new, old_home")
    assert got["new"] is got["old"]
    assert got["new"] is sys.modules[ALIAS]
    assert got["new"] is got["old_home"].app.whole
    assert ("new_home.first", "new_home.first") == (got["new"].__name__, got["new"].__spec__.name)
    assert 1 == sys.modules["new_home"].loads


@quiet
def test_modules_below_an_alias_are_not_loaded_twice(home: OldCode) -> None:
    """What is below a package moved whole is the very module below the new package; what is not there is missing."""
    home.write("new_home/inner/leaf.py", "import new_home\nnew_home.leaves = getattr(new_home, 'leaves', 0) + 1")
    home.redirect({"old_home.package": moved("new_home")})
    got = home.run(
        "import old_home.package.inner.leaf as old, old_home.package.first as first\n"
        "import new_home.inner.leaf as new, new_home.first"
    )
    assert got["new"] is got["old"]
    assert got["new_home"].first is got["first"]
    assert (1, 1) == (got["new_home"].leaves, got["new_home"].loads)
    with pytest.raises(ModuleNotFoundError):
        home.run("import old_home.package.unknown")


@BOTH
def test_old_pickles_load(old: str, home: OldCode) -> None:
    """What was pickled under an old name is loaded as the new class, and is told where it is loaded."""
    new = home.run("from new_home.first import A")["A"]
    assert b"new_home.first" in pickle.dumps(new())
    data = pickle.dumps(new(), 0).replace(b"new_home.first", old.encode())
    assert [Told("RemovedIn1_0Warning", "caller.py", 3)] == home.told(f"import pickle\n\npickle.loads({data!r})")
    with pytest.warns(LegacyWarning) if old == NAMES else pytest.MonkeyPatch.context():
        assert type(pickle.loads(data)) is new


@quiet
def test_patching_an_alias_patches_the_new_module(home: OldCode) -> None:
    """A name patched through an alias is patched for all, and is restored."""
    new = home.run("import new_home.first as new")["new"]
    before = new.A
    with mock.patch(f"{ALIAS}.A") as patched:
        assert new.A is patched
    assert before is new.A


@quiet
def test_patching_a_name_changes_what_the_old_path_gives(home: OldCode) -> None:
    """A name patched at a module of names is patched for importers of the old path only, and is restored."""
    new = home.run("import new_home.first as new")["new"]
    before = new.A
    with mock.patch(f"{NAMES}.A") as patched:
        assert home.run(f"from {NAMES} import A")["A"] is patched
        assert before is new.A
    assert before is home.run(f"from {NAMES} import A")["A"]
    assert "A" not in vars(sys.modules[NAMES])


@quiet
def test_patching_the_new_name_reaches_the_old(home: OldCode) -> None:
    """A name is looked up at each use: who patches the new one is seen through the old path."""
    home.run(f"from {NAMES} import A")
    with mock.patch("new_home.first.A") as patched:
        assert home.run(f"from {NAMES} import A")["A"] is patched


@quiet
def test_old_modules_can_be_reloaded(home: OldCode) -> None:
    """Reloading an alias reloads the new module; reloading a module of names leaves it as it is."""
    got = home.run(f"import {ALIAS} as whole, {NAMES} as mixed, new_home.first as new")
    assert got["new"] is importlib.reload(got["whole"])
    assert 2 == sys.modules["new_home"].loads
    assert got["mixed"] is importlib.reload(got["mixed"])
    assert got["new"].A is got["mixed"].A


@quiet
def test_resources_are_found_by_the_old_name(home: OldCode) -> None:
    """The files of a package moved whole are found by its old name."""
    home.write("new_home/data.txt", "hi")
    home.redirect({"old_home.package": moved("new_home")})
    assert "hi" == files("old_home.package").joinpath("data.txt").read_text()


@BOTH
def test_specs_are_found_without_a_word(old: str, home: OldCode) -> None:
    """Asking whether an old module exists neither loads it nor counts."""
    spec = importlib.util.find_spec(old)
    assert spec is not None
    assert old == spec.name
    assert old not in sys.modules
    assert [] == census.sites()


# ------------------------------------------------------------------------ threads


@quiet
def test_threads_get_one_object(home: OldCode) -> None:
    """Sixteen threads that import by three names at once get one class, loaded once."""
    names = (ALIAS, NAMES, "new_home.first")
    barrier, found = threading.Barrier(16), []

    def use(name: str) -> None:
        barrier.wait(10)
        found.append(importlib.import_module(name).A)

    threads = [threading.Thread(target=use, args=(names[index % 3],)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 16 == len(found)
    assert {sys.modules["new_home.first"].A} == set(found)
    assert 1 == sys.modules["new_home"].loads


# ---------------------------------------------------------------- what fails half-way


@BOTH
def test_warnings_as_errors_leave_no_half_state(old: str, home: OldCode) -> None:
    """With `-W error` the import is refused each time, and works as soon as it is no error any more."""
    for _ in range(2):
        with pytest.raises(LegacyWarning):
            home.run(f"from {old} import A")
        assert {ALIAS, "new_home.first"}.isdisjoint(sys.modules)
    assert [Told("RemovedIn1_0Warning", "caller.py", 1)] == home.told(f"from {old} import A")
    assert "new_home.first" in sys.modules
    assert (old == ALIAS) == (sys.modules["new_home.first"] is sys.modules[old])


@quiet
@BOTH
def test_a_new_module_that_fails_says_both_names(old: str, home: OldCode) -> None:
    """What a failing new module raises arrives as it is, with a note of the old name; a repaired one is imported."""
    file = home.write("new_home/first.py", "raise RuntimeError('broken')")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken") as failed:
            home.run(f"from {old} import A")
        assert [True] == [f"{old}" in note and "new_home.first" in note for note in failed.value.__notes__]
        assert {ALIAS, "new_home.first"}.isdisjoint(sys.modules)
    file.write_text(FIRST)
    assert "new_home.first" == home.run(f"from {old} import A")["A"].__module__


@quiet
@BOTH
@pytest.mark.parametrize("error", ["import no_such_module", "raise AttributeError('inner')"])
def test_a_new_module_that_cannot_be_imported(old: str, error: str, home: OldCode) -> None:
    """An error of the new module's own import is never taken for a missing name."""
    home.write("new_home/first.py", error)
    with pytest.raises((ImportError, AttributeError), match=r"no_such_module|inner"):
        home.run(f"from {old} import A")


@quiet
@BOTH
@pytest.mark.parametrize("start", ["old", "new"])
def test_circles_of_old_and_new(start: str, old: str, home: OldCode) -> None:
    """A new module that imports from its own old name gets what it has defined by then, whichever is imported first."""
    home.write("new_home/first.py", f"class A: pass\nimport {old} as me\nfrom {old} import A as same\nclass B: pass\n")
    got = home.run(
        f"import {old if start == 'old' else 'new_home.first'} as got\nimport {old} as o, new_home.first as new"
    )
    new = got["new"]
    assert (new.A, new.A, new.B) == (new.same, new.me.A, new.me.B)
    assert new.A is got["o"].A
    assert (new if old == ALIAS else got["o"]) is sys.modules[old]


@quiet
@BOTH
def test_a_circle_that_cannot_be(old: str, home: OldCode) -> None:
    """What the new module has not defined yet cannot be imported by its old name: an ImportError, and no half-state."""
    home.write("new_home/first.py", f"from {old} import A\nclass A: pass\n")
    with pytest.raises(ImportError, match="A"):
        home.run(f"from {old} import A")
    assert {ALIAS, "new_home.first"}.isdisjoint(sys.modules)


# ------------------------------------------------------------------- other finders


class _Hooks(MetaPathFinder, Loader):
    """Tells of modules that were imported, as post-import hooks do: it asks all finders again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.imported: list[types.ModuleType] = []
        self._asking = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        assert self._loader is not None
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        assert self._loader is not None
        self._loader.exec_module(module)
        self.imported.append(module)


@quiet
@pytest.mark.parametrize("name", [ALIAS, NAMES, "old_home", "old_home.app"])
def test_a_finder_before_ours_that_asks_all_finders(name: str, home: OldCode) -> None:
    """A finder that was put before ours and asks everybody again gets our answer, and is told of the import."""
    hooks = _Hooks(name)
    sys.meta_path.insert(0, hooks)
    try:
        got = home.run(f"from {ALIAS} import A\nfrom {NAMES} import A as B")
    finally:
        sys.meta_path.remove(hooks)
    assert got["A"] is got["B"]
    (imported,) = hooks.imported
    if name in (ALIAS, NAMES):
        assert got["A"] is imported.A


@quiet
@pytest.mark.parametrize("name", [ALIAS, NAMES, "old_home", "old_home.app"])
def test_a_finder_after_ours_that_asks_all_finders(name: str, home: OldCode) -> None:
    """A finder that stands after ours and asks everybody again, ours too, leads to no endless circle.

    It is asked about what ours stands in for, where a host might have files.
    """
    hooks = _Hooks(name)
    sys.meta_path.append(hooks)
    try:
        got = home.run(f"from {ALIAS} import A\nfrom {NAMES} import A as B")
    finally:
        sys.meta_path.remove(hooks)
    assert got["A"] is got["B"]


@quiet
@pytest.mark.parametrize("name", [ALIAS, "new_home.first"])
def test_import_hooks_of_wrapt(name: str, home: OldCode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post-import hook on an old or on the new name may patch the module; importers of both names see that."""
    wrapt = pytest.importorskip("wrapt", reason="wrapt is not installed; pip install wrapt")
    # It puts its finder first, once in a process.
    monkeypatch.setattr(wrapt.importer, "_post_import_hooks_init", False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    wrapt.register_post_import_hook(lambda module: setattr(module, "A", "patched"), name)
    assert [("caller.py", 1)] == [(one.file, one.line) for one in home.told(f"from {ALIAS} import A")]
    assert "patched" == home.run(f"from {ALIAS} import A")["A"]
    assert "patched" == home.run(f"from {NAMES} import A")["A"]


SUBINTERPRETER = """
import sys
import _xxsubinterpreters as interpreters

redirected = '''
import sys, warnings
sys.path[:] = {path!r}
from ssot_engine.legacy import redirects, table
before = redirects.is_redirected("old_home")
redirects.install_redirects(table.load_table("table.yaml"))
warnings.simplefilter("ignore")
from old_home.app.mixed import A
print(before, A.__module__, flush=True)
'''
interpreters.run_string(interpreters.create(), redirected.format(path=[".", *sys.path]))
print([type(finder).__name__ for finder in sys.meta_path].count("RedirectFinder"))
"""


def test_in_a_subinterpreter(home: OldCode) -> None:
    """Redirects are of one interpreter: a subinterpreter has none until it installs its own, which are no other's."""
    pytest.importorskip("_xxsubinterpreters", reason="this Python has no module _xxsubinterpreters")
    command = [sys.executable, "-c", SUBINTERPRETER]
    done = subprocess.run(command, cwd=home.folder, capture_output=True, text=True, check=False)
    if "subinterpreters" in done.stderr:
        pytest.skip(f"a dependency cannot be loaded in a subinterpreter: {done.stderr.splitlines()[-1]}")
    assert ("False new_home.first\n0\n", "") == (done.stdout, done.stderr)
