"""Impact assessments in MLflow: bound to the version's files, filled in from its evidence, stale on what came since."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.errors import InputError
from aims_mlflow.managing.impacts import assess_impact, search_impacts, show_impact
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.risk_rules import update_risks

sys.path.insert(0, str(Path(__file__).parent))
from risk_store import ASSESSED, drifts, measures, serve, write_declaration


@pytest.fixture
def version(mlflow_store, tmp_path):
    write_declaration(tmp_path)
    return serve()


def file_it(model="models:/credit/1", **changes):
    return assess_impact({**ASSESSED, **changes}, system="loans", model=model, owner="Product", approver="Board")


def status(version="1"):
    judged = aims_mlflow.assess(f"models:/credit/{version}", attach=False)
    return next(str(one.status) for one in judged.findings if one.id == "A.5.5")


def test_the_measured_numbers_are_those_of_the_evidence_and_what_is_declared_is_filled_in(version):
    performance, fairness = measures(version)
    done = file_it("models:/credit@champion")
    content = done.state.content
    assert (done.filed.record.id, done.state.word) == ("loans-credit-1", "current")
    assert (content.registered_name, content.version) == ("credit", "1")
    assert (content.intended_use, content.misuse) == ("Support of a clerk's decision.", ("automatic refusal",))
    assert content.affected == ("applicants",)
    by_name = {one.name: one for one in content.measured}
    estimate = next(m.estimate for m in performance.metrics if m.name == "accuracy")
    assert (by_name["accuracy"].value, by_name["accuracy"].low) == (estimate.value, estimate.low)
    assert by_name["accuracy"].evidence == performance.digest
    group = next(one for name, one in by_name.items() if name.startswith("true_positive_rate [sex="))
    assert (group.evidence, group.n is not None) == (fairness.digest, True)
    assert content.model_sha256.startswith("sha256:")


def test_a_new_version_is_stale_until_it_is_assessed_itself(version):
    file_it()
    assert status() == "satisfied"
    serve("credit", "other weights")
    assert status("2") == "stale"
    found = search_impacts()
    assert [state.word for state in found.states] == ["current"]
    assert found.uncovered == ("credit/2: new model version: no impact assessment covers it",)
    assert found.idle == {"loans-credit-1"}
    assert not found.all_hold
    file_it("models:/credit/2")
    assert status("2") == "satisfied"
    assert search_impacts().all_hold
    file_it("models:/credit/1", conclusion="not acceptable")
    assert search_impacts().all_hold  # of a version that does not serve
    MlflowClient().set_registered_model_alias("credit", "fallback", "1")
    assert not search_impacts().all_hold


def test_drift_measured_since_makes_it_stale_before_and_after_the_risk_is_opened(version):
    file_it()
    assert search_impacts().all_hold
    drifts(version)
    assert status() == "stale"
    (state,) = search_impacts().states
    assert [trigger.code for trigger in state.triggers] == ["confirmed drift"]
    update_risks()
    (state,) = search_impacts().states
    assert [trigger.code for trigger in state.triggers] == ["confirmed drift"]
    assert show_impact("loans-credit-1").word == "stale"
    renewed = file_it()
    assert (renewed.filed.record.revision, renewed.state.word) == (2, "current")
    assert status() == "satisfied"


def test_the_record_of_the_system_changes_and_the_assessment_is_stale(version):
    records = ManagementRecords()
    declared = {"name": "Loan scoring", "intended_use": "Support of a clerk.", "data_sources": ["applications"]}
    records.file("system", declared, id="loans", owner="Head of credit")
    content = file_it().state.content
    assert (content.data_sources, content.declared_use) == (("applications",), "Support of a clerk.")
    assert show_impact("loans-credit-1").word == "current"
    records.file("system", declared | {"regions": ["NO"]}, id="loans", owner="Head of credit")
    assert [trigger.what for trigger in show_impact("loans-credit-1").triggers] == ["new region 'NO'"]
    assert status() == "stale"


def test_found_not_acceptable_it_fails_the_rows(version):
    done = file_it(conclusion="not acceptable", reason="It harms.")
    assert done.state.word == "not acceptable"
    assert status() == "not-satisfied"


def test_before_there_is_a_version_it_covers_none(version):
    done = file_it(model=None)
    assert (done.filed.record.id, done.state.content.model_sha256) == ("loans-design", None)
    assert search_impacts().uncovered == ("credit/1: new model version: no impact assessment covers it",)
    assert status() == "stale"


def test_what_is_given_wrong_files_nothing(version, tmp_path):
    for model, changes, words in (
        ("models:/credit/9", {}, "there is no such version"),
        ("models:/nothing@champion", {}, "there is no such version"),
        ("credit/1", {}, "names no registered version"),
        ("models:/credit/1", {"measured": []}, "filled in, not written by hand"),
        ("models:/credit/1", {"model_sha256": "sha256:" + "0" * 64}, "filled in, not written by hand"),
        ("models:/credit/1", {"efects": []}, "Did you mean effects"),
        ("models:/credit/1", {"conclusion": "fine"}, "conclusion"),
    ):
        with pytest.raises(InputError) as raised:
            file_it(model, **changes)
        assert words in str(raised.value)
    with pytest.raises(InputError, match="Did you mean loans"):
        assess_impact(ASSESSED, system="loan", owner="Product")
    with pytest.raises(InputError, match="it would end on 2020-01-01"):
        assess_impact(ASSESSED, system="loans", owner="Product", valid_until="2020-01-01")
    assert search_impacts().states == ()
    with pytest.raises(InputError, match="There is none yet"):
        show_impact("loans-credit-1")


def test_evidence_that_cannot_be_read_is_said_and_is_no_all_clear(version):
    file_it()
    MlflowClient().set_tag(version.run_id, "aims.evidence", "sha256:" + "0" * 64)
    assert search_impacts().unread[0].startswith("credit/1: ")
    with pytest.raises(aims_mlflow.AimsError):
        show_impact("loans-credit-1")
