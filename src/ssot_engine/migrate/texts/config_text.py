"""The keys and values of YAML, TOML and INI files: where they are written, and what all of them mean."""

from __future__ import annotations

import configparser
import functools
import re
import tomllib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from ssot_engine.migrate.source import NotReadable


class Part(NamedTuple):
    """A key or a value at characters `start` to `end`, its quotes left out."""

    start: int
    end: int
    #: What it means: as it is written, but for escapes and folded lines.
    value: str
    #: Whether it is a path of keys, `a.b.c` without quotes.
    is_path: bool = False


class Format(Protocol):
    """What the three kinds of files have in common."""

    def meaning(self, text: str) -> Any:
        """What a file says: mappings, lists and tuples of text and other things, to be compared with another's.

        Raises:
            NotReadable: it is none of this kind.
        """
        raise NotImplementedError

    def parts(self, text: str) -> Iterator[Part]:
        """All its keys and values; it has a meaning."""
        raise NotImplementedError


def mapped(meaning: Any, change: Callable[[str], str]) -> Any:
    """The same meaning with all its text changed."""
    if isinstance(meaning, str):
        return change(meaning)
    if isinstance(meaning, dict):
        return {mapped(key, change): mapped(value, change) for key, value in meaning.items()}
    if isinstance(meaning, (list, tuple)):
        return [mapped(one, change) for one in meaning]
    return meaning


# ------------------------------------------------------------------ TOML

