"""A host's own object with `notify_*` methods: it is told what happened once the event is in the log."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import msgspec

from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import Ack, Draft, EventLog
from ssot_engine.logs import get_logger

log = get_logger("ssot_engine.legacy.host_bridge")

#: Events that may wait for the host's object; what comes beyond them it is not told.
MAX_WAITING = 10_000
#: The same in bytes of their payloads: one event may have 256 KiB.
MAX_WAITING_BYTES = 8 * 1024 * 1024
#: How long the object gets, when its engine ends, to take what waits, in seconds.
GRACE_S = 2.0


class _Notice(NamedTuple):
    """How one type of event is told: the method, and which field of the payload each of its arguments is."""

    method: str
    arguments: dict[str, str]


_NOTICES = {
    "agent_started": _Notice("notify_agent_started", {"context": "context"}),
    "agent_thinking": _Notice(
        "notify_agent_thinking",
        {"reasoning": "reasoning", "step_number": "step_number", "progress_percentage": "progress_percentage"},
    ),
    "tool_executing": _Notice("notify_tool_executing", {"tool_name": "tool_name", "parameters": "parameters"}),
    "tool_completed": _Notice(
        "notify_tool_completed",
        {"tool_name": "tool_name", "result": "result", "execution_time_ms": "execution_time_ms"},
    ),
    "agent_completed": _Notice(
        "notify_agent_completed", {"result": "result", "execution_time_ms": "execution_time_ms"}
    ),
    "agent_error": _Notice("notify_agent_error", {"error": "error_message", "error_context": "error_context"}),
}
#: What an object must have to be told of events.
REQUIRED = tuple(notice.method for kind, notice in _NOTICES.items() if kind != "agent_error")


def missing_methods(host: object) -> list[str]:
    """The `notify_*` methods this object lacks, or has as something else than coroutine functions."""
    if isinstance(host, type):
        return list(REQUIRED)  # a class has them only for its objects
    return [name for name in REQUIRED if not _is_awaited(getattr(host, name, None))]


def _is_awaited(method: object) -> bool:
    """Whether it is a coroutine function; an AsyncMock says so by its code alone."""
    code = getattr(method, "__code__", None)
    return inspect.iscoroutinefunction(method) or bool(getattr(code, "co_flags", 0) & inspect.CO_COROUTINE)


class HostBridge(AgentWebSocketBridge):
    """Appends to the log like any bridge, then tells the host's object, in order and one event at a time.

    What the object raises is logged; a run never waits for it and never loses an event by it. It is told the six
    types that it has a method for.
    """

    __slots__ = ("_behind", "_bytes", "_host", "_skipped", "_telling")

    def __init__(
        self, host: Any, context: UserExecutionContext | None = None, event_log: EventLog | None = None
    ) -> None:
        super().__init__(context, event_log)
        self._host = host
        self._behind: deque[tuple[Ack, Sequence[Draft]]] = deque()
        self._bytes = 0
        self._skipped = 0
        self._telling: asyncio.Task[None] | None = None

    def for_context(self, context: UserExecutionContext) -> Self:
        """The bridge of this context that tells the same object."""
        if self.user_context is None:
            return type(self)(self._host, context, self.event_log)
        return super().for_context(context)

    def submit(self, drafts: Sequence[Draft], attempt: int) -> Ack:
        """Hand events to the log; the host's object is told later."""
        ack = super().submit(drafts, attempt)
        told = [draft for draft in drafts if draft.type in _NOTICES]
        size = _size(told)
        if told and (len(self._behind) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES):
            self._skipped += len(told)
        elif told:
            self._behind.append((ack, told))
            self._bytes += size
            if self._telling is None or self._telling.done():
                self._telling = self.loop.create_task(self._tell_all(), name="host_bridge")
        return ack

    async def aclose(self) -> None:
        """End what is still open, then let the object take what waits for `GRACE_S` seconds."""
        await super().aclose()
        if self._telling is not None and not self._telling.done():
            await asyncio.wait((self._telling,), timeout=GRACE_S)
            if not self._telling.done():
                self._telling.cancel()
                await asyncio.wait((self._telling,), timeout=GRACE_S)
        self._skipped += sum(len(drafts) for _, drafts in self._behind)
        self._behind.clear()
        self._bytes = 0
        if self._skipped:
            log.warning("host_bridge_behind", host=type(self._host).__name__, untold=self._skipped)

    async def _tell_all(self) -> None:
        behind = self._behind
        while behind:
            ack, drafts = behind.popleft()
            self._bytes -= _size(drafts)
            untold = len(drafts)
            try:
                if ack is not None:
                    await asyncio.shield(ack)
                for draft in drafts:
                    await self._tell(draft)
                    untold -= 1
            except Exception as error:
                # The log refused them: who emitted them is told that, and the object must not hear of them.
                log.warning("host_bridge_untold", host=type(self._host).__name__, error=repr(error))
            except asyncio.CancelledError:
                self._skipped += untold
                raise

    async def _tell(self, draft: Draft) -> None:
        notice = _NOTICES[draft.type]
        method = getattr(self._host, notice.method, None)
        if method is None:
            return
        arguments = _arguments(draft.type, msgspec.json.decode(draft.raw))
        try:
            answer = await method(run_id=draft.run_id, agent_name=draft.agent_name, **arguments)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # Not this task was cancelled, but something that the host's code waited for.
            self._failed(draft, repr(error))
        except Exception as error:
            # The host's own code may raise anything; the event is in the log all the same.
            self._failed(draft, repr(error))
        else:
            if answer is False:
                self._failed(draft, "it answered False")

    def _failed(self, draft: Draft, error: str) -> None:
        log.warning(
            "host_bridge_failed",
            host=type(self._host).__name__,
            method=_NOTICES[draft.type].method,
            run_id=draft.run_id,
            error=error,
        )


def _size(drafts: Sequence[Draft]) -> int:
    return sum(len(draft.raw) for draft in drafts)


def _arguments(type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """What the object is told besides run and agent."""
    told = {name: payload.get(field) for name, field in _NOTICES[type].arguments.items()}
    if type == "agent_started" and payload["message"]:
        told["context"] = {**payload["context"], "message": payload["message"]}
    elif type == "agent_completed" and payload["status"] != "completed":
        # The method has no argument for it: without this a run that failed would be told like one that did not.
        told["result"] = {"success": False, "status": payload["status"], "error": payload.get("error")}
    return told
