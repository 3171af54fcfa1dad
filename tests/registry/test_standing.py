"""What a version's signposts and reports say of the gate, before and after people spoke."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from test_moving import declare

import aims_mlflow
from aims_mlflow import api
from aims_mlflow.cli import aims
from test_api import log_all, log_model

SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()


@pytest.fixture
def version(mlflow_store, tmp_path, monkeypatch):
    """``m/1``, trained and assessed; ``strict`` wants more than it has."""
    declare(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)
    return run.info.run_id


def row():
    return MlflowClient().get_model_version("m", "1")


def gate_tag():
    return json.loads(row().tags["aims.gate"])


def test_after_training_the_version_says_what_the_gate_would_answer(version):
    assert (gate_tag()["champion"], gate_tag()["strict"]) == ("allow", "refuse")
    first, _, rest = row().description.partition("\n")
    assert first.startswith("AIMS: ")
    assert "BREAK-GLASS" not in first
    assert "Gate: alias champion ✓ may move, stage Production ✓ may move, alias strict ✗ refused" in rest
    report = api.load_report(version).decode()
    assert "<h2>Gate</h2>" in report
    assert "0 of 2 approvals" in report


def test_a_break_glass_shows_first_on_the_version_and_in_red_on_every_report(version):
    aims_mlflow.break_glass("m", 1, person="on-call lead", reason="outage of the old model", valid_until=SOON)
    assert gate_tag()["strict"] == "allow-by-waiver"
    assert row().description.startswith(f"AIMS: BREAK-GLASS until {SOON}, ")
    assert "outage of the old model" in row().description
    aims_mlflow.assess("models:/m/1")
    for text in (api.load_report(version).decode(), CliRunner().invoke(aims, ["report", "models:/m/1"]).output):
        assert "outage of the old model" in text
        assert "on-call lead" in text
    assert 'class="alarm" role="alert"' in api.load_report(version).decode()


def test_what_was_withdrawn_is_not_shown_any_more(version):
    aims_mlflow.break_glass("m", 1, person="on-call lead", reason="outage", valid_until=SOON)
    aims_mlflow.withdraw("m", 1, person="on-call lead")
    assert gate_tag()["strict"] == "refuse"
    assert "BREAK-GLASS" not in row().description
    assert "outage" not in CliRunner().invoke(aims, ["report", "models:/m/1"]).output


def test_an_approval_is_named_with_how_its_person_is_known(version):
    aims_mlflow.approve("m", 1, person="Model validation", role="validator", reason="limits are right")
    aims_mlflow.assess("models:/m/1")
    report = api.load_report(version).decode()
    assert "Model validation (claimed)" in report
    assert "validator" in report
    assert "1 of 2 approvals" in report


def test_the_users_own_description_stays(version):
    MlflowClient().update_model_version("m", "1", description="Ours: see the wiki.\n\n" + row().description)
    aims_mlflow.approve("m", 1, person="a")
    assert row().description.startswith("Ours: see the wiki.\n\nAIMS: ")


def test_without_a_policy_nothing_speaks_of_a_gate(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("version: 1\n")
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)
    assert "aims.gate" not in row().tags
    assert "Gate:" not in row().description
    assert "<h2>Gate</h2>" not in api.load_report(run.info.run_id).decode()
