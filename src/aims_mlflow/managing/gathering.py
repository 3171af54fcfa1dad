"""What a document is made from: records, versions in service with evidence and assessment, transition logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aims_mlflow.api import load_assessment, load_evidence, resolve
from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.declaration import settings_on_record
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config import Settings
from aims_mlflow.config.models import Declaration
from aims_mlflow.documentation.material import Column, Judged, Material
from aims_mlflow.errors import AimsError, InputError
from aims_mlflow.evaluate import declared_attestations, evaluate
from aims_mlflow.evidence import EvidenceBase, ModelRecord, RunRecord, Subject, canonical_json, sha256_of
from aims_mlflow.gate.history import History, history
from aims_mlflow.management.portfolio import SystemStanding
from aims_mlflow.management.projection import View, evidence_of, is_projected
from aims_mlflow.management.state import State
from aims_mlflow.managing.portfolio import declaration_for, portfolio
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.standing import assess

if TYPE_CHECKING:
    from aims_mlflow.managing.records import ManagementRecords


def system_standing(records: ManagementRecords, system: str | None, state: State) -> SystemStanding:
    """How a system stands; the only one there is where none is named.

    Raises:
        InputError: there is no such system, or there are several and none is named.
        DeliveryError: MLflow cannot be reached.
    """
    found = portfolio(records, state)
    if system is None and len(found.systems) == 1:
        return found.systems[0]
    ids = [one.system for one in found.systems if one.system is not None]
    if system is None:
        listed = ", ".join(ids[:20])
        raise InputError("there are several AI systems", where="system", remedy=f"Name one: --system ID ({listed}).")
    standing = found.get(system)
    if standing is None:
        listed = f"There are: {', '.join(ids[:20])}." if ids else "'aims systems declare' adds one."
        raise InputError(f"there is no system {system[:100]!r}", where="system", remedy=nearest(system, ids) or listed)
    return standing


def gather(
    records: ManagementRecords,
    standing: SystemStanding,
    state: State,
    *,
    as_of: datetime | None = None,
    versions: Sequence[str] = (),
    parameters: bool = False,
) -> Material:
    """All that is known of a system.

    Args:
        records: The records in use.
        standing: The system with its versions in service.
        state: The records as they were known then.
        as_of: The moment; now where None.
        versions: URIs of the versions to document; those in service where there are none.
        parameters: Whether the values of the runs' parameters are to be told.

    Raises:
        InputError: a URI names no version.
        DeliveryError: MLflow cannot be reached.
    """
    histories, unread = _logs(records.client, standing.models, state.at)
    targets = {f"models:/{one.uri}": one.targets for one in standing.versions}
    if as_of is not None:
        targets = _served_then(targets, histories)
    wanted = list(versions) or list(targets)
    judged = [
        judge(records, uri, standing.system, state, as_of=as_of, targets=targets, parameters=parameters)
        for uri in wanted
    ]
    about = _about(records.settings, standing.system)
    declaration = about.declaration
    if about == Settings() and judged:
        declaration = judged[0].declaration
    return Material(
        at=state.at,
        catalog=records.catalog,
        state=state,
        system=standing.system,
        declaration=declaration,
        versions=tuple(judged),
        histories=histories,
        unread=unread,
    )


def judge(
    records: ManagementRecords,
    uri: str,
    system: str | None,
    state: State,
    *,
    as_of: datetime | None = None,
    targets: dict[str, tuple[str, ...]] | None = None,
    parameters: bool = False,
) -> Judged:
    """One version with its assessment and evidence; what cannot be read is said in ``problem`` and counts for nothing.

    Raises:
        InputError: ``uri`` names no version.
        MlflowException: it does not exist.
    """
    place = resolve(records.client, uri)
    if place.version is None:
        raise InputError(
            f"{uri!r} names no registered version", remedy="Give models:/NAME/VERSION or models:/NAME@ALIAS."
        )
    name, version = str(place.version.name), str(place.version.version)
    label = f"models:/{name}/{version}"
    bare = Judged(None, name=name, version=version, targets=(targets or {}).get(label, ()), run_id=place.run_id)
    made = place.version.creation_timestamp
    registered = datetime.fromtimestamp(made / 1000, UTC) if made else None
    if as_of is not None and registered is not None and registered > as_of:
        return replace(bare, problem=f"it was registered only on {registered:%Y-%m-%d}")
    tracking = str(records.client.tracking_uri)
    settings = _about(records.settings, system)
    try:
        assessment = assess(label, config=settings, tracking_uri=tracking, attach=False, at=as_of)
        held = [r for r in load_evidence(label, tracking_uri=tracking) if r.captured_at <= state.at]
    except AimsError as error:
        return replace(bare, problem=f"its evidence cannot be used: {error.message}")
    except Exception as error:  # noqa: BLE001  (what cannot be read is named as such, and counts for nothing)
        return replace(bare, problem=f"its evidence cannot be read ({type(error).__name__})")
    own = [r for r in held if not is_projected(r)]
    stored = settings_on_record(own)
    declaration = stored.declaration if settings == Settings() and stored is not None else settings.declaration
    model = assessment.subject.model
    said = evidence_of(View(state, records.catalog, system=assessment.subject.system_id, model=model))
    values, changed = _parameters(records.client, place.run_id, own) if parameters else (None, False)
    return replace(
        bare,
        assessment=assessment,
        attached=_attached(label, tracking, state.at),
        evidence=(*own, *said, *declared_attestations(declaration, state.at)),
        declaration=declaration,
        declaration_sha256=assessment.declaration_sha256,
        parameters=values,
        parameters_changed=changed,
        signature=_signature(records.client, place.files_uri, own),
        registered_at=registered,
    )


def _attached(label: str, tracking: str, at: datetime) -> Assessment | None:
    """The assessment last attached to the version; None where there is none, or only a later one."""
    try:
        found = load_assessment(label, tracking_uri=tracking)
    except AimsError:
        return None
    return found if found.assessed_at <= at else None


def judge_organization(records: ManagementRecords, standing: SystemStanding, state: State) -> Judged:
    """A system without a version in service, or the organization: what its records alone come to."""
    declaration = declaration_for(standing.system, records.settings.declaration, state, records.catalog)
    said = evidence_of(View(state, records.catalog, system=standing.system))
    subject = Subject(system_id=standing.system)
    assessment = evaluate(said, records.catalog, declaration, subject=subject, at=state.at)
    return Judged(assessment, evidence=(*said, *declared_attestations(declaration, state.at)), declaration=declaration)


def _about(settings: Settings, system: str | None) -> Settings:
    """``aims.yaml`` where it is about the system; blank where it is about another one."""
    own = settings.declaration.system.id
    return settings if system is None or own is None or own == system else Settings(Declaration())


def _served_then(now: dict[str, tuple[str, ...]], histories: Iterable[History]) -> dict[str, tuple[str, ...]]:
    """What served at a moment that is past: by the log where there is one, else what serves now."""
    logged = {one.model for one in histories}
    served = {
        uri: targets for uri, targets in now.items() if uri.removeprefix("models:/").rpartition("/")[0] not in logged
    }
    for one in histories:
        for serving in one.current:
            uri = f"models:/{one.model}/{serving.version}"
            served[uri] = (*served.get(uri, ()), f"{serving.target.kind} {serving.target.name}")
    return served


def _logs(client: Any, models: Iterable[str], at: datetime) -> tuple[tuple[History, ...], tuple[str, ...]]:
    """The history of each model that has a log, and what could not be read."""
    log = TransitionLog(client)
    found, unread = [], []
    for model in models:
        try:
            entries = log.read(model, fresh=True)
        except AimsError as error:
            unread.append(f"{model}: {error.message}")
            continue
        if entries:
            found.append(history(entries, model=model, at=at))
    return tuple(found), tuple(unread)


def _parameters(client: Any, run_id: str | None, held: Sequence[EvidenceBase]) -> tuple[dict[str, str] | None, bool]:
    """The values of the run's parameters, where they are those the evidence was made with; and whether they changed."""
    runs = [r for r in held if isinstance(r, RunRecord)]
    if run_id is None or not runs:
        return None, False
    params = dict(RunStore(client, run_id).facts().params)
    latest = max(runs, key=lambda r: r.captured_at)
    same = sha256_of(canonical_json(params)) == latest.params_sha256
    return (params, False) if same else (None, True)


