"""The pytest plugin: a running container, its users, overrides in one line, and a check for what a test left open.

A module, or a conftest, says what the container has by fixtures of its own:

@pytest.fixture
def execution_agents():
    return [greeter]

async def test_greets_by_name(as_user):
    run = await as_user("alice").run("greeter", "hi")
    assert run.text == "hello alice"

Importing this imports neither the container nor what it is made of: a host pays for them in tests that use them.

Tests may import from `netra_backend` where there is no such package: then the old names are answered by ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from ssot_engine.container import ExecutionContainer
    from ssot_engine.settings import Settings
    from ssot_engine.testing.leaks import Watch
    from ssot_engine.testing.users import User

_MARKER = "allow_leaks(reason): what this test leaves open is meant to stay open; the reason is required"


def pytest_configure(config: pytest.Config) -> None:
    """Make the plugin's marker known, and be asked for old names after everybody else."""
    config.addinivalue_line("markers", _MARKER)
    last = _LastAsked()
    sys.meta_path.append(last)
    config.add_cleanup(last.remove)


class _LastAsked(MetaPathFinder):
    """Installs the redirects of `netra_backend` once it is imported, and nobody has it."""

    def __init__(self) -> None:
        self._installed = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != "netra_backend":
            return None
        from ssot_engine.legacy.redirects import install_redirects, is_redirected

        if is_redirected(fullname):
            return None
        self._installed = True
        install_redirects()
        return find_spec(fullname)

    def remove(self) -> None:
        """Leave the interpreter as it was found."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._installed:
            from ssot_engine.legacy.redirects import uninstall_redirects

            uninstall_redirects()


# ---------------------------------------------------------------------- what a host may say


@pytest.fixture
def execution_settings() -> Settings:
    """The settings of `execution_container`: the host's own, but nothing stays on disk and no test waits for long."""
    from ssot_engine.settings import Settings

    return Settings(
        engine={"stop_grace_s": 0.5, "drain_timeout_s": 0.5},
        events={"url": "memory://"},
        runs={"url": "local://"},
        agents={"offline": False},
    )


@pytest.fixture
def execution_container_class() -> type[ExecutionContainer]:
    """The class of `execution_container`; a host returns its own."""
    from ssot_engine.container import ExecutionContainer

    return ExecutionContainer


@pytest.fixture
def execution_agents() -> list[Any]:
    """The agents of `execution_container`, whatever `AgentRegistry.register` takes."""
    return []


@pytest.fixture
def execution_tools() -> list[Any]:
    """The tools of `execution_container`, whatever `ToolRegistry.register` takes."""
    return []


# ------------------------------------------------------------------------ what a test gets


@pytest.fixture
def execution_container(
    request: pytest.FixtureRequest,
    execution_settings: Settings,
    execution_container_class: type[ExecutionContainer],
    execution_agents: list[Any],
    execution_tools: list[Any],
    _ssot_engine_leaks: list[str],
) -> Iterator[ExecutionContainer]:
    """A container of this test's own, with its agents and tools, that runs on the test's event loop.

    The test may register more of both while it runs.
    """
    from ssot_engine.testing.leaks import Watch

    container = execution_container_class.from_settings(execution_settings)
    for agent in execution_agents:
        container.registry().register(agent)
    for tool in execution_tools:
        container.tools().register(tool)
    with ExitStack() as stack:
        loop = _loop_of(request) or stack.enter_context(closing(asyncio.new_event_loop()))
        watch = Watch(loop)
        running = container.running(freeze=False)
        loop.run_until_complete(running.__aenter__())
        try:
            yield container
            watch.scopes(container)
            _ssot_engine_leaks += watch.found
        finally:
            loop.run_until_complete(running.__aexit__(None, None, None))


@pytest.fixture
def as_user(execution_container: ExecutionContainer) -> Callable[[str], User]:
    """`as_user("alice")` speaks to the container for that user, each time in a thread of its own."""
    from ssot_engine.testing.users import User

    return lambda name: User(execution_container, name)


@pytest.fixture
def override_providers(execution_container: ExecutionContainer) -> Iterator[Callable[..., None]]:
    """`override_providers(bridge=Recording)` replaces providers of the container until the test is over.

    A value is a provider, a class that is built from the same dependencies, or the object itself. All are replaced, or
    none if one is refused.
    """
    from ssot_engine.testing.overriding import replacements

    def override(**values: Any) -> None:
        for provider, replacement in replacements(execution_container, values):
            provider.override(replacement)
            undo.callback(provider.reset_last_overriding)

    with ExitStack() as undo:
        yield override


# ------------------------------------------------------------------- what nobody asks for


@pytest.fixture(autouse=True)
def _ssot_engine_leaks(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Refuse what a test leaves open. What was found is added here, a line for each."""
    found: list[str] = []
    if (marker := request.node.get_closest_marker("allow_leaks")) is not None:
        _check_reason(*marker.args, **marker.kwargs)
        yield found
        return
    watch = _watch(request)
    yield found
    # A container that the test itself imported is new altogether.
    if (watch := watch or _watch(None)) is not None:
        watch.everything()
        found += watch.found
    if found:
        lines = "".join(f"\n  {line}" for line in found)
        pytest.fail(
            f"{request.node.name} left open:{lines}\nThey are closed now. End them in the test or in its fixtures, "
            'or mark it @pytest.mark.allow_leaks("why they may stay").',
            pytrace=False,
        )


def _watch(request: pytest.FixtureRequest | None) -> Watch | None:
    """A watch over what exists now, or over nothing; None while there can be no container."""
    if "ssot_engine.container" not in sys.modules:
        return None
    from ssot_engine.testing.leaks import Watch

    return Watch(None, known=()) if request is None else Watch(_loop_of(request))


def _check_reason(reason: object = None) -> None:
    if not isinstance(reason, str) or not reason.strip():
        pytest.fail('allow_leaks wants a reason: @pytest.mark.allow_leaks("why they may stay")', pytrace=False)


# ---------------------------------------------------------------------- the test's event loop


def _loop_of(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop | None:
    """The event loop an asynchronous test runs on, whichever plugin runs it; None for any other test."""
    config, name = request.config, None
    marker = request.node.get_closest_marker("asyncio")
    if marker is not None and _has(config, "pytest_asyncio.plugin"):
        name = (
            f"_ssot_engine_{marker.kwargs.get('loop_scope') or config.getini('asyncio_default_test_loop_scope')}_loop"
        )
    elif "anyio_backend" in request.fixturenames and _has(config, "anyio.pytest_plugin"):
        name = "_ssot_engine_anyio_loop"
    return None if name is None else request.getfixturevalue(name)


def _has(config: pytest.Config, plugin: str) -> bool:
    return plugin in sys.modules and config.pluginmanager.is_registered(sys.modules[plugin])


def _loop_fixture(scope: str) -> Any:
    """A fixture of the loop that pytest-asyncio keeps for this scope; without pytest-asyncio nobody asks for it."""

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    name = f"_ssot_engine_{scope}_loop"
    try:
        import pytest_asyncio
    except ImportError:
        return pytest.fixture(loop, name=name)
    return pytest_asyncio.fixture(loop, loop_scope=scope, name=name)  # type: ignore[call-overload]


_function_loop = _loop_fixture("function")
_class_loop = _loop_fixture("class")
_module_loop = _loop_fixture("module")
_package_loop = _loop_fixture("package")
_session_loop = _loop_fixture("session")


@pytest.fixture(name="_ssot_engine_anyio_loop")
async def _anyio_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that anyio runs the test on; None if that is not asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
