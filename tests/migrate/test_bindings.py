"""Names are bound and used where CPython's own compiler says; strings are those that could hold a name."""

from __future__ import annotations

import ast
import sys
import sysconfig
from pathlib import Path
from textwrap import dedent

import pytest
from symbol_oracle import disagreements

from ssot_engine.migrate.bindings import Bindings

_STDLIB = Path(sysconfig.get_path("stdlib"))
# Modules that use the language widely; of CPython's own tests those of its scopes, where they are installed.
_MODULES = """
    argparse ast asyncio/base_events asyncio/tasks collections/__init__ contextlib dataclasses enum functools
    importlib/_bootstrap inspect logging/__init__ pathlib tarfile typing unittest/mock zipfile
    test/test_scope test/test_named_expressions test/test_patma test/test_generators test/test_type_params
    test/test_type_aliases test/test_except_star test/test_future test/test_grammar
""".split()
_PRESENT = [path for path in (_STDLIB / f"{name}.py" for name in _MODULES) if path.is_file()]

SNIPPETS = {
    "parameters": "def f(a, /, b=a0, *c: t, d=d0, **e): return a, b, c, d, e",
    "defaults and decorators belong outside": "@x\ndef f(x=x): x\n@y\nclass C(y, metaclass=y): y = y",
    "a class is not seen from its methods": "x = 1\nclass C:\n  x = 2\n  def m(self): return x\n  y = [x for _ in x]",
    "global in a class is not for its methods": dedent("""
        def g():
            x = 1
            class C:
                global x
                def m(self): return x
    """),
    "nonlocal through two functions": dedent("""
        def a():
            x = 1
            def b():
                nonlocal x
                def c():
                    nonlocal x
                    x += 1
    """),
    "global in between": "def a():\n x = 1\n def b():\n  global x\n  def c(): return x",
    "comprehensions": "x = [x for x in x if x]\ny = {x: y for x in x for y in x}\nz = (i for i in (j for j in z))",
    "walrus": "def f():\n    return [(y := x, x) for x in z], y",
    "walrus in nested comprehensions": "a = [[(b := c) for c in d] for d in e]",
    "match": dedent("""
        match a:
            case True | None: pass
            case {"k": b, **c}: b, c
            case [d, *e]: d, e
            case C(x=f) as g if g: f
            case _: pass
    """),
    "except": "def f():\n try: pass\n except E as e: e\n try: pass\n except* E as e2: e2",
    "imports": "def f():\n import a.b, c as d\n from e import g as h, i\n from j import k\n return a, d, h, i, k",
    "lambda": "f = lambda x, *y, z=x: (x, y, z, w)",
    "deletion and loops": "def f():\n for x in y: del x\n with a as (b, *c): b\n async def g(): [i async for i in b]",
    "annotations without a value": "def f():\n x: int\n (y): int\n z.a: int\n return x, y, z",
}
GENERIC = {
    "function": "T = 1\ndef f[T: B, *U, **P](a: T, b: U = T) -> P: return T",
    "class": "T = 1\nclass C[T](Base[T]):\n    def m(self) -> T: return T",
    "alias": "type X[T: (A, B)] = dict[T, X]\ntype Y = X",
    "method": "class C:\n    A = 1\n    def m[T](self, a: A, t: T): return A, T",
}


@pytest.mark.parametrize("path", _PRESENT, ids=lambda path: path.stem)
def test_scopes_of_real_modules(path):
    """Every name in the standard library's files means the binding the compiler gives it."""
    compared, found = disagreements(path.read_text(encoding="utf-8"))
    assert [] == found
    assert compared > 1


