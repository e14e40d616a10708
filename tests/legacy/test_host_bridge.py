"""A host's own object: told in order after the log, and never able to stop a run or lose an event."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest
from old_callers import Notified, echo, in_use, uses_old_doors
from structlog.testing import capture_logs

from fakes import check_thread, context_of, events_of, types_of, until
from running import Start, assert_nothing_is_left
from ssot_engine.agents import RunContext, agent
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import LogUnavailable
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import RunStatus
from ssot_engine.legacy import host_bridge
from ssot_engine.legacy.host_bridge import REQUIRED, HostBridge, missing_methods

pytestmark = uses_old_doors

create = UserExecutionEngine.create_from_legacy


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@agent("busy")
async def busy(run: RunContext) -> str:
    """Thinks, calls a tool and writes."""
    run.emit.thinking("hm", 2, 50.0)
    total = await run.tools.call("add", a=1, b=2)
    return f"it is {total}"


@agent("fails")
async def fails(run: RunContext) -> str:
    """Never gets there."""
    raise LookupError("no such thing")


async def test_each_event_is_told_with_its_arguments(start: Start) -> None:
    """The object hears of a run in the order of the log, as the original's bridge was called."""
    container = await in_use(start, busy, tools=[add])
    host = Notified()
    engine = await create(None, host, context_of())
    await engine.run("busy", "1 + 2?")
    await engine.cleanup()
    assert ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"] == host.kinds
    started, thinking, executing, done, completed = (about for _, about in host.told)
    assert all("run-1" == about["run_id"] and "busy" == about["agent_name"] for _, about in host.told)
    assert "1 + 2?" == started["context"]["message"]
    assert ("hm", 2, 50.0) == tuple(thinking[key] for key in ("reasoning", "step_number", "progress_percentage"))
    assert ("add", {"a": 1, "b": 2}) == (executing["tool_name"], executing["parameters"])
    assert ("add", 3) == (done["tool_name"], done["result"])
    assert done["execution_time_ms"] >= 0
    assert "it is 3" == completed["result"]
    check_thread(events_of(container.event_log()))


async def test_a_run_that_fails_is_not_told_as_one_that_did_not(start: Start) -> None:
    """The method has no argument for it, so the result says so; an error method, if there is one, is called before."""
    await in_use(start, fails)
    host = AsyncMock()
    engine = await create(None, host, context_of())
    assert RunStatus.FAILED == (await engine.run("fails", "go")).status
    await engine.cleanup()
    [error] = host.notify_agent_error.await_args_list
    assert "no such thing" in error.kwargs["error"]
    [completed] = host.notify_agent_completed.await_args_list
    result = completed.kwargs["result"]
    assert (False, "failed") == (result["success"], result["status"])
    assert "LookupError" == result["error"]["type"]


class Raises(Notified):
    """Fails at most events."""

    async def notify_agent_started(self, run_id: str, agent_name: str, **about: Any) -> None:
        raise ConnectionError("socket is gone")

    async def notify_tool_executing(self, run_id: str, tool_name: str, **about: Any) -> Any:
        return False

    async def notify_tool_completed(self, run_id: str, tool_name: str, **about: Any) -> None:
        raise asyncio.CancelledError


async def test_what_it_raises_is_logged_and_loses_nothing(start: Start) -> None:
    """The run completes, its thread is whole, what follows is told; an answer of False counts as a failure, too."""
    container = await in_use(start, busy, tools=[add])
    host = Raises()
    with capture_logs() as entries:
        engine = await create(None, host, context_of())
        assert RunStatus.COMPLETED == (await engine.run("busy", "go")).status
        await engine.cleanup()
    failed = [entry for entry in entries if entry["event"] == "host_bridge_failed"]
    assert [
        ("notify_agent_started", "ConnectionError('socket is gone')"),
        ("notify_tool_executing", "it answered False"),
        ("notify_tool_completed", "CancelledError()"),
    ] == [(entry["method"], entry["error"]) for entry in failed]
    assert ["agent_thinking", "agent_completed"] == host.kinds
    check_thread(events_of(container.event_log()))
    assert_nothing_is_left(container)


class Hangs(Notified):
    """Never takes its first event."""

    async def notify_agent_started(self, run_id: str, agent_name: str, **about: Any) -> None:
        await asyncio.Event().wait()