_toml_token = re.compile(
    r"""
    (?P<comment> \#[^\n]*+ )
    | (?P<long> "{3} (?: [^"\\] | \\. | "{1,2}(?!") )*+ "{3,5} | '{3} (?: [^'] | '{1,2}(?!') )*+ '{3,5} )
    | (?P<short> " (?: [^"\\\n] | \\. )*+ " | '[^'\n]*+' )
    | (?P<bare> [\w-]++ (?: [ \t]*+ \. [ \t]*+ [\w-]++ )*+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_toml_line = re.compile(r"at line (\d+)")


class Toml:
    """TOML."""

    def meaning(self, text: str) -> Any:
        """Its tables, numbers as they are written."""
        try:
            return tomllib.loads(text, parse_float=_as_written)
        except tomllib.TOMLDecodeError as error:
            line = _toml_line.search(str(error))
            raise NotReadable(f"is no TOML: {error}", int(line[1]) if line else None) from error
        except RecursionError as error:
            raise NotReadable("is no TOML that can be read: it is nested too deeply") from error

    def parts(self, text: str) -> Iterator[Part]:
        """Its strings, quoted keys and paths of bare keys."""
        for match in _toml_token.finditer(text):
            start, end = match.span()
            if match["bare"]:
                yield Part(start, end, match[0].replace(" ", "").replace("\t", ""), is_path=True)
            elif not match["comment"]:
                quote = 3 if match["long"] else 1
                yield Part(start + quote, end - quote, _toml_string(match[0], quote))


def _toml_string(literal: str, quote: int) -> str:
    if literal[0] == "'" or "\\" not in literal:
        return literal[quote:-quote]
    return str(tomllib.loads(f"v = {literal}")["v"])


def _as_written(number: str) -> tuple[str]:
    # Not a number is not equal to itself; in a tuple it is no text either.
    return (number,)


# ------------------------------------------------------------------ INI

_ini_line = re.compile(r"[^\r\n]++")
_ini_comment = re.compile(r"\s*+[#;]")
_inline_comment = re.compile(r"(?<=\s)#")
_ini_option = re.compile(r"[^=:]*+[=:]")


class Ini:
    """What `configparser` reads; behind a blank, # begins a comment."""

    def meaning(self, text: str) -> Any:
        """Its sections, and whether all of them are there once."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        try:
            return True, _ini_sections(text, strict=True)
        except (configparser.DuplicateSectionError, configparser.DuplicateOptionError):
            return False, _ini_sections(text, strict=False)

    def parts(self, text: str) -> Iterator[Part]:
        """Its sections' names, its options and values, line by line."""
        for match in _ini_line.finditer(text):
            start, end = match.span()
            comment = _ini_comment.match(text, start, end) or _inline_comment.search(text, start, end)
            end = end if comment is None else comment.start()
            option = None if match[0][0] in "[ \t" else _ini_option.match(text, start, end)
            for begin, stop in [(start, end)] if option is None else [(start, option.end() - 1), (option.end(), end)]:
                yield Part(begin, stop, text[begin:stop])


def _ini_sections(text: str, *, strict: bool) -> Any:
    parser = configparser.RawConfigParser(strict=strict, allow_no_value=True, inline_comment_prefixes=("#",))
    # As it is written: by default names are in lower case.
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        raise NotReadable("is no INI file: it begins without a section", error.lineno) from error
    except configparser.ParsingError as error:
        raise NotReadable("is no INI file", error.errors[0][0] if error.errors else None) from error
    return dict(parser.defaults()), {name: dict(parser.items(name)) for name in parser.sections()}


# ------------------------------------------------------------------ YAML


_line_end = re.compile(r"[\r\n]")


@functools.cache
def _yaml() -> tuple[ModuleType, Any]:
    """PyYAML and its fastest reader; imported where there is such a file, as few processes meet one."""
    import yaml

    return yaml, getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Yaml:
    """YAML, of several documents and with any tags."""

    def meaning(self, text: str) -> Any:
        """What its parser says one after the other, and how many keys are there twice."""
        yaml, loader = _yaml()
        try:
            events = list(yaml.parse(text, Loader=loader))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or error
            raise NotReadable(f"is no YAML: {reason}", None if mark is None else mark.line + 1) from error
        return [_said(event) for event in events], _doubles(events)

    def parts(self, text: str) -> Iterator[Part]:
        """Its scalars, be they keys or values, and its tags."""
        yaml, loader = _yaml()
        for token in yaml.scan(text, Loader=loader):
            start, end = token.start_mark.index, token.end_mark.index
            if isinstance(token, yaml.TagToken):
                yield Part(start, end, token.value[1] or "")
            elif isinstance(token, yaml.ScalarToken):
                if token.style in ("|", ">"):
                    # Its first line may have a comment.
                    header = _line_end.search(text, start, end)
                    start = end if header is None else header.end()
                yield Part(start, end, token.value)


def _said(event: Any) -> tuple[object, ...]:
    """Of a step of the parser, what counts; an anchor is no text."""
    anchor = getattr(event, "anchor", None)
    return type(event), getattr(event, "value", None), getattr(event, "tag", None), anchor and anchor.encode()


def _doubles(events: list[Any]) -> int:
    """How many keys a mapping has twice."""
    yaml, _ = _yaml()
    doubles = 0
    around = [_Collection(is_mapping=False)]
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            around.pop()
        elif isinstance(event, yaml.NodeEvent):
            doubles += around[-1].has_already(getattr(event, "value", None))
            if isinstance(event, yaml.CollectionStartEvent):
                around.append(_Collection(is_mapping=isinstance(event, yaml.MappingStartEvent)))
    return doubles


class _Collection:
    """A collection whose end was not met yet."""

    def __init__(self, *, is_mapping: bool) -> None:
        self._is_mapping = is_mapping
        self._count = 0
        self._keys: set[str] = set()

    def has_already(self, value: str | None) -> bool:
        """Take in what comes next; whether it is a key that was there before."""
        self._count += 1
        if not self._is_mapping or self._count % 2 == 0 or value is None:
            return False
        known = value in self._keys
        self._keys.add(value)
        return known


def format_of(path: str) -> Format:
    """How a file of this name is written."""
    if path.endswith((".yaml", ".yml")):
        return Yaml()
    return Toml() if path.endswith(".toml") else Ini()