def _signature(client: Any, files_uri: str | None, held: Sequence[EvidenceBase]) -> tuple[Column, ...]:
    """The columns of the signature, where it is the one the evidence was made with."""
    digests = {r.signature_sha256 for r in held if isinstance(r, ModelRecord) and r.signature_sha256}
    if files_uri is None or not digests:
        return ()
    signature = _spec(client, files_uri).get("signature")
    if not isinstance(signature, dict) or sha256_of(canonical_json(signature)) not in digests:
        return ()
    return tuple(column for side in ("input", "output") for column in _columns(signature.get(f"{side}s"), side))


def _spec(client: Any, files_uri: str) -> dict[str, Any]:
    """The content of ``MLmodel``; empty where it cannot be read: the page then says that no signature is known."""
    import tempfile

    import yaml
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from mlflow.utils.file_utils import local_file_uri_to_path

    uri = f"{files_uri.rstrip('/')}/MLmodel"
    with tempfile.TemporaryDirectory(prefix="aims-model-") as folder:
        try:
            local = local_file_uri_to_path(uri) if uri.startswith(("file:", "/")) else None
            path = local or download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
            spec = yaml.safe_load(Path(path).read_text("utf-8"))
        except (MlflowException, OSError, ValueError, yaml.YAMLError):
            return {}
    return spec if isinstance(spec, dict) else {}


def _columns(raw: object, side: str) -> list[Column]:
    try:
        listed = json.loads(raw) if isinstance(raw, str) else []
    except ValueError:
        return []
    found = []
    for place, one in enumerate(listed if isinstance(listed, list) else [listed], start=1):
        if isinstance(one, dict):
            spec = one.get("tensor-spec")
            kind = f"tensor {spec.get('dtype')} {spec.get('shape')}" if isinstance(spec, dict) else one.get("type")
            found.append(Column(name=str(one.get("name") or f"{side} {place}"), type=str(kind), side=side))
    return found
