"""An observer's threads, and what the process it lives in does to it: it ends, forks, or is told to end."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
import weakref
from multiprocessing import util
from types import FrameType
from typing import TYPE_CHECKING, Any

from aims_mlflow.monitoring.observing.shipping import Backoff

if TYPE_CHECKING:
    from aims_mlflow.monitoring.observing.observer import Observer

_LEFTOVERS_EVERY = 600.0
_LAST_SECONDS = 5.0
"""Seconds a process that is told to end waits for its parts to be delivered."""
_alive: weakref.WeakSet[Observer] = weakref.WeakSet()
_before: Any = signal.SIG_DFL
"""What SIGTERM did before."""


def enlist(observer: Observer) -> None:
    """Let an observer know what becomes of the process."""
    _alive.add(observer)
    util.register_after_fork(observer, _leave_worker)
    _watch_term()


def save_forever(reference: weakref.ref[Observer], wake: threading.Event, stop: threading.Event) -> None:
    """Summarise and write checkpoints on time, until the observer is gone."""
    while not stop.is_set():
        observer = reference()
        if observer is None:
            return
        seconds = observer.every_seconds
        del observer
        woken = wake.wait(seconds / 2)
        wake.clear()
        observer = reference()
        if observer is None or stop.is_set():
            return
        observer.checked_save(woken=woken)


def ship_forever(reference: weakref.ref[Observer], ship_now: threading.Event, stop: threading.Event) -> None:
    """Deliver parts, leftovers of the dead, and close windows, until the observer is gone."""
    backoff = Backoff()
    wait, looked = 0.0, float("-inf")
    while not stop.is_set():
        if wait:
            ship_now.wait(wait)
            ship_now.clear()
        observer = reference()
        if observer is None or stop.is_set():
            return
        is_time = time.monotonic() - looked > _LEFTOVERS_EVERY
        looked = time.monotonic() if is_time else looked
        if observer.checked_delivery(leftovers=is_time):
            backoff.worked()
            if observer.ending and not observer.ended.is_set():
                wait = 0.0
                continue
            wait = min(30.0, max(0.5, observer.every_seconds))
        else:
            wait = backoff.failed()
            if stop.wait(min(wait, 1.0)):
                return
        del observer


def _leave() -> None:
    for observer in list(_alive):
        observer.close()


def _leave_worker(_observer: Observer) -> None:
    """In a forked worker of ``multiprocessing``, which ends without Python's own way out."""
    util.Finalize(None, _leave, exitpriority=100)


def _forked() -> None:
    for observer in list(_alive):
        observer.reborn()


def _watch_term() -> None:
    """Be told of SIGTERM before whoever is told of it now.

    MLflow's scoring server ends by the signal's own default once its last answer is out, so that nothing runs at exit.
    A handler that is installed later takes our place: the checkpoint on disk is then what is left.
    """
    global _before
    if threading.current_thread() is not threading.main_thread():
        return
    held = signal.getsignal(signal.SIGTERM)
    if held is _terminate or held is None or held == signal.SIG_IGN:
        return
    _before = held
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    deadline = time.monotonic() + _LAST_SECONDS
    for observer in [one for one in list(_alive) if one.end_soon()]:
        observer.ended.wait(max(0.0, deadline - time.monotonic()))
    if callable(_before):
        _before(number, frame)
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


atexit.register(_leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
