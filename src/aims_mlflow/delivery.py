"""Evidence and assessments into MLflow; into the spool where MLflow cannot be reached."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aims_mlflow.assessment import Assessment, Overall
from aims_mlflow.attach.bundle import ASSESSMENT, MATRIX, ROOT, evidence_path
from aims_mlflow.attach.spool import read_entry, spool, spooled_files
from aims_mlflow.attach.store import Holdings, RunStore, check_reachable
from aims_mlflow.attach.tags import assessment_metrics, assessment_tags, short_digest
from aims_mlflow.capture.collect import capture_error
from aims_mlflow.capture.run import COLLECTOR, RunFacts
from aims_mlflow.catalog import Catalog, load_catalog
from aims_mlflow.config import Settings, undeclared
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.evaluate import declared_attestations, evaluate
from aims_mlflow.evidence import (
    CaptureErrorRecord,
    DatasetRef,
    EvidenceBase,
    ModelRecord,
    ModelRef,
    Subject,
    canonical_json,
    now,
)
from aims_mlflow.report import (
    ReportLinks,
    controls_matrix,
    description_block,
    merge_description,
    render_reports,
    report_links,
)

_log = logging.getLogger("aims_mlflow")

_TRIES = 3
"""Times a writer gathers again when another one wrote at the same moment."""


@dataclass(frozen=True)
class Delivery:
    """What became of the evidence."""

    run_id: str
    assessment: Assessment | None = None
    evidence_sha256: str | None = None
    """Digest of the manifest, as the tag ``aims.evidence`` names it; None when spooled."""
    spooled: Path | None = None
    evidence: tuple[EvidenceBase, ...] = ()


_locks: dict[str, threading.RLock] = {}
_locks_guard = threading.Lock()


def _unlock() -> None:
    """A forked process starts without the locks that threads it does not have may hold."""
    global _locks, _locks_guard
    _locks, _locks_guard = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _lock_of(run_id: str) -> threading.RLock:
    with _locks_guard:
        if len(_locks) > 4096:
            _locks.clear()
        return _locks.setdefault(run_id, threading.RLock())


def deliver(
    client: Any,
    run_id: str,
    new: Sequence[EvidenceBase],
    settings: Settings,
    *,
    assess: bool,
    facts: RunFacts | None = None,
    model: ModelRef | None = None,
) -> Delivery:
    """Write evidence to a run, assess it if asked, and never lose it: what cannot be written is spooled.

    Args:
        client: An ``MlflowClient``.
        run_id: The run.
        new: Records to add.
        settings: The declaration in force.
        assess: True writes assessment, reports and tags; False only adds the records and marks the run not assessed.
        facts: The run as just read, where the caller has it.
        model: The model version under assessment, where it is not the run's own.
    """
    uri = str(getattr(client, "tracking_uri", ""))
    try:
        check_reachable(uri)
        with _lock_of(run_id):
            return _deliver(client, run_id, new, settings, assess=assess, facts=facts, model=model)
    except Exception as error:  # noqa: BLE001  (whatever MLflow or its stores raise: the evidence is kept)
        return _keep(uri, run_id, new, settings, error, assess=assess)


def _keep(
    uri: str, run_id: str, new: Sequence[EvidenceBase], settings: Settings, error: Exception, *, assess: bool
) -> Delivery:
    reason = getattr(error, "error_code", None) or type(error).__name__
    _log.debug("aims: cause", exc_info=error)
    try:
        path = spool(uri, run_id, new, reason=str(reason), settings=settings, assess=assess)
    except OSError:
        _log.warning("aims: evidence of run %s could neither be delivered (%s) nor spooled", run_id, reason)
        return Delivery(run_id, evidence=tuple(new))
    _log.warning(
        "aims: evidence of run %s was not delivered (%s); it is kept in %s, `aims flush` delivers it",
        run_id,
        reason,
        path,
    )
    return Delivery(run_id, spooled=path, evidence=tuple(new))


def _deliver(
    client: Any,
    run_id: str,
    new: Sequence[EvidenceBase],
    settings: Settings,
    *,
    assess: bool,
    facts: RunFacts | None,
    model: ModelRef | None,
) -> Delivery:
    store = RunStore(client, run_id)
    facts = facts or store.facts()
    held = store.holdings(facts, salvage=True) if "aims.evidence" in facts.tags else Holdings()
    new = [*_lost(held, new, facts), *new]
    everything: list[EvidenceBase] = []
    has_model = assess and any(isinstance(r, ModelRecord) for r in (*held.evidence, *new))
    versions = registered_versions(client, facts) if has_model else []
    digest = ""
    assessment: Assessment | None = None
    for _ in range(_TRIES):
        known = {r.digest for r in held.evidence}
        at = now()
        stated = _stated(settings, at) if assess else []
        fresh = [r for r in [*new, *stated] if r.digest not in known]
        everything = [*held.evidence, *fresh]
        documents: dict[str, bytes] = {}
        metrics: Mapping[str, float] = {}
        tags = dict(_UNASSESSED) if "aims.assessed" in facts.tags else {"aims.status": str(Overall.NOT_ASSESSED)}
        if assess:
            judged = judge(everything, settings, facts, at=at, model=model or _only_version(versions, everything))
            assessment, documents = judged.assessment, judged.documents
            fresh = [*fresh, *judged.added]
            everything = [*everything, *judged.added]
            tags = judged.tags
            metrics = assessment_metrics(assessment, everything) if assessment else {}
        digest = store.write(held, fresh, documents, tags=tags, metrics=metrics, at=at, collector=COLLECTOR)
        listed = {*held.files, *held.ignored, *(evidence_path(r) for r in fresh)}
        if store.evidence_names() <= listed and store.manifest_sha256() == digest:
            break
        facts = store.facts()  # another writer was here: gather again, so that neither's evidence is left out
        held = _salvaged(store, facts)
    else:
        raise DeliveryError("other writers did not leave the run alone", where=f"run {run_id}")
    if assessment is not None:
        publish_versions(client, versions, facts, everything, settings, assessment, digest)
    elif assess:
        mark_versions(client, versions, Overall.ERROR)
    elif facts.tags.get("aims.status", str(Overall.NOT_ASSESSED)) != str(Overall.NOT_ASSESSED):
        mark_versions(client, registered_versions(client, facts), Overall.NOT_ASSESSED)
    return Delivery(run_id, assessment, digest, evidence=tuple(everything))


_UNASSESSED = {
    "aims.status": str(Overall.NOT_ASSESSED),
    "aims.attention": "none",
    "aims.assessed": "none",
    "aims.fresh_until": "none",
}
"""The tags of a run whose evidence changed after it was assessed."""


def _lost(held: Holdings, new: Sequence[EvidenceBase], facts: RunFacts) -> list[CaptureErrorRecord]:
    """What was on record and is not there any more, as errors: only evidence captured anew makes up for it."""
    if not held.lost:
        return []
    at = min((r.captured_at for r in new), default=now()) - timedelta(milliseconds=1)
    error = EvidenceError("evidence that was on record is absent or altered")
    _log.warning(
        "aims: evidence of run %s was changed or removed since it was written: %s", facts.run_id, ", ".join(held.lost)
    )
    about_run = Subject(run=facts.ref)
    return [capture_error(kind, "reading it back", error, subject=about_run, at=at) for kind in held.lost]


def mark_versions(client: Any, versions: Sequence[Any], status: Overall) -> None:
    """Set only the status of registered versions: what stood there is not true any more."""
    for version in versions:
        try:
            client.set_model_version_tag(version.name, str(version.version), "aims.status", str(status))
        except Exception as error:  # noqa: BLE001  (one version that cannot be written costs a warning)
            _log.warning(
                "aims: version %s of %s was not tagged (%s)", version.version, version.name, type(error).__name__
            )


def _salvaged(store: RunStore, facts: RunFacts) -> Holdings:
    """Read the run again from its files, past the cache: another writer added evidence."""
    without = {k: v for k, v in facts.tags.items() if k != "aims.evidence"}
    return store.holdings(replace(facts, tags=without), salvage=True)


def _stated(settings: Settings, at: datetime) -> list[EvidenceBase]:
    """The statements of ``aims.yaml`` that are in force: findings cite them, so the run holds them."""
    return [r for r in declared_attestations(settings.declaration, at) if r.captured_at < at]


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
    declaration = settings.declaration
    subject = subject_of(evidence, facts, settings, model=model)
    return evaluate(
        about(evidence, subject.model),
        catalog_of(settings),
        declaration,
        subject=subject,
        at=at,
        declaration_sha256=settings.sha256,
        undeclared=undeclared(declaration),
    )


def judge(
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    facts: RunFacts,
    *,
    at: datetime,
    model: ModelRef | None = None,
) -> Judged:
    """Assess and render. A fault of ours gives status ``error`` and a record of it, never a lost run."""
    try:
        assessment = assessment_of(evidence, settings, facts, at=at, model=model)
        about_it = about(evidence, assessment.subject.model)
        links = report_links(assessment.subject, evidence={r.digest: evidence_path(r) for r in about_it})
        reports = render_reports(assessment, about_it, links=links, frameworks=catalog_of(settings).frameworks)
        documents = {
            ASSESSMENT: canonical_json(assessment),
            **{name: text.encode("utf-8", "backslashreplace") for name, text in reports.items()},
            MATRIX: canonical_json(controls_matrix(assessment)),
        }
        tags = assessment_tags(assessment)
        existing = facts.tags.get("mlflow.note.content")
        note = _described(existing, assessment, links, _NOTE_LIMIT)
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


_NOTE_LIMIT = 8000
"""Characters MLflow keeps of a run's description; it cuts what is longer without a word."""
_DESCRIPTION_LIMIT = 5000
"""Characters every database keeps of a version's description."""


