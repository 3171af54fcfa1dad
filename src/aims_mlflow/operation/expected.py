"""Which windows were expected and never came. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from aims_mlflow.operation.windows import Window, missing_windows


def absent(seen: Iterable[Window], *, start: datetime, until: datetime, length: timedelta) -> list[Window]:
    """Windows expected from ``start`` on that have ended at ``until`` and were never seen, oldest first.

    Windows of another length, from before the policy was changed, cover the time they span.

    Args:
        seen: Windows that were filed, of any length.
        start: From when windows are expected.
        until: Windows that end later are not expected yet.
        length: Length of a window, as it is now.
    """
    found = list(seen)
    alike = [window for window in found if window.length == length]
    others = [window for window in found if window.length != length]
    missing = missing_windows(alike, start=start, until=until, length=length)
    return [w for w in missing if not any(other.start <= w.start and w.end <= other.end for other in others)]
