"""A registered version carries its assessment in short, bound to its own files, signed where a key is set."""

from __future__ import annotations

import json

import mlflow
import pytest
import yaml
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.attach.store import RunStore
from aims_mlflow.errors import InputError
from aims_mlflow.gate.signing import new_key
from aims_mlflow.gate.statement import TAG, inputs_digest, read_statement
from test_api import declare, log_all, log_model


def train(**more):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model(registered_model_name="m", **more)
    aims_mlflow.autolog(disable=True)
    return run.info.run_id


def tag_of(name="m", number="1"):
    return MlflowClient().get_model_version(name, number).tags[TAG]


def test_the_statement_agrees_with_the_assessment_the_run_and_the_models_files(mlflow_store, tmp_path):
    declare(tmp_path)
    run_id = train()
    held = read_statement(tag_of(), {})
    stated, judged = held.statement, aims_mlflow.load_assessment("models:/m/1")
    assert held.signed_by is None
    assert {row: str(r.status) for row, r in stated.rows.items()} == {f.id: str(f.status) for f in judged.findings}
    assert stated.model_sha256 == judged.subject.model.sha256
    run = MlflowClient().get_run(run_id)
    assert stated.evidence_sha256 == run.data.tags["aims.evidence"]
    facts = RunStore(MlflowClient(), run_id).facts()
    assert stated.inputs_sha256 == inputs_digest((n, d, c or "") for n, d, c in facts.datasets)
    assert stated.trained_by == run.data.tags["mlflow.user"]


def test_assessing_again_writes_it_anew_and_signs_it_where_a_key_is_set(mlflow_store, tmp_path, monkeypatch):
    declare(tmp_path)
    train()
    before = tag_of()
    key = new_key()
    monkeypatch.setenv("AIMS_SIGNING_KEY", key.pem().decode())
    aims_mlflow.assess("models:/m/1")
    held = read_statement(tag_of(), {"ci": key.public})
    assert tag_of() != before
    assert held.signed_by == "ci"


def test_a_key_that_cannot_be_used_is_an_error_and_not_an_unsigned_statement(mlflow_store, tmp_path, monkeypatch):
    declare(tmp_path)
    train()
    before = tag_of()
    monkeypatch.setenv("AIMS_SIGNING_KEY", str(tmp_path / "absent.pem"))
    with pytest.raises(InputError, match="signing key"):
        aims_mlflow.assess("models:/m/1")
    assert tag_of() == before


def test_a_copy_gets_a_statement_about_the_originals_files(mlflow_store, tmp_path):
    declare(tmp_path)
    train()
    MlflowClient().copy_model_version("models:/m/1", "copy")
    aims_mlflow.assess("models:/copy/1")
    one, two = (read_statement(tag_of(name), {}).statement for name in ("m", "copy"))
    assert (one.model_sha256, one.source) == (two.model_sha256, two.source)


def test_with_a_policy_the_version_says_what_each_guarded_target_would_answer(mlflow_store, tmp_path):
    declare(tmp_path)
    file = tmp_path / "aims.yaml"
    content = yaml.safe_load(file.read_text())
    content["gate"] = {
        "guarded": [
            {"aliases": ["champion"], "profile": "easy"},
            {"stages": ["Production"], "profile": "high"},
            {"models": ["other"], "aliases": ["elsewhere"]},
        ],
        "profiles": {"easy": {"controls": ["A.7.4"]}},
    }
    file.write_text(yaml.safe_dump(content))
    train()
    tags = MlflowClient().get_model_version("m", "1").tags
    said = json.loads(tags["aims.gate"])
    assert said["champion"] == "allow"
    assert said["Production"] == "refuse"
    assert "elsewhere" not in said
    digest = read_statement(tags[TAG], {}).statement.digest
    assert digest.removeprefix("sha256:").startswith(said["digest"])
