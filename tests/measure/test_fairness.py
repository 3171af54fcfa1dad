"""Fairness: fairlearn's numbers, undefined rates null, small groups counted and not judged, labels kept back."""

import re
import time
import warnings

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from aims_mlflow.config.models import FairnessPolicy, MetricLimit, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import FairnessEvidence, Tool, Verdict, canonical_json, now
from aims_mlflow.measure.fairness import DISPARITIES, measure_fairness

ALL = PrivacyPolicy(smallest_cell=1)


def policy(smallest=1, **limits):
    return FairnessPolicy(
        metrics={name: MetricLimit(**limit) for name, limit in limits.items()}, min_group_size=smallest
    )


def measured(y_true, y_pred, sensitive, *, rules=None, privacy=ALL, safe=("sensitive", "sex"), **more):
    return measure_fairness(
        y_true, y_pred, sensitive, policy=rules or policy(), privacy=privacy, safe_labels=safe, **more
    )


def rates(payload, attribute="sensitive"):
    return {g.group: {n: i.value for n, i in g.metrics.items()} for g in payload.groups if g.attribute == attribute}


def gaps(payload):
    return {f"{d.metric}_{d.statistic}": d.estimate.value for d in payload.disparities}


def gap(payload, name):
    return next(d for d in payload.disparities if f"{d.metric}_{d.statistic}" == name)


FAIRLEARN = {
    "selection_rate": fl.selection_rate,
    "true_positive_rate": fl.true_positive_rate,
    "false_positive_rate": fl.false_positive_rate,
    "true_negative_rate": fl.true_negative_rate,
    "false_negative_rate": fl.false_negative_rate,
    "accuracy": sk.accuracy_score,
    "precision": sk.precision_score,
}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 120), st.integers(2, 5))
def test_rates_and_gaps_equal_fairlearns_where_defined_and_are_null_elsewhere(seed, rows, groups):
    random = np.random.default_rng(seed)
    true, pred = random.integers(0, 2, rows), random.integers(0, 2, rows)
    group = np.array([f"g{i}" for i in random.integers(0, groups, rows)])
    every = {f"{m}_{s}": {} for m in (*FAIRLEARN, "equalized_odds") for s in ("difference", "ratio")}
    found = measured(true, pred, group, rules=policy(**every), positive_label=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = fl.MetricFrame(metrics=FAIRLEARN, y_true=true, y_pred=pred, sensitive_features=group)
    own = rates(found)
    for label, row in frame.by_group.iterrows():
        in_group = group == label
        positives, called = true[in_group].sum(), pred[in_group].sum()
        negatives = in_group.sum() - positives
        for name, value in row.items():
            base = {"true_positive_rate": positives, "false_negative_rate": positives, "precision": called}.get(
                name, negatives if name in ("false_positive_rate", "true_negative_rate") else 1
            )
            assert own[label][name] == (pytest.approx(value, rel=1e-15) if base else None)
    whole = gaps(found)
    defined = [name for name in FAIRLEARN if all(v[name] is not None for v in own.values())]
    if len(own) < 2:
        return
    for name in defined:
        assert whole[f"{name}_difference"] == pytest.approx(frame.difference()[name], abs=1e-15)
        ratio = frame.ratio()[name] if frame.by_group[name].max() > 0 else None
        assert whole[f"{name}_ratio"] == (None if ratio is None else pytest.approx(ratio, rel=1e-14))
    if {"true_positive_rate", "false_positive_rate"} <= set(defined):
        odds = fl.equalized_odds_difference(true, pred, sensitive_features=group)
        assert whole["equalized_odds_difference"] == pytest.approx(odds, abs=1e-15)
        if whole["equalized_odds_ratio"] is not None:
            odds = fl.equalized_odds_ratio(true, pred, sensitive_features=group)
            assert whole["equalized_odds_ratio"] == pytest.approx(odds, rel=1e-14)
    parity = fl.demographic_parity_difference(true, pred, sensitive_features=group)
    assert whole["selection_rate_difference"] == pytest.approx(parity, abs=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 120))
