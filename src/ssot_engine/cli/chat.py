"""`ssot-engine chat`: a conversation with one agent, in one thread."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from ssot_engine.cli.local import Caller
from ssot_engine.cli.run import Answer, ask, events_command
from ssot_engine.container import ExecutionContainer
from ssot_engine.errors import UnknownAgent
from ssot_engine.settings import Settings

_PROMPT = "> "
_QUIT = "/quit"


def converse(settings: Settings, caller: Caller, agent: str) -> int:
    """Read questions from standard input until it ends or says /quit; the exit status is always 0.

    Raises:
        ConfigError: a setting is wrong, or the event log cannot be opened.
        RequestError: there is no such agent, or a run was refused.
    """
    container = ExecutionContainer.from_settings(settings)
    if agent not in container.registry():
        raise UnknownAgent(agent, container.registry().names())
    if sys.stdin.isatty():
        # Line editing and recall of what was typed, where Python was built with it.
        import readline  # noqa: F401
    # The loop only runs while an agent is asked: at the prompt Ctrl-C must reach input().
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runner.run(_enter(stack, container))
        try:
            _welcome(settings, caller, agent)
            while (message := _next_message()) is not None:
                view = Answer(timeline=False)
                runner.run(ask(container, caller, agent, message, view))
                print()
        finally:
            runner.run(stack.aclose())
    return 0


async def _enter(stack: AsyncExitStack, container: ExecutionContainer) -> None:
    await stack.enter_async_context(container.running())


def _welcome(settings: Settings, caller: Caller, agent: str) -> None:
    view = Answer(timeline=False)
    view.note(f"talking with {agent} as {caller.user_id}; {_QUIT} or Ctrl-D ends")
    if not settings.events.url.startswith("memory:"):
        view.note(f"its events live, in another terminal:  {events_command(caller)} --follow")


def _next_message() -> str | None:
    """The next line with something in it; None at the end."""
    while True:
        try:
            line = input(_PROMPT if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            if sys.stdin.isatty():
                print()
            return None
        if line == _QUIT:
            return None
        if line:
            return line
