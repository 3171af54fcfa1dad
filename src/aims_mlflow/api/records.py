"""The management records as evidence of the run or version assessed."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from aims_mlflow.capture.collect import capture_error
from aims_mlflow.catalog import Catalog
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import EvidenceBase, ModelRef, Subject
from aims_mlflow.filing import RecordStore
from aims_mlflow.management.projection import View, evidence_of

_log = logging.getLogger("aims_mlflow")


def record_evidence(
    client: Any, catalog: Catalog, *, system: str | None, model: ModelRef | None, subject: Subject, at: datetime
) -> list[EvidenceBase]:
    """What the management records say, as they were known at a moment.

    Records that cannot be read never let a row pass: they give an error on every row that asks for a statement.

    Args:
        client: An ``MlflowClient``.
        catalog: The register in force.
        system: The system assessed.
        model: The version assessed.
        subject: The run or version, for the error.
        at: The moment.
    """
    store = RecordStore(client)
    if not store.can_hold_records:
        return []
    try:
        state = store.read(at)
    except AimsError as error:
        _log.warning("aims: the management records could not be read: %s", error.message)
        return [capture_error("attestation", "reading the management records", error, subject=subject, at=at)]
    return evidence_of(View(state, catalog, system=system, model=model))
