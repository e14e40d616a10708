"""What calls of a function, or of a class made of fields, may give, read from its definition."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ssot_engine.migrate.static.answers import Parameters

# A parameter of this type is there to be refused.
_NEVER = frozenset({"Never", "NoReturn", "typing.Never", "typing.NoReturn"})


class Field(NamedTuple):
    """A field of a class whose constructor is made of them."""

    name: str
    is_required: bool
    is_keyword: bool
    #: Whether the constructor takes it.
    is_given: bool


def of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, *, drops_first: bool) -> Parameters | None:
    """What a call may give; `drops_first` if the first parameter is filled by itself. None: there is no such one."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    only = len(arguments.posonlyargs)
    without = len(positional) - len(arguments.defaults)
    if drops_first:
        if not positional:
            return None if arguments.vararg is None else _parameters(arguments, [], 0, 0)
        positional, only, without = positional[1:], max(only - 1, 0), max(without - 1, 0)
    return _parameters(arguments, [one.arg for one in positional], only, without)


def _parameters(arguments: ast.arguments, positional: list[str], only: int, without: int) -> Parameters:
    """`without` of the positional parameters have no default."""
    defaults = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return Parameters(
        positional=tuple(positional),
        positional_only=only,
        keyword_only=tuple(one.arg for one in arguments.kwonlyargs),
        required=(*positional[:without], *(one.arg for one, default in defaults if default is None)),
        takes_more=_is_taken(arguments.vararg),
        takes_more_keywords=_is_taken(arguments.kwarg),
    )


def _is_taken(argument: ast.arg | None) -> bool:
    if argument is None:
        return False
    return argument.annotation is None or ast.unparse(argument.annotation).strip("'\"") not in _NEVER


def of_fields(fields: Iterable[Field]) -> Parameters:
    """What the constructor takes that is made of these fields."""
    given = [one for one in fields if one.is_given]
    return Parameters(
        positional=tuple(one.name for one in given if not one.is_keyword),
        keyword_only=tuple(one.name for one in given if one.is_keyword),
        required=tuple(one.name for one in given if one.is_required),
    )


def fields_of(declared: Sequence[ast.AnnAssign], *, all_keywords: bool) -> list[Field]:
    """The fields that a class body declares, in their order; `all_keywords` if none may be given by position."""
    found = []
    is_keyword = all_keywords
    for one in declared:
        annotation = ast.unparse(one.annotation).strip("'\"")
        if annotation.rpartition(".")[2] == "KW_ONLY":
            is_keyword = True
        elif annotation.partition("[")[0].rpartition(".")[2] != "ClassVar":
            found.append(_field(one, is_keyword))
    return found


def _field(declared: ast.AnnAssign, is_keyword: bool) -> Field:
    assert isinstance(declared.target, ast.Name)
    options = _options(declared.value)
    return Field(
        name=declared.target.id,
        is_required=declared.value is None if options is None else not options.keys() & {"default", "default_factory"},
        is_keyword=(options or {}).get("kw_only", is_keyword),
        is_given=(options or {}).get("init", True),
    )


def _options(value: ast.expr | None) -> dict[str, bool] | None:
    """What `field(...)` says, each as far as it is a constant; None if the value is the default itself."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func).rpartition(".")[2] != "field":
        return None
    return {
        one.arg: not (isinstance(one.value, ast.Constant) and one.value.value is False)
        for one in value.keywords
        if one.arg is not None
    }


def is_of_instances(declared: ast.AnnAssign) -> bool:
    """Whether a dataclass has a field on its instances alone: it has no default, or one made for each."""
    options = _options(declared.value)
    return declared.value is None if options is None else "default" not in options
