"""Operating effectiveness over a period: how long each clause or control was satisfied, and where it lapsed. Pure.

At each moment counts what was known at that moment: evidence filed later does not mend the time before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from aims_mlflow.assessment import Finding, Status
from aims_mlflow.controls import Strength
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.state import Filed

_STEP = timedelta(milliseconds=1)
"""Times in evidence have this resolution: what is valid until a moment has lapsed one step later."""


class Span(Record):
    """A stretch of time with one status."""

    begin: UtcTime
    end: UtcTime
    status: Status
    reason: str

    @property
    def length(self) -> timedelta:
        """From begin to end."""
        return self.end - self.begin


class RowEffect(Record):
    """One clause or control over the period."""

    id: str
    title: str
    strength: Strength
    satisfied_share: float | None
    """Of the time it applied; null where it never did."""
    satisfied_days: float
    applicable_days: float
    gaps: int
    """Stretches in which it applied and was not satisfied."""
    longest_gap_days: float
    longest_gap: Span | None = None
    spans: tuple[Span, ...]
    """The period without holes, equal neighbours joined."""


class Effectiveness(Record):
    """All rows over a period."""

    schema_version: str = "1"
    begin: UtcTime
    end: UtcTime
    system: str | None = None
    rows: tuple[RowEffect, ...]
    moments: int
    """Times at which something changed and the rows were judged anew."""
    notes: tuple[str, ...] = Field(default=())
    """What the figures do not know."""


def over_period(
    findings_at: Callable[[datetime], Sequence[Finding]],
    moments: Iterable[datetime],
    *,
    begin: datetime,
    end: datetime,
    system: str | None = None,
    notes: Sequence[str] = (),
) -> Effectiveness:
    """Each row's share of time satisfied, its gaps and the longest one.

    The rows are judged at the beginning, whenever something was filed, moved or came into force, and whenever a row
    that was satisfied lapses; in between nothing can change.

    Args:
        findings_at: What was known and true at a moment.
        moments: When something changed, apart from lapses.
        begin: First moment.
        end: Last moment; not before ``begin``.
        system: The system, for the result.
        notes: What the figures do not know, for the result.

    Raises:
        InputError: the period ends before it begins.
    """
    if end <= begin:
        raise InputError(
            f"the period ends ({end:%Y-%m-%d}) before it begins ({begin:%Y-%m-%d})", remedy="Swap the dates."
        )
    changes = sorted({moment for moment in moments if begin < moment < end})
    spans: dict[str, list[Span]] = {}
    latest: dict[str, Finding] = {}
    here, judged = begin, 0
    while here < end:
        found = findings_at(here)
        judged += 1
        lapses = [
            f.valid_until + _STEP
            for f in found
            if f.status is Status.SATISFIED and f.valid_until is not None and f.valid_until >= here
        ]
        until = min([end, *lapses, *(moment for moment in changes if moment > here)])
        for finding in found:
            latest[finding.id] = finding
            _add(spans.setdefault(finding.id, []), here, until, finding)
        here = until
    return Effectiveness(
        begin=begin,
        end=end,
        system=system,
        rows=tuple(_effect(latest[row], spans[row]) for row in latest),
        moments=judged,
        notes=tuple(notes),
    )


def _add(spans: list[Span], begin: datetime, end: datetime, finding: Finding) -> None:
    if spans and spans[-1].status is finding.status and spans[-1].end == begin:
        spans[-1] = spans[-1].model_copy(update={"end": end})
    else:
        spans.append(Span(begin=begin, end=end, status=finding.status, reason=finding.reason))


def _effect(finding: Finding, spans: Sequence[Span]) -> RowEffect:
    applicable = [span for span in spans if span.status is not Status.NOT_APPLICABLE]
    met = sum((s.length for s in applicable if s.status is Status.SATISFIED), timedelta())
    whole = sum((s.length for s in applicable), timedelta())
    gaps = _gaps(spans)
    longest = max(gaps, key=lambda gap: gap.length, default=None)
    return RowEffect(
        id=finding.id,
        title=finding.title,
        strength=finding.strength,
        satisfied_share=met / whole if whole else None,
        satisfied_days=_days(met),
        applicable_days=_days(whole),
        gaps=len(gaps),
        longest_gap_days=_days(longest.length) if longest else 0.0,
        longest_gap=longest,
        spans=tuple(spans),
    )


def _gaps(spans: Sequence[Span]) -> list[Span]:
    """Stretches in which the row applied and was not satisfied, whatever it was instead; named by how each began."""
    gaps: list[Span] = []
    for span in spans:
        if span.status in (Status.SATISFIED, Status.NOT_APPLICABLE):
            continue
        if gaps and gaps[-1].end == span.begin:
            gaps[-1] = gaps[-1].model_copy(update={"end": span.end})
        else:
            gaps.append(span)
    return gaps


def _days(length: timedelta) -> float:
    return length / timedelta(days=1)


def moments_of(filed: Iterable[Filed]) -> list[datetime]:
    """When management records changed what is in force: filed, first day begun, last day over."""
    found = []
    for one in filed:
        record = one.record
        found += [record.recorded_at, record.starts]
        if record.ends is not None:
            found.append(record.ends + _STEP)
    return found
