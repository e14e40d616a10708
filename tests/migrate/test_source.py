"""Offsets of nodes are those of the file's bytes, whatever its encoding and line ends; edits change nothing else."""

from __future__ import annotations

import ast
import codecs

import pytest

from ssot_engine.migrate.source import Edit, NotReadable, Source, edited

CODE = (
    "# {coding}\n"
    "x = 'ä€😀'; import old.mod as ü; y = 1\n"
    "if x:\n"
    "\tfrom old import (\n"
    "\t\tA,  # é\n"
    "\t\tB as C,\n"
    "\t)\n"
    "\x0c\n"
    "def f():\n"
    "    '''two\n"
    "    lines'''\n"
    "    return old.mod.A\n"
    "from old import Z"
)


def _with(eol: str, coding: str = "", *, bom: bool = False) -> bytes:
    text = CODE.format(coding=coding).replace("\n", eol)
    if coding:
        text = text.replace("€😀", "")
    return (codecs.BOM_UTF8 if bom else b"") + text.encode(coding.partition(":")[2].strip() or "utf-8")


FILES = {
    "unix": _with("\n"),
    "dos": _with("\r\n"),
    "old mac": _with("\r"),
    "mark": _with("\n", bom=True),
    "mark, dos": _with("\r\n", bom=True),
    "latin-1": _with("\n", "coding: latin-1"),
    "latin-1, dos": _with("\r\n", "coding: latin-1"),
    "latin-1, old mac": _with("\r", "coding: latin-1"),
    "cp1252": _with("\n", "coding: cp1252"),
    "utf-8 said": _with("\n", "coding: utf-8"),
    "utf8 said": _with("\n", "coding: utf8"),
    "second line": b"#!/usr/bin/python\n" + _with("\n", "coding: latin-1"),
    "mixed ends": _with("\n").replace(b"if x:\n", b"if x:\r\n").replace(b"\t)\n", b"\t)\r"),
}


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES.keys())
def test_nodes_stand_where_they_say(raw):
    """The bytes between start and end of an import, an alias or an attribute are its text."""
    source = Source(raw)
    found = [source.text(node).decode() for node in ast.walk(source.tree) if isinstance(node, (ast.alias, ast.Name))]
    assert {"old.mod as ü", "A", "B as C", "Z", "x", "y", "old"} == set(found)
    (attribute,) = (node for node in ast.walk(source.tree) if ast.unparse(node) == "old.mod.A")
    assert b"old.mod.A" == source.text(attribute)


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES.keys())
def test_an_edit_changes_its_span_only(raw):
    """After edits in offsets of UTF-8, the file's own bytes differ exactly by the texts replaced."""
    source = Source(raw)
    edits = [
        Edit(source.start(node), source.end(node), b"New\xc3\xb6")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.alias) and node.name in ("A", "Z")
    ]
    codec = source.encoding
    expected = raw.replace("A,".encode(codec), "Newö,".encode(codec)).replace(
        "import Z".encode(codec), "import Newö".encode(codec)
    )
    assert expected == edited(raw, source.for_file(edits))


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES.keys())
def test_places_count_characters(raw):
    """Lines are those of the parser, and columns are counted in characters from 1."""
    source = Source(raw)
    node = next(one for one in ast.walk(source.tree) if isinstance(one, ast.Import))
    line, column = source.place(source.start(node))
    assert node.lineno == line
    text = source.utf8.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")[line - 1]
    assert text.index("import") + 1 == column


def test_lines():
    """A line's start and end leave out its end-of-line characters, which are told as they are."""
    source = Source(b"a\r\nbc\rd\nlast")
    assert [(0, 1), (3, 5), (6, 7), (8, 12)] == [(source.line_start(at), source.line_end(at)) for at in (0, 4, 6, 12)]
    assert [b"\r\n", b"\r", b"\n", b"\r\n"] == [source.eol_at(at) for at in (0, 4, 6, 12)]
    assert b"\n" == Source(b"a").eol_at(0)


def test_the_first_line_begins_behind_the_mark():
    """With a byte order mark, the first line begins behind it, and so does its first column."""
    source = Source(codecs.BOM_UTF8 + b"a")
    assert 3 == source.start(source.tree.body[0])
    assert (1, 1) == source.place(3)
    assert (1, 1) == source.place(0)
    assert 3 == source.line_start(0)


