"""Performance before labels: the estimate against NannyML's own, against plain sums, and where it must stay silent."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from aims_mlflow.config import Columns
from aims_mlflow.config.models import MetricLimit, PerformancePolicy, PrivacyPolicy
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.estimated import Calibration, ScoreCounts, calibrate, estimate_performance
from aims_mlflow.measure.estimated.calibration import isotonic, shortest_between
from aims_mlflow.measure.estimated.draws import binary_metrics
from aims_mlflow.sketches import Profile

NANNYML = Path(importlib.util.find_spec("nannyml").submodule_search_locations[0]) / "datasets" / "data"

CBPE = {
    "roc_auc": [0.970744, 0.971011, 0.971407, 0.971091, 0.971123, 0.96109, 0.961825, 0.961073, 0.962533, 0.961316],
    "f1": [0.94303, 0.941324, 0.943574, 0.943159, 0.944204, 0.911753, 0.911766, 0.911661, 0.913763, 0.914751],
    "precision": [0.957786, 0.957956, 0.958275, 0.956998, 0.958208, 0.941318, 0.941868, 0.939413, 0.943347, 0.941133],
    "recall": [0.928723, 0.925261, 0.929317, 0.929713, 0.930604, 0.88399, 0.883528, 0.885501, 0.885978, 0.889808],
    "specificity": [0.955879, 0.960769, 0.961058, 0.959469, 0.958873, 0.939872, 0.941023, 0.938748, 0.94419, 0.936675],
    "accuracy": [0.941792, 0.943321, 0.945492, 0.944816, 0.944645, 0.910714, 0.911149, 0.911193, 0.914389, 0.911731],
}
"""What ``nannyml.CBPE`` 0.13.1 says of the ten 5,000-row chunks of its car loan set's analysis period."""

RNG = np.random.default_rng(7)


def labelled(rows, *, seed=0, slope=3.0, shift=0.0):
    """Scores that are not calibrated (the outcome follows a steeper curve), predictions by 0.5, outcomes."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(shift, 1.2, rows)))
    outcome = (rng.random(rows) < true_chance(score, slope)).astype(int)
    return outcome, (score >= 0.5).astype(int), score


def true_chance(score, slope=3.0):
    return 1 / (1 + np.exp(-slope * (score - 0.5) * 2))


def estimate(score, made, **limits):
    policy = PerformancePolicy(metrics={name: MetricLimit(**limit) for name, limit in limits.items()})
    return estimate_performance(score, made, policy=policy)


def values(payload):
    return {metric.name: metric.estimate for metric in payload.metrics}


# Against NannyML


@pytest.fixture(scope="module")
def loans():
    read = [pd.read_csv(NANNYML / f"synthetic_car_loan_{name}.csv") for name in ("reference", "analysis")]
    outcome = pd.read_csv(NANNYML / "synthetic_car_loan_analysis_target.csv").repaid.to_numpy()
    reference, analysis = read
    return calibrate(reference.repaid, reference.y_pred, reference.y_pred_proba), analysis, outcome


@pytest.mark.parametrize("metric", sorted(CBPE))
def test_the_estimate_is_nannymls_own_within_two_thousandths(loans, metric):
    made, analysis, _ = loans
    found = [
        values(estimate(analysis.y_pred_proba.iloc[start : start + 5000], made))[metric].value
        for start in range(0, 50_000, 5000)
    ]
    assert np.abs(np.array(found) - CBPE[metric]).max() < 0.002


def test_the_cut_of_the_predictions_is_found_and_told(loans):
    made, analysis, _ = loans
    assert ((analysis.y_pred_proba >= made.cut).astype(int) == analysis.y_pred).all()
    assert any(f"{made.cut:g}" in text for text in estimate(analysis.y_pred_proba, made).assumptions)


def test_the_realised_performance_of_covariate_drift_lies_in_the_interval(loans):
    made, analysis, outcome = loans
    for start in range(0, 50_000, 5000):
        rows = slice(start, start + 5000)
        found = values(estimate(analysis.y_pred_proba.iloc[rows], made))["accuracy"]
        realised = (analysis.y_pred.to_numpy()[rows] == outcome[rows]).mean()
        # NannyML's generator shifts the concept a little too: two in a hundred is the room left for it.
        assert found.low - 0.005 <= realised <= found.high + 0.005


# Against plain sums and simulated truth


def test_expected_metrics_are_the_plain_sums_over_rows():
    outcome, _, score = labelled(4000)
    made = calibrate(outcome, (score >= 0.5).astype(int), score)
    fresh = labelled(400, seed=1)[2]
    chance, above = made.chances(fresh), fresh >= made.cut
    tp, fp = chance[above].sum(), (1 - chance[above]).sum()
    fn, tn = chance[~above].sum(), (1 - chance[~above]).sum()
    found = {name: interval.value for name, interval in values(estimate(fresh, made)).items()}
    assert found["accuracy"] == pytest.approx((tp + tn) / 400)
    assert found["precision"] == pytest.approx(tp / (tp + fp))
    assert found["recall"] == pytest.approx(tp / (tp + fn))
    assert found["specificity"] == pytest.approx(tn / (tn + fp))
    assert found["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found["brier"] == pytest.approx((chance * (1 - fresh) ** 2 + (1 - chance) * fresh**2).mean())


def test_the_area_of_drawn_outcomes_is_the_one_scikit_learn_finds():
    score = np.sort(np.round(RNG.random(300), 2))
    outcome = RNG.random(300) < score
    points = ScoreCounts.of(score)
    place = np.searchsorted(points.values, score)
    positive = np.bincount(place, weights=outcome)[None, :].astype(float)
    found = binary_metrics(points.values, points.above(0.5)[0], positive, points.counts - positive)
    assert found["roc_auc"][0] == pytest.approx(roc_auc_score(outcome, score))


@pytest.fixture(scope="module")
def held():
    """How many of 200 windows, of other scores than the calibration's, end inside the interval, by metric."""
    inside = dict.fromkeys(("accuracy", "recall", "roc_auc", "brier"), 0)
    for seed in range(200):
        outcome, predicted, score = labelled(1500, seed=2 * seed)
        made = calibrate(outcome, predicted, score)
        later, said, fresh = labelled(800, seed=2 * seed + 1, shift=0.8)
        found = values(estimate(fresh, made))
        realised = {
            "accuracy": (later == said).mean(),
            "recall": said[later == 1].mean(),
            "roc_auc": roc_auc_score(later, fresh),
            "brier": ((later - fresh) ** 2).mean(),
        }
        for metric, value in realised.items():
            inside[metric] += found[metric].low <= value <= found[metric].high
    return inside


