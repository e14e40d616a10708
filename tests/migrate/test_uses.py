"""Uses of old names through their modules follow the imports, by the language's scoping rules."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from before_after import OLD, Written, after, by_hand, draft_of, migrated, rewritten, table

from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.importing.imports import rewrite_imports
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.source import Source, edited
from ssot_engine.migrate.static.exports import Exports


def text(code: str) -> str:
    """Code without the indentation it has in a test."""
    return textwrap.dedent(code)


# ------------------------------------------------------------------ import old.module


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("import app.whole\napp.whole.X\n", "import new.whole\nnew.whole.X\n"),
        ("import app.whole\nf(app.whole)\n", "import new.whole\nf(new.whole)\n"),
        ("import app.whole\napp.whole.x = 1\n", "import new.whole\nnew.whole.x = 1\n"),
        ("import app.one\napp.one.Old\n", "import new.alpha\nnew.alpha.New\n"),
        ("import app.one\napp.one.Old.made().x = 1\n", "import new.alpha\nnew.alpha.New.made().x = 1\n"),
        ("import app.one\napp.one.Other, app.one.Old\n",
         "import new.beta\nimport new.alpha\nnew.beta.Other, new.alpha.New\n"),
        ("import app.one\n@app.one.Old\nclass A(app.one.Same):\n    x: app.one.Two\n",
         "import new.alpha\n@new.alpha.New\nclass A(new.alpha.Same):\n    x: new.alpha.Two\n"),
        ("import app.flat\napp.flat.X\n", "import flat\nflat.X\n"),
        ("import os, app.one, sys\napp.one.Old\n", "import os, new.alpha, sys\nnew.alpha.New\n"),
        ("import app.whole, app.one\napp.one.Old, app.whole.X\n",
         "import new.whole, new.alpha\nnew.alpha.New, new.whole.X\n"),
        ("import app.whole.deep\napp.whole.deep.X\n", "import new.whole.deep\nnew.whole.deep.X\n"),
        ("import app.one\nf'{app.one.Old} app.one.Old'\n", "import new.alpha\nf'{new.alpha.New} app.one.Old'\n"),
    ],
)  # fmt: skip
def test_chains(before: str, expected: str) -> None:
    """A chain that begins with an old module's whole name is rewritten, and its new module imported."""
    assert expected == after(before)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("import app.whole\napp.whole.X, app.other.Y\n", "import app\nimport new.whole\nnew.whole.X, app.other.Y\n"),
        ("import app.pack.single\napp.pack.single.Only, app.pack.other\n",
         "import app.pack\nimport new.alpha\nnew.alpha.Only, app.pack.other\n"),
        ("import app.whole\nimport app.other\napp.whole.X, app.other.Y\n",
         "import new.whole\nimport app.other\nnew.whole.X, app.other.Y\n"),
        ("import app.whole, app.other\napp.whole.X, app.other.Y\n",
         "import new.whole, app.other\nnew.whole.X, app.other.Y\n"),
        ("import app.whole\nf(app)\nimport app.other\n", "import app\nimport new.whole\nf(app)\nimport app.other\n"),
        ("import app.whole\ndef f():\n    import app.other\n    app.other.Y\napp.z\n",
         "import app\nimport new.whole\ndef f():\n    import app.other\n    app.other.Y\napp.z\n"),
    ],
)  # fmt: skip
def test_other_uses_of_the_root(before: str, expected: str) -> None:
    """What else is used through the root still finds it bound."""
    assert expected == after(before)


def test_root_that_stays() -> None:
    """Where new and old names share their root, nothing has to keep it bound."""
    written: Written = {"app.one": {"Old": "app.new.New"}}
    code = "import app.one\napp.one.Old, app.other\n"
    assert after(code, written=written) == "import app.new\napp.new.New, app.other\n"


def test_package_that_is_old_itself() -> None:
    """The root is not kept bound by importing another old module."""
    written: Written = {"app": {"X": "new.X"}, "app.one": {"Old": "new.alpha.New"}}
    code = "import app.one\nif x:\n    import app.other\napp.one.Old, app.other\n"
    expected = "import app.one\nimport new.alpha\nif x:\n    import app.other\nnew.alpha.New, app.other\n"
    assert expected == after(code, written=written)
    assert by_hand(code, written=written) == [(1, "import", "app.one")]


