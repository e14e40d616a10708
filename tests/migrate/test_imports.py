"""Imports of old modules become those of the new ones; what is around the names stays byte for byte."""

from __future__ import annotations

import pytest
from before_after import after, by_hand, draft_of, migrated, rewritten

from ssot_engine.migrate.source import edited


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from app.one import Same", "from new.alpha import Same"),
        ("from app.one import Old", "from new.alpha import New as Old"),
        ("from app.one import Old, Same, Two", "from new.alpha import New as Old, Same, Two"),
        ("from app.one import Old as Mine", "from new.alpha import New as Mine"),
        ("from app.one import Same as Mine", "from new.alpha import Same as Mine"),
        ("from app.whole import a, b as c", "from new.whole import a, b as c"),
        ("from app.whole.deep import a", "from new.whole.deep import a"),
        ("from top import a", "from new.top import a"),
        ("def f():\n    from app.one import Same\n", "def f():\n    from new.alpha import Same\n"),
        ("class A:\n    from app.one import Old\n", "class A:\n    from new.alpha import New as Old\n"),
        (
            "if TYPE_CHECKING:\n    from app.one import Old\n",
            "if TYPE_CHECKING:\n    from new.alpha import New as Old\n",
        ),
    ],
)
def test_names_of_one_module(before: str, expected: str) -> None:
    """Names that went to one module are imported from it, each under its old local name."""
    assert expected == after(before)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from  app.one  import  Old ,Same", "from  new.alpha  import  New as Old ,Same"),
        ("from app . one import Old", "from new.alpha import New as Old"),
        ("from app.one import(Old)", "from new.alpha import(New as Old)"),
        ("from app.one import(Old,)  # why", "from new.alpha import(New as Old,)  # why"),
        (
            "from app.one \\\n    import \\\n    Old, \\\n    Two",
            "from new.alpha \\\n    import \\\n    New as Old, \\\n    Two",
        ),
        ("from app\\\n.one import Old", "from new.alpha import New as Old"),
        ("from \\\n app.one import Old", "from \\\n new.alpha import New as Old"),
        ("from app.one import (Old  # a\n  as  # b\n  Mine)", "from new.alpha import (New  # a\n  as  # b\n  Mine)"),
        ("from app.whole import*", "from new.whole import*"),
        ("if x: from app.one import Old ; y = 1", "if x: from new.alpha import New as Old ; y = 1"),
        ("é = 'é€'; from app.one import Old", "é = 'é€'; from new.alpha import New as Old"),
        (
            "from app.one import Old; from app.one import Two",
            "from new.alpha import New as Old; from new.alpha import Two",
        ),
    ],
)
def test_spacing_stays(before: str, expected: str) -> None:
    """However a statement is spaced, continued or parenthesised, only its names change."""
    assert expected == after(before)


def test_layout_and_comments_stay() -> None:
    """A parenthesised import keeps its lines, its comments and its last comma."""
    before = """\
    from app.one import (  # head
        Old,  # the old one
        # a line of its own
        Same as Mine,
        Two,
    )  # noqa: F401
    """
    assert (
        after(before)
        == """\
from new.alpha import (  # head
    New as Old,  # the old one
    # a line of its own
    Same as Mine,
    Two,
)  # noqa: F401
"""
    )


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from app.one import Old as New", "from new.alpha import New"),
        ("from app.one import Old as Old", "from new.alpha import New as Old"),
        ("from app.one import Same as Same", "from new.alpha import Same as Same"),
        ("from app.one import (Old  # a\n  as New)", "from new.alpha import (New  # a\n  as New)"),
    ],
)
def test_local_names(before: str, expected: str) -> None:
    """A local name never changes; `as` goes where it says nothing any more, and stays where it exports the name."""
    assert expected == after(before)


def test_old_and_new_name_side_by_side() -> None:
    """Where a file has both names, both stay what they are."""
    before = "from app.one import Old\nfrom other import New\nprint(Old, New)\n"
    assert after(before) == "from new.alpha import New as Old\nfrom other import New\nprint(Old, New)\n"
    assert after("from app.one import Old, Old as New") == "from new.alpha import New as Old, New"


def test_shadowed_name() -> None:
    """A parameter or a local variable of the same name is left alone."""
    body = "def f(Old, one):\n    New = Old\n    return lambda Old: one.Old\n"
    assert after(f"from app.one import Old\n{body}") == f"from new.alpha import New as Old\n{body}"


# ------------------------------------------------------------------ which module is meant


