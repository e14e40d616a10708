"""What is wrong with the settings, in words an operator understands."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from ssot_engine.errors import ConfigError
from ssot_engine.redaction import redact_text
from ssot_engine.settings_file import CONFIG_VARIABLE
from ssot_engine.settings_tree import SettingPath, SettingTree, dotted, variable

__all__ = ["HIDDEN", "SettingsError", "SettingsProblem", "not_a_branch", "unknown", "wrong"]

#: What is shown in place of a secret setting.
HIDDEN = "**********"

_VARIABLES = ("environment", ".env")
_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsProblem:
    """One thing wrong with one setting."""

    #: Dotted name as in YAML: "engine.max_engines".
    setting: str
    #: Environment variable that sets it: "SSOT_ENGINE_ENGINE__MAX_ENGINES".
    variable: str
    #: Who gave the value: "environment", ".env", "argument", or the path of the YAML file.
    source: str
    #: The value as text, secrets hidden; None where the setting is unknown and its value may be anything.
    value: str | None
    #: What is wrong and what to do.
    message: str

    def __str__(self) -> str:
        return f"{self._place()}: {self.message if self.value is None else f'{self.value} {self.message}'}"

    def _place(self) -> str:
        if self.source in _VARIABLES:
            return f"{self.variable} (from {self.source})"
        return f"{self.setting} (argument)" if self.source == "argument" else f"{self.setting} in {self.source}"


class SettingsError(ConfigError):
    """The settings cannot be used; `problems` holds everything that is wrong with them."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def unknown(tree: SettingTree, path: SettingPath, source: str) -> SettingsProblem:
    """There is no setting at `path`."""
    # A key that exists elsewhere in the tree is in the wrong section, or has none.
    close = [_spelled(name, source) for name in tree.fields if name[-1] == path[-1]]
    if not close:
        known = [CONFIG_VARIABLE, *(_spelled(name, source) for name in tree.fields)]
        close = difflib.get_close_matches(_spelled(path, source), known, n=1, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else "`ssot-engine config show` lists every setting"
    return _problem(path, source, None, f"unknown setting; {hint}")


def not_a_branch(tree: SettingTree, path: SettingPath, source: str, value: object) -> SettingsProblem:
    """The section or table at `path` is given `value`, which holds no settings."""
    below = [name for name in tree.fields if name[:-1] == path] or [(*path, "NAME")]
    names = [_spelled(name, source) for name in below[:3]] + ["…"] * (len(below) > 3)
    return _problem(path, source, _safe(tree, path, value), f"is one value for a section; set {', '.join(names)}")


def wrong(tree: SettingTree, path: SettingPath, source: str, value: object, error: ErrorDetails) -> SettingsProblem:
    """pydantic refuses the `value` of the setting at `path` with `error`."""
    field = tree[path]
    message = f"{_in_words(error)}. {field.description}. Default: {field.default!r}"
    return _problem(path, source, _safe(tree, path, value), message)


def _problem(path: SettingPath, source: str, value: str | None, message: str) -> SettingsProblem:
    return SettingsProblem(setting=dotted(path), variable=variable(path), source=source, value=value, message=message)


def _spelled(path: SettingPath, source: str) -> str:
    """The setting's name as one writes it in `source`."""
    return variable(path) if source in _VARIABLES else dotted(path)


def _safe(tree: SettingTree, path: SettingPath, value: object) -> str:
    if tree.is_secret(path):
        return HIDDEN
    text = redact_text(repr(value))  # before it is cut: half a secret has no shape
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# pydantic's error types in our words; `{}` names are the error's own data.
_WORDS: dict[str, str] = {
    "int_parsing": "is not an integer",
    "int_type": "is not an integer",
    "int_from_float": "is not an integer",
    "int_parsing_size": "is too large an integer",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is not true or false",
    "bool_type": "is not true or false",
    "string_type": "is not text",
    "string_too_short": "is too short; give at least {min_length} character",
    "tuple_type": 'is not a list; in an environment variable write JSON, such as ["a", "b"]',
    "missing": "has too few items",
    "too_long": "has too many items; give {max_length}",
    "greater_than": "is too small; give more than {gt}",
    "greater_than_equal": "is too small; give at least {ge}",
    "less_than_equal": "is too large; give at most {le}",
    "literal_error": "is not one of {expected}",
    "value_error": "{error}",
}


def _in_words(error: ErrorDetails) -> str:
    words = _WORDS.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else f"is refused: {error['msg']}"
