"""The frozen identity of one request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import msgspec

from ssot_engine.errors import InvalidContext
from ssot_engine.former_calls import merged_metadata
from ssot_engine.ids import check_id, check_lasting_id, check_part, check_strict, new_id

#: How deep `child()` may nest.
MAX_DEPTH = 10
#: The largest metadata accepted, in bytes of JSON.
MAX_METADATA_BYTES = 65_536

_NO_METADATA = b"{}"
_SCALARS = frozenset((str, int, bool, type(None)))
_put = object.__setattr__


class UserExecutionContext:
    """Who asks, in which thread, for which run. Nothing of it can change once it exists.

    Ids are non-blank `str` of at most 128 characters. `metadata` takes plain JSON values; it is kept encoded, so what
    the caller changes later is never seen, and each read is a fresh copy. `depth` is 0 for a request and one more for
    each `child()`; `parent_request_id` is the request a child was made from. The original's `agent_context` and
    `audit_metadata` are merged into `metadata`; its `db_session` is refused, see `former_calls`.

    Raises:
        InvalidContext: an id or the metadata is refused; the error names the field.
    """

    __slots__ = (
        "__weakref__",
        "_metadata",
        "depth",
        "parent_request_id",
        "request_id",
        "run_id",
        "thread_id",
        "user_id",
    )

    user_id: str
    thread_id: str
    run_id: str
    request_id: str
    depth: int
    parent_request_id: str | None
    _metadata: bytes

    def __init__(
        self,
        user_id: str,
        thread_id: str,
        run_id: str,
        request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **former: Any,
    ) -> None:
        if former:
            metadata = merged_metadata(metadata, former)
        _put(self, "user_id", check_lasting_id("user_id", user_id))
        _put(self, "thread_id", check_lasting_id("thread_id", thread_id))
        _put(self, "run_id", check_id("run_id", run_id))
        _put(self, "request_id", new_id("req") if request_id is None else check_id("request_id", request_id))
        _put(self, "_metadata", _encode(metadata) if metadata else _NO_METADATA)
        _put(self, "depth", 0)
        _put(self, "parent_request_id", None)

    @classmethod
    def from_request_supervisor(
        cls,
        user_id: str,
        thread_id: str,
        run_id: str,
        request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **former: Any,
    ) -> Self:
        """The context of a request; without `request_id` it gets a fresh one."""
        if former:
            metadata = merged_metadata(metadata, former)
        return cls(user_id, thread_id, run_id, request_id, metadata)

    @classmethod
    def from_request(
        cls,
        user_id: str,
        thread_id: str,
        run_id: str,
        request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **former: Any,
    ) -> Self:
        """The same as `from_request_supervisor`."""
        if former:
            metadata = merged_metadata(metadata, former)
        return cls(user_id, thread_id, run_id, request_id, metadata)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """A read-only copy of the metadata, decoded at each read."""
        return MappingProxyType(msgspec.json.decode(self._metadata))

    def child(self, operation: str) -> Self:
        """The context of a nested operation: same user, thread, run and metadata, a fresh request id, one deeper.

        Raises:
            InvalidContext: `operation` is no usable name, or the context is 10 deep already.
        """
        if self.depth >= MAX_DEPTH:
            raise InvalidContext("depth", self.depth + 1, f"is too deep; contexts nest at most {MAX_DEPTH} times")
        made = object.__new__(type(self))
        _put(made, "user_id", self.user_id)
        _put(made, "thread_id", self.thread_id)
        _put(made, "run_id", self.run_id)
        _put(made, "request_id", new_id(f"req_{check_part('operation', operation)[:32]}"))
        _put(made, "_metadata", self._metadata)
        _put(made, "depth", self.depth + 1)
        _put(made, "parent_request_id", self.request_id)
        return made

    def check_strict(self) -> None:
        """Refuse ids that begin like placeholders (`context.strict_ids`)."""
        check_strict("user_id", self.user_id)
        check_strict("thread_id", self.thread_id)
        check_strict("run_id", self.run_id)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {
            "user_id": self.user_id,
            "thread_id": self.thread_id,
            "run_id": self.run_id,
            "request_id": self.request_id,
            "metadata": dict(self.metadata),
            "depth": self.depth,
            "parent_request_id": self.parent_request_id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The context that `to_dict` described, checked like any other.

        Raises:
            InvalidContext: a field is missing, unknown or refused.
        """
        if unknown := sorted(data.keys() - _FIELDS):
            raise InvalidContext("context", unknown, f"are no fields of a context; it has {', '.join(sorted(_FIELDS))}")
        if missing := [name for name in ("user_id", "thread_id", "run_id") if name not in data]:
            raise InvalidContext("context", dict(data), f"lacks {', '.join(missing)}")
        made = cls(*(data.get(name) for name in ("user_id", "thread_id", "run_id", "request_id", "metadata")))  # type: ignore[arg-type]
        depth, parent = data.get("depth", 0), data.get("parent_request_id")
        if type(depth) is not int or not 0 <= depth <= MAX_DEPTH:
            raise InvalidContext("depth", depth, f"is no whole number from 0 to {MAX_DEPTH}")
        _put(made, "depth", depth)
        _put(made, "parent_request_id", None if parent is None else check_id("parent_request_id", parent))
        return made

    def _values(self) -> tuple[object, ...]:
        return (
            self.user_id, self.thread_id, self.run_id, self.request_id, self._metadata, self.depth,
            self.parent_request_id,
        )  # fmt: skip

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a context cannot change: {name!r} was assigned; make a new one, or use child()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a context cannot change: {name!r} was deleted")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, UserExecutionContext) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_dict, (self.to_dict(),))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return (
            f"UserExecutionContext(user_id={self.user_id!r}, thread_id={self.thread_id!r}, run_id={self.run_id!r}, "
            f"request_id={self.request_id!r}, metadata={sorted(self.metadata)})"
        )


