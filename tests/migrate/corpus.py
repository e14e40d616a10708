"""Modules built of the shapes: nested, decorated and laid out in every way a file can be, and trees of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import corpus_froms
import corpus_layout
import corpus_modules
import corpus_scopes
import corpus_strings
from corpus_shapes import SHAPES, Pick, Piece, Site
from hypothesis import strategies as st

T = TypeVar("T")

#: The modules of shapes, which register them.
CATALOGUES = (corpus_froms, corpus_modules, corpus_scopes, corpus_strings, corpus_layout)

#: What every module begins with.
HEADER = (
    "from unittest import mock\n"
    "import importlib, pkgutil, sys, typing\n"
    "from typing import TYPE_CHECKING\n"
    "from marks import Bag, drive, monkeypatch, nothing, places, see\n"
)

# ------------------------------------------------------------------ where a piece stands

_inner = re.compile(r"^(?=[^\n\r])", re.MULTILINE)


def indented(text: str) -> str:
    """A block one step deeper; what is between triple quotes goes along, which changes no piece's meaning."""
    return _inner.sub("    ", text)


def _joined(text: str) -> str:
    return "; ".join(line.rstrip(";") for line in text.split("\n"))


Wrap = Callable[[str, int], str]

#: Blocks around a piece: the text and a number become the text around it.
BLOCKS: dict[str, Wrap] = {
    "function": lambda text, n: f"def shape{n}():\n{indented(text)}\nshape{n}()",
    "async": lambda text, n: f"async def shape{n}():\n{indented(text)}\ndrive(shape{n}())",
    "class": lambda text, n: f"class Shape{n}:\n{indented(text)}",
    "method": lambda text, n: f"class Shape{n}:\n    def shape(self):\n{indented(indented(text))}\nShape{n}().shape()",
    "type_checking": lambda text, n: f"if TYPE_CHECKING:\n{indented(text)}",
    "try": lambda text, n: f"try:\n{indented(text)}\nexcept ImportError:\n    raise",
    "except": lambda text, n: f"try:\n    import nowhere{n}\nexcept ImportError:\n{indented(text)}",
    "finally": lambda text, n: f"try:\n    pass\nfinally:\n{indented(text)}",
    "with": lambda text, n: f"with nothing():\n{indented(text)}",
    "if": lambda text, n: f"if {n}:\n{indented(text)}\nelse:\n    pass",
    "else": lambda text, n: f"if not {n}:\n    pass\nelse:\n{indented(text)}",
    "for": lambda text, n: f"for _ in [{n}]:\n{indented(text)}",
    "match": lambda text, n: f"match {n}:\n    case {n}:\n{indented(indented(text))}",
}
#: Ways to put simple statements in one line.
LINES: dict[str, Wrap] = {
    "joined": lambda text, n: f"a{n} = 1; {_joined(text)}; b{n} = 2",
    "behind_multi_byte": lambda text, n: f'é{n} = "ü漢字🙂"; {_joined(text)}',
    "form_feed": lambda text, n: f"\f{text}",
    "one_line_if": lambda text, n: f"if {n}: {_joined(text)}",
    "one_line_else": lambda text, n: f"if not {n}: pass\nelse: {_joined(text)}",
    "one_line_try": lambda text, n: f"try: {_joined(text)}\nexcept ImportError: raise",
    "one_line_except": lambda text, n: f"try: import nowhere{n}\nexcept ImportError: {_joined(text)}",
    "one_line_function": lambda text, n: f"def shape{n}(): {_joined(text)}\nshape{n}()",
    "one_line_class": lambda text, n: f"class Shape{n}: {_joined(text)}",
    "one_line_with": lambda text, n: f"with nothing(): {_joined(text)}",
    "one_line_case": lambda text, n: f"match {n}:\n    case {n}: {_joined(text)}",
    "half_joined": lambda text, n: f"if {n}:\n    a{n} = 1; {_joined(text)}\n    b{n} = 2",
}
_CLASSES = ("class", "one_line_class")
#: Blocks in which a module's star import may stand.
_NO_SCOPE = frozenset({*BLOCKS, *LINES}) - {
    "function", "async", "class", "method", "one_line_function", "one_line_class", "one_line_case", "half_joined"
}  # fmt: skip


def wraps_of(piece: Piece) -> list[str]:
    """The names of all that may stand directly around a piece."""
    if piece.level == "alone":
        return ["function", "async", "method"]
    names = [*BLOCKS, *(LINES if piece.is_simple and piece.text else ())]
    if piece.level == "module":
        return [name for name in names if name in _NO_SCOPE]
    return [name for name in names if piece.level != "no class" or name not in _CLASSES]


# ------------------------------------------------------------------ what stands between

