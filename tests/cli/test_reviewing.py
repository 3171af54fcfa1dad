"""``aims approve``, ``reject``, ``waive``, ``withdraw``, ``keygen``: exit codes and what a person reads."""

from __future__ import annotations

import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from aims_mlflow.cli import aims
from aims_mlflow.gate.signing import read_key
from aims_mlflow.registry.log import TransitionLog

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import assess, make_version, write_policy

SOON = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"

WAIVE = ("waive", "credit", "1", "--person", "Ann", "--reason", "r", "--valid-until", SOON)


@pytest.fixture
def version(mlflow_store, tmp_path):
    write_policy(tmp_path)
    made = make_version(MlflowClient())
    assess(MlflowClient(), made, rows=("A.6.2.4",))
    return made


def run(*arguments):
    return CliRunner().invoke(aims, [str(a) for a in arguments])


def log():
    return TransitionLog(MlflowClient()).read("credit")


def test_an_approval_is_said_in_one_line(version):
    done = run("approve", "credit", "1", "--to", "champion", "--person", "Ann", "--role", "owner", "--reason", "good")
    assert done.exit_code == 0, done.output
    assert done.stdout == "approved: credit 1, for champion, by Ann as owner (entry 1, identity claimed)\n"
    (entry,) = log()
    assert (entry.targets, entry.reason, entry.role) == (("champion",), "good", "owner")


