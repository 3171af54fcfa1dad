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
        (("reject", "credit", "1", "--person", "Ann"), "needs a reason"),
        (("waive", "credit", "1", "--person", "A", "--reason", "r", "--valid-until", SOON), "controls"),
        (("waive", "credit", "1", "--control", "A.7.4", "--person", "A", "--reason", "r"), "needs an end"),
        (("withdraw", "credit", "1", "--person", "Ann"), "no review"),
    ],
)
def test_what_is_missing_is_said_with_exit_code_2(version, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert log() == ()


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    done = run("keygen", tmp_path / "keys" / "ann.pem")
    assert done.exit_code == 0
    assert done.stdout.strip() == read_key(tmp_path / "keys" / "ann.pem").public
    assert stat.S_IMODE((tmp_path / "keys" / "ann.pem").stat().st_mode) == 0o600
    again = run("keygen", tmp_path / "keys" / "ann.pem")
    assert again.exit_code == 2
    assert "already" in again.stderr
