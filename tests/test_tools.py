"""Tools: what a function needs to be one, its schema, and the registry."""

from __future__ import annotations

import functools
import threading
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from fakes import context_of
from ssot_engine.errors import ClosedError, ConfigError, ToolError, UnknownTool
from ssot_engine.tools import Tool, ToolCall, ToolDispatcher, ToolRegistry, tool


class Address(msgspec.Struct):
    city: str
    zip: str = ""


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


class Custom:
    """A class no schema knows."""


def add(a: int, b: int = 2) -> int:
    """The sum of two numbers.

    More text.
    """
    return a + b


# ------------------------------------------------------------------------ declaration


def test_a_function_is_a_tool_by_its_name_docstring_and_signature() -> None:
    """Schema as language models take it: types, what is required, nothing besides."""
    made = Tool(add)
    assert ("add", "The sum of two numbers.\n\nMore text.") == (made.name, made.description)
    assert (None, None, False) == (made.timeout_s, made.permission, made.is_async)
    assert "object" == made.schema["type"]
    assert {"a", "b"} == set(made.schema["properties"])
    assert "integer" == made.schema["properties"]["a"]["type"]
    assert ["a"] == made.schema["required"]
    assert made.schema["additionalProperties"] is False
    assert 5 == made(2, b=3)


def test_the_decorator_takes_options_or_none() -> None:
    """`@tool` and `@tool(...)`."""

    @tool
    def plain() -> None: ...

    @tool(name="other", timeout_s=5, permission="billing")
    async def special() -> None: ...

    assert ("plain", None, None, False) == (plain.name, plain.timeout_s, plain.permission, plain.is_async)
    assert ("other", 5, "billing", True) == (special.name, special.timeout_s, special.permission, special.is_async)


def test_the_call_is_no_argument() -> None:
    """A parameter of type ToolCall is filled in by the run, under whatever name, and is not in the schema."""

    def act(what: str, here: ToolCall) -> None: ...

    made = Tool(act)
    assert "here" == made.call_parameter
    assert ["what"] == list(made.schema["properties"])


def test_asynchronous_callables_are_known_as_such() -> None:
    """Coroutine functions, partials of them, and objects whose call is one."""

    async def work(a: int, b: int) -> int:
        return a + b

    class Caller:
        async def __call__(self, a: int) -> int:
            return a

    assert Tool(work).is_async
    assert Tool(functools.partial(work, b=1), name="work").is_async
    assert Tool(Caller()).is_async
    assert "Caller" == Tool(Caller()).name
    assert ["a"] == list(Tool(Caller()).schema["properties"])
    assert not Tool(functools.partial(add, b=1), name="add").is_async


