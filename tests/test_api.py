"""The public functions on a real SQLite store: what they return is what they logged, and what a reader finds."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow import api
from aims_mlflow.errors import ConfigError, EvidenceError, InputError
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CustomRecord,
    DataQualityEvidence,
    DriftEvidence,
    FairnessEvidence,
    ModelRecord,
    PerformanceEvidence,
    Tool,
)

MLFLOW_3 = int(mlflow.__version__.split(".")[0]) >= 3

ABSENT = "0" * 32


def frame(rows=300, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40 + shift, 10, rows),
            "income": rng.lognormal(10, 1, rows),
            "kind": rng.choice(["a", "b", "c"], rows),
            "label": rng.integers(0, 2, rows),
        }
    )


def outcomes(rows=400, seed=0, right=0.8):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    return truth, np.where(rng.random(rows) < right, truth, 1 - truth), rng.choice(["f", "m"], rows)


def as_numpy(data):
    return data[["age", "income"]].to_numpy()


def as_polars(data):
    return pytest.importorskip("polars").from_pandas(data)


def as_arrow(data):
    return pytest.importorskip("pyarrow").Table.from_pandas(data, preserve_index=False)


def as_dict(data):
    return {name: data[name].to_numpy() for name in data}


def as_pandas_dataset(data):
    return mlflow.data.from_pandas(data, name="named")


def as_numpy_dataset(data):
    return mlflow.data.from_numpy(as_numpy(data), targets=data["label"].to_numpy(), name="named")


def as_polars_dataset(data):
    if not hasattr(mlflow.data, "from_polars"):
        pytest.skip("this MLflow has no polars datasets")
    return mlflow.data.from_polars(as_polars(data), name="named")


FORMS = [pd.DataFrame, as_numpy, as_polars, as_arrow, as_dict, as_pandas_dataset, as_numpy_dataset, as_polars_dataset]


def written(run_id, kind):
    """The JSON of the run's evidence files of a kind, as any other program reads them."""
    root = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "aims"
    return [json.loads(p.read_text()) for p in sorted((root / "evidence").glob(f"{kind}-*.json"))]


def only(run_id, kind):
    (record,) = aims_mlflow.load_evidence(run_id, kind)
    return record


# Frames of every library


@pytest.mark.parametrize("make", FORMS)
def test_quality_and_drift_of_every_kind_of_frame_are_returned_as_logged(mlflow_store, make):
    with mlflow.start_run() as run:
        quality = aims_mlflow.log_data_quality(make(frame()), reference=make(frame(seed=1)), role="test")
        drift = aims_mlflow.log_drift(make(frame(shift=40)), make(frame(seed=1)))
    run_id = run.info.run_id
    assert isinstance(quality, DataQualityEvidence)
    assert isinstance(drift, DriftEvidence)
    assert only(run_id, "data_quality").digest == quality.digest
    assert only(run_id, "drift").digest == drift.digest
    assert quality.dataset.rows == 300
    assert quality.dataset.role == "test"
    assert quality.subject.run.run_id == run_id
    assert len(quality.rules) > 3
    first = drift.columns[0]
    assert (str(first.verdict), first.column) == ("fail", "0" if "numpy" in make.__name__ else "age")
    named = make.__name__.endswith("dataset")
    assert drift.current.name == ("named" if named else None)
    assert (drift.current.mlflow_digest is not None) == named
    datasets = aims_mlflow.load_evidence(run_id, "dataset")
    assert {d.dataset.sha256 for d in datasets} == {
        quality.dataset.sha256,
        drift.current.sha256,
        drift.reference.sha256,
    }


def test_the_same_data_has_one_digest_whatever_library_it_comes_in(mlflow_store):
    with mlflow.start_run():
        found = {
            aims_mlflow.log_data_quality(make(frame())).dataset.sha256 for make in (pd.DataFrame, as_polars, as_arrow)
        }
    assert len(found) == 1


def test_columns_called_like_attributes_of_a_dataset_are_only_columns(mlflow_store):
    data = frame(50).rename(columns={"age": "_name", "income": "_digest", "kind": "name"})
    with mlflow.start_run():
        found = aims_mlflow.log_data_quality(data)
    assert found.dataset.name is None
    assert found.dataset.mlflow_digest is None


# Where it goes


def test_without_a_run_one_is_started_as_mlflows_own_functions_do(mlflow_store):
    record = aims_mlflow.log_data_quality(frame())
    active = mlflow.active_run()
    assert record.subject.run.run_id == active.info.run_id
    assert aims_mlflow.log_evidence("my.kind", {"a": 1}).subject.run.run_id == active.info.run_id


def test_a_run_id_goes_before_the_active_run_and_may_be_ended(mlflow_store):
    with mlflow.start_run() as other:
        pass
    with mlflow.start_run() as active:
        aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=other.info.run_id)
    assert aims_mlflow.load_evidence(active.info.run_id) == []
    assert only(other.info.run_id, "my.kind").content == {"a": 1}


