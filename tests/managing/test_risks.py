"""The risk register in MLflow: opened, treated, accepted, reviewed and closed by hand, and updated by rule."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.risk_rules import update_risks
from aims_mlflow.managing.risks import (
    accept_risk,
    close_risk,
    open_risk,
    review_risk,
    revise_risk,
    risk_register,
    search_risks,
    treat_risk,
)

sys.path.insert(0, str(Path(__file__).parent))
from risk_store import drifts, serve, write_declaration

GIVEN = {"source": "training_data", "likelihood": 3, "consequence": 4, "owner": "Risk office", "systems": "loans"}


@pytest.fixture
def place(mlflow_store, tmp_path):
    write_declaration(tmp_path)
    return mlflow_store


def codes(id_):
    (line,) = [one for one in risk_register().lines if one.id == id_]
    return [fault.code for fault in line.faults]


def test_a_risk_goes_from_opening_to_closing_and_every_step_stays_readable(place):
    first = aims_mlflow.open_risk("Labels favour one group", **GIVEN)
    assert first.record.id == "labels-favour-one-group"
    assert first.record.content["review_by"] == str(now().date() + timedelta(days=90))  # level 12 is high
    assert codes(first.record.id) == ["untreated above the limit"]
    treat_risk(first.record.id, treatment="reduce", actions="Relabel.", controls="A.7.4", residual=(1, 4))
    assert codes(first.record.id) == ["not accepted", "without result"]
    accept_risk(first.record.id, by="Head of credit")
    treat_risk(first.record.id, results="Labels were checked.", note="done in May")
    assert codes(first.record.id) == []
    close_risk(first.record.id, results="The model was retired.")
    assert search_risks() == []
    (line,) = search_risks(closed=True)
    assert line.content.accepted_by == "Head of credit"
    assert line.content.log == (f"{now().date()}: done in May",)
    filed, _ = ManagementRecords().store.everything(first.record.link)
    assert [one.record.revision for one in filed] == [1, 2, 3, 4, 5]
    assert filed[0].record == first.record


def test_another_level_voids_the_acceptance_and_a_review_takes_in_the_news(place):
    open_risk("R", id="R-1", **GIVEN, treatment="accept", accepted_by="Ann Lee", accepted_because="So.")
    assert codes("R-1") == []
    review_risk("R-1", likelihood=5, review_by=str(now().date() + timedelta(days=9)))
    (line,) = search_risks()
    assert (line.left, line.content.accepted_by) == (20, None)
    assert line.content.review_by == now().date() + timedelta(days=9)
    with pytest.raises(InputError, match="what is left \\(20\\) lies above the tolerable 6"):
        accept_risk("R-1", by="Ann Lee")
    accept_risk("R-1", by="Ann Lee", reason="The use ends in spring.")
    assert codes("R-1") == []


def test_what_is_given_wrong_files_nothing(place):
    for changes, words in (
        ({"likelihood": 6}, "likelihood: Input should be less than or equal to 5"),
        ({"source": "trainig_data"}, "Did you mean training_data"),
        ({"controls": ("A.7.44",)}, "there is no clause or control 'A.7.44'"),
        ({"systems": "loan"}, "Did you mean loans"),
        ({"review_by": "2020-01-01"}, "is past"),
        ({"review_by": "soon"}, "no date"),
        ({"owner": "Ann Lee and Bo Ek"}, "more than one owner"),
        ({"colour": "red"}, "a risk has no field 'colour'"),
        ({"news": ("x",)}, "not written by hand"),
        ({"links": ("incident:none",)}, "there is no record"),
    ):
        with pytest.raises(InputError) as raised:
            open_risk("R", **{**GIVEN, **changes})
        assert words in str(raised.value)
    assert search_risks(closed=True) == []
    open_risk("R", id="R-1", **GIVEN)
    for call, words in (
        (lambda: open_risk("R", id="R-1", **GIVEN), "there is a risk 'R-1' already"),
        (lambda: treat_risk("R-2", treatment="avoid"), "Did you mean R-1"),
        (lambda: treat_risk("R-1"), "nothing is said"),
        (lambda: treat_risk("R-1", treatment="reduce", residual=(5, 5)), "more than the risk itself"),
        (lambda: accept_risk("R-1", by=" "), "needs the name"),
        (lambda: close_risk("R-1", results=" "), "closed with a result"),
        (lambda: review_risk("R-1", review_by=date(2020, 1, 1)), "is past"),
        (lambda: revise_risk("R-1", {"titel": "T"}), "Did you mean title"),
        (lambda: search_risks(system="laons"), "Did you mean loans"),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert words in str(raised.value)
    assert search_risks()[0].filed.record.revision == 1


def test_risks_of_the_same_title_have_ids_of_their_own(place):
    assert [open_risk("Søk, & døm!", **GIVEN).record.id for _ in range(2)] == ["s-k-d-m", "s-k-d-m-2"]


def test_a_confirmed_drift_of_a_version_in_service_opens_one_risk_and_the_next_window_revises_it(place):
    version = serve()
    serve("credit", "unused", alias=None)
    serve("orphan")
    assert drifts(version).verdict == "fail"
    first = update_risks()
    assert [one.record.id for one in first.opened] == ["drift-loans"]
    assert first.opened[0].record.owner == "Head of credit"
    assert (first.versions, first.undeclared, first.unread) == (1, ("orphan",), ())
    again = update_risks()
    assert (again.opened, again.revised, len(again.standing)) == ((), (), 1)
    assert drifts(version, shift=5.0, seed=7).verdict == "fail"
    second = update_risks()
    assert [one.record.id for one in second.revised] == ["drift-loans"]
    (line,) = search_risks()
    assert len(line.content.evidence) == 2
    assert [fault.code for fault in line.faults] == ["not weighed", "untreated above the limit"]
    review_risk("drift-loans", note="The income of applicants rose.")
    assert [fault.code for fault in search_risks()[0].faults] == ["untreated above the limit"]


def test_evidence_that_cannot_be_read_is_said_and_is_no_all_clear(place):
    version = serve()
    drifts(version, shift=0.0, seed=0)
    assert update_risks().standing == ()
    MlflowClient().set_tag(version.run_id, "aims.evidence", "sha256:" + "0" * 64)
    done = update_risks()
    assert done.versions == 0
    assert done.unread[0].startswith("credit/1: ")


def test_the_register_of_an_earlier_moment_is_what_it_was_then(place):
    open_risk("R", id="R-1", **GIVEN)
    then = ManagementRecords().state().at
    close_risk("R-1", results="Gone.")
    assert [line.content.status for line in search_risks(at=then)] == ["open"]
    assert search_risks() == []
    assert search_risks(at=then - timedelta(days=1)) == []
