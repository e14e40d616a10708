"""A Python file as its bytes, its tree, and where in the bytes a node of the tree stands."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

# The ends of lines as the parser sees them; `str.splitlines` knows more.
_line_end = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_PARSER = "Python {}.{}".format(*sys.version_info)


class NotReadable(Exception):
    """A file that cannot be examined. `line` is where, if the parser says so."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line


class Edit(msgspec.Struct, frozen=True, order=True):
    """Bytes `start` to `end` of a file become `new`."""

    start: int
    end: int
    new: bytes


def edited(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes with all edits made.

    Raises:
        ValueError: two edits overlap.
    """
    parts: list[bytes] = []
    at = 0
    for edit in sorted(edits):
        if edit.start < at:
            raise ValueError(f"edits overlap at byte {edit.start}")
        parts += (raw[at : edit.start], edit.new)
        at = edit.end
    return b"".join([*parts, raw[at:]])


class Source:
    """A file's bytes in UTF-8, whatever its encoding, and its tree. All offsets are in `utf8`.

    Raises:
        NotReadable: it is no Python that this interpreter can parse.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.encoding = _encoding(raw)
        #: The whole file, its byte order mark included.
        self.utf8 = raw if self.encoding == "utf-8" else _decoded(raw, self.encoding).encode()
        self.tree = parsed(self.utf8 if self.encoding == "utf-8" else self.utf8.decode())
        begin = len(_BOM) if self.utf8.startswith(_BOM) else 0
        self._starts = [begin, *(found.end() for found in _line_end.finditer(self.utf8, begin))]

    def start(self, node: ast.stmt | ast.expr | ast.alias | ast.excepthandler | ast.arg | ast.keyword) -> int:
        """Where a node begins."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.stmt | ast.expr | ast.alias | ast.excepthandler | ast.arg | ast.keyword) -> int:
        """Where a node ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.stmt | ast.expr | ast.alias) -> bytes:
        """The bytes of a node."""
        return self.utf8[self.start(node) : self.end(node)]

    def line_start(self, offset: int) -> int:
        """Where the line begins in which `offset` is."""
        return self._starts[self._line_of(offset)]

    def line_end(self, offset: int) -> int:
        """Where the line ends in which `offset` is, before its end-of-line characters."""
        found = _line_end.search(self.utf8, offset)
        return len(self.utf8) if found is None else found.start()

    def eol_at(self, offset: int) -> bytes:
        """How the line ends in which `offset` is; as the file's first one if it is the last and has no end."""
        found = _line_end.search(self.utf8, offset) or _line_end.search(self.utf8)
        return b"\n" if found is None else found[0]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, the column in characters."""
        index = self._line_of(offset)
        return index + 1, len(self.utf8[self._starts[index] : offset].decode(errors="replace")) + 1

    def _line_of(self, offset: int) -> int:
        # Before the first line's start there may be a byte order mark.
        return max(bisect_right(self._starts, offset) - 1, 0)

    def for_file(self, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """The same edits in offsets of the file's own bytes.

        Raises:
            NotReadable: its encoding has no room for the change.
        """
        if self.encoding == "utf-8":
            return tuple(sorted(edits))
        own: list[Edit] = []
        at = at_raw = 0
        for edit in sorted(edits):
            start = at_raw + len(self._encoded(self.utf8[at : edit.start]))
            at, at_raw = edit.end, start + len(self._encoded(self.utf8[edit.start : edit.end]))
            own.append(Edit(start, at_raw, self._encoded(edit.new)))
        wanted = edited(self.utf8, edits).decode()
        if edited(self.raw, own).decode(self.encoding, "replace") != wanted:
            raise NotReadable(f"its encoding {self.encoding!r} cannot be edited in parts; convert it to UTF-8")
        return tuple(own)

    def _encoded(self, text: bytes) -> bytes:
        try:
            return text.decode().encode(self.encoding)
        except UnicodeEncodeError as error:
            raise NotReadable(
                f"its encoding {self.encoding!r} has no character {error.object[error.start]!r}; convert it to UTF-8"
            ) from error


def parsed(text: bytes | str) -> ast.Module:
    """The tree of a module.

    Raises:
        NotReadable: this interpreter cannot parse it.
    """
    try:
        with warnings.catch_warnings():
            # About invalid escapes in the host's strings.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise NotReadable(
            f"cannot be parsed by {_PARSER}: {error.msg}; correct it, or use the Python it is written for", error.lineno
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotReadable(
            f"cannot be parsed by {_PARSER}: {str(error) or type(error).__name__}; leave it out"
        ) from error


def _encoding(raw: bytes) -> str:
    """The codec of a file; "utf-8" also where it begins with a byte order mark."""
    if not any(b"coding" in line for line in raw.split(b"\n", 2)[:2]) and b"\r" not in raw[:200]:
        return "utf-8"
    try:
        lines = io.BytesIO(b"\n".join([*_line_end.split(raw, 2)[:2], b""]))
        name, _ = tokenize.detect_encoding(lines.readline)
    except SyntaxError as error:
        raise NotReadable(f"its encoding is not known: {error.msg}", 1) from error
    return "utf-8" if name == "utf-8-sig" else name


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        text = raw.decode(encoding)
        if text.encode(encoding) == raw:
            return text
    except (UnicodeError, LookupError) as error:
        raise NotReadable(f"is not in the encoding {encoding!r} it names; correct the coding line") from error
    raise NotReadable(f"its encoding {encoding!r} does not give the same bytes back; convert it to UTF-8")
