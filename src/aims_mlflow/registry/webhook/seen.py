"""Which deliveries were taken already, kept in a small file so that a restart does not forget them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from aims_mlflow.errors import AimsError, DeliveryError
from aims_mlflow.registry.webhook.deliveries import MAX_AGE

_LIMIT = 50_000


class SeenFullError(AimsError):
    """So many deliveries came within the time they must be remembered that no more can be taken."""

    error_code = "TOO_MANY_DELIVERIES"


class Seen:
    """Ids of deliveries, for as long as one with the same id could still pass for recent.

    Several processes may share the file. It holds at most ``limit`` ids: an id is never forgotten to make room for
    another, for then it could be sent again.

    Args:
        path: SQLite file.
        max_age: Seconds within which a delivery's timestamp must lie of now.
        limit: Greatest number of ids.

    Raises:
        DeliveryError: the file cannot be opened or is no such file.
    """

    def __init__(self, path: Path, *, max_age: int = MAX_AGE, limit: int = _LIMIT) -> None:
        self.path = path
        self._keep = 2 * max_age  # one stamped `max_age` ahead stays recent until `max_age` after its time
        self._limit = limit
        self._lock = threading.Lock()
        with self._failures():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID")

    def add(self, identity: str, now: float) -> bool:
        """Remember an id; False where it was known.

        Args:
            identity: Id of a delivery whose signature and age were verified.
            now: Seconds since 1970.

        Raises:
            SeenFullError: there is no room.
            DeliveryError: the file cannot be used.
        """
        with self._lock, self._failures(), self._transaction():
            self._db.execute("DELETE FROM seen WHERE at < ?", (now - self._keep,))
            if self._db.execute("SELECT 1 FROM seen WHERE id = ?", (identity,)).fetchone():
                return False
            if self._db.execute("SELECT COUNT(*) FROM seen").fetchone()[0] >= self._limit:
                raise SeenFullError(f"{self._limit} deliveries came within {self._keep} seconds")
            self._db.execute("INSERT INTO seen VALUES (?, ?)", (identity, now))
            return True

    def forget(self, identity: str) -> None:
        """Take an id back whose delivery could not be taken after all, so that MLflow may send it again.

        Raises:
            DeliveryError: the file cannot be used.
        """
        with self._lock, self._failures():
            self._db.execute("DELETE FROM seen WHERE id = ?", (identity,))

    def __len__(self) -> int:
        with self._lock, self._failures():
            return int(self._db.execute("SELECT COUNT(*) FROM seen").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DeliveryError(
                f"the receiver's memory of deliveries cannot be used ({type(error).__name__})", where=str(self.path)
            ) from error
