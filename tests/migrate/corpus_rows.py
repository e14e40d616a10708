"""A file for every input shape of the contract, written by hand: its row, its text, and what it tells before and after.

`‹…›` and `⟦…⟧` mean what they mean in the shapes; "=" before an old name: it is what is told before and after.
"""

from __future__ import annotations

from corpus import Layout, Module, mark
from corpus_shapes import Piece, Probe

ENGINE = ("oldapp.core.engines.OldEngine", "newapp.engine.Engine")
SAME = ("oldapp.core.engines.Engine", "newapp.engine.Engine")
LIMIT = ("oldapp.core.engines.LIMIT", "newapp.limits.LIMIT")
MAKE = ("oldapp.core.engines.make", "newapp.making.build")
WHOLE = ("oldapp.whole.Engine", "newapp.whole.Engine")
THING = ("oldapp.core.renamed.Thing", "newapp.deep.fresh.Thing")
UNO = ("oldapp.solo.One", "newapp.single.Uno")
RUN = ("'oldapp.core.engines.OldEngine.run'", "'newapp.engine.Engine.run'")

Told = tuple[str, str]


def _same(told: str) -> Told:
    return told, told


GONE = ("oldapp.core.engines.gone", ("removed",))
STRAY = ("oldapp.core.engines.stray", ("unknown_name",))
FORGOTTEN = ("oldapp.whole.forgotten", ("unbound_name",))