@pytest.mark.parametrize(
    "call",
    [
        lambda run_id: aims_mlflow.log_data_quality(frame(20), run_id=run_id),
        lambda run_id: aims_mlflow.log_drift(frame(20), frame(20), run_id=run_id),
        lambda run_id: aims_mlflow.log_performance([0, 1], [0, 1], run_id=run_id),
        lambda run_id: aims_mlflow.log_fairness([0, 1], [0, 1], ["a", "b"], run_id=run_id),
        lambda run_id: aims_mlflow.log_evidence("my.kind", {}, run_id=run_id),
        aims_mlflow.assess,
        aims_mlflow.load_evidence,
        aims_mlflow.load_assessment,
    ],
)
def test_a_run_that_does_not_exist_is_refused_and_none_is_made(mlflow_store, call):
    with pytest.raises(mlflow.MlflowException, match=ABSENT):
        call(ABSENT)
    with pytest.raises(InputError, match="not-a-run"):
        call("not-a-run")
    assert mlflow.active_run() is None


def test_a_note_outside_assessment_marks_the_run_not_assessed_and_keeps_to_five_tags(mlflow_store):
    with mlflow.start_run() as run:
        aims_mlflow.log_evidence("my.kind", {"a": 1})
    tags = {k: v for k, v in mlflow.get_run(run.info.run_id).data.tags.items() if k.startswith("aims.")}
    assert tags["aims.status"] == "not-assessed"
    assert len(tags) <= 5
    with pytest.raises(EvidenceError):
        aims_mlflow.load_assessment(run.info.run_id)


# Drift


def test_evidently_itself_agrees_and_its_page_comes_only_on_request(mlflow_store):
    pytest.importorskip("evidently")
    current, reference = frame(400, shift=40), frame(400, seed=1)
    page = "aims/detail/evidently_drift.html"
    with mlflow.start_run() as run:
        ours = aims_mlflow.log_drift(current, reference)
        theirs = aims_mlflow.log_drift(current, reference, engine="evidently")
        paths = [f.path for f in MlflowClient().list_artifacts(run.info.run_id, "aims/detail")]
        assert page not in paths
        aims_mlflow.log_drift(current, reference, engine="evidently", config={"drift": {"evidently_html": True}})
    assert theirs.engine.name == "evidently"
    for mine, own in zip(ours.columns, theirs.columns, strict=True):
        assert (mine.column, mine.verdict) == (own.column, own.verdict)
        assert mine.score == pytest.approx(own.score, rel=1e-6, abs=1e-12)
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    assert "<html" in (root / page).read_text().lower()


def test_a_pinned_method_and_limit_hold_for_every_column_they_fit(mlflow_store):
    with mlflow.start_run() as run:
        aims_mlflow.log_drift(frame(shift=1), frame(seed=1), method="psi", threshold=9.5)
    found = only(run.info.run_id, "drift")
    assert {c.method for c in found.columns} == {"psi"}
    assert {c.threshold for c in found.columns} == {9.5}
    assert found.verdict == "pass"
    assert found.parameters["method"] == "psi"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"method": "wassertein"}, "Did you mean 'wasserstein'"),
        ({"engine": "great"}, "engine"),
        ({"threshold": "much"}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_before_anything_is_measured(mlflow_store, arguments, told):
    with pytest.raises(InputError, match=told):
        aims_mlflow.log_drift(frame(20), frame(20), **arguments)
    assert mlflow.active_run() is None


# Names others rely on, on the files themselves


def test_a_column_of_drift_evidence_has_the_promised_fields(mlflow_store):
    current = frame(1500, shift=40)
    current["new"] = 1
    with mlflow.start_run() as run:
        aims_mlflow.log_drift(current, frame(1500, seed=1))
    (plain,) = written(run.info.run_id, "drift")
    assert isinstance(plain["columns"], list)
    by_name = {c["column"]: c for c in plain["columns"]}
    assert set(by_name) == {"age", "income", "kind", "label", "new"}
    for column in plain["columns"]:
        wanted = {"column", "method", "score", "score_low", "score_high", "threshold", "verdict", "effect"}
        assert wanted <= set(column)
        assert column["verdict"] in {"pass", "fail", "uncertain", "not_tested"}
    age = by_name["age"]
    assert age["verdict"] == "fail"
    assert age["score_low"] <= age["score"] <= age["score_high"]
    assert {"value", "low", "high", "level", "method"} <= set(age["effect"])
    assert age["effect"]["low"] <= age["effect"]["value"] <= age["effect"]["high"]
    new = by_name["new"]
    assert (new["verdict"], new["score"]) == ("not_tested", None)
    assert "reference does not have it" in new["reason"]


def test_a_rule_of_quality_evidence_has_the_promised_fields(mlflow_store):
    suite = [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 100}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "age"}},
        {"type": "expect_column_values_to_be_in_sett", "kwargs": {"column": "kind"}},
    ]
    with mlflow.start_run() as run:
        aims_mlflow.log_data_quality(frame(), suite=suite)
    (plain,) = written(run.info.run_id, "data_quality")
    assert isinstance(plain["rules"], list)
    assert [r["verdict"] for r in plain["rules"]] == ["fail", "pass", "unknown"]
    for rule in plain["rules"]:
        assert {"rule", "column", "measure", "value", "limit", "verdict", "rows"} <= set(rule)
    assert plain["rules"][0]["limit"] == {"min_value": 100}
    assert plain["rules"][0]["value"] == 1.0
    assert "in_set" in plain["rules"][2]["reason"]


