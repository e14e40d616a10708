"""`ssot-engine config`: the settings as they stand, whether they are right, and their schema."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rich.text import Text

from ssot_engine.cli.show import output, paragraph, print_json, printable, say
from ssot_engine.settings import SettingLine, Settings, explain, schema


def show_settings(config: Path | None, sources: bool, as_json: bool) -> None:
    """Print every setting.

    Raises:
        ConfigError: a setting is wrong, or the config file cannot be read.
    """
    lines = explain(Settings.load(config))
    if as_json:
        print_json({line.name: _described(line, sources) for line in lines})
        return
    console = output()
    width = max(len(_plain(line)) for line in lines)
    for line in lines:
        text = Text(_plain(line))
        if sources:
            text.pad_right(width - len(text))
            text.append(f"  {printable(line.source)}", "dim" if line.source == "default" else "cyan")
        say(console, text)


def _plain(line: SettingLine) -> str:
    return printable(f"{line.name}: {json.dumps(line.value, ensure_ascii=False)}")


def _described(line: SettingLine, sources: bool) -> object:
    return {"value": line.value, "source": line.source} if sources else line.value


def check_settings(config: Path | None, as_json: bool) -> None:
    """Say that settings, container and the way to sign in are right.

    Raises:
        ConfigError: they are not; its text is what is wrong.
    """
    settings = Settings.load(config)
    from ssot_engine.container import ExecutionContainer

    ExecutionContainer.from_settings(settings).check()
    check_sign_in(settings)
    given = given_by_source(settings)
    if as_json:
        print_json({"ok": True, "settings": len(explain(settings)), "given": given})
        return
    paragraph(output(), f"ok: {summary(settings)}; the container they make is complete")


def check_sign_in(settings: Settings) -> None:
    """Refuse what a server with these settings would: a way to sign in that cannot work.

    Raises:
        ConfigError: a key is missing or weak, an extra is not installed, or two ways are set.
    """
    if settings.auth.dev_users or settings.auth.algorithms:
        from ssot_engine.web.authenticators import authenticator

        authenticator(settings.auth, user=None)


def given_by_source(settings: Settings) -> dict[str, int]:
    """How many settings each source gives; defaults are not counted."""
    return dict(Counter(line.source.partition(" SSOT_")[0] for line in explain(settings) if line.source != "default"))


def summary(settings: Settings) -> str:
    """How many settings there are, and how many of them each source gives."""
    given = given_by_source(settings)
    counts = ", ".join(f"{count} from {printable(source)}" for source, count in given.items())
    return f"{len(explain(settings))} settings, {counts or 'all at their defaults'}"


def print_schema() -> None:
    """Print the JSON Schema."""
    print_json(schema())