def _described(existing: str | None, assessment: Assessment, links: ReportLinks, limit: int) -> str:
    """The description with our block: a short one, or none, where the user's own text leaves no room."""
    for brief in (False, True):
        text = merge_description(existing, description_block(assessment, links, brief=brief))
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


def registered_versions(client: Any, facts: RunFacts) -> list[Any]:
    """The registered versions the run made; none, and a warning, where the registry cannot be read."""
    try:
        return list(client.search_model_versions(f"run_id='{facts.run_id}'"))
    except Exception as error:  # noqa: BLE001  (a registry that is away or not installed: the evidence is in the run)
        _log.warning("aims: registered versions of run %s could not be read (%s)", facts.run_id, type(error).__name__)
        return []


def _only_version(versions: Sequence[Any], evidence: Sequence[EvidenceBase]) -> ModelRef | None:
    """The version a run's report speaks of: where the run made one model and one version of it."""
    if len(versions) != 1 or len({r.subject.model for r in evidence if isinstance(r, ModelRecord)}) != 1:
        return None
    ref = version_ref(versions[0], evidence)
    return ref if ref.sha256 else None


def publish_versions(
    client: Any,
    versions: Sequence[Any],
    facts: RunFacts,
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    assessment: Assessment,
    evidence_sha256: str,
) -> int:
    """Write the five tags and the description block to registered versions the run made.

    Returns:
        The number of versions written. A version that cannot be written costs one warning, nothing else.
    """
    written = 0
    for version in versions:
        ref = version_ref(version, evidence)
        judged = assessment.subject.model
        if judged is not None and judged.model_id is not None and judged.model_id == ref.model_id:
            ref = ref.model_copy(update={"sha256": judged.sha256})  # hashed just now: the record may be older
        try:
            if ref.sha256 is None:  # its files are not on record: nothing was said about it
                client.set_model_version_tag(
                    version.name, str(version.version), "aims.status", str(Overall.NOT_ASSESSED)
                )
                continue
            about_it = assessment
            if judged is None or judged.sha256 != ref.sha256:
                about_it = assessment_of(evidence, settings, facts, at=assessment.assessed_at, model=ref)
            publish_version(client, version, about_it, facts, settings, evidence_sha256)
        except Exception as error:  # noqa: BLE001  (one version that cannot be written costs a warning)
            _log.warning(
                "aims: version %s of %s was not tagged (%s)", version.version, version.name, type(error).__name__
            )
            continue
        written += 1
    return written