@pytest.mark.parametrize(
    ("before", "module", "expected"),
    [
        ("from .one import Old", "app.user", "from new.alpha import New as Old"),
        ("from.one import Old", "app.user", "from new.alpha import New as Old"),
        ("from ..one import Old", "app.sub.user", "from new.alpha import New as Old"),
        ("from ..pack.single import Only", "app.sub.user", "from new.alpha import Only"),
        ("from ... one import Old", "app.sub.sub.user", "from new.alpha import New as Old"),
        ("from . import whole, other", "app.user", "from new import whole\nfrom . import other"),
        ("from .import whole", "app.user", "from new import whole"),
        ("from.import(whole)", "app.user", "from new import(whole)"),
        ("from .one import Old", "host.user", "from .one import Old"),
        ("from . import whole", "host.user", "from . import whole"),
    ],
)
def test_relative_imports(before: str, module: str, expected: str) -> None:
    """A relative import means what it does where the file stands."""
    assert expected == after(before, module=module)


def test_relative_imports_in_a_package() -> None:
    """In an `__init__` a point means the package itself."""
    assert after("from .one import Old", module="app", is_package=True) == "from new.alpha import New as Old"
    assert after("from ..one import Old", module="app.sub", is_package=True) == "from new.alpha import New as Old"
    assert after("from ..one import Old", module="app", is_package=True) == "from ..one import Old"


def test_module_taken_from_its_package() -> None:
    """A module that is imported from its package as a name keeps its local name."""
    assert after("from app import whole as w") == "from new import whole as w"
    assert after("from app import flat, whole, x") == "import flat\nfrom new import whole\nfrom app import x"
    assert after("from app import flat as f") == "import flat as f"
    assert after("from app import (\n  flat,  # why\n  whole,\n)") == "import flat  # why\nfrom new import whole"


@pytest.mark.parametrize(
    "code",
    [
        "from app.one_v2 import Old",
        "from app.on import Old",
        "from xapp.one import Old",
        "from app import other",
        "import app.ones, application.one",
        "from app.other import Old\nOld()",
        "MyOldError = oldx = Old_v2 = 1",
        "x = 'app.one.Old'  # app.one.Old\n'''from app.one import Old'''\n",
    ],
)
def test_near_misses(code: str) -> None:
    """What only looks like an old name is left alone."""
    assert (code.encode(), []) == migrated(code.encode())


# ------------------------------------------------------------------ one statement becomes several


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from app.one import Other, Old, Same", "from new.beta import Other\nfrom new.alpha import New as Old, Same"),
        ("from app.one import Old, Unknown", "from new.alpha import New as Old\nfrom app.one import Unknown"),
        ("from app . one import(Gone, Old)", "from app . one import Gone\nfrom new.alpha import New as Old"),
        ("try: from app.one import Old, Other\nfinally: pass", None),
        ("x = 1; from app.one import Old, Other; y = 2", None),
        ("if x: \\\n from app.one import Old, Other", None),
        ("class A: from app.one import Old, Other", None),
    ],
)
def test_split(before: str, expected: str | None) -> None:
    """Names that went to several modules are imported by as many statements, each in a line of its own if it can be."""
    if expected is None:
        expected = before.replace(
            "from app.one import Old, Other", "from new.alpha import New as Old; from new.beta import Other"
        )
    assert expected == after(before)


def test_split_keeps_comments_with_their_names() -> None:
    """No comment of a split import is lost, each stays with its name; what speaks to a tool is said for each part."""
    before = """\
    if x:
        from app.one import (  # noqa: I001
            # about both
            Old,  # the old one
            Other, Same,  # the same
            # gone soon
            Gone
            # and that is all
        )  # because  # type: ignore
    """
    assert (
        after(before)
        == """\
if x:
    from new.alpha import (  # noqa: I001
        # about both
        New as Old,  # the old one
        Same,  # the same
    )  # type: ignore
    from new.beta import (  # noqa: I001
        Other,
    )  # type: ignore
    from app.one import (  # noqa: I001
        # gone soon
        Gone,
        # and that is all
    )  # because  # type: ignore
"""
    )


def test_split_of_several_lines() -> None:
    """Of an import in several lines those parts stay so that have several names."""
    before = "from app.one import (\n  Old,\n  Other,\n  Same)\n"
    expected = "from new.alpha import (\n  New as Old,\n  Same,\n)\nfrom new.beta import Other\n"
    assert expected == after(before)
    before = "from app.one import Old, \\\n    Other, Same\n"
    expected = "from new.alpha import (\n    New as Old,\n    Same,\n)\nfrom new.beta import Other\n"
    assert expected == after(before)


