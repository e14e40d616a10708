"""Import statements as bytes: where their parts stand, and what is around them."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from ssot_engine.migrate.importing.plans import Target
from ssot_engine.migrate.source import Source

_token = re.compile(rb"[A-Za-z0-9_\x80-\xff]+|\.")
_pragma = re.compile(rb"#\s*(?:noqa|type:|pylint:|pragma|isort:|fmt:|ruff:|nosec|pyright:|mypy:|flake8:).*")


class Head(NamedTuple):
    """Offsets of `from module import`: where the module's name begins and ends, and where the names may begin."""

    module_start: int
    module_end: int
    end: int


def head_of(source: Source, node: ast.ImportFrom) -> Head:
    """The parts of a from-import, however it is spaced or continued."""
    found = list(_token.finditer(source.utf8, source.start(node), source.end(node)))
    at = next(index for index, word in enumerate(found) if word[0] == b"import")
    return Head(found[1].start(), found[at - 1].end(), found[at].end())


class Where(NamedTuple):
    """How a statement stands in its line."""

    #: Nothing else is in its lines but a comment behind it.
    is_alone: bool
    indent: bytes
    eol: bytes
    #: The comment behind it.
    comment: bytes


def where(source: Source, node: ast.stmt) -> Where:
    """How a statement stands in its line."""
    start, end = source.start(node), source.end(node)
    line = source.line_start(start)
    before = source.utf8[line:start]
    # A form feed begins the count of columns anew.
    indent = before[: len(before) - len(before.lstrip())].rpartition(b"\f")[2]
    after = source.utf8[end : source.line_end(end)].strip()
    continues = source.utf8[:line].rstrip(b"\r\n").endswith(b"\\")
    is_alone = not before.strip() and not continues and (not after or after.startswith(b"#"))
    return Where(is_alone, indent, source.eol_at(start), after if after.startswith(b"#") else b"")


def own_indent(source: Source, offset: int) -> bytes | None:
    """What is before an offset in its line, if that is nothing but space."""
    before = source.utf8[source.line_start(offset) : offset]
    return None if before.strip() else before


def has_comment(source: Source, node: ast.stmt) -> bool:
    """Whether there is a comment in an import statement; one behind it is none of it."""
    return b"#" in source.text(node)


def can_vanish(source: Source, node: ast.stmt) -> bool:
    """Whether nothing else is lost with the lines of a statement."""
    at = where(source, node)
    return at.is_alone and not at.comment and not has_comment(source, node)


def pragma_in(comment: bytes) -> bytes:
    """The part of a comment that speaks to a tool: `# noqa` and such."""
    found = _pragma.search(comment)
    return found[0] if found else b""


def written(target: Target) -> bytes:
    """A target as it stands behind `import`."""
    text = target.name or target.module
    return (f"{text} as {target.asname}" if target.asname else text).encode()
