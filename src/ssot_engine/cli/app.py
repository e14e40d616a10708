"""The words of the command line: every command with its arguments. What a command does, its own module knows.

Those modules are imported when their command runs, so that `--help` and completion load neither the container nor a
web framework.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ssot_engine import __version__
from ssot_engine.cli.migrate_app import migrate_app
from ssot_engine.cli.options import AsJson, Config
from ssot_engine.errors import ConfigError, RequestError


class Commands(TyperGroup):
    """The boundary of the command line: what the operator or the caller can mend is told in one paragraph, exit 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # An answer may hold characters that the terminal's encoding lacks.
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except (ConfigError, RequestError) as error:
            _tell(str(error))
            raise typer.Exit(2) from error


def _tell(problem: str) -> None:
    from ssot_engine.cli.show import notes, paragraph

    paragraph(notes(), f"error: {problem}", "red")


app = typer.Typer(
    name="ssot-engine",
    help="Run AI agents for many users at once: one isolated engine per request, every event in order.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(name="config", help="Show and check the settings.", no_args_is_help=True)
app.add_typer(config_app)
legacy_app = typer.Typer(name="legacy", help="See what still uses old doors, and run it.", no_args_is_help=True)
app.add_typer(legacy_app)
app.add_typer(migrate_app)

EventsUrl = Annotated[
    str | None, typer.Option("--events-url", help="Event log, such as sqlite:///run.db or memory://.")
]
User = Annotated[str | None, typer.Option("--user", help="Id of the user; your login name without it.")]
Data = Annotated[str | None, typer.Option("--data", help="CSV or JSONL usage log instead of the packaged sample.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows of --data out, and count them.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ssot-engine {__version__}")
        raise typer.Exit


@app.callback()
def ssot_engine(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Run AI agents for many users at once: one isolated engine per request, every event in order."""


@app.command()
def demo(data: Data = None, skip_bad_rows: SkipBadRows = False, as_json: AsJson = False) -> None:
    """Watch two users' engines work side by side, and check that nothing crossed. Needs no key, ends by itself."""
    from ssot_engine.cli.demo import demonstrate

    raise typer.Exit(demonstrate(data, skip_bad_rows, as_json))


@app.command()
def run(
    agent: Annotated[str, typer.Argument(help="Name of the agent; `ssot-engine agents` lists them.")],
    message: Annotated[str, typer.Argument(help="What to ask it.")],
    user: User = None,
    thread: Annotated[
        str | None, typer.Option("--thread", help="Conversation to go on with; a new one without.")
    ] = None,
    data: Data = None,
    skip_bad_rows: SkipBadRows = False,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", help="Seconds the run may take.", show_default="engine.run_timeout_s")
    ] = None,
    config: Config = None,
    events_url: EventsUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's events as JSON lines.")] = False,
) -> None:
    """Ask an agent once. The answer goes to standard output, what happens meanwhile to standard error.

    Exit status: 0 completed; 1 failed, cancelled or timed out; 2 not started.
    """
    from ssot_engine.cli.local import Caller, local_settings
    from ssot_engine.cli.run import ask_once

    caller = Caller.of(user, thread, data, skip_bad_rows)
    raise typer.Exit(ask_once(local_settings(config, events_url), caller, agent, message, timeout_s, as_json))


@app.command()
def chat(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")] = "supervisor",
    user: User = None,
    thread: Annotated[
        str | None, typer.Option("--thread", help="Conversation to go on with; a new one without.")
    ] = None,
    data: Data = None,
    skip_bad_rows: SkipBadRows = False,
    config: Config = None,
    events_url: EventsUrl = None,
) -> None:
    """Talk with an agent; /quit ends. It sees the earlier questions and answers of the thread."""
    from ssot_engine.cli.chat import converse
    from ssot_engine.cli.local import Caller, local_settings

    caller = Caller.of(user, thread, data, skip_bad_rows)
    raise typer.Exit(converse(local_settings(config, events_url), caller, agent))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="web.host")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.", show_default="web.port")
    ] = None,
    dev_users: Annotated[
        str | None,
        typer.Option("--dev-users", help="Who may sign in by name alone, such as alice,bob; on loopback only."),
    ] = None,
    root_path: Annotated[
        str | None, typer.Option("--root-path", help="Path that a proxy in front takes off, such as /agents.")
    ] = None,
    config: Config = None,
    events_url: EventsUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address and the rest as one JSON line.")] = False,
) -> None:
    """Serve the page and the API until Ctrl-C or SIGTERM; open runs may finish. Exit status 0 after that.

    For development: ssot-engine serve --dev-users alice,bob
    """
    from ssot_engine.cli.serve import serve_site, settings_for_serving

    web = {"host": host, "port": port, "root_path": root_path}
    serve_site(settings_for_serving(config, events_url, web, dev_users), as_json)