@pytest.mark.parametrize("metric", ["accuracy", "recall", "roc_auc", "brier"])
def test_the_interval_holds_what_labels_later_show_95_times_in_100(held, metric):
    # Three standard errors of a share of 0.95 of 200 windows are 0.046.
    assert held[metric] / 200 > 0.90


def test_a_smaller_calibration_widens_the_interval():
    fresh = labelled(2000, seed=3)[2]
    widths = []
    for rows in (300, 30_000):
        outcome, predicted, score = labelled(rows, seed=4)
        found = values(estimate(fresh, calibrate(outcome, predicted, score)))["accuracy"]
        widths.append(found.high - found.low)
    assert widths[0] > 1.5 * widths[1]


def test_concept_drift_is_not_seen_which_the_assumptions_say():
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    turned, said, fresh = labelled(5000, seed=9, slope=-3.0)
    payload = estimate(fresh, made)
    found = values(payload)["accuracy"]
    assert (turned == said).mean() < 0.5 < found.low
    assert any("concept drift" in text for text in payload.assumptions)


def test_the_same_scores_give_the_same_evidence():
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    fresh = labelled(700, seed=5)[2]
    assert estimate(fresh, made).as_fields() == estimate(fresh[::-1].copy(), made).as_fields()


# Scores from rows of any library, and from a summary's bins


@pytest.mark.parametrize("convert", [list, pd.Series, pl.Series, np.asarray], ids=["list", "pandas", "polars", "numpy"])
def test_scores_of_any_library_give_the_same_estimate(convert):
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    fresh = labelled(900, seed=6)[2]
    assert estimate(convert(fresh), made) == estimate(fresh, made)


def test_bins_of_a_summary_give_the_estimate_of_the_rows():
    outcome, predicted, score = labelled(20_000)
    made = calibrate(outcome, predicted, score)
    fresh = labelled(20_000, seed=8, shift=0.5)[2]
    edges = np.linspace(fresh.min(), fresh.max(), 257)
    counts, _ = np.histogram(fresh, edges)
    sums, _ = np.histogram(fresh, edges, weights=fresh)
    means = np.divide(sums, counts, out=np.full(256, np.nan), where=counts > 0)
    exact = values(estimate(fresh, made))
    for known in (means, None):
        binned = values(estimate(ScoreCounts.of_bins(edges[:-1], edges[1:], counts, means=known), made))
        for name, interval in exact.items():
            assert binned[name].value == pytest.approx(interval.value, abs=0.003), name


