"""Old dotted names in YAML, TOML and INI files."""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter

from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.source import Edit, NotReadable, edited
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.config_text import Format, Part, format_of, mapped
from ssot_engine.migrate.texts.references import Reference, References

#: Endings of the files that are looked at.
ENDINGS = (".yaml", ".yml", ".toml", ".ini", ".cfg")

_BOM = b"\xef\xbb\xbf"
#: How a file in UTF-16 begins.
UTF16 = (b"\xff\xfe", b"\xfe\xff")
_line_end = re.compile(r"\r\n|\n|\r")

_ESCAPED = "it is written with escapes or over several lines; write {} in its place"
_A_PATH = "it is a path of keys and not one name; write {} in its place, if that is meant"
_NOT_PROVEN = "the file would not say the same with it; write {} in its place"


def rewrite_config(raw: bytes, path: str, lookup: Lookup, exports: Exports) -> tuple[list[Edit], list[Finding]]:
    """What is to become of such a file: edits in its own bytes, and findings.

    Raises:
        NotReadable: it holds old names and cannot be parsed.
    """
    references = References(lookup, exports, Rule.CONFIG)
    text = _text(raw, references)
    if not references.may_hold(text):
        return [], []
    form = format_of(path)
    try:
        meaning = form.meaning(text)
    except NotReadable:
        if next(references.within(text), None) is None:
            return [], []
        raise
    config = _Config(text, form, references)
    config.work_out()
    config.prove(meaning)
    return config.edits(len(_BOM) if raw.startswith(_BOM) else 0), config.findings(path)


def _text(raw: bytes, references: References) -> str:
    """What is written in a file, without a byte order mark; empty if it is in another encoding and holds nothing."""
    try:
        return raw.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-16" if raw.startswith(UTF16) else "latin-1", "replace")
    found = next(references.within(text), None)
    if found is None:
        return ""
    line = len(_line_end.findall(text, 0, found.start)) + 1
    raise NotReadable(f"names {found.old} and is not in UTF-8; convert it", line)


class _Config:
    """A file, and all old names in it, by where they are in its text."""

    def __init__(self, text: str, form: Format, references: References) -> None:
        self._text = text
        self._form = form
        self._references = references
        self._found: list[tuple[int, Reference]] = []
        #: Values that stay as they are.
        self._kept: set[str] = set()

    def work_out(self) -> None:
        """Find them in all keys and values."""
        for part in self._form.parts(self._text):
            if not self._references.may_hold(part.value):
                continue
            if part.is_path:
                self._path(part)
            else:
                self._value(part)

    def _value(self, part: Part) -> None:
        written = list(self._references.within(self._text[part.start : part.end]))
        meant = list(self._references.within(part.value))
        if [one.old for one in written] == [one.old for one in meant]:
            self._found += ((part.start + one.start, one) for one in written)
        else:
            self._kept.add(part.value)
            self._found += ((part.start, one.left(_ESCAPED.format(one.new))) for one in meant)

    def _path(self, part: Part) -> None:
        names = part.value.split(".")
        for index in range(len(names)):
            found = self._references.of(".".join(names[index:]))
            if found is not None:
                self._found.append((part.start, found.left(_A_PATH.format(found.new))))
                return

    # ------------------------------------------------------------------- the proof

    def prove(self, meaning: object) -> None:
        """Leave all to a person if the file, rewritten, would not mean the same with the names mapped."""
        if any(one.text for _, one in self._found) and not self._holds(meaning):
            self._found = [(at, one.left(_NOT_PROVEN.format(one.new))) for at, one in self._found]

    def _holds(self, meaning: object) -> bool:
        after = edited(self._text.encode(), self.edits(0)).decode()
        try:
            return bool(_same(self._form.meaning(after)) == mapped(meaning, self._changed))
        except NotReadable:
            return False

    def _changed(self, value: str) -> str:
        if value in self._kept or not self._references.may_hold(value):
            return value
        for one in reversed(list(self._references.within(value))):
            if one.text:
                value = value[: one.start] + one.text + value[one.end :]
        return value

    # ------------------------------------------------------------------- what is said

    def edits(self, begin: int) -> list[Edit]:
        """In bytes of the file, whose text begins at `begin`."""
        edits, at, offset = [], 0, begin
        for start, one in sorted(self._found, key=itemgetter(0)):
            if not one.text:
                continue
            offset += len(self._text[at:start].encode())
            length = one.end - one.start
            at = start
            edits.append(Edit(offset, offset + len(self._text[start : start + length].encode()), one.text.encode()))
        return edits

    def findings(self, path: str) -> list[Finding]:
        """What there is to tell, in the order of the file."""
        starts = [0, *(match.end() for match in _line_end.finditer(self._text))]
        findings = []
        for at, one in sorted(self._found, key=itemgetter(0)):
            index = bisect_right(starts, at) - 1
            line, column = index + 1, at - starts[index] + 1
            findings.append(
                Finding(path=path, line=line, column=column, rule=one.rule, old=one.old, new=one.new, todo=one.todo)
            )
        return findings


def _same(meaning: object) -> object:
    """A meaning as `mapped` gives it."""
    return mapped(meaning, str)
