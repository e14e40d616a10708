"""A local name follows its class's new name only where nothing can notice, and then everywhere in its file."""

from __future__ import annotations

import ast
import dis
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import CodeType

import pytest
from before_after import OLD, Written, table

from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.importing.imports import rewrite_imports
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.rewriting.renaming import renamable, rename
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.scan import scan
from ssot_engine.migrate.source import NotReadable, Source, edited


def draft_of(
    code: str, names: frozenset[str] = frozenset(), *, is_package: bool = False, written: Written = OLD
) -> Draft:
    """A file of the host, its imports worked out."""
    source = Source(dedent(code).encode())
    place = Place(path="user.py", names=("user", "host.user"), is_package=is_package)
    draft = Draft(source, place, Lookup(table(written)), Bindings(source.tree))
    draft.unaliased = names
    rewrite_imports(draft)
    return draft


def renamed(code: str, *names: str, is_package: bool = False) -> str:
    """The text afterwards, with these names renamed, or all that can be."""
    free = frozenset(names or renamable(draft_of(code, is_package=is_package)))
    draft = draft_of(code, free, is_package=is_package)
    rename(draft, free)
    after = edited(draft.source.utf8, draft.edits).decode()
    ast.parse(after)
    return after


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (0, 3), (1, 2), (1, 1), (2, 5), (-4, 9)])
def test_a_use_that_is_changed_otherwise_keeps_its_name(start: int, end: int):
    """What another edit touches is not renamed as well; one beside it does no harm."""
    code = "from app.one import Old\nx = 1; Old(); y = 2\n"
    at = code.index("Old()")
    draft = draft_of(code)
    for place in (code.index("x"), code.index("y")):
        draft.edit(place, place + 1, b"z")
    draft.edit(at - 1, at, b"  ")
    draft.edit(at + 3, at + 3, b" ")
    assert ("Old",) == renamable(draft)
    del draft.edits[-2:]
    draft.edit(at + start, at + end, b"")
    assert () == renamable(draft)


def test_uses_follow():
    """The import loses its alias, and every use that means it is renamed; attributes and keywords are not."""
    before = """
        from app.one import Old
        def f(Old_, x=Old):
            return Old(Old=1).Old, [Old for _ in x], lambda: Old
        class C(Old):
            def m(self, a: Old) -> Old: ...
        match f:
            case Old(Old=1): pass
    """
    after = """
        from new.alpha import New
        def f(Old_, x=New):
            return New(Old=1).Old, [New for _ in x], lambda: New
        class C(New):
            def m(self, a: New) -> New: ...
        match f:
            case New(Old=1): pass
    """
    assert dedent(after) == renamed(before)


def test_a_hidden_name_stays():
    """Parameters and variables that hide the import keep their name."""
    before = """
        from app.one import Old
        def f(Old): return Old
        def g():
            Old = 1
            return Old
        Old()
    """
    assert dedent(before).replace("app.one import Old", "new.alpha import New").replace(
        "\nOld()", "\nNew()"
    ) == renamed(before)


def test_only_what_is_asked_for():
    """Of several names those are renamed that were asked for; the others keep theirs by an alias."""
    before = "from app.one import Old\nfrom app.pack.single import First\nOld, First\n"
    assert ("First", "Old") == renamable(draft_of(before))
    after = "from new.alpha import New as Old\nfrom new.alpha import Primary\nOld, Primary\n"
    assert after == renamed(before, "First")


def test_in_several_functions():
    """Imports of the same name in several functions are renamed with their own uses."""
    before = """
        def f():
            from app.one import Old
            return Old
        def g():
            from app.again import Old
            return lambda: Old
    """
    assert dedent(before).replace("Old", "New").replace("app.one", "new.alpha").replace(
        "app.again", "new.alpha"
    ) == renamed(before)


def test_in_types_written_as_texts():
    """In a type that is one plain string the name is renamed; as a part of other names it is not."""
    before = """
        from app.one import Old
        def f(a: "Old", b: 'dict[str, Old | None]', c: "other.Old", d: "list[ä.Old, Older, Old]") -> "Old": ...
        x: Optional["Old"] = Old()
    """
    after = """
        from new.alpha import New
        def f(a: "New", b: 'dict[str, New | None]', c: "other.Old", d: "list[ä.Old, Older, New]") -> "New": ...
        x: Optional["New"] = New()
    """
    assert dedent(after) == renamed(before)


def test_multi_byte_characters_before():
    """Uses are found behind characters of several bytes on their line."""
    assert "from new.alpha import New\nx = 'ä€😀', New, New\n" == renamed(
        "from app.one import Old\nx = 'ä€😀', Old, Old\n"
    )


