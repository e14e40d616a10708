"""What a test leaves open turns the test red, is told by name, and is gone before the next test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from host_suite import LEFT_OPEN, PASSED, Suite, run_suite

LEAKS = """
import asyncio
import pytest
from ssot_engine import AgentWebSocketBridge, ExecutionContainer, UserExecutionContext, agent

def context(user="alice"):
    return UserExecutionContext.from_request(user, "t-1", "run-1")

class Quiet(AgentWebSocketBridge): pass

@agent
async def sleeper(run):
    await asyncio.sleep(60)

@pytest.fixture
def execution_agents():
    return [sleeper]

HOSTS_OWN = ExecutionContainer()
KEPT = []

async def test_engine(execution_container):
    await execution_container.engine_factory().create_for_user(context())

async def test_after_engine(execution_container):
    assert execution_container.open_scopes == 0

async def test_engine_with_run(execution_container):
    engine = await execution_container.engine_factory().create_for_user(context("bob"))
    engine.stream("sleeper", "x")
    await asyncio.sleep(0)

async def test_scope():
    KEPT.append(HOSTS_OWN.open_scope(context=context()))

async def test_after_scope():
    assert HOSTS_OWN.open_scopes == 0
    assert KEPT[0].closed

def test_scope_without_a_loop():
    KEPT.append(HOSTS_OWN.open_scope(context=context("carol")))

async def test_dropped_scope():
    HOSTS_OWN.open_scope(context=context())

async def test_after_dropped_scope():
    assert HOSTS_OWN.open_scopes == 0

async def test_task():
    async def poll():
        while True:
            await asyncio.sleep(60)
    KEPT.append(asyncio.create_task(poll(), name="poller"))

async def test_after_task():
    assert KEPT[-1].cancelled()

async def test_override():
    HOSTS_OWN.bridge.override(HOSTS_OWN.bridge.built_by(Quiet))

async def test_override_of_the_class():
    ExecutionContainer.redis_manager.override("mine")

def test_after_overrides():
    assert HOSTS_OWN.bridge.overridden == ()
    assert ExecutionContainer.redis_manager.overridden == ()

async def test_several(execution_container):
    await execution_container.engine_factory().create_for_user(context())
    HOSTS_OWN.bridge.override(HOSTS_OWN.bridge.built_by(Quiet))
    KEPT.append(asyncio.create_task(asyncio.sleep(60), name="idler"))

async def test_clean(execution_container, as_user, override_providers):
    override_providers(bridge=Quiet)
    async with execution_container.engine_factory().engine_for(context()) as engine:
        task = asyncio.create_task(engine.run("sleeper", "x"))
        await asyncio.sleep(0)
        task.cancel()

async def test_told_to_end():
    async def slow_to_end():
        try:
            await asyncio.sleep(60)
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
    task = asyncio.create_task(slow_to_end())
    await asyncio.sleep(0)
    task.cancel()

@pytest.fixture
async def hosts_engine(execution_container):
    engine = await execution_container.engine_factory().create_for_user(context())
    task = asyncio.create_task(asyncio.sleep(60))
    yield engine
    await engine.cleanup()
    task.cancel()

async def test_what_a_fixture_ends(hosts_engine):
    assert hosts_engine.is_active()

@pytest.fixture
async def factory(execution_container):
    engines = []
    async def make():
        engines.append(await execution_container.engine_factory().create_for_user(context()))
    yield make
    for engine in engines:
        await engine.cleanup()

async def test_what_its_fixture_ends_for_it(factory):
    await factory()

async def test_container_of_its_own():
    async with ExecutionContainer().running() as container:
        async with container.engine_factory().engine_for(context()): pass

async def test_container_that_is_never_left():
    KEPT.append(ExecutionContainer().running())
    await KEPT[-1].__aenter__()

@pytest.mark.allow_leaks("the poller lives as long as the process")
async def test_allowed():
    KEPT.append(asyncio.create_task(asyncio.sleep(60)))
    KEPT.append(HOSTS_OWN.open_scope(context=context()))

async def test_after_allowed():
    assert HOSTS_OWN.open_scopes == 1

@pytest.mark.allow_leaks
async def test_allowed_without_reason():
    pass

