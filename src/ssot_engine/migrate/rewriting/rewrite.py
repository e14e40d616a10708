"""One Python file: what is to become of it. Bytes in, values out."""

from __future__ import annotations

from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.importing.imports import rewrite_imports
from ssot_engine.migrate.linting.lint import lint_uses
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import Place
from ssot_engine.migrate.rewriting.pieces import check_parses
from ssot_engine.migrate.rewriting.renaming import rename
from ssot_engine.migrate.source import Edit, Source
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.strings import rewrite_strings


def draft_of(raw: bytes, place: Place, lookup: Lookup) -> Draft:
    """A file that was read and parsed, and of which nothing is said yet.

    Raises:
        NotReadable: it is no Python that this interpreter can parse.
    """
    source = Source(raw)
    return Draft(source, place, lookup, Bindings(source.tree))


def rewrite(draft: Draft, exports: Exports, names: frozenset[str] = frozenset()) -> None:
    """Work out all that becomes of a file's old names; these local `names` follow the new name of their class."""
    draft.unaliased = names
    rewrite_imports(draft, exports)
    rewrite_strings(draft, exports)
    lint_uses(draft, exports)
    if names:
        rename(draft, names)


def checked_edits(draft: Draft) -> tuple[Edit, ...]:
    """The edits in offsets of the file's own bytes, after a look at what they make of it.

    Raises:
        NotReadable: the result would be no Python, or its encoding has no room for it.
        ValueError: two edits overlap.
    """
    if not draft.edits:
        return ()
    edits = sorted(draft.edits)
    check_parses(draft.source, edits)
    return draft.source.for_file(edits)
