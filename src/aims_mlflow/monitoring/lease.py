"""One watcher at a time for each version: a tag of the series run that expires, so that a killed one gives way.

It spares double work, no more: that a window has one evidence whoever files it is the store's doing.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aims_mlflow.evidence import now

LEASE_TAG = "aims.watch.lease"
DURATION = timedelta(minutes=3)
_SETTLING = 0.3
"""Seconds between taking a lease and seeing that it was kept: of two who take it at once the later write stands."""

_log = logging.getLogger("aims_mlflow")


def new_holder() -> str:
    """A name no other watcher has."""
    return f"{socket.gethostname()[:60].replace('|', '-')}:{os.getpid()}:{secrets.token_hex(4)}"


class Lease:
    """The right to work on a series for a while.

    Args:
        client: An ``MlflowClient``.
        run_id: The series run.
        holder: Who takes it.
        duration: How long it holds without being renewed.
    """

    def __init__(self, client: Any, run_id: str, holder: str, duration: timedelta = DURATION) -> None:
        self.client = client
        self.run_id = run_id
        self.holder = holder
        self.duration = duration

    def take(self) -> bool:
        """Take it, where it is free, expired or one's own.

        One that expires later than any could is of a clock that was set back, and counts as expired.
        """
        at = now()
        held_by, until = self._read()
        if held_by not in ("", self.holder) and at < until <= at + 2 * self.duration:
            return False
        is_own = held_by == self.holder
        self._write(at)
        if is_own:
            return True
        time.sleep(_SETTLING)
        return self._read()[0] == self.holder

    def release(self) -> None:
        """Give it up, where it is still one's own."""
        if self._read()[0] == self.holder:
            self.client.delete_tag(self.run_id, LEASE_TAG)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Take it for the length of a block, renewing it meanwhile; gives whether it could be taken."""
        if not self.take():
            yield False
            return
        over = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(over,), name="aims-lease", daemon=True)
        renewing.start()
        try:
            yield True
        finally:
            over.set()
            renewing.join(5)
            try:
                self.release()
            except Exception as error:  # noqa: BLE001  (it expires by itself)
                _log.debug("aims: the lease was not released (%s)", type(error).__name__)

    def _renew(self, over: threading.Event) -> None:
        while not over.wait(self.duration.total_seconds() / 3):
            try:
                self._write(now())
            except Exception as error:  # noqa: BLE001  (it is tried again, and expires where that fails too)
                _log.debug("aims: the lease was not renewed (%s)", type(error).__name__)

    def _read(self) -> tuple[str, datetime]:
        holder, _, until = dict(self.client.get_run(self.run_id).data.tags).get(LEASE_TAG, "").partition("|")
        try:
            return holder, datetime.fromisoformat(until).astimezone(UTC)
        except ValueError:
            return holder, datetime.min.replace(tzinfo=UTC)

    def _write(self, at: datetime) -> None:
        self.client.set_tag(self.run_id, LEASE_TAG, f"{self.holder}|{(at + self.duration).isoformat()}")