def test_the_assessment_file_has_the_promised_findings(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame(), name="d"), context="training")
    root = Path(mlflow.get_run(run.info.run_id).info.artifact_uri.removeprefix("file://")) / "aims"
    plain = json.loads((root / "assessment.json").read_text())
    assert len(plain["findings"]) == 70
    for finding in plain["findings"]:
        assert {"id", "status", "strength", "reason", "evidence", "valid_until"} <= set(finding)
        assert isinstance(finding["evidence"], list)
        assert finding["reason"].endswith(".")
    assert {f["strength"] for f in plain["findings"]} <= {"automatic", "assisted", "attested"}
    assert aims_mlflow.load_assessment(run.info.run_id).model_dump(mode="json") == plain


def test_a_suite_is_taken_as_a_file_a_list_a_dict_or_an_object(mlflow_store, tmp_path):
    gx = pytest.importorskip("great_expectations")
    rule = {"type": "expect_column_to_exist", "kwargs": {"column": "age"}}
    (tmp_path / "suite.json").write_text(json.dumps({"name": "mine", "expectations": [rule]}))
    own = gx.ExpectationSuite(name="mine", expectations=[gx.expectations.ExpectColumnToExist(column="age")])
    given = [
        tmp_path / "suite.json",
        str(tmp_path / "suite.json"),
        [rule],
        {"name": "mine", "expectations": [rule]},
        own,
    ]
    with mlflow.start_run():
        for suite in given:
            found = aims_mlflow.log_data_quality(frame(30), suite=suite)
            assert [(r.rule, r.column, str(r.verdict)) for r in found.rules] == [
                ("expect_column_to_exist", "age", "pass")
            ]
        with pytest.raises(ConfigError, match=r"absent\.json"):
            aims_mlflow.log_data_quality(frame(30), suite=tmp_path / "absent.json")


# Performance and fairness


def test_performance_is_held_against_limits_and_every_kind_of_baseline(mlflow_store):
    truth, predicted, _ = outcomes()
    with mlflow.start_run() as champion:
        mlflow.log_metric("accuracy", 0.99)
        mlflow.log_metric("aims/rows_satisfied", 3)
    with mlflow.start_run() as run:
        plain = aims_mlflow.log_performance(truth, predicted, metrics={"accuracy": {"min": 0.5}})
        worse = aims_mlflow.log_performance(truth, predicted, baseline=champion.info.run_id, name="d")
        better = aims_mlflow.log_performance(truth, predicted, baseline={"accuracy": 0.3}, name="e")
    assert isinstance(plain, PerformanceEvidence)
    assert (plain.verdict, plain.task, plain.rows) == ("pass", "classification", 400)
    accuracy = next(m for m in plain.metrics if m.name == "accuracy")
    assert accuracy.estimate.value == pytest.approx((truth == predicted).mean())
    assert accuracy.estimate.low < accuracy.estimate.value < accuracy.estimate.high
    assert (worse.verdict, better.verdict) == ("fail", "pass")
    assert [(c.metric, c.baseline, c.baseline_ref) for c in worse.comparisons] == [
        ("accuracy", 0.99, champion.info.run_id)
    ]
    assert [c.baseline_ref for c in better.comparisons] == ["given values"]
    stored = {r.digest for r in aims_mlflow.load_evidence(run.info.run_id, "performance")}
    assert stored == {plain.digest, worse.digest, better.digest}


def test_the_baseline_may_be_a_registered_version(mlflow_store):
    with mlflow.start_run() as champion:
        mlflow.log_metric("accuracy", 0.1)
        log_model(registered_model_name="champion")
    truth, predicted, _ = outcomes()
    with mlflow.start_run():
        found = aims_mlflow.log_performance(truth, predicted, baseline="models:/champion/1")
    assert [(c.baseline, c.baseline_ref) for c in found.comparisons] == [(0.1, "models:/champion/1")]
    assert found.verdict == "pass"
    assert champion.info.run_id != found.subject.run.run_id


@pytest.mark.parametrize("bad", ["models:/nobody/1", "nobody", ABSENT])
def test_a_baseline_that_does_not_exist_is_an_error_not_a_record_without_comparison(mlflow_store, bad):
    with pytest.raises((InputError, mlflow.MlflowException)), mlflow.start_run() as run:
        aims_mlflow.log_performance([0, 1] * 20, [0, 1] * 20, baseline=bad)
    assert aims_mlflow.load_evidence(run.info.run_id) == []