def test_chains_by_scope() -> None:
    """Only chains are rewritten whose first name means the import."""
    before = """\
    import app.one
    def f(app):
        return app.one.Old
    def g():
        return [app.one.Old for x in app.one.Same]
    class A:
        app = 1
        x = app.one.Old
        def h(self):
            return app.one.Two
    [app.one.Old for app in x]
    lambda app: app.one.Old
    """
    expected = """\
    import new.alpha
    def f(app):
        return app.one.Old
    def g():
        return [new.alpha.New for x in new.alpha.Same]
    class A:
        app = 1
        x = app.one.Old
        def h(self):
            return new.alpha.Two
    [app.one.Old for app in x]
    lambda app: app.one.Old
    """
    assert text(expected) == after(before)


def test_imports_in_functions() -> None:
    """An import in a function serves the chains of that function."""
    before = """\
    def f():
        import app.one
        app.one.Old
    def g():
        import app.one
        app.one.Other
    """
    expected = """\
    def f():
        import new.alpha
        new.alpha.New
    def g():
        import new.beta
        new.beta.Other
    """
    assert text(expected) == after(before)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("(app . one . Old)", "(new.alpha.New)"),
        ("(app\n  .one\n  .Old\n  .x)", "(new.alpha.New\n  .x)"),
        ("app.\\\n  one.Old", "new.alpha.New"),
        ("é = 'é'; app.one.Old", "é = 'é'; new.alpha.New"),
    ],
)
def test_spaced_chains(before: str, expected: str) -> None:
    """A chain may be spaced and go over several lines."""
    assert f"import new.alpha\n{expected}\n" == after(f"import app.one\n{before}\n")


@pytest.mark.parametrize("chain", ["(app.one).Old", "(app  # why\n .one.Old)"])
def test_chains_with_something_in_them(chain: str) -> None:
    """A chain with a parenthesis or a comment in it is left to a person, and its module stays imported."""
    code = f"import app.one\n{chain}\n"
    assert code == after(code)
    assert by_hand(code) == [(1, "scattered_module", "app.one"), (2, "use", "app.one.Old")]


def test_chains_that_stay() -> None:
    """Chains that cannot be rewritten are told, and keep the old module imported beside the new ones."""
    before = "import app.one\napp.one.Old\napp.one.Gone\napp.one.Unknown.x\nf(app.one)\napp.one.Changed()\n"
    assert after(before) == before.replace("import app.one", "import app.one\nimport new.alpha").replace(
        "app.one.Old", "new.alpha.New"
    )
    assert by_hand(before) == [
        (1, "scattered_module", "app.one"),
        (3, "removed", "app.one.Gone"),
        (4, "unknown_name", "app.one.Unknown.x"),
        (5, "scattered_module", "app.one"),
        (6, "behaviour_changed", "app.one.Changed"),
    ]
    assert rewritten(before) == [(2, "use", "app.one.Old", "new.alpha.New")]


def test_stores_into_a_scattered_module() -> None:
    """A name set on an old module is seen by importers of the old path; on a new one it would not be."""
    code = "import app.one\napp.one.Old = 1\n"
    assert code == after(code)
    assert by_hand(code) == [(1, "scattered_module", "app.one"), (2, "use", "app.one.Old")]


def test_modules_nobody_uses() -> None:
    """Of a scattered module that is imported and not used nobody can say which part is meant."""
    assert by_hand("import app.one") == [(1, "scattered_module", "app.one")]
    assert by_hand("import app.gone\napp.gone.x") == [(1, "removed", "app.gone"), (2, "removed", "app.gone.x")]


@pytest.mark.parametrize(
    "code",
    [
        "import app.one\nnew = 1\napp.one.Old\n",
        "import app.one\ndef f(new):\n    return app.one.Old\n",
        "import app.one\ndef f():\n    for new in x:\n        app.one.Old\n",
        "import app.one\n[app.one.Old for new in x]\n",
        "from x import new\nimport app.one\napp.one.Old\n",
        "import x as new\nimport app.one\napp.one.Old\n",
        "import new.x\ndef f():\n    new.x.Y\n    import app.one\n    app.one.Old\n",
    ],
)
def test_new_root_that_is_something_else(code: str) -> None:
    """Where the new root is bound to something else, chains stay and are told."""
    assert code == after(code)
    assert [rule for _, rule, _ in by_hand(code)] == ["scattered_module", "use"]


def test_new_root_that_is_imported_already() -> None:
    """Other modules below the new root may be imported where the old one is."""
    before = "import new.other\nimport app.one\ndef f():\n    app.one.Old, new.other.x\n"
    assert after(before) == "import new.other\nimport new.alpha\ndef f():\n    new.alpha.New, new.other.x\n"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    import app.whole\nexcept ImportError:\n    app = None\nf(app.whole.X)\n",
        "from x import app\nimport app.whole\nf(app.whole.X)\n",
        "def f():\n    global app\n    import app.whole\nf(app.whole.X)\n",
    ],
)
def test_root_that_is_bound_in_another_way(code: str) -> None:
    """A root that may be something else is left to a person."""
    assert code == after(code)
    assert {"import", "use"} == {rule for _, rule, _ in by_hand(code)}


