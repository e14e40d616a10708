"""The plugin's fixtures, in the hosts that may use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from host_suite import LEFT_OPEN, PASSED, Suite, run_suite

GREETER = """
import asyncio
import pytest
from ssot_engine import (
    AgentRegistry, AgentWebSocketBridge, ExecutionContainer, Settings, UserExecutionContext, agent, tool,
)

@agent
async def greeter(run):
    total = await run.tools.call("add", a=1, b=2)
    yield f"hello {run.user_id}, "
    yield str(total)

@agent
async def counter(run):
    return len(run.history)

@agent
async def broken(run):
    raise ValueError("no luck")

@agent
async def sleeper(run):
    await asyncio.sleep(60)

def add(a: int, b: int) -> int:
    return a + b

@pytest.fixture
def execution_agents():
    return [greeter, counter, broken, sleeper]

@pytest.fixture
def execution_tools():
    return [add]
"""

FIXTURES = (
    GREETER
    + """
async def test_register_late(execution_container, as_user):
    @agent("late")
    async def late(run):
        return "in time"

    execution_container.registry().register(late)
    assert (await as_user("alice").run("late")).output == "in time"

async def test_run(as_user):
    run = await as_user("alice").run("greeter", "hi")
    assert run.text == run.output == "hello alice, 3"
    assert run.status == "completed"
    assert run.error is None
    assert run.event_types[:3] == ["agent_started", "tool_executing", "tool_completed"]
    assert run.event_types[-1] == "agent_completed"
    assert {event.run_id for event in run.events} == {run.result.run_id}

async def test_failing_run(as_user):
    run = await as_user("alice").run("broken")
    assert (run.status, run.error.message, run.text) == ("failed", "no luck", "")

async def test_user_keeps_a_thread(as_user):
    alice = as_user("alice")
    await alice.run("greeter", "hi")
    second = await alice.run("counter", "and now")
    assert second.output == 2
    assert {event.run_id for event in second.events} == {second.result.run_id}
    assert (await as_user("alice").run("counter")).output == 0
    assert [event.type for event in await alice.events()].count("agent_started") == 2
    assert alice.context(plan="free").metadata == {"plan": "free"}

async def test_options(as_user):
    assert (await as_user("alice").run("sleeper", timeout_s=0.05)).status == "timed_out"

async def test_stream(as_user, execution_container):
    async with as_user("bob").stream("sleeper", "hi") as events:
        assert (await anext(events)).type == "agent_started"
        assert execution_container.open_scopes == 1
    assert execution_container.open_scopes == 0
    assert (await events.result()).status == "cancelled"

async def test_container_runs_on_this_loop(execution_container):
    assert {task.get_loop() for task in execution_container.own_tasks} == {asyncio.get_running_loop()}
    assert execution_container.settings().events.url == "memory://"
    assert execution_container.settings().engine.stop_grace_s <= 1
    assert execution_container.registry().names() == ["broken", "counter", "greeter", "sleeper"]

def test_container_in_a_synchronous_test(execution_container):
    assert execution_container.tools().names() == ["add"]

class Recording(AgentWebSocketBridge):
    pass

async def test_override_by_class(override_providers, as_user, execution_container):
    override_providers(bridge=Recording)
    context = as_user("alice").context()
    async with execution_container.engine_factory().engine_for(context) as engine:
        assert type(engine.websocket_bridge) is Recording
        assert engine.websocket_bridge.user_context is context

async def test_override_by_object_and_provider(override_providers, as_user, execution_container):
    from dependency_injector import providers
    redis = object()
    override_providers(redis_manager=redis, database_session_manager=providers.Object("db"))
    async with execution_container.engine_factory().engine_for(as_user("alice").context()) as engine:
        assert engine.redis_manager is redis
        assert engine.database_session_manager == "db"

async def test_override_of_a_singleton(override_providers, as_user):
    override_providers(registry=AgentRegistry([counter]))
    assert (await as_user("alice").run("counter")).output == 0