def test_regression_means_and_gaps_equal_fairlearns(seed, rows):
    random = np.random.default_rng(seed)
    true = random.normal(size=rows) * 10
    pred, group = true + random.normal(size=rows), np.array(["a", "b", "c"])[np.arange(rows) % 3]
    found = measured(true, pred, group, rules=policy(mae_ratio={}, mae_difference={}))
    frame = fl.MetricFrame(
        metrics={"mae": sk.mean_absolute_error, "mean_prediction": fl.mean_prediction},
        y_true=true, y_pred=pred, sensitive_features=group,
    )  # fmt: skip
    for label, row in frame.by_group.iterrows():
        own = rates(found)[label]
        assert (own["mae"], own["mean_prediction"]) == pytest.approx((row["mae"], row["mean_prediction"]), rel=1e-11)
        error = (pred - true)[group == label].mean()
        assert own["mean_error"] == pytest.approx(error, rel=1e-11, abs=1e-12)
    assert found.task == "regression"
    assert gaps(found)["mae_ratio"] == pytest.approx(frame.ratio()["mae"], rel=1e-11)
    assert gaps(found)["mae_difference"] == pytest.approx(frame.difference()["mae"], rel=1e-9)


def test_it_takes_a_small_part_of_fairlearns_cpu():
    random = np.random.default_rng(0)
    rows = 100_000
    true, pred, group = random.integers(0, 2, rows), random.integers(0, 2, rows), random.integers(0, 4, rows)
    measured(true, pred, group)
    ours = min(_cpu(lambda: measured(true, pred, group)) for _ in range(3))

    def theirs():
        assert len(fl.MetricFrame(metrics=FAIRLEARN, y_true=true, y_pred=pred, sensitive_features=group).by_group) == 4
        fl.equalized_odds_difference(true, pred, sensitive_features=group)

    assert _cpu(theirs) > 20 * ours


def _cpu(work):
    before = time.process_time()
    work()
    return time.process_time() - before


# A small population with known numbers: group a selects 3 of 10, group b 6 of 10.

TRUE = [*[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], *[1, 1, 1, 1, 1, 0, 0, 0, 0, 0]]
PRED = [*[1, 1, 0, 1, 0, 0, 0, 0, 0, 0], *[1, 1, 1, 1, 0, 1, 1, 0, 0, 0]]
SEX = ["a"] * 10 + ["b"] * 10


def test_the_gap_names_its_groups_and_has_an_interval():
    found = gap(measured(TRUE, PRED, SEX), "selection_rate_difference")
    assert (found.lowest_group, found.highest_group) == ("a", "b")
    assert found.estimate.value == pytest.approx(0.3)
    assert 0 <= found.estimate.low < 0.3 < found.estimate.high < 1
    assert "Newcombe" in found.estimate.method
    ratio = gap(measured(TRUE, PRED, SEX), "selection_rate_ratio")
    assert ratio.estimate.value == pytest.approx(0.5)
    assert 0 <= ratio.estimate.low < 0.5 < ratio.estimate.high <= 1


def test_equalized_odds_is_the_worse_gap_and_its_interval_pays_for_two_looks():
    found = measured(*crowd(0.3, 0.5))
    odds, true, false = (
        gap(found, f"{name}_difference").estimate
        for name in ("equalized_odds", "true_positive_rate", "false_positive_rate")
    )
    assert odds.value == max(true.value, false.value)
    assert odds.high > max(true.high, false.high)
    assert odds.low < max(true.low, false.low)


FORMS = {
    "series": lambda v: pd.Series(v, name="sex"),
    "unnamed": pd.Series,
    "list": list,
    "numpy": np.array,
    "category": lambda v: pd.Series(pd.Categorical(v), name="sex"),
    "dict": lambda v: {"sex": v},
    "frame": lambda v: pd.DataFrame({"sex": v}),
    "polars": lambda v: pl.Series("sex", v),
    "polars frame": lambda v: pl.DataFrame({"sex": v}),
    "arrow": pa.array,
    "arrow table": lambda v: pa.table({"sex": v}),
}


@pytest.mark.parametrize("form", FORMS)
def test_sensitive_columns_of_any_library_give_the_same_gaps(form):
    found = measured(TRUE, PRED, FORMS[form](SEX))
    assert gaps(found) == gaps(measured(TRUE, PRED, SEX))
    assert {g.group for g in found.groups} == {"a", "b"}
    assert {g.attribute for g in found.groups} == {
        "sensitive" if form in ("unnamed", "list", "numpy", "arrow") else "sex"
    }