def test_scores_regression_and_many_classes_are_measured(mlflow_store):
    truth, predicted, _ = outcomes()
    rng = np.random.default_rng(3)
    with mlflow.start_run():
        scored = aims_mlflow.log_performance(truth, predicted, y_proba=predicted * 0.5 + rng.random(400) * 0.4)
        amounts = aims_mlflow.log_performance(rng.normal(size=400), pd.Series(rng.normal(size=400)))
        classes = aims_mlflow.log_performance(as_polars(pd.DataFrame({"y": list("abcd") * 100})), list("abca") * 100)
    assert {"roc_auc"} <= {m.name for m in scored.metrics}
    assert (scored.task, amounts.task, classes.task) == ("classification", "regression", "multiclass")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: aims_mlflow.log_performance([0, 1], [0]), "2 values"),
        (lambda: aims_mlflow.log_performance([0, 1], ["a", "b"]), "type"),
        (lambda: aims_mlflow.log_performance([0, 1], [0, 1], task="ranking"), "task"),
        (lambda: aims_mlflow.log_performance([0, 1], [0, 1], metrics={"accuracy": 0.8}), "min"),
        (lambda: aims_mlflow.log_performance([0, 1], [0, 1], metrics={"accuracy": {"least": 0.8}}), "least"),
        (lambda: aims_mlflow.log_performance([0, 1], [0, 1], metrics={"accuracy": {"min": float("nan")}}), "min"),
        (lambda: aims_mlflow.log_fairness([0, 1], [0, 1], ["a"]), "values"),
        (lambda: aims_mlflow.log_fairness([0, 1], [0, 1], ["a", "b"], metrics={"selection_rate_ratio": 0.8}), "min"),
        (lambda: aims_mlflow.log_fairness([0, 1], [0, 1], ["a", "b"], metrics={"fairnes": {"min": 1}}), "fairnes"),
        (lambda: aims_mlflow.log_fairness([0, 1], [0, 1], {}), "sensitive"),
        (lambda: aims_mlflow.log_data_quality(object()), "no frame"),
        (lambda: aims_mlflow.log_data_quality("train.csv"), "no frame"),
        (lambda: aims_mlflow.log_drift(None, frame(20)), "no frame"),
        (lambda: aims_mlflow.log_drift(frame(20), 7), "no frame"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_is_wrong(mlflow_store, call, told):
    with mlflow.start_run() as run, pytest.raises(InputError, match=told) as raised:
        call()
    assert raised.value.message
    assert raised.value.where or raised.value.remedy
    assert aims_mlflow.load_evidence(run.info.run_id) == []


def test_arguments_never_loosen_what_is_declared(mlflow_store):
    truth, predicted, groups = outcomes()
    declared = {
        "performance": {"metrics": {"accuracy": {"min": 0.99}}},
        "fairness": {"metrics": {"selection_rate_ratio": {"min": 0.999}}},
        "drift": {"method": "psi", "threshold": 0.1},
    }
    with mlflow.start_run():
        performance = aims_mlflow.log_performance(truth, predicted, metrics={"accuracy": {"min": 0.1}}, config=declared)
        loose = {"selection_rate_ratio": {"min": 0.01}}
        fairness = aims_mlflow.log_fairness(truth, predicted, groups, metrics=loose, config=declared)
        with pytest.raises(InputError, match="declares the drift threshold"):
            aims_mlflow.log_drift(frame(50), frame(50), threshold=9.0, config=declared)
    assert performance.verdict == "fail"
    assert fairness.verdict != "pass"


@pytest.mark.skipif(not MLFLOW_3, reason="before version 3 a run does not name its models")
def test_performance_may_name_the_model_it_is_about(mlflow_store, tmp_path):
    declare(tmp_path)
    aims_mlflow.autolog()
    truth, predicted, _ = outcomes()
    limits = {"accuracy": {"min": 0.5}}
    with mlflow.start_run():
        log_all()
        one = log_model("one", registered_model_name="one")
        log_model("two", seed=5, registered_model_name="two")
        aims_mlflow.log_performance(truth, predicted, metrics=limits, role="test", model=one.model_id)
        with pytest.raises(InputError, match="names no model"):
            aims_mlflow.log_performance(truth, predicted, model="two")
    reasons = {
        name: next(
            f.reason for f in aims_mlflow.assess(f"models:/{name}/1", attach=False).findings if f.id == "A.6.2.4"
        )
        for name in ("one", "two")
    }
    assert reasons["one"] != reasons["two"]


def test_a_limit_on_an_unknown_metric_is_never_a_pass(mlflow_store):
    with mlflow.start_run():
        found = aims_mlflow.log_performance([0, 1] * 50, [0, 1] * 50, metrics={"profit_per_case": {"min": 0.1}})
    assert found.verdict != "pass"


@pytest.mark.parametrize(
    "sensitive",
    [
        lambda groups: pd.Series(groups, name="sex"),
        lambda groups: pd.DataFrame({"sex": groups}),
        lambda groups: {"sex": groups},
        lambda groups: as_polars(pd.DataFrame({"sex": groups}))["sex"],
        lambda groups: as_arrow(pd.DataFrame({"sex": groups})),
    ],
)
def test_fairness_takes_a_column_a_frame_or_a_dict(mlflow_store, sensitive):
    truth, predicted, groups = outcomes()
    with mlflow.start_run() as run:
        found = aims_mlflow.log_fairness(truth, predicted, sensitive(groups), safe_labels="sex")
    assert isinstance(found, FairnessEvidence)
    assert only(run.info.run_id, "fairness").digest == found.digest
    assert {(g.attribute, g.group) for g in found.groups} == {("sex", "f"), ("sex", "m")}
    for group in found.groups:
        mine = groups == group.group
        assert group.n == mine.sum()
        assert group.metrics["selection_rate"].value == pytest.approx(predicted[mine].mean())


def test_several_sensitive_columns_and_limits_are_judged_one_by_one(mlflow_store):
    truth, _, groups = outcomes()
    predicted = (groups == "m").astype(int)
    other = np.resize(["x", "y"], 400)
    limits = {"selection_rate_ratio": {"min": 0.8}}
    with mlflow.start_run():
        found = aims_mlflow.log_fairness(truth, predicted, pd.DataFrame({"sex": groups, "side": other}), metrics=limits)
    verdicts = {d.attribute: str(d.verdict) for d in found.disparities if d.metric == "selection_rate" and d.threshold}
    assert verdicts["sex"] == "fail"
    assert verdicts["side"] in {"pass", "uncertain"}
    assert found.verdict == "fail"


# Records of the caller's own


def test_an_attestation_is_kept_with_its_owner_and_end(mlflow_store):
    with mlflow.start_run() as run:
        given = aims_mlflow.log_evidence(
            "attestation",
            topic="ai_policy",
            statement="The policy is in force.",
            owner="Head of Quality",
            approver="Board",
            valid_from=date(2026, 1, 1),
            valid_until=date(2099, 1, 1),
            supports="A.2.2",
            document={"title": "AI policy", "version": "3"},
        )
    found = only(run.info.run_id, "attestation")
    assert isinstance(found, AttestationRecord)
    assert found.digest == given.digest
    assert found.supports == ("A.2.2",)
    assert found.document.title == "AI policy"
    assert found.valid_until == datetime(2099, 1, 1, 23, 59, 59, tzinfo=UTC)
    assert found.basis == "attested"


@pytest.mark.parametrize("lacking", ["topic", "statement", "owner", "valid_until"])
def test_an_attestation_without_one_of_its_parts_is_refused(mlflow_store, lacking):
    whole = {"topic": "ai_policy", "statement": "s", "owner": "o", "valid_until": date(2099, 1, 1)}
    with mlflow.start_run(), pytest.raises(InputError, match=lacking):
        aims_mlflow.log_evidence("attestation", **{k: v for k, v in whole.items() if k != lacking})


@pytest.mark.parametrize(("wrong", "near"), [({"topic": "ai_polcy"}, "ai_policy"), ({"supports": "A.2.22"}, "A.2.2")])
def test_an_attestation_of_what_the_register_does_not_know_is_refused(mlflow_store, wrong, near):
    whole = {"topic": "ai_policy", "statement": "s", "owner": "o", "valid_until": date(2099, 1, 1)}
    with mlflow.start_run(), pytest.raises(InputError, match=f"Did you mean '{near}'"):
        aims_mlflow.log_evidence("attestation", **{**whole, **wrong})


def test_a_kind_of_ones_own_is_reported_never_measured(mlflow_store):
    with mlflow.start_run() as run:
        given = aims_mlflow.log_evidence(
            "red_team.v2", {"rounds": 3}, verdict="pass", reason="Nothing found.", numbers={"rounds": 3}
        )
    found = only(run.info.run_id, "red_team.v2")
    assert isinstance(found, CustomRecord)
    assert found == given
    assert found.basis == "reported"


@pytest.mark.parametrize(
    "kind",
    ["data_quality", "drift", "performance", "fairness", "run", "model", "dataset", "declaration", "capture_error"],
)
def test_kinds_this_library_measures_cannot_be_written_by_hand(mlflow_store, kind):
    with mlflow.start_run() as run, pytest.raises(InputError, match="cannot be written by hand") as raised:
        aims_mlflow.log_evidence(kind, {"verdict": "pass"}, verdict="pass", reason="I say so.")
    assert raised.value.remedy
    assert aims_mlflow.load_evidence(run.info.run_id) == []


def test_a_whole_record_of_a_measured_kind_is_refused_too(mlflow_store):
    with mlflow.start_run() as run:
        made = aims_mlflow.log_drift(frame(), frame(seed=1))
        forged = made.model_copy(update={"verdict": "pass", "reason": "I say so."})
        with pytest.raises(InputError, match="cannot be written by hand"):
            aims_mlflow.log_evidence(forged)
        own = CustomRecord(
            kind="my.kind",
            collector=Tool(name="mine", version="1"),
            captured_at=datetime.now(UTC) - timedelta(days=90),
            subject={"run": {"run_id": ABSENT}},
            method="Mine.",
            verdict="pass",
            reason="Mine.",
        )
        given = aims_mlflow.log_evidence(own)
        with pytest.raises(InputError, match="never measured"):
            aims_mlflow.log_evidence(own.model_copy(update={"basis": Basis.MEASURED}))
    found = only(run.info.run_id, "my.kind")
    assert found.digest == given.digest
    assert found.subject.run.run_id == run.info.run_id
    assert only(run.info.run_id, "drift").digest == made.digest


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "Bad Kind"},
        {"kind": "k.x", "verdict": "great", "reason": "r"},
        {"kind": "k.x", "verdict": "pass"},
        {"kind": "k.x", "content": {"frame": pd.DataFrame({"a": [1]})}},
        {"kind": "k.x", "content": {1: object()}},
        {"kind": "k.x", "numbers": {"n": "many"}},
    ],
)
def test_a_record_that_cannot_be_kept_is_refused(mlflow_store, arguments):
    with mlflow.start_run() as run, pytest.raises(InputError):
        aims_mlflow.log_evidence(**arguments)
    assert aims_mlflow.load_evidence(run.info.run_id) == []