def unreadable(a: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Its annotation names nothing."""


def positional(a: int, /) -> None: ...


def many(*numbers: int) -> None: ...


def any_keys(**options: int) -> None: ...


def custom(one: Custom) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (5, "5 cannot be a tool: it is not callable"),
        (unreadable, "tool 'unreadable': its signature cannot be read"),
        (positional, "has no name to pass it by"),
        (many, "has no name to pass it by"),
        (any_keys, "has no name to pass it by"),
        (custom, "tool 'custom': a parameter's type has no JSON form"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_when_it_is_declared(function: Any, says: str) -> None:
    """Not when a model calls it; the error names the tool."""
    with pytest.raises(ConfigError, match=says):
        Tool(function)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(timeout: float) -> None:
    """0 would stop every call."""
    with pytest.raises(ConfigError, match="give seconds above 0"):
        Tool(add, timeout_s=timeout)


# ------------------------------------------------------------------------- arguments


def test_arguments_are_checked_and_made_what_the_signature_says() -> None:
    """Nested structures become objects; what was not given is left to the function's default."""

    def send(to: Address, kind: Literal["post", "air"], pages: list[int], note: str | None = None) -> None: ...

    made = Tool(send)
    given = {"to": {"city": "Rome"}, "kind": "air", "pages": [1]}
    assert {"to": Address("Rome"), "kind": "air", "pages": [1]} == made.check(given)
    assert {"city": "Rome"} == given["to"]
    for wrong in (
        {**given, "kind": "sea"},
        {**given, "to": {"town": "Rome"}},
        {**given, "pages": ["one"]},
        {**given, "extra": 1},
        {"to": {"city": "Rome"}},
    ):
        with pytest.raises(ToolError, match=r"tool 'send': wrong arguments: .*; it takes to, kind, pages, note \(opt"):
            made.check(wrong)


def test_defaults_of_any_kind_are_left_to_the_function() -> None:
    """A default that is no JSON value does not disturb the schema."""
    marker = object()

    def work(a: int = 1, b: Any = marker, c: list[int] | None = None) -> Any:
        return (a, b, c)

    made = Tool(work)
    assert {} == made.check({})
    assert {"b": 5} == made.check({"b": 5})
    assert (1, marker, None) == made(**made.check({}))


def test_types_that_only_pydantic_knows_are_checked_by_it() -> None:
    """Models as parameters, with their own rules, and unknown arguments refused."""

    def hire(person: Person, urgent: bool = False) -> None: ...

    made = Tool(hire)
    assert {"person": Person(name="Ann", age=30)} == made.check({"person": {"name": "Ann", "age": 30}})
    assert ["person"] == made.schema["required"]
    for wrong in ({"person": {"name": "Ann", "age": -1}}, {"person": {"name": "Ann", "age": 1}, "x": 1}, {}):
        with pytest.raises(ToolError, match="tool 'hire': wrong arguments"):
            made.check(wrong)


def test_limits_in_annotations_are_kept() -> None:
    """`Annotated` rules are part of schema and check."""

    def roll(sides: Annotated[int, msgspec.Meta(ge=2, le=100)]) -> None: ...

    made = Tool(roll)
    assert (2, 100) == (made.schema["properties"]["sides"]["minimum"], made.schema["properties"]["sides"]["maximum"])
    with pytest.raises(ToolError, match="Expected `int` >= 2"):
        made.check({"sides": 1})


def test_a_schema_is_whole_by_itself() -> None:
    """Definitions that it refers to are in it."""

    def send(to: Address, back: Address | None = None) -> None: ...

    schema = Tool(send).schema
    text = msgspec.json.encode(schema).decode()
    assert "Address" in schema["$defs"]
    assert '"$ref":"#/$defs/Address"' in text


# ------------------------------------------------------------------------- registry


def test_the_registry_knows_tools_by_name() -> None:
    """Functions and tools, under their own or another name; sorted; unknown ones are named with those there are."""
    made = tool(name="mine")(add)
    registry = ToolRegistry([add])
    assert registry.register(made) is made
    registry.register(made, "again")
    registry.register(made, "again")
    assert ["add", "again", "mine"] == registry.names()
    assert registry.get("mine") is registry.get("again") is made
    assert (3, True, False) == (len(registry), "add" in registry, "sub" in registry)
    assert 3 == len(registry.all())
    with pytest.raises(UnknownTool, match="tool 'sub': unknown; registered are: 'add', 'again', 'mine'") as unknown:
        registry.get("sub")
    assert ("add", "again", "mine") == unknown.value.known


def test_a_name_is_taken_once_and_not_after_the_start() -> None:
    """Another tool of the name, or one that comes too late, is refused."""
    registry = ToolRegistry([add])
    with pytest.raises(ConfigError, match="a tool is registered as 'add' already; pass another name="):
        registry.register(Tool(add))
    registry.freeze()
    with pytest.raises(ClosedError, match="comes too late: the container runs"):
        registry.register(Tool(add, name="late"))
    assert ["add"] == registry.names()


async def test_a_dispatcher_lists_its_own_registry_only() -> None:
    """Two dispatchers on two registries share nothing; neither calls outside a run."""
    one, two = ToolDispatcher(ToolRegistry([add])), ToolDispatcher(ToolRegistry())
    assert (["add"], []) == (one.get_available_tools(), two.get_available_tools())
    with pytest.raises(ClosedError):
        await one.execute_tool("add", {"a": 1})


def test_a_call_cannot_be_changed() -> None:
    """What a tool is told about its call stays so."""
    call = ToolCall(context_of(), "r", "call_1", "key", threading.Event().is_set)
    with pytest.raises(AttributeError):
        call.run_id = "other"