#: Row and a word for it: text, what it tells by its keys, what is left to a person.
ROWS: dict[str, tuple[str, dict[int, Told], tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "01-one-name": (
        """\
from ‹oldapp.whole› import Engine
see(1, Engine)
""",
        {1: WHOLE},
        (),
    ),
    "01-renamed": (
        """\
from ‹oldapp.core.engines› import ‹OldEngine›  # why
see(1, OldEngine)
""",
        {1: ENGINE},
        (),
    ),
    "02-parentheses": (
        """\
from ‹oldapp.core.engines› import (  # head
    ‹OldEngine›,   # old one
    Engine,  # the same

    # end
)
see(1, OldEngine)
see(2, Engine)
""",
        {1: ENGINE, 2: SAME},
        (),
    ),
    "02-no-trailing-comma": (
        """\
from ‹oldapp.solo› import (‹One›,
                         Two)
see(1, One)
""",
        {1: UNO},
        (),
    ),
    "03-backslash": (
        """\
from ‹oldapp.core.engines› \\
    import ‹OldEngine›, \\
    Engine
see(1, OldEngine)
""",
        {1: ENGINE},
        (),
    ),
    "04-two-modules": (
        """\
‹from oldapp.core.engines import OldEngine, LIMIT as most›
see(1, OldEngine)
see(2, most)
""",
        {1: ENGINE, 2: LIMIT},
        (),
    ),
    "05-a-stranger": (
        """\
‹from oldapp.core.engines import ⟦stray⟧, OldEngine›
see(1, OldEngine)
see(2, stray)
""",
        {1: ENGINE, 2: _same("oldapp.core.engines.stray")},
        (STRAY,),
    ),
    "05-a-removed-one": (
        """\
‹from oldapp.core.engines import (
    OldEngine,
    ⟦gone⟧,
)›
see(1, OldEngine)
see(2, gone)
""",
        {1: ENGINE, 2: _same("oldapp.core.engines.gone")},
        (GONE,),
    ),
    "06-comments": (
        """\
‹from oldapp.core.engines import (  # of the head
    # above
    OldEngine,  # of the first
    LIMIT,  # of the second
    # between
    make  # of the third
    # last
)›  # behind
see(1, OldEngine)
see(2, LIMIT)
see(3, make)
""",
        {1: ENGINE, 2: LIMIT, 3: MAKE},
        (),
    ),
    "07-try": (
        """\
try: ‹from oldapp.core.engines import OldEngine, LIMIT›
except ImportError: raise
see(1, OldEngine)
see(2, LIMIT)
""",
        {1: ENGINE, 2: LIMIT},
        (),
    ),
    "07-between-semicolons": (
        """\
a = 1; ‹from oldapp.core.engines import OldEngine, LIMIT›; b = 2; see(1, OldEngine); see(2, LIMIT)
""",
        {1: ENGINE, 2: LIMIT},
        (),
    ),
    "07-behind-if": (
        """\
if True: ‹from oldapp.core.engines import (OldEngine, # one
   LIMIT)›; a = 1
see(1, OldEngine)
see(2, LIMIT)
""",
        {1: ENGINE, 2: LIMIT},
        (),
    ),
    "07-lambda-class": (
        """\
class Own: ‹from oldapp.core.engines import make, stray as ⟦odd⟧›
see(1, Own.make)
see(2, Own.odd)
""",
        {1: MAKE, 2: _same("oldapp.core.engines.stray")},
        (STRAY,),
    ),
    "08-called-as-now": (
        """\
from ‹oldapp.core.engines› import ‹OldEngine as Engine›
see(1, Engine)
""",
        {1: ENGINE},
        (),
    ),
    "09-both": (
        """\
‹from oldapp.core.engines import Engine, OldEngine›
see(1, Engine)
see(2, OldEngine)
""",
        {1: SAME, 2: ENGINE},
        (),
    ),
    "10-shadowed": (
        """\
from ‹oldapp.core.engines› import ‹OldEngine›
def own(OldEngine='own'):
    return OldEngine
see(1, OldEngine)
see(2, own())
""",
        {1: ENGINE, 2: _same("'own'")},
        (),
    ),
    "11-all": (
        """\
from ‹oldapp.core.engines› import ‹OldEngine›
__all__ = ['OldEngine']
see(1, globals()[__all__[0]])
""",
        {1: ENGINE},
        (),
    ),
    "12-patched-here": (
        """\
from ‹oldapp.core.engines› import ‹OldEngine›
with mock.patch(__name__ + '.OldEngine', 'own'): see(1, OldEngine)
with mock.patch('consumers.row12_patched_here.OldEngine', 'own'): see(2, OldEngine)
""",
        {1: _same("'own'"), 2: _same("'own'")},
        (),
    ),
    "13-chain-and-root": (
        """\
‹import oldapp.core.engines›
see(1, ‹oldapp.core.engines.OldEngine›)
see(2, oldapp.MARK)
see(3, oldapp.core.MARK)
""",
        {1: ENGINE, 2: _same("oldapp.MARK"), 3: _same("oldapp.core.MARK")},
        (),
    ),
    "13-chain-of-a-whole-one": (
        """\
‹import oldapp.whole›
def use():
    return ‹oldapp.whole.Engine›().run()
see(1, use())
""",
        {1: ("'oldapp.whole.Engine.run'", "'newapp.whole.Engine.run'")},
        (),
    ),
    "13-top-module": (
        """\
‹import oldtop›
see(1, ‹oldtop.Top›)
""",
        {1: ("oldtop.Top", "newapp.top.Top")},
        (),
    ),
    "13-same-new-root": (
        """\
‹import oldapp.core.inhouse›
see(1, ‹oldapp.core.inhouse.Local›)
see(2, oldapp.core.MARK)
""",
        {1: ("oldapp.core.inhouse.Local", "oldapp.modern.place.Local"), 2: _same("oldapp.core.MARK")},
        (),
    ),
    "23-annotation-by-an-alias": (
        """\
‹import oldapp.solo as x›
def hinted(a: "‹x.One›"): pass
see(1, typing.get_type_hints(hinted)["a"])
""",
        {1: UNO},
        (),
    ),
    "23-annotation-in-a-function": (
        """\
def use():
    ‹import oldapp.core.engines›
    def hinted(a: "‹oldapp.core.engines.OldEngine›"): pass
    return typing.get_type_hints(hinted, globals(), locals())["a"]
see(1, use())
""",
        {1: ENGINE},
        (),
    ),
    "14-alias": (
        """\
‹import oldapp.core.renamed as x›
see(1, ‹x.Thing›)
""",
        {1: THING},
        (),
    ),
    "14-alias-and-attribute": (
        """\
‹import oldapp.solo as x›
see(1, ‹x.One›)
see(2, ‹x.Two›)
""",
        {1: UNO, 2: ("oldapp.solo.Two", "newapp.single.Two")},
        (),
    ),
    "15-middle": (
        """\
import os, ‹oldapp.whole as x›, sys
see(1, x.Engine)
see(2, os.sep)
""",
        {1: WHOLE, 2: _same("'/'")},
        (),
    ),
    "16-from-parent": (
        """\
‹from oldapp.core import renamed›
see(1, ‹renamed.Thing›)
""",
        {1: THING},
        (),
    ),
    "16-and-another": (
        """\
‹from oldapp.core import renamed, other›
see(1, ‹renamed.Thing›)
see(2, other.Thing)
""",
        {1: THING, 2: _same("oldapp.core.other.Thing")},
        (),
    ),
    "18-star": (
        """\
from ‹oldapp.core.renamed› import *
see(1, Thing)
""",
        {1: THING},
        (),
    ),
    "18-star-of-a-scattered-one": (
        """\
⟦from oldapp.core.engines import *⟧
see(1, OldEngine)
""",
        {1: _same("oldapp.core.engines.OldEngine")},
        (("oldapp.core.engines.*", ("star_import",)),),
    ),
    "19-patch": (
        """\
with mock.patch("‹oldapp.core.engines.OldEngine.run›", "own"): see(1, places("own"))
@mock.patch("‹oldapp.core.engines.OldEngine.run›", "mine")
def test(): see(2, places("mine"))
test()
""",
        {1: RUN, 2: RUN},
        (),
    ),
    "20-not-bound": (
        """\
with mock.patch("⟦oldapp.whole.forgotten⟧", "own"): see(1, places("own"))
""",
        {1: _same("'oldapp.whole.forgotten'")},
        (FORGOTTEN,),
    ),
    "20-not-known": (
        """\
with mock.patch("⟦oldapp.core.engines.stray⟧", "own"): see(1, places("own"))
""",
        {1: _same("'oldapp.core.engines.stray'")},
        (STRAY,),
    ),
    "21-by-name": (
        """\
see(1, importlib.import_module("‹oldapp.whole›"))
see(2, __import__("‹oldapp.whole›", fromlist=["x"]))
see(3, sys.modules["‹oldapp.whole›"])
""",
        {1: ("oldapp.whole", "newapp.whole"), 2: ("oldapp.whole", "newapp.whole"), 3: ("oldapp.whole", "newapp.whole")},
        (),
    ),
    "23-bytes": (
        """\
see(1, b"oldapp.whole.Engine")
""",
        {1: _same("b'oldapp.whole.Engine'")},
        (),
    ),
    "23-raw-string": (
        """\
with mock.patch(r'‹oldapp.whole.Engine›', 'own'): see(1, places('own'))
""",
        {1: ("'oldapp.whole.Engine'", "'newapp.whole.Engine'")},
        (),
    ),
    "23-annotation": (
        """\
‹import oldapp.core.engines›
from typing import Optional
def hinted(a: '‹oldapp.core.engines.OldEngine›', b: Optional['‹oldapp.core.engines.LIMIT.__class__›'] = None): pass
see(1, typing.get_type_hints(hinted)['a'])
""",
        {1: ENGINE},
        (),
    ),
    "24-near-miss": (
        """\
from oldapp.core.engines_v2 import OldEngine, MyOldEngineError
import oldapp.wholex
see(1, OldEngine)
see(2, oldapp.wholex.Engine)
""",
        {1: _same("oldapp.core.engines_v2.OldEngine"), 2: _same("oldapp.wholex.Engine")},
        (),
    ),
    "25-prose": (
        """\
# from oldapp.whole import Engine
code = "from oldapp.whole import Engine"
see(1, code)
see(2, "took %s of oldapp.core.engines")
""",
        {1: _same("'from oldapp.whole import Engine'"), 2: _same("'took %s of oldapp.core.engines'")},
        (),
    ),
    "25-a-string-by-itself": (
        '''\
x = 1
"""oldapp.core.engines.OldEngine"""


class Own:
    y = 1
    "oldapp.whole.Engine"


see(1, x)
''',
        {1: _same("1")},
        (),
    ),
    "27-multi-byte": (
        """\
a = "漢字🙂"; ‹from oldapp.core.engines import OldEngine, LIMIT›; see(1, ("é", ‹OldEngine›)[1])
""",
        {1: ENGINE},
        (),
    ),
    "29-checking": (
        """\
if TYPE_CHECKING:
    from ‹oldapp.core.engines› import ‹OldEngine›
def local():
    from ‹oldapp.whole› import Engine
    return Engine
try:
    from ‹oldapp.solo› import ‹One›
except ImportError:
    One = None
see(1, OldEngine)
see(2, local())
see(3, One)
""",
        {1: ENGINE, 2: WHOLE, 3: UNO},
        (),
    ),
    "34-not-awaited": (
        """\
from ‹oldapp.core.engines› import launch
def never():
    return ⟦launch()⟧
see(1, launch)
""",
        {1: ("oldapp.core.engines.launch", "newapp.making.launch")},
        (("oldapp.core.engines.launch", ("not_awaited",)),),
    ),
}

#: The same where the tool may lead the reference to what is new or tell a person, but nothing else.
EITHER: dict[str, tuple[str, dict[int, Told]]] = {
    "14-alias-to-several": (
        """\
‹import oldapp.core.engines as x›
see(1, ‹x.OldEngine›)
see(2, ‹x.LIMIT›)
""",
        {1: ENGINE, 2: LIMIT},
    ),
    "16-scattered-from-parent": (
        """\
‹from oldapp.core import engines›
see(1, ‹engines.OldEngine›)
""",
        {1: ENGINE},
    ),
    "22-f-string": (
        """\
‹name = 'Engine'
with mock.patch(f'oldapp.whole.{name}', 'own'): see(1, places('own'))›
""",
        {1: ("'oldapp.whole.Engine'", "'newapp.whole.Engine'")},
    ),
    "22-f-string-of-a-scattered-one": (
        """\
‹name = 'OldEngine'
with mock.patch(f'oldapp.core.engines.{name}.run', 'own'): see(1, places('own'))›
""",
        {1: RUN},
    ),
    "22-concatenated": (
        """\
‹with mock.patch('oldapp.core.'
        'engines.OldEngine.run', 'own'): see(1, places('own'))›
""",
        {1: RUN},
    ),
    "28-spaces": (
        """\
‹from oldapp . core . engines import OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
    "28-no-space": (
        """\
‹from oldapp.core.engines import(OldEngine,LIMIT)›
see(1, OldEngine)
see(2, LIMIT)
""",
        {1: ENGINE, 2: LIMIT},
    ),
    "29-fallback-is-new": (
        """\
‹try:
    from oldapp.core.engines import Engine
except ImportError:
    from newapp.engine import Engine›
see(1, Engine)
""",
        {1: SAME},
    ),
    "29-fallback-is-old": (
        """\
‹try:
    from newapp.engine import Engine
except ImportError:
    from oldapp.core.engines import Engine›
see(1, Engine)
""",
        {1: _same("newapp.engine.Engine")},
    ),
    "31-imported-already": (
        """\
‹def use():
    from newapp.engine import Engine
    from oldapp.core.engines import Engine
    return Engine›
see(1, use())
""",
        {1: SAME},
    ),
}

_RELATIVE: dict[str, tuple[str, str, dict[int, Told]]] = {
    "17-module": (
        "oldapp/core/row17.py",
        """\
from ‹.engines› import ‹OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
    "17-from-here": (
        "oldapp/core/row17_here.py",
        """\
‹from . import renamed›
see(1, ‹renamed.Thing›)
""",
        {1: THING},
    ),
    "17-from-above": (
        "oldapp/core/row17_above.py",
        """\
from ‹..whole› import Engine
see(1, Engine)
""",
        {1: WHOLE},
    ),
    "17-package": (
        "oldapp/core/row17_package/__init__.py",
        """\
from ‹..engines› import ‹OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
    "17-package-above": (
        "oldapp/row17_package/__init__.py",
        """\
from ‹..core.engines› import ‹OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
    "17-below": (
        "oldapp/row17_below.py",
        """\
from ‹.core.engines› import ‹OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
    "17-same-root": (
        "oldapp/row17_root.py",
        """\
from ‹.core.inhouse› import Local
see(1, Local)
""",
        {1: ("oldapp.core.inhouse.Local", "oldapp.modern.place.Local")},
    ),
    "32-host-file-kept": (
        "oldapp/hosted.py",
        """\
from ‹.core.engines› import ‹OldEngine›
see(1, OldEngine)
""",
        {1: ENGINE},
    ),
}

_BODY = "s = 'ü'; from ‹oldapp.core.engines› import ‹OldEngine›\nsee(1, OldEngine)"
_SPLIT = "‹from oldapp.core.engines import (\n    OldEngine,  # ü\n    LIMIT,\n)›\nsee(1, OldEngine)\nsee(2, LIMIT)"
_LAYOUTS = {
    "crlf": Layout(eol="\r\n"),
    "cr": Layout(eol="\r"),
    "mixed": Layout(mixed=True),
    "mixed-cr": Layout(eol="\r", mixed=True),
    "bom": Layout(bom=True),
    "bom-crlf": Layout(bom=True, eol="\r\n"),
    "latin-1": Layout(cookie="latin-1"),
    "latin-1-crlf": Layout(cookie="latin-1", eol="\r\n"),
    "cp1252-cr": Layout(cookie="cp1252", eol="\r"),
    "utf-8-bom": Layout(bom=True, cookie="utf-8"),
    "no-final-newline": Layout(ends=False),
    "future": Layout(future=True),
}


def _module(path: str, text: str, told: dict[int, Told], by_hand: tuple[tuple[str, tuple[str, ...]], ...] = (),
            either: bool = False, layout: Layout | None = None, row: int = 0) -> Module:  # fmt: skip
    probes = tuple(Probe(key, *both) for key, both in told.items())
    once = row == 31 or "fallback" in path
    piece = Piece(text, probes, by_hand, either=either, once=once)
    return mark(path, row, piece, layout or Layout())


def _rows() -> dict[str, Module]:
    found = {}
    for name, (text, told, by_hand) in ROWS.items():
        found[name] = _module(_path(name), text, told, by_hand, row=int(name[:2]))
    for name, (text, told) in EITHER.items():
        found[name] = _module(_path(name), text, told, either=True, row=int(name[:2]))
    for name, (path, text, told) in _RELATIVE.items():
        found[name] = _module(path, text, told, row=int(name[:2]))
    for name, layout in _LAYOUTS.items():
        found[f"26-{name}"] = _module(_path(f"26-{name}"), _BODY, {1: ENGINE}, layout=layout, row=26)
        split = _module(_path(f"26-{name}-split"), _SPLIT, {1: ENGINE, 2: LIMIT}, layout=layout, row=26)
        found[f"26-{name}-split"] = split
    feeds = "\f\n\ffrom ‹oldapp.core.engines› import ‹OldEngine›\n\f\nsee(1, OldEngine)\n"
    found["26-form-feed"] = _module(_path("26-form-feed"), feeds, {1: ENGINE}, row=26)
    raw = b"from oldapp.core.engines import (\n"
    found["30-unparseable"] = Module(_path("30-unparseable"), raw, (raw,), (), is_sound=False)
    return found


def _path(name: str) -> str:
    return f"consumers/row{name.replace('-', '_')}.py"


#: A module for each, by its name.
MODULES = _rows()
