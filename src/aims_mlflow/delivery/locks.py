"""One lock for each run, so that threads of a process write its evidence one after the other."""

from __future__ import annotations

import os
import threading

_locks: dict[str, threading.RLock] = {}


_locks_guard = threading.Lock()


def _unlock() -> None:
    """A forked process starts without the locks that threads it does not have may hold."""
    global _locks, _locks_guard
    _locks, _locks_guard = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def lock_of(run_id: str) -> threading.RLock:
    """The lock of one run."""
    with _locks_guard:
        if len(_locks) > 4096:
            _locks.clear()
        return _locks.setdefault(run_id, threading.RLock())