def test_plain():
    pass
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A host's suite with a test for each way to leave something open."""
    return run_suite(tmp_path_factory.mktemp("leaks"), LEAKS)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("test_engine", r"engine engine_\w+ of user 'alice', thread 't-1' \(ExecutionContainer\)"),
        ("test_engine_with_run", r"engine engine_\w+ of user 'bob', thread 't-1', run 'run-1' going on"),
        ("test_scope", r"scope of user 'alice', thread 't-1' \(ExecutionContainer, no engine in it\)"),
        ("test_scope_without_a_loop", r"scope of user 'carol', thread 't-1'"),
        ("test_dropped_scope", r"1 scope\(s\) of ExecutionContainer, dropped without being closed"),
        ("test_task", r"task 'poller' of test_task\.<locals>\.poll\(\) at .*test_host\.py:\d+"),
        ("test_override", r"override of ExecutionContainer\(\)\.bridge by Scoped\(<class 'test_host\.Quiet'>\)"),
        ("test_override_of_the_class", r"override of ExecutionContainer\.redis_manager by Object\('mine'\)"),
    ],
)
def test_what_is_left_open_is_told(suite: Suite, test: str, told: str) -> None:
    """Each kind of leak turns its test red, with one line that says what it is, whose and where."""
    assert LEFT_OPEN == suite.outcomes(test)
    text = suite.tests[test]["teardown"].text
    assert re.search(told, text), text
    assert len(re.findall(r"(?m)^  \S", text)) == 1, text


def test_all_leaks_of_a_test_are_told(suite: Suite) -> None:
    """A test that leaves several things open is told all of them, and how to have them allowed."""
    text = suite.tests["test_several"]["teardown"].text
    assert ["engine", "override", "task"] == re.findall(r"(?m)^  (\w+)", text)
    assert '@pytest.mark.allow_leaks("' in text


@pytest.mark.parametrize(
    "test",
    ["test_after_engine", "test_after_scope", "test_after_dropped_scope", "test_after_task", "test_after_overrides"],
)
def test_next_test_finds_nothing(suite: Suite, test: str) -> None:
    """A leak is closed before the next test starts, and is not held against that one."""
    assert PASSED == suite.outcomes(test)


@pytest.mark.parametrize(
    "test",
    ["test_clean", "test_told_to_end", "test_what_a_fixture_ends", "test_what_its_fixture_ends_for_it", "test_plain"],
)
def test_what_is_ended_in_time_is_no_leak(suite: Suite, test: str) -> None:
    """What the test or one of its fixtures ends, and what was told to end, is not held against it."""
    assert PASSED == suite.outcomes(test), suite.tests[test]


@pytest.mark.parametrize("test", ["test_container_of_its_own", "test_container_that_is_never_left"])
def test_tasks_of_a_container_are_exempt(suite: Suite, test: str) -> None:
    """No test is blamed for the tasks that a container keeps for itself."""
    assert PASSED == suite.outcomes(test), suite.tests[test]


def test_leaks_can_be_allowed(suite: Suite) -> None:
    """A marked test may leave things open; they stay, and the next test is not blamed for them."""
    assert PASSED == suite.outcomes("test_allowed")
    assert PASSED == suite.outcomes("test_after_allowed")


def test_allowing_takes_a_reason(suite: Suite) -> None:
    """The marker without a reason is refused before the test runs."""
    assert suite.outcomes("test_allowed_without_reason")["setup"] == "failed"
    assert "wants a reason" in suite.tests["test_allowed_without_reason"]["setup"].text


def test_first_test_that_imports_the_container_is_checked(tmp_path: Path) -> None:
    """Even the test whose own body imports the container for the first time is told what it left open."""
    code = """
KEPT = []

def test_first():
    from ssot_engine import ExecutionContainer, UserExecutionContext
    KEPT.append(ExecutionContainer())
    KEPT.append(KEPT[0].open_scope(context=UserExecutionContext.from_request("alice", "t-1", "run-1")))
"""
    suite = run_suite(tmp_path, code)
    assert LEFT_OPEN == suite.outcomes("test_first")
    assert "scope of user 'alice'" in suite.tests["test_first"]["teardown"].text
