"""autolog() on a real SQLite store: every way a run can begin and end, and nothing of the caller's changed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.evidence import CaptureErrorRecord, DatasetRecord, DriftEvidence, ModelRecord, RunRecord

FIVE = {"aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence"}


def frame(rows=400, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40 + shift, 10, rows),
            "income": rng.lognormal(10, 1, rows),
            "kind": rng.choice(["a", "b", "c"], rows),
            "label": rng.integers(0, 2, rows),
        }
    )


def run_of(run_id):
    return MlflowClient().get_run(run_id)


def run_records(run_id):
    return [r for r in aims_mlflow.load_evidence(run_id) if isinstance(r, RunRecord)]


def assert_captured(run_id, status="FINISHED"):
    tags = run_of(run_id).data.tags
    assert set(tags) >= FIVE
    assert len([t for t in tags if t.startswith("aims.")]) == 5
    assert run_records(run_id)[-1].run_status == status
    assessment = aims_mlflow.load_assessment(run_id)
    assert len(assessment.findings) == 70
    return assessment


def test_a_with_block_is_captured(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metric("loss", 0.1)
    assert_captured(run.info.run_id)
    record = run_records(run.info.run_id)[0]
    assert record.params == ("depth",)
    assert record.metrics == {"loss": 0.1}


def test_bare_start_and_end_are_captured(mlflow_store):
    aims_mlflow.autolog()
    run = mlflow.start_run()
    mlflow.end_run()
    assert_captured(run.info.run_id)


def test_a_killed_run_is_captured_as_killed(mlflow_store):
    aims_mlflow.autolog()
    run = mlflow.start_run()
    mlflow.end_run("KILLED")
    assert_captured(run.info.run_id, "KILLED")


def test_a_failed_run_keeps_its_exception_and_names_only_its_class(mlflow_store):
    aims_mlflow.autolog()
    with pytest.raises(ValueError, match="secret 4711"), mlflow.start_run() as run:
        raise ValueError("secret 4711")
    assert_captured(run.info.run_id, "FAILED")
    record = run_records(run.info.run_id)[0]
    assert record.exception == "ValueError"
    assert "4711" not in record.model_dump_json()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_reaches_the_caller_and_the_run_is_captured(mlflow_store, kind):
    aims_mlflow.autolog()
    with pytest.raises(kind), mlflow.start_run() as run:
        raise kind
    assert_captured(run.info.run_id, "FAILED")


def test_nested_runs_are_each_captured_with_their_links(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        mlflow.log_metric("m", 1)
    assert_captured(parent.info.run_id)
    assert_captured(child.info.run_id)
    assert run_records(child.info.run_id)[0].parent_run_id == parent.info.run_id
    assert run_records(parent.info.run_id)[0].child_run_ids == (child.info.run_id,)


def test_client_runs_and_update_run_are_captured(mlflow_store):
    aims_mlflow.autolog()
    client = MlflowClient()
    experiment = client.get_experiment_by_name("test").experiment_id
    one, two = client.create_run(experiment), client.create_run(experiment)
    client.set_terminated(one.info.run_id)
    client.update_run(two.info.run_id, status="FAILED")
    assert_captured(one.info.run_id)
    assert_captured(two.info.run_id, "FAILED")


def test_a_resumed_run_keeps_its_earlier_evidence_and_adds_to_it(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_metric("first", 1)
    before = {r.digest for r in aims_mlflow.load_evidence(run.info.run_id)}
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("second", 2)
    after = aims_mlflow.load_evidence(run.info.run_id)
    assert before <= {r.digest for r in after}
    assert run_records(run.info.run_id)[-1].metrics == {"first": 1.0, "second": 2.0}


def test_ending_a_run_twice_captures_it_once(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        pass
    MlflowClient().set_terminated(run.info.run_id)
    assert len(run_records(run.info.run_id)) == 1


def test_runs_in_threads_are_each_captured_with_their_own_data(mlflow_store):
    aims_mlflow.autolog()
    done = {}

    def work(number):
        data = mlflow.data.from_pandas(frame(100 + number, seed=number), name=f"d{number}")
        with mlflow.start_run(run_name=str(number)) as run:
            mlflow.log_input(data, context="training")
        done[number] = run.info.run_id

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, run_id in done.items():
        found = [r for r in aims_mlflow.load_evidence(run_id) if isinstance(r, DatasetRecord)]
        assert [(r.dataset.name, r.dataset.rows) for r in found] == [(f"d{number}", 100 + number)]


def test_sklearn_autolog_runs_nobody_started_are_captured_with_model_and_data(mlflow_store):
    from sklearn.linear_model import LogisticRegression

    aims_mlflow.autolog()
    mlflow.sklearn.autolog(silent=True)
    try:
        data = frame()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            LogisticRegression(max_iter=200).fit(data[["age", "income"]], data["label"])
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = mlflow.last_active_run()
    assert_captured(run.info.run_id)
    kinds = {type(r) for r in aims_mlflow.load_evidence(run.info.run_id)}
    assert {ModelRecord, DatasetRecord} <= kinds


def test_grid_search_children_are_captured(mlflow_store):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    aims_mlflow.autolog()
    mlflow.sklearn.autolog(silent=True, log_models=False, max_tuning_runs=2)
    try:
        data = frame(120)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GridSearchCV(LogisticRegression(max_iter=50), {"C": [0.1, 1.0]}, cv=2).fit(data[["age"]], data["label"])
    finally:
        mlflow.sklearn.autolog(disable=True)
    runs = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("test").experiment_id])
    assert len(runs) == 3
    for run in runs:
        assert_captured(run.info.run_id)


def test_data_quality_drift_and_model_come_without_further_code(mlflow_store):
    from sklearn.linear_model import LogisticRegression

    aims_mlflow.autolog()
    train, later = frame(2000), frame(2000, shift=30, seed=1)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(train, name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(later, name="later"), context="validation")
        model = LogisticRegression().fit(train[["age"]], train["label"])
        mlflow.sklearn.log_model(
            model, artifact_path="model", signature=mlflow.models.infer_signature(train[["age"]], train["label"])
        ) if int(mlflow.__version__.split(".")[0]) < 3 else mlflow.sklearn.log_model(
            model, name="model", signature=mlflow.models.infer_signature(train[["age"]], train["label"])
        )
    assessment = assert_captured(run.info.run_id)
    evidence = aims_mlflow.load_evidence(run.info.run_id)
    drift = [r for r in evidence if isinstance(r, DriftEvidence)]
    assert len(drift) == 1
    assert {c.column: c.verdict.value for c in drift[0].columns}["age"] == "fail"
    quality = aims_mlflow.load_evidence(run.info.run_id, "data_quality")
    assert {q.dataset.name for q in quality} == {"train", "later"}
    model_record = next(r for r in evidence if isinstance(r, ModelRecord))
    assert model_record.signature_inputs == 1
    assert any(f.path == "MLmodel" for f in model_record.files)
    assert assessment.subject.model.sha256 == model_record.subject.model.sha256


@pytest.mark.parametrize("make", ["numpy", "polars", "pandas"])
def test_datasets_of_other_libraries_are_read(mlflow_store, make):
    data = frame(60)
    if make == "numpy":
        dataset = mlflow.data.from_numpy(data[["age", "income"]].to_numpy(), name="d")
    elif make == "polars":
        pl = pytest.importorskip("polars")
        if not hasattr(mlflow.data, "from_polars"):
            pytest.skip("this MLflow has no polars datasets")
        dataset = mlflow.data.from_polars(pl.from_pandas(data), name="d")
    else:
        dataset = mlflow.data.from_pandas(data, name="d")
    aims_mlflow.autolog()  # after the dataset was made: what counts is that it is logged later
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    found = aims_mlflow.load_evidence(run.info.run_id, "dataset")
    assert [(r.dataset.rows, r.dataset.role) for r in found] == [(60, "training")]


def test_a_dataset_whose_frame_is_out_of_sight_is_an_error_not_an_omission(mlflow_store):
    from mlflow.entities import DatasetInput

    dataset = mlflow.data.from_pandas(frame(60), name="d")
    entity = dataset._to_mlflow_entity()
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        MlflowClient().log_inputs(run.info.run_id, [DatasetInput(dataset=entity, tags=[])])
    errors = [r for r in aims_mlflow.load_evidence(run.info.run_id) if isinstance(r, CaptureErrorRecord)]
    assert {e.of_kind for e in errors} == {"dataset", "data_quality"}


def test_a_frame_changed_after_it_was_logged_is_captured_as_it_was_or_refused(mlflow_store):
    aims_mlflow.autolog()
    array = np.arange(200.0).reshape(100, 2)
    data = frame(100)
    untouched = frame(100)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(data, name="p"), context="training")
        mlflow.log_input(mlflow.data.from_numpy(array, name="n"), context="test")
        data.loc[0, "age"] = -1
        array[0, 0] = -1
    from aims_mlflow.frames import as_table, fingerprint_table

    evidence = aims_mlflow.load_evidence(run.info.run_id)
    errors = [(e.of_kind, e.subject.datasets[0].name) for e in evidence if isinstance(e, CaptureErrorRecord)]
    assert ("dataset", "n") in errors
    pandas_records = [r for r in evidence if isinstance(r, DatasetRecord) and r.dataset.name == "p"]
    if int(pd.__version__.split(".")[0]) >= 3:
        assert pandas_records[0].dataset.sha256 == fingerprint_table(as_table(untouched))
    else:
        assert ("dataset", "p") in errors


def test_results_exceptions_and_order_of_the_callers_calls_are_untouched(mlflow_store):
    def calls():
        seen = []
        with mlflow.start_run() as run:
            seen.append(mlflow.log_param("a", 1))
            seen.append(mlflow.log_metric("b", 2))
            seen.append(mlflow.set_tag("c", "d"))
            with pytest.raises(mlflow.MlflowException) as changed:
                mlflow.log_param("a", 2)
            seen.append(changed.value.error_code)
        client = MlflowClient()
        seen.append(client.set_terminated(run.info.run_id))
        with pytest.raises(mlflow.MlflowException) as missing:
            client.set_terminated("0" * 32)
        seen.append(missing.value.error_code)
        with pytest.raises(TypeError) as wrong:
            client.set_terminated()
        seen.append(str(wrong.value).split("(")[0])
        tags = {k for k in run_of(run.info.run_id).data.tags if not k.startswith(("aims.", "mlflow."))}
        return seen, tags, run_of(run.info.run_id).data.params

    plain = calls()
    aims_mlflow.autolog()
    assert calls() == plain


def test_the_runs_own_end_time_is_not_delayed_by_the_capture(mlflow_store):
    aims_mlflow.autolog()
    import time

    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame(3000), name="t"), context="training")
        end = time.time()
    assert run_of(run.info.run_id).info.end_time / 1000 - end < 1.0
    assert_captured(run.info.run_id)


def test_autolog_is_idempotent_and_reversible(mlflow_store):
    names = ("create_run", "set_terminated", "update_run", "log_inputs", "log_artifacts")
    plain = {n: MlflowClient.__dict__[n] for n in names}
    aims_mlflow.autolog()
    once = {n: MlflowClient.__dict__[n] for n in names}
    aims_mlflow.autolog()
    assert {n: MlflowClient.__dict__[n] for n in names} == once
    assert all(once[n] is not plain[n] for n in names)
    aims_mlflow.autolog(disable=True)
    assert {n: MlflowClient.__dict__[n] for n in names} == plain
    with mlflow.start_run() as run:
        pass
    assert not FIVE & set(run_of(run.info.run_id).data.tags)


def test_a_collector_that_raises_becomes_an_error_no_control_accepts(mlflow_store, monkeypatch, caplog):
    import aims_mlflow.capture.collect as collect

    def broken(*args, **kwargs):
        raise RuntimeError("value 4711 of row 3")

    monkeypatch.setattr(collect, "quality_evidence", broken)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame(50), name="t"), context="training")
    errors = [r for r in aims_mlflow.load_evidence(run.info.run_id) if isinstance(r, CaptureErrorRecord)]
    assert [(e.of_kind, e.error_type, e.status.value) for e in errors] == [("data_quality", "RuntimeError", "error")]
    assert "4711" not in errors[0].model_dump_json()
    quality = next(f for f in aims_mlflow.load_assessment(run.info.run_id).findings if f.id == "A.7.4")
    assert quality.status.value == "error"
    assert len([r for r in caplog.records if "could not be captured" in r.getMessage()]) == 1


def test_a_wrong_aims_yaml_found_at_the_end_is_evidence_not_a_crash(mlflow_store, tmp_path, caplog):
    aims_mlflow.autolog()
    (tmp_path / "aims.yaml").write_text("system: {ids: x}\n")
    with mlflow.start_run() as run:
        pass
    errors = [r for r in aims_mlflow.load_evidence(run.info.run_id) if isinstance(r, CaptureErrorRecord)]
    assert errors[0].of_kind == "declaration"
    assert "aims.yaml" in caplog.text


def test_a_wrong_config_given_is_refused_at_once(mlflow_store, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("sistem: {}\n")
    with pytest.raises(aims_mlflow.ConfigError, match="sistem"):
        aims_mlflow.autolog(path)


def test_silent_says_nothing(mlflow_store, monkeypatch, caplog):
    import aims_mlflow.capture.collect as collect

    monkeypatch.setattr(collect, "quality_evidence", lambda *a, **k: 1 / 0)
    aims_mlflow.autolog(silent=True)
    with mlflow.start_run():
        mlflow.log_input(mlflow.data.from_pandas(frame(50), name="t"), context="training")
    assert not [r for r in caplog.records if r.name == "aims_mlflow"]


def python(code, tmp_path, **env):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    full = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", **env}
    return subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=full, capture_output=True, text=True, timeout=240
    )


def test_an_implicit_run_ended_at_exit_is_captured(mlflow_store, tmp_path):
    out = python(
        """
        import mlflow, aims_mlflow
        aims_mlflow.autolog()
        mlflow.set_experiment("test")
        mlflow.log_metric("m", 1.0)
        print(mlflow.active_run().info.run_id)
        """,
        tmp_path,
    )
    assert out.returncode == 0, out.stderr
    assert_captured(out.stdout.split()[-1])


def test_an_unhandled_exception_without_a_with_block_is_not_taken_for_success(mlflow_store, tmp_path):
    out = python(
        """
        import mlflow, aims_mlflow
        aims_mlflow.autolog()
        mlflow.set_experiment("test")
        print(mlflow.start_run().info.run_id, flush=True)
        raise RuntimeError("boom")
        """,
        tmp_path,
    )
    assert "RuntimeError: boom" in out.stderr
    run_id = out.stdout.split()[-1]
    assert run_records(run_id)[-1].exception == "RuntimeError"


def test_the_environment_variable_switches_it_on_without_a_line(mlflow_store, tmp_path):
    code = """
        import mlflow
        mlflow.set_experiment("test")
        with mlflow.start_run() as run:
            mlflow.log_metric("m", 1.0)
        print(run.info.run_id)
        """
    on = python(code, tmp_path, AIMS_MLFLOW_AUTOLOG="1")
    assert on.returncode == 0, on.stderr
    assert_captured(on.stdout.split()[-1])
    off = python(code, tmp_path)
    assert not FIVE & set(run_of(off.stdout.split()[-1]).data.tags)


def test_a_child_process_with_the_parents_run_adds_its_evidence(mlflow_store, tmp_path):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_metric("parent", 1)
        out = python(
            """
            import mlflow, aims_mlflow
            aims_mlflow.autolog()
            with mlflow.start_run():
                mlflow.log_metric("child", 2.0)
            """,
            tmp_path,
            MLFLOW_RUN_ID=run.info.run_id,
        )
        assert out.returncode == 0, out.stderr
    assert_captured(run.info.run_id)
    assert [sorted(r.metrics) for r in run_records(run.info.run_id)] == [["child", "parent"]] * len(
        run_records(run.info.run_id)
    )


def test_other_ranks_of_a_distributed_job_write_nothing(mlflow_store, monkeypatch):
    aims_mlflow.autolog()
    monkeypatch.setenv("RANK", "1")
    with mlflow.start_run() as run:
        pass
    assert not FIVE & set(run_of(run.info.run_id).data.tags)


def test_mlflow_evaluate_metrics_become_performance_evidence(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("performance: {metrics: {accuracy_score: {min: 0.99}}}\n")
    aims_mlflow.autolog()
    data = pd.DataFrame({"prediction": [0, 1, 1, 0] * 10, "target": [0, 1, 0, 0] * 10})
    with mlflow.start_run() as run, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.models.evaluate(
            data=data,
            predictions="prediction",
            targets="target",
            model_type="classifier",
            evaluator_config={"log_explainer": False},
        )
    performance = aims_mlflow.load_evidence(run.info.run_id, "performance")
    judged = {m.name: m.verdict.value for p in performance for m in p.metrics}
    assert judged["accuracy_score"] == "fail"
    assert performance[0].basis.value == "reported"
