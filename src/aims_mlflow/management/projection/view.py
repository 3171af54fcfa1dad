"""Whose records are asked for, and a record as a person's statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aims_mlflow.catalog import Catalog
from aims_mlflow.checks.case import TYPED_RECORD
from aims_mlflow.errors import AimsError
from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import AttestationRecord, EvidenceBase, EvidenceStatus, ModelRef, Subject, Verdict
from aims_mlflow.evidence.base import JsonValue
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.statements import Statement
from aims_mlflow.management.types import content_of

METHOD = "Kept in the management system's records in MLflow."
"""Marks evidence that stands for a record: it is never taken from a run, always from the records as they are now."""


@dataclass(frozen=True)
class View:
    """Whose records are asked for: a system and a version of its model, or the organization alone."""

    state: State
    catalog: Catalog
    system: str | None = None
    model: ModelRef | None = None
    """The version assessed, with the digest of its files."""
    evidence: Sequence[EvidenceBase] = ()
    """What else is on file about that version: it may show that an assessment does not hold any more."""

    @property
    def at(self) -> datetime:
        """The moment it is judged for."""
        return self.state.at


def is_projected(record: EvidenceBase) -> bool:
    """Whether a piece of evidence stands for a record of the management system."""
    return record.method == METHOD or TYPED_RECORD in record.parameters


def nearest_to(view: View, type_id: str) -> list[Filed]:
    """The records of a type that count here: the system's own where there are any, else the organization's.

    One of the system's own that is not valid yet takes no place until its day comes.
    """
    found = list(view.state.about(type_id, view.system))
    own = [one for one in found if one.record.systems]
    return own if any(one.record.starts <= view.at for one in own) else found


def attested(
    view: View,
    one: Filed,
    topic: str,
    *,
    statement: str | None = None,
    model: ModelRef | None = None,
) -> AttestationRecord:
    """A record as a person's statement on a topic.

    Args:
        view: Whose records are asked for.
        one: The record.
        topic: The topic of the register it speaks on.
        statement: What it says, for one whose content is no plain statement.
        model: The version it is bound to.
    """
    record = one.record
    reason = f"Stated by {record.owner}."
    status, text = EvidenceStatus.OK, statement
    role = None
    if text is None:
        try:
            content = content_of(record, view.catalog)
        except AimsError as error:
            status, reason, text = EvidenceStatus.ERROR, error.message, "unreadable"
        else:
            text = content.statement if isinstance(content, Statement) else record.type
            role = content.role if isinstance(content, Statement) else None
    return AttestationRecord(
        collector=COLLECTOR,
        status=status,
        captured_at=record.recorded_at,
        valid_until=record.ends,
        subject=Subject(system_id=view.system if record.systems else None, model=model),
        method=METHOD,
        parameters=whence(one),
        verdict=Verdict.RECORDED,
        reason=reason,
        topic=topic,
        statement=text,
        owner=record.owner,
        approver=record.approver,
        role=role,
        valid_from=record.valid_from,
        supports=record.supports,
        document=record.document,
    )


def whence(one: Filed) -> dict[str, JsonValue]:
    """Which record, revision and run a piece of evidence stands for: its ``parameters``."""
    return {
        "record": one.record.link,
        "revision": one.record.revision,
        "record_sha256": one.record.digest,
        "run_id": one.run_id,
    }