@app.command()
def agents(config: Config = None, as_json: AsJson = False) -> None:
    """List the agents that can be asked."""
    from ssot_engine.cli.listing import list_agents

    list_agents(config, as_json)


@app.command()
def tools(config: Config = None, as_json: AsJson = False) -> None:
    """List the tools that agents can call."""
    from ssot_engine.cli.listing import list_tools

    list_tools(config, as_json)


@app.command()
def events(
    thread: Annotated[str, typer.Argument(help="Id of the thread.")],
    user: User = None,
    after: Annotated[int | None, typer.Option("--after", min=0, help="Only events with a higher seq.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most this many events.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")] = False,
    config: Config = None,
    events_url: EventsUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Print the events of a thread, oldest first. It only reads, so it works beside a running server."""
    from ssot_engine.cli.events import print_events
    from ssot_engine.cli.local import login_name, settings_for_reading

    settings = settings_for_reading(config, events_url)
    print_events(settings, user or login_name(), thread, after=after, limit=limit, follow=follow, as_json=as_json)


@config_app.command()
def show(
    sources: Annotated[bool, typer.Option("--sources", help="Say where each value comes from.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting as it stands; secrets are hidden."""
    from ssot_engine.cli.config import show_settings

    show_settings(config, sources, as_json)


@config_app.command()
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Check the settings, the container they make and how users sign in. Exit status 2 if something is wrong."""
    from ssot_engine.cli.config import check_settings

    check_settings(config, as_json)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the settings, for editors."""
    from ssot_engine.cli.config import print_schema

    print_schema()


@app.command()
def doctor(config: Config = None, events_url: EventsUrl = None, as_json: AsJson = False) -> None:
    """Check this installation: packages, settings, event log, port, extras. Exit status 1 if something is wrong."""
    from ssot_engine.cli.doctor import examine

    raise typer.Exit(examine(config, events_url, as_json))


@legacy_app.command()
def report(
    file: Annotated[Path | None, typer.Option("--file", help="Census file.", show_default="legacy.census_file")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the lines that used old doors, most used first, from what processes wrote when they ended.

    Exit status 1 if there are any and legacy.fail_after has passed.
    """
    from ssot_engine.cli.legacy import report as report_census

    raise typer.Exit(report_census(config, file, as_json))


@legacy_app.command("exec", context_settings={"allow_interspersed_args": False})
def execute(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="A script and its arguments.", metavar="SCRIPT [ARGS]")
    ] = None,
    code: Annotated[str | None, typer.Option("-c", help="Program as text; await may stand anywhere.")] = None,
    module: Annotated[
        str | None, typer.Option("-m", help="Module to run; write -- before arguments of its own.")
    ] = None,
    with_report: Annotated[bool, typer.Option("--report", help="At the end, list the old doors used.")] = False,
    config: Config = None,
) -> None:
    """Run a Python program whose old imports are answered. Exit status: the program's.

    For example: ssot-engine legacy exec -- script.py --its-option, or: ssot-engine legacy exec -m pytest -- -q tests
    """
    from ssot_engine.cli.legacy import execute as execute_program

    raise typer.Exit(execute_program(config, code, module, arguments or [], with_report))
