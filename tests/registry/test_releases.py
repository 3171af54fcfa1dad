"""A move through the gate becomes evidence of the release: the controls on deployment rest on it."""

from __future__ import annotations

import mlflow
import pytest
from mlflow import MlflowClient
from test_moving import declare

import aims_mlflow
from aims_mlflow.config import load_settings
from aims_mlflow.delivery.releases import release_records
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Verdict
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.moving import promote_version
from test_api import log_all, log_model


@pytest.fixture
def version(mlflow_store, tmp_path):
    """``m/1``, trained and assessed."""
    declare(tmp_path)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)
    return run.info.run_id


def row(assessment, name="A.6.2.5"):
    return next(f for f in assessment.findings if f.id == name)


def test_a_promotion_satisfies_the_control_on_deployment_once_it_is_assessed(version):
    assert row(aims_mlflow.assess("models:/m/1")).status == "no-evidence"
    promote_version("models:/m/1", alias="champion", reason="secret name of a person")
    found = row(aims_mlflow.assess("models:/m/1"))
    assert (found.status, found.basis) == ("satisfied", "measured")
    (record,) = aims_mlflow.load_evidence("models:/m/1", "registry_move")
    assert (record.target, record.outcome, record.verdict) == ("alias champion", "allow", Verdict.PASS)
    assert b"secret" not in record.canonical
    entry = TransitionLog(MlflowClient()).read("m")[record.entry - 1]
    assert record.entry_sha256 == entry.digest


def test_assessing_again_adds_nothing(version):
    promote_version("models:/m/1", alias="champion")
    for _ in range(2):
        aims_mlflow.assess("models:/m/1")
    assert len(aims_mlflow.load_evidence("models:/m/1", "registry_move")) == 1


def test_a_move_the_policy_only_observed_is_no_release_under_its_criteria(version, tmp_path):
    declare(tmp_path, mode="observe")
    promote_version("models:/m/1", alias="strict")
    found = row(aims_mlflow.assess("models:/m/1"))
    assert found.status == "not-satisfied"
    assert "A.4.3" in found.reason


def test_a_written_record_of_a_release_does_not_satisfy_it(version):
    aims_mlflow.log_evidence("gate_decision", verdict="pass", reason="x", content={"id": "x"}, run_id=version)
    assert row(aims_mlflow.assess("models:/m/1")).status == "no-evidence"
    with pytest.raises(InputError):
        aims_mlflow.log_evidence("registry_move", verdict="pass", reason="x", content={}, run_id=version)


def test_moves_of_other_content_say_nothing_of_this_version(version):
    promote_version("models:/m/1", alias="champion")
    log = TransitionLog(MlflowClient()).read("m")
    model = aims_mlflow.load_assessment("models:/m/1").subject.model
    assert len(release_records(log, model)) == 1
    assert release_records(log, model.model_copy(update={"sha256": "sha256:" + "0" * 64})) == []
    assert release_records(log, model.model_copy(update={"version": "2"})) == []
    assert release_records(log, None) == []


def test_a_signed_assessment_is_left_alone_by_who_cannot_sign(version, monkeypatch):
    monkeypatch.setenv("AIMS_SIGNING_KEY", new_key().pem().decode())
    aims_mlflow.assess("models:/m/1")
    before = (MlflowClient().get_run(version).data.tags, MlflowClient().get_model_version("m", "1").tags)
    monkeypatch.delenv("AIMS_SIGNING_KEY")
    with pytest.raises(InputError, match="AIMS_SIGNING_KEY"):
        aims_mlflow.assess("models:/m/1")
    assert (MlflowClient().get_run(version).data.tags, MlflowClient().get_model_version("m", "1").tags) == before
    assert aims_mlflow.assess("models:/m/1", attach=False).findings
    assert load_settings().declaration.gate is not None