FILLERS = (
    "",
    "# from oldapp.core.engines import OldEngine, and oldapp.whole too",
    "'''oldapp.whole.Engine stays as it is in prose: import oldapp.whole.'''",
    "\f",
    "text = 'oldapp.core.engines.OldEngine in a sentence'",
    "data = b'oldapp.core.engines.OldEngine'",
    "OldEngineV2 = MyOldEngineError = oldapp_core_engines = None",
    "def engines(whole=None, renamed=None): return whole, renamed",
    "x = 1  \t# trailing blanks   ",
    "class OldThing: engines = solo = renamed = 'own'",
    "    \t  ",
    "def later():\n    '''Of oldapp.core.engines.'''\n    # oldapp.whole\n    return f\"{1}.Engine\"",
)

#: What comes first in a file.
HEADS = ("", "#!/usr/bin/env python3\n", '"""Uses oldapp.core.engines.OldEngine."""\n', "\n\n", "# oldapp.whole\n")


@dataclass(frozen=True)
class Layout:
    """How a module becomes bytes."""

    eol: str = "\n"
    mixed: bool = False
    bom: bool = False
    cookie: str = ""
    step: str = "    "
    ends: bool = True
    future: bool = False
    head: str = ""

    @property
    def encoding(self) -> str:
        """Of the file's bytes."""
        return self.cookie or "utf-8"


def layouts(pick: Pick) -> Layout:
    """Some layout."""
    cookie = pick(["", "", "", "latin-1", "utf-8", "cp1252"])
    return Layout(
        eol=pick(["\n", "\n", "\r\n", "\r"]),
        mixed=pick([False, False, False, True]),
        bom=cookie in ("", "utf-8") and pick([False, False, True]),
        cookie=cookie,
        step=pick(["    ", "    ", "\t", "  ", "   "]),
        ends=pick([True, True, False]),
        future=pick([False, False, True]),
        head=pick(HEADS),
    )


# ------------------------------------------------------------------ modules


@dataclass(frozen=True)
class Placed:
    """A piece in a module: its shape's name, row, what is around it, and its lines from 1, both inclusive."""

    name: str
    row: int
    wraps: tuple[str, ...]
    piece: Piece
    first: int
    last: int
    #: For each ⟦…⟧, its lines.
    by_hand: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Module:
    """A file of the host: its bytes, what may change in them, and the pieces it holds."""

    path: str
    raw: bytes
    #: Runs of bytes which the migration has to leave, in their order.
    kept: tuple[bytes, ...]
    #: Comments inside of what may change.
    comments: tuple[bytes, ...]
    placed: tuple[Placed, ...] = ()
    #: It can be run, and parsed.
    is_sound: bool = True

    @property
    def dotted(self) -> str:
        """The module's name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


_BEGIN, _END = "\ue000", "\ue001"
_marks = re.compile("[‹›⟦⟧\ue000\ue001]")
_comment = re.compile(r"#[^\r\n]*")
_steps = re.compile(r"^( {4})+", re.MULTILINE)
_PLAIN = str.maketrans({"漢": "é", "字": "é", "🙂": "ü"})


def render(
    path: str, pieces: Sequence[tuple[str, int, tuple[str, ...], Piece, str]], layout: Layout, fill: Sequence[str]
) -> Module:
    """A module of pieces, each with its name, row, wraps and its text among them; `fill` stands between."""
    head = layout.head if layout.head.startswith("#!") else ""
    head += f"# -*- coding: {layout.cookie} -*-\n" if layout.cookie else ""
    head += "" if layout.head.startswith("#!") else layout.head
    head += "from __future__ import annotations\n" if layout.future else ""
    parts = [head + HEADER.rstrip("\n")]
    for index, (*_, text) in enumerate(pieces):
        parts += [fill[index % len(fill)], _BEGIN + text + _END] if fill else [_BEGIN + text + _END]
    text = _steps.sub(lambda found: layout.step * (len(found[0]) // 4), "\n".join(parts))
    if layout.encoding not in ("utf-8",):
        text = text.translate(_PLAIN)
    lines = text.split("\n")
    ends = ["\r\n" if layout.mixed and index % 3 == 1 else layout.eol for index in range(len(lines))]
    if not layout.ends:
        ends[-1] = ""
    text = "".join(line + end for line, end in zip(lines, ends, strict=True))
    return _marked(path, text, layout, pieces)


def _marked(
    path: str, text: str, layout: Layout, pieces: Sequence[tuple[str, int, tuple[str, ...], Piece, str]]
) -> Module:
    """Read the marks in the text, and take them out."""
    raw: list[str] = []
    spans: dict[str, list[int]] = {mark: [] for mark in "‹›⟦⟧\ue000\ue001"}
    line = 1
    at = 0
    for found in [*_marks.finditer(text), None]:
        chunk = text[at : found.start() if found else len(text)]
        raw.append(chunk)
        line += len(re.findall(r"\r\n|\r|\n", chunk))
        if found:
            spans[found[0]].append(line)
            at = found.end()
    bom = b"\xef\xbb\xbf" if layout.bom else b""
    encoded = bom + "".join(raw).encode(layout.encoding)
    clean = re.sub("[⟦⟧\ue000\ue001]", "", text)
    runs = re.split("[‹›]", clean)
    kept = [run.encode(layout.encoding) for run in runs[::2]]
    kept[0] = bom + kept[0]
    comments = tuple(found.encode(layout.encoding) for run in runs[1::2] for found in _comment.findall(run))
    by_hand = list(zip(spans["⟦"], spans["⟧"], strict=True))
    placed = []
    for index, (name, row, wraps, piece, _) in enumerate(pieces):
        own, by_hand = by_hand[: len(piece.by_hand)], by_hand[len(piece.by_hand) :]
        placed.append(Placed(name, row, wraps, piece, spans[_BEGIN][index], spans[_END][index], tuple(own)))
    return Module(path, encoded, tuple(kept), comments, tuple(placed))


# ------------------------------------------------------------------ trees

#: Where a consumer may stand: its path by its number.
SITES = (
    "consumers/m{}.py",
    "consumers/p{}/__init__.py",
    "consumers/p{}/deep.py",
    "oldapp/m{}.py",
    "oldapp/core/m{}.py",
    "oldapp/core/p{}/__init__.py",
    "oldapp/p{}/below/deep.py",
)
#: An old module's own file that the table leaves to the host.
HOSTED = "oldapp/hosted.py"


def module_of(path: str, names: Sequence[str], wraps: Sequence[Sequence[str]], layout: Layout, fill: Sequence[str],
              pick: Pick, counter: list[int]) -> list[Module]:  # fmt: skip
    """A module of the named shapes, each in its wraps (those that do not fit are left out), and its companions."""
    plain = path.removesuffix(".py")
    is_package = plain.endswith("/__init__")
    site = Site(plain.removesuffix("/__init__").replace("/", "."), is_package, pick, counter=counter)
    pieces, companions = [], []
    for name, around in zip(names, wraps, strict=True):
        row, shape = SHAPES[name]
        piece = shape(site)
        text, done = wrapped(piece, around, site)
        pieces.append((name, row, done, piece, text))
        companions += [_marked(path, text, Layout(), ()) for path, text in piece.companions]
    return [render(path, pieces, layout, fill), *companions]


def wrapped(piece: Piece, around: Sequence[str], site: Site) -> tuple[str, tuple[str, ...]]:
    """A piece's text in those wraps that may stand around it, the innermost first, and their names."""
    text, done = piece.text, []
    allowed = wraps_of(piece)
    for name in around:
        if name not in allowed or (name in LINES and done) or "form_feed" in done:
            continue
        text = ({**BLOCKS, **LINES})[name](text, site.key())
        done.append(name)
        if name in ("function", "async", "method", "one_line_function"):
            allowed = [*BLOCKS]
    if piece.level == "alone" and not done:
        return wrapped(piece, ["function"], site)
    return text, tuple(done)


