"""How a demonstration is watched: timelines side by side on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ssot_engine.cli.show import FIVE_EVENTS, event_line, gist, one_line, say, style_of
from ssot_engine.events import Event

_NAME_WIDTH = max(len(name) for name in FIVE_EVENTS)


class DemoView(Protocol):
    """Shows events as they come, for the length of a `with` block."""

    def show(self, event: Event) -> None:
        """One more event."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silence:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """One more event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainTimelines(Silence):
    """One line per event, the user's name first, in the order in which they came."""

    def __init__(self, console: Console, questions: Mapping[str, str]) -> None:
        self._console = console
        self._width = max(len(user_id) for user_id in questions)
        self._began: float | None = None

    def show(self, event: Event) -> None:
        if event.type in FIVE_EVENTS:
            self._began = self._began or event.timestamp
            line = event_line(event, self._began)
            say(self._console, Text.assemble(f"{event.user_id:<{self._width}}  ", line))


class Timeline:
    """What one user sees: the events so far, and how far the run is."""

    def __init__(self, user_id: str, question: str) -> None:
        self._title = Text.assemble((user_id, "bold"), f"  {question}", no_wrap=True, overflow="ellipsis")
        self._lines: list[Text] = []
        self._per_cent = 0.0

    def add(self, event: Event, began: float) -> None:
        """One more event."""
        if event.type == "agent_completed":
            self._per_cent = 100.0
        elif event.type == "agent_thinking":
            self._per_cent = event.payload["progress_percentage"] or self._per_cent
        if event.type in FIVE_EVENTS:
            self._lines.append(
                Text.assemble(
                    (f"{event.timestamp - began:5.3f} ", "dim"),
                    (f"{event.type:<{_NAME_WIDTH}} ", style_of(event)),
                    # The question stands above.
                    event.agent_name if event.type == "agent_started" else one_line(gist(event)),
                    no_wrap=True,
                    overflow="ellipsis",
                )
            )

    def head(self) -> Group:
        """Whose it is, what was asked, and how far it is."""
        return Group(self._title, ProgressBar(completed=self._per_cent))

    def body(self) -> Group:
        """The events, oldest first."""
        return Group(*self._lines)


class LiveTimelines:
    """The users' timelines side by side, redrawn as events come."""

    def __init__(self, console: Console, questions: Mapping[str, str]) -> None:
        self._timelines = {user_id: Timeline(user_id, question) for user_id, question in questions.items()}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=20)
        self._began: float | None = None

    def show(self, event: Event) -> None:
        """One more event."""
        self._began = self._began or event.timestamp
        self._timelines[event.user_id].add(event, self._began)

    def _table(self) -> Table:
        table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, header_style="")
        for timeline in self._timelines.values():
            table.add_column(timeline.head(), ratio=1)
        table.add_row(*(timeline.body() for timeline in self._timelines.values()))
        return table

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
