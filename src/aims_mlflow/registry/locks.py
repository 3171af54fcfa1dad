"""One move of a registered model at a time: over threads, processes, and, with PostgreSQL, all machines.

Whoever dies gives its lock back.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aims_mlflow.errors import DeliveryError

_LONGEST_WAIT = 60.0
"""Seconds. A move takes some hundredths of one."""


class ModelLocks:
    """The locks of one registry.

    Args:
        registry: Name of the registry, the same in every process that uses it.
        folder: Where the lock files are.
        engine: SQLAlchemy engine of the registry's database, where it has one.
    """

    def __init__(self, registry: str, folder: Path, engine: Any | None = None) -> None:
        self._registry = registry
        self._folder = folder
        self._threads: dict[str, threading.Lock] = {}
        self._unlock()
        _KNOWN.add(self)
        self._engine = engine if engine is not None and engine.dialect.name == "postgresql" else None
        self._waiting: Any | None = None

    def _unlock(self) -> None:
        self._threads.clear()
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, *models: str) -> Iterator[None]:
        """Hold the locks of some models, always in the same order.

        Raises:
            DeliveryError: another move did not end in time.
            OSError: the lock file cannot be made.
        """
        deadline = time.monotonic() + _LONGEST_WAIT
        with ExitStack() as stack:
            for key in sorted({self._key(model) for model in models}):
                stack.enter_context(self._thread(key, deadline))
                if self._engine is None:
                    stack.enter_context(_file_lock(self._folder / f"{key}.lock", deadline))
                else:
                    stack.enter_context(self._advisory(key, deadline))
            yield

    def _key(self, model: str) -> str:
        digest = hashlib.sha256(f"{self._registry}\0{model}".encode("utf-8", "surrogatepass")).hexdigest()
        # Whoever asks for models that do not exist must not make ever more files: some models share a lock.
        return digest if self._engine is not None else digest[:3]

    @contextmanager
    def _thread(self, key: str, deadline: float) -> Iterator[None]:
        with self._guard:
            lock = self._threads.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise _busy()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _advisory(self, key: str, deadline: float) -> Iterator[None]:
        """A session lock of PostgreSQL, over a connection of its own: those who wait must not take the store's."""
        import sqlalchemy

        number = int(key[:15], 16)
        with self._connections().connect() as connection:
            while not connection.execute(sqlalchemy.text("SELECT pg_try_advisory_lock(:n)"), {"n": number}).scalar():
                if time.monotonic() > deadline:
                    raise _busy()
                time.sleep(0.005)
            try:
                yield
            finally:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:n)"), {"n": number})

    def _connections(self) -> Any:
        import sqlalchemy

        with self._guard:
            if self._waiting is None and self._engine is not None:
                self._waiting = sqlalchemy.create_engine(
                    self._engine.url, isolation_level="AUTOCOMMIT", pool_size=2, max_overflow=-1, pool_pre_ping=True
                )
        return self._waiting


_KNOWN: weakref.WeakSet[ModelLocks] = weakref.WeakSet()


def _unlock_all() -> None:
    """A forked process starts without the locks that threads it does not have may hold, and with no connection."""
    for locks in _KNOWN:
        locks._unlock()
        locks._waiting = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)


@contextmanager
def _file_lock(path: Path, deadline: float) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not on Windows: there only the threads of a process wait for one another
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _busy() from None
                time.sleep(0.002)
        yield
    finally:
        os.close(descriptor)


def _busy() -> DeliveryError:
    return DeliveryError("another move of the model did not end", remedy="Try again.")
