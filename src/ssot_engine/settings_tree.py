"""The tree of the settings: which paths there are, what stands at each, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from ssot_engine.redaction import is_secret_key

__all__ = ["DELIMITER", "PREFIX", "SettingPath", "SettingTree", "dotted", "nested", "variable"]

PREFIX = "SSOT_ENGINE_"
DELIMITER = "__"

#: The keys that lead to a value: ("engine", "max_engines").
SettingPath = tuple[str, ...]


def variable(path: SettingPath) -> str:
    """The environment variable of `path`."""
    return PREFIX + DELIMITER.join(path).upper()


def dotted(path: SettingPath) -> str:
    """The name of `path` as people write it: "engine.max_engines"."""
    return ".".join(path)


def nested(leaves: Mapping[SettingPath, Any]) -> dict[str, Any]:
    """The mapping of mappings that has `leaves`."""
    tree: dict[str, Any] = {}
    for (*above, last), value in leaves.items():
        branch = tree
        for name in above:
            branch = branch.setdefault(name, {})
        branch[last] = value
    return tree


class SettingTree:
    """The settings of a model by their paths; an entry of a table, whose keys are free, is described by the table."""

    def __init__(self, model: type[BaseModel]) -> None:
        #: Every section, table and setting, in the order they are declared.
        self.fields = dict(_fields(model))
        #: Mappings with free keys.
        self.tables = {path for path, field in self.fields.items() if get_origin(field.annotation) is dict}
        #: Where values stand below the path, not at it.
        self.branches = self.tables | {path for path, field in self.fields.items() if _section(field)}

    def __contains__(self, path: SettingPath) -> bool:
        return self._described(path) in self.fields

    def __getitem__(self, path: SettingPath) -> FieldInfo:
        return self.fields[self._described(path)]

    def _described(self, path: SettingPath) -> SettingPath:
        return path[:-1] if path[:-1] in self.tables else path

    def is_secret(self, path: SettingPath) -> bool:
        """Whether nobody may see the value at `path`: its type or its name says so."""
        annotation = self[path].annotation
        kinds = (annotation, *get_args(annotation))
        return is_secret_key(path[-1]) or SecretStr in kinds or SecretBytes in kinds

    def leaves(self, values: Mapping[Any, Any], above: SettingPath = ()) -> Iterator[tuple[SettingPath, Any]]:
        """Every one of `values` with its path; a branch given something else than a mapping is a leaf here."""
        for key, value in values.items():
            path = (*above, str(key))
            below = dict(value) if isinstance(value, BaseModel) else value
            if path not in self.branches:
                yield path, value
            elif isinstance(below, Mapping):
                yield from self.leaves(below, path)
            elif below is not None:  # a section of comments only is an empty one
                yield path, value


def _section(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _fields(model: type[BaseModel], above: SettingPath = ()) -> Iterator[tuple[SettingPath, FieldInfo]]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        yield path, field
        if (section := _section(field)) is not None:
            yield from _fields(section, path)