@pytest.mark.parametrize("code", SNIPPETS.values(), ids=SNIPPETS.keys())
def test_scopes_of_each_construct(code):
    """Each way to bind a name binds it in the scope the compiler says."""
    assert [] == disagreements(code)[1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters need Python 3.12; run the tests with it")
@pytest.mark.parametrize("code", GENERIC.values(), ids=GENERIC.keys())
def test_scopes_of_type_parameters(code):
    """Type parameters are seen by the signature and the body of what they belong to, and by nothing else."""
    assert [] == disagreements(code)[1]


def test_uses_of_one_binding():
    """The uses of a binding are those in every scope that sees it, and none of a name that hides it."""
    code = dedent("""
        from m import X
        def a(): return X
        def b(X): return X
        class C:
            X = X
            def m(self): return X
    """)
    bindings = Bindings(ast.parse(code))
    assert [3, 7] == sorted(node.lineno for node in bindings.uses("X", bindings.module))


def test_what_a_class_binds_itself():
    """A name that a class body binds is the class's own wherever it stands in that body."""
    bindings = Bindings(ast.parse("class C:\n    from m import X\n    y = X\n"))
    inside = bindings.imports[0].scope
    assert inside.is_class
    assert [3] == [node.lineno for node in bindings.uses("X", inside)]


def test_imports_in_order():
    """Every import is found, with the block it stands in."""
    code = (
        "import a\nif a: import b; b\ntry:\n    import c\nexcept E:\n    import d\nelse: import e\nfinally: import f\n"
    )
    bindings = Bindings(ast.parse(code))
    assert ["a", "b", "c", "d", "e", "f"] == [one.node.names[0].name for one in bindings.imports]
    assert [3, 2, 1, 1, 1, 1] == [len(one.block) for one in bindings.imports]
    assert 1 == len(bindings.tries)


def strings(code: str) -> list[str]:
    """The strings `Bindings` collects."""
    return [node.value for node in Bindings(ast.parse(dedent(code))).strings]


def test_docstrings_are_no_strings():
    """Docstrings of modules, classes and functions are left out; a later string, or a function's own value, is not."""
    code = '''
        "module"
        "second"
        class C:
            "class"
            x = "value"
            def m(self):
                """method"""
                return "returned"
        async def f():
            "function"
        if C:
            "no docstring"
    '''
    assert ["second", "value", "returned", "no docstring"] == strings(code)


def test_parts_of_f_strings_are_no_strings():
    """Literal parts of an f-string are left out, also in its format and beside plain strings; others in it are not."""
    code = """
        a = f"old.{b}.x" "more"
        c = f"{d:>{w}.x}" + "plain" + b"bytes".decode()
        e = f"{get('inner')}"
    """
    assert ["plain", "inner"] == strings(code)
    assert 3 == len(Bindings(ast.parse(dedent(code))).joined)


def test_f_strings_in_f_strings():
    """An f-string within another's expression is collected too."""
    bindings = Bindings(ast.parse("a = f\"{f'{b}'}\""))
    assert 2 == len(bindings.joined)
    assert 1 == len(bindings.names("b"))


ANNOTATIONS = """
x: "old.A"
y: Optional["old.B"] = "no"
class C:
    z: "dict[str, old.C]"
def f(a: "old.D", *b: "old.E", c: List[Dict[str, "old.F"]] = "no", **d: "old.G") -> "old.H":
    local: "old.I" = call("no")
    return lambda e: "no"
async def g(a, /, b: "old.J") -> Union["old.K", None]: ...
z: Literal["no"] | Annotated["old.L", "no", Field("no")] | typing.Literal["no"]
"""


def test_which_strings_are_annotations():
    """A string in an annotation counts as a type, at any depth; a value, a literal type or metadata does not."""
    bindings = Bindings(ast.parse(ANNOTATIONS))
    annotations = [node.value for node in bindings.strings if bindings.is_annotation(node)]
    others = [node.value for node in bindings.strings if not bindings.is_annotation(node)]
    expected = [f"old.{letter}" for letter in "ABCDEFGHIJKL"]
    assert [one if one != "old.C" else "dict[str, old.C]" for one in expected] == annotations
    assert {"no"} == set(others)


def test_parents():
    """What a name, an attribute, a call or a string is part of is known; statements know nothing of it."""
    bindings = Bindings(ast.parse("a.b.c('x')[0]\n@d('y')\ndef f(p: q = r): pass\n"))
    ((name, _),) = bindings.names("a")
    kinds = []
    node: ast.AST | None = name
    while (node := bindings.parent(node)) is not None:
        kinds.append(type(node).__name__)
    assert ["Attribute", "Attribute", "Call", "Subscript", "Expr"] == kinds
    text = bindings.strings[0]
    assert isinstance(bindings.parent(text), ast.Call)
    assert isinstance(bindings.parent(bindings.names("q")[0][0]), ast.arg)
