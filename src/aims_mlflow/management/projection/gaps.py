"""Gap assessments on file, as a comparison of the management system with an earlier date (10.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aims_mlflow.assessment import Status
from aims_mlflow.errors import AimsError
from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import Basis, CustomRecord, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.evidence.base import JsonValue
from aims_mlflow.management.gaps import GapContent, GapRow
from aims_mlflow.management.projection.view import METHOD, View, nearest_to, whence
from aims_mlflow.management.state import Filed
from aims_mlflow.management.types import content_of

KIND = "gap_assessment"


@dataclass(frozen=True)
class _Read:
    filed: Filed
    content: GapContent


def gaps(view: View) -> Iterator[EvidenceBase]:
    """The latest gap assessment against the last one of an earlier day; alone, it is no comparison."""
    read = []
    for one in nearest_to(view, "gap"):
        if one.record.starts > view.at:
            continue
        try:
            content = content_of(one.record, view.catalog)
        except AimsError as error:
            yield _evidence(view, one, Verdict.NOT_TESTED, error.message, status=EvidenceStatus.ERROR)
            continue
        if isinstance(content, GapContent):
            read.append(_Read(one, content))
    read.sort(key=lambda one: (one.content.assessed_at, one.filed.record.id))
    if not read:
        return
    latest = read[-1]
    earlier = [one for one in read if one.content.assessed_at.date() < latest.content.assessed_at.date()]
    day = f"{latest.content.assessed_at:%Y-%m-%d}"
    if not earlier:
        reason = (
            f"The gap assessment of {day} is the only one on file: there is none of an earlier day to compare with."
        )
        yield _evidence(view, latest.filed, Verdict.NOT_TESTED, reason)
        return
    yield _compared(view, latest, earlier[-1])


def _compared(view: View, latest: _Read, before: _Read) -> EvidenceBase:
    then, now = before.content, latest.content
    pairs = [(then.rows[row], now.rows[row]) for row in now.rows if row in then.rows]
    better, worse = sum(_rose(old, new) for old, new in pairs), sum(_rose(new, old) for old, new in pairs)
    numbers = {
        "mean": now.mean,
        "mean_before": then.mean,
        "fresh_share": now.fresh_share,
        "fresh_share_before": then.fresh_share,
        "rows_better": float(better),
        "rows_worse": float(worse),
    }
    reason = (
        f"The gap assessment of {now.assessed_at:%Y-%m-%d} against that of {then.assessed_at:%Y-%m-%d}: "
        f"{better} rows better, {worse} worse, mean maturity {then.mean:.2f} then and {now.mean:.2f} now."
    )
    content: dict[str, JsonValue] = {"id": "trend", "compared_with": before.filed.record.link}
    return _evidence(view, latest.filed, Verdict.RECORDED, reason, numbers=numbers, content=content)


def _rose(old: GapRow, new: GapRow) -> bool:
    excluded = str(Status.NOT_APPLICABLE)
    return new.maturity > old.maturity and excluded not in (old.status, new.status)


def _evidence(
    view: View,
    one: Filed,
    verdict: Verdict,
    reason: str,
    *,
    status: EvidenceStatus = EvidenceStatus.OK,
    numbers: dict[str, float] | None = None,
    content: dict[str, JsonValue] | None = None,
) -> CustomRecord:
    return CustomRecord(
        kind=KIND,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        status=status,
        captured_at=one.record.recorded_at,
        valid_until=one.record.ends,
        subject=Subject(system_id=view.system if one.record.systems else None),
        method=METHOD,
        parameters=whence(one),
        numbers=dict(numbers or {}),
        verdict=verdict,
        reason=reason,
        content=content or {"id": "trend"},
    )
