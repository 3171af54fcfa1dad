"""What was true on a date: the evidence, declaration, records and moves as they were known then, and nothing later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from aims_mlflow.api.live import live_evidence
from aims_mlflow.api.records import OnRecord, on_record
from aims_mlflow.assessment import Assessment
from aims_mlflow.capture.declaration import settings_on_record
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.delivery import assessment_of
from aims_mlflow.delivery.releases import release_records
from aims_mlflow.evidence import EvidenceBase, ModelRecord, ModelRef, Subject
from aims_mlflow.gate.entries import Entry
from aims_mlflow.management.projection import is_projected


def assess_past(
    client: Any,
    held: Sequence[EvidenceBase],
    facts: RunFacts,
    settings: Settings,
    *,
    at: datetime,
    model: ModelRef | None,
    log: Sequence[Entry],
) -> Assessment:
    """The assessment as it would have been made at a moment that is past.

    Evidence files and management records are never overwritten, so what is dated later is left out, and what came in
    its place since does not matter. The declaration is the last one the run held then. The register is today's.

    Args:
        client: An ``MlflowClient``.
        held: All evidence of the run.
        facts: The run.
        settings: The declaration to judge by where the run held none then.
        at: The moment.
        model: The model version asked for; its content is the one on record then.
        log: The transition log of its registered model.
    """

    def read(settings: Settings, model: ModelRef | None) -> OnRecord:
        live = live_evidence(client, settings, model=model, at=at, past=True)
        own = [*(record for record in held if not is_projected(record)), *live]
        said = on_record(client, settings, model=model, subject=Subject(run=facts.ref), at=at, evidence=own)
        return OnRecord((*said.evidence, *live), said.settings)

    return judged_then(held, facts, settings, at=at, model=model, log=log, records=read)


def judged_then(
    held: Sequence[EvidenceBase],
    facts: RunFacts,
    settings: Settings,
    *,
    at: datetime,
    model: ModelRef | None,
    log: Sequence[Entry],
    records: Callable[[Settings, ModelRef | None], OnRecord],
) -> Assessment:
    """``assess_past`` with the management records at hand.

    Args:
        held: All evidence of the run.
        facts: The run.
        settings: The declaration to judge by where the run held none then.
        at: The moment.
        model: The model version asked for.
        log: The transition log of its registered model.
        records: What the management records of then say, by declaration and version.
    """
    known = [r for r in held if r.captured_at <= at and not is_projected(r)]
    then = settings_on_record(known)
    if then is not None:
        settings = Settings(then.declaration, settings.path, then.sha256)
    model = content_then(known, model)
    moves = release_records([e for e in log if e.at <= at], model)
    said = records(settings, model)
    return assessment_of([*known, *moves, *said.evidence], said.settings, facts, at=at, model=model)


def content_then(known: Sequence[EvidenceBase], model: ModelRef | None) -> ModelRef | None:
    """The model with the digest its files had by the record of then; None leaves it to the evidence."""
    if model is None:
        return None
    recorded = [r for r in known if isinstance(r, ModelRecord) and r.subject.model]
    own = [r for r in recorded if r.subject.model and r.subject.model.model_id == model.model_id] or recorded
    latest = max(own, key=lambda r: r.captured_at, default=None)
    digest = latest.subject.model.sha256 if latest is not None and latest.subject.model else None
    return model.model_copy(update={"sha256": digest})