@pytest.mark.parametrize("raw", [b"", b"\n", codecs.BOM_UTF8, b"#", b"\r"])
def test_next_to_nothing(raw):
    """An empty file is a module without statements."""
    source = Source(raw)
    assert [] == source.tree.body
    assert raw == edited(raw, source.for_file([]))
    assert (1, 1) == source.place(0)


REFUSED = {
    "null byte": (b"a = 1\n\x00", "cannot be parsed"),
    "no utf-8": (b"a = '\xe9'\n", "cannot be parsed"),
    "unknown coding": (b"# coding: klingon\n", "encoding is not known"),
    "mark and latin-1": (codecs.BOM_UTF8 + b"# coding: latin-1\n", "encoding is not known"),
    "not the encoding it names": (b"# coding: ascii\na = '\xe9'\n", "is not in the encoding 'ascii'"),
    "no text encoding": (b"# coding: rot13\n", "rot13"),
    "syntax": (b"a = 1\ndef\n", "cannot be parsed"),
    "too deep": (b"(" * 500 + b")" * 500, "cannot be parsed"),
}


@pytest.mark.parametrize(("raw", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(raw, reason):
    """What is no Python file is refused with the reason."""
    with pytest.raises(NotReadable, match=reason):
        Source(raw)


def test_the_line_of_a_syntax_error():
    """A syntax error says on which line it is."""
    with pytest.raises(NotReadable) as caught:
        Source(b"a = 1\ndef\n")
    assert 2 == caught.value.line


def test_a_long_first_line():
    """The coding line is found, and nothing refused, beside a line longer than what is looked at for it."""
    long = "# encoding " + "ä" * 1500
    for raw in (f"{long}\nx = 1\n", f"\n{long}\r\nx = 1\r\n", f"#\r{long}\rx = 1"):
        source = Source(raw.encode())
        assert "x = 1" == source.text(source.tree.body[0]).decode()


def test_the_coding_line_after_a_long_one():
    """The coding line counts however long the line before it is: the parser goes by it too."""
    raw = b"#" + b"x" * 5000 + b"\n# coding: latin-1\n'\xc3\xa9'; from old import A"
    source = Source(raw)
    (node,) = (one for one in ast.walk(source.tree) if isinstance(one, ast.alias))
    own = source.for_file([Edit(source.start(node), source.end(node), b"B")])
    assert raw.replace(b"import A", b"import B") == edited(raw, own)


def test_what_the_parser_has_no_words_for():
    """Where the parser only runs out of room, the reason says so."""
    with pytest.raises(NotReadable, match=r"MemoryError|too complex to parse"):
        Source(b"x = " + b"not " * 50_000 + b"1\n")


def test_shift_jis():
    """A two-byte encoding is edited around its characters."""
    raw = "# coding: shift_jis\nx = 'ソ表'; from old import A  # 表\n".encode("shift_jis")
    source = Source(raw)
    node = next(one for one in ast.walk(source.tree) if isinstance(one, ast.alias))
    own = source.for_file([Edit(source.start(node), source.end(node), b"B")])
    assert raw.replace(b"import A", b"import B") == edited(raw, own)


def test_a_stateful_encoding_is_right_or_refused():
    """Where characters depend on what stands before them, an edit is either right or refused."""
    raw = "# coding: iso-2022-jp\nx = '日本'; from old import A  # 語\n".encode("iso-2022-jp")
    source = Source(raw)
    at = source.utf8.index("本".encode())
    with pytest.raises(NotReadable, match="convert it to UTF-8"):
        source.for_file([Edit(at, at + 3, "語".encode())])
    node = next(one for one in ast.walk(source.tree) if isinstance(one, ast.alias))
    own = source.for_file([Edit(source.start(node), source.end(node), b"B")])
    assert raw.decode("iso-2022-jp").replace("import A", "import B") == edited(raw, own).decode("iso-2022-jp")


def test_a_character_the_encoding_lacks():
    """A new name the file's encoding has no character for is refused by that character."""
    source = Source(b"# coding: latin-1\nx = '\xe9'\n")
    with pytest.raises(NotReadable, match="has no character '€'"):
        source.for_file([Edit(18, 19, "€".encode())])


def test_edits():
    """Edits are made in the order of their places, insertions included, and refused if they overlap."""
    assert b"AbXcD" == edited(b"abcd", [Edit(3, 4, b"D"), Edit(2, 2, b"X"), Edit(0, 1, b"A")])
    with pytest.raises(ValueError, match="overlap at byte 1"):
        edited(b"abcd", [Edit(0, 2, b""), Edit(1, 3, b"")])
