"""Facts about the offline team: what it answers, from which data, and what it never reads or tells."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from usage_logs import HEADER

from fakes import check_thread, context_of, events_of
from running import Start
from ssot_engine.agents import Output, RunContext, agent
from ssot_engine.container import ExecutionContainer
from ssot_engine.events import Event, RunResult, RunStatus, ThreadKey
from ssot_engine.offline import agents
from ssot_engine.offline.answers import answer
from ssot_engine.offline.intents import describe
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.reading import read_usage
from ssot_engine.offline.report import MODEL_LINE
from ssot_engine.offline.sample import SAMPLE_LABEL, sample_log
from ssot_engine.offline.source import Source
from ssot_engine.settings import Settings

TEAM = agents()
OVERVIEW = "Where does my LLM spend go?"
HELP = "What can you do?"
QUESTIONS = [example for _, example in describe()]
READS_FILES = {"permissions": ("files.read",)}

ROWS = [
    "2026-09-01T10:00:00Z,gpt-4o,1000,100,500,ok,chat,a1",
    "2026-09-01T10:05:00Z,gpt-4o,1000,100,700,ok,chat,a1",
    "2026-09-02T10:00:00Z,gpt-4o-mini,2000,50,300,error,search,b1",
]


@pytest.fixture
def usage_csv(tmp_path: Path) -> Path:
    """A small log of a user's own."""
    return write(tmp_path / "usage.csv", *ROWS)


def write(path: Path, *rows: str) -> Path:
    """A CSV log with these rows."""
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


async def started(start: Start, *more: object, **engine: Any) -> ExecutionContainer:
    """A container with the team, and more agents."""
    return await start(*TEAM.agents, *more, tools=TEAM.tools, engine=engine)


async def ask(
    container: ExecutionContainer,
    message: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    agent: str = "supervisor",
    user_id: str = "alice",
) -> RunResult:
    """One run in an engine of its own."""
    async with container.engine_factory().engine_for(context_of(user_id, f"run-{time.monotonic_ns()}")) as engine:
        return await engine.run(agent, message, inputs=inputs)


def told(container: ExecutionContainer, user_id: str = "alice") -> list[Event]:
    """The user's events."""
    return events_of(container.event_log(), ThreadKey(user_id, "t-1"))


# ----------------------------------------------------------------------------- answers


@pytest.mark.parametrize("question", [question for question in QUESTIONS if question != HELP])
async def test_the_team_says_what_the_analysis_says(start: Start, question: str) -> None:
    """Agents, tools and streaming change nothing of an answer: it is the library's, to the character."""
    result = await ask(await started(start), question)
    assert answer(question, sample_log(), PriceTable.load()) == result.output


async def test_any_other_question_lists_what_can_be_asked(start: Start) -> None:
    """It says that it does not know, lists every named question, and still names data and model."""
    result = await ask(await started(start), "Write a poem")
    assert result.status is RunStatus.COMPLETED
    assert result.output.startswith("I do not know how to answer 'Write a poem'")
    assert [] == [question for question in QUESTIONS if question not in result.output]
    assert result.output.endswith(MODEL_LINE)


async def test_asked_for_help_it_lists_what_can_be_asked(start: Start) -> None:
    """Help is every named question."""
    result = await ask(await started(start), HELP)
    assert [] == [question for question in QUESTIONS if question not in result.output]
    assert result.output.endswith(MODEL_LINE)


async def test_the_sample_is_named_as_what_it_is(start: Start) -> None:
    """Without data of the user's own every answer says that its calls are made up."""
    result = await ask(await started(start), OVERVIEW)
    assert f"data: {SAMPLE_LABEL}" in result.output


async def test_the_entry_point_brings_the_team() -> None:
    """A container of plain settings has the five agents and their tools."""
    container = ExecutionContainer.from_settings(Settings(agents={"entry_points": False}))
    assert ["data", "optimize", "report", "supervisor", "triage"] == container.registry().names()
    assert sorted(tool.name for tool in TEAM.tools) == container.tools().names()


async def test_the_golden_path_takes_less_than_two_seconds(start: Start) -> None:
    """The first question of a process, sample read from disk."""
    container = await started(start)
    began = time.perf_counter()
    result = await ask(container, OVERVIEW)
    assert result.status is RunStatus.COMPLETED
    assert time.perf_counter() - began < 2.0


# ------------------------------------------------------------------------------ events


