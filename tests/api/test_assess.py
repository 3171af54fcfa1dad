"""``assess`` away from ``aims.yaml``: judged by what the run was captured with, and never in silence with nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import mlflow
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.api.assessing import _missing, _read_place
from aims_mlflow.api.targets import resolve
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.declaration import declared_content, settings_on_record
from aims_mlflow.config import Declaration, Settings
from aims_mlflow.errors import ConfigError
from aims_mlflow.evidence import DeclarationRecord

DECLARED = """\
system: {id: credit, name: Credit scoring, purpose: Rank applications., owner: {name: Credit team}}
columns: {target: label, positive_label: GRANTED-XYZ}
performance: {metrics: {test_accuracy: {min: 0.95}}}
data_quality:
  rules: [{type: expect_column_values_to_be_in_set, kwargs: {column: label, value_set: [GRANTED-XYZ, REFUSED-XYZ]}}]
applicability: {A.10.3: {applicable: false, reason: No supplier takes part.}}
freshness: {A.6.2.4: 7}
attestations:
- {topic: leadership_commitment, statement: It is so., owner: Board, valid_from: 2026-01-01, valid_until: 2099-01-01}
"""


def capture(tmp_path, text=DECLARED, **options):
    """A run captured beside its aims.yaml; its id."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    if text:
        (home / "aims.yaml").write_text(text)
    aims_mlflow.autolog(home / "aims.yaml" if text else None, **options)
    with mlflow.start_run() as run:
        mlflow.log_metric("test_accuracy", 0.9)
    aims_mlflow.autolog(disable=True)
    return run.info.run_id


def conclusions(assessment):
    return {f.id: (f.status, f.reason) for f in assessment.findings}


@pytest.mark.parametrize("options", [{}, {"assess": False}])
def test_a_run_is_judged_alike_with_and_without_its_aims_yaml_at_hand(mlflow_store, tmp_path, caplog, options):
    run_id = capture(tmp_path, **options)
    with caplog.at_level(logging.INFO, "aims_mlflow"):
        away = aims_mlflow.assess(run_id)
    assert "judged by the declaration it was captured with" in caplog.text
    at_home = aims_mlflow.assess(run_id, config=tmp_path / "home" / "aims.yaml")
    assert conclusions(away) == conclusions(at_home)
    assert away.overall == "fail"
    assert conclusions(away)["A.10.3"][0] == "not-applicable"
    assert (away.system_name, away.declaration_sha256) == ("Credit scoring", at_home.declaration_sha256)
    assert away.undeclared == at_home.undeclared
    assert len(aims_mlflow.load_evidence(run_id, "declaration")) == 1


def test_judging_away_after_the_run_was_changed_keeps_what_was_declared(mlflow_store, tmp_path):
    run_id = capture(tmp_path)
    MlflowClient().log_metric(run_id, "test_accuracy", 0.99)
    away = aims_mlflow.assess(run_id)
    assert conclusions(away)["A.10.3"][0] == "not-applicable"
    assert len(aims_mlflow.load_evidence(run_id, "declaration")) == 1


def test_nothing_declared_anywhere_is_said(mlflow_store, tmp_path, caplog):
    run_id = capture(tmp_path, text="")
    with caplog.at_level(logging.WARNING, "aims_mlflow"):
        aims_mlflow.assess(run_id)
    assert "judged with nothing declared" in caplog.text
    caplog.clear()
    aims_mlflow.assess(run_id, config=Declaration())  # asked for in so many words
    assert "judged with nothing declared" not in caplog.text


def test_a_record_that_keeps_too_little_is_no_declaration(mlflow_store, tmp_path, caplog):
    run_id = capture(tmp_path)
    record = aims_mlflow.load_evidence(run_id, "declaration")[0]
    assert settings_on_record([record]).declaration.freshness == {"A.6.2.4": 7}
    for content in ({"system": record.content["system"]}, {**record.content, "later_section": 1}):
        assert settings_on_record([record.model_copy(update={"content": content})]) is None
    assert settings_on_record([]) is None


def test_own_frameworks_that_are_not_here_stop_the_assessment(mlflow_store, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "own.yaml").write_text(
        "framework: {id: own, title: Ours, version: '1'}\ngroups: {g: Group}\ncontrols:\n"
        "- {id: OWN.1, title: T, kind: control, group: g, summary: S., strength: automatic, freshness: annual,\n"
        "   requires: [{id: a, what: a run, evidence: [run], check: EV001, remedy: Log a run to MLflow first.}]}\n"
    )
    run_id = capture(tmp_path, DECLARED + "frameworks: [own.yaml]\n", assess=False)
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        aims_mlflow.assess(run_id)


def test_what_the_record_keeps_quotes_no_data(mlflow_store, tmp_path):
    run_id = capture(tmp_path)
    record = next(r for r in aims_mlflow.load_evidence(run_id) if isinstance(r, DeclarationRecord))
    assert "XYZ" not in record.canonical.decode()
    assert record.content["data_quality"]["rules"][0]["type"] == "expect_column_values_to_be_in_set"


def test_the_content_of_every_declaration_can_be_read_back():
    made = Declaration.model_validate({"performance": {"metrics": {"accuracy": {"min": 0.5}}}})
    assert Declaration.model_validate(declared_content(made)).performance == made.performance


def test_a_version_registered_later_and_elsewhere_gets_the_same_conclusions(mlflow_store, tmp_path):
    from sklearn.dummy import DummyClassifier

    home = tmp_path / "home"
    home.mkdir()
    (home / "aims.yaml").write_text(DECLARED)
    aims_mlflow.autolog(home / "aims.yaml")
    with mlflow.start_run() as run:
        model = mlflow.sklearn.log_model(
            DummyClassifier().fit([[0], [1]], [0, 1]),
            **{"name" if int(mlflow.__version__.split(".")[0]) >= 3 else "artifact_path": "model"},
            pip_requirements=["scikit-learn"],
        )
        mlflow.log_metric("test_accuracy", 0.9)
    aims_mlflow.autolog(disable=True)
    aims_mlflow.autolog()  # another process, another folder
    mlflow.register_model(model.model_uri, "m")
    tags = MlflowClient().get_model_version("m", "1").tags
    assert tags["aims.status"] == mlflow.get_run(run.info.run_id).data.tags["aims.status"] == "fail"


def test_what_only_a_new_version_does_away_with_is_captured_anew_before_the_cycle_is_over(mlflow_store):
    """A version that stays in service is not stale for want of a look at it; files that changed are not renewed."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    frame = pd.DataFrame({"a": [0.0, 1.0, 0.2, 0.8] * 20})
    name = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(LogisticRegression().fit(frame, [0, 1, 0, 1] * 20), **name)
    aims_mlflow.autolog(disable=True)
    client = MlflowClient()
    facts = RunStore(client, run.info.run_id).facts()
    read = _read_place(client, resolve(client, run.info.run_id), facts)
    held = list(aims_mlflow.load_evidence(run.info.run_id))

    def captured(days, models=read, **validity):
        aged = [r.model_copy(update={"captured_at": r.captured_at - timedelta(days=days)}) for r in held]
        found = _missing(facts, aged, models, Settings(Declaration(validity=validity)))
        return {r.kind for r in found} & {"run", "model", "environment", "lineage"}

    assert captured(0) == captured(180) == set()
    renewed = {"run", "model", "environment", "lineage"} if read else {"run", "lineage"}
    assert captured(190) == renewed
    assert captured(190, version_bound_days=730) == set()
    changed = [replace(one, files=one.files[:1]) for one in read]
    assert "model" not in captured(190, changed)
