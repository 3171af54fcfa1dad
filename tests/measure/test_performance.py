"""Performance: scikit-learn's numbers, intervals against limits, baselines, and nothing undefined called 0."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from aims_mlflow.config.models import MetricLimit, PerformancePolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Interval, PerformanceEvidence, Tool, Verdict, canonical_json, now
from aims_mlflow.measure.limits import judge
from aims_mlflow.measure.performance import METRICS, compare, judge_logged_metrics, measure_performance

ALL = PrivacyPolicy(smallest_cell=1)


def policy(**limits):
    return PerformancePolicy(metrics={name: MetricLimit(**limit) for name, limit in limits.items()})


def measured(y_true, y_pred, *, rules=None, privacy=ALL, **more):
    return measure_performance(y_true, y_pred, policy=rules or PerformancePolicy(), privacy=privacy, **more)


def values(payload):
    return {m.name: m.estimate.value for m in payload.metrics}


def verdicts(payload):
    return {m.name: m.verdict for m in payload.metrics}


# scikit-learn as oracle


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 80), st.sampled_from(["int", "bool", "str", "float", "minus"]))
def test_binary_metrics_equal_scikit_learns_where_defined_and_are_null_elsewhere(seed, rows, labels):
    random = np.random.default_rng(seed)
    true = random.random(rows) < random.random()
    score = np.round(random.random(rows), int(random.integers(1, 4)))
    pred = score > random.random()
    names = {"int": (0, 1), "bool": (False, True), "str": ("no", "yes"), "float": (0.0, 1.0), "minus": (-1, 1)}[labels]
    y, p = np.array(names)[true.astype(int)], np.array(names)[pred.astype(int)]
    found = values(measured(y, p, y_proba=score, positive_label=names[1]))
    tp, fp = np.sum(true & pred), np.sum(~true & pred)
    fn, tn = np.sum(true & ~pred), np.sum(~true & ~pred)
    expected = {
        "accuracy": sk.accuracy_score(true, pred),
        "balanced_accuracy": sk.balanced_accuracy_score(true, pred) if tp + fn and tn + fp else None,
        "precision": sk.precision_score(true, pred) if tp + fp else None,
        "recall": sk.recall_score(true, pred) if tp + fn else None,
        "specificity": sk.recall_score(~true, ~pred) if tn + fp else None,
        "f1": sk.f1_score(true, pred) if tp + fp + fn else None,
        "mcc": sk.matthews_corrcoef(true, pred) if (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn) else None,
        "roc_auc": sk.roc_auc_score(true, score) if tp + fn and tn + fp else None,
        "log_loss": sk.log_loss(true, score, labels=[False, True]),
        "brier": sk.brier_score_loss(true, score, pos_label=True),
    }
    assert found == {k: v if v is None else pytest.approx(v, rel=1e-12, abs=1e-14) for k, v in expected.items()}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 100), st.integers(3, 6), st.booleans())
def test_multiclass_metrics_equal_scikit_learns_where_defined(seed, rows, classes, text):
    random = np.random.default_rng(seed)
    true = np.concatenate([np.arange(classes), random.integers(0, classes, rows)])
    chance = random.dirichlet(np.ones(classes), len(true))
    pred = np.where(random.random(len(true)) < 0.5, true, random.integers(0, classes, len(true)))
    names = np.array([f"label {i}" for i in range(classes)]) if text else np.arange(classes)
    found = values(measured(names[true], names[pred], y_proba=chance))
    everyone = len(set(pred)) == classes
    expected = {
        "accuracy": sk.accuracy_score(true, pred),
        "balanced_accuracy": sk.balanced_accuracy_score(true, pred),
        "precision_macro": sk.precision_score(true, pred, average="macro") if everyone else None,
        "recall_macro": sk.recall_score(true, pred, average="macro"),
        "f1_macro": sk.f1_score(true, pred, average="macro"),
        "mcc": sk.matthews_corrcoef(true, pred) if len(set(pred)) > 1 else None,
        "log_loss": sk.log_loss(true, chance),
    }
    assert found == {k: v if v is None else pytest.approx(v, rel=1e-11, abs=1e-13) for k, v in expected.items()}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=60),
    st.sampled_from(["float64", "float32", "int64"]),
)
def test_regression_metrics_equal_scikit_learns_where_defined(rows, dtype):
    true, pred = (np.array(side).astype(dtype).astype(float) for side in zip(*rows, strict=True))
    found = values(measured(true, pred, task="regression"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "mae": sk.mean_absolute_error(true, pred),
            "mse": sk.mean_squared_error(true, pred),
            "rmse": sk.root_mean_squared_error(true, pred),
            "r2": sk.r2_score(true, pred) if np.ptp(true) > 0 else None,
            "mean_error": np.mean(pred - true),
        }
    if np.ptp(true) > 0 and found["r2"] is None:  # the squares underflow to 0
        assert np.sum((true - true.mean()) ** 2) == 0
        expected["r2"] = None
    assert found == {k: v if v is None else pytest.approx(v, rel=1e-9, abs=1e-9) for k, v in expected.items()}


# What is read


SAME = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "series": pd.Series,
    "object": lambda v: pd.Series(v, dtype=object),
    "category": lambda v: pd.Series(pd.Categorical(v)),
    "frame": lambda v: pd.DataFrame({"y": v}),
    "polars": pl.Series,
    "arrow": pa.array,
    "column": lambda v: np.array(v).reshape(-1, 1),
}


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("labels", [(0, 1), (False, True), ("a", "b"), (1.0, 2.0)])
def test_targets_and_predictions_of_any_library_give_the_same_metrics(form, labels):
    pick = [labels[i] for i in (0, 1, 1, 0, 1, 0, 0, 1)]
    said = [labels[i] for i in (0, 1, 0, 0, 1, 1, 0, 1)]
    payload = measured(SAME[form](pick), SAME["list"](said))
    assert payload.task == "classification"
    assert values(payload) == values(measured(pick, said))
    assert values(payload)["accuracy"] == 0.75


def test_booleans_zeros_and_floats_are_the_same_labels():
    assert values(measured([True, False, True], np.array([1, 0, 0])))["accuracy"] == pytest.approx(2 / 3)
    assert values(measured([0, 1, 1], np.array([0.0, 1.0, 0.0])))["recall"] == 0.5


TASKS = [
    ([0, 1, 0, 1], [0, 1, 1, 1], "classification"),
    (["a", "b", "c"], ["a", "b", "b"], "multiclass"),
    ([0, 1, 2, 2], [0, 1, 2, 1], "multiclass"),
    ([1.5, 2.5, 3.0], [1, 2, 3], "regression"),
    ([1, 2, 3, 4], [1.1, 2.2, 2.9, 4.4], "regression"),
    (list(range(60)), list(range(60)), "regression"),
    ([1.0, 2.0, np.nan, 3.0], [1.0, 2.0, 2.0, 3.0], "multiclass"),
]


@pytest.mark.parametrize(("y_true", "y_pred", "task"), TASKS)
def test_the_task_is_told_from_the_targets_and_predictions(y_true, y_pred, task):
    assert measured(y_true, y_pred).task == task


def test_a_given_task_overrides_the_guess():
    assert measured([1, 2, 3], [1, 2, 3], task="regression").task == "regression"
    assert measured(list(range(60)), list(range(60)), task="classification").task == "multiclass"
    two = measured([0, 1, 1, 0], [0, 1, 0, 0], task="multiclass")
    assert two.task == "multiclass"
    assert values(two)["f1_macro"] == pytest.approx(sk.f1_score([0, 1, 1, 0], [0, 1, 0, 0], average="macro"))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "more", "told"),
    [
        ([0, 1, 0], [0, 1], {}, "y_true has 3 values and y_pred has 2"),
        ([0, 1], ["0", "1"], {}, "y_true holds numbers and y_pred holds text"),
        ([0, "a"], [0, 1], {}, "y_true holds text and numbers"),
        ([0, 1, 1], [0.2, 0.7, 0.9], {}, "fractions where y_true holds labels.*y_proba"),
        ([0, 1], [0, 1], {"positive_label": 2}, "positive_label 2 is none of the 2 labels"),
        (["yes", "no"], ["yes", "no"], {"positive_label": "yess"}, "Did you mean 'yes'"),
        ([0, 1], [0, 1], {"positive_label": "1"}, "positive_label is '1' and the labels are numbers"),
        ([0, 1], [0, 1], {"task": "ranking"}, "no task 'ranking'.*auto or classification"),
        ([0, 1], [0, 1], {"y_proba": [0.5]}, "y_true has 2 values and y_proba has 1"),
        ([0, 1], [0, 1], {"y_proba": np.ones((2, 3))}, "3 columns and there are 2 labels"),
        ([0, 1], [0, 1], {"y_proba": ["a", "b"]}, "something else than numbers"),
        ([0, 1], [0, 1], {"y_proba": pd.Series(["a", "b"])}, "string values, not numbers"),
        (["a", "b"], ["a", "b"], {"task": "regression"}, "a regression needs numbers"),
        (np.array(["2024-01-01"], "M8[D]"), np.array(["2024-01-01"], "M8[D]"), {}, "labels of type Timestamp"),
        (np.ones((3, 2)), [0, 1, 1], {}, "one column of values and got 2"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(y_true, y_pred, more, told):
    with pytest.raises(InputError, match=told):
        measured(y_true, y_pred, **more)


def test_series_with_the_same_index_in_another_order_are_refused():
    true = pd.Series([0, 1, 1], index=["a", "b", "c"])
    with pytest.raises(InputError, match="another order"):
        measured(true, pd.Series([0, 1, 1], index=["c", "b", "a"]))
    assert values(measured(true, pd.Series([0, 1, 1], index=["a", "b", "c"])))["accuracy"] == 1
    assert values(measured(true, pd.Series([0, 1, 1])))["accuracy"] == 1


def test_missing_targets_and_predictions_are_left_out_and_counted():
    payload = measured([0, 1, None, 1, 0, 1], pd.array([0, 1, 1, None, 0, 0], dtype="Int64"))
    assert (payload.rows, payload.dropped) == (4, 2)
    assert values(payload)["accuracy"] == 0.75
    payload = measured([1.5, np.nan, 3.5], [1.5, 2.5, np.nan])
    assert (payload.rows, payload.dropped, values(payload)["mae"]) == (1, 2, 0)


def test_missing_probabilities_are_left_out_of_the_metrics_that_need_them():
    payload = measured([0, 1, 1, 0], [0, 1, 1, 0], y_proba=[0.1, np.nan, 0.9, 0.2])
    rows = {m.name: m.n for m in payload.metrics}
    assert (rows["accuracy"], rows["roc_auc"], rows["brier"]) == (4, 3, 3)


def test_probability_columns_go_by_name_or_by_sorted_label():
    true, pred = ["no", "yes", "yes", "no"], ["no", "yes", "no", "no"]
    yes = np.array([0.2, 0.9, 0.4, 0.3])
    expected = values(measured(true, pred, y_proba=yes))
    both = np.column_stack([1 - yes, yes])
    assert values(measured(true, pred, y_proba=both)) == expected
    assert values(measured(true, pred, y_proba=both.tolist())) == expected
    assert values(measured(true, pred, y_proba=pd.DataFrame({"yes": yes, "no": 1 - yes}))) == expected
    turned = values(measured(true, pred, y_proba=both, positive_label="no"))
    assert turned["roc_auc"] == expected["roc_auc"]
    assert turned["recall"] == expected["specificity"]


def test_scores_that_are_no_probabilities_rank_but_have_no_loss():
    found = values(measured([0, 1, 1, 0], [0, 1, 1, 0], y_proba=[-3.0, 2.0, 5.0, 0.1]))
    assert found["roc_auc"] == 1
    assert found["log_loss"] is found["brier"] is None
    classes = values(measured([0, 1, 2], [0, 1, 2], y_proba=np.ones((3, 3))))
    assert classes["log_loss"] is None


def test_a_certain_wrong_probability_has_a_finite_loss_as_in_scikit_learn():
    true, score = [0, 1, 1], [1.0, 0.0, 1.0]
    assert values(measured(true, [1, 0, 1], y_proba=score))["log_loss"] == pytest.approx(sk.log_loss(true, score))


# Undefined, never 0


def test_one_class_leaves_what_needs_two_undefined():
    found = values(measured([0, 0, 0, 0], [0, 0, 0, 0], y_proba=[0.1, 0.2, 0.1, 0.3]))
    assert found["accuracy"] == found["specificity"] == 1
    assert [found[name] for name in ("precision", "recall", "f1", "mcc", "roc_auc", "balanced_accuracy")] == [None] * 6
    found = values(measured(["x", "x"], ["x", "x"]))
    assert found["accuracy"] == 1
    assert found["recall"] is None
    assert values(measured(["x", "x"], ["x", "x"], positive_label="x"))["recall"] == 1


@pytest.mark.parametrize("empty", [[], np.array([]), pd.Series([], dtype="str"), [None, None]])
def test_no_rows_are_not_tested_whatever_the_limits(empty):
    for rules in (None, policy(accuracy={"min": 0.5})):
        payload = measured(empty, empty, rules=rules, task="classification")
        assert payload.verdict is Verdict.NOT_TESTED
        assert payload.rows == 0
        assert set(values(payload).values()) == {None}


def test_infinite_values_and_constant_targets_leave_metrics_undefined():
    assert set(values(measured([1.5, np.inf, 2.5], [1.5, 1.0, 2.5])).values()) == {None}
    assert values(measured([1.5, 1.5, 1.5], [1.5, 1.0, 2.5]))["r2"] is None
    huge = values(measured([1e200, -1e200, 0.5], [0.0, 0.0, 0.0]))
    assert huge["mse"] is None
    assert huge["mae"] == pytest.approx(2e200 / 3)


# Limits


def coins(right, rows):
    true = np.arange(rows) % 2
    return true, np.where(np.arange(rows) < right, true, 1 - true)


@pytest.mark.parametrize(
    ("right", "limit", "verdict"),
    [
        (900, {"min": 0.8}, "pass"),
        (900, {"min": 0.95}, "fail"),
        (900, {"min": 0.89}, "uncertain"),
        (900, {"max": 0.95}, "pass"),
        (900, {"max": 0.8}, "fail"),
        (900, {"min": 0.8, "max": 0.89}, "uncertain"),
        (900, {"min": 0.8, "max": 0.95}, "pass"),
        (900, {}, "recorded"),
    ],
)
def test_a_metric_passes_or_fails_only_where_its_interval_is_clear_of_the_limit(right, limit, verdict):
    payload = measured(*coins(right, 1000), rules=policy(accuracy=limit))
    assert verdicts(payload)["accuracy"] == verdict == payload.verdict
    assert {t.op for t in payload.thresholds} == {">=" if side == "min" else "<=" for side in limit}


@pytest.mark.parametrize(("low", "high", "verdict"), [(0.5, 0.7, "pass"), (0.3, 0.5, "uncertain"), (0.3, 0.49, "fail")])
def test_an_end_that_touches_the_limit_is_on_its_good_side(low, high, verdict):
    for sign, side in ((1, "min"), (-1, "max")):
        ends = sorted((sign * low, sign * high))
        estimate = Interval(value=sign * (low + high) / 2, low=ends[0], high=ends[1])
        found = judge(estimate, MetricLimit(**{side: sign * 0.5}), certain=True, direction=None)
        assert found.verdict == verdict


@pytest.mark.parametrize(("limit", "verdict"), [({"min": 0.5}, "uncertain"), ({"max": 0.7}, "pass")])
def test_an_unknown_end_of_the_interval_never_helps(limit, verdict):
    found = judge(Interval(value=0.6, low=None, high=0.7), MetricLimit(**limit), certain=True, direction=None)
    assert found.verdict == verdict


def test_without_require_certain_the_value_decides():
    rules = policy(accuracy={"min": 0.89}).model_copy(update={"require_certain": False})
    assert measured(*coins(900, 1000), rules=rules).verdict is Verdict.PASS
    assert measured(*coins(889, 1000), rules=rules).verdict is Verdict.FAIL
    assert measured(*coins(890, 1000), rules=rules).verdict is Verdict.PASS


def test_the_worst_limit_gives_the_overall_verdict_and_unlimited_metrics_do_not_count():
    true, pred = coins(900, 1000)
    every = {"accuracy": {"min": 0.8}, "recall": {"min": 0.89}, "precision": {"min": 0.99}, "roc_auc": {"min": 0.5}}
    order = [("fail", 4), ("uncertain", 2), ("pass", 1)]
    for verdict, first in order:
        limits = dict(list(every.items())[:first])
        assert measured(true, pred, rules=policy(**limits)).verdict == verdict
    untested = measured(true, pred, rules=policy(accuracy={"min": 0.8}, roc_auc={"min": 0.5}))
    assert untested.verdict is Verdict.NOT_TESTED
    assert "roc_auc" in untested.reason
    assert "No probabilities" in next(m.reason for m in untested.metrics if m.name == "roc_auc")
    assert measured(true, pred).verdict is Verdict.RECORDED


def test_a_perfect_score_on_few_rows_does_not_prove_a_high_limit():
    assert measured([0, 1] * 4, [0, 1] * 4, rules=policy(accuracy={"min": 0.9})).verdict is Verdict.UNCERTAIN
    assert measured([0.5, 1.5], [0.5, 1.5], rules=policy(mae={"max": 0.1})).verdict is Verdict.UNCERTAIN


def test_limits_may_use_scikit_learns_names_and_are_reported_under_them():
    payload = measured(*coins(900, 1000), rules=policy(f1_score={"min": 0.5}, accuracy={"min": 0.5}))
    assert verdicts(payload)["f1_score"] is Verdict.PASS
    assert "f1" not in values(payload)
    assert payload.verdict is Verdict.PASS


def test_an_unknown_metric_is_refused_with_the_nearest_name_or_left_to_the_logged_metrics():
    true, pred = coins(900, 1000)
    rules = policy(accurracy={"min": 0.5}, accuracy={"min": 0.5})
    with pytest.raises(InputError, match=r"no metric 'accurracy'.*Did you mean 'accuracy'"):
        measured(true, pred, rules=rules)
    payload = measured(true, pred, rules=rules, unknown="not_tested")
    assert verdicts(payload)["accurracy"] is Verdict.NOT_TESTED
    assert payload.verdict is Verdict.PASS
    assert "1 further limits are for metrics not computed here (accurracy)" in payload.reason
    only = measured(true, pred, rules=policy(my_own={"min": 0.5}), unknown="not_tested")
    assert only.verdict is Verdict.NOT_TESTED


def test_a_limit_on_a_metric_of_another_task_is_not_tested():
    payload = measured(*coins(90, 100), rules=policy(rmse={"max": 1}))
    assert payload.verdict is Verdict.NOT_TESTED
    assert "no metric of a classification task" in next(m.reason for m in payload.metrics if m.name == "rmse")


def test_metrics_on_fewer_rows_than_the_smallest_cell_are_not_told():
    true, pred = [1, 1, 1] + [0] * 40, [1, 0, 1] + [0] * 40
    payload = measured(true, pred, privacy=PrivacyPolicy(smallest_cell=5), rules=policy(recall={"min": 0.5}))
    recall = next(m for m in payload.metrics if m.name == "recall")
    assert (recall.estimate.value, recall.n, recall.verdict) == (None, None, Verdict.NOT_TESTED)
    assert values(payload)["specificity"] == 1
    tiny = measured([1, 0, 1], [1, 0, 1], privacy=PrivacyPolicy(smallest_cell=5))
    assert tiny.rows is None
    assert set(values(tiny).values()) == {None}


# The record


def test_the_payload_fits_the_evidence_and_holds_no_label_of_the_data():
    true = np.array(["SECRET-no", "SECRET-yes"])[coins(900, 1000)[0]]
    payload = measured(true, true[::-1], rules=policy(accuracy={"min": 0.8}), baseline=("run 1", {"accuracy": 0.9}))
    record = PerformanceEvidence(collector=Tool(name="t", version="1"), captured_at=now(), **payload.as_fields())
    assert b"SECRET" not in canonical_json(record)
    assert record.numbers["accuracy"] == values(payload)["accuracy"]


def test_results_are_the_same_on_every_call():
    true, pred = coins(900, 1000)
    assert measured(true, pred).as_fields() == measured(true, pred).as_fields()


# Logged metrics


def test_logged_metrics_are_judged_by_their_value_and_say_that_the_interval_is_unknown():
    payload = judge_logged_metrics({"val_auc": 0.8, "loss": 0.4}, policy(val_auc={"min": 0.7}, gini={"min": 0.5}))
    auc = next(m for m in payload.metrics if m.name == "val_auc")
    assert (auc.verdict, auc.origin, auc.estimate.low, auc.estimate.high) == (Verdict.PASS, "mlflow", None, None)
    assert "interval is unknown" in auc.reason
    assert verdicts(payload)["loss"] is Verdict.RECORDED
    assert payload.verdict is Verdict.PASS
    assert "not logged: gini" in payload.reason


@pytest.mark.parametrize(
    ("metrics", "verdict"),
    [({"auc": 0.5}, "fail"), ({"auc": float("nan")}, "not_tested"), ({"other": 1.0}, "not_tested"), ({}, "not_tested")],
)
def test_logged_metrics_below_the_limit_or_absent_never_pass(metrics, verdict):
    assert judge_logged_metrics(metrics, policy(auc={"min": 0.7})).verdict == verdict


def test_logged_metrics_without_limits_are_recorded():
    payload = judge_logged_metrics({"auc": 0.5}, PerformancePolicy(), rows=100)
    assert payload.verdict is Verdict.RECORDED
    assert (payload.rows, payload.task) == (100, "unknown")
    PerformanceEvidence(collector=Tool(name="t", version="1"), captured_at=now(), **payload.as_fields())


# Baselines


def test_a_challenger_is_held_against_the_champion():
    true, pred = coins(900, 1000)
    rules = PerformancePolicy(max_loss=0.02)
    for champion, verdict in ((0.91, "pass"), (0.93, "fail"), (0.8, "pass")):
        payload = measured(true, pred, rules=rules, baseline=("run 1", {"accuracy_score": champion}))
        (comparison,) = payload.comparisons
        assert comparison.verdict == verdict == payload.verdict
        assert (comparison.metric, comparison.baseline_ref) == ("accuracy", "run 1")
        assert comparison.difference.value == pytest.approx(0.9 - champion)
        assert comparison.difference.low is None
        assert "values alone" in comparison.reason


def test_a_loss_metric_may_not_rise():
    true = np.linspace(0.5, 9.5, 50)
    for champion, verdict in ((0.2, "fail"), (0.5, "pass")):
        payload = measured(true, true + 0.5, baseline=("b", {"mae": champion, "mean_error": 0.1}))
        assert [(c.metric, c.verdict) for c in payload.comparisons] == [("mae", verdict)]


def test_with_known_rows_the_difference_has_newcombes_interval_and_may_be_uncertain():
    true, pred = coins(900, 1000)
    champion = ("run 1", {"accuracy": 0.9})
    payload = measured(
        true, pred, rules=PerformancePolicy(max_loss=0.01), baseline=champion, baseline_rows={"accuracy": 50}
    )
    (one,) = payload.comparisons
    assert one.verdict is Verdict.UNCERTAIN
    assert one.difference.low < 0 < one.difference.high
    wide = measured(
        true, pred, rules=PerformancePolicy(max_loss=0.2), baseline=champion, baseline_rows={"accuracy": 50}
    )
    assert wide.comparisons[0].verdict is Verdict.PASS


def test_a_baseline_with_nothing_in_common_is_not_tested():
    payload = measured(*coins(900, 1000), baseline=("run 1", {"other": 0.9, "accuracy": float("nan")}))
    assert payload.comparisons == ()
    assert payload.verdict is Verdict.NOT_TESTED
    assert "no metric can be compared with the baseline run 1" in payload.reason


def test_compare_takes_results_of_either_kind():
    logged = judge_logged_metrics({"accuracy": 0.8, "custom": 3.0}, PerformancePolicy())
    found = compare(logged.metrics, {"accuracy": 0.9, "custom": 2.0}, baseline_ref="b")
    assert [(c.metric, c.verdict) for c in found] == [("accuracy", Verdict.FAIL)]


def test_every_known_name_can_carry_a_limit():
    binary = measured(
        *coins(90, 100), y_proba=np.linspace(0, 1, 100), rules=policy(**{n: {"min": -99} for n in METRICS})
    )
    assert set(values(binary)) == METRICS
