"""The run that records are logged to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aims_mlflow.api.targets import RUN_ID, Place, read_model, resolve
from aims_mlflow.attach.store import RunStore, check_reachable
from aims_mlflow.capture.dataset import dataset_record, dataset_ref, role_of
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.delivery import deliver
from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.evidence import DatasetRef, EvidenceBase, ModelRef, RunRef, Subject
from aims_mlflow.evidence.roles import role_of_context
from aims_mlflow.frames import Table, as_table

_AWAY = frozenset({DeliveryError.error_code, "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
"""Error codes that mean the server is away, not that the caller is wrong."""


@dataclass(frozen=True)
class Target:
    """A run to log to.

    ``facts`` is None where the server is away: the evidence is spooled then.
    """

    client: Any
    run_id: str
    facts: RunFacts | None

    def subject(self, settings: Settings, *datasets: DatasetRef) -> Subject:
        """What a record is about: the system, this run and the datasets given."""
        run = self.facts.ref if self.facts else RunRef(run_id=self.run_id)
        return Subject(system_id=settings.declaration.system.id, run=run, datasets=datasets)


def open_target(run_id: str | None) -> Target:
    """The run to log to: the one named, the active one, or a new active one, as MLflow's own ``log_*`` do."""
    import mlflow
    from mlflow import MlflowClient

    client = MlflowClient()
    if run_id is None:
        active = mlflow.active_run() or mlflow.start_run()
        run_id = active.info.run_id
    elif not RUN_ID.match(run_id):
        raise InputError(
            f"{run_id!r} is not a run id", remedy="A run id has 32 hex digits; `mlflow runs list` shows them."
        )
    try:
        check_reachable(str(client.tracking_uri))
        facts = RunStore(client, run_id).facts()
    except (DeliveryError, mlflow.MlflowException) as error:
        if getattr(error, "error_code", "") not in _AWAY:
            raise
        facts = None  # the evidence is spooled; it names the run without its content digest
    return Target(client, run_id, facts)


def record_to(target: Target, settings: Settings, records: Sequence[EvidenceBase]) -> None:
    """Add records to the run; it counts as not assessed until ``assess`` judges it again."""
    deliver(target.client, target.run_id, records, settings, assess=False, facts=target.facts)


def dataset_of(data: Any, settings: Settings, *, name: str | None, role: str | None) -> tuple[Table, DatasetRef]:
    """A frame or ``mlflow.data`` dataset as a table, and what identifies it."""
    table = as_table(data)
    is_dataset = hasattr(type(data), "_to_mlflow_entity")
    own_name, digest = (data.name, data._digest) if is_dataset else (None, None)
    label = name or (str(own_name) if own_name else None)
    role = role_of_context(role) if role is not None else role_of(settings.declaration, label, None)
    return table, dataset_ref(table, name=label, role=role, mlflow_digest=digest)


def about_model(target: Target, subject: Subject, model: str | None) -> Subject:
    """The subject with the model named; unchanged where None.

    A registered version is followed to its logged model. One that points to none, as on MLflow 2, is bound by the
    digest of its files.

    Raises:
        InputError: ``model`` names no logged model and no registered version, or none that exists.
    """
    if model is None:
        return subject
    rest = model.removeprefix("models:/")
    if rest.startswith("m-") and "/" not in rest:
        return subject.model_copy(update={"model": ModelRef(model_id=rest, uri=f"models:/{rest}")})
    if not model.startswith("models:/"):
        raise InputError(f"{model!r} names no model", where="model", remedy=_MODEL_REMEDY)
    place = _existing(target.client, model)
    found = place.model
    if found is not None and found.model_id is None and place.files_uri is not None:
        files = read_model(target.client, place.files_uri)
        found = found.model_copy(update={"sha256": files.sha256 if files else None})
    return subject.model_copy(update={"model": found})


_MODEL_REMEDY = "Give models:/m-... as log_model returned it, or models:/<name>/<version>."


def _existing(client: Any, model: str) -> Place:
    from mlflow import MlflowException

    try:
        return resolve(client, model)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise InputError(f"there is no model {model!r}", where="model", remedy=_MODEL_REMEDY) from error


def dataset_fact(table: Table, ref: DatasetRef, settings: Settings, target: Target, at: datetime) -> EvidenceBase:
    """The record that a dataset was seen."""
    return dataset_record(
        table,
        ref,
        subject=target.subject(settings, ref),
        captured_at=at,
        declaration=settings.declaration,
        smallest_cell=settings.declaration.privacy.smallest_cell,
    )
