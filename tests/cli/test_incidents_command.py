"""``aims incident`` and ``aims nonconformity``: what is printed, what ends with which code, what is said of errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).parents[1] / "managing"))
from incident_kit import champion, gated_client, write_policy

from aims_mlflow.cli import aims


@pytest.fixture
def client(mlflow_store, tmp_path):
    write_policy(tmp_path)
    gated = gated_client(mlflow_store)
    champion(gated)
    return gated


def run(*arguments, code=0):
    done = CliRunner().invoke(aims, [str(a) for a in arguments])
    assert done.exit_code == code, f"{arguments}: {done.output} {done.exception!r}"
    return done


def told(*arguments, code=0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_a_serious_incident_from_opening_to_closing(client):
    opened = run(
        "incident", "open", "Scores shifted", "--severity", "serious", "--harm", "death", "--aware-at", "2026-11-20"
    )
    assert "opened: INC-1 (serious, open): Scores shifted" in opened.output
    assert "Art. 73(4), 10 days (death of a person): running, due 2026-11-30 00:00 UTC" in opened.output
    assert "held: credit (entry " in opened.output
    assert "To close it: what was done at once" in opened.output
    listed = run("incident", "list")
    assert "1 incident on file, 1 open" in listed.output
    assert "running, due 2026-11-30" in listed.output
    assert run("gate", "credit", "1", "--to", "champion", code=1)
    missing = run("incident", "close", "INC-1", code=2)
    assert "incident:INC-1: it was not contained yet" in missing.output
    run("incident", "update", "INC-1", "--contained", "taken out", "--cause", "labels", "--note", "seen twice")
    run("incident", "act", "INC-1", "--what", "Audit labels", "--owner", "Data lead", "--due", "2030-01-31")
    run("incident", "act", "INC-1", "--done", "1")
    run("incident", "check", "INC-1", "--effective", "--by", "Validation", "--how", "two weeks")
    noticed = run("incident", "notify", "INC-1", "--to", "authority", "--reference", "MSA-1")
    assert "authority told on" in noticed.output
    assert "held" not in noticed.output
    closed = run("incident", "close", "INC-1", "--note", "back to normal")
    assert "released: credit" in closed.output
    assert "0 open" in run("incident", "list").output
    assert "INC-1" in run("incident", "list", "--all").output
    shown = run("incident", "show", "INC-1")
    for words in (
        "frozen credit/1: model files same, evidence same",
        "closed: back to normal",
        "Cause: labels",
        "Owner Head of credit",
    ):
        assert words in shown.output
    assert run("gate", "credit", "1", "--to", "champion")


def test_json_says_it_for_machines(client):
    opened = told("incident", "open", "Scores shifted", "--severity", "serious", "--widespread")
    assert (opened["id"], opened["status"], opened["systems"]) == ("INC-1", "open", ["loans"])
    assert [c["state"] for c in opened["clocks"]] == ["running"]
    assert [(h["model"], h["state"]) for h in opened["holds"]] == [("credit", "held")]
    listed = told("incident", "list")
    assert [c["id"] for c in listed["cases"]] == ["INC-1"]
    assert (listed["overdue"], listed["unreadable"]) == ([], [])
    assert listed["next_due"]
    shown = told("incident", "show", "INC-1")
    assert shown["frozen"] == [{"version": "credit/1", "model": "same", "evidence": "same", "holds": True}]
    noted = told("incident", "update", "INC-1", "--severity", "minor", "--reason", "a false alarm")
    assert [h["state"] for h in noted["holds"]] == ["released"]
    one = told("nonconformity", "open", "No review", "--row", "9.3.1", "--owner", "CEO")
    assert (one["id"], one["rows"]) == ("NC-1", ["9.3.1"])


def test_what_is_overdue_ends_with_one_and_is_named(client):
    run(
        "incident",
        "open",
        "x",
        "--severity",
        "serious",
        "--harm",
        "critical infrastructure",
        "--aware-at",
        "2026-11-01",
    )
    listed = run("incident", "list", code=1)
    assert "overdue: INC-1: notice to the authority (Art. 73(3)), due 2026-11-03 00:00 UTC" in listed.output
    run("incident", "show", "INC-1", code=1)
    run("incident", "notify", "INC-1", "--not-due", "no high-risk system")
    run("incident", "list")
    assert "not due: no high-risk system" in run("incident", "show", "INC-1").output


def test_an_empty_log_and_its_review(client):
    assert "nobody ever looked at it" in run("incident", "list").output
    reviewed = run("incident", "review", "--statement", "Nothing reported", "--owner", "Head of AI")
    assert "reviewed: incident_log:incident_log by Head of AI, serves until" in reviewed.output
    assert "last entry or review" in run("incident", "list").output
    run("nonconformity", "review", "--statement", "None found", "--owner", "Head of AI", "--system", "loans")
    assert told("nonconformity", "list", "--system", "loans")["last_used"]


def test_a_nonconformity_from_opening_to_closing(client):
    run("nonconformity", "open", "No review", "--row", "9.3.1", "--owner", "CEO", "--found-by", "internal audit")
    run("nonconformity", "update", "NC-1", "--correction", "held now", "--cause", "nobody asked")
    lacking = run("nonconformity", "close", "NC-1", code=2)
    assert 'aims nonconformity act NC-1 --what "..."' in lacking.output
    run("nonconformity", "act", "NC-1", "--what", "Calendar", "--owner", "CEO", "--due", "2030-01-31")
    run("nonconformity", "check", "NC-1", "--effective", "--by", "A", "--how", "b", code=2)
    run("nonconformity", "act", "NC-1", "--done", "1")
    run("nonconformity", "check", "NC-1", "--effective", "--by", "Auditor", "--how", "it took place")
    assert "closed: NC-1 (minor, closed)" in run("nonconformity", "close", "NC-1").output
    shown = run("nonconformity", "show", "NC-1")
    assert "not met: 9.3.1; found by internal audit" in shown.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["incident", "open", "x", "--severity", "grave"], "Invalid value"),
        (["incident", "open", "x"], "--severity"),
        (["incident", "open", "x", "--severity", "minor", "--system", "loan"], "loans"),
        (["incident", "open", "x", "--severity", "minor", "--aware-at", "tomorrow"], "neither a day"),
        (["incident", "close", "INC-9"], "no record incident:INC-9"),
        (["incident", "act", "INC-9"], "say what is done"),
        (["incident", "act", "INC-9", "--what", "x"], "owner and a day"),
        (["incident", "notify", "INC-9"], "who was told"),
        (["incident", "list", "--system", "nowhere"], "no system 'nowhere'"),
        (["incident", "list", "--at", "2099-01-01"], "in the future"),
        (["nonconformity", "open", "x", "--row", "A.99", "--owner", "CEO"], "no clause or control"),
        (["nonconformity", "open", "x", "--row", "7.2"], "owner"),
    ],
)
def test_errors_say_what_where_and_what_next(client, arguments, says):
    done = run(*arguments, code=2)
    assert says in done.output
    assert "Traceback" not in done.output
    assert MlflowClient().get_experiment_by_name("aims-management") is None


def test_without_a_system_of_its_own_models_nothing_is_held_and_that_is_said(client, tmp_path):
    write_policy(tmp_path, "system: {id: loans, owner: {name: A}}\nregistered_models: [nothing]\n")
    opened = run("incident", "open", "x", "--severity", "serious")
    assert "no registered model belongs to its systems, so none is held" in opened.output


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    """Tables wrap where the terminal ends: their words are looked for in whole lines."""
    monkeypatch.setenv("COLUMNS", "200")
