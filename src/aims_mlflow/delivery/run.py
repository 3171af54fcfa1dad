"""Deliver evidence to one run; what cannot be written is spooled."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aims_mlflow.assessment import Assessment, Overall
from aims_mlflow.attach.bundle import evidence_path
from aims_mlflow.attach.spool import spool
from aims_mlflow.attach.store import Holdings, RunStore, check_reachable
from aims_mlflow.attach.tags import assessment_metrics
from aims_mlflow.capture.collect import capture_error
from aims_mlflow.capture.run import COLLECTOR, RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.delivery.judging import judge
from aims_mlflow.delivery.locks import lock_of
from aims_mlflow.delivery.versions import mark_versions, only_version, publish_versions, registered_versions
from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.evaluate import declared_attestations
from aims_mlflow.evidence import CaptureErrorRecord, EvidenceBase, ModelRecord, ModelRef, Subject, now
from aims_mlflow.gate.entries import Entry
from aims_mlflow.management.projection import is_projected

_log = logging.getLogger("aims_mlflow")


_TRIES = 3
"""Times a writer gathers again when another one wrote at the same moment."""


_UNASSESSED = {
    "aims.status": str(Overall.NOT_ASSESSED),
    "aims.attention": "none",
    "aims.assessed": "none",
    "aims.fresh_until": "none",
}
"""The tags of a run whose evidence changed after it was assessed."""


@dataclass(frozen=True)
class Delivery:
    """What became of the evidence."""

    run_id: str
    assessment: Assessment | None = None
    evidence_sha256: str | None = None
    """Digest of the manifest, as the tag ``aims.evidence`` names it; None when spooled."""
    spooled: Path | None = None
    evidence: tuple[EvidenceBase, ...] = ()


def deliver(
    client: Any,
    run_id: str,
    new: Sequence[EvidenceBase],
    settings: Settings,
    *,
    assess: bool,
    facts: RunFacts | None = None,
    model: ModelRef | None = None,
    log: Sequence[Entry] = (),
    beside: Sequence[EvidenceBase] = (),
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
        log: The transition log of its registered model, for what the report shows of the gate.
        beside: Evidence that other runs keep (live evidence): judged and shown with the run's own, not written to it.
    """
    uri = str(getattr(client, "tracking_uri", ""))
    try:
        check_reachable(uri)
        with lock_of(run_id):
            return deliver_now(
                client, run_id, new, settings, assess=assess, facts=facts, model=model, log=log, beside=beside
            )
    except Exception as error:  # noqa: BLE001  (whatever MLflow or its stores raise: the evidence is kept)
        return _keep(uri, run_id, new, settings, error, assess=assess)


def _keep(
    uri: str, run_id: str, new: Sequence[EvidenceBase], settings: Settings, error: Exception, *, assess: bool
) -> Delivery:
    reason = getattr(error, "error_code", None) or type(error).__name__
    _log.debug("aims: cause", exc_info=error)
    try:
        own = [r for r in new if not is_projected(r)]
        path = spool(uri, run_id, own, reason=str(reason), settings=settings, assess=assess)
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


def deliver_now(
    client: Any,
    run_id: str,
    new: Sequence[EvidenceBase],
    settings: Settings,
    *,
    assess: bool,
    facts: RunFacts | None,
    model: ModelRef | None,
    log: Sequence[Entry] = (),
    beside: Sequence[EvidenceBase] = (),
) -> Delivery:
    """``deliver`` without the spool: what MLflow raises is the caller's to handle. The run's lock is held."""
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
        # What stands for management records counts only as they are now, not as they were when the run was assessed.
        own = {r.digest: r for r in held.evidence if not is_projected(r)}
        everything = list((own | {r.digest: r for r in [*new, *stated]}).values())
        fresh = [r for r in everything if r.digest not in known]
        documents: dict[str, bytes] = {}
        metrics: Mapping[str, float] = {}
        tags = dict(_UNASSESSED) if "aims.assessed" in facts.tags else {"aims.status": str(Overall.NOT_ASSESSED)}
        if assess:
            of = model or only_version(versions, everything)
            judged = judge([*everything, *beside], settings, facts, at=at, model=of, log=log)
            assessment, documents = judged.assessment, judged.documents
            fresh = [*fresh, *judged.added]
            everything = [*everything, *judged.added]
            tags = judged.tags
            metrics = assessment_metrics(assessment, [*everything, *beside]) if assessment else {}
        digest = store.write(held, fresh, documents, tags=tags, metrics=metrics, at=at, collector=COLLECTOR)
        listed = {*held.files, *held.ignored, *(evidence_path(r) for r in fresh)}
        if store.evidence_names() <= listed and store.manifest_sha256() == digest:
            break
        facts = store.facts()  # another writer was here: gather again, so that neither's evidence is left out
        held = _salvaged(store, facts)
    else:
        raise DeliveryError("other writers did not leave the run alone", where=f"run {run_id}")
    if assessment is not None:
        publish_versions(client, versions, facts, [*everything, *beside], settings, assessment, digest, log)
    elif assess:
        mark_versions(client, versions, Overall.ERROR)
    elif facts.tags.get("aims.status", str(Overall.NOT_ASSESSED)) != str(Overall.NOT_ASSESSED):
        mark_versions(client, registered_versions(client, facts), Overall.NOT_ASSESSED)
    return Delivery(run_id, assessment, digest, evidence=(*everything, *beside))


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


def _salvaged(store: RunStore, facts: RunFacts) -> Holdings:
    """Read the run again from its files, past the cache: another writer added evidence."""
    without = {k: v for k, v in facts.tags.items() if k != "aims.evidence"}
    return store.holdings(replace(facts, tags=without), salvage=True)


def _stated(settings: Settings, at: datetime) -> list[EvidenceBase]:
    """The statements of ``aims.yaml`` that are in force: findings cite them, so the run holds them."""
    return [r for r in declared_attestations(settings.declaration, at) if r.captured_at < at]
