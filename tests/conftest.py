"""Fixtures of all tests: containers that run, and are found empty when the test is over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import settings

from fakes import until
from running import Start, assert_nothing_is_left, small_settings
from ssot_engine.container import ExecutionContainer

#: Few examples, as the suite runs often; `--hypothesis-profile default` tries more.
settings.register_profile("quick", max_examples=25)
settings.load_profile("quick")


def pytest_collection_finish() -> None:
    """What all tests share is looked through once: collections between them are about what they made."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts containers with agents and tools; at the end nothing of a run may be left of them."""
    before = asyncio.all_tasks()
    started: list[ExecutionContainer] = []
    async with AsyncExitStack() as stack:

        async def start(
            *agents: object,
            tools: Sequence[Callable[..., Any]] = (),
            container: type[ExecutionContainer] = ExecutionContainer,
            prepare: Callable[[ExecutionContainer], object] | None = None,
            **sections: Any,
        ) -> ExecutionContainer:
            made = container.from_settings(small_settings(**sections))
            for one in agents:
                made.registry().register(one)
            for function in tools:
                made.tools().register(function)
            if prepare is not None:
                prepare(made)
            started.append(made)
            return await stack.enter_async_context(made.running())

        yield start
        for container in started:
            await until(lambda c=container: not c.control().abandoned)
            assert_nothing_is_left(container)
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})
