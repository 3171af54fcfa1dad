"""Every test gets a clean MLflow: own folder, own SQLite store, hooks off, globals put back."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import pytest


@pytest.fixture(autouse=True)
def _clean_place(tmp_path, monkeypatch):
    for name in (
        "AIMS_CONFIG",
        "AIMS_SPOOL_DIR",
        "AIMS_SIGNING_KEY",
        "AIMS_GATE_KEY",
        "AIMS_ANCHORS",
        "AIMS_MLFLOW_AUTOLOG",
        "MLFLOW_RUN_ID",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_REGISTRY_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.chdir(tmp_path)
    yield
    for name in (
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_RUN_ID",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_TRACKING_URI",
    ):  # MLflow sets them itself: a later module would inherit them
        os.environ.pop(name, None)
    mlflow = sys.modules.get("mlflow")
    if mlflow is None:
        return
    if getattr(mlflow, "_aims_mlflow_state", None) is not None:
        import aims_mlflow

        aims_mlflow.autolog(disable=True)
    if hasattr(mlflow, "active_run"):
        while mlflow.active_run() is not None:
            mlflow.end_run()


@pytest.fixture(scope="session")
def _store_template(tmp_path_factory):
    """One migrated database per session: making the tables takes seconds, copying the file takes none."""
    import mlflow

    folder = tmp_path_factory.mktemp("store")
    path = folder / "template.db"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}")
    client.search_experiments()
    return path


@pytest.fixture
def mlflow_store(tmp_path, _store_template):
    """A real SQLite store with its artifacts in the test's folder; returns its URI."""
    import shutil

    import mlflow

    before = mlflow.get_tracking_uri()
    path = tmp_path / "mlflow.db"
    shutil.copy(_store_template, path)
    uri = f"sqlite:///{path}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("test", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    yield uri
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)
