"""AG-UI 1.0: one request runs an agent, and its answer streams what the agent does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ag_ui.core import BaseEvent, RunAgentInput, TextInputContent, UserMessage
from fastapi import APIRouter, Query, Request

from ssot_engine.errors import RequestError, shown
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, Position
from ssot_engine.web.access import RunOrder
from ssot_engine.web.agui_events import RunProjection, encode
from ssot_engine.web.deliveries import Wire
from ssot_engine.web.models import problems
from ssot_engine.web.site import Access, site_of
from ssot_engine.web.sse import cursor_text, streamed
from ssot_engine.web.streams import DETAILS, Ending, EventStream, Following

router = APIRouter()


class AguiView:
    """One run as AG-UI events. Their ids are cursors of the thread's own event stream."""

    wire: Wire = "agui"

    def __init__(self, thread_id: str, run_id: str) -> None:
        self._projection = RunProjection(thread_id, run_id)

    def opening(self) -> bytes:
        """Nothing: RUN_STARTED comes with the first event."""
        return b""

    def event(self, event: Event) -> bytes:
        """What one event is to a client."""
        return _frames(self._projection.event(event), event.position)

    def reset(self, reset: Reset) -> bytes:
        """What is still kept of events that are gone."""
        return _frames(self._projection.reset(reset), reset.position)

    def ending(self, ending: Ending) -> bytes:
        """A RUN_ERROR, unless the run's terminal event was told."""
        return _frames(self._projection.broken_off(ending, DETAILS[ending]), None)


def _frames(events: Sequence[BaseEvent], position: Position | None) -> bytes:
    place = "" if position is None else f"id: {cursor_text(position)}\n"
    return "".join(f"{place}data: {line}\n\n" for line in encode(events)).encode()


_ANSWERS = {
    **streamed({}, "Server-sent events: each has an AG-UI event as JSON and a cursor of the thread as id"),
    **problems(400, 401, 403, 404, 409, 413, 429, 503),
}


@router.post("/api/agui", status_code=200, response_class=EventStream, responses=_ANSWERS)
async def run(
    request: Request,
    access: Access,
    body: RunAgentInput,
    agent: Annotated[str | None, Query(description="The agent, before forwardedProps.agent")] = None,
) -> EventStream:
    """Run an agent on the last user message, in the user's thread `threadId`; its history is the server's own.

    The answer always ends with RUN_FINISHED or RUN_ERROR. A client that goes away does not cancel the run.
    """
    order = _order(body, agent)
    access.key(body.thread_id)

    async def begin() -> Following:
        submitted = await access.submit(order)
        return Following(submitted.thread_id, submitted.position, submitted.run_id)

    return EventStream(site_of(request), access, begin, AguiView(body.thread_id, body.run_id))


def _order(body: RunAgentInput, agent: str | None) -> RunOrder:
    props: Mapping[str, Any] = body.forwarded_props if isinstance(body.forwarded_props, dict) else {}
    return RunOrder(
        message=_last_user_text(body),
        agent=agent or _prop(props, "agent", str),
        thread_id=body.thread_id,
        run_id=body.run_id,
        inputs=_prop(props, "inputs", dict),
    )


def _prop(props: Mapping[str, Any], name: str, kind: type) -> Any:
    """What the application passed along by that name.

    Raises:
        RequestError: it is of another kind.
    """
    value = props.get(name)
    if value is not None and not isinstance(value, kind):
        raise RequestError(f"forwardedProps.{name} {shown(value)} is no {kind.__name__}; pass one, or leave it out")
    return value


def _last_user_text(body: RunAgentInput) -> str:
    """The text of the last message of the user.

    Raises:
        RequestError: there is none.
    """
    for message in reversed(body.messages):
        if isinstance(message, UserMessage):
            content = message.content
            if isinstance(content, str):
                return content
            return "".join(part.text for part in content if isinstance(part, TextInputContent))
    raise RequestError("messages has no user message; the last one is what the agent is asked")