@pytest.mark.parametrize("rows", [400, 20_000])
def test_a_served_profile_gives_the_estimate_of_its_rows(rows):
    outcome, predicted, score = labelled(20_000)
    made = calibrate(outcome, predicted, score)
    columns, privacy = Columns(probability="score"), PrivacyPolicy()
    plan = Profile.plan_of(as_table({"score": score}), columns=columns, privacy=privacy)
    # Shifted so far that many scores lie beyond the reference's range.
    fresh = np.append(labelled(rows, seed=8, shift=3.0)[2], [np.nan] * 30)
    profile = Profile.of(as_table({"score": fresh}), plan)
    sent = Profile.from_bytes(profile.to_bytes(smallest_cell=5))
    exact = values(estimate(fresh, made))
    for own in (profile, sent):
        payload = estimate(own.columns["score"], made)
        assert payload.rows == rows
        assert payload.parameters["without_score"] == 30
        found = values(payload)
        for name, interval in exact.items():
            assert found[name].value == pytest.approx(interval.value, abs=0.005), name


def test_a_profile_of_zeros_and_ones_is_exact():
    outcome, predicted, score = labelled(20_000)
    made = calibrate(outcome, predicted, score)
    ones = np.array([0, 1] * 400)
    plan = Profile.plan_of(as_table({"score": ones}), columns=Columns(), privacy=PrivacyPolicy())
    points = ScoreCounts.of_sketch(Profile.of(as_table({"score": ones}), plan).columns["score"])
    assert estimate(points, made) == estimate(ones.astype(float), made)


def test_a_profile_whose_scores_are_no_numbers_is_refused():
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    frame = as_table({"score": ["high", "low"] * 200})
    plan = Profile.plan_of(frame, columns=Columns(), privacy=PrivacyPolicy())
    with pytest.raises(InputError):
        estimate(Profile.of(frame, plan).columns["score"], made)


def test_a_profile_with_scores_outside_0_to_1_is_refused():
    score = labelled(5000)[2]
    plan = Profile.plan_of(as_table({"score": score}), columns=Columns(), privacy=PrivacyPolicy())
    for bad in (3.0, -2.0, 1e300, np.inf):
        fresh = np.append(score, [bad] * 5)
        with pytest.raises(InputError):
            ScoreCounts.of_sketch(Profile.of(as_table({"score": fresh}), plan).columns["score"])


def test_a_bin_the_cut_lies_in_widens_the_interval():
    outcome, predicted, score = labelled(20_000)
    made = calibrate(outcome, predicted, score)
    rows = ([0.0, 0.4, 0.6], [0.4, 0.6, 1.0], [2000, 3000, 2000])
    split = ([0.0, 0.4, 0.5, 0.6], [0.4, 0.5, 0.6, 1.0], [2000, 1500, 1500, 2000])
    wide, narrow = (values(estimate(ScoreCounts.of_bins(*bins), made))["recall"] for bins in (rows, split))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_missing_scores_are_left_out_and_counted():
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    fresh = labelled(500, seed=6)[2]
    payload = estimate(np.append(fresh, [np.nan] * 20), made)
    assert payload.rows == 500
    assert payload.parameters["without_score"] == 20
    assert payload.metrics == estimate(fresh, made).metrics


# Limits


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [({"min": 0.5}, Verdict.PASS), ({"min": 0.99}, Verdict.FAIL), (None, Verdict.RECORDED)],
)
def test_a_limit_is_held_against_the_estimate(limit, verdict):
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    payload = estimate(labelled(2000, seed=2)[2], made, **({"accuracy_score": limit} if limit else {}))
    assert payload.verdict is verdict
    assert "estimate" in payload.reason.lower()
    assert {metric.origin for metric in payload.metrics} == {"estimated"}


def test_an_interval_that_straddles_the_limit_is_uncertain():
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    fresh = labelled(400, seed=2)[2]
    value = values(estimate(fresh, made))["accuracy"].value
    assert estimate(fresh, made, accuracy={"min": value + 0.005}).verdict is Verdict.UNCERTAIN


def test_limits_on_what_cannot_be_estimated_are_left_to_labels():
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    payload = estimate(labelled(400, seed=2)[2], made, log_loss={"max": 0.1}, own_score={"min": 1})
    assert payload.verdict is Verdict.RECORDED
    assert not {"log_loss", "own_score"} & {metric.name for metric in payload.metrics}


@pytest.mark.parametrize("rows", [0, 3, 99])
def test_few_rows_are_not_estimated_and_never_pass(rows):
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    payload = estimate(np.full(rows, 0.7), made, accuracy={"min": 0.1})
    assert payload.verdict is Verdict.NOT_TESTED
    assert not payload.metrics
    assert not payload.numbers


