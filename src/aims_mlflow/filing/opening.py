"""The first revision of a record: of several who open it at the same moment, one does.

Later revisions are claimed by a parameter of the one before, which MLflow lets only one set. A first one has none
before it, so whoever is about to write it announces that by a tag, looks who else has, and writes only where nobody
else stands announced: of two, at least one sees the other. The one whose run has the least id stays announced and
waits, the others step back and look again. One that died while it was announced is waited for no longer than
``LEASE_SECONDS``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

LEASE_SECONDS = 20.0
"""How long an announcement stands for a writer nobody heard of again."""
PATIENCE_SECONDS = 45.0
_PAUSE = 0.05
ANNOUNCED_TAG = "aims.announced"


class Standing(Enum):
    """Where one who is about to write stands."""

    CLEAR = auto()
    """Nobody else is announced, and nothing is on file."""
    TAKEN = auto()
    """The first revision is on file."""
    FIRST = auto()
    """Others are announced; they step back."""
    BEHIND = auto()
    """Another one is announced who goes first."""


@dataclass(frozen=True)
class Rival:
    """Another run under the same record."""

    run_id: str
    is_filed: bool
    announced_at: float
    """Seconds since 1970 by the clock of its writer; 0 where it is not known."""


def standing(own: str, rivals: list[Rival], now: float) -> Standing:
    """Where a writer stands among the others.

    Args:
        own: The run of the one who asks.
        rivals: Every other run under the record that is not deleted, and filed ones that are.
        now: Seconds since 1970.
    """
    if any(rival.is_filed for rival in rivals):
        return Standing.TAKEN
    alive = [rival.run_id for rival in rivals if now - rival.announced_at <= LEASE_SECONDS]
    if not alive:
        return Standing.CLEAR
    return Standing.FIRST if own < min(alive) else Standing.BEHIND


def may_open(
    own: str,
    *,
    announce: Callable[[], None],
    step_back: Callable[[], None],
    look: Callable[[], list[Rival]],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Wait until the first revision may be written, or somebody else has.

    Args:
        own: The run that is to hold it.
        announce: Announce it.
        step_back: Take the announcement back.
        look: Who else is there.
        sleep: Wait.
        clock: Seconds since 1970.

    Returns:
        True where the caller may write, now; False where somebody else has opened it, or nobody gave way in time.
    """
    began = clock()
    since: float | None = None
    is_first = True
    while clock() - began < PATIENCE_SECONDS:
        if since is None and (is_first or standing(own, look(), clock()) is Standing.CLEAR):
            announce()
            since, is_first = clock(), False
        where = standing(own, look(), clock())
        if where is Standing.TAKEN:
            return False
        if since is not None:
            is_timely = clock() - since <= LEASE_SECONDS / 2
            if where is Standing.CLEAR and is_timely:
                return True
            if where is Standing.BEHIND or not is_timely:
                step_back()
                since = None
        sleep(_PAUSE)
    return False


def rival_of(run: Any, is_filed: Callable[[Mapping[str, str]], bool]) -> Rival:
    """A run as a rival."""
    try:
        announced = float(run.data.tags.get(ANNOUNCED_TAG, "0"))
    except ValueError:
        announced = 0.0
    return Rival(str(run.info.run_id), is_filed(run.data.params), announced)
