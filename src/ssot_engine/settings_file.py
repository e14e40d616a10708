"""The YAML file of the settings: how it is read, and the ones that come with the package."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ssot_engine.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "packaged", "read_file"]

#: Environment variable that names the file where no argument does.
CONFIG_VARIABLE = "SSOT_ENGINE_CONFIG"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, except that a key given twice is an error: the first one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_file(path: Path, *, called: str = "config file", section: str = "engine") -> Mapping[str, Any]:
    """The sections in the file at `path`; an empty file has none. Errors call it so, and `section` is an example.

    Raises:
        ConfigError: it is missing, unreadable or no YAML mapping.
    """
    values = _parsed(_contents(path, called), path, called)
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise ConfigError(f"{called} {str(path)!r} holds a {kind}, not a mapping; write sections such as '{section}:'")
    return values


def _contents(path: Path, called: str) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except FileNotFoundError:
        hint = f"correct --config or {CONFIG_VARIABLE}"
        raise ConfigError(f"{called} {str(path)!r} does not exist; {hint}") from None
    except OSError as error:
        raise ConfigError(f"{called} {str(path)!r} cannot be read: {error.strerror}") from error


def _parsed(text: bytes, path: Path, called: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the line, which may hold a secret.
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = f"{error.problem}{place}"
        raise ConfigError(f"{called} {str(path)!r} is not valid YAML: {problem}; correct it") from None
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a date that is none, such as 2020-13-45.
        raise ConfigError(f"{called} {str(path)!r} is not valid YAML: {error}; correct it") from error


def packaged(name: str) -> Path:
    """Path of the config file `name` that comes with the package, such as "production.yaml".

    Raises:
        ConfigError: there is no such file.
    """
    package = Path(__file__).parent
    # A wheel carries config/ inside the package; a checkout (editable install) has it beside src/.
    for folder in (package / "config", package.parents[1] / "config"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"packaged config file {name!r} does not exist; reinstall ssot-engine or correct the name")