def test_several_attributes_are_measured_one_by_one():
    found = measured(TRUE, PRED, {"sex": SEX, "age": ["old", "young"] * 10}, safe=("sex", "age"))
    assert {(g.attribute, g.group) for g in found.groups} == {
        ("sex", "a"),
        ("sex", "b"),
        ("age", "old"),
        ("age", "young"),
    }
    assert {d.attribute for d in found.disparities} == {"sex", "age"}


# Limits


def crowd(share_a, share_b, rows=2000):
    """Two groups of ``rows`` each, selected at these shares; targets alternate."""
    pred = np.concatenate([np.arange(rows) < round(share * rows) for share in (share_a, share_b)]).astype(int)
    return np.tile([0, 1], rows), pred, np.repeat(["a", "b"], rows)


@pytest.mark.parametrize(
    ("shares", "name", "limit", "verdict"),
    [
        ((0.5, 0.5), "selection_rate_ratio", {"min": 0.8}, "pass"),
        ((0.3, 0.5), "selection_rate_ratio", {"min": 0.8}, "fail"),
        ((0.4, 0.5), "selection_rate_ratio", {"min": 0.8}, "uncertain"),
        ((0.5, 0.5), "demographic_parity_difference", {"max": 0.1}, "pass"),
        ((0.3, 0.5), "demographic_parity_difference", {"max": 0.1}, "fail"),
        ((0.4, 0.5), "demographic_parity_difference", {"max": 0.1}, "uncertain"),
        ((0.5, 0.5), "equalized_odds_difference", {"max": 0.1}, "pass"),
        ((0.3, 0.5), "equalized_odds_difference", {"max": 0.1}, "fail"),
        ((0.5, 0.5), "selection_rate_ratio", {}, "recorded"),
    ],
)
def test_a_gap_passes_or_fails_only_where_its_interval_is_clear_of_the_limit(shares, name, limit, verdict):
    found = measured(*crowd(*shares), rules=policy(**{name: limit}))
    assert gap(found, name).verdict == verdict == found.verdict
    assert [(t.name, t.op) for t in found.thresholds] == [(name, ">=" if s == "min" else "<=") for s in limit]


def test_without_require_certain_the_value_decides():
    rules = policy(selection_rate_ratio={"min": 0.79}).model_copy(update={"require_certain": False})
    assert measured(*crowd(0.4, 0.5), rules=rules).verdict is Verdict.PASS


def test_an_alias_is_reported_as_declared_and_computed_once():
    found = measured(TRUE, PRED, SEX, rules=policy(demographic_parity_ratio={"min": 0.1}, tpr_difference={"max": 1}))
    names = [f"{d.metric}_{d.statistic}" for d in found.disparities]
    assert "demographic_parity_ratio" in names
    assert "selection_rate_ratio" not in names
    assert "true_positive_rate_difference" not in names
    assert len(names) == len(set(names))


def test_an_unknown_disparity_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"no disparity 'selection_rate_ration'.*Did you mean 'selection_rate_ratio'"):
        measured(TRUE, PRED, SEX, rules=policy(selection_rate_ration={"min": 0.8}))


def test_every_known_name_can_carry_a_limit_and_none_is_passed_over():
    found = measured(TRUE, PRED, SEX, rules=policy(**{name: {"max": 9} for name in DISPARITIES}))
    assert set(gaps(found)) == DISPARITIES
    regression = {n for n in DISPARITIES if n.startswith(("mae", "mean_"))}
    untested = {n for n in DISPARITIES if gap(found, n).verdict is Verdict.NOT_TESTED}
    assert untested == regression
    assert found.verdict is Verdict.NOT_TESTED


# What is undefined, small or missing


def test_undefined_rates_are_null_where_fairlearn_says_0():
    true = np.array([0] * 40 + [0, 1] * 20)
    pred = np.array([0] * 40 + [0, 1] * 20)
    group = ["a"] * 40 + ["b"] * 40
    found = measured(true, pred, group)
    assert rates(found)["a"]["false_negative_rate"] is None
    assert rates(found)["a"]["precision"] is None
    assert rates(found)["b"]["false_negative_rate"] == 0
    assert fl.false_negative_rate(true[:40], pred[:40], pos_label=1) == 0
    assert gap(found, "true_positive_rate_difference").verdict is Verdict.NOT_TESTED
    assert gap(found, "false_positive_rate_ratio").estimate.value is None, "0 in every group has no ratio"


