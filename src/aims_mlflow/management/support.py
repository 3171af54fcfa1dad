"""Which clauses and controls a record bears on, and whether it meets what they ask of it."""

from __future__ import annotations

from aims_mlflow.assessment import Outcome
from aims_mlflow.catalog import Catalog
from aims_mlflow.config.models import Declaration
from aims_mlflow.controls import Requirement, Row
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import Subject, UtcTime
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import State
from aims_mlflow.management.types import RecordType, type_of


class RowSupport(Record):
    """A requirement of a row that a record bears on."""

    row: str
    title: str
    what: str
    """What it asks for."""
    is_met: bool
    reason: str
    remedy: str = ""
    """What to do next; empty where it is met."""
    valid_until: UtcTime | None = None
    """Until when it is met by what is on file now."""


def bears_on(requirement: Requirement, kind: RecordType) -> bool:
    """Whether records of a type can meet a requirement: by its topics, or by the kinds of evidence they become."""
    asked = requirement.where.get("topic", ())
    topics = {asked} if isinstance(asked, str) else set(asked)
    if "attestation" in requirement.evidence and not topics.isdisjoint(kind.topics):
        return True
    return not set(requirement.evidence).isdisjoint(kind.gives)


def rows_resting_on(kind: RecordType, catalog: Catalog) -> tuple[tuple[Row, Requirement], ...]:
    """Every requirement that records of a type can meet, with its row, in the register's order."""
    return tuple((row, need) for row in catalog.rows.values() for need in row.requires if bears_on(need, kind))


def support_of(
    record: ManagementRecord, state: State, catalog: Catalog, declaration: Declaration | None = None
) -> tuple[RowSupport, ...]:
    """What the rows that a record bears on say of it, judged as an assessment judges them.

    Args:
        record: The record.
        state: All records, this one among them.
        catalog: The register in force.
        declaration: What ``aims.yaml`` declares.
    """
    declared = declaration or Declaration()
    resting = [
        (row, need)
        for row, need in rows_resting_on(type_of(record.type, catalog), catalog)
        if not record.supports or row.id in record.supports
    ]
    if not resting:
        return ()
    system = record.systems[0] if record.systems else None
    judged = evaluate(
        evidence_of(View(state, catalog, system=system)),
        catalog,
        declared.model_copy(update={"applicability": {}}),
        subject=Subject(system_id=system),
        at=state.at,
    )
    by_row = {finding.id: {check.requirement: check for check in finding.checks} for finding in judged.findings}
    found = []
    for row, need in resting:
        check = by_row[row.id][need.id]
        is_met = check.outcome is Outcome.PASS
        found.append(
            RowSupport(
                row=row.id,
                title=row.title,
                what=need.what,
                is_met=is_met,
                reason=check.reason,
                remedy="" if is_met else _remedy(record, need, catalog),
                valid_until=check.valid_until if is_met else None,
            )
        )
    return tuple(found)


def _remedy(record: ManagementRecord, need: Requirement, catalog: Catalog) -> str:
    """File it again with what it lacks; else what the register says."""
    wanted = need.where.get("needs", ())
    lacking = [name for name in ((wanted,) if isinstance(wanted, str) else wanted) if not getattr(record, name, None)]
    if lacking and record.type in catalog.topics:
        named = " and ".join(f"--{name}" for name in lacking)
        return f"File it again with {named}: `aims attest {record.type}`."
    return need.remedy
