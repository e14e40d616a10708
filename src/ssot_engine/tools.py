"""Tools: functions an agent may call, with the schema of their arguments and who may call them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, get_type_hints, overload

import msgspec

from ssot_engine.context import UserExecutionContext
from ssot_engine.errors import ClosedError, ConfigError, ToolError, UnknownTool

#: JSON Schema of a tool's arguments, as language models take it.
Schema = dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True):
    """What a tool may know about its call: it declares a parameter of this type.

    `idempotency_key` is the same when the call is repeated after a crash: pass it on to whatever must act only once.
    """

    context: UserExecutionContext
    run_id: str
    call_id: str
    idempotency_key: str
    is_cancelled: Callable[[], bool]


class Arguments(Protocol):
    """Checks the arguments of a call."""

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them; ValueError or TypeError if they do not fit."""


class _StructArguments:
    """Arguments checked by a msgspec struct made from the signature."""

    __slots__ = ("_fields", "_struct")

    def __init__(self, struct: type[msgspec.Struct], fields: tuple[str, ...]) -> None:
        self._struct = struct
        self._fields = fields

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = msgspec.convert(given, self._struct)
        return {name: getattr(values, name) for name in self._fields if name in given}


class _ModelArguments:
    """Arguments checked by pydantic, for types that only it knows."""

    __slots__ = ("_model",)

    def __init__(self, model: Any) -> None:
        self._model = model

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = self._model.model_validate(dict(given))
        return {name: getattr(values, name) for name in type(values).model_fields if name in given}


class Tool:
    """One tool. Calling it calls the function itself, as if it were not a tool.

    `timeout_s` bounds one call in seconds, None leaves it to the run's deadline. `permission` must have been granted
    to the user; None lets everyone call it.
    """

    __slots__ = (
        "__weakref__", "_arguments", "call_parameter", "description", "function", "is_async", "name", "permission",
        "schema", "timeout_s",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        permission: str | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigError(f"{function!r} cannot be a tool: it is not callable; register a function")
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        if timeout_s is not None and not timeout_s > 0:
            raise ConfigError(f"tool {self.name!r}: timeout_s is {timeout_s!r}; give seconds above 0, or None")
        self.function = function
        self.description = (inspect.getdoc(function) or "").strip()
        self.timeout_s = timeout_s
        self.permission = permission
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 — an object whose __call__ is a coroutine function
        )
        self.call_parameter, fields = _parameters(self.name, function)
        self._arguments, self.schema = _compile(self.name, fields)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, checked and converted.

        Raises:
            ToolError: they do not fit the function's signature.
        """
        try:
            return self._arguments.check(given)
        except (ValueError, TypeError) as error:
            raise ToolError(self.name, f"wrong arguments: {error}; it takes {_usage(self.schema)}") from error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name!r}>"


def _parameters(name: str, function: Callable[..., Any]) -> tuple[str | None, list[tuple[str, Any, Any]]]:
    """The parameter that takes the `ToolCall`, and the others as (name, type, default)."""
    try:
        hints = get_type_hints(
            function if inspect.isroutine(function) else type(function).__call__, include_extras=True
        )
        signature = inspect.signature(function)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"tool {name!r}: its signature cannot be read ({error}); annotate it with real types"
        ) from error
    call_parameter, fields = None, []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"tool {name!r}: parameter {str(parameter)!r} has no name to pass it by; name each one")
        hint = hints.get(parameter.name, Any)
        if hint is ToolCall:
            call_parameter = parameter.name
        else:
            fields.append((parameter.name, hint, parameter.default))
    return call_parameter, fields


def _compile(name: str, fields: list[tuple[str, Any, Any]]) -> tuple[Arguments, Schema]:
    struct_fields = [
        (field, hint) if default is inspect.Parameter.empty else (field, hint, msgspec.UNSET)
        for field, hint, default in sorted(fields, key=_is_optional)
    ]
    try:
        struct = msgspec.defstruct(name, struct_fields, forbid_unknown_fields=True)
        schema = msgspec.json.schema(struct)
    except TypeError:
        return _compile_model(name, fields)
    return _StructArguments(struct, tuple(field for field, _, _ in fields)), _flat(schema)


def _is_optional(field: tuple[str, Any, Any]) -> bool:
    return field[2] is not inspect.Parameter.empty


def _compile_model(name: str, fields: list[tuple[str, Any, Any]]) -> tuple[Arguments, Schema]:
    import pydantic

    given: dict[str, Any] = {
        field: (hint, ... if default is inspect.Parameter.empty else default) for field, hint, default in fields
    }
    try:
        model = pydantic.create_model(name, __config__=pydantic.ConfigDict(extra="forbid"), **given)
        return _ModelArguments(model), model.model_json_schema()
    except pydantic.errors.PydanticUserError as error:
        raise ConfigError(
            f"tool {name!r}: a parameter's type has no JSON form: {error}; annotate it otherwise"
        ) from error


def _flat(schema: dict[str, Any]) -> Schema:
    """The struct's own object schema, its definitions beside it."""
    definitions = dict(schema.get("$defs", {}))
    own = definitions.pop(str(schema["$ref"]).rpartition("/")[2])
    return {**own, "$defs": definitions} if definitions else dict(own)