# Assessing


def log_model(name="model", *, seed=0, data=None, **more):
    from sklearn.linear_model import LogisticRegression

    data = frame(60, seed=seed) if data is None else data
    model = LogisticRegression().fit(data[["age"]], data["label"])
    return mlflow.sklearn.log_model(
        model,
        **{"name" if MLFLOW_3 else "artifact_path": name},
        signature=mlflow.models.infer_signature(data[["age"]], data["label"].astype(float)),
        pip_requirements=[f"scikit-learn=={version('scikit-learn')}"],  # MLflow's own look at the imports takes seconds
        **more,
    )


def declare(folder):
    """An ``aims.yaml`` under which rows can be met by what a run measures."""
    content = {
        "system": {"id": "loans", "name": "Loans", "risk_class": "high"},
        "performance": {"metrics": {"test_accuracy": {"min": 0.5}}},
    }
    (folder / "aims.yaml").write_text(yaml.safe_dump(content))


MEASURED = {"A.4.4", "A.6.2.4", "A.7.4"}
"""Rows that measured evidence alone can meet."""


def log_all():
    """What a good training run logs, the model apart."""
    mlflow.log_input(mlflow.data.from_pandas(frame(), name="train"), context="training")
    mlflow.log_input(mlflow.data.from_pandas(frame(seed=1), name="later"), context="validation")
    mlflow.log_metric("test_accuracy", 0.9)


