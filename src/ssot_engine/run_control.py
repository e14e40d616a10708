"""What all runs of a container share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ssot_engine.admission import Admission
from ssot_engine.context import UserExecutionContext
from ssot_engine.deadlines import Deadlines
from ssot_engine.eventlog.base import EventLog
from ssot_engine.events import CancelReceipt, Outcome
from ssot_engine.metrics import Metrics
from ssot_engine.settings import EngineSettings

if TYPE_CHECKING:
    from ssot_engine.run import Run

#: Says which permissions a user has, beside those that settings give to everyone.
Permissions = Callable[[UserExecutionContext], "frozenset[str]"]


class RunControl:
    """Limits, clocks and counters of all runs, and a list of those that live."""

    def __init__(
        self,
        settings: EngineSettings,
        event_log: EventLog,
        admission: Admission,
        metrics: Metrics,
        permissions: Permissions,
    ) -> None:
        self.settings = settings
        self.event_log = event_log
        self.admission = admission
        self.metrics = metrics
        self.permissions = permissions
        self.deadlines = Deadlines()
        #: (user id, run id) → run, from its start to its end.
        self.live: dict[tuple[str, str], Run] = {}
        #: Tasks of abandoned runs, until they end after all.
        self.abandoned: set[asyncio.Task[Any]] = set()
        self.granted = frozenset(settings.permissions)

    async def cancel(self, user_id: str, run_id: str) -> CancelReceipt:
        """Stop a user's run, whichever engine it is on."""
        if (run := self.live.get((user_id, run_id))) is not None:
            return await run.cancel()
        record = await self.event_log.run(user_id, run_id)
        return CancelReceipt(run_id, Outcome.UNKNOWN if record is None else Outcome.ALREADY_ENDED)