def _usage(schema: Schema) -> str:
    required = schema.get("required", ())
    names = [name if name in required else f"{name} (optional)" for name in schema.get("properties", {})]
    return ", ".join(names) or "no arguments"


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, timeout_s: float | None = None, permission: str | None = None
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    timeout_s: float | None = None,
    permission: str | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool: `@tool`, or `@tool(timeout_s=5, permission="billing")`."""
    if function is not None:
        return Tool(function)
    return lambda function: Tool(function, name=name, timeout_s=timeout_s, permission=permission)


class ToolRegistry:
    """The tools of a process, by name. It can be added to until the container runs."""

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self._frozen = False
        for one in tools:
            self.register(one)

    def register(self, function: Tool | Callable[..., Any], name: str | None = None) -> Tool:
        """Add a tool: a function, or what `@tool` returned; the tool.

        Raises:
            ClosedError: the container runs already.
            ConfigError: the name is taken, or the function cannot be a tool.
        """
        if self._frozen:
            raise ClosedError(f"tool {name or function!r} comes too late: the container runs; register it before")
        made = function if isinstance(function, Tool) else Tool(function)
        name = name or made.name
        if self._tools.get(name, made) is not made:
            raise ConfigError(f"a tool is registered as {name!r} already; pass another name=")
        self._tools[name] = made
        return made

    def get(self, name: str) -> Tool:
        """The tool of that name.

        Raises:
            UnknownTool: there is none.
        """
        try:
            return self._tools[name]
        except KeyError:
            raise UnknownTool(name, self.names()) from None

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._tools)

    def all(self) -> list[Tool]:
        """All tools, sorted by the name they are registered under."""
        return [self._tools[name] for name in self.names()]

    def freeze(self) -> None:
        """From now on nothing can be added."""
        self._frozen = True

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __len__(self) -> int:
        return len(self._tools)


class ToolDispatcher:
    """An engine's tools, seen from outside a run: they can be listed; calling one needs a run."""

    __slots__ = ("_registry",)

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry

    @property
    def registry(self) -> ToolRegistry:
        """Where the tools are registered."""
        return self._registry

    def get_available_tools(self) -> list[str]:
        """The names of the tools."""
        return self._registry.names()

    def has_tool(self, tool_name: str) -> bool:
        """Whether a tool of that name is registered."""
        return tool_name in self._registry

    async def execute_tool(self, tool_name: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Refused: a tool acts within a run, where its call is told, bounded and stopped.

        Raises:
            ClosedError: always.
        """
        raise ClosedError(
            f"tool {tool_name!r} was called outside a run; an agent calls it: await run.tools.call({tool_name!r}, …)"
        )
