"""What the tests of risks and impact assessments start from: records drafted at a moment, judged with a good run."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from aims_mlflow.catalog import load_catalog
from aims_mlflow.evaluate import evaluate
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.state import Filed, State

sys.path.insert(0, str(Path(__file__).parents[1]))
from good_run import AT as RUN_AT
from good_run import MODEL, SUBJECT, attestation, declaration, good_run, move

CATALOG = load_catalog(())
FILED_AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
AT = RUN_AT
SYSTEM = "loans"
ROWS = ("6.1.1", "6.1.2", "6.1.3", "6.1.4", "8.2", "8.3", "8.4", "A.5.2", "A.5.3", "A.5.4", "A.5.5")
OTHERS = (
    "risks_and_opportunities",
    "risk_assessment_process",
    "statement_of_applicability",
    "impact_assessment_process",
    "record_retention",
)
"""Statements the rows of risk and impact ask for beside risks and assessments."""

RISK = {
    "title": "Labels favour one group",
    "source": "training_data",
    "likelihood": 3,
    "consequence": 4,
    "treatment": "reduce",
    "actions": ("Relabel.",),
    "controls": ("A.7.4",),
    "residual_likelihood": 1,
    "residual_consequence": 4,
    "accepted_by": "Head of credit",
    "results": "Labels were checked.",
    "review_by": date(2027, 2, 1),
    "status": "treated",
}
IMPACT = {
    "registered_name": "credit",
    "version": "1",
    "model_sha256": MODEL.sha256,
    "intended_use": "Support of a clerk's decision.",
    "regions": ("NO",),
    "data_sources": ("applications",),
    "affected": ("applicants",),
    "effects": (
        {"to": "applicants", "of": "individuals", "what": "refusal", "kind": "harm", "measure": "a clerk decides"},
        {"to": "the region", "of": "society", "what": "quicker answers", "kind": "benefit"},
    ),
    "conclusion": "acceptable with measures",
    "reason": "A clerk decides.",
}
SYSTEM_RECORD = {
    "name": "Loan scoring",
    "intended_use": "Support of a clerk's decision.",
    "risk_class": "high",
    "regions": ("NO",),
    "data_sources": ("applications",),
    "registered_models": ("credit",),
}


class Book:
    """Records filed one after the other."""

    def __init__(self) -> None:
        self.filed: list[Filed] = []

    def file(self, type_: str, id_: str, content, *, at=FILED_AT, systems=(SYSTEM,), owner="Risk office", **said):
        if type_ in ("system", "risk_criteria"):
            systems = ()
        made = draft(
            State.of(self.filed, at=at),
            CATALOG,
            type_,
            id=id_,
            content=content,
            owner=owner,
            systems=systems,
            known_systems=(SYSTEM, "other"),
            **said,
        )
        one = Filed(made, run_id=f"run-{len(self.filed)}")
        self.filed.append(one)
        return one

    def risk(self, id_="R-1", *, at=FILED_AT, systems=(SYSTEM,), owner="Risk office", **changes):
        return self.file("risk", id_, {**RISK, **changes}, at=at, systems=systems, owner=owner)

    def impact(self, id_="I-1", *, at=FILED_AT, links=(), **changes):
        return self.file("impact", id_, {**IMPACT, **changes}, at=at, owner="Product", approver="Board", links=links)

    def system(self, *, at=FILED_AT - timedelta(days=1), **changes):
        return self.file("system", SYSTEM, {**SYSTEM_RECORD, **changes}, at=at, owner="Head of credit")

    def state(self, at=AT) -> State:
        return State.of(self.filed, at=at)

    def evidence(self, at=AT, *, system=SYSTEM, model=MODEL, evidence=()):
        return evidence_of(View(self.state(at), CATALOG, system=system, model=model, evidence=evidence))

    def findings(self, at=AT, *, system=SYSTEM, model=MODEL, run=(), more=()):
        """Row to finding, with a good run and every statement that is not of risks or impact."""
        everything = [
            *good_run(),
            move(),
            *[attestation(topic) for topic in OTHERS],
            *run,
            *more,
            *self.evidence(at, system=system, model=model, evidence=run),
        ]
        subject = SUBJECT.model_copy(update={"system_id": system, "model": model})
        judged = evaluate(everything, CATALOG, declaration(), subject=subject, at=at)
        return {finding.id: finding for finding in judged.findings}

    def statuses(self, at=AT, **how) -> dict[str, str]:
        found = self.findings(at, **how)
        return {row: str(found[row].status) for row in ROWS}