def test_a_uri_several_targets_and_json(version):
    done = run(
        "reject", "models:/credit/1", "--to", "champion", "--to-stage", "Production", "--person", "Ann", "--reason",
        "bias", "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["decision"], found["targets"]) == ("reject", ["champion", "Production"])
    assert found["digest"] == log()[0].digest


def test_a_waiver_lets_the_move_pass_and_its_withdrawal_stops_it(version):
    assert run("gate", "credit", "1", "--to", "champion").exit_code == 1
    done = run("waive", "credit", "1", "--control", "A.7.4", "--person", "Ann", "--reason", "r", "--valid-until", SOON)
    assert "waived: credit 1, without A.7.4, for every target, by Ann, until" in done.stdout
    assert run("gate", "credit", "1", "--to", "champion").exit_code == 0
    assert run("withdraw", "credit", "1", "--person", "Ann", "--entry", "1").exit_code == 0
    assert run("gate", "credit", "1", "--to", "champion").exit_code == 1


def test_break_glass_is_for_everything(version):
    glass = ("waive", "credit", "1", "--break-glass", "--person", "Ann", "--reason", "outage", "--valid-until")
    assert run(*glass, SOON, "--control", "A.7.4").exit_code == 2
    assert run(*glass, "2999-01-01").exit_code == 2
    assert log() == ()
    assert run(*glass, SOON).exit_code == 0
    assert "by a break-glass" in run("gate", "credit", "1", "--to", "champion").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("approve", "credit", "1"), "--person"),
        (("approve", "credit", "--person", "Ann"), "name one version"),
        (("approve", "models:/credit/1", "2", "--person", "Ann"), "not both"),
        (("approve", "credit", "1", "--person", ""), "not named"),
        (("reject", "credit", "1", "--person", "Ann"), "--reason"),
        (("waive", "credit", "1", "--person", "A", "--reason", "r", "--valid-until", SOON), "controls"),
        (("waive", "credit", "1", "--control", "A.7.4", "--person", "A", "--reason", "r"), "--valid-until"),
        (("withdraw", "credit", "1", "--person", "Ann"), "no review"),
        (("approve", "credit", "1", "--person", "NAME"), "'NAME' is no person"),
        (("approve", "credit", "1", "--person", "Ann", "--reason", "..."), "'...' is no reason"),
        (("approve", "credit", "1", "--person", "Ann", "--role", "<ROLE>"), "is no role"),
        ((*WAIVE, "--control", "A.7.44"), "did you mean 'A.7.4'?"),
        ((*WAIVE, "--control", "data_qualty"), "did you mean 'data_quality'?"),
        ((*WAIVE, "--control", "content"), "cannot be waived"),
    ],
)
def test_what_is_missing_is_said_with_exit_code_2(version, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert log() == ()


def test_short_words_are_words_and_approvals_can_be_waived(version):
    assert run("approve", "credit", "1", "--person", "x", "--reason", "x").exit_code == 0
    assert run(*WAIVE, "--control", "approvals", "--control", "drift").exit_code == 0


def test_what_no_rule_guards_is_taken_and_said(version):
    done = run("approve", "credit", "1", "--to", "chmpion", "--person", "Ann")
    assert (done.exit_code, done.stderr) == (0, "note: no rule guards 'chmpion'; did you mean champion?\n")
    assert run("approve", "credit", "1", "--to-stage", "production", "--person", "Ann").stderr == ""
    assert "--to" not in run("approve", "credit", "1", "--person", "Ann").stderr


def test_a_model_no_rule_is_about_is_said(version):
    assess(MlflowClient(), make_version(MlflowClient(), name="other"))
    done = run("approve", "other", "1", "--person", "Ann", "--json")
    assert (done.exit_code, json.loads(done.stdout)["person"]) == (0, "Ann")
    assert "no rule of the policy is about the model 'other'" in done.stderr


def test_a_withdrawal_says_what_it_takes_back(version):
    run("reject", "credit", "1", "--person", "Ann", "--reason", "bias")
    done = run("withdraw", "credit", "1", "--person", "Ann")
    assert done.stdout.startswith("withdrawn: credit 1, the rejection of entry 1, by Ann")


def test_what_is_required_is_marked_so_in_the_help():
    flat = " ".join(run("waive", "--help").stdout.split())
    assert "Why. [required]" in flat
    assert "Day or time it ends. [required]" in flat


def test_the_public_key_of_a_file_is_shown_and_nothing_is_made(tmp_path):
    public = run("keygen", tmp_path / "gate.key").stdout
    assert run("keygen", "--show", tmp_path / "gate.key").stdout == public
    assert run("keygen", "--show", tmp_path / "none.key").exit_code == 2
    assert not (tmp_path / "none.key").exists()


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    done = run("keygen", tmp_path / "keys" / "ann.pem")
    assert done.exit_code == 0
    assert done.stdout.strip() == read_key(tmp_path / "keys" / "ann.pem").public
    assert stat.S_IMODE((tmp_path / "keys" / "ann.pem").stat().st_mode) == 0o600
    again = run("keygen", tmp_path / "keys" / "ann.pem")
    assert again.exit_code == 2
    assert "already" in again.stderr


PEOPLE = "  people:\n    Ann: {roles: [model_owner]}\n    Bo: {roles: [model_owner, validation]}\n"


@pytest.fixture
def elsewhere(version, tmp_path, monkeypatch):
    """A policy that names people, and is neither here nor in AIMS_CONFIG."""
    policy = tmp_path / "policy" / "aims.yaml"
    policy.parent.mkdir()
    policy.write_text(Path(tmp_path / "aims.yaml").read_text() + PEOPLE)
    (tmp_path / "aims.yaml").unlink()
    monkeypatch.delenv("AIMS_CONFIG", raising=False)
    return policy


def test_the_policy_given_tells_the_role_of_who_approves(elsewhere):
    done = run("approve", "credit", "1", "--person", "Ann", "--config", elsewhere)
    assert done.exit_code == 0, done.output
    assert "by Ann as model_owner" in done.stdout and done.stderr == ""
    assert log()[-1].role == "model_owner"
    again = run("withdraw", "credit", "1", "--person", "Ann", "--config", elsewhere)
    assert again.exit_code == 0 and log()[-1].role == "model_owner"


@pytest.mark.parametrize(
    ("person", "given", "says"),
    [
        ("Ann", False, "note: no role is recorded: there is no aims.yaml here to tell it; give --role"),
        ("Bo", True, "note: no role is recorded: the policy knows Bo as model_owner, validation; say which"),
        ("Cy", True, "note: no role is recorded: the policy does not know Cy"),
    ],
)
def test_a_role_that_could_not_be_told_is_said(elsewhere, person, given, says):
    done = run("approve", "credit", "1", "--person", person, *(["--config", elsewhere] if given else []))
    assert done.exit_code == 0, done.output
    assert says in done.stderr
    assert log()[-1].role is None


def test_a_policy_that_is_named_and_absent_is_an_error_and_nothing_is_written(elsewhere):
    done = run("approve", "credit", "1", "--person", "Ann", "--config", "none.yaml")
    assert done.exit_code == 2 and "none.yaml" in done.stderr
    assert log() == ()
