"""The gap against an earlier date. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from aims_mlflow.assessment import Status
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.gap.models import GapLine, SystemGap
from aims_mlflow.management.gaps import GapContent, GapRow


class Change(Record):
    """A row that stands otherwise than before."""

    id: str
    title: str
    status_before: str
    status: str
    maturity_before: int
    maturity: int


class Trend(Record):
    """A set of rows against an earlier date."""

    since: UtcTime
    source: str
    """What it is compared with: the gap assessment on file, or the records as they were known then."""
    mean_before: float | None = None
    mean: float | None = None
    fresh_share_before: float | None = None
    fresh_share: float | None = None
    better: tuple[Change, ...] = ()
    worse: tuple[Change, ...] = ()
    other: tuple[Change, ...] = ()
    """Of the same level and another status, excluded or taken back in."""
    same: int = 0
    incomparable: tuple[str, ...] = ()
    """Rows that only one of the two has."""


def trend_of(now: SystemGap, then: SystemGap | GapContent, *, since: UtcTime, source: str) -> Trend:
    """Compare rows with those of an earlier date.

    Args:
        now: The rows now.
        then: The rows then, worked out or as filed.
        since: The date of those.
        source: Where they come from, in words.
    """
    before, mean, share = _as_filed(then)
    kept = {line.id: line for line in now.lines}
    changes = {row: _change(kept[row], old) for row, old in before.items() if row in kept}
    moved = {row: one for row, one in changes.items() if _differs(one)}
    counted = {row: one for row, one in moved.items() if _NA not in (one.status, one.status_before)}
    better = tuple(one for one in counted.values() if one.maturity > one.maturity_before)
    worse = tuple(one for one in counted.values() if one.maturity < one.maturity_before)
    return Trend(
        since=since,
        source=source,
        mean_before=mean,
        mean=now.summary.mean,
        fresh_share_before=share,
        fresh_share=now.summary.fresh_share,
        better=better,
        worse=worse,
        other=tuple(one for one in moved.values() if one not in better and one not in worse),
        same=len(changes) - len(moved),
        incomparable=tuple(sorted(kept.keys() ^ before.keys())),
    )


_NA = str(Status.NOT_APPLICABLE)


def _as_filed(then: SystemGap | GapContent) -> tuple[Mapping[str, GapRow], float | None, float | None]:
    if isinstance(then, GapContent):
        return then.rows, then.mean, then.fresh_share
    rows = {one.id: GapRow(status=str(one.status), maturity=one.maturity, target=one.target or 0) for one in then.lines}
    return rows, then.summary.mean, then.summary.fresh_share


def _change(line: GapLine, old: GapRow) -> Change:
    return Change(
        id=line.id,
        title=line.title,
        status_before=old.status,
        status=str(line.status),
        maturity_before=old.maturity,
        maturity=line.maturity,
    )


def _differs(one: Change) -> bool:
    return (one.status, one.maturity) != (one.status_before, one.maturity_before)