def mark(path: str, row: int, piece: Piece, layout: Layout) -> Module:
    """A module that holds one piece as it is written."""
    return render(path, [(path, row, (), piece, piece.text)], layout, ())


def broken(number: int) -> Module:
    """A file that cannot be parsed, and names what is old."""
    raw = b"from oldapp.core.engines import (\n"
    return Module(f"consumers/broken{number}.py", raw, (raw,), (), is_sound=False)


def sweep(seed: int, of_each: int) -> Iterator[list[Module]]:
    """Every shape, so many times, each in another wrap and in a file of its own: lists of files that go together."""
    rng = random.Random(seed)
    counter, number = [0], 0

    def pick(options: Sequence[T]) -> T:
        return options[rng.randrange(len(options))]

    around = [*BLOCKS, *LINES]
    for index, name in enumerate(sorted(SHAPES)):
        allowed = wraps_of(SHAPES[name][1](Site("consumers.any", False, pick)))
        turns = ["", *rng.sample(allowed, len(allowed))]
        for turn in range(of_each):
            number += 1
            wraps = [turns[turn % len(turns)], *([pick(around)] if turn % 3 == 2 else [])]
            path = SITES[(turn + index) % len(SITES)].format(number)
            layout = layouts(pick) if turn else Layout()
            yield module_of(path, [name], [wraps], layout, [pick(FILLERS)], pick, counter)


@st.composite
def trees(draw: st.DrawFn, most: int = 4) -> list[Module]:
    """A few modules of a few shapes each; some hold a file that cannot be parsed, or the host's own of an old name."""

    def pick(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(list(options)))

    counter, modules = [0], []
    around = st.lists(st.sampled_from([*BLOCKS, *LINES]), max_size=3)
    for number in range(draw(st.integers(1, most))):
        names = draw(st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=5))
        wraps = [draw(around) for _ in names]
        fill = draw(st.lists(st.sampled_from(FILLERS), min_size=1, max_size=4))
        path = pick([site.format(number) for site in SITES] + ([HOSTED] if not number else []))
        modules += module_of(path, names, wraps, draw(st.builds(lambda: layouts(pick))), fill, pick, counter)
    if pick([False, False, True]):
        modules.append(broken(0))
    return modules