@pytest.fixture
def registered(mlflow_store, tmp_path):
    """A captured run with a registered version ``m/1``, alias ``champion``; returns the run's id."""
    declare(tmp_path)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)
    MlflowClient().set_registered_model_alias("m", "champion", "1")
    return run.info.run_id


def satisfied(assessment):
    return {f.id for f in assessment.findings if f.status == "satisfied"}


def statuses(assessment):
    return {f.id: str(f.status) for f in assessment.findings}


FLAT_TAGS = {"aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence"}


def version_tags(name="m", number="1"):
    return {k: v for k, v in MlflowClient().get_model_version(name, number).tags.items() if k.startswith("aims.")}


def model_files(name="m", number="1"):
    """The folder a version's files lie in."""
    place = api.resolve(MlflowClient(), f"models:/{name}/{number}")
    return Path(mlflow.artifacts.download_artifacts(place.files_uri))


def targets(run_id):
    names = [run_id, f"runs:/{run_id}", f"runs:/{run_id}/model", "models:/m/1", "models:/m@champion"]
    models = MlflowClient().get_run(run_id).outputs.model_outputs if MLFLOW_3 else []
    return [*names, *(f"models:/{m.model_id}" for m in models)]


def test_a_run_and_its_version_are_assessed_alike_by_every_name(registered):
    before = mlflow.get_run(registered).data.tags
    found = [aims_mlflow.assess(target, attach=False) for target in targets(registered)]
    assert all(len(a.findings) == 70 for a in found)
    assert satisfied(found[0]) == MEASURED
    assert all(statuses(a) == statuses(found[0]) for a in found)
    assert {a.subject.model.sha256 for a in found if a.subject.model} == {
        only(registered, "model").subject.model.sha256
    }
    assert found[3].subject.model.version == "1"
    assert found[4].subject.model.version == "1"
    assert mlflow.get_run(registered).data.tags == before


def test_a_report_that_evidence_overtook_says_so_and_how_to_get_a_new_one(registered):
    aims_mlflow.log_evidence(
        "attestation", topic="ai_policy", statement="In force.", owner="a", valid_until="2999-01-01", run_id=registered
    )
    for call in (aims_mlflow.load_assessment, api.load_report):
        with pytest.raises(EvidenceError, match=r"added after the run was assessed.*aims assess"):
            call(registered)
    aims_mlflow.assess(registered)
    assert b"<html" in api.load_report(registered)