KEPT = []

@pytest.fixture
def sees_the_undoing(execution_container):
    yield
    KEPT.append(execution_container.bridge.overridden)

async def test_overrides_nest(sees_the_undoing, override_providers, execution_container):
    class Other(Recording): pass
    override_providers(bridge=Recording)
    override_providers(bridge=Other)
    assert execution_container.bridge.last_overriding.provides is Other

def test_overrides_were_undone():
    assert KEPT == [()]

@pytest.fixture
def own_settings():
    return Settings(events={"url": "memory://"}, engine={"max_engines_per_user": 1})

class TestHostsChoice:
    @pytest.fixture
    def execution_settings(self):
        return Settings(engine={"max_engines_per_user": 1})

    @pytest.fixture
    def execution_container_class(self):
        class HostsOwn(ExecutionContainer):
            pass
        return HostsOwn

    async def test_settings_and_class(self, execution_container):
        assert type(execution_container).__name__ == "HostsOwn"
        assert execution_container.settings().engine.max_engines_per_user == 1
"""
)

REFUSED = """
async def test_unknown(override_providers):
    override_providers(brigde=None)

async def test_wrong_object(override_providers):
    override_providers(bridge=3)

async def test_wrong_class(override_providers):
    override_providers(bridge=dict)

async def test_wrong_provider(override_providers):
    from dependency_injector import providers
    override_providers(emitter=providers.Factory(dict))

async def test_given(override_providers):
    override_providers(context=3)

async def test_too_late(override_providers):
    override_providers(permissions=lambda context: frozenset())

async def test_all_or_none(override_providers, execution_container):
    with pytest.raises(TypeError):
        override_providers(redis_manager="mine", bridge=3)
    assert execution_container.redis_manager() is None
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A host's suite that uses each fixture, and asks for overrides that cannot be."""
    return run_suite(tmp_path_factory.mktemp("fixtures"), FIXTURES + REFUSED)


@pytest.mark.parametrize(
    "test",
    [
        "test_register_late",
        "test_run",
        "test_failing_run",
        "test_user_keeps_a_thread",
        "test_options",
        "test_stream",
        "test_container_runs_on_this_loop",
        "test_container_in_a_synchronous_test",
        "test_override_by_class",
        "test_override_by_object_and_provider",
        "test_override_of_a_singleton",
        "test_overrides_nest",
        "test_overrides_were_undone",
        "TestHostsChoice::test_settings_and_class",
    ],
)
def test_fixtures_work(suite: Suite, test: str) -> None:
    """Each fixture does what its docstring says, in a host's suite where every warning is an error."""
    assert PASSED == suite.outcomes(test), suite.tests[test]


STRICT = (
    GREETER
    + """
@pytest.mark.asyncio
async def test_run(as_user):
    assert (await as_user("alice").run("greeter", "hi")).text == "hello alice, 3"

@pytest.mark.asyncio
async def test_leak():
    asyncio.create_task(asyncio.sleep(60))

@pytest.mark.asyncio(loop_scope="module")
class TestLongerLoop:
    async def test_run(self, as_user, execution_container):
        assert {task.get_loop() for task in execution_container.own_tasks} == {asyncio.get_running_loop()}
        assert (await as_user("alice").run("greeter", "hi")).text == "hello alice, 3"

    async def test_leak(self):
        type(self).left = asyncio.create_task(asyncio.sleep(60))

    async def test_after_leak(self):
        assert self.left.cancelled()
        assert self.left.get_loop() is asyncio.get_running_loop()
"""
)


