"""The logs of incidents and nonconformities as evidence: extracts that fail while something is overdue."""

from __future__ import annotations

from collections.abc import Iterator

from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import Basis, CustomRecord, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.evidence.base import JsonValue
from aims_mlflow.management.incident_log import CaseLog, Kind, Logged, log_of
from aims_mlflow.management.projection.view import METHOD, View

_NAMED = 5
"""So many are named in a sentence; the content lists all."""


def incidents(view: View) -> Iterator[EvidenceBase]:
    """An extract of each log that somebody wrote into or reviewed; one nobody ever used shows nothing.

    It is dated the last entry or review, so that it lapses where nobody looks at it any more, and holds until the next
    thing falls due, or the review ends that was the last to look. A serious incident that is open and in time is no
    failure, and is named.
    """
    kinds: tuple[Kind, ...] = ("incident", "nonconformity")
    for kind in kinds:
        log = log_of(kind, view.state, system=view.system)
        if log.problems:
            yield _unreadable(view, log)
        if log.last_used is not None:
            yield _extract(view, log)


def _extract(view: View, log: CaseLog) -> CustomRecord:
    overdue = log.overdue
    counts = {
        "on_file": len(log.cases),
        "open": len(log.open),
        "overdue": len(overdue),
        "withdrawn": len(log.withdrawn),
        "reviews": len(log.reviews),
    }
    content: dict[str, JsonValue] = {
        "id": f"{log.kind}-log",
        "open": [_line(one) for one in log.open],
        "overdue": list(overdue),
    }
    if log.kind == "incident":
        counts["serious_open"] = sum(one.holds for one in log.cases)
    return CustomRecord(
        kind=log.kind,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        captured_at=log.last_used,
        valid_until=None if overdue else min(filter(None, (log.next_due, log.review_ends)), default=None),
        subject=Subject(system_id=view.system),
        method=METHOD,
        parameters={"records": [one.record.digest for one in log.cases] + [one.record.digest for one in log.reviews]},
        numbers={name: float(number) for name, number in counts.items()},
        verdict=Verdict.FAIL if overdue else Verdict.PASS,
        reason=_reason(log),
        content=content,
    )


def _line(one: Logged) -> dict[str, JsonValue]:
    """One that is open: what it is called, how grave, how far; no words of people."""
    return {
        "id": one.id,
        "record_sha256": one.record.digest,
        "weight": one.weight,
        "status": one.content.status,
        "clocks": [
            {"ref": clock.ref, "due": f"{clock.due:%Y-%m-%dT%H:%M:%SZ}", "state": clock.state} for clock in one.clocks
        ],
        "actions_open": len(one.content.open_actions),
    }


def _reason(log: CaseLog) -> str:
    """Why, in one sentence: what is overdue first, then what is serious and open."""
    parts = []
    if log.overdue:
        more = f" and {len(log.overdue) - _NAMED} more" if len(log.overdue) > _NAMED else ""
        parts.append(f"overdue: {'; '.join(log.overdue[:_NAMED])}{more}")
    serious = [one for one in log.cases if one.holds]
    if serious:
        named = [f"{one.id} ({one.content.status}; {_clocks(one)})" for one in serious[:_NAMED]]
        more = f" and {len(serious) - _NAMED} more" if len(serious) > _NAMED else ""
        parts.append(f"serious and open: {', '.join(named)}{more}")
    late = [one.id for one in log.open if any(clock.state == "late" for clock in one.clocks)]
    if late:
        parts.append(f"told late: {', '.join(late[:_NAMED])}")
    if not log.overdue:
        parts.append("nothing is overdue")
    used = f"{log.last_used:%Y-%m-%d}"
    return f"{len(log.cases)} on file, {len(log.open)} open, last entry or review {used}: {'; '.join(parts)}."


def _clocks(one: Logged) -> str:
    return "; ".join(clock.in_words for clock in one.clocks) or "no clock"


def _unreadable(view: View, log: CaseLog) -> CustomRecord:
    """What is wrong with records of the log: what they would say is not known, so it is no pass."""
    first = log.problems[0]
    more = f" and {len(log.problems) - 1} more" if len(log.problems) > 1 else ""
    return CustomRecord(
        kind=log.kind,
        status=EvidenceStatus.ERROR,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        captured_at=max((p.known_at for p in log.problems if p.known_at is not None), default=view.at),
        subject=Subject(system_id=view.system),
        method=METHOD,
        parameters={"records": sorted({f"{p.type}:{p.id}" for p in log.problems})},
        verdict=Verdict.NOT_TESTED,
        reason=f"record {first.type}:{first.id}: {first.what}{more}",
        content={"id": f"{log.kind}-log-unreadable"},
    )
