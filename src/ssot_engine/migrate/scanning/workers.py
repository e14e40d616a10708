"""Processes that examine files; one that dies takes no file with it but the one it died of."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from ssot_engine.migrate.findings import Problem
from ssot_engine.migrate.scanning.examine import Examined, Task, examine
from ssot_engine.migrate.static.exports import Exports

#: Bytes of source that are sent to a process at a time.
_CHUNK_BYTES = 400_000

_NO_ROOM = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}

# Started with -P, or modules of the working folder would be imported before its path is set. An interrupt is left to
# the process that started it.
_START = """import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = {path!r}
from ssot_engine.migrate.scanning.workers import work
work()
"""


class Job(NamedTuple):
    """A file to examine, and the local names in it that may be renamed."""

    path: str
    size_bytes: int
    rename: frozenset[str] = frozenset()


def examine_file(job: Job, task: Task, exports: Exports) -> Examined:
    """Read a file and examine it."""
    try:
        with open(job.path, "rb", buffering=0) as stream:
            raw = stream.read()
    except OSError as error:
        return Examined(path=job.path, problem=unreadable(job.path, error))
    return examine(Path(job.path), raw, task, exports, job.rename)


def exports_for(task: Task) -> Exports:
    """What answers for modules in a process."""
    return Exports([Path(root) for root in task.roots])


def unreadable(path: str, error: OSError) -> Problem:
    """What is told of a file that cannot be read."""
    remedy = "scan again" if isinstance(error, FileNotFoundError) else "give yourself the right, or exclude it"
    return Problem(path=path, reason=f"cannot be read: {error.strerror}; {remedy}")


# ------------------------------------------------------------------ the process that asks


class Workers:
    """So many processes, which are started as a context and ended with it."""

    def __init__(self, processes: int, task: Task) -> None:
        self._task = task
        self._processes = processes
        self._chunks: deque[list[tuple[int, Job]]] = deque()
        self._done: SimpleQueue[tuple[int, Examined] | BaseException] = SimpleQueue()
        self._running: set[_Worker] = set()
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        for worker in list(self._running):
            worker.kill()

    def examine(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Examined]]:
        """What there is to say of each file, with its index, in the order in which they are done."""
        self._chunks.extend(_chunks(jobs))
        count = min(self._processes, len(self._chunks))
        for _ in range(count):
            threading.Thread(target=self._serve, daemon=True).start()
        for _ in jobs:
            done = self._done.get()
            if isinstance(done, BaseException):
                raise done
            yield done

    def _serve(self) -> None:
        """Keep one process busy, and another one if it dies."""
        try:
            while self._chunks and not self._is_over:
                started = self._started()
                if started is None:
                    self._examine_here()
                    return
                with started as worker:
                    self._running.add(worker)
                    if worker.is_up():
                        self._feed(worker)
                    else:
                        self._examine_here()
                self._running.discard(worker)
        except BaseException as error:
            # Raised where somebody waits for what this thread should have brought.
            self._done.put(error)

    def _started(self) -> _Worker | None:
        """One more process; None where the system has no room for it."""
        try:
            return _Worker(self._task)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return None

    def _feed(self, worker: _Worker) -> None:
        """Let a process examine chunk after chunk, until there is none or it is dead."""
        while not self._is_over:
            try:
                chunk = self._chunks.popleft()
            except IndexError:
                return
            if not self._examine_chunk(worker, chunk):
                return

    def _examine_here(self) -> None:
        """Examine what is left in this process, where the system lets none be started."""
        exports = exports_for(self._task)
        while self._chunks and not self._is_over:
            for index, job in self._chunks.popleft():
                self._done.put((index, examine_file(job, self._task, exports)))

    def _examine_chunk(self, worker: _Worker, chunk: list[tuple[int, Job]]) -> bool:
        """Have a chunk examined; whether the process lived through it."""
        worker.send([job for _, job in chunk])
        for at, (index, job) in enumerate(chunk):
            examined = worker.receive()
            if examined is None:
                self._died(worker, index, job, chunk[at + 1 :], is_alone=len(chunk) == 1)
                return False
            self._done.put((index, examined))
        return True

    def _died(self, worker: _Worker, index: int, job: Job, rest: list[tuple[int, Job]], *, is_alone: bool) -> None:
        """What a dead process left undone is done by the next one; a file it died of gets one more chance, alone."""
        if self._is_over:
            return
        if rest:
            self._chunks.appendleft(rest)
        if is_alone:
            reason = (
                f"ended the process that examined it (status {worker.status()}); exclude it, and please report this"
            )
            self._done.put((index, Examined(path=job.path, problem=Problem(path=job.path, reason=reason))))
        else:
            self._chunks.appendleft([(index, job)])


class _Worker:
    """A process that examines files."""

    def __init__(self, task: Task) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.send(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self._process.__exit__(kind, error, traceback)

    def send(self, value: object) -> None:
        """Give it something; one that is dead will be found so when it is to answer."""
        try:
            _send(self._stream(self._process.stdin), value)
        except OSError:
            self.kill()

    def is_up(self) -> bool:
        """Whether it has started and understood its task; asked once, before the first file."""
        return self._answer() is not None

    def receive(self) -> Examined | None:
        """What it has to say of the next file; None if it is dead."""
        found: Examined | None = self._answer()
        return found

    def _answer(self) -> Any:
        try:
            return pickle.load(self._stream(self._process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError):
            return None

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream

    def kill(self) -> None:
        """End it at once: it holds nothing that could be lost."""
        self._process.kill()

    def status(self) -> int:
        """With what it ended."""
        return self._process.wait()


def _send(stream: IO[bytes], value: object) -> None:
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _chunks(jobs: Sequence[Job]) -> list[list[tuple[int, Job]]]:
    """Files in portions of about the same size, the largest file first: what comes last takes least."""
    chunks: list[list[tuple[int, Job]]] = []
    room = 0
    for index, job in sorted(enumerate(jobs), key=lambda one: (-one[1].size_bytes, one[0])):
        if job.size_bytes > room:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append((index, job))
        room -= job.size_bytes
    return chunks


# ------------------------------------------------------------------ the process that examines


def work() -> None:
    """Answer on the standard streams: first comes the task, then lists of files; each file has an answer of its own."""
    asked = sys.stdin.buffer
    # Nobody else's printing may come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    task: Task = pickle.load(asked)
    exports = exports_for(task)
    try:
        _send(answers, "up")
        while True:
            jobs: list[Any] = pickle.load(asked)
            for job in jobs:
                _send(answers, examine_file(job, task, exports))
    except (EOFError, BrokenPipeError):
        # Whoever asked has all answers, or is gone.
        return
