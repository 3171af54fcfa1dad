"""``log_performance``: names that are misspelt, limits nothing answers to, and the model it speaks of."""

from __future__ import annotations

import re

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.errors import ConfigError, InputError
from aims_mlflow.evidence import PerformanceEvidence

MLFLOW_3 = int(mlflow.__version__.split(".")[0]) >= 3
TRUTH = np.tile([0, 1], 200)


def log(**more):
    return aims_mlflow.log_performance(TRUTH, TRUTH, **{"role": "test", **more})


def test_a_misspelt_metric_of_aims_yaml_is_refused(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("performance:\n  metrics:\n    acuracy: {min: 0.8}\n")
    with mlflow.start_run(), pytest.raises(ConfigError, match=r"aims.yaml:3: .*'acuracy'; did you mean 'accuracy'"):
        log()


def test_a_misspelt_metric_given_as_argument_is_refused(mlflow_store):
    with mlflow.start_run(), pytest.raises(InputError, match="Did you mean 'roc_auc'"):
        log(metrics={"roc_acu": {"min": 0.8}})
    with mlflow.start_run():
        assert log(metrics={"profit_per_case": {"min": 0.8}}).verdict == "not_tested"


@pytest.mark.parametrize("call", ["data_quality", "drift", "performance", "fairness"])
def test_a_misspelt_role_is_refused(mlflow_store, call):
    frame = {"a": TRUTH}
    calls = {
        "data_quality": lambda role: aims_mlflow.log_data_quality(frame, role=role),
        "drift": lambda role: aims_mlflow.log_drift(frame, frame, role=role),
        "performance": lambda role: log(role=role),
        "fairness": lambda role: aims_mlflow.log_fairness(TRUTH, TRUTH, TRUTH, role=role),
    }
    with mlflow.start_run() as run, pytest.raises(InputError, match="Did you mean 'validation'"):
        calls[call]("validaton")
    assert aims_mlflow.load_evidence(run.info.run_id) == []


@pytest.mark.parametrize("role", ["Validation", "calibration_2", "test_2", None])
def test_other_roles_are_taken(mlflow_store, role):
    with mlflow.start_run():
        assert log(role=role, name="held out").dataset.role == ("validation" if role == "Validation" else role)


def test_a_declared_limit_without_a_value_keeps_the_row_open(mlflow_store, tmp_path):
    """A.6.2.4 is not met by the limits that happen to have values."""
    file = tmp_path / "aims.yaml"
    with mlflow.start_run() as run:
        log()
    reasons = {}
    for name in ("accuracy", "profit_per_case", "r2", "roc_auc"):  # of one's own; of another task; without scores
        file.write_text(f"performance: {{metrics: {{accuracy: {{min: 0.8}}, {name}: {{min: 0.1}}}}}}\n".replace(
            "accuracy: {min: 0.8}, accuracy: {min: 0.1}", "accuracy: {min: 0.1}"
        ))  # fmt: skip
        with mlflow.start_run(run_id=run.info.run_id):
            log()
        found = aims_mlflow.assess(run.info.run_id, attach=False)
        row = next(f for f in found.findings if f.id == "A.6.2.4")
        reasons[name] = next(c for c in row.checks if c.requirement == "pass_marks")
    assert reasons["accuracy"].outcome == "pass"
    for name in ("profit_per_case", "r2", "roc_auc"):
        assert reasons[name].outcome == "missing", name
        assert name in reasons[name].reason


def test_a_metric_of_ones_own_that_is_logged_closes_its_limit(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text(
        "performance: {metrics: {accuracy: {min: 0.8}, test_profit_per_case: {min: 0.1}}}\n"
    )
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log()
        mlflow.log_metric("test_profit_per_case", 0.5)
    found = aims_mlflow.load_evidence(run.info.run_id, "performance")
    assert len(found) == 2
    row = next(f for f in aims_mlflow.assess(run.info.run_id).findings if f.id == "A.6.2.4")
    assert next(c for c in row.checks if c.requirement == "pass_marks").outcome == "pass"


# The model it is about


@pytest.fixture
def two_models(mlflow_store):
    """A run with two logged models, the second one registered as version 1 of ``m``."""
    from sklearn.dummy import DummyClassifier

    made = []
    with mlflow.start_run() as run:
        for name, answer in (("first", 0), ("second", 1)):
            model = DummyClassifier(strategy="constant", constant=answer).fit(TRUTH[:, None], TRUTH)
            made.append(
                mlflow.sklearn.log_model(
                    model,
                    **{"name" if MLFLOW_3 else "artifact_path": name},
                    signature=mlflow.models.infer_signature(TRUTH[:, None], TRUTH),
                    pip_requirements=["scikit-learn"],
                )
            )
    mlflow.register_model(made[1].model_uri, "m")
    MlflowClient().set_registered_model_alias("m", "champion", "1")
    return run.info.run_id, made


def test_a_registered_version_is_taken_as_the_model(two_models):
    run_id, made = two_models
    with mlflow.start_run(run_id=run_id):
        for uri in ("models:/m/1", "models:/m@champion"):
            subject = log(model=uri).subject.model
            assert (subject.registered_name, subject.version) == ("m", "1")
            if MLFLOW_3:
                assert subject.model_id == made[1].model_id
            else:
                assert subject.sha256
    aims_mlflow.assess(run_id)
    report = aims_mlflow.api.load_report(run_id).decode()
    assert re.search(r"<dt>Model</dt><dd>m version 1, ", report)


@pytest.mark.skipif(not MLFLOW_3, reason="logged models came with MLflow 3")
def test_a_logged_model_is_taken_by_uri_and_id_and_shown(two_models):
    run_id, made = two_models
    first = made[0].model_id
    with mlflow.start_run(run_id=run_id):
        for given in (f"models:/{first}", first):
            assert log(model=given).subject.model.model_id == first
    aims_mlflow.assess(run_id)
    shown = aims_mlflow.api.load_report(run_id).decode()
    assert re.search(rf"<dt>Model</dt><dd>[^<]*{first}", shown)


@pytest.mark.parametrize("wrong", ["models:/m/2", "models:/nobody/1", "models:/m@nobody", "models:/m", "m", "models:/"])
def test_a_model_that_is_none_is_refused(two_models, wrong):
    run_id, _ = two_models
    with mlflow.start_run(run_id=run_id), pytest.raises(InputError):
        log(model=wrong)
    assert not [r for r in aims_mlflow.load_evidence(run_id) if isinstance(r, PerformanceEvidence)]


def test_evidence_of_a_version_counts_for_that_version_only(two_models, tmp_path):
    run_id, _ = two_models
    (tmp_path / "aims.yaml").write_text("performance: {metrics: {accuracy: {min: 0.8}}}\n")
    with mlflow.start_run(run_id=run_id):
        log(model="models:/m/1")
    judged = aims_mlflow.assess("models:/m/1")
    row = next(f for f in judged.findings if f.id == "A.6.2.4")
    assert next(c for c in row.checks if c.requirement == "pass_marks").outcome == "pass"
    other = aims_mlflow.assess(f"runs:/{run_id}/first", attach=False)
    row = next(f for f in other.findings if f.id == "A.6.2.4")
    assert next(c for c in row.checks if c.requirement == "pass_marks").outcome != "pass"