def test_works_in_strict_mode(tmp_path: Path) -> None:
    """In pytest-asyncio's strict mode, and on a loop that outlives a test, runs and the leak check work alike."""
    suite = run_suite(tmp_path, STRICT, mode="strict")
    assert PASSED == suite.outcomes("test_run"), suite.output
    assert LEFT_OPEN == suite.outcomes("test_leak")
    assert PASSED == suite.outcomes("TestLongerLoop::test_run"), suite.output
    assert LEFT_OPEN == suite.outcomes("TestLongerLoop::test_leak")
    assert PASSED == suite.outcomes("TestLongerLoop::test_after_leak"), suite.output


ANYIO = (
    GREETER
    + """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_run(as_user):
    assert (await as_user("alice").run("greeter", "hi")).text == "hello alice, 3"

async def test_leak():
    asyncio.create_task(asyncio.sleep(60))

def test_without_a_loop(execution_container):
    assert execution_container.tools().names() == ["add"]
"""
)


def test_works_without_pytest_asyncio(tmp_path: Path) -> None:
    """A host without pytest-asyncio can load the plugin, and use it with anyio's."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "pytest_asyncio.py").write_text("raise ImportError('this host does not have it')")
    host = tmp_path / "host"
    host.mkdir()
    plugins = ["-p", "anyio.pytest_plugin", "-p", "ssot_engine.testing.plugin"]
    unknown_options = ["-W", "ignore::pytest.PytestConfigWarning"]
    suite = run_suite(
        host, ANYIO, *plugins, *unknown_options, PYTHONPATH=str(hidden), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )
    assert PASSED == suite.outcomes("test_run"), suite.output
    assert LEFT_OPEN == suite.outcomes("test_leak"), suite.output
    assert PASSED == suite.outcomes("test_without_a_loop"), suite.output


def test_can_be_disabled(tmp_path: Path) -> None:
    """With `-p no:ssot_engine` nothing of the plugin is left: no fixture, no check, no import."""
    code = """
import asyncio, sys
import ssot_engine.container

async def test_leak():
    asyncio.create_task(asyncio.sleep(60))

def test_nothing_is_imported():
    assert "ssot_engine.testing.plugin" not in sys.modules

def test_no_fixture(as_user):
    pass
"""
    suite = run_suite(tmp_path, code, "-p", "no:ssot_engine")
    assert PASSED == suite.outcomes("test_leak")
    assert PASSED == suite.outcomes("test_nothing_is_imported")
    assert "fixture 'as_user' not found" in suite.tests["test_no_fixture"]["setup"].text


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (
            "test_unknown",
            "override_providers() names 'brigde', which this container does not provide; did you mean 'br",
        ),
        ("test_wrong_object", "'bridge' must be a AgentWebSocketBridge, got int 3"),
        ("test_wrong_class", "'bridge' must be a AgentWebSocketBridge, got type <class 'dict'>"),
        ("test_wrong_provider", "'emitter' must be a UnifiedWebSocketEmitter, got Factory"),
        ("test_given", "'context' is a Given"),
        ("test_too_late", "has built 'control' with it: control -> permissions; declare 'permissions' in a subclass"),
    ],
)
def test_wrong_overrides_are_refused(suite: Suite, test: str, told: str) -> None:
    """An override that is unknown, of another class, or would have no effect is refused with its provider's name."""
    assert suite.outcomes(test)["call"] == "failed"
    assert told in suite.tests[test]["call"].text


def test_refused_override_changes_nothing(suite: Suite) -> None:
    """If one of several overrides is refused, none is made."""
    assert PASSED == suite.outcomes("test_all_or_none"), suite.output


def test_import_costs_nothing() -> None:
    """Importing the plugin imports neither the container nor dependency-injector nor FastAPI nor pydantic."""
    code = "import sys, ssot_engine.testing.plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ssot_engine.testing.plugin" in loaded
    heavy = {"ssot_engine.container", "ssot_engine.settings", "dependency_injector", "fastapi", "pydantic", "structlog"}
    assert set() == loaded & heavy
    assert {"ssot_engine", "ssot_engine.testing", "ssot_engine.testing.plugin"} == {
        name for name in loaded if name.startswith("ssot_engine")
    }
