"""``aims gate`` and ``aims promote``: exit codes, files for CI, and what a person reads."""

from __future__ import annotations

import json
from datetime import timedelta
from xml.etree import ElementTree as Xml

import mlflow
import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.evidence import now
from aims_mlflow.gate.entries import Level
from test_api import log_all, log_model


@pytest.fixture
def version(mlflow_store, tmp_path, monkeypatch):
    """``m/1``, trained and assessed, under a policy that guards three aliases."""
    rules = [
        {"aliases": ["champion"], "profile": "easy"},
        {"aliases": ["strict"], "profile": "high"},
        {"aliases": ["watched"], "profile": "high", "mode": "observe"},
    ]
    profiles = {"easy": {"controls": ["A.7.4"], "evidence": ["data_quality"]}}
    content = {"system": {"id": "loans"}, "gate": {"guarded": rules, "profiles": profiles}}
    (tmp_path / "aims.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    aims_mlflow.autolog()
    with mlflow.start_run():
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)


def run(*arguments):
    return CliRunner().invoke(aims, [str(a) for a in arguments])


def test_the_exit_code_is_the_verdict_and_the_files_say_why(version, tmp_path):
    allowed = run("gate", "m", "1", "--to", "champion")
    assert (allowed.exit_code, "Allowed: m 1 to champion." in allowed.output) == (0, True)
    refused = run("gate", "m", "1", "--to", "strict", "--junit", "j.xml", "--summary", "s.md")
    assert refused.exit_code == 1
    assert "A.4.3" in refused.output
    assert int(Xml.parse("j.xml").getroot().attrib["failures"]) > 1
    assert (tmp_path / "s.md").read_text().startswith("### ✗ AIMS gate: refused")
    assert run("gate", "models:/m/1", "--to", "watched").exit_code == 0
    assert run("gate", "m", "1", "--to", "anything").exit_code == 0
    assert MlflowClient().get_registered_model("m").aliases == {}


def test_json_holds_the_whole_decision(version):
    done = run("gate", "m", "1", "--to", "strict", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["outcome"], found["mode"]) == (1, "refuse", "enforce")
    assert {p["id"] for p in found["problems"]} >= {"A.4.3", "approvals"}
    assert found["policy_sha256"].startswith("sha256:")


def test_what_could_not_be_decided_is_neither_met_nor_not_met(version, tmp_path):
    (tmp_path / "aims.yaml").write_text("version: 1\n")
    assert run("gate", "m", "1", "--to", "champion").exit_code == 2
    assert run("gate", "m", "99", "--to", "champion").exit_code == 2
    assert run("gate", "m", "--to", "champion").exit_code == 2
    assert run("gate", "m", "1").exit_code == 2


def test_a_job_of_github_actions_gets_the_summary_on_its_page(version, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run("gate", "m", "1", "--to", "champion")
    assert page.read_text().startswith("before\n### ✓ AIMS gate: allowed")


def test_promote_moves_what_may_move_and_nothing_else(version):
    done = run("promote", "m", "1", "--to", "champion", "--reason", "better")
    assert (done.exit_code, "moved: m 1 to champion" in done.output) == (0, True)
    refused = run("promote", "m", "1", "--to", "strict", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["reason"].startswith("AIMS refused: ")
    assert {k: str(v) for k, v in MlflowClient().get_registered_model("m").aliases.items()} == {"champion": "1"}


def test_promote_with_options_that_do_not_fit_is_an_error(version):
    assert run("promote", "m", "1", "--to", "champion", "--archive-existing").exit_code == 2
    assert run("promote", "models:/m/1", "1", "--to", "champion").exit_code == 2


def test_what_nothing_guards_is_said_with_what_may_have_been_meant(version):
    done = run("gate", "m", "1", "--to", "chmpion")
    assert (done.exit_code, "Profile" in done.output) == (0, False)
    assert "no rule of the policy names it. Did you mean champion?" in " ".join(done.output.split())
    strict = run("gate", "m", "1", "--to", "chmpion", "--require-guarded")
    assert (strict.exit_code, "Did you mean champion?" in strict.stderr) == (2, True)
    assert run("gate", "m", "1", "--to", "champion", "--require-guarded").exit_code == 0
    away = run("gate", "m", "1", "--to-stage", "archived")
    assert "it leaves service there" in away.output


def test_an_unknown_stage_and_a_missing_target_are_said_with_the_way_out(version):
    typo = run("gate", "m", "1", "--to-stage", "Prodction")
    assert (typo.exit_code, "Did you mean Production?" in typo.stderr) == (2, True)
    assert run("gate", "m", "1", "--to-stage", "pRODUCTION").exit_code == 0
    none = run("gate", "m", "1")
    for name in ("--to-stage", "--to-model", "to_model="):
        assert name in none.stderr


def test_a_refused_promotion_shows_the_table_and_hands_over_the_decision(version):
    done = run("promote", "m", "1", "--to", "strict")
    assert done.exit_code == 1
    assert "Next" in done.stdout
    assert "A.4.3" in done.stdout
    assert done.stderr.startswith("AIMS refused: ")
    found = json.loads(run("promote", "m", "1", "--to", "strict", "--json").stdout)
    assert (found["moved"], found["decision"]["outcome"]) == (False, "refuse")


def test_a_waiver_is_shown_by_whom_until_when_and_why(version, tmp_path):
    until = f"{now() + timedelta(days=3):%Y-%m-%d}"
    glass = ("waive", "m", "1", "--break-glass", "--person", "Ann", "--reason", "outage", "--valid-until", until)
    assert run(*glass).exit_code == 0
    done = run("gate", "m", "1", "--to", "strict", "--junit", "j.xml", "--summary", "s.md")
    said = f"break-glass by Ann until {until} 23:59 UTC: outage"
    assert said in (tmp_path / "s.md").read_text()
    assert Xml.parse("j.xml").find(".//skipped").attrib["message"] == said
    assert "break-glass by Ann" in " ".join(done.output.split())


def test_the_gate_of_this_process_is_not_called_the_servers(version, monkeypatch, mlflow_store, recwarn):
    assert "(decided by a gate in this process)" in run("promote", "m", "1", "--to", "champion").output
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"aims:{mlflow_store}")
    try:
        mlflow.set_registry_uri(f"aims:{mlflow_store}")
        done = run("promote", "m", "1", "--to", "champion")
        assert "(decided by a gate in this process)" in done.output, done.output
        refused = json.loads(run("promote", "m", "1", "--to", "strict", "--json").stdout)
        assert refused["decision"]["outcome"] == "refuse"
        assert run("promote", "m", "1", "--to-stage", "staging").exit_code == 0
    finally:
        mlflow.set_registry_uri(None)
    assert not [w for w in recwarn if "transition_model_version_stage" in str(w.message)]


def test_what_the_servers_gate_let_pass_is_not_called_refused(version, monkeypatch):
    monkeypatch.setattr("aims_mlflow.registry.moving.gate_level", lambda *_: Level.ENFORCED)
    done = run("promote", "m", "1", "--to", "strict")
    assert done.exit_code == 0
    assert done.stdout.startswith("moved: m 1 to strict (the server's gate let it pass)")
    assert "would refuse it: A.4.3" in done.stdout
    assert "Refused" not in done.stdout
