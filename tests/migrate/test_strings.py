"""Old names in strings."""

from __future__ import annotations

import pytest
from text_world import new_modules, python

from ssot_engine.migrate.static.exports import Exports


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The new modules."""
    return new_modules(tmp_path_factory.mktemp("new"))


MAPPED = [
    ('mock.patch("app.one.Old")', 'mock.patch("new.alpha.New")'),
    ('mock.patch("app.one.Old.run")', 'mock.patch("new.alpha.New.run")'),
    ("mock.patch('app.one.Same', 1)", "mock.patch('new.alpha.Same', 1)"),
    ('@mock.patch(r"app.one.Old")\ndef f(x): pass', '@mock.patch(r"new.alpha.New")\ndef f(x): pass'),
    ('with patch(u"app.pack.single.First"): pass', 'with patch(u"new.alpha.Primary"): pass'),
    ('x = """app.one.Old"""', 'x = """new.alpha.New"""'),
    ("x = R'''app.one.Old'''", "x = R'''new.alpha.New'''"),
    ('x = """\n    app.one.Old\n"""', 'x = """\n    new.alpha.New\n"""'),
    ('x = " app.one.Old "', 'x = " new.alpha.New "'),
    ('import_module("app.whole")', 'import_module("new.whole")'),
    ('import_module(name="app.flat")', 'import_module(name="flat")'),
    ('sys.modules["app.whole"]', 'sys.modules["new.whole"]'),
    ('patch.dict("sys.modules", {"app.whole": None})', 'patch.dict("sys.modules", {"new.whole": None})'),
    ('x = "app.whole.Engine.run"', 'x = "new.whole.Engine.run"'),
    ('x = "app.flat.thing"', 'x = "flat.thing"'),
    ('x = "app.whole.*"', 'x = "new.whole.*"'),
    ('uvicorn.run("app.whole:helper")', 'uvicorn.run("new.whole:helper")'),
    ('x = "app.one:Old"', 'x = "new.alpha:New"'),
    ('x = "app.one:Old.run"', 'x = "new.alpha:New.run"'),
    ('x = "app.flat:thing"', 'x = "flat:thing"'),
    ('import_module("top")', 'import_module("new.top")'),
    ('importlib.import_module("top", None)', 'importlib.import_module("new.top", None)'),
    ('sys.modules["top"]', 'sys.modules["new.top"]'),
    ('sys.modules.pop("top", None)', 'sys.modules.pop("new.top", None)'),
    ('import_module(name="top")', 'import_module(name="new.top")'),
    ('assert "top" in sys.modules', 'assert "new.top" in sys.modules'),
    ('patch.dict(sys.modules, {"top": None})', 'patch.dict(sys.modules, {"new.top": None})'),
    ('x = "top.spin"', 'x = "new.top.spin"'),
    ('import_module(".whole", "app")', 'import_module("new.whole", "app")'),
    ('import_module(".whole", package="app")', 'import_module("new.whole", package="app")'),
    ('import_module("..whole", "app.some")', 'import_module("new.whole", "app.some")'),
    ('import_module(".whole", __package__)', 'import_module("new.whole", __package__)'),
    # ------------------------------------------------------------------ types
    ('x: "app.one.Old"', 'x: "new.alpha.New"'),
    ('x: "Optional[app.one.Old]" = None', 'x: "Optional[new.alpha.New]" = None'),
    ('def f(x: "app.one.Old | None") -> "list[app.one.Two]": pass',
     'def f(x: "new.alpha.New | None") -> "list[new.alpha.Two]": pass'),
    ('x: "dict[app.one.Old, app.one.Other]"', 'x: "dict[new.alpha.New, new.beta.Other]"'),
    ('x: Optional["app.one.Old"]', 'x: Optional["new.alpha.New"]'),
    ("x: \"Optional['app.one.Old']\"", "x: \"Optional['new.alpha.New']\""),
    ('x: "  list[app.one.Old]"', 'x: "  list[new.alpha.New]"'),
    ('x: """list[app.one.Old]"""', 'x: """list[new.alpha.New]"""'),
    ('x: "Ü[app.one.Old, é]"', 'x: "Ü[new.alpha.New, é]"'),
    ('x: "app.one.Old" | None', 'x: "new.alpha.New" | None'),
    ('x: "Callable[[app.one.Old, *app.one.Two], app.x.Other]"',
     'x: "Callable[[new.alpha.New, *new.alpha.Two], app.x.Other]"'),
    ('y = cast("app.one.Old", x)', 'y = cast("new.alpha.New", x)'),
    ('y = typing.cast("list[app.one.Old]", x)', 'y = typing.cast("list[new.alpha.New]", x)'),
    ('T = TypeVar("T", bound="type[app.one.Old]")', 'T = TypeVar("T", bound="type[new.alpha.New]")'),
    ('A = Optional["type[app.one.Old]"]', 'A = Optional["type[new.alpha.New]"]'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), MAPPED)
def test_names_that_moved_are_written_in_place(before: str, after: str, exports: Exports) -> None:
    """A string that is an old name, or a type with some, gets the new ones; its quotes and all else stay."""
    done = python(before.encode(), exports)
    assert after == done.text
    assert [] == done.left


UNTOUCHED = [
    'x = b"app.one.Old"',
    'x = "app"',
    'x = "app.one_v2.Old"',
    'x = "app.onex"',
    'x = "myapp.one.Old"',
    'x = "x.app.one.Old"',
    'x = "app/one.py"',
    'x = "app.other.Old"',
    'x = "top"',
    'x = ["top", "flat"]',
    'd["top"]',
    'f("top", name="top", x={"top": 1})',
    '"top" in x',
    'x = "Old"',
    '__all__ = ["Old"]',
    'x = "app.one.Old is gone"',
    'x = "use app.one.Old"',
    'log.info("app.one.Old %s", x)',
    'x = "app.one.Old,app.one.Two"',
    'x = "import app.one\\napp.one.Old()"',
    'x = "app.one.Old()"',
    'x = "http://app.one.Old/x"',
    'x = "top:spin"',
    '"""app.one.Old"""',
    'def f():\n    """app.one.Old"""',
    'x = 1\n"""app.one.Old"""',
    "# app.one.Old",
    'x: Annotated[str, "see app.one.Old"]',
    'x: "see app.one.Old here"',
    'x: "app.one.Old is gone"',
    'patch("consumer.Old")',
    'x = f"{y}.one.Old"',
    'x = f"{y}/app.one.Old"',
    'x = f"took app.one.Old from {y}"',
    'x = f"app.{y}"',
    'p = "app"; x = f"{p}.other.one", p + ".onex", f"{p}.py"',
    'x = "app."',
    'x = "app.%s"',
    'x = ".one"',
    'x = "."',
    'import_module(".other", "app")',
    'import_module(".one", where)',
]


@pytest.mark.parametrize("code", UNTOUCHED)
def test_other_strings_stay(code: str, exports: Exports) -> None:
    """What is no old name as a whole is not touched and not told: text, code, bytes, near misses, docstrings."""
    done = python(code.encode(), exports)
    assert (code, []) == (done.text, done.findings)


LEFT = [
    ('patch("app.one.Gone")', "removed", "app.one.Gone"),
    ('patch("app.one.old_thing")', "removed", "app.one.old_thing"),
    ('patch("app.one.Changed.x")', "behaviour_changed", "app.one.Changed.x"),
    ('patch("app.one.imported")', "unknown_name", "app.one.imported"),
    ('import_module("app.gone")', "removed", "app.gone"),
    ('import_module("app.one")', "scattered_module", "app.one"),
    ('sys.modules["app.one"]', "scattered_module", "app.one"),
    ('x = "app.one.*"', "scattered_module", "app.one"),
    ('x = "app.one:nothing"', "unknown_name", "app.one.nothing"),
    ('import_module(".one", "app")', "scattered_module", "app.one"),
    # ------------------------------------------------------------------ bound by nobody
    ('patch("app.whole.forgotten")', "unbound_name", "app.whole.forgotten"),
    ('patch("app.whole.Engine.forgotten")', "unbound_name", "app.whole.Engine.forgotten"),
    ('patch("app.whole.missing.Name")', "unbound_name", "app.whole.missing.Name"),
    ('run("app.whole:forgotten")', "unbound_name", "app.whole.forgotten"),
    # ------------------------------------------------------------------ put together
    ('x = "app.one." "Old"', "string", "app.one.Old"),
    ('x = ("app.one"\n     ".Old")', "string", "app.one.Old"),
    ('x = "app.one" + ".Old"', "scattered_module", "app.one"),
    ('x = "app.whole" + ".Engine"', "string", "app.whole"),
    ('x = "app.one.Old" + name', "string", "app.one.Old"),
    ('x = "app.whole." + name', "string", "app.whole"),
    ('x = "app.one." + name', "scattered_module", "app.one"),
    ('x = "app.one.%s" % name', "scattered_module", "app.one"),
    ('x = "app.one.%(name)s" % names', "scattered_module", "app.one"),
    ('x = "app.whole.{}".format(name)', "string", "app.whole"),
    ('x = "app.whole:{name}".format(name=name)', "string", "app.whole"),
    ('x = f"app.one.{name}"', "scattered_module", "app.one"),
    ('x = f"app.whole.{name}"', "string", "app.whole"),
    ('x = f"app.whole.Eng{name!r:>{width}}"', "string", "app.whole"),
    ('x = f"app.whole{name}"', "string", "app.whole"),
    ('x = f"app.who{name}"', "string", "app.who"),
    ('x = f"app.one.Old"', "string", "app.one.Old"),
    ('x = f"app.one." "Old"', "string", "app.one.Old"),
    ('x = f"app.one." + name', "scattered_module", "app.one"),
    ('x = f"{lead}app.one.{name}"', "scattered_module", "app.one"),
    ('p = "app"; x = f"{p}.whole.Engine"', "string", "app.whole.Engine"),
    ('p = "app"; x = f"{p}.one.{name}"', "scattered_module", "app.one"),
    ('p = "app"; x = p + ".whole.Engine"', "string", "app.whole.Engine"),
    ('p = "app"; x = "%s.whole.Engine" % p', "string", "app.whole.Engine"),
    ('p = "app"; x = "{}.whole.Engine".format(p)', "string", "app.whole.Engine"),
    # ------------------------------------------------------------------ not written as it is
    ('x = "app.one.\\x4fld"', "string", "app.one.Old"),
    ('x = "app.one.Old\\n"', "string", "app.one.Old"),
    ('x = "app.one.\\\nOld"', "string", "app.one.Old"),
    ('x: "list[" "app.one.Old]"', "string", "app.one.Old"),
    ('x: """list[\napp.one.Old]"""', "string", "app.one.Old"),
    ("x = '''\r\napp.one.Old'''", "string", "app.one.Old"),
    ('x: "list[app . one.Old]"', "string", "app.one.Old"),
    ('x: "list[app.one.Gone]"', "removed", "app.one.Gone"),
    ('x: "list[app.whole.forgotten]"', "unbound_name", "app.whole.forgotten"),
]


@pytest.mark.parametrize(("code", "rule", "old"), LEFT)
def test_what_the_tool_cannot_write_is_told(code: str, rule: str, old: str, exports: Exports) -> None:
    """An old name that cannot be written in place, or is completed at run time, is left as it is and told."""
    done = python(code.encode(), exports)
    assert code == done.text
    assert [(rule, old)] == done.left
    assert [] == done.mapped


def test_scattered_module_names_where_its_names_went(exports: Exports) -> None:
    """Who imports a module by a string learns where its names are."""
    [found] = python(b'import_module("app.one")', exports).findings
    assert "its names went to new.alpha, new.beta;" in found.todo


def test_parts_of_a_type_are_done_one_by_one(exports: Exports) -> None:
    """Of a type with a name that moved and one that did not, the first is rewritten and the second told."""
    done = python(b'x: "dict[app.one.Old, app.one.Gone]"', exports)
    assert 'x: "dict[new.alpha.New, app.one.Gone]"' == done.text
    assert ([("app.one.Old", "new.alpha.New")], [("removed", "app.one.Gone")]) == (done.mapped, done.left)
    assert [(1, 10), (1, 23)] == done.places


ENDS = [b"\n", b"\r\n", b"\r"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_around_a_name_stay(end: bytes, mark: bytes, exports: Exports) -> None:
    """Ends of lines, a byte order mark and characters of several bytes stay; places count characters."""
    lines = [b"\xc3\xa9 = 1; p('app.one.Old')  # app.one.Old ", b"\x0cq = 'app.whole'", b"r = '''app.one.Old'''"]
    done = python(mark + end.join(lines), exports)
    lines[0] = lines[0].replace(b"'app.one.Old'", b"'new.alpha.New'")
    lines[1] = lines[1].replace(b"app.whole", b"new.whole")
    lines[2] = lines[2].replace(b"app.one.Old", b"new.alpha.New")
    assert mark + end.join(lines) == done.raw
    assert [(1, 11), (2, 7), (3, 8)] == done.places


def test_name_on_a_line_of_its_own(exports: Exports) -> None:
    """In a long string the name may have a line of its own, and is told where that is."""
    done = python(b"x = '''\n  app.one.Old\n'''", exports)
    assert "x = '''\n  new.alpha.New\n'''" == done.text
    assert [(2, 3)] == done.places


def test_strings_inside_of_f_strings(exports: Exports) -> None:
    """A string in an f-string's expression is rewritten, or told where the f-string is; never something else."""
    done = python(b"x = f\"{d['app.one.Old']} {p('app.one.Old')}\" 'y'\n", exports)
    assert done.raw.count(b"new.alpha.New") == len(done.mapped)
    assert 2 == len(done.findings)
    assert {1} == {line for line, _ in done.places}


def test_f_strings_in_f_strings_are_told_once_each(exports: Exports) -> None:
    """Each f-string that begins with an old name is told where the outermost stands."""
    done = python(b"\nx = f\"app.one.{f'app.whole.{y}'}\"\n", exports)
    assert [("scattered_module", "app.one"), ("string", "app.whole")] == done.left
    assert [(2, 5), (2, 5)] == done.places


def test_other_encodings(exports: Exports) -> None:
    """A file of another encoding gets the new names as well; what is around them keeps its bytes."""
    before = "# coding: latin-1\nx = 'é', 'app.one.Old', 'é'".encode("latin-1")
    assert before.replace(b"app.one.Old", b"new.alpha.New") == python(before, exports).raw


def test_long_texts_are_refused_quickly(exports: Exports) -> None:
    """No text makes the search take more than linear time."""
    parts = ["app." * 50_000, "app.one" * 50_000, "app.one:" * 50_000, "app.one.Old" + "." * 200_000, " " * 200_000]
    code = "\n".join(f"x = {part + 'app '!r}" for part in parts)
    assert [] == python(code.encode(), exports).findings
