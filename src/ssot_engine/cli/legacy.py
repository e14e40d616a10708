"""`ssot-engine legacy`: what of the host still uses old doors, and a program run with the old imports answered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from ssot_engine.cli.local import settings_for_reading
from ssot_engine.cli.script import run_code, run_file, run_module
from ssot_engine.cli.show import notes, output, paragraph, print_json
from ssot_engine.errors import ConfigError
from ssot_engine.legacy.census import Counting, Tally, census, read
from ssot_engine.legacy.deprecation import raise_instead
from ssot_engine.legacy.redirects import install_redirects

_FIRST_IMPORT_NOTE = (
    "* Only the first import in a process can be seen: the module is the new one under its old name, which the "
    "interpreter finds without asking from then on."
)


def report(config: Path | None, file: Path | None, as_json: bool) -> int:
    """Print what processes wrote to the census file; 1 if there are uses and `legacy.fail_after` has passed, else 0.

    Raises:
        ConfigError: no census file is named, or it cannot be read.
    """
    legacy = settings_for_reading(config, None).legacy
    named = file or (legacy.census_file and Path(legacy.census_file))
    if not named:
        raise ConfigError(
            "no census file is named; set legacy.census_file for the process that is to be counted, or pass --file"
        )
    tally = read(named)
    failed = is_over(tally, legacy.fail_after, _today())
    if as_json:
        print_json(
            {"uses": tally.uses, "overflow": tally.overflow, "sites": tally.sites, "fail_after": legacy.fail_after,
             "failed": failed}
        )  # fmt: skip
    else:
        show(output(), tally)
    return _gate(failed, legacy.fail_after)


def execute(
    config: Path | None, code: str | None, module: str | None, arguments: Sequence[str], with_report: bool
) -> int:
    """Run a script, `code` or a module, with the shipped redirects installed; its exit status.

    With `with_report` the census of the process goes to standard error at the end. A program that used old doors after
    `legacy.fail_after` ends with status 1 at least.

    Raises:
        ConfigError: there is nothing to run, the script cannot be read, or a setting is wrong.
    """
    if code is None and arguments[:1] == ["-c"]:
        code, arguments = "".join(arguments[1:2]), arguments[2:]
    if code is None and arguments[:1] == ["-m"]:
        module, arguments = "".join(arguments[1:2]), arguments[2:]
    if code is None and not module and not arguments:
        raise ConfigError("there is nothing to run; name a script, a module with -m, or pass a program with -c")
    if config is not None:
        # The program's own default container shall have these settings too.
        os.environ["SSOT_ENGINE_CONFIG"] = str(config.absolute())
    legacy = settings_for_reading(config, None).legacy
    raise_instead(legacy.warn)
    census.write_at_exit(legacy.census_file)
    install_redirects()
    status = _run(code, module, arguments)
    tally = census.tally()
    if with_report:
        show(notes(), tally)
    return status or _gate(is_over(tally, legacy.fail_after, _today()), legacy.fail_after)


def _run(code: str | None, module: str | None, arguments: Sequence[str]) -> int:
    if code is not None:
        return run_code(code, arguments)
    return run_module(module, arguments) if module else run_file(arguments[0], arguments[1:])


def is_over(tally: Tally, fail_after: date | None, today: date) -> bool:
    """Whether old doors were used after the last day on which they may be."""
    return fail_after is not None and today > fail_after and tally.uses > 0


def _gate(failed: bool, fail_after: date | None) -> int:
    if failed:
        problem = (
            f"error: old doors are used, and legacy.fail_after ({fail_after}) has passed; move the lines listed by "
        )
        paragraph(notes(), f"{problem}`ssot-engine legacy report` to what their warnings name", "red")
    return int(failed)


def _today() -> date:
    return datetime.now(UTC).date()


def show(console: Console, tally: Tally) -> None:
    """A tally: a line for each line of the host, the most used first."""
    doors = len({site.door for site in tally.sites})
    if not tally.uses:
        paragraph(console, "no old door was used")
        return
    paragraph(console, f"uses: {tally.uses}, old doors: {doors}, lines: {len(tally.sites)}")
    for site in tally.sites:
        star = "*" if site.counting is Counting.FIRST_IMPORT else " "
        paragraph(console, f"{site.count:7}{star} {site.file}:{site.line}  {site.door}")
    if any(site.counting is Counting.FIRST_IMPORT for site in tally.sites):
        paragraph(console, _FIRST_IMPORT_NOTE)
    if tally.overflow:
        paragraph(console, f"{tally.overflow} of the uses are at lines for which the census had no room.")
