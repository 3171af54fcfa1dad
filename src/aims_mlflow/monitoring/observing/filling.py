"""The parts a replica is filling: one for each window that rows come for."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from aims_mlflow.evidence import sha256_of
from aims_mlflow.monitoring.observing.parts import Part, PartHeader, PartId
from aims_mlflow.monitoring.observing.taking import Taken, arrays_of, tables_of
from aims_mlflow.monitoring.observing.target import Target
from aims_mlflow.operation.windows import Window

if TYPE_CHECKING:
    from aims_mlflow.frames import Table
    from aims_mlflow.sketches import Profile

_log = logging.getLogger("aims_mlflow")

UNREADABLE = "unreadable"
"""Rows the model was given in a form that is no table."""
_QUICK = ("float", "integer", "boolean")
NO_PLAN = "before the reference was known"
NOT_KEPT = "could not be kept"
"""Rows of a part that could neither be written nor delivered."""


@dataclass
class Filling:
    """A part that rows are still added to."""

    id: PartId
    profile: Profile | None
    rows: int = 0
    calls: int = 0
    failed_calls: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    set_back: int = 0
    first: float | None = None
    last: float | None = None
    dirty: bool = False
    """Whether it is ahead of its checkpoint."""
    since: float = field(default_factory=time.monotonic)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.rows or self.lost or self.failed_calls)

    def add(self, taken: Sequence[Taken], target: Target) -> None:
        """Add the rows of some calls; what cannot be read is counted as lost."""
        for one in taken:
            self.calls += 1
            self.first = one.moment if self.first is None else min(self.first, one.moment)
            self.last = one.moment if self.last is None else max(self.last, one.moment)
        self.dirty = True
        if self.profile is None:
            self.rows += sum(one.rows for one in taken)
            return
        others = [one for one in taken if not self._quickly(one, target)]
        for group, table in tables_of(others, target.names, target.known):
            rows = sum(one.rows for one in group)
            if table is not None and self._summarised(table):
                self.rows += rows
            else:
                self.lost[UNREADABLE] += rows

    def _quickly(self, one: Taken, target: Target) -> bool:
        """Whether the rows of a call are in the summaries without having been put together with others."""
        assert self.profile is not None  # noqa: S101  (for the type checker: the caller looked)
        arrays = arrays_of(one, target.names, target.known)
        if arrays is None or not _are_quick(arrays, self.profile):
            return False
        if self._arrays_summarised(arrays, one.rows):
            self.rows += one.rows
        else:
            self.lost[UNREADABLE] += one.rows
        return True

    def _arrays_summarised(self, arrays: Mapping[str, Any], rows: int) -> bool:
        assert self.profile is not None  # noqa: S101  (see above)
        profile, before = self.profile, self.profile.rows
        try:
            profile.add_arrays({name: values for name, values in arrays.items() if name in profile.columns}, rows)
            for name in arrays:
                if name not in profile.columns:
                    profile.saw_new(name, rows)
        except Exception:  # noqa: BLE001  (rows that cannot be summarised are counted as lost, which the window says)
            _log.debug("aims: cause", exc_info=True)
            profile.rows = before
            return False
        return True

    def _summarised(self, table: Table) -> bool:
        """Whether the rows are in the summaries."""
        assert self.profile is not None  # noqa: S101  (for the type checker: the caller looked)
        profile, before = self.profile, self.profile.rows
        arrays = {column.name: column.raw for column in table.columns}
        if _are_quick(arrays, profile):
            plain = {name: raw.to_numpy() if hasattr(raw, "to_numpy") else raw for name, raw in arrays.items()}
            return self._arrays_summarised(plain, table.rows)
        try:
            profile.add(table)
        except Exception:  # noqa: BLE001  (rows that cannot be summarised are counted as lost, which the window says)
            _log.debug("aims: cause", exc_info=True)
            profile.rows = before
            return False
        return True

    def part(self, target: Target, *, complete: bool) -> Part:
        """As it is now."""
        content = b""
        if self.profile is not None:
            content = self.profile.to_bytes(smallest_cell=target.smallest_cell)
        header = PartHeader(
            part=str(self.id),
            model=target.model,
            version=target.version,
            model_sha256=target.ref.sha256,
            reference_sha256=target.reference_sha256,
            profile_sha256=sha256_of(content) if content else None,
            rows=self.rows,
            calls=self.calls,
            failed_calls=self.failed_calls,
            lost=dict(self.lost),
            set_back=self.set_back,
            first=_moment(self.first),
            last=_moment(self.last),
            complete=complete,
        )
        return Part(self.id, header, content)


class Fillings:
    """All parts of a replica that are being filled, and how many there were of each window.

    Args:
        replica: Its name.
        target: What is observed.
    """

    def __init__(self, replica: str, target: Target) -> None:
        self.replica = replica
        self.target = target
        self.open: dict[Window, Filling] = {}
        self._made: dict[Window, int] = {}

    def add(self, taken: Sequence[Taken]) -> None:
        """Add the rows of some calls, each to the window of its moment."""
        by_window: dict[Window, list[Taken]] = {}
        for one in taken:
            by_window.setdefault(self.window(one.moment), []).append(one)
        for window, calls in by_window.items():
            self.of(window).add(calls, self.target)

    def window(self, moment: float) -> Window:
        """The window of a moment in seconds since 1970."""
        for window in self.open:
            if window.start.timestamp() <= moment < window.end.timestamp():
                return window
        return Window.holding(datetime.fromtimestamp(moment, UTC), self.target.length)

    def of(self, window: Window) -> Filling:
        """The part of a window that is being filled."""
        held = self.open.get(window)
        if held is None:
            from aims_mlflow.sketches import Profile

            sequence = self._made.get(window, 0)
            self._made[window] = sequence + 1
            while len(self._made) > 1024:  # so long ago that no row comes for it: the clock would have to say so again
                del self._made[min(self._made)]
            plan = self.target.plan
            profile = Profile.empty(plan) if plan is not None else None
            held = self.open[window] = Filling(PartId(self.replica, window, sequence), profile)
        return held

    def due(self, now: float, *, rows: int | None, seconds: float | None) -> list[Filling]:
        """Parts to finish: of windows that are over, or lie in a future the clock took back, or large or old enough."""
        return [
            one
            for window, one in self.open.items()
            if window.end.timestamp() <= now
            or window.start.timestamp() > now
            or (rows is not None and one.rows >= rows)
            or (seconds is not None and time.monotonic() - one.since >= seconds)
        ]


def _are_quick(columns: Mapping[str, Any], profile: Profile) -> bool:
    """Whether all columns the plan knows are plain numbers, here and in the plan."""
    from aims_mlflow.sketches import NumberSketch

    for name, values in columns.items():
        sketch = profile.columns.get(name)
        if sketch is None:
            continue
        if not isinstance(sketch, NumberSketch) or sketch.plan.was not in _QUICK:
            return False
        dtype = getattr(values, "dtype", None)
        if not isinstance(dtype, np.dtype) or dtype.kind not in "iufb":
            return False
    return True


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
