"""A version with everything the profile `high` asks for: what the gate's tests start from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.config import Declaration
from aims_mlflow.evidence import Verdict, sha256_of
from aims_mlflow.evidence.base import Basis
from aims_mlflow.gate.decision import VersionFacts
from aims_mlflow.gate.entries import Actor, Identity, Level, ReviewEntry, Target
from aims_mlflow.gate.statement import Held, RowResult, Statement

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CHAMPION = Target(kind="alias", name="champion")


def sha(text: str) -> str:
    return sha256_of(text.encode())


def row(status: Status = Status.SATISFIED, basis: Basis | None = Basis.MEASURED, days: int | None = 30) -> RowResult:
    return RowResult(status=status, basis=basis, valid_until=AT + timedelta(days=days) if days is not None else None)


def rows(**changes: RowResult | None) -> dict[str, RowResult]:
    """The rows the shipped profiles ask for; a changed id is written with underscores (``A_7_4``)."""
    good = {
        "A.4.3": row(basis=Basis.DECLARED),
        "A.4.4": row(basis=Basis.REPORTED),
        "A.6.2.4": row(),
        "A.7.3": row(basis=Basis.DECLARED),
        "A.7.4": row(),
        "A.7.6": row(basis=Basis.DECLARED),
    }
    named = {name.replace("_", "."): result for name, result in changes.items()}
    return {name: result for name, result in (good | named).items() if result is not None}


KINDS = dict.fromkeys(("data_quality", "drift", "fairness", "performance"), Verdict.PASS)


def statement(**changes: Any) -> Statement:
    return Statement(
        **{
            "model_sha256": sha("model"),
            "listing_sha256": sha("listing"),
            "source": "m-1",
            "run_id": "r1",
            "evidence_sha256": sha("evidence"),
            "inputs_sha256": sha("inputs"),
            "assessment_sha256": sha("assessment"),
            "catalog_sha256": sha("catalog"),
            "assessed_at": AT - timedelta(days=1),
            "overall": Overall.WARN,
            "rows": rows(),
            "kinds": KINDS,
            "trained_by": "trainer",
        }
        | changes
    )


def facts(held: Statement | None = None, *, signed_by: str | None = None, **changes: Any) -> VersionFacts:
    return VersionFacts(
        **{
            "model": "credit",
            "version": "3",
            "source": "m-1",
            "run_id": "r1",
            "model_sha256": sha("model"),
            "evidence_sha256": sha("evidence"),
            "inputs_sha256": sha("inputs"),
            "held": Held(statement=held or statement(), signed_by=signed_by),
        }
        | changes
    )


def declaration(risk: str = "minimal", **gate: Any) -> Declaration:
    policy = {"guarded": [{"models": ["*"], "aliases": ["champion"], "stages": ["Production"]}]} | gate
    return Declaration.model_validate({"system": {"risk_class": risk}, "gate": policy})


def review(decision: str = "approve", person: str = "reviewer", **changes: Any) -> ReviewEntry:
    fields: dict[str, Any] = {
        "number": 1,
        "at": AT - timedelta(hours=1),
        "model": "credit",
        "version": "3",
        "level": Level.ADVISED,
        "actor": Actor(name=person, identity=Identity.CLAIMED),
        "decision": decision,
        "person": person,
        "model_sha256": sha("model"),
        "reason": "looked at the report",
    }
    if decision in {"waive", "break-glass"}:
        fields["valid_until"] = AT + timedelta(days=3)
    return ReviewEntry(**(fields | changes))