def version_ref(version: Any, evidence: Sequence[EvidenceBase] = ()) -> ModelRef:
    """A registered version as subject; its digest from the record of the logged model it points to."""
    source = str(getattr(version, "source", "") or "")
    model_id = source.rsplit("/", 1)[-1] if source.startswith("models:/m-") else getattr(version, "model_id", None)
    digest = None
    for record in evidence:
        named = record.subject.model
        if isinstance(record, ModelRecord) and named is not None:
            same = named.model_id == model_id if model_id else source.rstrip("/").endswith(f"/{named.name}")
            digest = named.sha256 if same else digest
    return ModelRef(
        name=version.name,
        model_id=model_id,
        uri=f"models:/{version.name}/{version.version}",
        registered_name=version.name,
        version=str(version.version),
        sha256=digest,
    )


def publish_version(
    client: Any, version: Any, assessment: Assessment, facts: RunFacts, settings: Settings, evidence_sha256: str | None
) -> None:
    """Tags and description block of one version, and the system's tags of its registered model."""
    name, number = version.name, str(version.version)
    held = dict(version.tags or {})
    for key, value in assessment_tags(assessment, evidence_sha256=short_digest(evidence_sha256)).items():
        if held.get(key) != value:
            client.set_model_version_tag(name, number, key, value)
    ref = ModelRef(registered_name=name, version=number)
    subject = assessment.subject.model_copy(update={"run": facts.ref if facts.run_id else None, "model": ref})
    text = _described(version.description, assessment, report_links(subject), _DESCRIPTION_LIMIT)
    if text != (version.description or ""):
        client.update_model_version(name, number, description=text)
    system = settings.declaration.system
    if system.id:
        client.set_registered_model_tag(name, "aims.system_id", system.id)
        client.set_registered_model_tag(name, "aims.risk", str(system.risk_class))


