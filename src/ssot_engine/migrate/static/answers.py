"""What can be told of a dotted name without running anything: values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Answer(StrEnum):
    """Whether a dotted name would resolve."""

    FOUND = "found"
    MISSING = "missing"
    #: Its module decides when it runs (`__getattr__`, an extension in C, a star import of such).
    UNKNOWN = "unknown"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may give; `self` or `cls` is not among them."""

    #: May be given by position, in order; the first `positional_only` of them in no other way.
    positional: tuple[str, ...] = ()
    positional_only: int = 0
    keyword_only: tuple[str, ...] = ()
    #: Names without a default.
    required: tuple[str, ...] = ()
    #: More by position, and by any keyword.
    takes_more: bool = False
    takes_more_keywords: bool = False


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a dotted name stands for, as far as its source tells."""

    #: Where it is defined: its module's dotted name and its own; the latter is dotted if a class has it.
    module: str
    name: str
    is_class: bool = False
    #: Whether a class says that it is there to be derived from, or only what others look like.
    is_abstract: bool = False
    #: Whether a call of it gives a coroutine, which does nothing until it is awaited.
    is_async: bool = False
    #: Of a function of a class: whether a call on the class itself has to give the instance first.
    takes_instance: bool = False
    #: None if they cannot be known: an unknown decorator, metaclass or base could change them.
    parameters: Parameters | None = None
    #: Of a function: the class its result is an instance of, as its module names it; "" if it does not say.
    #: The result of one that is async is what awaiting it gives.
    returns: str = ""
    #: What a class and its instances have, as far as it is known.
    attributes: Mapping[str, Definition] = {}
    #: Whether it may have more attributes than these; so has all that is no class.
    is_open: bool = True
    #: Of an attribute: whether the class itself does not have it.
    is_of_instances: bool = False
    #: Of an attribute: whether it is there whatever happens when the class is made.
    is_certain: bool = True

    @property
    def dotted(self) -> str:
        """Its whole name."""
        return f"{self.module}.{self.name}"
