"""`ssot-engine demo`: two users' engines side by side, and the proof that nothing crossed."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from rich.text import Text

from ssot_engine.cli.demo_view import DemoView, LiveTimelines, PlainTimelines, Silence
from ssot_engine.cli.evidence import (
    Check,
    Record,
    Remains,
    check_clean_up,
    check_delivery,
    check_five_events,
    check_isolation,
    check_order,
    check_sharing,
)
from ssot_engine.cli.local import LOCAL_PERMISSIONS
from ssot_engine.cli.show import notes, output, paragraph, print_json, printable
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.events import Event, RunResult, RunStatus, ThreadKey
from ssot_engine.ids import new_id
from ssot_engine.logs import configure_logging
from ssot_engine.settings import Settings

_AGENT = "supervisor"
#: One name, two users: two threads.
_THREAD = "spending"
_QUESTIONS = {"alice": "Where does my LLM spend go?", "bob": "Which model is slowest?"}
_TIMEOUT_S = 60.0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One user's part of the demonstration."""

    user_id: str
    question: str
    engine_id: str
    result: RunResult
    record: Record


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole demonstration. `elapsed_s` is from the first run's start to both runs' end."""

    told: tuple[Told, ...]
    checks: tuple[Check, ...]
    elapsed_s: float

    @property
    def is_good(self) -> bool:
        """Whether both runs completed and every check held."""
        completed = all(told.result.status is RunStatus.COMPLETED for told in self.told)
        return completed and all(check.held for check in self.checks)


def demonstrate(data: str | None, skip_bad_rows: bool, as_json: bool) -> int:
    """Run the demonstration and print it; the exit status is 1 if a run or a check failed.

    Raises:
        ConfigError: a setting of the environment is wrong.
    """
    inputs = {} if data is None else {"data": data, "skip_bad_rows": skip_bad_rows}
    console = output()
    view: DemoView = Silence()
    if not as_json:
        view = LiveTimelines(console, _QUESTIONS) if console.is_terminal else PlainTimelines(console, _QUESTIONS)
        about = "two users, two engines, at once; rules, no model, no network"
        console.print(Text.assemble(("ssot-engine demo", "bold"), f"  {about}"))
    with tempfile.TemporaryDirectory(prefix="ssot-engine-demo-") as folder:
        settings = _settings(Path(folder))
        outcome = asyncio.run(_demonstrate(ExecutionContainer.from_settings(settings), inputs, view))
    return conclude(outcome, data, as_json)


def _settings(folder: Path) -> Settings:
    settings = Settings(
        events={"url": f"sqlite:///{quote(str(folder / 'events.db'))}"},
        agents={"offline": True, "entry_points": False},
        engine={"permissions": LOCAL_PERMISSIONS},
        log={"level": "warning"},
    )
    configure_logging(settings.log.level, settings.log.format)
    return settings


# ------------------------------------------------------------------------------ running


async def _demonstrate(container: ExecutionContainer, inputs: dict[str, Any], view: DemoView) -> Outcome:
    before = asyncio.all_tasks()
    async with container.running():
        began = time.perf_counter()
        with view:
            engines = alice, bob = [await _engine(container, user_id) for user_id in _QUESTIONS]
            told = await asyncio.gather(*(_ask(container, engine, inputs, view) for engine in engines))
            elapsed_s = time.perf_counter() - began
        sharing = check_sharing(alice, bob, container)
        for engine in engines:
            await engine.cleanup()
    records = [one.record for one in told]
    checks = (
        check_delivery(records),
        check_order(records),
        check_five_events(records),
        check_isolation(records),
        sharing,
        check_clean_up(_remains(container, before)),
    )
    return Outcome(told=tuple(told), checks=checks, elapsed_s=elapsed_s)


async def _engine(container: ExecutionContainer, user_id: str) -> UserExecutionEngine:
    context = UserExecutionContext.from_request(user_id, _THREAD, new_id("run"))
    return await container.engine_factory().create_for_user(context)


async def _ask(
    container: ExecutionContainer, engine: UserExecutionEngine, inputs: dict[str, Any], view: DemoView
) -> Told:
    user_id = engine.user_context.user_id
    question = _QUESTIONS[user_id]
    stream = engine.stream(_AGENT, question, inputs=inputs, timeout_s=_TIMEOUT_S)
    seen = []
    async for event in stream:
        if isinstance(event, Event):
            seen.append(event)
            view.show(event)
    result = await stream.result()
    log = container.event_log().follow(ThreadKey(user_id, _THREAD), live=False)
    stored = [item async for item in log if isinstance(item, Event)]
    return Told(
        user_id=user_id,
        question=question,
        engine_id=engine.engine_id,
        result=result,
        record=Record(user_id=user_id, run_id=result.run_id, seen=tuple(seen), stored=tuple(stored)),
    )


def _remains(container: ExecutionContainer, before: set[asyncio.Task[Any]]) -> Remains:
    return Remains(
        engines=container.engine_factory().metrics()["engines_active"],
        scopes=container.open_scopes,
        tasks=len(asyncio.all_tasks() - before),
    )


# ------------------------------------------------------------------------------ telling


def conclude(outcome: Outcome, data: str | None, as_json: bool) -> int:
    """Print what came of it; the exit status."""
    if as_json:
        print_json(_document(outcome))
    else:
        _print(outcome, data)
    return 0 if outcome.is_good else 1


def _document(outcome: Outcome) -> dict[str, Any]:
    """The demonstration as one JSON value."""
    return {
        "passed": outcome.is_good,
        "elapsed_s": round(outcome.elapsed_s, 4),
        "checks": outcome.checks,
        "runs": [
            {
                "user_id": told.user_id,
                "question": told.question,
                "engine_id": told.engine_id,
                "result": told.result,
                "events": told.record.stored,
            }
            for told in outcome.told
        ],
    }


def _print(outcome: Outcome, data: str | None) -> None:
    console = output()
    for told in outcome.told:
        console.print()
        console.print(Text(f"{told.user_id} asked: {told.question}", style="bold"))
        if told.result.error is not None:
            paragraph(console, f"{told.result.status}: {told.result.error.message}", "red")
        else:
            paragraph(console, _without_details(str(told.result.output)))
    console.print()
    console.print(Text("what was checked", style="bold"))
    for check in outcome.checks:
        verdict = Text("  ok      " if check.held else "  FAILED  ", style="green" if check.held else "red")
        console.print(Text.assemble(verdict, f"{check.claim:<24}", printable(check.figures)))
    console.print(
        f"  {len(outcome.told)} runs in {outcome.elapsed_s:.2f} s; their event log was a temporary SQLite file"
    )
    if not outcome.is_good:
        paragraph(notes(), "the demo failed: see above", "red")
        return
    console.print()
    console.print(Text("next", style="bold"))
    option = "" if data is None else f" --data {data}"
    for command, what in (
        (f'ssot-engine run supervisor "{_QUESTIONS["alice"]}"{option}', "the arithmetic behind every figure"),
        (f"ssot-engine chat{option or ' --data my_usage.csv'}", "ask more" if data else "ask about your own log"),
        ("ssot-engine agents", "who can be asked"),
    ):
        console.print(Text.assemble("  ", printable(command), "\n", (f"      {what}", "dim")))


def _without_details(answer: str) -> str:
    """An answer without its indented lines, which hold arithmetic and rows."""
    return "\n".join(line for line in answer.splitlines() if not line.startswith("  "))
