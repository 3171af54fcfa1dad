"""The management records as evidence of the run or version assessed, and what they say applies."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aims_mlflow.capture.collect import capture_error
from aims_mlflow.catalog import Catalog
from aims_mlflow.config import Settings
from aims_mlflow.config.models import Applicability
from aims_mlflow.delivery import catalog_of
from aims_mlflow.delivery.judging import about
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import EvidenceBase, ModelRef, Subject
from aims_mlflow.filing import RecordStore
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.soa import applicability_in_force
from aims_mlflow.management.state import State

_log = logging.getLogger("aims_mlflow")


@dataclass(frozen=True)
class OnRecord:
    """What the management records say of the run or version assessed."""

    evidence: Sequence[EvidenceBase]
    settings: Settings
    """The declaration, with the Statement of Applicability on record to judge by."""


def on_record(
    client: Any,
    settings: Settings,
    *,
    model: ModelRef | None,
    subject: Subject,
    at: datetime,
    evidence: Sequence[EvidenceBase] = (),
) -> OnRecord:
    """What the management records say, as they were known at a moment.

    Records that cannot be read never let a row pass: they give an error on every row that asks for a statement, and
    nothing is left out, since a statement among them might object.

    Args:
        client: An ``MlflowClient``.
        settings: The declaration; its system is the one assessed.
        model: The version assessed.
        subject: The run or version, for the error.
        at: The moment.
        evidence: What else is on file about that version; what is dated later is left aside.
    """
    store = RecordStore(client)
    if not store.can_hold_records:
        return OnRecord((), settings)
    try:
        state = store.read(at)
    except AimsError as error:
        _log.warning("aims: the management records could not be read: %s", error.message)
        unread = capture_error("attestation", "reading the management records", error, subject=subject, at=at)
        return OnRecord((unread,), settings.with_applicability(_nothing_left_out(settings)))
    known = [record for record in evidence if record.captured_at <= at]
    system = settings.declaration.system.id
    return said_by(state, settings, catalog_of(settings), model=model, system=system, evidence=known)


def said_by(
    state: State,
    settings: Settings,
    catalog: Catalog,
    *,
    model: ModelRef | None,
    system: str | None,
    evidence: Sequence[EvidenceBase] = (),
) -> OnRecord:
    """What the records say, where they are at hand.

    Args:
        state: The records as known at a moment.
        settings: The declaration.
        catalog: The register in force.
        model: The version assessed.
        system: The system assessed.
        evidence: What else is on file about that version.
    """
    lines = applicability_in_force(state, settings.declaration, system, catalog)
    said = evidence_of(View(state, catalog, system=system, model=model, evidence=about(evidence, model)))
    return OnRecord(said, settings.with_applicability(lines))


def _nothing_left_out(settings: Settings) -> dict[str, Applicability]:
    """The lines of ``aims.yaml`` without its exclusions."""
    return {control: line for control, line in settings.declaration.applicability.items() if line.applicable}