FREE = {
    "another module's name in a patch": "patch('consumer.Old')\nOld()",
    "prose in a string": "log('Old engines are stopped; see Old')\nOld()",
    "the new name as an attribute": "x.New\nOld(New=1)",
    "the new name in a function of its own": "def f(New): return New\nOld()",
    "a comment": "Old()  # Old",
    "a docstring": "def f():\n    '''Makes an Old.'''\n    return Old",
    "bytes": "x = b'Old'\nOld()",
}
KEPT = {
    "not used": "pass",
    "exported": "__all__ = ['Old']\nOld()",
    "by getattr": "getattr(m, 'Old')\nOld()",
    "by its own path": "patch('host.user.Old')\nOld()",
    "by a member of its own path": "patch('user.Old.method')\nOld()",
    "by a part of its own path": "patch(__name__ + '.Old')\nOld()",
    "by a part in an f-string": "patch(f'{__name__}.Old')\nOld()",
    "code in a string": "eval('Old()')\nOld()",
    "type in a string that is no annotation": "X = Optional['list[Old]']\nOld()",
    "shown in an f-string": "x = f'{Old=}'",
    "example in a docstring": "def f():\n    '''It is:\n\n    >>> Old()\n    '''\n    return Old",
    "comment that is a type": "x = f()  # type: Old\nOld()",
    "bound a second time": "Old = wrap(Old)",
    "deleted": "Old()\ndel Old",
    "counted up": "Old += 1",
    "global elsewhere": "def f():\n    global Old\n    import Old\nOld()",
    "in a loop": "for Old in Old: pass",
    "by an except": "try: Old()\nexcept E as Old: pass",
    "defined as well": "def Old(): pass\nOld()",
    "in a class that binds it too": "class C:\n    Old = Old\nOld()",
    "new name bound": "New = 1\nOld()",
    "new name imported": "from x import New\nOld()",
    "new name used": "New()\nOld()",
    "new name used within": "def f(): return New\nOld()",
    "new name hides it": "def f(New): return Old",
    "new name hides it further in": "def f(New):\n    return [Old for x in New]",
    "new name of a comprehension": "x = [Old(New) for New in y]",
    "new name of a class that uses it": "class C:\n    New = 1\n    x = Old",
    "new name global": "def f():\n    global New\n    New = 1\nOld()",
    "star import": "from x import *\nOld()",
    "type in a text of several pieces": "x: 'list[' 'Old]'\nOld()",
    "type in a text with escapes": "x: 'list[\\x4fld, Old]'\nOld()",
    "literal in a type in a text": "x: 'Literal[\"Old\"] | Old'\nOld()",
    "type in a text beside another meaning": "x: 'Old'\ndef f(Old): return Old\nOld()",
}


@pytest.mark.parametrize("code", FREE.values(), ids=FREE.keys())
def test_renamable(code):
    """What only looks like the name does not keep it."""
    assert ("Old",) == renamable(draft_of(f"from app.one import Old\n{code}\n"))


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT.keys())
def test_kept(code):
    """What may reach the name by its old one, or mean something else by the new one, keeps it."""
    draft = draft_of(f"from app.one import Old\n{code}\n")
    assert ["Old"] == [one.local for one in draft.kept]
    assert () == renamable(draft)


def test_kept_by_where_it_is():
    """Names of a package's own file and of a class are seen from outside; a nonlocal one is bound elsewhere."""
    assert () == renamable(draft_of("from app.one import Old\nOld()\n", is_package=True))
    assert () == renamable(draft_of("class C:\n    from app.one import Old\n"))
    nonlocally = "def f():\n  from app.one import Old\n  def g():\n    nonlocal Old\n    import Old\n  return Old\n"
    assert () == renamable(draft_of(nonlocally))
    outside = "def f():\n  New = 1\n  def g():\n    from app.one import Old\n    def h():\n      nonlocal New\n"
    assert () == renamable(draft_of(f"{outside}      import New\n    return Old\n"))


def test_a_function_of_a_package():
    """In a function of a package's own file nobody sees the name."""
    before = "def f():\n    from app.one import Old\n    return Old\n"
    assert before.replace("Old", "New").replace("app.one", "new.alpha") == renamed(before, is_package=True)


def test_not_for_a_name_that_stays():
    """A name the host chose itself, and one that is not renamed, is none of these."""
    assert () == renamable(draft_of("from app.one import Old as Mine, Same\nMine, Same\n"))


def test_a_module_kept_by_one_of_two_scopes():
    """If one of its imports must keep the name, all of the file do."""
    assert () == renamable(
        draft_of("from app.one import Old\nOld\ndef f():\n    from app.one import Old\n    Old = 1\n")
    )


def test_in_f_strings():
    """In an f-string the name is renamed where the interpreter tells its place, else it keeps its name."""
    before = "from app.one import Old\nx = f'ä {Old()!r:>{Old}}'\n"
    after = "from new.alpha import New\nx = f'ä {New()!r:>{New}}'\n"
    kept = "from new.alpha import New as Old\nx = f'ä {Old()!r:>{Old}}'\n"
    assert (after if sys.version_info >= (3, 12) else kept) == renamed(before)


