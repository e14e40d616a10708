"""The words of `ssot-engine migrate`: its commands with their arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ssot_engine.cli.options import AsJson

migrate_app = typer.Typer(
    name="migrate",
    help="Rewrite old imports, prove it, take it back. Exit status: 0 clean, 1 something is left to do, 2 an error.",
    short_help="Rewrite old imports, prove it, take it back.",
    no_args_is_help=True,
)

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Folders and files.", show_default=False)]
OldNames = Annotated[
    Path | None,
    typer.Option("--table", help="YAML table of old names.", show_default="migrations/netra.yaml"),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="Leave out paths of this pattern, such as 'build/*'; repeatable.")
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", min=1, help="At most this many processes.", show_default="as many as make it faster"),
]
RenameUses = Annotated[
    bool,
    typer.Option(
        "--rename-uses", help="Rename uses in a file too, not only its import, where no other file sees the old name."
    ),
]


def _asked(
    paths: list[Path], table: Path | None, exclude: list[str] | None, processes: int | None, as_json: bool = False
) -> Any:
    from ssot_engine.cli.migrate import Asked

    return Asked(paths=tuple(paths), table=table, exclude=tuple(exclude or ()), processes=processes, as_json=as_json)


@migrate_app.command("scan")
def migrate_scan(
    paths: Paths,
    table: OldNames = None,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Overview of the old names in a tree: what would be rewritten, and what a person has to change."""
    from ssot_engine.cli.migrate import scan_tree

    raise typer.Exit(scan_tree(_asked(paths, table, exclude, processes, as_json)))


@migrate_app.command("check")
def migrate_check(
    paths: Paths,
    ssot: Annotated[
        bool, typer.Option("--ssot", help="Also engines made elsewhere, second definitions and module singletons.")
    ] = False,
    baseline: Annotated[Path | None, typer.Option("--baseline", help="Accept what this file lists.")] = None,
    write_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", help="Write what is found now as accepted.")
    ] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Write a SARIF file too; - is standard output.")] = None,
    table: OldNames = None,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """A line for each old name; for CI and pre-commit. Changes nothing."""
    from ssot_engine.cli.migrate import check_tree

    asked = _asked(paths, table, exclude, processes, as_json)
    raise typer.Exit(check_tree(asked, ssot=ssot, baseline=baseline, new_baseline=write_baseline, sarif_file=sarif))


@migrate_app.command("diff")
def migrate_diff(
    paths: Paths,
    table: OldNames = None,
    rename_uses: RenameUses = False,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Print what apply would change, as a patch for `git apply`."""
    from ssot_engine.cli.migrate import print_patch

    raise typer.Exit(print_patch(_asked(paths, table, exclude, processes, as_json), rename_uses=rename_uses))


@migrate_app.command("apply")
def migrate_apply(
    paths: Paths,
    table: OldNames = None,
    rename_uses: RenameUses = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Also where git has changes that are not committed.")
    ] = False,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite what has the same meaning under a new name; all else is listed. `rollback` takes it back."""
    from ssot_engine.cli.migrate import apply_to_tree

    asked = _asked(paths, table, exclude, processes, as_json)
    raise typer.Exit(apply_to_tree(asked, rename_uses=rename_uses, allow_dirty=allow_dirty))


@migrate_app.command("rollback")
def migrate_rollback(
    paths: Paths,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Also files that were edited since; the edits are lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put back, byte for byte, what the last apply changed at or below the paths."""
    from ssot_engine.cli.migrate import roll_back

    raise typer.Exit(roll_back(paths, discard_edits=discard_edits, as_json=as_json))


@migrate_app.command("status")
def migrate_status(
    paths: Paths,
    as_json: AsJson = False,
) -> None:
    """List the applies that can be rolled back."""
    from ssot_engine.cli.migrate import print_past

    raise typer.Exit(print_past(paths, as_json))


@migrate_app.command("verify")
def migrate_verify(
    paths: Paths,
    table: OldNames = None,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Check that every new name resolves, without running any of the code."""
    from ssot_engine.cli.migrate import verify_tree

    raise typer.Exit(verify_tree(_asked(paths, table, exclude, processes, as_json)))


@migrate_app.command("report")
def migrate_report(
    paths: Paths,
    census: Annotated[
        Path | None, typer.Option("--census", help="What processes counted: their legacy.census_file.")
    ] = None,
    table: OldNames = None,
    exclude: Exclude = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """How far the migration is, by package, with what processes still used, and what to do next."""
    from ssot_engine.cli.migrate_report import report as report_progress

    raise typer.Exit(report_progress(_asked(paths, table, exclude, processes, as_json), census))
