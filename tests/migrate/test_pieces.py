"""Whether a file still parses once it is edited."""

from __future__ import annotations

import ast
import warnings

import pytest

from ssot_engine.migrate.rewriting import pieces
from ssot_engine.migrate.rewriting.pieces import check_parses
from ssot_engine.migrate.source import Edit, NotReadable, Source, edited

TEXTS = [
    "import a\nimport b\n",
    "import a; import b; import c\n",
    "@a\n@b(\n    c\n)\ndef f():\n    import a\n    return a\n",
    "@a\nclass C:\n    x = 'a'\n\n    def f(self): import a\n",
    "x = 1; \\\nimport a\nimport b",
    "import a \\\n  as b\n",
    "if a:\n    import a\nelif b:\n    import b\nelse:\n    pass\n",
    "try: import a\nexcept ImportError: a = None\n# a comment\nimport b # a\n",
    "\ufeffimport a\nimport b\n",
    "# coding: latin-1\nx = 'é'; import a\n\x0cimport b\r\nimport a\r",
    "'''a\n# coding: nonsense\na'''\nimport a\n",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("new", [b"a", b"b.c", b"(", b"'", b"\n", b";", b"\\", b"#", b"\n else:", b"'''"])
def test_it_says_what_the_parser_says(text: str, new: bytes) -> None:
    """Whatever is put wherever: it is refused if, and only if, the parser refuses the whole file."""
    source = Source(text.encode("latin-1" if "latin" in text else "utf-8"))
    for at in range(3 * text.startswith("\ufeff"), len(source.utf8)):
        for end in (at, at + 1):
            edits = [Edit(at, end, new)]
            if _decodes(edited(source.utf8, edits)):
                assert _parses(edited(source.utf8, edits)) == _is_let_through(source, edits), (at, end)


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parses(raw: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(raw.decode("utf-8-sig"))
    except SyntaxError:
        return False
    return True


def _is_let_through(source: Source, edits: list[Edit]) -> bool:
    try:
        check_parses(source, edits)
    except NotReadable:
        return False
    return True


def test_only_what_is_touched_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long file no more is parsed than the statements that are edited, with decorators and what shares a line."""
    text = b"import a\n" * 50 + b"@a\ndef f():\n    import b\nx = 1; import c  # c\n" + b"import d\n" * 50
    source, seen = Source(text), list[str]()

    def parsed(piece: str) -> ast.Module:
        seen.append(piece)
        return ast.parse(piece)

    monkeypatch.setattr(pieces, "parsed", parsed)
    check_parses(source, [Edit(text.index(name), text.index(name) + 1, b"e") for name in (b"b\n", b"c  ")])
    assert ["@a\ndef f():\n    import e", "x = 1; import e  # c"] == seen


def test_what_is_refused_says_where() -> None:
    """A file that would not parse is told with the line, and as our defect."""
    with pytest.raises(NotReadable) as refused:
        check_parses(Source(b"import a\nimport b\n"), [Edit(9, 15, b"imp rt")])
    assert 2 == refused.value.line
    assert refused.value.reason.startswith("would not parse once it is rewritten (cannot be parsed")