@pytest.mark.parametrize("bad", ["m", "models:/m", "models:/m/latest", "runs:/x", "", "models:/", "file:///etc"])
def test_a_target_that_names_nothing_is_refused(registered, bad):
    for call in (aims_mlflow.assess, aims_mlflow.load_evidence, aims_mlflow.load_assessment):
        with pytest.raises(InputError) as raised:
            call(bad)
        assert raised.value.remedy


@pytest.mark.parametrize("bad", ["models:/m/9", "models:/nobody/1", "models:/m@nobody", "models:/m-" + ABSENT])
def test_a_target_that_does_not_exist_is_refused(registered, bad):
    for call in (aims_mlflow.assess, aims_mlflow.load_evidence, aims_mlflow.load_assessment):
        with pytest.raises((InputError, mlflow.MlflowException)):
            call(bad)


def test_attaching_writes_files_run_tags_version_tags_and_the_systems_tags(registered):
    earlier = aims_mlflow.load_evidence(registered)
    found = aims_mlflow.assess("models:/m/1")
    assert aims_mlflow.load_assessment("models:/m@champion").findings == found.findings
    assert {r.digest for r in earlier} <= {r.digest for r in aims_mlflow.load_evidence("models:/m/1")}
    assert version_tags()["aims.status"] == str(found.overall)
    assert set(version_tags()) == {*FLAT_TAGS, "aims.vsa"}
    tags = MlflowClient().get_registered_model("m").tags
    assert (tags["aims.system_id"], tags["aims.risk"]) == ("loans", "high")
    assert b"<html" in api.load_report("models:/m/1")
    assert "report.html" in MlflowClient().get_model_version("m", "1").description


def test_assessing_again_adds_no_evidence(registered):
    aims_mlflow.assess(registered)
    before = len(aims_mlflow.load_evidence(registered))
    aims_mlflow.assess(registered)
    aims_mlflow.assess("models:/m/1")
    assert len(aims_mlflow.load_evidence(registered)) == before


def test_a_run_nobody_captured_is_captured_from_what_mlflow_shows(mlflow_store, tmp_path):
    declare(tmp_path)
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        log_model()
    found = aims_mlflow.assess(run.info.run_id)
    kinds = {r.kind for r in aims_mlflow.load_evidence(run.info.run_id)}
    assert {"run", "declaration"} <= kinds
    if MLFLOW_3:
        assert "model" in kinds
    assert len(found.findings) == 70


def test_at_another_time_freshness_is_judged_and_nothing_is_written(registered):
    before = mlflow.get_run(registered).data.tags
    now = aims_mlflow.assess(registered, attach=False)
    later = aims_mlflow.assess(registered, attach=False, at=datetime.now(UTC) + timedelta(days=3650))
    past = aims_mlflow.assess(registered, attach=False, at=datetime.now(UTC) - timedelta(days=30))
    assert satisfied(past) == set()
    assert satisfied(later) <= satisfied(now)
    assert later.assessed_at.year == datetime.now(UTC).year + 10 or later.assessed_at > now.assessed_at
    aims_mlflow.assess(registered, at=datetime.now(UTC))
    assert mlflow.get_run(registered).data.tags == before
    with pytest.raises(InputError, match="zone"):
        aims_mlflow.assess(registered, attach=False, at=datetime(2026, 1, 1))  # noqa: DTZ001


def tamper(folder):
    path = next(p for p in sorted(folder.iterdir()) if p.name.startswith("model."))
    path.write_bytes(path.read_bytes() + b"x")
    return path


def test_a_version_whose_files_were_changed_is_stale_and_stays_so(registered):
    good = aims_mlflow.assess("models:/m/1")
    assert satisfied(good) == MEASURED
    tamper(model_files())
    for _ in range(3):  # however often it is assessed
        found = aims_mlflow.assess("models:/m/1")
        assert not satisfied(good) & satisfied(found)
        assert {statuses(found)[row] for row in satisfied(good)} == {"stale"}
        assert version_tags()["aims.status"] == str(found.overall) == "stale"


@pytest.mark.skipif(not MLFLOW_3, reason="before version 3 a run does not name its models")
@pytest.mark.parametrize("by", ["run", "copy"])
def test_assessing_its_run_or_a_copy_does_not_clear_a_changed_version(registered, by):
    client = MlflowClient()
    client.copy_model_version("models:/m/1", "prod")
    good = str(aims_mlflow.assess("models:/m/1").overall)
    tamper(model_files())
    aims_mlflow.assess(registered if by == "run" else "models:/prod/1")
    assert version_tags()["aims.status"] != good


@pytest.mark.skipif(not MLFLOW_3, reason="before version 3 a run does not name its models")
def test_a_run_whose_models_files_were_changed_is_stale(registered):
    good = aims_mlflow.assess(registered)
    tamper(model_files())
    found = aims_mlflow.assess(registered, attach=False)
    assert {statuses(found)[row] for row in satisfied(good)} == {"stale"}


