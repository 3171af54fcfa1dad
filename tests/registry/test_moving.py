"""Asking the gate and promoting through it, from a client whose server has no gate and from one whose server has."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import aims_mlflow
from aims_mlflow.errors import InputError
from aims_mlflow.gate.decision import DecisionOutcome
from aims_mlflow.registry.moving import gate_version, promote_version
from test_api import log_all, log_model

EASY = {"easy": {"controls": ["A.7.4"], "evidence": ["data_quality"]}}


def declare(folder, **gate):
    rules = [
        {"aliases": ["champion"], "profile": "easy"},
        {"stages": ["Production"], "profile": "easy"},
        {"models": ["*-prod"], "new_versions": True, "profile": "easy"},
        {"aliases": ["strict"], "profile": "high"},
    ]
    content = {
        "system": {"id": "loans", "risk_class": "minimal"},
        "performance": {"metrics": {"test_accuracy": {"min": 0.5}}},
        "gate": {"guarded": rules, "profiles": EASY} | gate,
    }
    (folder / "aims.yaml").write_text(yaml.safe_dump(content))


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


def aliases(name="m"):
    return {k: str(v) for k, v in MlflowClient().get_registered_model(name).aliases.items()}


def test_a_version_with_its_evidence_may_move_and_asking_moves_nothing(version):
    decision = gate_version("models:/m/1", alias="champion")
    assert decision.outcome is DecisionOutcome.ALLOW
    assert aliases() == {}


def test_a_promotion_moves_it_and_says_who_decided(version):
    made = promote_version("models:/m/1", alias="champion", reason="better than before")
    assert aliases() == {"champion": "1"}
    assert made.made_by == "advised"
    assert made.decision.outcome is DecisionOutcome.ALLOW


def test_a_stage_and_a_copy_go_through_the_gate_too(version):
    promote_version("models:/m/1", stage="Production")
    assert MlflowClient().get_model_version("m", "1").current_stage == "Production"
    assert promote_version("models:/m/1", to_model="m-prod").version == "1"
    assert MlflowClient().get_model_version("m-prod", "1").source.startswith("models:/")


def test_a_refused_promotion_moves_nothing_and_gives_reason_and_remedy(version):
    with pytest.raises(MlflowException, match=r"AIMS refused: A\.4\.3 .*Next: ") as raised:
        promote_version("models:/m/1", alias="strict")
    assert raised.value.error_code == "PERMISSION_DENIED"
    assert aliases() == {}


def test_evidence_that_changed_since_the_assessment_does_not_count(version):
    MlflowClient().set_tag(version, "aims.evidence", "sha256:" + "0" * 64)
    decision = gate_version("models:/m/1", alias="champion")
    assert [p.id for p in decision.problems] == ["content"]
    assert "evidence changed" in decision.problems[0].what


def test_model_files_that_changed_since_the_assessment_do_not_count(version):
    from aims_mlflow import api

    place = api.resolve(MlflowClient(), "models:/m/1")
    folder = mlflow.artifacts.download_artifacts(place.files_uri)
    with (Path(folder) / "MLmodel").open("a") as file:
        file.write("# changed\n")
    assert "files changed" in gate_version("models:/m/1", alias="champion").problems[0].what
    with pytest.raises(MlflowException, match="files changed"):
        promote_version("models:/m/1", alias="champion")


def test_datasets_logged_after_the_assessment_do_not_count(version):
    from mlflow.entities import Dataset, DatasetInput

    other = DatasetInput(Dataset(name="x", digest="y", source_type="local", source="{}"), [])
    MlflowClient().log_inputs(version, [other])
    assert "datasets changed" in gate_version("models:/m/1", alias="champion").problems[0].what


def test_a_version_of_other_content_has_no_share_in_the_assessment(version, mlflow_store):
    with mlflow.start_run():
        log_model(registered_model_name="m", seed=9)
    tags = MlflowClient().get_model_version("m", "1").tags
    for key in ("aims.vsa", "aims.status", "aims.gate"):
        MlflowClient().set_model_version_tag("m", "2", key, tags[key])
    decision = gate_version("models:/m/2", alias="champion")
    assert decision.refused
    assert {p.id for p in decision.problems} == {"content"}


def test_a_copy_of_the_same_content_keeps_its_evidence(version):
    MlflowClient().copy_model_version("models:/m/1", "other")
    assert gate_version("models:/other/1", alias="champion").outcome is DecisionOutcome.ALLOW


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("models:/m/1", {}),
        ("models:/m/1", {"alias": "a", "stage": "Production"}),
        ("models:/m", {"alias": "champion"}),
        ("m/1", {"alias": "champion"}),
        ("runs:/abc/model", {"alias": "champion"}),
    ],
)
def test_what_names_no_one_version_and_one_target_is_an_error(version, target, where):
    with pytest.raises(InputError):
        gate_version(target, **where)


def test_a_version_that_does_not_exist_is_an_error_and_no_refusal(version):
    with pytest.raises(MlflowException):
        gate_version("models:/m/99", alias="champion")


def test_without_a_policy_every_move_is_refused(version, tmp_path):
    (tmp_path / "aims.yaml").write_text("version: 1\n")
    decision = gate_version("models:/m/1", alias="champion")
    assert [p.id for p in decision.problems] == ["policy"]
    assert decision.refused


def test_a_name_that_holds_an_at_sign_is_a_name(version):
    MlflowClient().copy_model_version("models:/m/1", "a@b")
    assert gate_version("models:/a@b/1", alias="champion").outcome is DecisionOutcome.ALLOW
    assert aims_mlflow.assess("models:/a@b/1", attach=False).subject.model.version == "1"
