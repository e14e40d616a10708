"""Identifiers: how new ones are made, and which given ones are refused."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from ssot_engine.errors import InvalidContext

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

#: The longest id accepted, in characters.
MAX_ID_LENGTH = 128

#: Values that stand for "no id" in code that lost one. Compared whole, without case and surrounding blanks.
PLACEHOLDERS = frozenset(
    (
        "registry placeholder default temp none null undefined 0 1 xxx yyy "
        "example test demo sample template mock fake dummy"
    ).split()
)

#: Beginnings of short ids that strict mode refuses, and the ids of that form that are real.
PLACEHOLDER_PREFIXES = tuple(
    f"{word}_" for word in "placeholder registry temp example demo sample template mock fake default test".split()
)
STRICT_EXCEPTIONS = frozenset(f"default_{role}" for role in "user admin system account service client guest".split())
STRICT_LENGTH = 20

# Control characters, the Unicode line and paragraph separators, and lone surrogates would break logs and wire formats.
_allowed = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+").fullmatch


class IDType(StrEnum):
    """What an id names."""

    USER = "user"
    SESSION = "session"
    REQUEST = "request"
    AGENT = "agent"
    TOOL = "tool"
    TRANSACTION = "transaction"
    WEBSOCKET = "websocket"
    EXECUTION = "execution"
    TRACE = "trace"
    METRIC = "metric"
    THREAD = "thread"


def new_id(prefix: str) -> str:
    """A fresh id, `prefix_` and 32 hexadecimal digits of a UUIDv7: ids of one prefix sort by time."""
    return f"{prefix}_{uuid7().hex}"


def made_at(value: str) -> float:
    """When `new_id` made this id, in seconds since 1970."""
    return int(value[-32:-20], 16) / 1000


def keyed_run_id(user_id: str, idempotency_key: str) -> str:
    """The run id that a user's idempotency key always leads to."""
    return f"run_{sha256(f'{len(user_id)}:{user_id}{idempotency_key}'.encode()).hexdigest()[:32]}"


class UnifiedIDManager:
    """Makes ids with a readable prefix. It keeps no registry: an id is unique by construction."""

    def generate_id(self, id_type: IDType, prefix: str | None = None) -> str:
        """A fresh id such as `legacy_compat_user_0199…`; `prefix` comes before the type."""
        return new_id(f"{prefix}_{id_type.value}" if prefix else id_type.value)


def check_id(field: str, value: object) -> str:
    """`value` itself, if it can serve as an id.

    Raises:
        InvalidContext: it is no `str`, blank, longer than 128 characters, holds a control character, or is a
            placeholder such as `None` or `default`.
    """
    if type(value) is not str:
        raise InvalidContext(field, value, f"is a {type(value).__name__}; pass the id as a str")
    if problem := _problem(value):
        raise InvalidContext(field, value, problem)
    return value


def check_lasting_id(field: str, value: object) -> str:
    """`check_id` for ids that come again and again, a user's or a thread's: the verdict is remembered."""
    if type(value) is str and _is_good(value):
        return value
    return check_id(field, value)


@lru_cache(maxsize=8192)
def _is_good(value: str) -> bool:
    return _problem(value) is None


def check_part(field: str, value: object) -> str:
    """`value` itself, if it can be part of an id. A word that is a placeholder on its own may be.

    Raises:
        InvalidContext: it is no `str`, blank, longer than 128 characters, or holds a control character.
    """
    if type(value) is not str:
        raise InvalidContext(field, value, f"is a {type(value).__name__}; pass a str")
    if problem := _malformed(value):
        raise InvalidContext(field, value, problem)
    return value


def _malformed(value: str) -> str | None:
    if not value.strip():
        return "is blank; pass the id of a real user, thread, run or request"
    if len(value) > MAX_ID_LENGTH:
        return f"has {len(value)} characters; at most {MAX_ID_LENGTH} are accepted"
    if not _allowed(value):
        return "holds a control character, a line separator or a lone surrogate; remove it"
    return None


def _problem(value: str) -> str | None:
    if problem := _malformed(value):
        return problem
    if value.strip().lower() in PLACEHOLDERS:
        return "is a placeholder, not an id; pass the id of a real user, thread, run or request"
    return None


def check_strict(field: str, value: str) -> None:
    """Refuse short ids that begin like a placeholder (`test_user`, `demo_1`).

    Raises:
        InvalidContext: the id is shorter than 20 characters and begins like a placeholder.
    """
    bare = value.strip().lower()
    if len(bare) < STRICT_LENGTH and bare.startswith(PLACEHOLDER_PREFIXES) and bare not in STRICT_EXCEPTIONS:
        raise InvalidContext(
            field, value, "begins like a placeholder; use a real id, or set context.strict_ids to false"
        )
