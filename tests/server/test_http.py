"""Against a real server: captured, tagged, read back; and nothing lost when it goes away."""

from __future__ import annotations

import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.attach.spool import spooled_files

pytestmark = pytest.mark.server


def frame(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.normal(size=rows), "k": rng.choice(["a", "b"], rows), "y": rng.integers(0, 2, rows)})


def log_model(data, **kwargs):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(data[["x"]], data["y"])
    where = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlflow.sklearn.log_model(model, **where, **kwargs)


def test_a_run_with_data_and_a_registered_model_is_captured_over_http(http_store):
    aims_mlflow.autolog()
    data = frame()
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(data, name="t"), context="training")
        log_model(data, registered_model_name="over-http")
    evidence = aims_mlflow.load_evidence(run.info.run_id)
    assert {"run", "dataset", "data_quality", "model", "environment", "lineage", "declaration"} <= {
        r.kind for r in evidence
    }
    version = MlflowClient().search_model_versions("name='over-http'")[0]
    full = MlflowClient().get_model_version("over-http", version.version)
    assert {t for t in full.tags if t.startswith("aims.")} == {
        "aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence", "aims.vsa",
    }  # fmt: skip
    assert full.tags["aims.evidence"] == mlflow.get_run(run.info.run_id).data.tags["aims.evidence"][:23]
    assert aims_mlflow.load_assessment(run.info.run_id).subject.model.version == str(version.version)
    assert full.description.startswith("AIMS: ")


def test_a_version_registered_after_the_run_gets_its_conclusions(http_store):
    aims_mlflow.autolog()
    data = frame()
    with mlflow.start_run() as run:
        logged = log_model(data)
    version = mlflow.register_model(logged.model_uri, "later")
    tags = MlflowClient().get_model_version("later", version.version).tags
    assert tags["aims.evidence"] == mlflow.get_run(run.info.run_id).data.tags["aims.evidence"][:23]


def test_assess_reads_a_version_back_from_the_server_and_hashes_its_files_again(http_store):
    aims_mlflow.autolog()
    data = frame()
    with mlflow.start_run():
        log_model(data, registered_model_name="assessed")
    aims_mlflow.autolog(disable=True)
    MlflowClient().set_registered_model_alias("assessed", "champion", "1")
    assessment = aims_mlflow.assess("models:/assessed@champion")
    assert assessment.subject.model.registered_name == "assessed"
    recorded = aims_mlflow.load_evidence("models:/assessed/1", "model")
    assert {r.subject.model.sha256 for r in recorded} == {assessment.subject.model.sha256}


def test_evidence_of_a_run_whose_server_went_away_is_spooled_and_delivered_later(http_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    aims_mlflow.autolog()
    run = mlflow.start_run()
    mlflow.log_input(mlflow.data.from_pandas(frame(), name="t"), context="training")
    http_store.stop()
    with pytest.raises(mlflow.MlflowException):
        mlflow.end_run()
    assert len(spooled_files()) == 1
    assert aims_mlflow.flush().kept == [str(spooled_files()[0])]
    http_store.start()
    result = aims_mlflow.flush()
    assert result.delivered == [run.info.run_id]
    assert spooled_files() == []
    assert aims_mlflow.load_evidence(run.info.run_id, "data_quality")


def test_explicit_logging_without_a_server_returns_the_evidence_and_spools_it(http_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with mlflow.start_run() as run:
        pass
    http_store.stop()
    try:
        record = aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=run.info.run_id)
    finally:
        http_store.start()
    assert record.content == {"a": 1}
    assert aims_mlflow.flush().delivered == [run.info.run_id]
    assert aims_mlflow.load_evidence(run.info.run_id, "my.kind")[0].digest == record.digest