def test_a_limit_is_not_passed_where_a_judged_group_has_no_rate():
    """Two groups agree on the rate, a third has no positives: the limit says nothing of the third."""
    true, pred, group = crowd(0.5, 0.5)
    more = np.zeros(500, int)
    for certain in (True, False):
        rules = policy(true_positive_rate_difference={"max": 0.2}).model_copy(update={"require_certain": certain})
        assert measured(true, pred, group, rules=rules).verdict is Verdict.PASS
        found = measured([*true, *more], [*pred, *more], [*group, *["c"] * 500], rules=rules)
        assert found.verdict is Verdict.UNCERTAIN
        assert "1 of the judged groups" in gap(found, "true_positive_rate_difference").reason


def test_small_groups_are_counted_and_not_judged():
    true, pred, group = crowd(0.5, 0.5)
    found = measured(
        [*true, *[1] * 10], [*pred, *[0] * 10], [*group, *["c"] * 10],
        rules=policy(30, selection_rate_ratio={"min": 0.8}),
    )  # fmt: skip
    small = next(g for g in found.groups if g.group == "c")
    assert (small.n, small.judged, small.metrics["selection_rate"].value) == (10, False, 0)
    assert found.verdict is Verdict.PASS
    assert found.numbers["judged_groups"] == 2


def test_groups_under_the_smallest_cell_have_neither_count_nor_metrics_nor_can_they_be_had_by_subtraction():
    true, pred, group = crowd(0.5, 0.5, rows=60)
    sex = [*group, *["c"] * 3]
    found = measured([*true, 1, 1, 1], [*pred, 0, 1, 1], sex, privacy=PrivacyPolicy(smallest_cell=5))
    by_name = {g.group: g for g in found.groups}
    assert by_name["c"].n is None
    assert not by_name["c"].judged
    assert {i.value for i in by_name["c"].metrics.values()} == {None}
    assert found.rows == 123
    assert (by_name["a"].n, by_name["b"].n) == (58, 60), "rows less the other counts are 5, however many are hidden"


def test_rates_on_fewer_rows_than_the_smallest_cell_are_not_told():
    true = [1] * 3 + [0] * 40 + [0, 1] * 30
    pred = [1] * 2 + [0] * 41 + [0, 1] * 30
    sex = ["a"] * 43 + ["b"] * 60
    found = measured(true, pred, sex, privacy=PrivacyPolicy(smallest_cell=5))
    assert rates(found)["a"]["true_positive_rate"] is None
    assert rates(found)["a"]["false_positive_rate"] is None, "its 40 rows of 43 would leave the 3"
    assert rates(found)["b"]["false_positive_rate"] == 0


def test_missing_sensitive_values_are_a_group_of_their_own():
    true, pred, group = crowd(0.5, 0.5)
    sex = pd.Series(group, name="sex").astype(object)
    sex[::4] = None
    found = measured(true, pred, sex)
    assert next(g for g in found.groups if g.group == "missing").n == 1000
    literal = measured(TRUE, PRED, ["missing"] * 10 + [None] * 10)
    assert {g.group for g in literal.groups} == {"missing", "missing (as written in the data)"}


def test_rows_without_target_or_prediction_are_left_out_and_counted():
    found = measured([*TRUE, None], [*PRED, 1], [*SEX, "a"])
    assert (found.rows, found.numbers["dropped_rows"]) == (20, 1)
    assert gaps(found) == gaps(measured(TRUE, PRED, SEX))


@pytest.mark.parametrize(
    "sensitive",
    [
        pd.Series(np.linspace(20, 70, 200), name="sex"),
        pd.Series(np.arange(200), name="sex"),
        pd.Series(pd.date_range("1950-01-01", periods=200), name="sex"),
    ],
)
def test_a_continuous_attribute_is_not_judged_and_says_why(sensitive):
    found = measured([0, 1] * 100, [0, 1] * 100, sensitive, rules=policy(selection_rate_ratio={"min": 0.8}))
    assert found.groups == ()
    assert found.verdict is Verdict.NOT_TESTED
    assert "Cut it into classes" in gap(found, "selection_rate_ratio").reason


def test_ids_are_no_grouping():
    found = measured([0, 1] * 400, [0, 1] * 400, [f"person {i}" for i in range(800)])
    assert found.groups == ()
    assert "Merge them" in found.disparities[0].reason


