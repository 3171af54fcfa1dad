"""The files kept with a records run, on the server the records are on.

MLflow 2 looks for files that a server holds (``mlflow-artifacts:``) on the server of the process's own tracking URI,
whatever the client's is: a document must not end up on another server, nor be read from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aims_mlflow.filing.document import FOLDER

_HELD_BY_SERVER = "mlflow-artifacts:"


def keep(client: Any, run_id: str, path: Path) -> None:
    """Keep a file with a run."""
    repository = _of_client(client, run_id)
    if repository is None:
        client.log_artifact(run_id, str(path), FOLDER)
    else:
        repository.log_artifact(str(path), FOLDER)


def kept(client: Any, run_id: str) -> list[str]:
    """The files kept with a run, by their paths among its artifacts."""
    repository = _of_client(client, run_id)
    listed = client.list_artifacts(run_id, FOLDER) if repository is None else repository.list_artifacts(FOLDER)
    return [file.path for file in listed if not file.is_dir]


def fetch(client: Any, run_id: str, path: str, into: Path) -> Path:
    """Bring a file into a folder."""
    repository = _of_client(client, run_id)
    if repository is None:
        return Path(client.download_artifacts(run_id, path, str(into)))
    return Path(repository.download_artifacts(path, str(into)))


def _of_client(client: Any, run_id: str) -> Any | None:
    """The artifacts of a run on the client's server; None where MLflow's own client finds them."""
    import mlflow
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    uri = str(client.tracking_uri)
    if not uri.startswith(("http://", "https://")) or uri == mlflow.get_tracking_uri():
        return None
    held = str(client.get_run(run_id).info.artifact_uri)
    if not held.startswith(_HELD_BY_SERVER):
        return None
    return get_artifact_repository(MlflowArtifactsRepository.resolve_uri(held, uri))
