"""One observer for each observed model in a process: rows in, parts out, and never in the way of a prediction."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aims_mlflow.errors import AimsError, DeliveryError
from aims_mlflow.monitoring.observing.clock import LiveClock
from aims_mlflow.monitoring.observing.delivering import Desk
from aims_mlflow.monitoring.observing.filling import NO_PLAN, NOT_KEPT, Filling, Fillings
from aims_mlflow.monitoring.observing.lifetime import enlist, save_forever, ship_forever
from aims_mlflow.monitoring.observing.parts import Part
from aims_mlflow.monitoring.observing.shipping import Shipment
from aims_mlflow.monitoring.observing.spool import Home, ReplicaSpool, replica_name, spool_roots
from aims_mlflow.monitoring.observing.taking import LARGE, Snapshot, Taken, result_copy, snapshot
from aims_mlflow.monitoring.observing.target import Target

_log = logging.getLogger("aims_mlflow")

EVERY_ROWS = 65_536
EVERY_SECONDS = 1.0
FOLD_ROWS = 32_768
"""Rows that are summarised together: seldom and long disturbs fewer calls than often and short."""
FOLD_CALLS = 2_048
"""Calls that are summarised together at most: the frame of a single row takes some kilobytes."""
_IN_MEMORY = 16
"""Finished parts that are kept in memory while no disk takes them."""
_SLOWEST_EXIT = 10.0


class Observer:
    """Summarises what a model is given and answers, window by window.

    Rows are taken on the call path and summarised in bulk by a thread of its own. What was taken is at risk until the
    next checkpoint: at most ``every_rows`` rows that were answered, and those of the last ``every_seconds``, whichever
    is less. The caller that would pass the limit waits for the checkpoint.

    Args:
        target: What is observed, or what finds it out; that is tried again until it answers.
        replica: Name of the replica, to recognise it by; a random end is added.
        every_rows: Rows at risk at most.
        every_seconds: Seconds at risk at most.
        part_rows: Rows from which a part is finished and delivered before its window ends; None: never.
        part_seconds: Seconds after which it is.
        spool: Folder for checkpoints and undelivered parts; None: with the undelivered evidence.
        clock: Tells the time.
        closes: Whether it closes windows whose first part, by name, is its own.
        client: An ``MlflowClient``; one for the target's server where None.
        background: False leaves it to the caller to ``save`` and ``ship``.
    """

    def __init__(
        self,
        target: Target | Callable[[], Target],
        *,
        replica: str | None = None,
        every_rows: int = EVERY_ROWS,
        every_seconds: float = EVERY_SECONDS,
        part_rows: int | None = None,
        part_seconds: float | None = None,
        spool: Path | str | None = None,
        clock: LiveClock | None = None,
        closes: bool = True,
        client: Any = None,
        background: bool = True,
    ) -> None:
        self._resolve = target if callable(target) else None
        self.target: Target | None = None if callable(target) else target
        self._given_name = replica
        self.every_rows = every_rows
        self.every_seconds = every_seconds
        self._fold_rows = max(1, min(FOLD_ROWS, every_rows // 2))
        self._part_rows, self._part_seconds = part_rows, part_seconds
        self._roots = spool_roots(spool)
        self._clock = clock or LiveClock()
        self._closes = closes
        self._given_client = client
        self._background = background
        self._closed = False
        self._working = 0
        self._begin()
        enlist(self)

    def _begin(self) -> None:
        """A new life: after the start, and in the child after a fork."""
        self.replica = replica_name(self._given_name)
        self._lock = threading.Lock()
        self._work = threading.RLock()
        self._shipping = threading.RLock()
        self._buffer: list[Taken] = []
        self._buffered = 0
        self._unsaved = 0
        self._oldest: float | None = None
        self._failed_calls = 0
        self._set_back = 0
        self._before: dict[str, Any] = {"rows": 0}
        self._fillings: Fillings | None = None
        self._spool: ReplicaSpool | None = None
        self._memory: deque[Part] = deque()
        self._told: set[str] = set()
        self._wake, self._ship_now, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._desk = Desk(self.replica, self.target, self._given_client)
        self._retry_spool_at = 0.0
        self._rows_at_risk = self.every_rows
        self.ended = threading.Event()
        self._pid = os.getpid()

    # the call path

    def before(self, data: Any) -> Snapshot | None:
        """Take what a model is about to be given. Never raises."""
        try:
            return snapshot(data)
        except Exception as error:  # noqa: BLE001  (a prediction does not fail because of us)
            self._tell("rows could not be taken", error)
            return Snapshot(_length(data), None)

    def after(self, taken: Snapshot | None, result: Any) -> None:
        """Keep it with the model's answer. Never raises."""
        try:
            if taken is None or self._closed:
                return
            rows = taken.rows
            self._take(Taken(self._clock.now(), rows, taken.inputs, result_copy(result, rows)), rows)
        except Exception as error:  # noqa: BLE001  (see above)
            self._tell("rows could not be kept", error)

    def failed(self) -> None:
        """The model raised: its rows were not served."""
        self._failed_calls += 1

    def _take(self, one: Taken, rows: int) -> None:
        with self._lock:
            self._buffer.append(one)
            self._buffered += rows
            self._unsaved += rows
            buffered, unsaved, calls = self._buffered, self._unsaved, len(self._buffer)
            if self._oldest is None:
                self._oldest = time.monotonic()
        if not self._threads and self._background:
            self._start()
        if unsaved >= self._rows_at_risk or rows >= LARGE:
            self.save()
        elif buffered >= self._fold_rows or calls >= FOLD_CALLS:
            if self._background and buffered < 4 * self._fold_rows and calls < 4 * FOLD_CALLS:
                self._wake.set()
            else:
                self._fold()

    # summaries

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Only one thread summarises and writes; which one is known, so that a signal never waits for itself."""
        with self._work:
            before, self._working = self._working, threading.get_ident()
            try:
                yield
            finally:
                self._working = before

    def _fold(self) -> None:
        """Summarise what is in the buffer."""
        with self._at_work():
            with self._lock:
                taken, self._buffer, self._buffered = self._buffer, [], 0
            fillings = self._ready()
            if fillings is None:
                self._before["rows"] += sum(one.rows for one in taken)
                if taken:
                    self._before.setdefault("moment", taken[0].moment)
                return
            if taken:
                fillings.add(taken)
            self._account(fillings)

    def _ready(self) -> Fillings | None:
        """The parts being filled; None while it is not known what is observed."""
        if self._fillings is None and self.target is not None:
            self._fillings = Fillings(self.replica, self.target)
            early = self._before["rows"]
            if early:
                filling = self._fillings.of(self._fillings.window(self._before["moment"]))
                filling.lost[NO_PLAN] += early
                filling.dirty = True
                self._before["rows"] = 0
        return self._fillings

    def _account(self, fillings: Fillings) -> None:
        failed, self._failed_calls = self._failed_calls, 0
        back = self._clock.set_back - self._set_back
        self._set_back = self._clock.set_back
        if failed or back:
            filling = fillings.of(fillings.window(self._clock.now()))
            filling.failed_calls += failed
            filling.set_back += back
            filling.dirty = True

    def save(self, *, finish: bool = False) -> None:
        """Summarise what was taken, write checkpoints, and finish the parts that are due.

        Args:
            finish: True finishes all of them.
        """
        with self._at_work():
            with self._lock:
                at_risk, self._oldest = self._unsaved, None
            self._fold()
            fillings = self._fillings
            if fillings is not None:
                now = self._clock.now()
                due = (
                    list(fillings.open.values())
                    if finish
                    else fillings.due(now, rows=self._part_rows, seconds=self._part_seconds)
                )
                for filling in due:
                    self._finish(fillings, filling)
                for filling in fillings.open.values():
                    self._checkpoint(filling)
            with self._lock:
                self._unsaved -= at_risk

    def _finish(self, fillings: Fillings, filling: Filling) -> None:
        window = filling.id.window
        del fillings.open[window]
        if filling.empty:
            return
        part = filling.part(fillings.target, complete=True)
        spool = self._folder()
        try:
            if spool is None:
                raise OSError
            spool.finish(part)
        except OSError as error:
            self._tell("a part could not be written to the spool", error)
            self._memory.append(part)
            while len(self._memory) > _IN_MEMORY:
                dropped = self._memory.popleft()
                rows = dropped.header.rows + sum(dropped.header.lost.values())
                lost = fillings.of(fillings.window(self._clock.now()))
                lost.lost[NOT_KEPT] += rows
                lost.dirty = True
        self._desk.note(window)
        self._ship_now.set()

    def _checkpoint(self, filling: Filling) -> None:
        if not filling.dirty or filling.empty or self._fillings is None:
            return
        spool = self._folder()
        if spool is None:
            return
        try:
            spool.checkpoint(filling.part(self._fillings.target, complete=False))
            filling.dirty = False
        except OSError as error:
            self._tell("a checkpoint could not be written", error)

    def _folder(self) -> ReplicaSpool | None:
        """This replica's folder; None where no disk takes it, which is tried again after some seconds."""
        if self._spool is None and self.target is not None and time.monotonic() >= self._retry_spool_at:
            home = Home(
                replica=self.replica,
                tracking_uri=self.target.tracking_uri,
                model=self.target.model,
                version=self.target.version,
                system_id=self.target.system_id,
                experiment=self.target.policy.experiment,
                started_at=datetime.now(UTC),
            )
            for root in self._roots:
                try:
                    self._spool = ReplicaSpool(root, home)
                    break
                except OSError as error:
                    self._retry_spool_at = time.monotonic() + 5.0
                    self._tell("the spool cannot be written", error)
        return self._spool

    # delivery

    def ship(self) -> Shipment:
        """Deliver finished parts.

        Raises:
            AimsError: it is not known yet what is observed, or MLflow cannot be reached.
        """
        with self._shipping:
            self._find_target()
            with self._work:
                spool = self._folder()
                if spool is not None:
                    self._rescue(spool)
            return self._desk.ship(spool) if spool is not None else Shipment()

    def close_due(self) -> None:
        """Close the windows whose grace is over, as ``Desk.close_due`` says."""
        if self._closes and self.target is not None:
            self._desk.close_due(self._clock.now())

    def leftovers(self) -> Shipment:
        """Deliver what killed replicas left in the same spool, and look for windows that nobody closed."""
        return self._desk.leftovers(self._roots)

    def _rescue(self, spool: ReplicaSpool) -> None:
        """Write the parts that are in memory, now that there may be room for them."""
        while self._memory:
            try:
                spool.finish(self._memory[0])
            except OSError:
                return
            self._memory.popleft()

    def _find_target(self) -> None:
        if self.target is None and self._resolve is not None:
            target = self._resolve()
            with self._work:
                self.target = self._desk.target = target
            self._wake.set()

    # threads

    def _start(self) -> None:
        with self._lock:
            if self._threads or self._closed:
                return
            self._threads = [
                threading.Thread(target=save_forever, args=(weakref.ref(self), self._wake, self._stop), daemon=True),
                threading.Thread(
                    target=ship_forever, args=(weakref.ref(self), self._ship_now, self._stop), daemon=True
                ),
            ]
            for number, thread in enumerate(self._threads):
                thread.name = f"aims-observe-{number}"
                thread.start()

    def close(self, *, ship: bool = True) -> None:
        """Finish all parts and deliver them if MLflow answers now; else they wait in the spool. Never raises.

        Args:
            ship: False leaves them in the spool.
        """
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        self._stop.set()
        self._wake.set()
        self._ship_now.set()
        try:
            self.save(finish=True)
            if ship and self._shipping.acquire(timeout=_SLOWEST_EXIT):
                try:
                    self.ship()
                finally:
                    self._shipping.release()
        except Exception as error:  # noqa: BLE001  (the process is ending; the parts are in the spool)
            self._tell("parts were not delivered and wait in the spool", error)
        with suppress(OSError):
            if self._spool is not None:
                self._spool.close()
                self._spool = None

    @property
    def ending(self) -> bool:
        """Whether the process was asked to end: each call is then written at once."""
        return self._rows_at_risk == 1 and self.every_rows > 1

    def end_soon(self) -> bool:
        """The process was asked to end, and may do so without further notice.

        Returns:
            Whether there is anything to wait for; ``ended`` is then set when the parts are delivered or could not be.
        """
        self._rows_at_risk = 1
        if not self._threads or self._closed or self._working == threading.get_ident():
            return False
        self._wake.set()
        self._ship_now.set()
        return True

    def checked_save(self, *, woken: bool) -> None:
        """What is due: summaries only, or checkpoints, too, where half of the time is over. Never raises."""
        try:
            oldest = self._oldest
            is_early = oldest is not None and time.monotonic() - oldest < self.every_seconds / 2
            if woken and is_early and not self.ending and self._unsaved < self.every_rows // 2:
                self._fold()
            else:
                self.save()
        except Exception as error:  # noqa: BLE001  (the thread must live on; what was taken is counted or told)
            self._tell("rows could not be summarised", error)

    def checked_delivery(self, *, leftovers: bool) -> bool:
        """Deliver, look for leftovers, close windows; False where it must be tried again. Never raises."""
        ending = self.ending  # asked before the parts are finished: what is asked later is for the next round
        try:
            if ending and not self.ended.is_set():
                self.save(finish=True)
            done = self.ship()
            if leftovers:
                self.leftovers()
            self.close_due()
            if done.kept:
                raise DeliveryError(next(iter(done.kept.values())))
        except Exception as error:  # noqa: BLE001  (tried again; the parts wait in the spool)
            self._tell("parts were not delivered and wait in the spool", error)
            return False
        finally:
            if ending:
                self.ended.set()
        return True

    def reborn(self) -> None:
        """In the child after a fork: rows, parts and folder are the parent's."""
        spool = self._spool
        self._begin()
        if spool is not None:
            spool.forget()

    def _tell(self, what: str, error: BaseException) -> None:
        """One warning for each kind of trouble."""
        key = f"{what} {type(error).__name__}"
        if key in self._told:
            return
        self._told.add(key)
        why = error.message if isinstance(error, AimsError) else type(error).__name__
        _log.warning("aims: %s (%s)", what, why)
        _log.debug("aims: cause", exc_info=error)


def _length(data: Any) -> int:
    try:
        return len(data)
    except TypeError:
        return 1