def test_split_in_a_line_with_comments() -> None:
    """Where a statement shares its line, the comments in its parentheses stay in parentheses."""
    before = "try: from app.one import (Old,  # a\n    Other)\nfinally: pass\n"
    expected = "try: from new.alpha import (\n    New as Old,  # a\n); from new.beta import Other\nfinally: pass\n"
    assert expected == after(before)


def test_split_binds_the_last_of_two() -> None:
    """Where one statement binds a name twice, the last one still counts."""
    before = "from app.one import Same as x, Other as x, Two as y"
    assert (
        after(before)
        == "from new.alpha import Same as x\nfrom new.beta import Other as x\nfrom new.alpha import Two as y"
    )


def test_comment_that_finds_no_place() -> None:
    """A module that is no other's has no parentheses: a comment in the middle of a line leaves it to a person."""
    code = "if x: from app import (  # why\n    flat)\n"
    assert code == after(code)
    assert by_hand(code) == [(2, "import", "app.flat")]


# ------------------------------------------------------------------ plain imports, several at once


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("import app.whole as w", "import new.whole as w"),
        ("import os, app.whole as w, sys", "import os, new.whole as w, sys"),
        ("import os, \\\n  app . whole  as  w, sys", "import os, \\\n  new.whole  as  w, sys"),
        ("import app.whole.deep as w", "import new.whole.deep as w"),
        ("import app.flat as f", "import flat as f"),
        ("import top", "import new.top as top"),
        ("import top as t", "import new.top as t"),
        ("import app.whole", "import new.whole"),
        ("import os, app.whole, sys", "import os, new.whole, sys"),
        ("import os; import app.whole; import sys", "import os; import new.whole; import sys"),
    ],
)
def test_plain_imports(before: str, expected: str) -> None:
    """Of a plain import only the old item changes."""
    assert expected == after(before)


# ------------------------------------------------------------------ bytes


FIRST, SECOND = b"from new.alpha import New as Old", b"from new.beta import Other"


@pytest.mark.parametrize(
    ("before", "after_it", "between"),
    [
        (b"", b"\r\nx = 1\r\n", b"\r\n"),
        (b"x = 1\r", b"\r", b"\r"),
        (b"x = 1\n", b"\r\ny = 1\n", b"\r\n"),
        (b"x = 1\r\n", b"", b"\r\n"),
        (b"\xef\xbb\xbf", b"", b"\n"),
        (b"x = 1\n\x0c", b"", b"\n"),
        (b"if x:\n\t", b"\n", b"\n\t"),
    ],
    ids=["crlf", "cr", "mixed", "no-final-newline", "bom", "form-feed", "tab"],
)
def test_bytes_around_stay(before: bytes, after_it: bytes, between: bytes) -> None:
    """New lines end as the one they come from; nothing else changes."""
    code = b"%bfrom app.one import Old, Other%b" % (before, after_it)
    assert before + FIRST + between + SECOND + after_it == migrated(code)[0]


def test_tabs_stay() -> None:
    """Names in lines of their own are indented as they were."""
    before = "if x:\n\tfrom app.one import (Old,\n\t\tOther, Same)\n"
    expected = "if x:\n\tfrom new.alpha import (\n\t\tNew as Old,\n\t\tSame,\n\t)\n\tfrom new.beta import Other\n"
    assert expected == after(before)


def test_other_encodings() -> None:
    """A file in another encoding is rewritten in it."""
    before = "# coding: latin-1\nx = 'é'; from app.one import Old  # é\n".encode("latin-1")
    draft = draft_of(before)
    expected = "# coding: latin-1\nx = 'é'; from new.alpha import New as Old  # é\n".encode("latin-1")
    assert expected == edited(before, draft.source.for_file(draft.edits))


# ------------------------------------------------------------------ what is left to a person


def test_what_is_never_applied() -> None:
    """Removed, changed and unknown names stay on the old path, and are told with their places."""
    code = "from app.one import Gone, Changed, \\\n    Unknown, old_x\nimport app.gone\nfrom app import gone\n"
    assert code == after(code)
    assert by_hand(code) == [
        (1, "behaviour_changed", "app.one.Changed"),
        (1, "removed", "app.one.Gone"),
        (2, "removed", "app.one.old_x"),
        (2, "unknown_name", "app.one.Unknown"),
        (3, "removed", "app.gone"),
        (4, "removed", "app.gone"),
    ]


