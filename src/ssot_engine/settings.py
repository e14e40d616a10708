"""Every setting of the product, checked, and where its value came from.

Precedence, highest first: argument, environment (`SSOT_ENGINE_WEB__PORT`), `.env` in the working directory, the YAML
file given to `Settings.load` or named by `SSOT_ENGINE_CONFIG`, default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ssot_engine.redaction import redact_text
from ssot_engine.settings_file import packaged
from ssot_engine.settings_layers import Layer, layers
from ssot_engine.settings_problems import HIDDEN, SettingsError, SettingsProblem, not_a_branch, unknown, wrong
from ssot_engine.settings_sections import (
    AgentSettings,
    AuthSettings,
    ContextSettings,
    EngineSettings,
    EventSettings,
    GcSettings,
    LegacySettings,
    LogSettings,
    ModelSettings,
    RunSettings,
    WebSettings,
)
from ssot_engine.settings_tree import DELIMITER, PREFIX, SettingPath, SettingTree, dotted, nested

__all__ = [
    "AgentSettings",
    "AuthSettings",
    "ContextSettings",
    "EngineSettings",
    "EventSettings",
    "GcSettings",
    "LegacySettings",
    "LogSettings",
    "ModelSettings",
    "RunSettings",
    "SettingLine",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "WebSettings",
    "explain",
    "packaged",
    "schema",
]

# The value each path is given, by the highest layer that gives one.
_Given = dict[SettingPath, tuple[Layer, Any]]


class Settings(BaseSettings):
    """Every setting, checked. `Settings()` honours the environment, `.env` and `SSOT_ENGINE_CONFIG`.

    Keyword arguments are sections: mappings are merged over the other sources, section values replace them.

    Raises:
        SettingsError: a value or a name is wrong; it lists all that are.
        ConfigError: the config file or `.env` cannot be read.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        title="ssot-engine settings",
    )

    engine: EngineSettings = Field(default=EngineSettings(), description="Limits of engines and runs")
    context: ContextSettings = Field(default=ContextSettings(), description="How strictly identities are checked")
    events: EventSettings = Field(default=EventSettings(), description="Where events are kept, how many and how long")
    runs: RunSettings = Field(default=RunSettings(), description="Where submitted runs execute")
    web: WebSettings = Field(
        default=WebSettings(), description="The address of `ssot-engine serve`, and what one client may ask of it"
    )
    auth: AuthSettings = Field(default=AuthSettings(), description="How a request proves whose it is")
    agents: AgentSettings = Field(
        default=AgentSettings(), description="Which agents are there besides the registered ones"
    )
    model: ModelSettings = Field(default=ModelSettings(), description="The language model of agents that use one")
    providers: dict[str, str] = Field(
        default={},
        description="Provider name: dotted path of the class that replaces it, such as bridge: myhost.bridges.Bridge",
    )
    legacy: LegacySettings = Field(
        default=LegacySettings(), description="What code that uses old names is granted, and how it is told"
    )
    log: LogSettings = Field(default=LogSettings(), description="The process's own log")
    gc: GcSettings = Field(default=GcSettings(), description="Python's garbage collector")

    # Where each given value came from; a setting not in here has its default.
    _origins: dict[SettingPath, str] = PrivateAttr(default_factory=dict)

    def __init__(self, config: str | Path | None = None, /, **sections: Any) -> None:
        model = type(self)
        tree = SettingTree(model)
        given: _Given = {}
        problems: list[SettingsProblem] = []
        for layer in layers(model, config, sections):
            problems += _take(tree, layer, given)
        try:
            super().__init__(**nested({path: value for path, (_, value) in given.items()}))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                path = _given_path(detail["loc"], given)
                layer, value = given[path]
                problems.append(wrong(tree, path, layer.source, value, detail))
        if problems:  # outside of `except`: pydantic's error quotes every value
            raise SettingsError(problems)
        self._origins = {path: layer.origin(path) for path, (layer, _) in given.items()}

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: Any) -> Self:
        """The settings with the YAML file at `path`, or else the one named by `SSOT_ENGINE_CONFIG`, under `overrides`.

        Raises:
            SettingsError: a value or a name is wrong; it lists all that are.
            ConfigError: the file is missing, unreadable or no YAML mapping.
        """
        return cls(path, **overrides)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but the arguments: `__init__` has read the sources already, one by one, to know who gave what."""
        return (init_settings,)

    def __eq__(self, other: object) -> bool:
        """Equal values are equal settings, wherever they came from."""
        return isinstance(other, Settings) and dict(self) == dict(other)


def _take(tree: SettingTree, layer: Layer, given: _Given) -> Iterator[SettingsProblem]:
    """Puts what `layer` says over `given`; yields what cannot be put there."""
    for path in layer.variable_paths():
        if path not in tree:
            yield unknown(tree, path, layer.source)
    for path, value in tree.leaves(layer.values):
        if path in tree.branches:
            yield not_a_branch(tree, path, layer.source, value)
        elif path in tree:
            given[path] = (layer, value)
        elif not layer.spells(path):
            yield unknown(tree, path, layer.source)


def _given_path(loc: Sequence[int | str], given: _Given) -> SettingPath:
    """The setting an error at `loc` belongs to: an item of a list is its list."""
    path = tuple(str(step) for step in loc)
    while path and path not in given:
        path = path[:-1]
    return path


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting as it stands: dotted name, value as plain YAML data (secrets hidden), and where it came from."""

    name: str
    value: Any
    #: "default", "environment SSOT_ENGINE_…", ".env", "file config/x.yaml" or "argument".
    source: str


def explain(settings: Settings) -> list[SettingLine]:
    """Every setting as it stands, in the order of the tree; an empty table comes last."""
    tree = SettingTree(type(settings))
    values = dict(tree.leaves(settings.model_dump(mode="json")))
    filled = {path[:-1] for path in values}
    values |= {table: {} for table in tree.fields if table in tree.tables - filled}
    return [
        SettingLine(dotted(path), _shown(tree, path, value), settings._origins.get(path, "default"))
        for path, value in values.items()
    ]


def _shown(tree: SettingTree, path: SettingPath, value: Any) -> Any:
    if tree.is_secret(path):
        return None if value is None else HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def schema() -> dict[str, Any]:
    """JSON Schema of the whole tree, for editors and `config schema`."""
    return Settings.model_json_schema()