async def test_the_team_tells_all_five_events(start: Start) -> None:
    """One run has the five events, and a nested agent for each of the four helpers."""
    container = await started(start)
    await ask(container, OVERVIEW)
    events = told(container)
    check_thread(events)
    assert {"agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"} <= {
        event.type for event in events
    }
    nested = [event.agent_name for event in events if event.type == "subagent_started"]
    assert ["triage", "data", "optimize", "report"] == nested


async def test_the_text_streamed_is_the_answer(start: Start) -> None:
    """The deltas of the supervisor, joined, are the result."""
    container = await started(start)
    result = await ask(container, OVERVIEW)
    deltas = [event.payload["text"] for event in told(container) if event.type == "message_delta"]
    assert result.output == "".join(deltas)


async def test_no_event_carries_the_log(start: Start) -> None:
    """Figures, rows and arithmetic only: the sample has 175 kB, the largest event a fraction."""
    container = await started(start)
    for question in QUESTIONS:
        await ask(container, question)
    assert max(len(bytes(event.raw)) for event in told(container)) < 16_384


# -------------------------------------------------------------------- the user's own data


async def test_a_file_is_read_with_the_permission(start: Start, usage_csv: Path) -> None:
    """The answer is about the file, and says so."""
    container = await started(start, **READS_FILES)
    result = await ask(container, OVERVIEW, {"data": str(usage_csv)})
    assert answer(OVERVIEW, read_usage(usage_csv), PriceTable.load()) == result.output
    assert f"data: {usage_csv}, 3 calls" in result.output


async def test_without_the_permission_no_file_is_read(start: Start, usage_csv: Path) -> None:
    """A user of a server cannot have it read its files: the run fails, and nothing of the file is told."""
    container = await started(start)
    result = await ask(container, OVERVIEW, {"data": str(usage_csv)})
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.message == ("tool 'load_usage': needs the permission 'files.read', which user 'alice' lacks")
    assert [] == [event for event in told(container) if b"gpt-4o" in bytes(event.raw)]


@pytest.mark.parametrize("asked", ["data", "optimize"])
async def test_no_helper_asked_directly_reads_a_file_either(start: Start, usage_csv: Path, asked: str) -> None:
    """Inputs that look like what the supervisor passes on are not taken for it."""
    source = {"path": str(usage_csv), "skip_bad_rows": False, "version": "1", "seal": "0" * 32}
    inputs = {"data": str(usage_csv), "source": source, "loaded": {"source": source}, "intent": {"name": "help"}}
    result = await ask(await started(start), OVERVIEW, inputs, agent=asked)
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert "needs the permission 'files.read'" in result.error.message


def thief(source: Source) -> Any:
    """An agent that hands the tools a source it did not get from load_usage in this run."""

    @agent("thief")
    async def steal(run: RunContext) -> Any:
        return Output(await run.tools.call("spend_by", by="model", source=source))

    return steal


async def test_a_made_up_source_is_refused(start: Start, usage_csv: Path) -> None:
    """A tool reads no path that load_usage did not admit, whoever calls it."""
    made_up = Source(path=str(usage_csv), skip_bad_rows=False, version="1", seal="0" * 32)
    result = await ask(await started(start, thief(made_up)), "", agent="thief")
    assert result.error is not None
    assert ("UnsealedSource", True) == (result.error.type, "was not admitted for this run" in result.error.message)


@pytest.mark.parametrize("user_id", ["alice", "mallory"])
async def test_a_source_of_another_run_is_refused(start: Start, usage_csv: Path, user_id: str) -> None:
    """What was admitted for one run opens nothing in another, of another user or of the same."""
    owner = await started(start, **READS_FILES)
    facts = await ask(owner, OVERVIEW, {"data": str(usage_csv)}, agent="data")
    other = await started(start, thief(facts.output.loaded.source))
    result = await ask(other, "", agent="thief", user_id=user_id)
    assert result.error is not None
    assert result.error.type == "UnsealedSource"


async def test_a_file_that_changes_meanwhile_is_refused(start: Start, usage_csv: Path) -> None:
    """Figures of one answer come from one state of the file."""

    @agent("late")
    async def late(run: RunContext) -> Any:
        loaded = await run.tools.call("load_usage", path=str(usage_csv))
        write(usage_csv, *ROWS, ROWS[0])
        return Output(await run.tools.call("spend_by", by="model", source=loaded.source))

    result = await ask(await started(start, late, **READS_FILES), "", agent="late")
    assert result.error is not None
    assert "changed while it was analysed; ask again" in result.error.message