def test_what_is_told():
    """The finding of the import says how many uses follow, and there is no further one."""
    code = "from app.one import Same, Old\nOld, Old\nx: 'Old'\n"
    draft = draft_of(code, frozenset({"Old"}))
    rename(draft, frozenset({"Old"}))
    assert [("app.one.Same", ""), ("app.one.Old", "3 uses are renamed with it")] == [
        (one.old, one.note) for one in draft.findings
    ]


def test_a_file_that_changed_in_between():
    """A name that cannot be renamed any more refuses the file, as its import has lost the alias already."""
    draft = draft_of("from app.one import Old\nOld = Old()\n", frozenset({"Old"}))
    with pytest.raises(NotReadable, match="run it again"):
        rename(draft, frozenset({"Old"}))


WORLD = """
class New:
    made = 0
    def __init__(self, **given): self.given = given
class Primary(New): pass
"""
PROGRAMS = {
    "closures": "def f():\n    return lambda x=Old: (Old, x, [Old for i in [1] if Old])\nresult = f()()",
    "classes": "class C(Old):\n    x = Old\n    def m(self, Old=Old): return Old\nresult = C.x, C().m()",
    "walrus": "result = [(y := Old) for _ in [1]], y",
    "decorators": "def d(x): return lambda f: (f, x)\n@d(Old)\ndef f(Old=Old): return Old\nresult = f[1], f[0]()",
    "match": "match Old():\n    case Old(given={}) as x: result = type(x)",
    "both": "result = Old, First, (lambda First: (First, Old))(1)",
    "except": "try: raise ValueError\nexcept (ValueError, *[]) as e: result = Old",
}


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_means_the_same(code):
    """A program gives the same result before and after."""
    before = f"from app.one import Old\nfrom app.pack.single import First\nFirst\n{code}\n"
    after = renamed(before)
    assert "import New\n" in after
    world: dict[str, object] = {"__name__": "new.alpha"}
    exec(WORLD, world)
    assert _result(after, world) == _result(before, {"Old": world["New"], "First": world["Primary"]})


def _result(code: str, names: dict[str, object]) -> object:
    body = "".join(line for line in code.splitlines(keepends=True) if not line.startswith("from "))
    found = dict(names)
    exec(body, found)
    return found["result"]


_MODULES = (
    "argparse asyncio/tasks dataclasses email/message enum logging/config statistics tarfile unittest/mock csv inspect"
)


@pytest.mark.parametrize("path", _MODULES.split())
def test_real_modules_compile_to_the_same(path):
    """With every name renamed that can be, the standard library's modules differ in these names' letters only."""
    raw = (Path(sysconfig.get_path("stdlib")) / f"{path}.py").read_bytes()
    written: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(raw)):
        if isinstance(node, ast.ImportFrom) and node.module not in (None, "__future__") and not node.level:
            names = {one.name: f"new.place.{one.name}Renamed" for one in node.names if one.name != "*"}
            written.setdefault(node.module, {}).update(names)
    kept = draft_of(raw.decode(), written=written)
    free = frozenset(renamable(kept))
    assert free
    draft = draft_of(raw.decode(), free, written=written)
    rename(draft, free)
    before, after = (compile(edited(raw, one.edits), path, "exec") for one in (kept, draft))
    for one, other in zip(_codes(before), _codes(after), strict=True):
        pairs = zip(_operations(one), _operations(other), strict=False)
        different = {pair for pair in pairs if pair[0] != pair[1]}
        assert all(new == (operation, f"{name}Renamed") and name in free for (operation, name), new in different)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _operations(code: CodeType) -> Iterator[tuple[str, object]]:
    """What a piece of code does with names."""
    for one in dis.get_instructions(code):
        if isinstance(one.argval, str) and one.opname != "LOAD_CONST":
            yield one.opname, one.argval


def test_in_a_whole_tree(tmp_path, monkeypatch):
    """A scan renames where no other file knows the name, and keeps it where one does."""
    monkeypatch.chdir(tmp_path)
    Path("alone.py").write_text("from app.one import Old\nx = Old()\n")
    Path("shared.py").write_text("from app.one import Old\nx = Old()\n")
    Path("reader.py").write_text("from shared import Old as Mine\n")
    task = Task(lookup=Lookup(table(OLD)), rename_uses=True)
    found = {one.path: one for one in scan([Path()], task, processes=1).examined}
    after = {path: edited(Path(path).read_bytes(), one.edits).decode() for path, one in found.items()}
    assert "from new.alpha import New\nx = New()\n" == after["alone.py"]
    assert "from new.alpha import New as Old\nx = Old()\n" == after["shared.py"]
