"""Settings: precedence, what is refused and in which words, provenance, and the config files that ship."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, Field, SecretStr
from pydantic.fields import FieldInfo

from ssot_engine.errors import ConfigError
from ssot_engine.settings import (
    EngineSettings,
    EventSettings,
    SettingLine,
    Settings,
    SettingsError,
    SettingsProblem,
    explain,
    packaged,
    schema,
)


@pytest.fixture(autouse=True)
def _empty_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts in an empty folder and without our environment variables."""
    for name in [name for name in os.environ if name.upper().startswith("SSOT_ENGINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "app.yaml") -> str:
    """The name of a file in the working directory that holds `text`."""
    Path(name).write_text(text, encoding="utf-8")
    return name


def problems_of(config: str | None = None, **sections: object) -> tuple[SettingsProblem, ...]:
    """What the settings are refused for."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(config, **sections)
    return caught.value.problems


def text_of(config: str | None = None, **sections: object) -> str:
    """The whole text of the refusal."""
    return "\n".join(str(problem) for problem in problems_of(config, **sections))


def sources(settings: Settings) -> dict[str, str]:
    """The origin of every setting that has not its default."""
    return {line.name: line.source for line in explain(settings) if line.source != "default"}


# ------------------------------------------------------------------ precedence


def test_nothing_given_is_the_defaults() -> None:
    """Without any source every setting has its default."""
    settings = Settings()
    assert (settings.engine.max_engines_per_user, settings.events.url, settings.gc.threshold) == (10, "memory://", None)
    assert sources(settings) == {}


def test_each_source_beats_the_ones_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, environment, `.env`, file, default: each setting comes from the highest source that gives it."""
    config = written(
        "engine: {max_engines: 1, max_waiting: 1, history_runs: 1, max_agent_depth: 1}\nweb: {port: 1}", "x.yaml"
    )
    written(
        "SSOT_ENGINE_ENGINE__MAX_WAITING=2\nSSOT_ENGINE_ENGINE__HISTORY_RUNS=2\nSSOT_ENGINE_ENGINE__MAX_AGENT_DEPTH=2",
        ".env",
    )
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__HISTORY_RUNS", "3")
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__MAX_AGENT_DEPTH", "3")
    settings = Settings.load(config, engine={"max_agent_depth": 4})
    engine = settings.engine
    assert (engine.max_engines, engine.max_waiting, engine.history_runs, engine.max_agent_depth) == (1, 2, 3, 4)
    assert (settings.web.port, engine.max_engines_per_user) == (1, 10)
    assert sources(settings) == {
        "engine.max_engines": "file x.yaml",
        "engine.max_waiting": ".env",
        "engine.history_runs": "environment SSOT_ENGINE_ENGINE__HISTORY_RUNS",
        "engine.max_agent_depth": "argument",
        "web.port": "file x.yaml",
    }


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_variable_names_the_config_file(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Plain `Settings()` reads the file that SSOT_ENGINE_CONFIG names, in the environment or in `.env`."""
    config = written("web: {port: 1}")
    if where == "environment":
        monkeypatch.setenv("SSOT_ENGINE_CONFIG", config)
    else:
        written(f"SSOT_ENGINE_CONFIG={config}", ".env")
    assert Settings().web.port == 1


def test_a_given_path_replaces_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load(path)` reads its own file and not the one SSOT_ENGINE_CONFIG names, which need not exist."""
    monkeypatch.setenv("SSOT_ENGINE_CONFIG", "absent.yaml")
    assert Settings.load(Path(written("web: {port: 1}"))).web.port == 1


def test_an_empty_config_variable_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSOT_ENGINE_CONFIG set to nothing, as compose files do, is not set."""
    monkeypatch.setenv("SSOT_ENGINE_CONFIG", "")
    assert Settings() == Settings()


def test_variables_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is case-insensitive."""
    monkeypatch.setenv("ssot_engine_web__Port", "1")
    assert Settings().web.port == 1


def test_json_in_a_variable_gives_a_section_a_list_or_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of a section or of a list holds JSON, and the origin of each value is that variable."""
    monkeypatch.setenv("SSOT_ENGINE_ENGINE", '{"max_engines": 3}')
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__PERMISSIONS", '["read", "write"]')
    monkeypatch.setenv("SSOT_ENGINE_GC__THRESHOLD", "[700, 10, 5]")
    settings = Settings()
    assert (
        settings.engine.max_engines,
        settings.engine.permissions,
        settings.gc.threshold,
    ) == (3, ("read", "write"), (700, 10, 5))
    assert sources(settings)["engine.max_engines"] == "environment SSOT_ENGINE_ENGINE"


def test_providers_merge_entry_by_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with free keys is merged too: the file's entry stays beside the environment's."""
    monkeypatch.setenv("SSOT_ENGINE_PROVIDERS__BRIDGE", "host.Bridge")
    config = written("providers: {bridge: file.Bridge, ids: file.Ids}")
    assert Settings.load(config).providers == {"bridge": "host.Bridge", "ids": "file.Ids"}


def test_a_section_value_replaces_the_section() -> None:
    """A built section is taken whole: its defaults hide the file's values."""
    config = written("engine: {max_engines: 1, max_waiting: 1}")
    assert EngineSettings(max_engines=2) == Settings.load(config, engine=EngineSettings(max_engines=2)).engine


def test_a_section_of_comments_is_an_empty_one() -> None:
    """`engine:` with every line under it commented out changes nothing."""
    assert Settings() == Settings.load(written("engine:\n  # max_engines: 1\nproviders:\n"))


def test_an_empty_file_is_no_values() -> None:
    """A file of comments is a valid config file."""
    assert Settings() == Settings.load(written("# nothing yet\n"))


def test_equality_ignores_where_values_came_from() -> None:
    """Two settings with the same values are equal; another value makes them unequal."""
    assert Settings() == Settings(web={"port": 8000})
    assert Settings() != Settings(web={"port": 8001})


def test_settings_are_frozen() -> None:
    """Neither a section nor a value in it can be assigned."""
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.web = settings.web
    with pytest.raises(ValueError, match="frozen"):
        settings.web.port = 1


# ------------------------------------------------------------------- the file


def test_a_missing_file_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file that does not exist is an error, whoever named it."""
    with pytest.raises(ConfigError, match=r"'absent\.yaml' does not exist; correct --config or SSOT_ENGINE_CONFIG"):
        Settings.load("absent.yaml")
    monkeypatch.setenv("SSOT_ENGINE_CONFIG", "gone.yaml")
    with pytest.raises(ConfigError, match=r"'gone\.yaml' does not exist"):
        Settings()


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    """What cannot be read says why."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Settings.load(tmp_path)


def test_broken_yaml_names_the_place_and_quotes_nothing() -> None:
    """A syntax error gives line and column; the line itself may hold a secret and is not quoted."""
    config = written("model:\n  name: 'hunter2\n")
    with pytest.raises(ConfigError, match=r"'app\.yaml' is not valid YAML: .* at line 3, column 1") as caught:
        Settings.load(config)
    assert "hunter2" not in str(caught.value)


def test_a_date_that_is_none_is_refused() -> None:
    """YAML reads dates; one that does not exist is told like any other mistake in the file."""
    with pytest.raises(ConfigError, match=r"'app\.yaml' is not valid YAML"):
        Settings.load(written("model:\n  name: 2020-13-45\n"))


def test_bytes_that_are_no_text_are_refused() -> None:
    """A binary file is not valid YAML."""
    Path("app.yaml").write_bytes(b"\x81\xfe\x00")
    with pytest.raises(ConfigError, match=r"'app\.yaml' is not valid YAML"):
        Settings.load("app.yaml")


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("plain", "str"), ("3", "int")])
def test_a_file_that_is_no_mapping_is_refused(text: str, kind: str) -> None:
    """A YAML list or scalar is not a set of settings."""
    with pytest.raises(ConfigError, match=f"holds a {kind}, not a mapping"):
        Settings.load(written(text))


@pytest.mark.parametrize("text", ["web: {port: 1}\nweb: {host: x}\n", "web:\n  port: 1\n  port: 2\n"])
def test_a_key_given_twice_is_refused(text: str) -> None:
    """YAML would silently keep the last of two equal keys."""
    with pytest.raises(ConfigError, match=r"key '(web|port)' is given twice at line"):
        Settings.load(written(text))


def test_an_unreadable_dotenv_is_refused() -> None:
    """A `.env` that is no text is an error, not an empty source."""
    Path(".env").write_bytes(b"\xff\xfe\x00A=1")
    with pytest.raises(ConfigError, match=r"'\.env' cannot be read"):
        Settings()


# ------------------------------------------------------------- unknown settings


def test_an_unknown_top_level_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with our prefix that names no setting is an error with the closest name."""
    monkeypatch.setenv("SSOT_ENGINE_CONFG", "x")
    assert text_of() == "SSOT_ENGINE_CONFG (from environment): unknown setting; did you mean SSOT_ENGINE_CONFIG?"


@pytest.mark.parametrize(
    "name", ["SSOT_ENGINE_ENGINE__MAX_ENGINS", "SSOT_ENGINE_ENGINE_MAX_ENGINES", "SSOT_ENGINE_MAX_ENGINES"]
)
def test_an_unknown_nested_variable_is_refused_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A misspelt or wrongly joined variable is one problem, with the variable that was meant."""
    monkeypatch.setenv(name, "5")
    assert f"{name} (from environment): unknown setting; did you mean SSOT_ENGINE_ENGINE__MAX_ENGINES?" == text_of()


def test_an_unknown_key_inside_a_sections_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON in a section's variable is checked key by key as well."""
    monkeypatch.setenv("SSOT_ENGINE_WEB", '{"prot": 1}')
    assert "did you mean SSOT_ENGINE_WEB__PORT?" in text_of()


def test_an_unknown_variable_in_dotenv_is_refused_only_with_our_prefix() -> None:
    """`.env` may serve other programs too; what carries our prefix is checked."""
    written("OPENAI_API_KEY=x\nWEB=1\nengine=2\n", ".env")
    assert Settings() == Settings()
    written("SSOT_ENGINE_WEBB__PORT=1\n", ".env")
    assert text_of() == "SSOT_ENGINE_WEBB__PORT (from .env): unknown setting; did you mean SSOT_ENGINE_WEB__PORT?"


def test_an_unknown_key_in_the_file_or_an_argument_is_refused() -> None:
    """Keys are checked at every level, and named as they were written."""
    config = written("webb: {port: 1}\nengine: {max_engins: 2}\n")
    assert text_of(config, zzz=1).splitlines() == [
        "webb in app.yaml: unknown setting; did you mean web?",
        "engine.max_engins in app.yaml: unknown setting; did you mean engine.max_engines?",
        "zzz (argument): unknown setting; `ssot-engine config show` lists every setting",
    ]


def test_an_unknown_settings_value_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a setting may be a secret under any name."""
    monkeypatch.setenv("SSOT_ENGINE_OPENAI", "hunter2")
    assert "hunter2" not in text_of()
    assert None is problems_of()[0].value


# ---------------------------------------------------------------- wrong values


def test_all_problems_come_at_once_and_name_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error lists every problem of every source, each by the name its source uses."""
    config = written("engine: {max_engines: many}\n", "x.yaml")
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__MAX_WAITING", "ten")
    written("SSOT_ENGINE_WEB__PORT=70000", ".env")
    lines = text_of(config, log={"level": "INFO"}).splitlines()
    assert sorted(lines, key=_as_listed) == [
        (
            "engine.max_engines in x.yaml: 'many' is not an integer. "
            "Engines alive in this process, at least 1. Default: 10000"
        ),
        (
            "SSOT_ENGINE_WEB__PORT (from .env): '70000' is too large; give at most 65535. "
            "TCP port to listen on, 0 to 65535; 0 takes a free one. Default: 8000"
        ),
        (
            "SSOT_ENGINE_ENGINE__MAX_WAITING (from environment): 'ten' is not an integer. "
            "Requests that may queue if when_full is wait; more are refused. Default: 1000"
        ),
        (
            "log.level (argument): 'INFO' is not one of 'debug', 'info', 'warning' or 'error'. "
            "Least severe entry written: debug, info, warning or error. Default: 'info'"
        ),
    ]


def _as_listed(line: str) -> int:
    starts = ("engine", "SSOT_ENGINE_WEB", "SSOT_ENGINE_ENGINE", "log")
    return next(index for index, start in enumerate(starts) if line.startswith(start))


def test_a_problem_is_data() -> None:
    """`problems` holds name, variable, source, value and message of each problem."""
    (problem,) = problems_of(web={"port": -1})
    assert (
        problem.setting,
        problem.variable,
        problem.source,
        problem.value,
    ) == ("web.port", "SSOT_ENGINE_WEB__PORT", "argument", "-1")
    assert problem.message.startswith("is too small; give at least 0")


@pytest.mark.parametrize(
    ("section", "name", "value", "words"),
    [
        ("engine", "max_engines", 0, "is too small; give at least 1"),
        ("engine", "max_engines", 1.5, "is not an integer"),
        ("engine", "max_engines", None, "is not an integer"),
        ("engine", "max_engines", True, "is true or false, not a number"),
        ("engine", "wait_timeout_s", 0, "is too small; give more than 0"),
        ("engine", "wait_timeout_s", float("inf"), "is not a finite number"),
        ("engine", "wait_timeout_s", "soon", "is not a number"),
        ("engine", "stop_grace_s", -0.1, "is too small; give at least 0"),
        ("engine", "permissions", "read", "is not a list"),
        ("engine", "permissions", [1], "is not text"),
        ("context", "strict_ids", "perhaps", "is not true or false"),
        ("web", "host", "", "is too short"),
        ("web", "host", 1, "is not text"),
        ("web", "runs_rate", "120 per minute", "is no rate; write a number and a time, such as 120/minute"),
        ("web", "runs_rate", "0/second", "is no rate"),
        ("web", "allowed_origins", ["https://app.example.org/"], "is no origin; write scheme, host and port"),
        ("web", "allowed_origins", ["*"], "is no origin"),
        ("auth", "algorithms", ["none"], "is not one of"),
        ("gc", "threshold", [1, 2], "has too few items"),
        ("gc", "threshold", [1, 2, 3, 4], "has too many items; give 3"),
        ("gc", "threshold", [-1, 2, 3], "is too small; give at least 0"),
    ],
)
def test_a_wrong_value_is_refused_in_plain_words(section: str, name: str, value: object, words: str) -> None:
    """Each kind of wrong value has words an operator understands, and belongs to its setting."""
    (problem,) = problems_of(**{section: {name: value}})
    assert f"{section}.{name}" == problem.setting
    assert words in problem.message


@pytest.mark.parametrize(
    ("section", "url", "choices"),
    [
        ("events", "file:///x", "memory:// or sqlite:///path or redis://host"),
        ("events", "memory", "memory:// or sqlite:///path or redis://host"),
        ("runs", "sqlite:///x", "local:// or postgresql://host/database"),
    ],
)
def test_a_url_of_another_kind_is_refused_with_the_choices(section: str, url: str, choices: str) -> None:
    """The scheme decides the backend; one that has none is refused."""
    assert choices in text_of(**{section: {"url": url}})


@pytest.mark.parametrize("url", ["memory://", "sqlite:////var/lib/x.db?synchronous=full", "redis://u:p@h:6379/0"])
def test_every_event_log_url_is_accepted(url: str) -> None:
    """The three backends are accepted with whatever follows the scheme."""
    assert url == Settings(events={"url": url}).events.url


def test_a_secret_setting_is_shown_nowhere() -> None:
    """The key of tokens is hidden in every text the settings give of themselves."""
    settings = Settings(auth={"secret": "0123456789abcdef0123456789abcdef"})
    assert settings.auth.secret is not None
    assert "0123456789abcdef0123456789abcdef" == settings.auth.secret.get_secret_value()
    shown = [repr(settings), settings.model_dump_json(), *(str(line) for line in explain(settings))]
    assert [] == [text for text in shown if "0123456789abcdef" in text]


def test_one_value_for_a_section_is_refused_with_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSOT_ENGINE_MODEL=x, bad JSON and a scalar section say which settings stand below."""
    monkeypatch.setenv("SSOT_ENGINE_MODEL", "gpt")
    monkeypatch.setenv("SSOT_ENGINE_WEB", "{bad")
    monkeypatch.setenv("SSOT_ENGINE_EVENTS", "sqlite:///x")
    assert _in_order(text_of(written("log: 5"), providers=[]).splitlines()) == [
        "log in app.yaml: 5 is one value for a section; set log.level, log.format",
        (
            "SSOT_ENGINE_EVENTS (from environment): 'sqlite:///x' is one value for a section; "
            "set SSOT_ENGINE_EVENTS__URL, SSOT_ENGINE_EVENTS__RETENTION_S, SSOT_ENGINE_EVENTS__MAX_EVENTS_PER_THREAD, …"
        ),
        "SSOT_ENGINE_MODEL (from environment): 'gpt' is one value for a section; set SSOT_ENGINE_MODEL__NAME",
        (
            "SSOT_ENGINE_WEB (from environment): '{bad' is one value for a section; "
            "set SSOT_ENGINE_WEB__HOST, SSOT_ENGINE_WEB__PORT, SSOT_ENGINE_WEB__ROOT_PATH, …"
        ),
        "providers (argument): [] is one value for a section; set providers.NAME",
    ]


def _in_order(lines: list[str]) -> list[str]:
    """File first, then environment by name, then arguments: the environment's own order is the system's."""
    return [lines[0], *sorted(lines[1:-1]), lines[-1]]


def test_bad_json_in_a_list_variable_says_to_write_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list typed with commas is told the form that works."""
    monkeypatch.setenv("SSOT_ENGINE_ENGINE__PERMISSIONS", "read,write")
    assert """'read,write' is not a list; in an environment variable write JSON, such as ["a", "b"]""" in text_of()


def test_no_error_carries_a_password() -> None:
    """Neither the text nor the chain of a refusal shows the password of a URL, however long the URL is."""
    for url in ("rediss://app:hunter2@host", f"rediss://app:hunter2{'x' * 200}@host"):
        with pytest.raises(SettingsError) as caught:
            Settings(events={"url": url})
        assert "app:[redacted]@host" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)


