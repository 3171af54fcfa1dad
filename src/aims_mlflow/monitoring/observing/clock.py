"""The time that says which window rows belong to."""

from __future__ import annotations

import time
from collections.abc import Callable

HELD_SECONDS = 60.0


class LiveClock:
    """The wall clock, without its jitter.

    A clock that is set back by up to a minute stands still until it has caught up, so that a boundary between windows
    is passed once. One that is set back further is followed: rows then belong to the window it says, and each row
    still to one window only.

    Args:
        wall: Seconds since 1970.
        held: How many seconds back it stands still for.
    """

    def __init__(self, wall: Callable[[], float] = time.time, *, held: float = HELD_SECONDS) -> None:
        self._wall = wall
        self._held = held
        self._last = wall()
        self.set_back = 0
        """Times it was set back further."""

    def now(self) -> float:
        """Seconds since 1970."""
        wall = self._wall()
        last = self._last
        if wall >= last:
            self._last = wall
            return wall
        if last - wall <= self._held:
            return last
        self._last = wall
        self.set_back += 1
        return wall
