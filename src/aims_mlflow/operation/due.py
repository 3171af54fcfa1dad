"""What is to be done for a window, and when. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum

from aims_mlflow.operation.windows import Window


class Stage(IntEnum):
    """How far a window is."""

    NEW = 0
    """Nothing was filed."""
    FIRST = 1
    """Filed when it was over: rows may still come."""
    SETTLED = 2
    """Filed once more when its grace was over."""
    LABELLED = 3
    """Filed with its labels."""

    @property
    def word(self) -> str:
        """As a tag says it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str | None) -> Stage:
        """From the tag; ``NEW`` for what is none."""
        return next((stage for stage in cls if stage.word == word), cls.NEW)


def reachable(window: Window, at: datetime, *, grace: timedelta, delay: timedelta | None) -> Stage:
    """How far a window can be at a moment.

    Args:
        window: The window.
        at: The moment.
        grace: How long after its end rows may still come.
        delay: How long after its end all labels are expected; None: there are none.
    """
    if at < window.end:
        return Stage.NEW
    if delay is not None and at >= window.end + max(grace, delay):
        return Stage.LABELLED
    return Stage.SETTLED if at >= window.end + grace else Stage.FIRST


def last_stage(delay: timedelta | None) -> Stage:
    """The stage after which nothing more is done."""
    return Stage.SETTLED if delay is None else Stage.LABELLED


def backoff(
    attempts: int, *, first: timedelta = timedelta(minutes=1), most: timedelta = timedelta(hours=1)
) -> timedelta:
    """How long to wait after so many attempts that failed, the last one included."""
    wait: timedelta = min(first * 2 ** min(max(attempts - 1, 0), 20), most)
    return wait