_FIELDS = frozenset(("user_id", "thread_id", "run_id", "request_id", "metadata", "depth", "parent_request_id"))


def _encode(metadata: object) -> bytes:
    if not isinstance(metadata, Mapping):
        raise InvalidContext("metadata", metadata, "is no mapping; pass a dict of plain JSON values")
    plain = dict(metadata)
    try:
        _check_plain(plain, "metadata")
        encoded = msgspec.json.encode(plain)
    except InvalidContext:
        raise
    except RecursionError:
        raise InvalidContext("metadata", type(metadata).__name__, "is nested too deep, or holds itself") from None
    except UnicodeEncodeError:
        raise InvalidContext("metadata", plain, "holds a lone surrogate; it is no valid text") from None
    except (OverflowError, ValueError):
        # The number may be too long to be shown, too.
        problem = "hold a number that JSON cannot carry; pass it as text"
        raise InvalidContext("metadata", sorted(plain), problem) from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise InvalidContext("metadata", f"{len(encoded)} bytes", f"is too large; at most {MAX_METADATA_BYTES} bytes")
    return encoded


def _check_plain(value: object, path: str) -> None:
    """Only what JSON knows: the encoder would also take dates, sets and objects, and lose what they were."""
    kind = type(value)
    if kind in _SCALARS:
        return
    if kind is dict:
        for key, inner in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise InvalidContext(path, key, "is used as a key; keys of JSON are str")
            if type(inner) not in _SCALARS:
                _check_plain(inner, f"{path}[{key!r}]")
    elif kind is list or kind is tuple:
        for index, inner in enumerate(value):  # type: ignore[arg-type]
            if type(inner) not in _SCALARS:
                _check_plain(inner, f"{path}[{index}]")
    elif kind is float and math.isfinite(value):  # type: ignore[arg-type]
        return
    else:
        raise InvalidContext(path, value, f"is a {kind.__name__}, not a plain JSON value; convert it first")
