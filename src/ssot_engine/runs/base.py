"""The contract of a run plane: runs that are submitted, and outlive whoever submitted them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ssot_engine.agents import Message
from ssot_engine.context import UserExecutionContext
from ssot_engine.eventlog.base import RunRecord
from ssot_engine.events import CancelReceipt, RunResult


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be executed.

    `context.run_id` names the run. Two submissions of one user with the same `idempotency_key` are one run.
    """

    context: UserExecutionContext
    agent: str
    message: str
    inputs: Mapping[str, Any] | None = None
    history: Sequence[Message] | None = None
    timeout_s: float | None = None
    idempotency_key: str | None = None


class RunPlane(ABC):
    """Executes submitted runs. A client that goes away never ends one."""

    @abstractmethod
    async def submit(self, spec: RunSpec) -> str:
        """Start a run, once it has its turn; its id. With an idempotency key already used, the id of that run.

        Raises:
            RequestError: the agent is unknown, a limit is reached, the run id is taken, or it was stopped before it
                began.
        """

    @abstractmethod
    async def wait(self, user_id: str, run_id: str) -> RunResult:
        """Wait for a user's submitted run to end.

        Raises:
            UnknownRun: the user has no such run.
        """

    @abstractmethod
    async def cancel(self, user_id: str, run_id: str) -> CancelReceipt:
        """Stop a user's run."""

    @abstractmethod
    async def record(self, user_id: str, run_id: str) -> RunRecord:
        """What the log knows of a user's run.

        Raises:
            UnknownRun: the user has no such run.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of what is left once the factory has ended all runs."""
