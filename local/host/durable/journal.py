"""Keeps a task hub in one SQLite file, so that a host that is killed resumes what was in flight.

Everything that happens to a task hub happens under its lock. When the lock is released, the rows that were touched are
written in one transaction, before anybody is answered: what was acknowledged is on disk, and the file always shows the
hub between two steps. WAL with synchronous=NORMAL survives the death of the process at any instruction; a power failure
may lose the last transactions, but leaves the file whole.

Rows are found by looking, not by being reported: a table notes each key that is read or written through it, so no
change can be forgotten, and what did not change is not written again.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, overload

from local.host.durable import rows
from local.host.durable.hub import TaskHub
from local.host.durable.rows import Codec, Row
from local.host.errors import HostStartError

# The hub's tables; the layout of the rows is ours, the events in them are durabletask's.
LAYOUT = f"1, durabletask {version('durabletask')}"


type Change = tuple[str, Row | None]


class JournalError(HostStartError):
    """The journal cannot be used: held by another host, or written by another version."""


class JournaledTable[T](dict[str, T]):
    """A dictionary that knows which of its entries may have changed since they were saved."""

    def __init__(self, name: str, codec: Codec[T], stored: dict[str, Row]) -> None:
        super().__init__({key: codec.decode(key, row) for key, row in stored.items()})
        self.name = name
        self._codec = codec
        self._saved = {key: hash(row) for key, row in stored.items()}
        self._touched: set[str] = set()

    def __getitem__(self, key: str) -> T:
        self._touched.add(key)
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: T) -> None:
        self._touched.add(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._touched.add(key)
        super().__delitem__(key)

    @overload
    def get(self, key: str, default: None = None, /) -> T | None: ...
    @overload
    def get(self, key: str, default: T, /) -> T: ...
    @overload
    def get[D](self, key: str, default: D, /) -> T | D: ...
    def get(self, key: str, default: Any = None, /) -> Any:
        self._touched.add(key)
        return super().get(key, default)

    @overload
    def pop(self, key: str, /) -> T: ...
    @overload
    def pop(self, key: str, default: T, /) -> T: ...
    @overload
    def pop[D](self, key: str, default: D, /) -> T | D: ...
    def pop(self, key: str, *default: Any) -> Any:
        self._touched.add(key)
        return super().pop(key, *default)

    def changes(self) -> list[Change]:
        """The touched rows that differ from what is saved; None for one that is gone."""
        rows_now = [
            (key, self._codec.encode(dict.__getitem__(self, key)) if key in self else None) for key in self._touched
        ]
        return [(key, row) for key, row in rows_now if self._saved.get(key) != (hash(row) if row else None)]

    def mark_saved(self, changes: list[Change]) -> None:
        for key, row in changes:
            if row is None:
                del self._saved[key]
            else:
                self._saved[key] = hash(row)
        self._touched.clear()


class Journal:
    """One file, one hub, one host at a time.

    Raises:
        JournalError: another host has the file, or another version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._db.close()
            raise JournalError(f"{path} cannot be opened ({error}). Is another host running on it?") from error
        self._tables: list[JournaledTable[Any]] = []

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS about (layout TEXT PRIMARY KEY)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS hub (kind TEXT, id TEXT, fields TEXT NOT NULL, history BLOB NOT NULL,"
            " inbox BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )
        self._db.execute("INSERT INTO about SELECT ? WHERE NOT EXISTS (SELECT * FROM about)", (LAYOUT,))
        (found,) = self._db.execute("SELECT layout FROM about").fetchone()
        if found != LAYOUT:
            self._db.close()
            raise JournalError(f"{self._path} has layout '{found}', this host writes '{LAYOUT}'. Move the file away.")

    def hub(self) -> TaskHub:
        """The hub as it was left; what is changed in it under `self.lock()` is saved."""
        return TaskHub(
            instances=self._table("instance", rows.INSTANCE),
            entities=self._table("entity", rows.ENTITY),
            activities=self._table("activity", rows.ACTIVITY),
            timers=self._table("timer", rows.TIMER),
            signals=self._table("signal", rows.SIGNAL),
            children=self._table("child", rows.CHILD),
            starts=self._table("start", rows.START),
            generations=self._table("generation", rows.GENERATION),
        )

    def _table[T](self, name: str, codec: Codec[T]) -> JournaledTable[T]:
        query = "SELECT id, fields, history, inbox FROM hub WHERE kind = ?"
        table = JournaledTable(name, codec, {key: Row(*cells) for key, *cells in self._db.execute(query, (name,))})
        self._tables.append(table)
        return table

    def save(self) -> None:
        """Write what changed, all of it or nothing."""
        changed = {table.name: table.changes() for table in self._tables}
        if any(changed.values()):
            with self._transaction():
                for name, changes in changed.items():
                    self._write(name, changes)
        for table in self._tables:
            table.mark_saved(changed[table.name])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _write(self, kind: str, changes: list[Change]) -> None:
        gone = [(kind, key) for key, row in changes if row is None]
        kept = [(kind, key, *row) for key, row in changes if row is not None]
        self._db.executemany("DELETE FROM hub WHERE kind = ? AND id = ?", gone)
        self._db.executemany("REPLACE INTO hub VALUES (?, ?, ?, ?, ?)", kept)

    def close(self) -> None:
        self._db.close()


class SavingLock:
    """A re-entrant lock whose last release saves the journal. A failure to save is the holder's failure."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.RLock()
        self._depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                self._journal.save()
        finally:
            self._lock.release()