@dataclass
class FlushResult:
    """What ``flush`` did."""

    delivered: list[str] = field(default_factory=list)
    """Run ids."""
    kept: list[str] = field(default_factory=list)
    """Spool files that still wait."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Spool file to why it still waits."""


def flush(*, tracking_uri: str | None = None, skip: Collection[str] = ()) -> FlushResult:
    """Deliver what the spool holds, oldest first. Delivering twice is harmless: evidence is named by its content.

    Args:
        tracking_uri: Only what is bound for this server; all where None.
        skip: Spool files not to try.
    """
    from mlflow import MlflowClient

    result = FlushResult()
    for path in spooled_files():
        if str(path) in skip:
            continue
        try:
            entry = read_entry(path)
            if tracking_uri is not None and entry.tracking_uri != tracking_uri:
                continue
            check_reachable(entry.tracking_uri)
            client = MlflowClient(tracking_uri=entry.tracking_uri)
            with _lock_of(entry.run_id):
                _deliver(
                    client, entry.run_id, entry.evidence, entry.settings, assess=entry.assess, facts=None, model=None
                )
        except Exception as error:  # noqa: BLE001  (kept; the reason is reported)
            result.kept.append(str(path))
            result.reasons[str(path)] = _why(error)
            continue
        path.unlink(missing_ok=True)
        result.delivered.append(entry.run_id)
    return result


def _why(error: Exception) -> str:
    if isinstance(error, DeliveryError | EvidenceError):
        return str(error)
    code = getattr(error, "error_code", None)
    return f"{code or type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
