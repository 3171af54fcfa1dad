"""Assess the evidence of a run, and render what is attached to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aims_mlflow.assessment import Assessment, Overall
from aims_mlflow.attach.bundle import ASSESSMENT, MATRIX, ROOT, evidence_path
from aims_mlflow.attach.tags import assessment_tags
from aims_mlflow.capture.collect import capture_error
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.catalog import Catalog, load_catalog
from aims_mlflow.config import Settings, undeclared
from aims_mlflow.delivery.standing import standing_in_report
from aims_mlflow.errors import AimsError
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import (
    CaptureErrorRecord,
    DatasetRef,
    EvidenceBase,
    ModelRecord,
    ModelRef,
    Subject,
    canonical_json,
)
from aims_mlflow.gate.entries import Entry
from aims_mlflow.gate.standing import Standing
from aims_mlflow.report import (
    ReportLinks,
    controls_matrix,
    description_block,
    merge_description,
    render_reports,
    report_links,
)

_log = logging.getLogger("aims_mlflow")


@dataclass(frozen=True)
class Judged:
    """An assessment with its documents and tags."""

    assessment: Assessment | None
    documents: dict[str, bytes]
    tags: dict[str, str]
    added: tuple[CaptureErrorRecord, ...] = ()


def subject_of(
    evidence: Sequence[EvidenceBase], facts: RunFacts, settings: Settings, *, model: ModelRef | None = None
) -> Subject:
    """What is assessed: the run, its one model (or the one given), the datasets on record."""
    if model is None:
        models = {
            r.subject.model.sha256: r.subject.model for r in evidence if isinstance(r, ModelRecord) and r.subject.model
        }
        model = next(iter(models.values())) if len(models) == 1 else None
    datasets: dict[tuple[str | None, str | None, str | None], DatasetRef] = {}
    for record in evidence:
        for ref in record.subject.datasets:
            datasets.setdefault((ref.name, ref.role, ref.sha256), ref)
    return Subject(
        system_id=settings.declaration.system.id, run=facts.ref, model=model, datasets=tuple(datasets.values())
    )


def about(evidence: Sequence[EvidenceBase], model: ModelRef | None) -> list[EvidenceBase]:
    """The evidence that speaks of the model assessed: what is about another logged model of the run is left out."""
    if model is None or model.model_id is None:
        return list(evidence)

    def other(record: EvidenceBase) -> bool:
        named = record.subject.model
        return named is not None and named.model_id is not None and named.model_id != model.model_id

    return [r for r in evidence if not other(r)]


def catalog_of(settings: Settings) -> Catalog:
    """The register in force: the built-in one and the frameworks the declaration names.

    Raises:
        CatalogError: a framework file of the declaration is wrong.
    """
    return load_catalog(tuple(settings.folder / name for name in settings.declaration.frameworks))


def assessment_of(
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    facts: RunFacts,
    *,
    at: datetime,
    model: ModelRef | None = None,
) -> Assessment:
    """All findings for the run, or for a model version made by it.

    Raises:
        CatalogError: a framework file of the declaration is wrong.
    """
    subject = subject_of(evidence, facts, settings, model=model)
    return evaluate(
        about(evidence, subject.model),
        catalog_of(settings),
        settings.in_force,
        subject=subject,
        at=at,
        declaration_sha256=settings.sha256,
        undeclared=undeclared(settings.declaration),
    )


def judge(
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    facts: RunFacts,
    *,
    at: datetime,
    model: ModelRef | None = None,
    log: Sequence[Entry] = (),
) -> Judged:
    """Assess and render. A fault of ours gives status ``error`` and a record of it, never a lost run."""
    try:
        assessment = assessment_of(evidence, settings, facts, at=at, model=model)
        about_it = about(evidence, assessment.subject.model)
        links = report_links(assessment.subject, evidence=_files_of(about_it, facts.run_id))
        catalog = catalog_of(settings)
        standing = standing_in_report(assessment, about_it, settings, facts, catalog, log)
        reports = render_reports(assessment, about_it, links=links, frameworks=catalog.frameworks, standing=standing)
        documents = {
            ASSESSMENT: assessment.canonical,
            **{name: text.encode("utf-8", "backslashreplace") for name, text in reports.items()},
            MATRIX: canonical_json(controls_matrix(assessment)),
        }
        tags = assessment_tags(assessment)
        existing = facts.tags.get("mlflow.note.content")
        note = described(existing, assessment, links, _NOTE_LIMIT, standing)
        if note != existing:
            tags["mlflow.note.content"] = note
        tags["mlflow.loggedArtifacts"] = _logged_tables(facts.tags.get("mlflow.loggedArtifacts"))
    except Exception as error:  # noqa: BLE001  (training must go on; the failure becomes evidence and status `error`)
        detail = f": {error}" if isinstance(error, AimsError) else ""
        _log.warning("aims: run %s could not be assessed (%s%s)", facts.run_id, type(error).__name__, detail)
        _log.debug("aims: cause", exc_info=True)
        failed = capture_error("assessment", "assessing", error, subject=Subject(run=facts.ref), at=at)
        return Judged(None, {}, {"aims.status": str(Overall.ERROR)}, (failed,))
    return Judged(assessment, documents, tags)


def _files_of(evidence: Sequence[EvidenceBase], run_id: str) -> dict[str, str]:
    """Digest to file of what the run itself holds; live evidence lies in the runs of its windows."""

    def is_live(record: EvidenceBase) -> bool:
        run, model = record.subject.run, record.subject.model
        return run is not None and run.run_id != run_id and model is not None and bool(model.registered_name)

    return {r.digest: evidence_path(r) for r in evidence if not is_live(r)}


_NOTE_LIMIT = 8000
"""Characters MLflow keeps of a run's description; it cuts what is longer without a word."""


def described(
    existing: str | None, assessment: Assessment, links: ReportLinks, limit: int, standing: Standing | None = None
) -> str:
    """The description with our block: a short one, or none, where the user's own text leaves no room."""
    for brief in (False, True):
        text = merge_description(existing, description_block(assessment, links, brief=brief, standing=standing))
        if len(text) <= limit:
            return text
    return existing or ""


def _logged_tables(existing: str | None) -> str:
    """MLflow's own list of table artifacts, with our matrix in it (as ``mlflow.log_table`` writes it)."""
    ours = {"path": f"{ROOT}/{MATRIX}", "type": "table"}
    try:
        listed = json.loads(existing) if existing else []
    except ValueError:
        listed = []
    if not isinstance(listed, list):
        listed = []
    return json.dumps(listed if ours in listed else [*listed, ours])
