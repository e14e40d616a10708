"""What a class has and gives to those that derive from it; known beforehand of classes that have no source."""

from __future__ import annotations

import abc
import builtins
import collections.abc
import enum
import typing
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ssot_engine.migrate.static.answers import Definition, Parameters
from ssot_engine.migrate.static.signatures import Field

# Modules of the interpreter whose classes are looked at themselves.
_REAL = {
    "builtins": builtins, "abc": abc, "enum": enum, "typing": typing, "_typing": typing,
    "_collections_abc": collections.abc,
}  # fmt: skip
_TYPING = ("typing", "_typing")
_METACLASSES: dict[str, type] = {
    "builtins.type": object, "abc.ABCMeta": abc.ABC, "enum.EnumMeta": enum.Enum, "enum.EnumType": enum.Enum,
}  # fmt: skip
_STRUCTS = frozenset({"msgspec._core.Struct", "msgspec.Struct"})
_COROUTINES = frozenset({"_collections_abc.Coroutine", "typing.Coroutine"})
_NAMED_TUPLE = ("_fields", "_replace", "_asdict", "_make", "_field_defaults")


class Ancestry(NamedTuple):
    """What a class has and gives to those that derive from it."""

    attributes: Mapping[str, Definition]
    #: There may be more attributes, in it and in those that derive from it.
    is_open: bool = False
    #: What a call takes; `is_plain` if no class has said so, so that it takes nothing.
    parameters: Parameters | None = None
    is_plain: bool = False
    #: Whether something decides on calls that is not known, and on attributes too.
    has_odd_calls: bool = False
    is_odd: bool = False
    #: What its constructor is made of: "dataclass", "struct", "tuple", or nothing of these.
    made_of: str = ""
    fields: tuple[Field, ...] = ()
    #: Whether it is a coroutine.
    is_coroutine: bool = False


#: Of a class nothing is known of.
UNKNOWN = Ancestry({}, is_open=True, has_odd_calls=True, is_odd=True)


def known(name: str) -> Ancestry | None:
    """What a class gives that its dotted name is enough for."""
    if name in _STRUCTS:
        return Ancestry({}, parameters=Parameters(), made_of="struct")
    if name == "typing.NamedTuple":
        own = {one: Definition(module="typing", name=one) for one in _NAMED_TUPLE}
        return Ancestry({**own, **_attributes(tuple)}, parameters=Parameters(), made_of="tuple")
    real = _real(name)
    if real is None:
        return None
    is_plain = _is_plain(real)
    return Ancestry(
        _attributes(real),
        parameters=Parameters() if is_plain else None,
        is_plain=is_plain,
        has_odd_calls=issubclass(real, (type, enum.Enum)),
        is_coroutine=is_coroutine(name),
    )


def blurred(one: Definition) -> Definition:
    """That there is such an attribute, and no more."""
    return Definition(module=one.module, name=one.name, is_of_instances=one.is_of_instances, is_certain=one.is_certain)


def uncertain(attributes: Mapping[str, Definition]) -> dict[str, Definition]:
    """Of a class in a stub: what it says need not hold when it runs."""
    return {name: msgspec.structs.replace(one, is_certain=False) for name, one in attributes.items()}


def is_coroutine(name: str) -> bool:
    """Whether a dotted name is the type of what is awaited."""
    return name in _COROUTINES


def of_metaclass(name: str) -> Mapping[str, Definition] | None:
    """What a class has by its metaclass; None if that may do anything."""
    made = _METACLASSES.get(name)
    return None if made is None else _attributes(made)


def _real(name: str) -> type | None:
    """A class of the interpreter itself."""
    module, _, attribute = name.rpartition(".")
    found = getattr(_REAL.get(module), attribute, None)
    origin = getattr(found, "__origin__", found)
    is_known = origin is not found or module not in _TYPING or attribute in ("Generic", "Protocol")
    return origin if isinstance(origin, type) and is_known else None


def _is_plain(real: type) -> bool:
    """Whether it leaves to others how it is called."""
    if real in (object, abc.ABC, typing.Generic, typing.Protocol):
        return True
    return "__init__" not in vars(real) and "__new__" not in vars(real) and real.__bases__ == (object,)


def _attributes(real: type) -> dict[str, Definition]:
    metaclass: type = type(real)
    return {
        name: Definition(module=one.__module__, name=name)
        for one in (*metaclass.__mro__, *reversed(real.__mro__))
        for name in vars(one)
    }


#: What every class has.
OF_EVERY_CLASS = _attributes(object)
