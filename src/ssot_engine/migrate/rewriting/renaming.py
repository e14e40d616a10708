"""Local names that can follow their class's new name, as nobody outside the file knows them."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ssot_engine.migrate.bindings import Scope
from ssot_engine.migrate.draft import Draft, KeptAlias
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.source import Edit, NotReadable

#: Before, the parser does not say where in an f-string a name stands.
_TELLS_PLACES_IN_F_STRINGS = sys.version_info >= (3, 12)


def renamable(draft: Draft) -> tuple[str, ...]:
    """Local names that would become `New as Old`, and that nothing inside of the file keeps from renaming."""
    return tuple(local for local, group in _by_local(draft).items() if _Renaming(draft, local, group).is_safe())


def rename(draft: Draft, names: frozenset[str]) -> None:
    """Let these local names, and their uses in the file, be called as their new class is.

    Raises:
        NotReadable: one of them cannot be renamed in this file.
    """
    by_local = _by_local(draft)
    for local in sorted(names):
        renaming = _Renaming(draft, local, by_local.get(local, []))
        if not renaming.is_safe():
            raise NotReadable(f"has changed while it was examined, {local!r} cannot be renamed now; run it again")
        draft.edits += renaming.edits()
        renaming.tell()


def _by_local(draft: Draft) -> dict[str, list[KeptAlias]]:
    found: dict[str, list[KeptAlias]] = defaultdict(list)
    for kept in draft.kept:
        found[kept.local].append(kept)
    return dict(sorted(found.items()))


class _Binding(NamedTuple):
    """What one scope imports under a local name, and where it is used."""

    scope: Scope
    new: str
    uses: Sequence[ast.Name]


class _Renaming:
    """One local name of a file, and everything in the file that speaks against renaming it."""

    def __init__(self, draft: Draft, local: str, group: Sequence[KeptAlias]) -> None:
        self._draft = draft
        self._source = draft.source
        self._bindings = draft.bindings
        self._local = local
        self._group = group
        self._word = re.compile(rf"(?<![\w.]){re.escape(local)}(?!\w)")
        texts = ((text, str(text.value)) for text in draft.bindings.strings)
        #: The file's strings with the name in them, and what they say.
        self._texts = [(text, value) for text, value in texts if local in value]

    @property
    def _scopes(self) -> dict[Scope, list[KeptAlias]]:
        found: dict[Scope, list[KeptAlias]] = defaultdict(list)
        for kept in self._group:
            found[kept.import_at.scope].append(kept)
        return found

    def _all_bindings(self) -> Iterator[_Binding]:
        for scope, kept in self._scopes.items():
            yield _Binding(scope, kept[0].new_leaf, self._bindings.uses(self._local, scope))

    # ------------------------------------------------------------------- may it be done

    def is_safe(self) -> bool:
        """Whether nothing in the file would notice."""
        return (
            bool(self._group)
            and not self._local.startswith("__")
            and self._local not in self._bindings.declared
            and all(self._is_only(scope, kept) for scope, kept in self._scopes.items())
            and not any(self._is_lost_in_class(scope) for _, scope in self._bindings.names(self._local))
            and all(self._is_free(binding) for binding in self._all_bindings())
            and not self._is_in_text()
            and self._can_be_located()
        )

    def _is_only(self, scope: Scope, kept: Sequence[KeptAlias]) -> bool:
        """Whether a scope binds the name by these imports only, and does not show it to others on purpose."""
        if scope.is_class or scope.bound[self._local] != len(kept) or len({one.new_leaf for one in kept}) > 1:
            return False
        if not scope.is_module:
            return True
        is_shown = self._draft.place.is_package or not self._bindings.uses(self._local, scope)
        return not is_shown and not self._has_star_import()

    def _has_star_import(self) -> bool:
        return any(alias.name == "*" for one in self._bindings.imports for alias in one.node.names)

    def _is_lost_in_class(self, scope: Scope) -> bool:
        """Whether a class binds the same name: until it does, its body sees the name outside."""
        return scope.is_class and scope.bound[self._local] > 0

    def _is_free(self, binding: _Binding) -> bool:
        """Whether the new name means nothing else wherever the old one is used, and is not used for anything else."""
        new, names = binding.new, self._bindings
        if new.startswith("__") or new in names.declared:
            return False
        inner = [scope for _, scope in names.meaning(self._local, binding.scope)]
        if any(scope.bound[new] for one in [binding.scope, *inner] for scope in _up_to(one, binding.scope)):
            return False
        return not any(self._is_caught(new, scope, binding.scope) for _, scope in names.names(new))

    def _is_caught(self, new: str, inner: Scope, scope: Scope) -> bool:
        """Whether a use of the new name in `inner`, which means something else, would mean the binding of `scope`."""
        meant = self._bindings.where(new, inner)
        if meant is not None and not meant.is_class and meant is not scope and scope in _up_to(meant, None):
            return False
        return scope in _up_to(inner, None)

    # ------------------------------------------------------------------- what is said in texts

    def _is_in_text(self) -> bool:
        """Whether a text that is not a type names it in a way that may reach the file's names."""
        return (
            any(self._may_reach(value) for text, value in self._texts if not self._bindings.is_annotation(text))
            or any(self._word.search(text) for text in self._joined_texts())
            or self._is_in_doctest()
        )

    def _may_reach(self, value: str) -> bool:
        own = (f"{name}.{self._local}" for name in ("", *self._draft.place.names))
        return any(f"{value}.".startswith(f"{one}.") for one in own) or (
            self._word.search(value) is not None and self._local in _names_in(value)
        )

    def _joined_texts(self) -> Iterator[str]:
        """The literal parts of f-strings; what stands behind a point may be a name of this file as well."""
        for joined in self._bindings.joined:
            for part in joined.values:
                if isinstance(part, ast.Constant):
                    yield str(part.value).replace(".", " ")

    def _is_in_doctest(self) -> bool:
        """Whether an example in a docstring, or a comment that is a type, uses it."""
        pattern = rb"(?m)^[ \t]*(?:>>>|\.\.\.)[^\r\n]*%b|#\s*type:[^\r\n]*%b"
        name = rb"(?<![\w.])" + re.escape(self._local.encode()) + rb"(?!\w)"
        return re.search(pattern % (name, name), self._source.utf8.replace(b"\r", b"\n")) is not None

    # ------------------------------------------------------------------- where it stands

    def _can_be_located(self) -> bool:
        """Whether each use, and each type that is written as a text, stands where it is said to, and is not changed."""
        in_f_strings = set() if _TELLS_PLACES_IN_F_STRINGS else self._names_in_f_strings()
        spans = []
        for binding in self._all_bindings():
            if any(node in in_f_strings or self._source.text(node) != self._local.encode() for node in binding.uses):
                return False
            spans += [(self._source.start(node), self._source.end(node)) for node in binding.uses]
        types = self._types()
        if types is None:
            return False
        return not self._is_edited([*spans, *types])

    def _is_edited(self, spans: Iterable[tuple[int, int]]) -> bool:
        """Whether one of these is changed by an edit; edits do not overlap each other."""
        edits = sorted(self._draft.edits)
        starts = [edit.start for edit in edits]
        last_before = ((bisect_left(starts, end) - 1, start) for start, end in spans)
        return any(index >= 0 and edits[index].end > start for index, start in last_before)

    def _names_in_f_strings(self) -> set[ast.AST]:
        return {part for joined in self._bindings.joined for part in ast.walk(joined) if isinstance(part, ast.Name)}

    def _types(self) -> list[tuple[int, int]] | None:
        """Where it stands in types that are written as texts; None if that cannot be told."""
        texts = [
            (text, value)
            for text, value in self._texts
            if self._bindings.is_annotation(text) and self._word.search(value)
        ]
        if texts and not self._is_one_thing():
            return None
        found = []
        for text, value in texts:
            is_plain = self._source.text(text)[1:-1] == value.encode() and not {"'", '"'} & {*value}
            if not is_plain or self._local not in _names_in(value):
                return None
            start = self._source.start(text) + 1
            for match in self._word.finditer(value):
                at = start + len(value[: match.start()].encode())
                found.append((at, at + len(self._local.encode())))
        return found

    def _is_one_thing(self) -> bool:
        """Whether the name means the same wherever the file uses it."""
        meant = {self._bindings.where(self._local, scope) for _, scope in self._bindings.names(self._local)}
        return len(self._scopes) == 1 and meant <= self._scopes.keys()

    # ------------------------------------------------------------------- doing it

    def edits(self) -> list[Edit]:
        """The changes beside the import itself."""
        edits = []
        for binding in self._all_bindings():
            new = binding.new.encode()
            edits += [Edit(self._source.start(node), self._source.end(node), new) for node in binding.uses]
        new = self._group[0].new_leaf.encode()
        return edits + [Edit(start, end, new) for start, end in self._types() or ()]

    def tell(self) -> None:
        """Note with each import how many uses follow it."""
        count = len(self.edits())
        note = f"{count} {'use is' if count == 1 else 'uses are'} renamed with it"
        places = {self._source.place(self._source.start(kept.alias)) for kept in self._group}
        self._draft.findings = [
            msgspec.structs.replace(one, note=note)
            if one.rule is Rule.IMPORT and (one.line, one.column) in places
            else one
            for one in self._draft.findings
        ]


def _up_to(scope: Scope | None, last: Scope | None) -> Iterator[Scope]:
    """A scope and those around it, `last` the last."""
    while scope is not None:
        yield scope
        if scope is last:
            return
        scope = scope.parent


def _names_in(text: str) -> set[str]:
    """The variables of a text that is Python; of any other none."""
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
