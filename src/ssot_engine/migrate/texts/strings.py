"""Old dotted names in strings: targets of patches, arguments of `import_module`, annotations."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Sequence

from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.literals import Chain, chains_in, string_of, text_start
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.references import Reference, References

#: Functions whose first argument is a module's name, whatever it looks like.
_OF_MODULES = frozenset({"__import__", "find_spec", "import_module", "importorskip", "run_module"})
#: Functions that take a type as a string, and keywords that do.
_OF_TYPES = frozenset({"ForwardRef", "TypeVar", "cast"})
_TYPE_KEYWORDS = frozenset({"bound", "default"})

_IN_PIECES = "it is not written in one piece; write {} as one plain string"
_JOINED = "it is joined with other text; write the whole new name"

#: The end of a name, behind the place where its beginning is put in.
_goes_on = re.compile(r"(?:%s|\{\w*+\})?((?:\.\w+)++)")


def rewrite_strings(draft: Draft, exports: Exports) -> None:
    """Work out every string of a file that is, or begins with, an old dotted name."""
    references = References(draft.lookup, exports, Rule.STRING)
    strings = _Strings(draft, references)
    may_hold = references.may_hold
    for node in draft.bindings.strings:
        # Most strings are none of this, and there are many.
        text = node.value
        if not isinstance(text, str):
            continue
        if may_hold(text):
            strings.worked_out(node)
        elif text[:1] == "." and text != ".":
            strings.relative(node)
    for joined in draft.bindings.joined:
        strings.f_string(joined)
    strings.completed()


class _Strings:
    def __init__(self, draft: Draft, references: References) -> None:
        self._draft = draft
        self._references = references
        self._source = draft.source
        self._parent = draft.bindings.parent
        self._edited: set[int] = set()
        #: Packages above old modules that are named in the file.
        self._packages: set[str] = set()

    # ------------------------------------------------------------------- one string

    def worked_out(self, node: ast.Constant) -> None:
        """A string that holds the first part of an old name."""
        if isinstance(self._parent(node), ast.Expr):
            # It is said of what stands above, as a docstring is.
            return
        text = string_of(node)
        if text in self._draft.lookup.parents:
            self._packages.add(text)
        whole = self._references.whole(text) or self._undotted(node)
        if whole is not None:
            self._named(node, whole)
        elif self._is_type(node) and (chains := chains_in(text)):
            self._type(node, chains)
        elif (begun := self._references.beginning(text)) is not None:
            self._tell(node, begun)

    def _undotted(self, node: ast.Constant) -> Reference | None:
        """Of a module without a dot, which is one only where nothing else can be meant."""
        text = string_of(node)
        is_module = text in self._draft.lookup.modules and self._names_module(node)
        return self._references.of(text) if is_module else None

    def _named(self, node: ast.Constant, found: Reference) -> None:
        parent = self._parent(node)
        is_joined = isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Mod))
        self._replaced(node, found.left(_JOINED) if is_joined else found)

    def _replaced(self, node: ast.Constant, found: Reference) -> None:
        start = text_start(self._source, node)
        if found.text and start is None:
            found = found.left(_IN_PIECES.format(found.new))
        if start is None or not found.text:
            self._tell(node, found)
            return
        text = string_of(node)
        before = len(text[: found.start].encode())
        self._edit(start + before, text[found.start : found.end], found)

    def _edit(self, start: int, old: str, found: Reference) -> None:
        # Twice the same place: Python 3.11 told a wrong one for a string inside of an f-string.
        if start in self._edited:
            self._tell(start, found.left(_IN_PIECES.format(found.new)))
            return
        self._edited.add(start)
        self._draft.edit(start, start + len(old.encode()), found.text.encode())
        self._tell(start, found)

    def _tell(self, at: ast.expr | int, found: Reference) -> None:
        place = at if isinstance(at, int) else self._outer.get(at, at)
        self._draft.found(place, found.rule, found.old, new=found.new, todo=found.todo)

    @functools.cached_property
    def _outer(self) -> dict[ast.AST, ast.expr]:
        """What is in f-strings, and the outermost of them: Python 3.11 is not certain of places inside."""
        every = self._draft.bindings.joined
        inside = {part for joined in every for part in ast.walk(joined) if part is not joined}
        return {part: joined for joined in every if joined not in inside for part in ast.walk(joined)}

    # ------------------------------------------------------------------- where it stands

    def _names_module(self, node: ast.Constant) -> bool:
        parent = self._parent(node)
        if isinstance(parent, ast.Call):
            return parent.args[:1] == [node] and (_last(parent.func) in _OF_MODULES or _is_modules(parent.func))
        if isinstance(parent, ast.keyword):
            return parent.arg == "name" and _last(self._given_to(parent)) in _OF_MODULES
        if isinstance(parent, ast.Compare):
            return any(_last(one) == "modules" for one in parent.comparators)
        if isinstance(parent, ast.Dict):
            return _last(self._given_to(parent)) == "dict" and node in parent.keys
        return isinstance(parent, ast.Subscript) and _last(parent.value) == "modules"

    def _given_to(self, argument: ast.AST) -> ast.expr | None:
        """The function that an argument is given to."""
        return self._functions.get(argument)

    @functools.cached_property
    def _functions(self) -> dict[ast.AST, ast.expr]:
        calls = [node for node in ast.walk(self._source.tree) if isinstance(node, ast.Call)]
        return {argument: call.func for call in calls for argument in (*call.args, *call.keywords)}

    def _is_type(self, node: ast.Constant) -> bool:
        parent = self._parent(node)
        if isinstance(parent, ast.Call):
            return _last(parent.func) in _OF_TYPES
        if isinstance(parent, ast.keyword):
            return parent.arg in _TYPE_KEYWORDS
        return isinstance(parent, ast.Subscript) or self._draft.bindings.is_annotation(node)

    # ------------------------------------------------------------------- types

    def _type(self, node: ast.Constant, chains: Sequence[Chain]) -> None:
        start = text_start(self._source, node)
        for dotted, offset in chains:
            found = self._references.of(dotted)
            if found is None:
                continue
            if start is None or offset is None:
                self._tell(node, found.left(_IN_PIECES.format(found.new)))
            elif found.text:
                self._edit(start + offset, dotted, found)
            else:
                self._tell(start + offset, found)

    # ------------------------------------------------------------------- names that are put together

    def f_string(self, node: ast.JoinedStr) -> None:
        """An f-string: what begins with an old name is completed when it runs, so a person has to see to it."""
        texts = [string_of(part) if isinstance(part, ast.Constant) else None for part in node.values]
        for index, text in enumerate(texts):
            if text is None or not self._references.may_hold(text):
                continue
            goes_on = index + 1 < len(texts)
            found = self._in_f_string(text, goes_on=goes_on, is_first=index == 0)
            if found is not None:
                self._tell(node, found.left(_IN_PIECES.format(found.new)))

    def _in_f_string(self, text: str, *, goes_on: bool, is_first: bool) -> Reference | None:
        if not goes_on:
            return (self._references.whole(text) or self._references.beginning(text)) if is_first else None
        if is_first or text.endswith("."):
            return self._references.beginning(text, goes_on=True)
        return None

    def completed(self) -> None:
        """What makes an old name of a package above it that the file names as well: `package + ".module"`."""
        if not self._packages:
            return
        for node in self._draft.bindings.strings:
            if isinstance(self._parent(node), (ast.Attribute, ast.BinOp)):
                self._continues(node, string_of(node))
        for joined in self._draft.bindings.joined:
            for part in joined.values[1:]:
                if isinstance(part, ast.Constant):
                    self._continues(joined, string_of(part))

    def _continues(self, node: ast.expr, text: str) -> None:
        match = _goes_on.match(text)
        if match is None:
            return
        for package in sorted(self._packages):
            found = self._references.of(package + match[1])
            if found is not None:
                self._tell(node, found.left(_JOINED))
                return

    # ------------------------------------------------------------------- relative names

    def relative(self, node: ast.Constant) -> None:
        """`import_module(".module", package)`, whose new name is absolute."""
        parent = self._parent(node)
        if not isinstance(parent, ast.Call) or _last(parent.func) not in _OF_MODULES or parent.args[:1] != [node]:
            return
        text = string_of(node)
        for absolute in self._absolute(text, parent):
            found = self._references.of(absolute)
            if found is not None:
                self._replaced(node, found._replace(start=0, end=len(text)))
                return

    def _absolute(self, relative: str, call: ast.Call) -> tuple[str, ...]:
        rest = relative.lstrip(".")
        level = len(relative) - len(rest)
        given = [*call.args[1:2], *(one.value for one in call.keywords if one.arg == "package")]
        package = given[0] if given else None
        if isinstance(package, ast.Constant) and isinstance(package.value, str):
            parts = package.value.split(".")
            return (".".join([*parts[: len(parts) - level + 1], rest]),)
        is_own = isinstance(package, ast.Name) and package.id == "__package__"
        return self._draft.place.absolute(level, rest) if is_own else ()


def _last(function: ast.expr | None) -> str:
    """The last part of a dotted name; empty if it is none."""
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _is_modules(function: ast.expr) -> bool:
    """Whether it is a method of `sys.modules`."""
    return isinstance(function, ast.Attribute) and _last(function.value) == "modules"
