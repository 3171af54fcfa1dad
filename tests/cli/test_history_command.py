"""``aims history`` and ``aims verify``: what a person and an auditor read."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.evidence import now, sha256_of
from aims_mlflow.gate.entries import Actor, FoundEntry, Identity, Target

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import assess, make_version, write_policy
from log_kit import Intruder, log_of, move

BOB = Actor(name="bob", identity=Identity.AUTHENTICATED)


@pytest.fixture
def told(mlflow_store, tmp_path):
    """A model whose first version served for ten days and was followed by the second, five days ago."""
    write_policy(tmp_path)
    assess(MlflowClient(), make_version(MlflowClient()))
    log = log_of(mlflow_store)
    start = now() - timedelta(days=15)
    log.append(move(1, "credit", at=start, actor=BOB, evidence_sha256=sha256_of(b"e"), reason="first"))
    log.append(move(3, "credit", at=start + timedelta(days=5), outcome="refuse", problems=("A.7.4: stale",)))
    entry = aims_mlflow.approve("credit", 1, person="Ann\x1b[31m", role="owner")
    log.append(move(2, "credit", at=start + timedelta(days=10), approved=(entry.digest,), actor=BOB))
    return start


def run(*arguments, **environment):
    return CliRunner().invoke(aims, [str(a) for a in arguments], env=environment)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_who_served_since_when_moved_by_whom_on_what(told, width):
    done = run("history", "credit", COLUMNS=str(width))
    assert done.exit_code == 0, done.output
    flat = " ".join(done.stdout.split())
    for text in ("champion", "bob", "allowed", "A.7.4", "owner"):
        assert text in flat
    assert "\x1b" not in done.stdout


def test_a_wide_terminal_shows_what_it_rested_on(told):
    flat = " ".join(run("history", "credit", COLUMNS="220").stdout.split())
    assert f"evidence {sha256_of(b'e')[:19]}" in flat
    assert "approved by Ann" in flat


def test_json_answers_the_question_and_for_a_date_what_was_true_then(told):
    present = json.loads(run("history", "credit", "--json").stdout)
    assert [(s["target"]["name"], s["version"], s["by"]["name"]) for s in present["current"]] == [
        ("champion", "2", "bob")
    ]
    assert [s["until"] is None for s in present["servings"]] == [False, True]
    then = f"{told + timedelta(days=7):%Y-%m-%d}"
    past = json.loads(run("history", "models:/credit", "--json", "--at", then).stdout)
    assert [(s["version"], s["until"]) for s in past["servings"]] == [("1", None)]
    assert past["entries"] == 2
    assert len(past["refusals"]) == 1
    before = json.loads(run("history", "credit", "--json", "--at", "2020-01-01").stdout)
    assert (before["current"], before["entries"]) == ([], 0)


def test_no_log_and_no_date_are_said(told):
    assert "there is no log of 'nope'" in run("history", "nope").stderr
    assert run("history", "nope").exit_code == 2
    assert run("history", "credit", "--at", "yesterday").exit_code == 2


def test_a_moment_to_come_is_refused_and_today_is_now(told):
    for at in (f"{now() + timedelta(days=1):%Y-%m-%d}", f"{now() + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"):
        done = run("history", "credit", "--at", at)
        assert (done.exit_code, "is in the future" in done.stderr) == (2, True)
    today = json.loads(run("history", "credit", "--json", "--at", f"{now():%Y-%m-%d}").stdout)
    assert (today["entries"], today["at"] <= f"{now():%Y-%m-%dT%H:%M:%SZ}") == (4, True)


def test_who_ran_reconcile_found_it_and_did_not_move_it(told, mlflow_store):
    found = FoundEntry(
        number=1, at=now(), model="credit", version="3", level="detected", actor=Actor(name="root"),
        target=Target(kind="alias", name="champion"), from_version="2", finding="alias champion names version 3",
    )  # fmt: skip
    log_of(mlflow_store).append(found)
    flat = " ".join(run("history", "credit", COLUMNS="300").stdout.split())
    assert f"found at {found.at:%Y-%m-%d %H:%M} (after {told + timedelta(days=10):%Y-%m-%d %H:%M})" in flat
    assert "unknown, found by root" in flat
    assert "root (claimed)" not in flat
    assert "found: alias champion names version 3" in flat
    assert "reason: first" in flat


def test_one_entry_is_one_entry(mlflow_store, tmp_path):
    log_of(mlflow_store).append(move(1, "credit"))
    assert "credit: 1 entry in the log." in run("history", "credit").stdout
    assert "Whole: 1 entry of 1 model" in run("verify").stdout


def test_an_approval_taken_back_afterwards_is_shown_as_such(told):
    aims_mlflow.withdraw("credit", 1, person="Ann\x1b[31m")
    assert "owner (withdrawn since)" in " ".join(run("history", "credit", COLUMNS="300").stdout.split())


def test_a_history_that_was_tampered_with_is_not_told(told, mlflow_store):
    intruder = Intruder(mlflow_store)
    intruder.put(intruder.entry(1, "credit").model_copy(update={"version": "9"}), "credit")
    done = run("history", "credit")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "altered" in done.stderr


def test_verify_leaves_with_0_for_whole_1_for_damage_and_2_for_out_of_reach(told, mlflow_store):
    done = run("verify")
    assert (done.exit_code, "Whole: 4 entries of 1 model, 4 of them anchored." in done.stdout) == (0, True)
    Intruder(mlflow_store).remove(4, "credit")
    done = run("verify", "credit", COLUMNS="200")
    assert done.exit_code == 1
    assert "cut" in done.stdout
    assert "the log ends at entry 3; the anchor file knows entries up to 4" in done.stdout
    found = json.loads(run("verify", "--json").stdout)
    assert (found["intact"], found["problems"][0]["damage"], found["problems"][0]["number"]) == (False, "cut", 4)
    assert run("verify", "--tracking-uri", "http://127.0.0.1:1").exit_code == 2


def test_an_auditor_keeps_an_anchor_file_of_his_own(told, mlflow_store, tmp_path):
    own = tmp_path / "audit" / "anchors.jsonl"
    assert run("verify", "--anchors", own).exit_code == 2
    assert "1 line was added" in run("verify", "--anchors", own, "--pin").stdout
    assert run("verify", "--anchors", own).exit_code == 0
    intruder = Intruder(mlflow_store)
    intruder.put(intruder.entry(4, "credit").model_copy(update={"version": "9"}), "credit")
    (tmp_path / ".state" / "aims-mlflow" / "anchors.jsonl").unlink()
    assert run("verify").exit_code == 1
    assert "rewritten" in run("verify", "--anchors", own).stdout


def test_with_the_gates_key_an_entry_of_its_own_must_have_it(told):
    done = run("verify", "--gate-key", "ed25519:" + "A" * 43 + "=")
    assert done.exit_code == 1
    assert "signature" in done.stdout


def test_no_log_and_no_key_are_no_verdict(told):
    done = run("verify", "nomodel")
    assert (done.exit_code, "there is no log of 'nomodel'" in done.stderr) == (2, True)
    assert run("verify", "models:/credit").exit_code == 0
    done = run("verify", "--gate-key", "ed25519:abc")
    assert (done.exit_code, "is no public key" in done.stderr) == (2, True)
    assert run("verify", "--gate-key", "A" * 43 + "=").exit_code == 2


def test_a_log_that_is_accepted_is_said_to_be_and_the_exit_code_is_0(told, mlflow_store):
    Intruder(mlflow_store).remove(4, "credit")
    assert run("verify").exit_code == 1
    done = run("verify", "--pin", COLUMNS="300")
    assert (done.exit_code, "Accepted: from now on" in done.stdout) == (0, True)
    assert "an AIMS_ANCHORS of its own" in done.stdout
    assert run("verify").exit_code == 0


def test_what_cannot_be_accepted_is_not(told, mlflow_store):
    intruder = Intruder(mlflow_store)
    intruder.put(intruder.entry(1, "credit").model_copy(update={"version": "9"}), "credit")
    done = run("verify", "--pin")
    assert (done.exit_code, "Accepted" in done.stdout) == (1, False)
