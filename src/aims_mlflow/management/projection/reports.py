"""Extracts of systems outside MLflow: who has access, and how long records are kept, as the organization reports it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aims_mlflow.errors import AimsError
from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import Basis, CustomRecord, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.management.projection.view import METHOD, View, nearest_to, whence
from aims_mlflow.management.reports import REPORTED, ReportedFacts
from aims_mlflow.management.state import Filed
from aims_mlflow.management.types import content_of


def reports(view: View) -> Iterator[EvidenceBase]:
    """Every extract, as evidence of its kind: reported, dated the day it was filed."""
    for kind in REPORTED:
        found = nearest_to(view, kind)
        begun = [one for one in found if one.record.starts <= view.at]
        yield from [_reported(view, one) for one in begun or found]


def _reported(view: View, one: Filed) -> CustomRecord:
    record = one.record
    content: dict[str, Any] = {"id": record.id}
    status, verdict, reason = EvidenceStatus.OK, Verdict.RECORDED, f"Reported by {record.owner}."
    try:
        typed = content_of(record, view.catalog)
    except AimsError as error:
        status, verdict, reason = EvidenceStatus.ERROR, Verdict.NOT_TESTED, error.message
    else:
        if isinstance(typed, ReportedFacts):
            content |= {"statement": typed.statement, "facts": typed.facts}
            verdict = Verdict(typed.verdict)
        if record.starts > view.at:
            verdict, reason = Verdict.NOT_TESTED, f"It is not valid before {record.valid_from}."
    return CustomRecord(
        kind=record.type,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        status=status,
        captured_at=record.recorded_at,
        valid_until=record.ends,
        subject=Subject(system_id=view.system if record.systems else None),
        method=METHOD,
        parameters=whence(one),
        verdict=verdict,
        reason=reason,
        content=content,
    )