@pytest.mark.parametrize("sex", [["a"] * 20, ["a"] * 19 + ["b"]])
def test_fewer_than_two_judged_groups_are_not_tested(sex):
    found = measured(TRUE, PRED, sex, rules=policy(5, selection_rate_ratio={"min": 0.8}))
    assert found.verdict is Verdict.NOT_TESTED
    assert "Fewer than two groups" in gap(found, "selection_rate_ratio").reason


def test_no_rows_are_not_tested():
    found = measured([], [], [], rules=policy(selection_rate_ratio={"min": 0.8}))
    assert (found.verdict, found.rows) == (Verdict.NOT_TESTED, 0)
    found = measured([None], [None], ["a"])
    assert (found.verdict, found.rows) == (Verdict.NOT_TESTED, 0)


def test_more_than_two_labels_are_compared_by_accuracy_or_one_against_the_rest():
    true, pred = ["x", "y", "z"] * 20, ["x", "y", "y"] * 20
    sex = ["a"] * 30 + ["b"] * 30
    found = measured(true, pred, sex, rules=policy(selection_rate_ratio={"min": 0.1}))
    assert found.task == "multiclass"
    assert rates(found)["a"] == {"accuracy": pytest.approx(2 / 3)}
    assert found.verdict is Verdict.NOT_TESTED
    assert "positive_label" in gap(found, "selection_rate_ratio").reason
    against = rates(measured(true, pred, sex, positive_label="y"))["a"]
    assert (against["selection_rate"], against["accuracy"]) == pytest.approx((2 / 3, 2 / 3))


def test_a_regression_gap_of_means_may_be_negative_and_has_no_ratio():
    true = np.zeros(100)
    pred = np.where(np.arange(100) < 50, -1.0, 1.0) + np.tile([0.1, -0.1], 50)
    found = measured(
        true + 0.5, pred, ["a"] * 50 + ["b"] * 50, rules=policy(mean_error_ratio={"min": 0.8}), task="regression"
    )
    assert gaps(found)["mean_error_difference"] == pytest.approx(2)
    assert gap(found, "mean_error_ratio").verdict is Verdict.NOT_TESTED
    assert "cannot be negative" in gap(found, "mean_error_ratio").reason


# Privacy


def test_labels_are_written_only_where_declared_safe():
    secret = [f"SECRET-{s}" for s in SEX]
    found = measured(TRUE, PRED, {"sex": SEX, "faith": secret}, safe=("sex",))
    record = FairnessEvidence(collector=Tool(name="t", version="1"), captured_at=now(), **found.as_fields())
    assert b"SECRET" not in canonical_json(record)
    assert {g.group for g in found.groups if g.attribute == "sex"} == {"a", "b"}
    hidden = {g.group for g in found.groups if g.attribute == "faith"}
    assert len(hidden) == 2
    assert all(re.fullmatch(r"group [0-9a-f]{12}", name) for name in hidden)
    assert {d.lowest_group for d in found.disparities if d.attribute == "faith"} <= hidden | {None}


def test_hashed_labels_match_only_under_the_same_salt():
    def labels(**more):
        return {g.group for g in measured(TRUE, PRED, SEX, safe=(), **more).groups}

    assert labels(salt="one") == labels(salt=b"one")
    assert labels(salt="one") != labels(salt="two")
    assert labels() != labels(), "without a salt of the caller's nobody can try labels one by one"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([0, 1], [0], ["a", "b"]), "y_true has 2 values and y_pred has 1"),
        (([0, 1], [0, 1], {"sex": ["a"]}), "y_true has 2 values and sex has 1"),
        (([0, 1], ["0", "1"], ["a", "b"]), "labels are of different types"),
        (([0, 1], [0, 1], pd.DataFrame(index=[0, 1])), "no sensitive column"),
        (([0, 1], [0, 1], None), "no frame that can be read"),
        (([0, 1], [0, 1], "sex"), "no frame that can be read"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(arguments, told):
    with pytest.raises(InputError, match=told):
        measured(*arguments)


def test_names_and_labels_with_markup_and_unicode_are_kept_as_text():
    found = measured(TRUE, PRED, {"<b>géschlecht": [f"<script>{s}" for s in SEX]}, safe=("<b>géschlecht",))
    assert {g.group for g in found.groups} == {"<script>a", "<script>b"}
    assert "<b>géschlecht/selection_rate_ratio" in found.numbers
