"""Windows of time: edge to edge from the start of the Unix epoch, UTC, their end not included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import WindowRef

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """A span of time, ``start`` included, ``end`` not; both in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def holding(cls, moment: datetime, length: timedelta) -> Window:
        """The window of that length a moment lies in."""
        index = (moment - EPOCH) // length
        return cls(EPOCH + index * length, EPOCH + (index + 1) * length)

    @classmethod
    def parse(cls, text: str) -> Window:
        """From ``start/end``, both ISO 8601 with a zone.

        Raises:
            InputError: it is written otherwise, or ends before it starts.
        """
        first, slash, last = text.partition("/")
        try:
            start, end = (datetime.fromisoformat(part).astimezone(UTC) for part in (first, last))
            naive = any(datetime.fromisoformat(part).tzinfo is None for part in (first, last))
        except ValueError:
            start = end = EPOCH
            naive = True
        if not slash or naive or start >= end:
            remedy = "Write start/end, as in 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z."
            raise InputError(f"{text!r} is no window of time", where="window", remedy=remedy)
        return cls(start, end)

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def index(self) -> int:
        """Its number from the start of the epoch, among windows of its length."""
        return (self.start - EPOCH) // self.length

    @property
    def name(self) -> str:
        """``start/end``, the name it has in tags and the form ``parse`` reads."""
        return f"{_iso(self.start)}/{_iso(self.end)}"

    @property
    def ref(self) -> WindowRef:
        """As it stands in evidence."""
        return WindowRef(start=self.start, end=self.end)

    def next(self) -> Window:
        """The one after it."""
        return Window(self.end, self.end + self.length)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def windows_between(start: datetime, until: datetime, length: timedelta) -> Iterator[Window]:
    """The windows that begin at or after ``start`` and have ended at ``until``, oldest first."""
    window = Window.holding(start, length)
    if window.start < start:
        window = window.next()
    while window.end <= until:
        yield window
        window = window.next()


def missing_windows(seen: Iterable[Window], *, start: datetime, until: datetime, length: timedelta) -> list[Window]:
    """Windows expected from ``start`` on that have ended at ``until`` and were never seen, oldest first."""
    have = {window.start for window in seen}
    return [window for window in windows_between(start, until, length) if window.start not in have]