class _WithSecret(Settings):
    """A host's own settings with a secret in them."""

    api: SecretStr = Field(default=SecretStr(""), min_length=10)


def test_a_secret_settings_value_is_hidden_everywhere() -> None:
    """A secret is hidden in `explain` and in the error that refuses it."""
    lines = {line.name: line.value for line in explain(_WithSecret(api="hunter2hunter2"))}
    assert lines["api"] == "**********"
    with pytest.raises(SettingsError, match=r"api \(argument\): \*{10} ") as caught:
        _WithSecret(api="hunter2")
    assert "hunter2" not in str(caught.value)


def test_the_error_survives_a_process_boundary() -> None:
    """It pickles with its problems."""
    error = SettingsError(problems_of(web={"port": -1}))
    copy = pickle.loads(pickle.dumps(error))
    assert (error.problems, str(error)) == (copy.problems, str(copy))


# -------------------------------------------------------------------- for people


def test_explain_lists_every_setting_in_the_trees_order() -> None:
    """Each leaf has one line, as plain YAML data; an empty table is shown too."""
    lines = explain(Settings(engine={"permissions": ["read"]}))
    assert SettingLine("engine.max_engines_per_user", 10, "default") == lines[0]
    assert SettingLine("engine.permissions", ["read"], "argument") in lines
    assert SettingLine("providers", {}, "default") in lines
    expected = {f"{section}.{name}" for section, model in Settings() if section != "providers" for name, _ in model} | {
        "providers"
    }
    assert (expected, len(expected)) == ({line.name for line in lines}, len(lines))