def test_what_a_person_is_told() -> None:
    """What is left to a person says why, and what to do."""
    _, findings = migrated(b"from app.one import Gone, Changed, Unknown\nfrom app.one import *\n")
    assert [one.todo for one in findings] == [
        "it is gone: it was so; instead: use a container",
        "check this use, as what answers it differs: it was so; then take it from new.beta.Changed",
        "the table knows app.one and says nothing of Unknown; add an entry for it, or replace it",
        "its names went to new.alpha, new.beta; name the one that is meant, or import each name from its new module",
    ]


def test_module_of_which_nothing_moved() -> None:
    """Of a module whose names are all gone no new module is named."""
    (found,) = migrated(b"import app.past as m", written={"app.past": {"a": "-do it otherwise"}})[1]
    assert found.todo == "there is an entry for each of its names; replace those that are used as their entries say"


def test_star_imports() -> None:
    """All names are imported from where a module moved whole; of a scattered one a person must say which."""
    assert after("from app.whole import *") == "from new.whole import *"
    assert by_hand("from app.one import *") == [(1, "star_import", "app.one.*")]
    assert by_hand("from app.gone import *") == [(1, "removed", "app.gone.*")]
    assert by_hand("from app import *") == []


def test_modules_below_an_old_one() -> None:
    """A table speaks of the names of a module, not of the modules below it."""
    code = "from app.one.deep import X\nimport app.one.deep\napp.one.deep.X\n"
    assert (code.encode(), []) == migrated(code.encode())


def test_what_is_told_of_rewritten_imports() -> None:
    """What is rewritten is told with old and new name, at the name."""
    code = "from app.one import (\n    Old as x,\n    Other,\n)\nimport app.whole as w\nfrom app.whole import *\n"
    assert rewritten(code) == [
        (2, "import", "app.one.Old", "new.alpha.New"),
        (3, "import", "app.one.Other", "new.beta.Other"),
        (5, "import", "app.whole", "new.whole"),
        (6, "import", "app.whole.*", "new.whole"),
    ]
    assert [(one.line, one.column) for one in migrated("é = 1; from app.one import Old".encode())[1]] == [(1, 28)]


def test_kept_aliases() -> None:
    """Local names that differ from the new ones are kept for whoever renames uses; those the file chose are not."""
    code = b"from app.one import Old, Same, Old as x\ndef f():\n    from app.again import Old\n"
    assert [(one.local, one.new_leaf, one.alias.lineno) for one in draft_of(code).kept] == [
        ("Old", "New", 1),
        ("Old", "New", 3),
    ]


# ------------------------------------------------------------------ what is imported already


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("from new.alpha import Same\nfrom app.one import Same\nx = 1\n", "from new.alpha import Same\nx = 1\n"),
        (
            "from app.one import Same\nimport os\nfrom new.alpha import Same\n",
            "import os\nfrom new.alpha import Same\n",
        ),
        ("from app.one import Same\nfrom app.again import Same\n", "from new.alpha import Same\n"),
        (
            "from new.alpha import New as Old\n'''doc'''\nfrom app.one import Old",
            "from new.alpha import New as Old\n'''doc'''\n",
        ),
        (
            "from new.alpha import Same\nfrom app.one import Two, Same",
            "from new.alpha import Same\nfrom new.alpha import Two",
        ),
        ("from app.one import Same, Same", "from new.alpha import Same"),
        ("import new.whole\nimport os, app.whole, sys", "import new.whole\nimport os, sys"),
        ("import new.whole as w\nimport app.whole as w, sys", "import new.whole as w\nimport sys"),
        ("import app.whole, new.whole", "import new.whole"),
        (
            "if x:\n    from app.one import Old\n    from app.again import Old\n",
            "if x:\n    from new.alpha import New as Old\n",
        ),
    ],
)
def test_nothing_is_imported_twice(before: str, expected: str) -> None:
    """What an import next to it binds already is not bound once more."""
    assert expected == after(before)


@pytest.mark.parametrize(
    "code",
    [
        "from new.alpha import Same\nx = 1\nfrom OLD import Same\n",
        "from new.alpha import Same\nfrom OLD import Same  # why\n",
        "from new.alpha import Same\nx = 1; from OLD import Same\n",
        "from new.alpha import Same\nfrom other import Same\nfrom OLD import Same\n",
        "from new.alpha import Same\nfrom other import *\nfrom OLD import Same\n",
        "from new.alpha import Same as Same\nfrom OLD import Same\n",
        "from new.alpha import Same\ndef f():\n    from OLD import Same\n",
        "if x:\n    from new.alpha import Same\nelse:\n    from OLD import Same\n",
        "from new.alpha import Same as x\nfrom OLD import Same\n",
        "from new.alpha import Same\nfrom OLD import (  # why\n    Same,\n)\n",
    ],
)
def test_what_is_no_double_stays(code: str) -> None:
    """Where something could tell the difference, or a comment would be lost, both imports stay."""
    assert code.replace("OLD", "new.alpha") == after(code.replace("OLD", "app.one"))


