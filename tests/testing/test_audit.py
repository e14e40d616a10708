"""The heap walk finds whatever mutable object two roots share, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import re
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
import pytest

from ssot_engine.testing.audit import shared_mutables


class Holder:
    """An ordinary object."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


class Record(msgspec.Struct, frozen=True, gc=False):
    """A struct that the garbage collector does not know."""

    held: Any


@dataclass(frozen=True)
class Frozen:
    held: Any = field(default_factory=tuple)


class Colour(Enum):
    RED = 1


def closing_over(held: object) -> Callable[[], object]:
    def read() -> object:
        return held

    return read


def counting() -> Callable[[], int]:
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return count

    return step


def counting_one_deeper() -> Callable[[], Callable[[], None]]:
    count = 0

    def make() -> Callable[[], None]:
        def step() -> None:
            nonlocal count
            count += 1

        return step

    return make


def with_default(held: object) -> Callable[[], object]:
    def read(found: object = held, *, named: object = None) -> object:
        return found

    return read


def with_named_default(held: object) -> Callable[[], object]:
    def read(*, named: object = held) -> object:
        return named

    return read


async def suspended(held: object) -> object:
    await asyncio.sleep(60)
    return held


class _Names(list):  # type: ignore[type-arg]
    """A list with an attribute."""


def named_list(held: object) -> _Names:
    made = _Names()
    made.held = held  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    "hold",
    [
        lambda held: Holder(held=held),
        lambda held: {"held": held},
        lambda held: [held],
        lambda held: (held,),
        lambda held: deque([held]),
        lambda held: Slotted(held),
        lambda held: Record(held),
        lambda held: Frozen(held),
        lambda held: types.MappingProxyType({"held": held}),
        lambda held: functools.partial(print, held),
        lambda held: functools.partial(print, end=held),
        lambda held: Holder(held=held).__init__,
        lambda held: closing_over(held),
        lambda held: with_default(held),
        lambda held: with_named_default(held),
        lambda held: functools.wraps(closing_over(held))(lambda: None),
        lambda held: (item for item in [held]),
        lambda held: iter([held]),
        lambda held: named_list(held),
        lambda held: Holder(deep=[{"deeper": (Slotted(held),)}]),
    ],
)
def test_shared_object_is_found(hold: Callable[[object], object]) -> None:
    """A mutable object is found however the two roots hold it."""
    held = bytearray(b"shared")
    assert [held] == [shared.obj for shared in shared_mutables(hold(held), hold(held))]


@pytest.mark.parametrize("held", [[], {}, set(), bytearray(), deque(), Holder(), Slotted(0), asyncio.Event()])
def test_mutable_kinds_are_found(held: object) -> None:
    """Containers and ordinary objects count as mutable."""
    assert [held] == [shared.obj for shared in shared_mutables([held], [held])]


@pytest.mark.parametrize(
    "held",
    [
        None, 10**30, "text" * 100, b"bytes", (1, "two"), frozenset(("a",)), Colour.RED, Frozen(("a",)), Record("a"),
        asyncio, Holder, len, closing_over("text"), re.compile("x"), functools.partial(print, "x"), object(),
        Frozen(Frozen()),
    ],
)  # fmt: skip
def test_immutable_objects_may_be_shared(held: object) -> None:
    """What cannot change is no finding."""
    assert [] == shared_mutables([held], {"held": held})


def test_variable_that_a_closure_assigns_to_is_found() -> None:
    """A closure that counts in an outer variable shares state; one that only reads it does not."""
    for step in (counting(), counting_one_deeper()):
        assert [types.CellType] == [type(shared.obj) for shared in shared_mutables([step], [step])]


async def test_locals_of_a_suspended_task_are_found() -> None:
    """What a waiting coroutine keeps in its variables is reached through its task."""
    held: list[object] = []
    tasks = [asyncio.create_task(suspended(held)) for _ in range(2)]
    await asyncio.sleep(0)
    assert [held] == [shared.obj for shared in shared_mutables(*tasks)]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_waiting_for_both_shares_nothing() -> None:
    """Who waits for a result is not reached from it, and neither are the loop and the context."""
    futures = [asyncio.get_running_loop().create_future() for _ in range(2)]
    waiter = asyncio.gather(*futures)
    await asyncio.sleep(0)
    assert [] == shared_mutables(*futures)
    for future in futures:
        future.set_result(())
    await waiter


async def test_result_of_a_future_is_found() -> None:
    """What a future holds as its result is reached."""
    held: list[object] = []
    futures = [asyncio.get_running_loop().create_future() for _ in range(2)]
    for future in futures:
        future.set_result(held)
    assert [held] == [shared.obj for shared in shared_mutables(*futures)]


def test_one_root_in_another_is_found() -> None:
    """If one root can reach the other, the other is shared."""
    inner = Holder()
    assert [inner] == [shared.obj for shared in shared_mutables(Holder(friend=inner), inner)]


def test_roots_in_one_another_are_found() -> None:
    """Roots that reach each other are both shared, and hide nothing else."""
    one, other, part = Holder(), Holder(), bytearray()
    one.friend, other.friend, one.part, other.part = other, one, part, part
    found = [shared.obj for shared in shared_mutables(one, other)]
    assert len(found) == 3
    assert all(any(obj is wanted for obj in found) for wanted in (one, other, part))


def test_path_is_drawn_from_each_root() -> None:
    """A finding names the way from each root, by attribute, key and index."""
    held = ["x"]
    (shared,) = shared_mutables(Holder(a={"k": [0, held]}), Slotted(with_default(held)))
    assert ("Holder.a['k'][1]", "Slotted.held.__defaults__[0]") == shared.paths
    assert str(shared).startswith("list ['x']\n    Holder.a")


def test_only_the_topmost_is_told() -> None:
    """Of objects that hang together, only the one that brings the others is told."""
    top = Holder(below=[{}])
    assert [top] == [shared.obj for shared in shared_mutables([top], [top])]


def test_second_way_to_a_shared_part_is_no_second_finding() -> None:
    """A part that one root also reaches by itself is told once."""
    part: list[object] = []
    assert [part] == [shared.obj for shared in shared_mutables(Holder(a=part, b=[part]), Holder(c=part))]


def test_allowed_objects_are_not_entered() -> None:
    """The walk stops at allowed objects; it goes through the others that may be shared."""
    part: list[object] = []
    held = Holder(part=part)
    assert [] == shared_mutables([held], [held], allowed=[held])
    assert [part] == [shared.obj for shared in shared_mutables([held], [held], through=[held])]