def test_explain_lists_each_provider_and_hides_url_passwords() -> None:
    """A table's entries have their own lines and origins; a password in a URL is hidden."""
    lines = explain(Settings(providers={"bridge": "host.Bridge"}, events={"url": "redis://u:hunter2@h"}))
    assert SettingLine("providers.bridge", "host.Bridge", "argument") in lines
    assert SettingLine("events.url", "redis://u:[redacted]@h", "argument") in lines
    assert "providers" not in [line.name for line in lines]


def test_the_schema_describes_every_setting() -> None:
    """The JSON Schema refuses unknown keys and says of each setting what it means."""
    tree = schema()
    sections = [tree, *tree["$defs"].values()]
    assert [False] * len(sections) == [section["additionalProperties"] for section in sections]
    fields = [field for section in sections for field in section["properties"].values()]
    assert [field for field in fields if not field.get("description")] == []
    assert tree["$defs"]["EngineSettings"]["properties"]["max_engines"]["minimum"] == 1


# ------------------------------------------------------------ files that ship


def test_default_yaml_is_the_defaults_exactly() -> None:
    """default.yaml has every key with its default, so it can be copied and edited."""
    expected = Settings().model_dump(mode="json")
    assert expected == yaml.safe_load(packaged("default.yaml").read_bytes())
    assert Settings() == Settings.load(packaged("default.yaml"))