# ------------------------------------------------------------------ branches of a try

ONE = "x = 0\nfrom new.alpha import Same\ny = 1\n"


@pytest.mark.parametrize(
    "before",
    [
        "x = 0\ntry:\n    from new.alpha import Same\nexcept ImportError:\n    from app.one import Same\ny = 1\n",
        "x = 0\ntry:\n    from app.one import Same\nexcept ImportError:\n    from new.alpha import Same\ny = 1\n",
        "x = 0\ntry:\n  from app.one import Same\n\nexcept ModuleNotFoundError:\n  from app.again import Same\ny = 1\n",
        (
            "x = 0\ntry: from app.one import Same\nexcept (ImportError, ModuleNotFoundError): "
            "from app.again import Same\ny = 1\n"
        ),
    ],
)
def test_fallbacks_that_are_one(before: str) -> None:
    """A try with two ways to what is now one import is that import."""
    assert ONE == after(before)


def test_fallback_in_several_lines() -> None:
    """The import that remains stands where the try stood, all of its lines."""
    before = """\
    def f():
        try:
            from app.one import (
                Old,
                Same,
            )
        except ImportError:
            from app.again import Old, Same
    """
    assert after(before) == "def f():\n    from new.alpha import (\n        New as Old,\n        Same,\n    )\n"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    from FIRST import Same\nexcept ImportError:  # why\n    from app.again import Same\n",
        "try:\n    from FIRST import Same\nexcept ImportError:\n    from app.again import Same  # why\n",
        "try:\n    from FIRST import Same\nexcept ImportError:\n    from app.again import Same\nelse:\n    x = 1\n",
        "try:\n    from FIRST import Same\n    x = 1\nexcept ImportError:\n    from app.again import Same\n",
        "try:\n    from FIRST import Same\nexcept Exception:\n    from app.again import Same\n",
        "try:\n    from FIRST import Same\nexcept ImportError as error:\n    from app.again import Same\n",
        "try:\n    from FIRST import Same\nexcept ImportError:\n    if x:\n        from app.again import Same\n",
        "try:\n    from FIRST import Same\nexcept ImportError:\n    from app.again import Same\n    from y import z\n",
    ],
)
def test_branches_that_would_be_equal(code: str) -> None:
    """Where more hangs on a try than two ways to one import, the second stays as it is, and a person is told."""
    assert code.replace("FIRST", "new.alpha") == after(code.replace("FIRST", "app.one"))
    assert code.replace("FIRST", "new.alpha") == after(code.replace("FIRST", "new.alpha"))
    assert [rule for _, rule, _ in by_hand(code.replace("FIRST", "app.one"))] == ["duplicate_branch"]


def test_branch_before_the_new_one() -> None:
    """A branch that would become what the other one is already stays, and a person is told."""
    code = "try:\n    from app.one import Same\nexcept ImportError:\n    from new.alpha import Same  # why\n"
    assert code == after(code)
    assert by_hand(code) == [(2, "duplicate_branch", "app.one.Same")]


def test_three_branches() -> None:
    """Of three ways to one import the first is rewritten, the others are told."""
    code = """\
    try:
        from app.one import Same
    except ImportError:
        try:
            from app.again import Same
        except ImportError:
            from app.one import Same
    """
    assert after(code).startswith(
        "try:\n    from new.alpha import Same\nexcept ImportError:\n    try:\n        from app.again"
    )
    assert by_hand(code) == [(5, "duplicate_branch", "app.again.Same"), (7, "duplicate_branch", "app.one.Same")]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (
            "try:\n    from app.one import Old\nexcept ImportError:\n    Old = None\n",
            "try:\n    from new.alpha import New as Old\nexcept ImportError:\n    Old = None\n",
        ),
        (
            "try:\n    from app.one import Old as X\nexcept ImportError:\n    from app.one import Other as X\n",
            "try:\n    from new.alpha import New as X\nexcept ImportError:\n    from new.beta import Other as X\n",
        ),
        (
            "try:\n    import fast\nexcept ImportError:\n    from app.one import Same\n",
            "try:\n    import fast\nexcept ImportError:\n    from new.alpha import Same\n",
        ),
    ],
)
def test_branches_that_differ(before: str, expected: str) -> None:
    """Branches that import different things are rewritten each for itself."""
    assert expected == after(before)