def test_a_version_whose_files_are_gone_meets_nothing(registered):
    good = aims_mlflow.assess("models:/m/1")
    folder = model_files()
    folder.rename(folder.with_name("moved"))
    found = aims_mlflow.assess("models:/m/1")
    assert not satisfied(good) & satisfied(found)
    assert version_tags()["aims.status"] == str(found.overall) != "pass"
    folder.with_name("moved").rename(folder)
    assert satisfied(aims_mlflow.assess("models:/m/1")) == satisfied(good)


def test_a_file_added_to_a_version_is_noticed(registered):
    aims_mlflow.assess("models:/m/1")
    (model_files() / "more.py").write_text("pass")
    assert satisfied(aims_mlflow.assess("models:/m/1", attach=False)) == set()


def test_files_in_a_folder_with_odd_letters_are_found(mlflow_store, tmp_path):
    declare(tmp_path)
    experiment = mlflow.create_experiment("odd", artifact_location=(tmp_path / "a b é %20").as_uri())
    aims_mlflow.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        log_model(registered_model_name="m")
    found = aims_mlflow.assess("models:/m/1", attach=False)
    assert found.subject.model.sha256 == only(run.info.run_id, "model").subject.model.sha256
    assert statuses(found) == statuses(aims_mlflow.load_assessment(run.info.run_id))


def test_two_models_of_one_run_are_told_apart(mlflow_store, tmp_path):
    declare(tmp_path)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        log_all()
        log_model("one", registered_model_name="one")
        log_model("two", seed=5, registered_model_name="two")
    recorded = {r.subject.model.sha256 for r in aims_mlflow.load_evidence(run.info.run_id, "model")}
    one, two = (aims_mlflow.assess(f"models:/{name}/1") for name in ("one", "two"))
    assert {one.subject.model.sha256, two.subject.model.sha256} == recorded
    assert len(recorded) == 2
    assert satisfied(one) == satisfied(two) == MEASURED - {"A.6.2.4"}
    assert "which of the run's models" in next(f.reason for f in one.findings if f.id == "A.6.2.4")
    tamper(model_files("two"))
    assert satisfied(aims_mlflow.assess("models:/one/1", attach=False)) == satisfied(one)
    changed = aims_mlflow.assess("models:/two/1")
    assert "stale" in statuses(changed).values()
    assert version_tags("two")["aims.status"] == "stale"


def test_a_copied_version_is_judged_by_the_files_it_shares(registered):
    client = MlflowClient()
    copied = client.copy_model_version("models:/m/1", "prod")
    found = aims_mlflow.assess(f"models:/prod/{copied.version}")
    assert found.subject.model.registered_name == "prod"
    assert satisfied(found) == satisfied(aims_mlflow.assess("models:/m/1", attach=False))
    assert version_tags("prod", copied.version)["aims.status"] == str(found.overall)
    again = client.copy_model_version(f"models:/prod/{copied.version}", "live")
    assert satisfied(aims_mlflow.assess(f"models:/live/{again.version}", attach=False)) == satisfied(found)
    tamper(model_files())
    for name, number in (("prod", copied.version), ("live", again.version)):
        assert satisfied(aims_mlflow.assess(f"models:/{name}/{number}", attach=False)) == set()


def test_a_version_registered_from_files_no_run_made_has_no_evidence(mlflow_store, tmp_path):
    from sklearn.linear_model import LogisticRegression

    data = frame(60)
    model = LogisticRegression().fit(data[["age"]], data["label"])
    mlflow.sklearn.save_model(model, str(tmp_path / "saved"), pip_requirements=["scikit-learn"])
    client = MlflowClient()
    client.create_registered_model("alone")
    client.create_model_version("alone", (tmp_path / "saved").as_uri())
    found = aims_mlflow.assess("models:/alone/1")
    assert len(found.findings) == 70
    assert satisfied(found) == set()
    assert version_tags("alone")["aims.status"] == str(found.overall) != "pass"
    assert "aims.evidence" not in version_tags("alone")
    assert aims_mlflow.load_evidence("models:/alone/1") == []
    with pytest.raises(EvidenceError, match="no run made this model"):
        aims_mlflow.load_assessment("models:/alone/1")


def test_a_version_registered_after_its_run_gets_the_runs_conclusions(mlflow_store, tmp_path):
    declare(tmp_path)
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        info = log_model()
    assert mlflow.active_run() is None
    mlflow.register_model(info.model_uri, "late")
    assert version_tags("late")["aims.status"] == mlflow.get_run(run.info.run_id).data.tags["aims.status"]


def test_evidence_of_one_kind_is_picked_and_all_of_it_is_in_order_of_time(registered):
    everything = aims_mlflow.load_evidence(registered)
    assert [r.captured_at for r in everything] == sorted(r.captured_at for r in everything)
    assert all(isinstance(r, ModelRecord) for r in aims_mlflow.load_evidence(registered, "model"))
    assert aims_mlflow.load_evidence(registered, "no.such.kind") == []
    assert [r.digest for r in aims_mlflow.load_evidence("models:/m/1")] == [r.digest for r in everything]