async def test_one_that_hangs_holds_up_no_run(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends at once; when the engine closes the object is given up after a moment, and no task is left."""
    monkeypatch.setattr(host_bridge, "GRACE_S", 0.02)
    container = await in_use(start, busy, tools=[add])
    host = Hangs()
    engine = await create(None, host, context_of())
    assert RunStatus.COMPLETED == (await engine.run("busy", "go")).status
    with capture_logs() as entries:
        await engine.cleanup()
    [told] = [entry for entry in entries if entry["event"] == "host_bridge_behind"]
    assert 5 == told["untold"]
    assert [] == host.told
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "host_bridge"]
    check_thread(events_of(container.event_log()))


async def test_what_waits_for_it_is_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound it is not told, and how many that were is; the log has them all."""
    monkeypatch.setattr(host_bridge, "GRACE_S", 0.02)
    monkeypatch.setattr(host_bridge, "MAX_WAITING", 2)
    container = await in_use(start)
    engine = await create(None, Hangs(), context_of())
    bridge = engine.websocket_bridge
    await bridge.notify_agent_started("by-hand", "someone")
    for number in range(5):
        await bridge.notify_agent_thinking("by-hand", "someone", f"thought {number}")
    assert isinstance(bridge, HostBridge)
    assert 2 == len(bridge._behind)
    with capture_logs() as entries:
        await engine.cleanup()
    [told] = [entry for entry in entries if entry["event"] == "host_bridge_behind"]
    assert 7 == told["untold"]
    assert 7 == len(events_of(container.event_log()))


@pytest.mark.parametrize(("host", "untold"), [(Hangs(), [6]), (Notified(), [])])
async def test_what_waits_for_it_is_bounded_in_bytes(
    start: Start, monkeypatch: pytest.MonkeyPatch, host: Notified, untold: list[int]
) -> None:
    """A few large events fill it, and what was told makes room again."""
    monkeypatch.setattr(host_bridge, "GRACE_S", 0.02)
    monkeypatch.setattr(host_bridge, "MAX_WAITING_BYTES", 1_000)
    container = await in_use(start)
    engine = await create(None, host, context_of())
    bridge = engine.websocket_bridge
    assert isinstance(bridge, HostBridge)
    await bridge.notify_agent_started("by-hand", "someone")
    for _ in range(4):
        await bridge.notify_agent_thinking("by-hand", "someone", "x" * 800)
        assert bridge._bytes <= 1_000
        if not untold:
            await until(lambda: not bridge._behind)
    with capture_logs() as entries:
        await engine.cleanup()
    assert untold == [entry["untold"] for entry in entries if entry["event"] == "host_bridge_behind"]
    assert 6 == len(events_of(container.event_log()))


async def test_driven_by_hand_it_is_told_too(start: Start) -> None:
    """An engine's bridge that a caller drives stores and tells alike; what is open at the end is told as cancelled."""
    container = await in_use(start)
    host = Notified()
    engine = await create(None, host, context_of())
    assert await engine.websocket_emitter.notify_agent_started("by hand")
    assert await engine.websocket_emitter.notify_tool_executing("lookup", "by hand", {"id": 1})
    await engine.cleanup()
    assert ["agent_started", "tool_executing", "tool_completed", "agent_completed"] == host.kinds
    assert "cancelled" == host.told[-1][1]["result"]["status"]
    assert host.kinds == types_of(events_of(container.event_log()))


class Refuses(MemoryEventLog):
    """A log whose storage goes away."""

    is_gone = False

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        if not self.is_gone:
            return super().submit(*args, **kwargs)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(LogUnavailable("memory://", "gone"))
        return future


async def test_it_is_not_told_what_the_log_refused() -> None:
    """An event that was never stored is not told: whoever emitted it gets the error."""
    log, host = Refuses(), Notified()
    bridge = HostBridge(host).for_context(context_of())
    bridge.adopt(log)
    await bridge.notify_agent_started("r", "someone")
    log.is_gone = True
    with capture_logs() as entries:
        with pytest.raises(LogUnavailable):
            await bridge.notify_agent_thinking("r", "someone", "hm")
        await until(lambda: bridge._telling is not None and bridge._telling.done())
    assert ["agent_started"] == host.kinds
    assert ["host_bridge_untold"] == [entry["event"] for entry in entries]
    log.is_gone = False
    await bridge.notify_agent_completed("r", "someone")
    await bridge.aclose()
    assert ["agent_started", "agent_completed"] == host.kinds


async def test_a_bridge_that_tells_is_of_one_user() -> None:
    """The one that was brought stays unbound; a bound one refuses another user."""
    template = HostBridge(Notified())
    bound = template.for_context(context_of())
    assert template.user_context is None
    assert bound is bound.for_context(context_of())
    with pytest.raises(ValueError, match="cannot serve user 'bob'"):
        bound.for_context(context_of("bob"))


def test_what_is_missing_is_listed() -> None:
    """Each required method that is no coroutine function is named."""
    assert [] == missing_methods(Notified())
    assert list(REQUIRED) == missing_methods(object())
    assert 5 == len(REQUIRED)
    assert echo.name == "echo"
