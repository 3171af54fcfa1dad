"""Conclusions written to registered model versions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from aims_mlflow.assessment import Assessment, Overall
from aims_mlflow.attach.tags import AT_RISK, assessment_tags, short_digest
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.delivery.judging import about, assessment_of, described
from aims_mlflow.delivery.standing import standing_as_assessed
from aims_mlflow.evidence import EvidenceBase, ModelRecord, ModelRef
from aims_mlflow.gate.entries import Entry
from aims_mlflow.gate.messages import GATE_TAG, gate_tag
from aims_mlflow.gate.signing import own_key
from aims_mlflow.gate.standing import Standing
from aims_mlflow.gate.statement import TAG as STATEMENT_TAG
from aims_mlflow.gate.statement import Statement, files_place, inputs_digest, state, write_statement
from aims_mlflow.report import report_links, restate

_log = logging.getLogger("aims_mlflow")


_DESCRIPTION_LIMIT = 5000
"""Characters every database keeps of a version's description."""


def registered_versions(client: Any, facts: RunFacts) -> list[Any]:
    """The registered versions the run made; none, and a warning, where the registry cannot be read."""
    try:
        return list(client.search_model_versions(f"run_id='{facts.run_id}'"))
    except Exception as error:  # noqa: BLE001  (a registry that is away or not installed: the evidence is in the run)
        _log.warning("aims: registered versions of run %s could not be read (%s)", facts.run_id, type(error).__name__)
        return []


def only_version(versions: Sequence[Any], evidence: Sequence[EvidenceBase]) -> ModelRef | None:
    """The version a run's report speaks of: where the run made one model and one version of it."""
    if len(versions) != 1 or len({r.subject.model for r in evidence if isinstance(r, ModelRecord)}) != 1:
        return None
    ref = version_ref(versions[0], evidence)
    return ref if ref.sha256 else None


def mark_versions(client: Any, versions: Sequence[Any], status: Overall) -> None:
    """Set only the status of registered versions: what stood there is not true any more."""
    for version in versions:
        try:
            client.set_model_version_tag(version.name, str(version.version), "aims.status", str(status))
        except Exception as error:  # noqa: BLE001  (one version that cannot be written costs a warning)
            _log.warning(
                "aims: version %s of %s was not tagged (%s)", version.version, version.name, type(error).__name__
            )


def publish_versions(
    client: Any,
    versions: Sequence[Any],
    facts: RunFacts,
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    assessment: Assessment,
    evidence_sha256: str,
    log: Sequence[Entry] = (),
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
            publish_version(client, version, about_it, facts, settings, evidence_sha256, evidence, log)
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
    client: Any,
    version: Any,
    assessment: Assessment,
    facts: RunFacts,
    settings: Settings,
    evidence_sha256: str | None,
    evidence: Sequence[EvidenceBase] = (),
    log: Sequence[Entry] = (),
) -> None:
    """Statement, tags and description block of one version, and the system's tags of its registered model.

    The statement comes first: a gate in the registry holds the other tags against it.
    """
    name, number = version.name, str(version.version)
    held = dict(version.tags or {})
    standing: Standing | None = None
    stated = _statement(client, version, assessment, facts, evidence_sha256, evidence)
    tags = assessment_tags(assessment, evidence_sha256=short_digest(evidence_sha256))
    if stated is not None:
        tags = {STATEMENT_TAG: write_statement(stated, own_key()), **tags}
        if settings.declaration.gate is not None:
            ref = ModelRef(registered_name=name, version=number)
            standing = standing_as_assessed(stated, ref, settings, log, at=assessment.assessed_at)
            tags[GATE_TAG] = gate_tag(standing.decisions)
    for key, value in tags.items():
        if held.get(key) != value:
            client.set_model_version_tag(name, number, key, value)
    of_run = assessment.subject.model_copy(update={"run": facts.ref if facts.run_id else None})
    status = str(assessment.overall)
    describe_version(client, version, assessment.model_copy(update={"subject": of_run}), standing, status=status)
    system = settings.declaration.system
    if system.id:
        client.set_registered_model_tag(name, "aims.system_id", system.id)
        client.set_registered_model_tag(name, "aims.risk", str(system.risk_class))


def describe_version(
    client: Any, version: Any, assessment: Assessment, standing: Standing | None, *, status: str | None = None
) -> None:
    """Our block in the description of a version; the user's own text stays as it is.

    Args:
        client: Of MLflow.
        version: The version as it was read.
        assessment: What it is described by.
        standing: Of the gate.
        status: What the tag ``aims.status`` says; the tag as it was read where None: a refresh may have said since the
            assessment that it is at risk or stale.
    """
    ref = ModelRef(registered_name=version.name, version=str(version.version))
    links = report_links(assessment.subject.model_copy(update={"model": ref}))
    text = described(version.description, assessment, links, _DESCRIPTION_LIMIT, standing)
    said = (version.tags or {}).get("aims.status") if status is None else status
    if said in (AT_RISK, str(Overall.STALE)):
        text = restate(text, said)
    if text != (version.description or ""):
        client.update_model_version(version.name, str(version.version), description=text)


def _statement(
    client: Any,
    version: Any,
    assessment: Assessment,
    facts: RunFacts,
    evidence_sha256: str | None,
    evidence: Sequence[EvidenceBase],
) -> Statement | None:
    """The assessment in short; None where it is not bound to files that are on record."""
    model = assessment.subject.model
    if model is None or model.sha256 is None or evidence_sha256 is None:
        return None
    records = (r for r in evidence if isinstance(r, ModelRecord) and r.subject.model)
    record = next((r for r in records if r.subject.model and r.subject.model.sha256 == model.sha256), None)
    if record is None:
        return None
    return state(
        assessment,
        about(evidence, model),
        files=record.files,
        source=files_place(original_source(client, version)),
        run_id=facts.run_id or None,
        evidence_sha256=evidence_sha256,
        inputs_sha256=inputs_digest((n, d, c or "") for n, d, c in facts.datasets),
        trained_by=facts.tags.get("mlflow.user"),
    )


_COPIES = 16
"""Copies of copies of a version that are followed back to its model."""


def original_source(client: Any, version: Any) -> str:
    """The source of a version; of a copied one the source of the version it was first copied from."""
    from mlflow import MlflowException

    for _ in range(_COPIES):
        source = str(version.source or "")
        name, _, number = source.removeprefix("models:/").rpartition("/")
        if not source.startswith("models:/") or not name or not number.isdigit():
            break
        try:
            version = client.get_model_version(name, number)
        except MlflowException:  # deleted since: the copy stands for itself
            break
    return str(version.source or "")
