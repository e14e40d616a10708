"""Threads and runs of a SQLite event log, wherever they are: in memory, in the file, or new."""

from __future__ import annotations

from collections.abc import Iterator

from ssot_engine.eventlog.base import RunRecord
from ssot_engine.eventlog.sqlite_cache import CachedThread, OpenRun, ThreadCache
from ssot_engine.eventlog.sqlite_file import SqliteFile
from ssot_engine.eventlog.sqlite_reader import SqliteReader, StoredRun, epoch_of
from ssot_engine.events import ThreadKey


class Catalog:
    """Finds a thread or a run by its key. Threads that were found, and runs that are open, stay in memory."""

    def __init__(self, file: SqliteFile, reader: SqliteReader, threads: ThreadCache) -> None:
        self._file = file
        self._reader = reader
        self._threads = threads
        self._runs: dict[tuple[str, str], OpenRun] = {}

    # ------------------------------------------------------------------ threads

    def thread(self, key: ThreadKey) -> CachedThread:
        """The thread; one that is not in the file is new, and goes there with its first event."""
        thread = self._threads.get(key)
        if thread is not None and thread.in_doubt:
            self._clear_doubt(thread)
            thread = self._threads.get(key)
        if thread is None:
            thread = self._stored_thread(key) or self._new_thread(key)
            self._threads.add(thread)
        return thread

    def _stored_thread(self, key: ThreadKey) -> CachedThread | None:
        row = self._reader.thread(key)
        if row is None:
            return None
        epoch = epoch_of(self._file.epoch, row.generation)
        return CachedThread(row.id, key, epoch, row.generation, row.floor, row.head, is_stored=True)

    def _new_thread(self, key: ThreadKey) -> CachedThread:
        number, generation = self._file.next_thread, self._file.generation
        self._file.next_thread += 1
        return CachedThread(number, key, epoch_of(self._file.epoch, generation), generation, 0, 0, is_stored=False)

    def _clear_doubt(self, thread: CachedThread) -> None:
        """A commit failed: the file says what became of it."""
        if self._reader.head(thread.id) > thread.shown:
            # It was stored all the same. All of the thread comes from the file now.
            for run in tuple(self.open_runs(thread.key)):
                self.remove(run)
            self._threads.remove(thread)
        thread.in_doubt = False

    # --------------------------------------------------------------------- runs

    def __len__(self) -> int:
        return len(self._runs)

    def open_runs(self, key: ThreadKey) -> Iterator[OpenRun]:
        """Open runs of one thread."""
        return (run for run in self._runs.values() if run.key == key)

    def unstored_runs(self) -> Iterator[OpenRun]:
        """Runs that began and are not in the file yet."""
        return (run for run in self._runs.values() if not run.is_stored)

    def run(self, user_id: str, run_id: str) -> OpenRun | StoredRun | None:
        """A run of a user: a stored one has ended."""
        run = self._runs.get((user_id, run_id))
        if run is not None:
            if not run.thread.in_doubt:
                return run
            self._clear_doubt(run.thread)
            return self.run(user_id, run_id)
        stored = self._reader.stored_run(user_id, run_id)
        if stored is None or stored.status is not None:
            return stored
        run = OpenRun(stored.id, self.thread(stored.key), run_id, stored.attempt, stored.ordinal)
        self._add(run)
        return run

    def begin(self, key: ThreadKey, run_id: str, agent_name: str, message: str, idempotency_key: str | None) -> None:
        """A new run; it goes to the file with its first event."""
        run = OpenRun.begun(self._file.next_run, self.thread(key), run_id, agent_name, message, idempotency_key)
        self._file.next_run += 1
        self._add(run)

    def _add(self, run: OpenRun) -> None:
        run.thread.open_runs += 1
        self._runs[run.key.user_id, run.run_id] = run

    def remove(self, run: OpenRun) -> None:
        """The run is not open any more."""
        run.thread.open_runs -= 1
        del self._runs[run.key.user_id, run.run_id]

    def record(self, user_id: str, run_id: str) -> RunRecord | None:
        """What is known of a user's run."""
        run = self._runs.get((user_id, run_id))
        return self._reader.record(user_id, run_id) if run is None or run.is_stored else run.record()
