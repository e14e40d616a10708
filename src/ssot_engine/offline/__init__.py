"""The built-in agent team: finds savings in an LLM usage log by rules, without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssot_engine.agents import Team


def agents() -> Team:
    """The team, as the entry point `offline` of the group `ssot_engine.agents` gives it.

    The import waits for the call: this file runs whenever any module beside it is imported.
    """
    from ssot_engine.offline.team import TEAM

    return TEAM