def test_module_that_only_one_branch_imports() -> None:
    """A chain is not made to depend on an import that may not have run, where the old one found its root bound."""
    code = "try:\n    import app.other\nexcept ImportError:\n    import app.one\napp.one.Old\n"
    assert code == after(code)


def test_module_that_came_with_another() -> None:
    """A chain may reach a module that somebody else has imported; its new module is imported next to the root."""
    before = "import app\nimport app.other\napp.one.Old\n"
    assert after(before) == "import app\nimport new.alpha\nimport app.other\nnew.alpha.New\n"


def test_types_in_quotes() -> None:
    """A type that is written as a string needs its new module as well."""
    code = "import app.one\ndef f(x: 'app.one.Other', y: 'list[app.one.Gone]'): app.one.Old\n"
    assert after(code).splitlines()[:3] == ["import app.one", "import new.alpha", "import new.beta"]
    code = "import app.one\ndef f(x: 'app.other.X'): app.one.Old\n"
    assert after(code).splitlines()[:2] == ["import app", "import new.alpha"]


def test_module_without_a_package() -> None:
    """`import old` keeps its local name if it moved whole, as `import new as old`."""
    assert after("import top\nf(top, top.x)\n") == "import new.top as top\nf(top, top.x)\n"
    written: Written = {"top": {"A": "new.alpha.A", "B": "new.beta.B"}, "top.sub": "new.sub"}
    assert (
        after("import top\ntop.A, top.B\n", written=written)
        == "import new.alpha\nimport new.beta\nnew.alpha.A, new.beta.B\n"
    )
    assert after("import top.sub\ntop.sub.x\n", written=written) == "import new.sub\nnew.sub.x\n"


# ------------------------------------------------------------------ import old.module as m


@pytest.mark.parametrize(
    "statement",
    ["import app.one as m", "from app import one as m", "from app import (\n    one as m,  # why\n)"],
)
def test_alias_of_a_scattered_module(statement: str) -> None:
    """If all uses of a module's local name need one new module, it is bound to that, and renamed names follow."""
    before = f"{statement}\nclass A(m.Old):\n    x = m.Same.y\ndef f(m):\n    m.Old\n"
    new = statement.replace("import app.one", "import new.alpha").replace(
        "from app import one", "from new import alpha"
    )
    new = new.replace("    one as m", "    alpha as m").replace("from app import (", "from new import (")
    assert after(before) == f"{new}\nclass A(m.New):\n    x = m.Same.y\ndef f(m):\n    m.Old\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from app import one\none.Old\n", "from new import alpha as one\none.New\n"),
        ("from app import one, x\none.Old\n", "from new import alpha as one\nfrom app import x\none.New\n"),
        ("from app.pack import single as alpha\nalpha.Only\n", "from new import alpha\nalpha.Only\n"),
        ("import os, app.one as m, sys\nm.Old()\n", "import os, new.alpha as m, sys\nm.New()\n"),
        ("import app.one as m\nf'{m.Old}'\n", "import new.alpha as m\nf'{m.New}'\n"),
        ("import app.one as m\ndef f(x: 'm.Same'): m.Same\n", "import new.alpha as m\ndef f(x: 'm.Same'): m.Same\n"),
        ("import app.one as m\nx: 'list[m.Old]' = m.Old\n", "import new.alpha as m\nx: 'list[m.New]' = m.New\n"),
        ("if x:\n    import app.one as m\nelse:\n    import app.one as m\nm.Old\n",
         "if x:\n    import new.alpha as m\nelse:\n    import new.alpha as m\nm.New\n"),
        ("try:\n    import x as m\nexcept ImportError:\n    import app.one as m\nm.Same\n",
         "try:\n    import x as m\nexcept ImportError:\n    import new.alpha as m\nm.Same\n"),
    ],
)  # fmt: skip
def test_local_names_of_modules(before: str, expected: str) -> None:
    """The local name of a module never changes."""
    assert expected == after(before)


def test_relative_import_of_a_scattered_module() -> None:
    """A module that is imported from a point keeps its local name as well."""
    before = "from . import one, other\none.Old\n"
    assert after(before, module="app.user") == "from new import alpha as one\nfrom . import other\none.New\n"


