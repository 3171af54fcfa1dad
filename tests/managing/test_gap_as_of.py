"""The gap as of a date: what was known and true then, whatever was assessed, moved or filed since."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.evidence import now
from aims_mlflow.managing.gaps import gap
from aims_mlflow.managing.records import ManagementRecords

DECLARED = """
system: {id: loans, name: Loan scoring, risk_class: high, owner: {name: Head of loans}}
registered_models: [credit]
performance: {metrics: {accuracy: {min: 0.5}}}
"""


@pytest.fixture
def served(mlflow_store, tmp_path):
    """A version in service that was assessed."""
    (tmp_path / "aims.yaml").write_text(DECLARED)
    frame = pd.DataFrame({"a": [0.0, 1.0, 0.2, 0.8] * 20, "b": [1.0, 0.0, 0.9, 0.1] * 20})
    name = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        model = LogisticRegression().fit(frame, [0, 1, 0, 1] * 20)
        mlflow.sklearn.log_model(model, **name, registered_model_name="credit", input_example=frame[:2])
    aims_mlflow.autolog(disable=True)
    aims_mlflow.assess("models:/credit/1")
    mlflow.MlflowClient().set_registered_model_alias("credit", "champion", "1")
    return run.info.run_id


def standing(view):
    return {line.id: (str(line.status), line.maturity, line.target) for line in view.shown.lines}


def test_the_gap_of_an_earlier_moment_is_the_one_reported_then(served):
    """Assessed anew since, with evidence that fails; a record filed and one withdrawn."""
    records = ManagementRecords()
    records.file("awareness", {"statement": "All were trained."}, owner="People")
    reported = gap()
    time.sleep(0.01)
    moment = reported.assessment.at
    records.withdraw("awareness", "awareness", reason="It was not so.")
    records.file("resources", {"statement": "We have them."}, owner="Finance")
    with mlflow.start_run(run_id=served):
        aims_mlflow.log_performance([0, 1] * 60, [1, 0] * 60, role="test", name="held out")
    aims_mlflow.assess("models:/credit/1")
    later = gap()
    assert standing(later) != standing(reported)
    assert later.shown.line("A.6.2.4").status == "not-satisfied"
    again = gap(as_of=moment)
    assert standing(again) == standing(reported)
    assert again.shown.summary == reported.shown.summary
    changed = gap(since=moment).trend
    assert "7.1" in {one.id for one in changed.better}
    assert {"7.3"} <= {one.id for one in changed.worse}


def test_what_cannot_be_read_any_more_is_an_error_and_no_pass(served, tmp_path):
    reported = gap()
    moment = reported.assessment.at
    time.sleep(0.01)
    aims_mlflow.assess("models:/credit/1")
    client = mlflow.MlflowClient()
    folder = tmp_path / "artifacts" / served / "artifacts" / "aims"
    for path in sorted(folder.rglob("*.json")):
        if "run-" in path.name:
            path.write_text(path.read_text().replace("{", "{ ", 1))
    then = gap(as_of=moment)
    assert client.get_run(served)
    measured = [line for line in then.shown.lines if line.strength == "automatic"]
    assert {str(line.status) for line in measured} == {"error"}
    assert all("cannot be read" in line.reason for line in measured)


def test_the_command_rebuilds_it_too(served):
    moment = now()
    time.sleep(0.01)
    ManagementRecords().file("awareness", {"statement": "All were trained."}, owner="People")
    done = CliRunner().invoke(aims, ["gap", "--json", "--as-of", moment.isoformat()])
    rows = {one["id"]: one for one in json.loads(done.stdout)}
    assert done.exit_code == 1 and len(rows) == 70
    assert rows["7.3"]["status"] == "needs-attestation"
    yesterday = (now() - timedelta(days=1)).date().isoformat()
    done = CliRunner().invoke(aims, ["gap", "--json", "--as-of", yesterday])
    assert all(one["maturity"] == 0 for one in json.loads(done.stdout))


def test_the_list_of_systems_of_an_earlier_moment_is_the_one_shown_then(served):
    """Declared otherwise since, assessed anew with evidence that fails, and a model registered later."""
    aims_mlflow.declare_system(config="aims.yaml")
    time.sleep(0.01)
    shown = aims_mlflow.search_systems(config="aims.yaml")
    time.sleep(0.01)
    with mlflow.start_run(run_id=served):
        aims_mlflow.log_performance([0, 1] * 60, [1, 0] * 60, role="test", name="held out")
    aims_mlflow.assess("models:/credit/1")
    mlflow.MlflowClient().create_registered_model("later")
    Path("aims.yaml").write_text(DECLARED.replace("high", "minimal"))
    aims_mlflow.declare_system(config="aims.yaml")
    changed = aims_mlflow.search_systems(config="aims.yaml")
    assert changed.systems[0].versions[0].status == "fail" and changed.undeclared == ("later",)
    before = aims_mlflow.search_systems(as_of=shown.at, config="aims.yaml")
    assert before == shown
    done = CliRunner().invoke(aims, ["systems", "--as-of", shown.at.isoformat(), "--json"])
    assert json.loads(done.stdout)["systems"] == json.loads(shown.model_dump_json())["systems"]
    assert "put the options after" in CliRunner().invoke(aims, ["systems", "--as-of", "2026-01-01", "show", "x"]).output
    assert aims_mlflow.search_systems(as_of=shown.at - timedelta(days=3), config="aims.yaml").systems == ()
