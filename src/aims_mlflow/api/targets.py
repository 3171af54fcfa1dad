"""Where a run id or model URI leads, and the model files behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aims_mlflow.capture.model import ModelFacts, read_model_directory
from aims_mlflow.delivery import version_ref
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import ModelRef

RUN_ID = re.compile(r"^[0-9a-f]{32}$")


_COPIES = 16
"""Copies of copies of a version that are followed back to its model."""


@dataclass(frozen=True)
class Place:
    """Where a run id or model URI leads."""

    run_id: str | None
    model: ModelRef | None = None
    version: Any = None
    """The registered version, an ``mlflow.entities.model_registry.ModelVersion``."""
    files_uri: str | None = None


def resolve(client: Any, target: str) -> Place:
    """Follow a run id, ``runs:/id[/path]``, ``models:/name/version``, ``models:/name@alias`` or ``models:/m-id``.

    Raises:
        InputError: none of these.
        MlflowException: it does not exist.
    """
    if RUN_ID.match(target):
        return Place(target)
    if target.startswith("runs:/"):
        run_id, _, path = target.removeprefix("runs:/").partition("/")
        if RUN_ID.match(run_id):
            return Place(run_id, ModelRef(name=path, uri=target), files_uri=target) if path else Place(run_id)
    if target.startswith("models:/"):
        rest = target.removeprefix("models:/")
        if rest.startswith("m-") and "/" not in rest:
            return _logged_model(client, rest)
        return registered(client, rest, target)
    raise InputError(
        f"{target!r} names neither a run nor a model",
        remedy="Give a run id, runs:/<id>, models:/<name>/<version> or models:/<name>@<alias>.",
    )


def _logged_model(client: Any, model_id: str) -> Place:
    if not hasattr(client, "get_logged_model"):
        raise InputError(
            f"models:/{model_id} is a logged model, which this MLflow does not know",
            remedy="Give the run or the registered version, or install MLflow 3.",
        )
    model = client.get_logged_model(model_id)
    ref = ModelRef(name=model.name, model_id=model_id, uri=f"models:/{model_id}")
    return Place(model.source_run_id, ref, files_uri=model.artifact_location)


def registered(client: Any, rest: str, target: str) -> Place:
    """Follow a registered version named ``name/version`` or ``name@alias``.

    Raises:
        InputError: ``rest`` names no single version; ``target`` is what the caller gave.
    """
    if "@" in rest and "/" not in rest:  # MLflow looks for the slash first: a name may hold an @
        name, _, alias = rest.rpartition("@")
        version = client.get_model_version_by_alias(name, alias)
    else:
        name, _, number = rest.rpartition("/")
        if not name or not number.isdigit():
            raise InputError(
                f"{target!r} does not name one version",
                remedy="Give models:/<name>/<version> or models:/<name>@<alias>.",
            )
        version = client.get_model_version(name, number)
    ref = version_ref(version).model_copy(update={"model_id": _logged_id(client, version)})
    run_id = version.run_id or None
    files = client.get_model_version_download_uri(version.name, str(version.version))
    if ref.model_id:
        logged = client.get_logged_model(ref.model_id)
        run_id, files = run_id or logged.source_run_id, logged.artifact_location
    return Place(run_id, ref, version, files)


def _logged_id(client: Any, version: Any) -> str | None:
    """Id of the logged model behind a version; a copied version points to the one it was copied from."""
    from mlflow import MlflowException

    for _ in range(_COPIES):
        found, source = version_ref(version).model_id, str(version.source or "")
        name, _, number = source.removeprefix("models:/").rpartition("/")
        if found or not source.startswith("models:/") or not number.isdigit():
            return found
        try:
            version = client.get_model_version(name, number)
        except MlflowException:  # deleted since: the copy stands for itself
            return None
    return None


def read_model(client: Any, uri: str, *, model_id: str | None = None, name: str | None = None) -> ModelFacts | None:
    """Hash a model's files where they are stored; those of a remote store are downloaded to a temporary folder.

    None where a local folder holds no model.
    """
    import tempfile

    from mlflow.artifacts import download_artifacts
    from mlflow.utils.file_utils import local_file_uri_to_path

    with tempfile.TemporaryDirectory(prefix="aims-model-") as folder:
        local = local_file_uri_to_path(uri) if uri.startswith(("file:", "/")) else None
        path = local or download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
        return read_model_directory(path, model_id=model_id, name=name)