async def test_a_changed_file_is_read_again(start: Start, usage_csv: Path) -> None:
    """What was parsed before is only used for the file as it was."""
    container = await started(start, **READS_FILES)
    await ask(container, OVERVIEW, {"data": str(usage_csv)})
    write(usage_csv, *ROWS, ROWS[0])
    result = await ask(container, OVERVIEW, {"data": str(usage_csv)})
    assert "4 calls" in result.output


async def test_two_users_get_answers_about_their_own_files(start: Start, tmp_path: Path) -> None:
    """Runs at the same time share no log."""
    container = await started(start, **READS_FILES)
    mine = write(tmp_path / "mine.csv", *ROWS)
    theirs = write(tmp_path / "theirs.csv", *(row.replace("chat", "billing") for row in ROWS))
    alice, bob = await asyncio.gather(
        ask(container, OVERVIEW, {"data": str(mine)}), ask(container, OVERVIEW, {"data": str(theirs)}, user_id="bob")
    )
    assert ("chat is", "billing is") == (alice.output[:7], bob.output[:10])
    assert [] == [event for event in told(container) if b"billing" in bytes(event.raw)]


async def test_a_bad_row_fails_the_run_and_says_where(start: Start, tmp_path: Path) -> None:
    """The text names file, row, column, what belongs there and what to do."""
    path = write(tmp_path / "bad.csv", *ROWS, "2026-09-02T10:00:00Z,gpt-4o,many,1,1,ok,chat,")
    container = await started(start, **READS_FILES)
    result = await ask(container, OVERVIEW, {"data": str(path)})
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.message == (
        f"{path} row 5, column 'tokens_in': expected a whole number >= 0, got 'many'; "
        "fix the row or use --skip-bad-rows"
    )
    skipped = await ask(container, OVERVIEW, {"data": str(path), "skip_bad_rows": True})
    assert "skipped: 1 bad row" in skipped.output


async def test_a_model_without_a_price_fails_the_run_and_is_named(start: Start, tmp_path: Path) -> None:
    """No figure is guessed."""
    path = write(tmp_path / "new.csv", *ROWS, "2026-09-02T10:00:00Z,brand-new,1,1,1,ok,chat,")
    result = await ask(await started(start, **READS_FILES), OVERVIEW, {"data": str(path)})
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert ("MissingPrice", True) == (result.error.type, "brand-new" in result.error.message)


async def test_a_log_with_a_feature_per_call_is_refused(start: Start, tmp_path: Path) -> None:
    """Results grow with the groups of a log, and results are events: there is a limit, and it is told."""
    rows = (ROWS[0].replace("chat", f"session-{number}") for number in range(1_001))
    path = write(tmp_path / "many.csv", *rows)
    result = await ask(await started(start, **READS_FILES), OVERVIEW, {"data": str(path)})
    assert result.error is not None
    assert "has 1,001 different features; at most 1,000 are told apart" in result.error.message


@pytest.mark.parametrize("inputs", [{"data": 7}, {"data": "x.csv", "skip_bad_rows": "yes"}])
async def test_inputs_of_the_wrong_type_fail_the_run(start: Start, inputs: dict[str, Any]) -> None:
    """The text says what fits."""
    result = await ask(await started(start, **READS_FILES), OVERVIEW, inputs)
    assert result.error is not None
    assert "pass the path as text, and true or false" in result.error.message


async def test_only_a_regular_file_is_opened(start: Start, tmp_path: Path) -> None:
    """A pipe would keep a thread waiting for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = await ask(await started(start, **READS_FILES), OVERVIEW, {"data": str(pipe)})
    assert result.error is not None
    assert "is no regular file" in result.error.message


# ------------------------------------------------------------------------ asked directly


async def test_data_and_optimize_answer_for_themselves(start: Start) -> None:
    """Asked directly they find out the question and load the sample."""
    container = await started(start)
    facts = await ask(container, OVERVIEW, agent="data")
    advice = await ask(container, OVERVIEW, agent="optimize")
    assert ("feature", "model") == tuple(str(spend.dimension) for spend in facts.output.found)
    assert advice.output[0][0].title.startswith("Cache support-chat")


async def test_report_alone_says_whom_to_ask(start: Start) -> None:
    """It has nothing to write about."""
    result = await ask(await started(start), OVERVIEW, agent="report")
    assert result.error is not None
    assert result.error.message.endswith("ask supervisor")
