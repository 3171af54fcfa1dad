"""What MLflow says of a run, as evidence."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import mlflow
import pytest
from mlflow import MlflowClient

from aims_mlflow.capture.measured import logged_performance
from aims_mlflow.capture.run import (
    MOST_METRICS,
    RunFacts,
    facts_of,
    lineage_record,
    process_environment,
    python_version,
    run_record,
)
from aims_mlflow.config import load_settings
from aims_mlflow.evidence import DatasetRef, ModelRef, Subject, parse_evidence

AT = datetime(2026, 11, 24, tzinfo=UTC)
SHA = "sha256:" + "0" * 64


def facts(**changes):
    given = {
        "run_id": "a" * 32,
        "experiment_id": "1",
        "status": "FINISHED",
        "params": {"depth": "3"},
        "metrics": {"loss": 0.5},
        "tags": {"team": "x"},
        "datasets": (("train", "d1", "training"),),
        "start_time": 1000,
        "end_time": 3500,
    }
    return RunFacts(**{**given, **changes})


def test_a_real_run_is_read_whole(mlflow_store):
    with mlflow.start_run(run_name="n") as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metric("loss", 0.5)
        mlflow.log_input(mlflow.data.from_numpy(__import__("numpy").arange(4.0), name="train"), context="training")
    found = facts_of(MlflowClient().get_run(run.info.run_id))
    assert (found.run_id, found.status, found.name) == (run.info.run_id, "FINISHED", "n")
    assert (dict(found.params), dict(found.metrics)) == ({"depth": "3"}, {"loss": 0.5})
    assert [(name, context) for name, _, context in found.datasets] == [("train", "training")]


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"depth": "4"}},
        {"params": {"depth": "3", "more": "1"}},
        {"metrics": {"loss": 0.5000000001}},
        {"tags": {"team": "y"}},
        {"datasets": (("train", "d2", "training"),)},
        {"run_id": "b" * 32},
        {"start_time": 1001},
    ],
)
def test_the_digest_changes_with_everything_the_caller_logged(changes):
    assert facts(**changes).content_sha256 != facts().content_sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {"team": "x", "aims.status": "pass", "aims.evidence": SHA, "mlflow.note.content": "AIMS"}},
        {"metrics": {"loss": 0.5, "aims/rows_satisfied": 3.0, "aims_drift/current/share_drifted": 0.1}},
        {"status": "RUNNING"},
        {"end_time": None},
    ],
)
def test_what_we_write_and_the_end_of_the_run_do_not_change_the_digest(changes):
    assert facts(**changes).content_sha256 == facts().content_sha256


def test_the_values_of_parameters_stay_in_mlflow():
    record = run_record(facts(params={"key": "top secret"}), subject=Subject(), captured_at=AT)
    assert record.params == ("key",)
    assert "top secret" not in record.model_dump_json()
    other = run_record(facts(params={"key": "other"}), subject=Subject(), captured_at=AT)
    assert record.params_sha256 != other.params_sha256


def test_the_outcome_is_the_one_the_run_was_ended_with():
    record = run_record(
        facts(status="RUNNING"), subject=Subject(), captured_at=AT, status="FAILED", exception="KeyError"
    )
    assert (record.run_status, record.exception, record.duration_seconds) == ("FAILED", "KeyError", 2.5)
    assert "FAILED on KeyError" in record.reason


def test_metrics_that_are_no_numbers_are_null_never_zero():
    record = run_record(
        facts(metrics={"a": float("nan"), "b": float("inf"), "c": 0.0}), subject=Subject(), captured_at=AT
    )
    assert json.loads(record.canonical)["metrics"] == {"a": None, "b": None, "c": 0.0}
    assert parse_evidence(record.canonical).digest == record.digest


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_code_changed_since_the_commit_is_told(tmp_path, monkeypatch):
    from aims_mlflow.capture.run import _is_dirty

    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.chdir(tmp_path)

    def seen(**tags):
        _is_dirty.cache_clear()
        given = {f"mlflow.source.git.{k}": v for k, v in tags.items()}
        return run_record(facts(tags=given), subject=Subject(), captured_at=AT).git_dirty

    assert seen(commit=commit) is False
    (tmp_path / "train.py").write_text("2")
    assert seen(commit=commit) is True
    assert seen(commit="f" * 40) is None
    assert seen(commit=commit, dirty="false") is False
    assert seen() is None


def test_lineage_names_each_link_by_content_where_it_is_known():
    subject = Subject(
        datasets=(DatasetRef(name="train", sha256=SHA, mlflow_digest="d1"),),
        model=ModelRef(model_id="m-1", sha256=SHA),
    )
    known = facts(
        datasets=(("train", "d1", "training"), ("other", "d9", None)),
        model_ids=("m-1", "m-2"),
        tags={"mlflow.parentRunId": "p" * 32},
    )
    record = lineage_record(known, subject=subject, captured_at=AT)
    here = f"run:{'a' * 32}"
    assert {(e.source, e.target, e.relation) for e in record.edges} == {
        (f"run:{'p' * 32}", here, "parent"),
        (f"dataset:train@{SHA}", here, "input"),
        ("dataset:other@mlflow:d9", here, "input"),
        (here, f"model:m-1@{SHA}", "output"),
        (here, "model:m-2", "output"),
    }
    assert record.numbers["inputs_without_content_digest"] == 1


def test_the_environment_of_the_process_lists_versions_and_no_path():
    record = process_environment(subject=Subject(), captured_at=AT)
    assert record.packages["mlflow"] == mlflow.__version__
    assert record.python == python_version()
    assert record.source == "process"
    assert not [v for v in record.packages.values() if "/" in v]


def test_of_many_metrics_those_with_a_limit_are_carried_first_and_the_rest_is_counted():
    many = {f"a_metric_{n:04}": float(n) for n in range(300)} | {"test_accuracy": 0.9, "zeta": 1.0}
    limits = {"test_accuracy": {"min": 0.8}, "zeta": {"max": 2}, "never_logged": {"min": 1}}
    settings = load_settings({"performance": {"metrics": limits}})
    judged = logged_performance(facts(metrics=many), settings, subject=Subject(), at=AT)
    names = {m.name for m in judged.metrics}
    assert len(names) == MOST_METRICS == 200
    assert {"test_accuracy", "zeta"} <= names
    assert "102 more logged metrics are in MLflow and not carried here." in judged.reason
    assert judged.parameters["metrics_left_out"] == 102
    assert judged.parameters["not_logged"] == ["never_logged"]
    run = run_record(facts(metrics=many), subject=Subject(), captured_at=AT, limited=limits)
    assert set(run.metrics) == names
    assert run.numbers["metrics"] == 302
    assert "102 more logged metrics" in run.reason


@pytest.mark.parametrize("count", [1, 199, 200])
def test_up_to_the_cap_all_metrics_are_carried_and_nothing_is_said(count):
    some = {f"m{n}": 1.0 for n in range(count)}
    judged = logged_performance(facts(metrics=some), load_settings({}), subject=Subject(), at=AT)
    assert {m.name for m in judged.metrics} == set(some)
    assert "not carried" not in judged.reason
    assert "metrics_left_out" not in judged.parameters


def test_the_run_of_a_live_capture_carries_the_limited_metric(mlflow_store, tmp_path):
    import aims_mlflow

    (tmp_path / "aims.yaml").write_text("performance: {metrics: {zz_test_accuracy: {min: 0.8}}}\n")
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_metrics({f"a{n}": float(n) for n in range(250)} | {"zz_test_accuracy": 0.9})
    for kind in ("run", "performance"):
        record = aims_mlflow.load_evidence(run.info.run_id, kind)[0]
        carried = record.metrics if kind == "run" else {m.name for m in record.metrics}
        assert "zz_test_accuracy" in carried
        assert len(carried) == 200
        assert "51 more logged metrics" in record.reason