def described(fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str]]:
    """The comment and the name of every field, each section followed by its own."""
    for name, field in fields.items():
        yield f"# {field.description}.", name
        if isinstance(field.default, BaseModel):
            yield from described(type(field.default).model_fields)


def test_default_yaml_says_of_each_setting_what_the_schema_says() -> None:
    """The line above each key is the setting's description, so the two cannot drift apart."""
    lines = [line.strip() for line in packaged("default.yaml").read_text(encoding="utf-8").splitlines()]
    commented = [(above, line.partition(":")[0]) for above, line in pairwise(lines) if line and line[0] != "#"]
    assert list(described(Settings.model_fields)) == commented


def test_production_yaml_is_strict() -> None:
    """production.yaml sets what a server with real users needs."""
    settings = Settings.load(packaged("production.yaml"))
    assert (
        settings.engine.when_full,
        settings.engine.bridge_failure,
        settings.context.strict_ids,
        settings.agents.offline,
        settings.log.format,
        settings.gc.threshold,
    ) == ("wait", "fail", True, False, "json", (20_000, 50, 100))


def test_test_yaml_is_small_and_in_memory() -> None:
    """test.yaml loads, keeps events in memory and gives no limit or time above its default."""
    settings, default = Settings.load(packaged("test.yaml")), Settings()
    assert EventSettings().url == settings.events.url
    assert settings.engine.stop_grace_s == 0.5
    larger = [
        name
        for section in ("engine", "events")
        for name, value in getattr(settings, section)
        if isinstance(value, int | float) and value > getattr(getattr(default, section), name)
    ]
    assert larger == []


def test_an_unknown_packaged_file_is_refused() -> None:
    """A name that does not ship is an error, not a path to nowhere."""
    with pytest.raises(ConfigError, match=r"'absent\.yaml' does not exist"):
        packaged("absent.yaml")


def test_packaged_prefers_the_copy_inside_the_package(tmp_path: Path) -> None:
    """An installed wheel reads ssot_engine/config/ and nothing around it."""
    package = tmp_path / "lib" / "site" / "ssot_engine"
    source = Path(sys.modules["ssot_engine.settings"].__file__ or "")
    (package / "config").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for module in (*source.parent.glob("settings*.py"), *map(source.with_name, ("errors.py", "redaction.py"))):
        (package / module.name).write_text(module.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "lib" / "config").mkdir()
    for folder in (package / "config", tmp_path / "lib" / "config"):
        (folder / "default.yaml").write_text("")
    program = "from ssot_engine.settings import packaged; print(packaged('default.yaml'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert str(package / "config" / "default.yaml") == done.stdout.strip()
