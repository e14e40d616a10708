"""Events of a thread over plain HTTP: a stream of server-sent events, or one page as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from ssot_engine.errors import RequestError, UnknownRun, shown
from ssot_engine.eventlog.base import Page, Reset
from ssot_engine.events import Event, Position
from ssot_engine.web import frames
from ssot_engine.web.access import UserAccess
from ssot_engine.web.deliveries import Wire
from ssot_engine.web.models import EventPage, Json, Responses, answer, problems
from ssot_engine.web.site import Access, site_of
from ssot_engine.web.streams import DETAILS, Ending, EventStream, Following

#: How long a client shall wait before it connects again, in milliseconds.
RETRY_MS = 1000

STREAM = "text/event-stream"

router = APIRouter()


# -------------------------------------------------------------------------- cursors


def cursor_text(position: Position) -> str:
    """A position as clients keep it: `epoch:seq`."""
    return f"{position.epoch}:{position.seq}"


def parse_cursor(text: str) -> Position:
    """The position that a client kept as `epoch:seq`.

    Raises:
        RequestError: it is not of that form.
    """
    epoch, _, seq = text.rpartition(":")
    if not (epoch and seq.isascii() and seq.isdigit() and len(seq) <= 18):
        raise RequestError(
            f"cursor {shown(text)} is malformed; pass the id of the last event you have, as epoch:seq, "
            "or none to read from the beginning"
        )
    return Position(epoch, int(seq))


# ---------------------------------------------------------------------------- stream


class SseView:
    """Events as server-sent events.

    Each is a `message` whose id is its cursor. In place of events that are gone comes a `reset`. An `end` says why the
    server ends the stream; it has no id, so a client that connects again goes on from the last event.
    """

    wire: Wire = "stream"

    def opening(self) -> bytes:
        """How long to wait before connecting again."""
        return b"retry: %d\n\n" % RETRY_MS

    def event(self, event: Event) -> bytes:
        """One event as JSON."""
        # Encoded JSON holds no line break, so that one data line is enough.
        return b"id: %b\ndata: %b\n\n" % (cursor_text(event.position).encode(), frames.encode(event))

    def reset(self, reset: Reset) -> bytes:
        """The same as the socket's frame."""
        position = reset.position
        frame = frames.Reset(reset.key.thread_id, position.epoch, position.seq, reset.reason, reset.snapshot)
        return b"id: %b\nevent: reset\ndata: %b\n\n" % (cursor_text(position).encode(), frames.encode(frame))

    def ending(self, ending: Ending) -> bytes:
        """Why the stream ends."""
        return b"event: end\ndata: %b\n\n" % frames.encode({"reason": ending, "detail": DETAILS[ending]})


# ------------------------------------------------------------------------------ page


async def _page(
    access: UserAccess, thread_id: str, after: Position | None, run_id: str | None, limit: int
) -> EventPage:
    page = await access.page(thread_id, after, limit)
    snapshot: Sequence[Event] = ()
    if page.status != "ok":
        snapshot = await access.log.snapshot(access.key(thread_id), page.floor)
    mine, kept = _of_run(page.events, run_id), _of_run(snapshot, run_id)
    return EventPage(page.status, page.epoch, page.floor, page.head, mine, cursor_text(_next(page, after)), kept)


def _next(page: Page, after: Position | None) -> Position:
    """Where to go on after a page."""
    if page.status != "ok":
        return Position(page.epoch, page.floor)
    if page.events:
        return page.events[-1].position
    return Position(page.epoch, 0) if after is None else after


def _of_run(events: Sequence[Event], run_id: str | None) -> Sequence[Event]:
    return events if run_id is None else [event for event in events if event.run_id == run_id]


# ------------------------------------------------------------------------------ door


def streamed(answers: Responses, description: str) -> Responses:
    """The same answers, and that status 200 may be a stream."""
    content = answers.get(200, {}).get("content", {})
    text = {"schema": {"type": "string", "description": description}}
    return {**answers, 200: {"description": "Events", "content": {**content, STREAM: text}}}


_ANSWERS = {
    **streamed(
        answer(EventPage, "Events"),
        "Server-sent events: `message` has an Event as JSON and its cursor as id, `reset` comes in place of events "
        "that are gone, `end` says why the server ends the stream",
    ),
    204: {"description": "The run has ended and nothing of it is left to stream; do not connect again"},
    **problems(400, 401, 403, 404, 429, 503),
}


@router.get("/api/threads/{thread_id:path}/events", response_class=Json, responses=_ANSWERS)
async def events(
    request: Request,
    access: Access,
    thread_id: Annotated[str, Path(description="The thread; another user's is one's own empty one")],
    after: Annotated[str | None, Query(description="Cursor (epoch:seq) of the last event seen")] = None,
    run_id: Annotated[str | None, Query(description="Only this run's events; a stream ends with its last")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events of a page of JSON")] = 1000,
    last_event_id: Annotated[str | None, Header(description="As `after`, and before it")] = None,
) -> Response:
    """Events of a thread, oldest first: as they come if the client accepts `text/event-stream`, else a page as JSON."""
    access.key(thread_id)
    cursor = last_event_id or after
    position = None if cursor is None else parse_cursor(cursor)
    is_open = run_id is None or await _is_open(access, thread_id, run_id)
    if STREAM not in request.headers.get("accept", ""):
        return Json(await _page(access, thread_id, position, run_id, limit))
    if not is_open and not await _has_more(access, thread_id, position, run_id):
        # This status is what tells an EventSource not to connect again.
        return Response(status_code=204)

    async def begin() -> Following:
        return Following(thread_id, position, run_id, is_open)

    return EventStream(site_of(request), access, begin, SseView())


async def _is_open(access: UserAccess, thread_id: str, run_id: str) -> bool:
    """Whether a run of the thread has not ended.

    Raises:
        UnknownRun: the user has no such run there.
    """
    record = await access.record(run_id)
    if record.key.thread_id != thread_id:
        raise UnknownRun(run_id)
    return record.status is None


async def _has_more(access: UserAccess, thread_id: str, after: Position | None, run_id: str | None) -> bool:
    """Whether an ended run has events after a position, or a reader must be told that they are gone."""
    async for found in access.log.follow(access.key(thread_id), after, live=False, run_id=run_id):
        return isinstance(found, Event | Reset)
    return False
