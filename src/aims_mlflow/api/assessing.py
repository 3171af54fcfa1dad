"""``assess``: judge a run or model version against the register."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aims_mlflow.api.live import live_evidence
from aims_mlflow.api.past import assess_past
from aims_mlflow.api.policies import Config
from aims_mlflow.api.records import on_record
from aims_mlflow.api.targets import Place, read_model, registered, resolve
from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.store import RunStore, check_reachable
from aims_mlflow.capture.collect import Seen, collect
from aims_mlflow.capture.declaration import settings_on_record
from aims_mlflow.capture.model import ModelFacts
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings, load_settings
from aims_mlflow.delivery import assessment_of, deliver, publish_version, version_ref
from aims_mlflow.delivery.releases import release_records
from aims_mlflow.delivery.versions import registered_versions
from aims_mlflow.errors import ConfigError, DeliveryError, InputError
from aims_mlflow.evidence import EvidenceBase, ModelRecord, ModelRef, RunRecord, Subject, now
from aims_mlflow.gate.entries import Entry
from aims_mlflow.gate.signing import KEY_VARIABLE, carries_signature, own_key
from aims_mlflow.gate.statement import TAG as STATEMENT_TAG
from aims_mlflow.management.projection import is_projected

_log = logging.getLogger("aims_mlflow")


def assess(
    target: str,
    *,
    config: Config = None,
    tracking_uri: str | None = None,
    attach: bool = True,
    at: datetime | None = None,
    log: Sequence[Entry] = (),
) -> Assessment:
    """Judge a run or model version against every clause and control of the register.

    The evidence is read from the run and verified; what MLflow itself shows (run, model files, lineage, declaration) is
    captured if it is not on record yet. A model's files are hashed again, so evidence about other files does not count.

    Args:
        target: Run id, ``runs:/id``, ``models:/name/version``, ``models:/name@alias`` or ``models:/m-id``.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None. Where none is found,
            the run is judged by the declaration it was captured with; without that a warning says so.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        attach: True writes assessment, reports and tags to the run and version; False only returns the findings.
        at: The moment to judge for; now where None. Nothing is attached then. What is past is judged by what was known
            then; for what is to come, by what is known now.
        log: The transition log of the registered model, for what the report shows of the gate.

    Returns:
        The assessment, one finding for each row.

    Raises:
        InputError: ``target`` names neither run nor model.
        ConfigError: ``aims.yaml`` is wrong, or is not here and names frameworks of its own.
        EvidenceError: with ``attach=False``, evidence that does not match its manifest.
        DeliveryError: it could not be written; the evidence is in the spool.
    """
    from mlflow import MlflowClient

    if at is not None and at.tzinfo is None:
        raise InputError("the time of an assessment needs a zone", where="at", remedy="Use datetime.now(UTC).")
    settings = load_settings(config)
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.run_id is None:
        return _assess_without_run(client, place, settings, attach=attach, at=at)
    store = RunStore(client, place.run_id)
    facts = store.facts()
    if at is not None and at < now():
        held = store.holdings(facts)
        return assess_past(client, held.evidence, facts, settings, at=at, model=place.model, log=log)
    held = store.holdings(facts, salvage=attach)
    settings = _in_force(settings, held.evidence, facts.run_id, say=config is None)
    read = _read_place(client, place, facts)
    model = _model_assessed(place, read, held.evidence)
    subject = Subject(run=facts.ref)
    live = live_evidence(client, settings, model=model or _only_version(client, facts), at=at or now())
    about_it = [*_own(held.evidence), *live]
    records = on_record(client, settings, model=model, subject=subject, at=at or now(), evidence=about_it)
    new = [
        *_missing(facts, held.evidence, read, settings),
        *release_records(log, model),
        *records.evidence,
    ]
    settings = records.settings
    if attach and at is None and place.version is not None:
        _may_replace(place.version)
    if not attach or at is not None:
        return assessment_of([*about_it, *new], settings, facts, at=at or now(), model=model)
    delivery = deliver(client, place.run_id, new, settings, assess=True, facts=facts, model=model, log=log, beside=live)
    if delivery.assessment is None:
        raise DeliveryError(
            "the assessment could not be written",
            where=f"run {place.run_id}",
            remedy="The evidence is kept in the spool; `aims flush` delivers it."
            if delivery.spooled
            else "The warning above says what could not be judged.",
        )
    if place.version is not None:
        # The delivery may have tagged it by what is on record: what it holds now decides what is written.
        version = client.get_model_version(place.version.name, place.version.version)
        publish_version(
            client,
            version,
            delivery.assessment,
            facts,
            settings,
            delivery.evidence_sha256,
            delivery.evidence,
            log,
        )
    return delivery.assessment


def _only_version(client: Any, facts: RunFacts) -> ModelRef | None:
    """The version a run is assessed for, where it made one."""
    versions = registered_versions(client, facts)
    return version_ref(versions[0]) if len(versions) == 1 else None


def _may_replace(version: Any) -> None:
    """An assessment that is signed is not replaced by one that is not: nothing may be written before that is clear.

    Raises:
        InputError: the version holds a signed assessment, and this process has no key.
    """
    text = (version.tags or {}).get(STATEMENT_TAG, "")
    if own_key() is None and carries_signature(text):
        raise InputError(
            "the version's assessment is signed, and there is no key here to sign the next",
            where=f"models:/{version.name}/{version.version}",
            remedy=f"Set {KEY_VARIABLE}, or only look: `--no-attach`.",
        )


def _in_force(settings: Settings, held: Sequence[EvidenceBase], run_id: str, *, say: bool) -> Settings:
    """The declaration given or found, else the one the run was captured with; never in silence with none."""
    if settings.path is not None or settings != Settings():
        return settings
    stored = settings_on_record(held)
    if stored is None:
        if say:
            _log.warning(
                "aims: no aims.yaml was found and run %s holds no declaration: it is judged with nothing declared; "
                "go to the folder of aims.yaml, or give config=... (--config)",
                run_id,
            )
        return settings
    absent = [name for name in stored.declaration.frameworks if not (stored.folder / name).is_file()]
    if absent:
        raise ConfigError(
            f"the declaration of run {run_id} names files that are not here: {', '.join(absent)}",
            remedy="Go to the folder of aims.yaml, or give config=... (--config).",
        )
    if say:
        _log.info("aims: no aims.yaml here; run %s is judged by the declaration it was captured with", run_id)
    return stored


def _read_place(client: Any, place: Place, facts: RunFacts) -> list[ModelFacts]:
    """The models the assessment is about, hashed now; those whose files are gone are left out."""
    if place.files_uri is not None:
        found = [read_model(client, place.files_uri, model_id=place.model.model_id if place.model else None)]
    else:
        logged = [client.get_logged_model(model_id) for model_id in facts.model_ids]
        found = [read_model(client, m.artifact_location, model_id=m.model_id, name=m.name) for m in logged]
    return [read for read in found if read is not None]


def _model_assessed(place: Place, read: Sequence[ModelFacts], held: Sequence[EvidenceBase]) -> ModelRef | None:
    """The model with the digest its files have now; without one, so that no evidence is about it, where they are gone.

    For a run that is one whose files are not those on record, if there is such; None leaves it to the evidence.
    """
    if place.model is not None:
        return place.model.model_copy(update={"sha256": read[0].sha256 if read else None})
    now_there = {m.model_id: m.sha256 for m in read}
    recorded = [r.subject.model for r in held if isinstance(r, ModelRecord) and r.subject.model]
    known = {(model.model_id, model.sha256) for model in recorded}
    for model in recorded:
        digest = now_there.get(model.model_id)
        if model.model_id is not None and (model.model_id, digest) not in known:
            return model.model_copy(update={"sha256": digest})
    return None


def _missing(
    facts: RunFacts, held: Sequence[EvidenceBase], read: Sequence[ModelFacts], settings: Settings
) -> list[EvidenceBase]:
    """What MLflow shows and the run has no record of yet, or none of the younger half of a cycle.

    What only a new version does away with is looked at again in time this way: an assessment captures it anew before
    the cycle is over. A record of other files than there are now is not renewed.
    """
    since = now() - timedelta(days=settings.declaration.validity.version_bound_days) / 2
    recent = [r for r in held if r.captured_at > since]
    runs = [
        r for r in held if isinstance(r, RunRecord) and r.subject.run and r.subject.run.sha256 == facts.content_sha256
    ]
    models = {r.subject.model.sha256 for r in held if isinstance(r, ModelRecord) and r.subject.model}
    ids = {r.subject.model.model_id for r in held if isinstance(r, ModelRecord) and r.subject.model}
    looked_at = {r.subject.model.sha256 for r in recent if isinstance(r, ModelRecord) and r.subject.model}
    current = any(r.captured_at > since for r in runs)
    fresh_models = [m for m in read if (m.sha256 not in looked_at if m.sha256 in models else m.model_id not in ids)]
    declarations = {
        getattr(r, "declaration_sha256", "-") for r in recent if r.__class__.__name__ == "DeclarationRecord"
    }
    have = {getattr(r, "kind", "") for r in held}
    on_record = settings.path is None and settings == settings_on_record(held)
    if current and not fresh_models and (on_record or settings.sha256 in declarations):
        return []
    status = runs[-1].run_status if runs else facts.status
    exception = runs[-1].exception if runs else None
    found = collect(
        facts,
        Seen(models=list(fresh_models), status=status, exception=exception),
        settings,
        at=now(),
        with_environment=False,
    )
    drop = {"declaration"} if on_record else set()
    drop |= {"performance"} if "performance" in have and runs else set()
    if current:
        drop |= {"run", "lineage"} if not fresh_models else {"run"}
    return [r for r in found if getattr(r, "kind", "") not in drop]


def _assess_without_run(
    client: Any, place: Place, settings: Settings, *, attach: bool, at: datetime | None
) -> Assessment:
    """A model no run made: there is no evidence and nowhere to attach it; every row says so."""
    facts = RunFacts(run_id="", experiment_id="", status="")
    assessment = assessment_of([], settings, facts, at=at or now(), model=place.model)
    if attach and place.version is not None:
        publish_version(client, place.version, assessment, facts, settings, None)
    return assessment


def tag_version(client: Any, version: Any, *, settings: Settings) -> None:
    """Give a version that was just registered the conclusions of its run, bound to its own content."""
    place = registered(client, f"{version.name}/{version.version}", f"models:/{version.name}/{version.version}")
    if place.run_id is None:
        client.set_model_version_tag(version.name, str(version.version), "aims.status", "not-assessed")
        return
    store = RunStore(client, place.run_id)
    facts = store.facts()
    held = store.holdings(facts)
    digest = facts.tags.get("aims.evidence")
    if digest is None:
        client.set_model_version_tag(version.name, str(version.version), "aims.status", "not-assessed")
        return
    settings = _in_force(settings, held.evidence, facts.run_id, say=False)
    read = _read_place(client, place, facts)
    model = _model_assessed(place, read, held.evidence)
    own = _own(held.evidence)
    assessment = assessment_of(own, settings, facts, at=now(), model=model)
    publish_version(client, place.version, assessment, facts, settings, digest, own)


def _own(held: Sequence[EvidenceBase]) -> list[EvidenceBase]:
    """What is the run's own: copies of management records count only as the records are now."""
    return [r for r in held if not is_projected(r)]
