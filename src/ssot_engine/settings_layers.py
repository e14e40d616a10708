"""The layers of the settings: what each source says, environment, `.env`, file and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from ssot_engine.errors import ConfigError
from ssot_engine.settings_file import CONFIG_VARIABLE, read_file
from ssot_engine.settings_tree import DELIMITER, PREFIX, SettingPath, variable

__all__ = ["Layer", "layers"]


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says."""

    #: "environment", ".env", "argument", or the path of the YAML file.
    source: str
    #: Sections with their values; nothing is checked yet.
    values: Mapping[str, Any]
    #: Names of the source's variables with our prefix, in lower case; empty unless it is an environment.
    variables: tuple[str, ...] = ()

    def spells(self, path: SettingPath) -> bool:
        """Whether a variable names `path` or something below it; a value inside a section's JSON has none."""
        name = variable(path).lower()
        return any(one == name or one.startswith(name + DELIMITER) for one in self.variables)

    def variable_paths(self) -> Iterator[SettingPath]:
        """The paths the variables name, whether or not there are such settings."""
        for name in self.variables:
            yield tuple(name.removeprefix(PREFIX.lower()).split(DELIMITER))

    def origin(self, path: SettingPath) -> str:
        """Where the value at `path` came from, for people."""
        if self.source == "environment":
            return f"environment {variable(path if self.spells(path) else path[:-1])}"
        return self.source if self.source in (".env", "argument") else f"file {self.source}"


def layers(settings: type[BaseSettings], config: str | Path | None, arguments: Mapping[str, Any]) -> Iterator[Layer]:
    """What each source says, lowest precedence first; `config` is the YAML file, else the one CONFIG_VARIABLE names.

    Raises:
        ConfigError: the file or `.env` cannot be read.
    """
    environment = _Environment(settings)
    try:
        dotenv = _DotEnv(settings, env_file=".env")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"file '.env' cannot be read: {error}; repair it or move it away") from error
    named = CONFIG_VARIABLE.lower()
    config = config or environment.env_vars.get(named) or dotenv.env_vars.get(named)
    if config:
        yield Layer(str(config), read_file(Path(config)))
    yield _layer(".env", dotenv)
    yield _layer("environment", environment)
    yield Layer("argument", arguments)


def _layer(source: str, environment: EnvSettingsSource) -> Layer:
    prefix, config = PREFIX.lower(), CONFIG_VARIABLE.lower()
    ours = tuple(name for name in environment.env_vars if name.startswith(prefix) and name != config)
    return Layer(source, environment(), ours)


class _Environment(EnvSettingsSource):
    """Variables, of which undecodable JSON stays text, so that validation says which one is wrong."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class _DotEnv(_Environment, DotEnvSettingsSource):
    """A `.env` file, which may serve other programs too: what is not ours is left out."""

    __call__ = EnvSettingsSource.__call__
