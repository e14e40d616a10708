"""The oracle of the migration finds tools that are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import corpus_rows
import pytest
from corpus import sweep
from corpus_shapes import SHAPES, doors
from oracle import Ours, judge
from test_corpus import OF_EACH

from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.scanning.examine import Examined
from ssot_engine.migrate.scanning.scan import Scanned


class _Other:
    """A tool that changes every file in some way of its own, and tells of each change."""

    def __init__(self) -> None:
        self.before: dict[Path, bytes] = {}
        self.done = False

    def change(self, raw: bytes) -> bytes:
        """What a file becomes."""
        return raw

    def scan(self, host: Path) -> Scanned:
        """Everything it would change, once."""
        findings, examined = [], []
        for path in sorted(host.glob("consumers/**/*.py")):
            if not self.done and self.change(path.read_bytes()) != path.read_bytes():
                lines = range(1, len(path.read_bytes().splitlines()) + 1)
                findings = [Finding(path=str(path), line=n, column=1, rule=Rule.IMPORT, old="any") for n in lines]
                examined.append(Examined(path=str(path), findings=tuple(findings)))
        return Scanned(
            files=0, candidates=0, examined=tuple(examined), problems=(), left_alone=(), processes=1, why_processes="",
            duration_s=0,
        )  # fmt: skip

    def apply(self, host: Path, scanned: Scanned) -> Sequence[str]:
        """Change them."""
        self.done = True
        for one in scanned.examined:
            self.before[Path(one.path)] = Path(one.path).read_bytes()
            Path(one.path).write_bytes(self.change(self.before[Path(one.path)]))
        return ()

    def rollback(self, host: Path) -> Sequence[str]:
        """Put them back."""
        for path, raw in self.before.items():
            path.write_bytes(raw)
        return ()


class _Replacing(_Other):
    """Replaces names as text, as a regular expression would."""

    def change(self, raw: bytes) -> bytes:
        """Dotted names first, then the classes that are called otherwise now."""
        for module, names in doors().items():
            raw = raw.replace(module.encode(), next(iter(names.values())).rpartition(".")[0].encode())
        return raw.replace(b"OldEngine", b"Engine").replace(b"make", b"build")


class _Tidying(Ours):
    """The toolkit, and then something small all over the file."""

    def __init__(self, old: bytes, new: bytes) -> None:
        super().__init__()
        self.old, self.new = old, new

    def apply(self, host: Path, scanned: Scanned) -> Sequence[str]:
        """Apply, and one more change to each file that changed."""
        refused = super().apply(host, scanned)
        for one in scanned.examined:
            if one.edits:
                path = Path(one.path)
                path.write_bytes(path.read_bytes().replace(self.old, self.new))
        return refused


def test_a_tool_that_does_nothing_is_wrong_about_every_shape(tmp_path: Path) -> None:
    """Whatever has to change or to be told is missed, in each shape that has such a thing."""
    modules = [module for group in sweep(1, 2) for module in group]
    wrong = judge(tmp_path / "host", modules, _Other())
    has_none = {"bytes_and_others", "near_miss", "not_the_module", "prose", "patched_in_a_consumer"}
    found = {one.placed.name for one in wrong if one.placed}
    assert set(SHAPES) - has_none == found - has_none
    assert not found & {"bytes_and_others", "near_miss", "not_the_module", "prose"}


def test_replacing_text_is_wrong(tmp_path: Path) -> None:
    """A regular expression changes prose, and leads names to where they are not."""
    modules = [module for group in sweep(1, OF_EACH) for module in group if module.path.startswith("consumers")]
    wrong = judge(tmp_path / "host", modules, _Replacing())
    kinds = Counter(one.what for one in wrong)
    assert {
        "changed outside of what may change",
        "does not run any more",
        "means something else",
        "not told, or told twice",
    } <= {*kinds}
    names = {one.placed.name for one in wrong if one.placed}
    assert {"bytes_and_others", "prose", "to_several", "a_stranger"} <= names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"# ", b"#  "),
        (b"see(", b"see ("),
        (b"Engine)", b"Other)"),
        (b"import mock", b"import  mock"),
    ],
)
def test_a_change_elsewhere_is_wrong(tmp_path: Path, old: bytes, new: bytes) -> None:
    """One byte more outside of what may change is noticed in a file."""
    modules = [
        corpus_rows.MODULES[row] for row in ("01-renamed", "02-parentheses", "04-two-modules", "08-called-as-now")
    ]
    wrong = judge(tmp_path / "host", modules, _Tidying(old, new))
    assert any(one.what.startswith(("changed outside", "lost or repeated a comment")) for one in wrong)
