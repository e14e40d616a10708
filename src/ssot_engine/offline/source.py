"""Which usage log a run reads: the packaged sample, or a file that was admitted for this run."""

from __future__ import annotations

import os
import secrets
import stat
from functools import cache, lru_cache
from hashlib import blake2b
from hmac import compare_digest

import msgspec

from ssot_engine.errors import RequestError
from ssot_engine.offline.reading import read_usage
from ssot_engine.offline.sample import sample_log
from ssot_engine.offline.usage import UnreadableLog, UsageLog
from ssot_engine.tools import ToolCall

__all__ = ["Source", "UnsealedSource", "admit", "usage_log"]

#: Logs kept parsed in this process: they are immutable, so all users may share them.
_KEPT_LOGS = 2
# Sources are made and used within one run of one process, so the key needs to outlive neither.
_KEY = secrets.token_bytes(32)


class UnsealedSource(RequestError):
    """A source was not admitted for this run: it is made up, changed, or of another run. `path` is its file."""

    status = 403

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"usage log {self.path!r} was not admitted for this run; load it with load_usage and pass on its source"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that may be read in one run. It is checked by its seal, so it may pass through any agent's hands."""

    path: str
    skip_bad_rows: bool
    #: another one once the file has changed
    version: str
    seal: str


def admit(path: str, skip_bad_rows: bool, call: ToolCall) -> Source:
    """The source of a file, for the run of `call`. Whoever calls this has checked that the user may read files.

    Raises:
        UnreadableLog: there is no such file.
    """
    version = _version(path)
    return Source(
        path=path, skip_bad_rows=skip_bad_rows, version=version, seal=_seal(path, skip_bad_rows, version, call)
    )


def usage_log(source: Source | None, call: ToolCall) -> UsageLog:
    """The log of a source; None is the sample.

    Raises:
        UnsealedSource: it was not admitted for the run of `call`.
        UnreadableLog: the file cannot be read, or has changed since it was admitted.
        BadRow: a row breaks the format.
    """
    if source is None:
        return _sample()
    if not compare_digest(source.seal, _seal(source.path, source.skip_bad_rows, source.version, call)):
        raise UnsealedSource(source.path)
    _check_unchanged(source.path, source.version)
    return _read(source.path, source.skip_bad_rows, source.version)


@cache
def _sample() -> UsageLog:
    return sample_log()


@lru_cache(maxsize=_KEPT_LOGS)
def _read(path: str, skip_bad_rows: bool, version: str) -> UsageLog:
    log = read_usage(path, skip_bad_rows=skip_bad_rows)
    _check_unchanged(path, version)
    return log


def _check_unchanged(path: str, version: str) -> None:
    if _version(path) != version:
        raise UnreadableLog(path, "changed while it was analysed; ask again")


def _version(path: str) -> str:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise UnreadableLog(path, f"cannot be read: {reason}; check the path") from problem
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableLog(path, "is no regular file; give a CSV or JSONL file")
    return f"{found.st_dev}.{found.st_ino}.{found.st_mtime_ns}.{found.st_size}"


def _seal(path: str, skip_bad_rows: bool, version: str, call: ToolCall) -> str:
    said = msgspec.json.encode([call.context.user_id, call.run_id, path, skip_bad_rows, version])
    return blake2b(said, key=_KEY, digest_size=16).hexdigest()