@pytest.mark.parametrize(
    "uses",
    [
        "m.Old, m.Other",
        "m.Old, m.Gone",
        "m.Old; f(m)",
        "m.Old; getattr(m, 'Old')",
        "m.Old; patch.object(m, 'Old')",
        "m.Old = 1",
        "m.Old; del m.Same",
        "m.Old; m = 1",
        "m.Old; __all__ = ['m']",
        "x: 'm.Other' = m.Same",
        "pass",
        "(m).Old",
    ],
)
def test_alias_that_is_left(uses: str) -> None:
    """If uses need several modules, or do more than read names, a person has to say what is meant."""
    code = f"import app.one as m\n{uses}\n"
    assert code == after(code)
    assert (1, "scattered_module", "app.one") in by_hand(code)


def test_what_is_told_of_an_alias_that_is_left() -> None:
    """Each use is told with its new name, and the import with the modules they are in."""
    _, findings = migrated(b"import app.one as m\nm.Old\nm.Other\nf(m)\nm.Gone\n")
    told = [(one.line, one.rule.value, one.new, one.todo.partition(";")[0]) for one in findings]
    assert sorted(told, key=lambda one: one[:2]) == [
        (1, "scattered_module", None, "its names went to new.alpha, new.beta"),
        (2, "use", "new.alpha.New", "import new.alpha.New and use that"),
        (3, "use", "new.beta.Other", "import new.beta.Other and use that"),
        (4, "scattered_module", None, "its names went to new.alpha, new.beta"),
        (5, "removed", None, "it is gone: it was so"),
    ]


def test_alias_that_may_be_something_else() -> None:
    """A use cannot be renamed where the local name may be another module, too."""
    code = "try:\n    import x as m\nexcept ImportError:\n    import app.one as m\nm.Old\n"
    assert code == after(code)
    assert by_hand(code) == [(4, "scattered_module", "app.one"), (5, "use", "app.one.Old")]


@pytest.mark.parametrize(
    "code",
    [
        "from app import pack\npack.single.Only\n",
        "import app as a\na.one.Old\n",
        "import app as a\nf(a.pack.single.Only)\n",
    ],
)
def test_uses_through_a_package(code: str) -> None:
    """Old names that are reached through a package above them are told."""
    assert code == after(code)
    assert [(2, "use")] == [(line, rule) for line, rule, _ in by_hand(code)]


def test_folders_that_may_be_packages() -> None:
    """If a file may have several names, that counts by which its imports mean old modules."""
    source = Source(b"from .single import Only\nfrom .. import whole\nfrom ... import whole\n")
    place = Place(path="user.py", names=("pack.user", "app.pack.user"), is_package=False)
    draft = Draft(source, place, Lookup(table(OLD)), Bindings(source.tree))
    rewrite_imports(draft)
    expected = b"from new.alpha import Only\nfrom new import whole\nfrom ... import whole\n"
    assert expected == edited(source.raw, draft.edits)


@pytest.mark.parametrize(
    "code",
    [
        "from app.whole import lost\n",
        "import app.whole as m\nm.lost, m.x\n",
        "from app import whole\nwhole.lost\n",
        "import app.whole\napp.whole.lost\n",
        "import top\ntop.lost\n",
        "import app.one as m\nm.Old\n",
    ],
)
def test_names_the_new_module_lacks(tmp_path: Path, code: str) -> None:
    """A name that the new module does not bind stays on the old path."""
    for name in ("whole", "top", "alpha"):
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / f"{name}.py").write_text("x = 1\n", encoding="utf-8")
    source = Source(code.encode())
    place = Place(path="user.py", names=("user",), is_package=False)
    draft = Draft(source, place, Lookup(table(OLD)), Bindings(source.tree))
    rewrite_imports(draft, Exports([tmp_path]))
    assert [] == draft.edits
    assert [] == [one for one in draft.findings if not one.by_hand]


def test_modules_the_host_keeps() -> None:
    """Of a module whose file the host keeps, only names that are in the table are told."""
    code = "from host.kept import mine, gone, *\nfrom host import kept\nkept.mine, kept.gone\nf(kept)\n"
    source = Source(code.replace(", *", "\nfrom host.kept import *").encode())
    lookup = Lookup(table({"host.kept": {"gone": "-do it otherwise"}}, kept=["host.kept"]))
    draft = Draft(source, Place(path="user.py", names=("user",), is_package=False), lookup, Bindings(source.tree))
    rewrite_imports(draft)
    assert [] == draft.edits
    assert [(1, "host.kept.gone"), (4, "host.kept.gone")] == sorted((one.line, one.old) for one in draft.findings)


def test_uses_are_told_where_they_stand() -> None:
    """A rewritten use is told at its first character."""
    code = "import app.one\nf(é, app.one.Old.x)\n".encode()
    found = [(one.line, one.column, one.old, one.new) for one in draft_of(code, written=OLD).findings]
    assert (2, 6, "app.one.Old.x", "new.alpha.New.x") in found
