"""The registered version that serves: what every piece of its live evidence is about, and held against."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aims_mlflow.api import resolve
from aims_mlflow.api.targets import read_model
from aims_mlflow.attach.store import RunStore, check_reachable
from aims_mlflow.capture.declaration import settings_on_record
from aims_mlflow.config import MonitoringPolicy, Settings
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import (
    DatasetRecord,
    DatasetRef,
    EvidenceBase,
    ModelRecord,
    ModelRef,
    ReferenceProfile,
    Subject,
)
from aims_mlflow.evidence.roles import role_of_context

_log = logging.getLogger("aims_mlflow")

_REFERENCE_ROLES = frozenset({"training", "reference"})


@dataclass(frozen=True, eq=False)
class Served:
    """A registered version in use."""

    model: str
    """Name of the registered model."""
    version: str
    ref: ModelRef
    """The version, with the digest of its files and the id of its logged model."""
    run_id: str | None
    """The training run."""
    settings: Settings
    reference: ReferenceProfile | None = None
    profile: Any = None
    """The reference as a ``sketches.Profile``; None where none is on record."""
    data: tuple[DatasetRef, ...] = ()
    """Datasets of the training run that live data may be held against: training and reference data."""
    evidence: tuple[EvidenceBase, ...] = field(default=(), repr=False)
    """What the training run holds."""

    @property
    def system_id(self) -> str | None:
        """The AI system."""
        return self.settings.declaration.system.id

    @property
    def policy(self) -> MonitoringPolicy:
        """The monitoring section in force; its defaults where nothing is declared."""
        return self.settings.declaration.monitoring or MonitoringPolicy()

    @property
    def subject(self) -> Subject:
        """What live evidence is about; the window's run is added when it is filed."""
        return Subject(system_id=self.system_id, model=self.ref)

    @property
    def uri(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.model}/{self.version}"

    @property
    def live(self) -> DatasetRef:
        """The live data by name and role; each window's content takes the place of the one before."""
        return DatasetRef(name=f"{self.model} live", role="production")

    def check_reference(self, sha256: str | None) -> None:
        """Refuse a reference that is not the version's own.

        Args:
            sha256: Digest of a reference profile, or of a dataset's full content; None: nothing was held against one.

        Raises:
            InputError: the version's evidence knows its reference, and it is another one.
        """
        known = {ref.sha256 for ref in self.data if ref.sha256}
        if self.reference is not None:
            known |= {self.reference.profile_sha256, self.reference.dataset.sha256 or self.reference.profile_sha256}
        if sha256 is not None and known and sha256 not in known:
            raise InputError(
                "the reference is not the data this version was made from",
                where=f"{self.uri}, reference {sha256[:19]}",
                remedy="Give the version's own training data, leave reference out, or log the other data with "
                'context "reference" in the training run.',
            )


def version_uri(target: str, policy: MonitoringPolicy | None = None) -> str:
    """The full name of a version: ``models:/name/version`` or ``models:/name@alias``.

    Args:
        target: One of these, with or without ``models:/``, or the name alone where the policy names an alias.
        policy: The monitoring section.

    Raises:
        InputError: it names no one version.
    """
    rest = target.removeprefix("models:/")
    if target.startswith("runs:/") or (target.startswith("models:/m-") and "/" not in rest):
        raise InputError(
            f"{target!r} is no registered version", remedy="Register the model: only a registered version serves."
        )
    if "/" in rest or "@" in rest:
        return f"models:/{rest}"
    if policy is None or policy.alias is None:
        raise InputError(
            f"{target!r} does not name one version",
            remedy=f"Give models:/{rest}/VERSION or models:/{rest}@ALIAS, or set monitoring.alias in aims.yaml.",
        )
    return f"models:/{rest}@{policy.alias}"


def served_by(client: Any, target: str, settings: Settings) -> Served:
    """The version that a URI or alias names, with its reference as its training run keeps it.

    Its files are not hashed again where the training run holds their digest: whether they are still those is checked
    whenever the version is assessed.

    Args:
        client: An ``MlflowClient``.
        target: ``models:/name/version``, ``models:/name@alias``, ``name@alias``, or a name (see ``version_uri``).
        settings: The declaration; where none is given or found, the one the training run was captured with counts.

    Raises:
        InputError: it names no registered version, or one that does not exist.
        EvidenceError: the evidence of the training run does not match its manifest, or the version's files are gone.
        DeliveryError: MLflow cannot be reached.
    """
    check_reachable(str(client.tracking_uri))
    uri = version_uri(target, settings.declaration.monitoring)
    place = _existing(client, uri)
    version = place.version
    held: Sequence[EvidenceBase] = ()
    if place.run_id is not None:
        store = RunStore(client, place.run_id)
        held = store.holdings(store.facts()).evidence
    if settings.path is None and settings == Settings():
        settings = settings_on_record(held) or settings
    ref = place.model if place.model is not None else ModelRef(registered_name=version.name)
    digest = _digest_on_record(held, ref) or _digest_now(client, place, ref)
    ref = ref.model_copy(update={"sha256": digest})
    reference = _reference(held, ref)
    return Served(
        model=str(version.name),
        version=str(version.version),
        ref=ref,
        run_id=place.run_id,
        settings=settings,
        reference=reference,
        profile=_profile(reference),
        data=tuple(
            r.dataset
            for r in held
            if isinstance(r, DatasetRecord) and role_of_context(r.dataset.role or "") in _REFERENCE_ROLES
        ),
        evidence=tuple(held),
    )


def _existing(client: Any, uri: str) -> Any:
    from mlflow import MlflowException

    try:
        return resolve(client, uri)
    except MlflowException as error:
        if getattr(error, "error_code", "") not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise InputError(
            f"there is no version {uri!r}", where="model", remedy="`aims list` shows what is registered."
        ) from error


def _digest_on_record(held: Sequence[EvidenceBase], ref: ModelRef) -> str | None:
    """Digest of the version's files by the latest record of its model; None where no record is surely about it."""
    models = [r for r in held if isinstance(r, ModelRecord) and r.subject.model and r.subject.model.sha256]
    own = [r for r in models if r.subject.model and ref.model_id and r.subject.model.model_id == ref.model_id]
    latest = max(own, key=lambda r: r.captured_at, default=None)
    return latest.subject.model.sha256 if latest is not None and latest.subject.model else None


def _digest_now(client: Any, place: Any, ref: ModelRef) -> str:
    files = read_model(client, place.files_uri, model_id=ref.model_id) if place.files_uri else None
    if files is None:
        raise EvidenceError(
            "the files of the version are not there, so nothing can be bound to them",
            where=str(ref.uri),
            remedy="Restore the model's artifacts, or register the model anew.",
        )
    return files.sha256


def _reference(held: Sequence[EvidenceBase], ref: ModelRef) -> ReferenceProfile | None:
    """The latest reference profile that the training run keeps and that is not about another of its models."""

    def other(record: EvidenceBase) -> bool:
        named = record.subject.model
        if named is None:
            return False
        if named.sha256 and ref.sha256:
            return named.sha256 != ref.sha256
        return bool(named.model_id and ref.model_id and named.model_id != ref.model_id)

    found = [r for r in held if isinstance(r, ReferenceProfile) and not other(r)]
    return max(found, key=lambda r: (r.captured_at, r.digest), default=None)


def _profile(reference: ReferenceProfile | None) -> Any:
    """The reference in summaries.

    Raises:
        EvidenceError: its bytes are damaged.
    """
    if reference is None:
        return None
    from aims_mlflow.capture.profile import profile_of_record

    return profile_of_record(reference)
