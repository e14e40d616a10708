"""What the README says is true: its code runs, its commands exist, and its set-up is two lines."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from ssot_engine.cli.app import app
from ssot_engine.events import PAYLOADS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

#: Between a block of code and the block of its output.
PRINTS = "It prints:"
SETUP = (
    "python3 -m venv .venv && .venv/bin/pip install -qe . && .venv/bin/ssot-engine demo",
    "python3 -m venv .venv && .venv/bin/pip install -qe '.[test]' && .venv/bin/pytest",
)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it starts at, and the text between it and the one before."""

    language: str
    text: str
    line: int
    before: str


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in order."""
    found: list[Block] = []
    end = 0
    for match in re.finditer(r"(?ms)^```(\w*)\n(.*?)^```$", text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match[1], match[2], line, text[end : match.start()].strip()))
        end = match.end()
    return found


BLOCKS = blocks(README)
PYTHON = [block for block in BLOCKS if block.language == "python"]


def output_of(code: Block) -> str | None:
    """What the README says that this block prints; None if it does not say."""
    after = BLOCKS[BLOCKS.index(code) + 1 : BLOCKS.index(code) + 2]
    return after[0].text if after and after[0].before == PRINTS else None


def spans(text: str) -> list[str]:
    """Code within sentences."""
    outside = re.sub(r"(?ms)^```.*?^```$", "", text)
    return re.findall(r"`([^`]+)`", outside)


def command_lines(text: str) -> Iterator[str]:
    """Each call of the command that a block shows as typed, without its path."""
    for block in blocks(text):
        for line in block.text.splitlines() if block.language in ("sh", "console") else ():
            typed = line.removeprefix("$ ") if block.language == "console" else line
            if block.language == "console" and typed == line:
                continue  # what the command printed
            for part in typed.split(" && "):
                if part.split(" ")[0].rpartition("/")[2] == "ssot-engine":
                    yield part


def mentioned(text: str) -> set[str]:
    """Each word that follows the command's name in code that is not Python."""
    code = [block.text for block in blocks(text) if block.language != "python"] + spans(text)
    return {word for piece in code for word in re.findall(r"(?<![\w.-])ssot-engine ([a-z]\w*)", piece)}


@functools.cache
def whole_command() -> Any:
    """The command with all its commands."""
    return typer.main.get_command(app)


def parse(arguments: list[str]) -> None:
    """Parse a command line as the command would, without running it. Raises what the command would."""
    command = whole_command()
    name = "ssot-engine"
    while isinstance(command, typer.core.TyperGroup):
        name, *arguments = arguments
        assert name in command.commands, f"no such command: {name!r}"
        command = command.commands[name]
    command.make_context(name, arguments)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line {block.line}")
def test_code_runs(block: Block, tmp_path: Path) -> None:
    """Each block of Python runs as a program of its own and prints what the README says; only old names may warn."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SSOT_ENGINE_")}
    done = subprocess.run(
        [sys.executable, *([] if "netra_backend" in block.text else ["-W", "error"]), "-c", block.text],
        cwd=tmp_path, env={**environment, "PYTHONUTF8": "1"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if (said := output_of(block)) is not None:
        assert [line.rstrip() for line in said.splitlines()] == [line.rstrip() for line in done.stdout.splitlines()]


def test_code_is_shown() -> None:
    """There is code to run, and the first block's output is shown."""
    assert PYTHON
    assert output_of(PYTHON[0]) is not None


def test_every_block_names_its_language() -> None:
    """A block whose language is unknown would be run by no test."""
    assert [] == [
        f"line {block.line}" for block in BLOCKS if block.language not in ("python", "sh", "console", "text", "yaml")
    ]
    assert README.count("\n```") == 2 * len(BLOCKS)


def test_setup_is_two_lines() -> None:
    """The two set-up commands are there once each, as they are typed, and no other way to install is shown."""
    typed = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    assert list(SETUP) == [line for line in typed if line.startswith("python3 -m venv")]
    assert [1, 1] == [README.count(line) for line in SETUP]
    assert README.count("-m venv") == 2


def test_commands_are_shown() -> None:
    """There are commands to check."""
    assert len(list(command_lines(README))) > 1


@pytest.mark.parametrize("line", list(command_lines(README)))
def test_command_can_be_typed(line: str) -> None:
    """Each command line is accepted by the command as it stands, with its arguments and options."""
    parse(shlex.split(line)[1:])


def test_mentioned_commands_exist() -> None:
    """Wherever code names a command, the command exists."""
    assert set() == mentioned(README) - set(whole_command().commands)


def test_event_names_are_real() -> None:
    """Whatever looks like an event in shown output or in a sentence is one; `agent_*` stands for some that are."""
    shown = " ".join([block.text for block in BLOCKS if block.language in ("text", "console")] + spans(README))
    names = set(re.findall(r"\b(?:agent|tool|subagent|message)_(?:[a-z]+\b(?!_)|\*)", shown)) - NOT_EVENTS
    assert {"agent_started", "agent_completed"} <= names
    unreal = {name for name in names if not any(re.fullmatch(name.replace("*", ".*"), known) for known in PAYLOADS)}
    assert set() == unreal


#: Providers of the container that begin like events.
NOT_EVENTS = {"agent_factory"}


# ------------------------------------------------------------------- what these tests stand on

SAMPLE = """
Text with `ssot-engine bogus` in it.

```console
$ .venv/bin/ssot-engine demo
Next: ssot-engine chat
```

```sh
cd x && bin/ssot-engine run a "b && c" && ssot-engine doctor
```

```python
ssot-engine nothing
```
"""


def test_blocks_are_found() -> None:
    """Blocks are found with their language, line and what stands before them."""
    assert [("console", 4), ("sh", 9), ("python", 13)] == [(block.language, block.line) for block in blocks(SAMPLE)]
    assert blocks(SAMPLE)[0].before == "Text with `ssot-engine bogus` in it."


def test_commands_are_found() -> None:
    """Typed commands are found in chains and after a prompt, mentioned ones in output and in sentences."""
    assert [".venv/bin/ssot-engine demo", "ssot-engine doctor"] == [
        line for line in command_lines(SAMPLE) if "run" not in line
    ]
    assert {"bogus", "demo", "chat", "run", "doctor"} == mentioned(SAMPLE)


@pytest.mark.parametrize("line", ["bogus", "config bogus", "run a b --bogus", "events", "doctor extra"])
def test_wrong_command_line_is_refused(line: str) -> None:
    """A command line that the command would refuse is refused here."""
    with pytest.raises(Exception, match=r"(?i)no such|missing|unexpected"):
        parse(line.split())