def test_a_rate_nobody_can_have_is_null_and_not_a_pass():
    outcome, predicted, score = labelled(5000)
    made = calibrate(outcome, predicted, score)
    payload = estimate(np.full(200, 0.2), made, precision={"min": 0.1})
    assert values(payload)["precision"].value is None
    assert payload.verdict is Verdict.NOT_TESTED


# The calibration


def test_several_labels_are_calibrated_by_the_score_of_the_predicted_one():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([0.6, 0.6, 0.6], 6000)
    true = (rng.random(6000)[:, None] > proba.cumsum(axis=1)).sum(axis=1)
    names = np.array(["a", "b", "c"])
    made = calibrate(names[true[:3000]], names[proba[:3000].argmax(axis=1)], proba[:3000])
    assert made.task == "multiclass"
    assert made.cut is None
    payload = estimate(proba[3000:].max(axis=1), made)
    found = values(payload)
    assert set(found) == {"accuracy"}
    assert found["accuracy"].low <= (true[3000:] == proba[3000:].argmax(axis=1)).mean() <= found["accuracy"].high


def test_a_calibration_survives_the_way_to_json_and_back():
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    assert Calibration.of_record(json.loads(json.dumps(made.record()))) == made


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": [5]},
        {"version": 2},
        {"cut": None},
        {"edges": None},
        {"task": "regression"},
        {"hits": "text"},
    ],
)
def test_a_damaged_calibration_is_an_error(damage):
    outcome, predicted, score = labelled(3000)
    record = calibrate(outcome, predicted, score).record() | damage
    with pytest.raises(EvidenceError):
        Calibration.of_record(record)


def test_a_calibration_with_a_key_less_or_of_another_type_is_an_error():
    for record in ({}, [], None, {"version": 1}):
        with pytest.raises(EvidenceError):
            Calibration.of_record(record)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(100, 1500),
    st.integers(0, 10_000),
    st.floats(0.02, 50),
    st.floats(0.02, 50),
    st.integers(1, 20),
)
def test_no_count_under_the_smallest_cell_and_no_value_of_the_data_is_kept(rows, seed, a, b, cell):
    rng = np.random.default_rng(seed)
    score = rng.beta(a, b, rows)
    outcome = (rng.random(rows) < score).astype(int)
    try:
        made = calibrate(
            outcome, (score >= 0.5).astype(int), score, positive_label=1, privacy=PrivacyPolicy(smallest_cell=cell)
        )
    except InputError:
        assert min(outcome.sum(), rows - outcome.sum()) < max(cell, 50) or rows < 2 * cell
        return
    assert sum(made.rows) == rows
    assert sum(made.hits) == outcome.sum()
    for count, hits in zip(made.rows, made.hits, strict=True):
        assert count >= cell
        assert all(n == 0 or n >= cell for n in (hits, count - hits))
    assert Calibration.of_record(made.record()) == made
    assert not set(made.edges[1:-1]) & set(score.tolist())
    chances = made.chances(np.sort(score))
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (np.diff(chances) >= -1e-12).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=30))
def test_ascending_rates_are_scikit_learns(pairs):
    rates, weights = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    oracle = IsotonicRegression().fit(np.arange(len(rates)), rates, sample_weight=weights)
    assert isotonic(rates, weights) == pytest.approx(oracle.predict(np.arange(len(rates))), abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_cut_is_a_short_decimal_between_the_two(one, two):
    low, high = sorted((one, two))
    if low < high:
        assert low < shortest_between(low, high) <= high


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda y, p, s: (y, p, s * 3 - 1), "no probabilities"),
        (lambda y, p, s: (y[:90], p[:90], s[:90]), "labelled rows"),
        (lambda y, p, s: (y, 1 - y, s), "do not follow"),
        (lambda y, p, s: (s * 10, s * 9, s), "classification"),
        (lambda y, p, s: (np.zeros(len(y), int) | (np.arange(len(y)) < 2), p, s), "a few"),
    ],
    ids=["scores leave 0 to 1", "few rows", "no cut", "regression", "two positives"],
)
def test_what_cannot_be_calibrated_is_refused_with_the_reason(change, told):
    with pytest.raises(InputError, match=told):
        calibrate(*change(*labelled(2000)))


def test_scores_that_are_no_probabilities_are_refused():
    outcome, predicted, score = labelled(3000)
    made = calibrate(outcome, predicted, score)
    for bad in (np.array([0.5, 1.2] * 100), ["high"] * 200, np.array([-1.0] * 200)):
        with pytest.raises(InputError):
            estimate(bad, made)
    with pytest.raises(InputError):
        ScoreCounts.of_bins([0.2, 1.5], [0.4, 2.0], [5, 5])
