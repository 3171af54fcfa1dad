"""Intervals cover, effect sizes are right, and null splits keep the false alarm budget."""

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.measure.drift.budget import chi_square_point, gamma_tail, holm
from aims_mlflow.measure.drift.effect import classifier_auc, mean_shift, share_shift
from aims_mlflow.measure.drift.noise import homogeneity_moments
from aims_mlflow.measure.drift.sample import Counts


def drift(reference, current, **policy):
    return measure_drift(
        as_table(reference), as_table(current), policy=DriftPolicy(**policy), columns=Columns(), privacy=PrivacyPolicy()
    )


def null_splits(make, split, runs, **policy):
    """Share of the random splits of one sample that call any column drifted; alarms a run, seen and expected."""
    any_alarm, alarms, expected = 0, 0, 0.0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        frame = make(rng)
        rows = rng.permutation(len(frame))
        payload = drift(frame.iloc[rows[:split]], frame.iloc[rows[split:]], **policy)
        any_alarm += payload.drifted > 0
        alarms += payload.drifted
        expected += payload.numbers["expected_false_alarms"]
    return any_alarm / runs, alarms / runs, expected / runs


def mixed_frame(rows):
    def make(rng):
        weights = rng.dirichlet(np.full(30, 0.3))
        return pd.DataFrame(
            {f"n{i}": rng.normal(size=rows) for i in range(4)}
            | {f"t{i}": rng.standard_t(2.2, rows) for i in range(2)}
            | {"cauchy": rng.standard_cauchy(rows), "skew": rng.lognormal(0, 1.5, rows), "count": rng.poisson(3, rows)}
            | {
                f"c{i}": np.array([f"v{k}" for k in range(30)], dtype=object)[rng.choice(30, rows, p=weights)]
                for i in range(3)
            }
            | {"bool": rng.random(rows) < 0.3}
        )

    return make


def within(observed, budget, runs):
    """Not above the budget by more than three standard errors of the simulation."""
    return observed <= budget + 3 * np.sqrt(budget * (1 - budget) / runs)


@pytest.mark.parametrize(("rows", "split"), [(600, 300), (1500, 1200), (2400, 1200)])
def test_null_splits_of_mixed_data_keep_the_false_alarm_budget(rows, split):
    runs = 60
    without, _, _ = null_splits(mixed_frame(rows), split, runs)
    kept, _, _ = null_splits(mixed_frame(rows), split, runs, false_alarm_budget=0.1)
    assert within(kept, 0.1, runs)
    assert without > 0.3, "without a budget these splits raise alarms, else the test shows nothing"


@pytest.mark.parametrize(("method", "runs"), [("auto", 80), ("psi", 40), ("ed", 12), ("hellinger", 40), ("mannw", 40)])
def test_null_splits_of_real_data_keep_the_false_alarm_budget(method, runs):
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    kept, _, _ = null_splits(lambda _: frame, 284, runs, false_alarm_budget=0.1, method=method)
    assert within(kept, 0.1, runs)


def test_the_expected_number_of_false_alarms_is_what_null_splits_raise():
    _, alarms, expected = null_splits(mixed_frame(2400), 1200, 80)
    assert expected == pytest.approx(alarms, rel=0.5, abs=0.2)


def test_the_budget_still_lets_real_drift_through():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"n{i}": rng.normal(size=1500) for i in range(20)})
    moved = frame.assign(n3=frame["n3"] + 0.5, n7=frame["n7"] * 2)
    payload = drift(frame, moved, false_alarm_budget=0.05)
    assert {c.column for c in payload.columns if c.verdict is Verdict.FAIL} == {"n3", "n7"}
    assert payload.false_alarm_budget == 0.05
    assert payload.numbers["false_alarm_probability_bound"] <= 0.05


def test_a_score_over_the_limit_within_the_noise_is_uncertain_under_a_budget_and_never_a_pass():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({f"n{i}": rng.normal(size=100) for i in range(40)})
    other = pd.DataFrame({f"n{i}": rng.normal(size=100) for i in range(40)})
    plain, kept = drift(frame, other), drift(frame, other, false_alarm_budget=0.01)
    over = {c.column for c in plain.columns if c.verdict is Verdict.FAIL}
    assert over
    assert {c.column for c in kept.columns if c.verdict is Verdict.UNCERTAIN} == over


COVERED = [
    ("wasserstein", lambda rng, n: rng.normal(size=n), lambda rng, n: rng.normal(0.15, 1.1, n)),
    ("wasserstein", lambda rng, n: rng.exponential(size=n), lambda rng, n: rng.exponential(1.1, n)),
    ("ed", lambda rng, n: rng.normal(size=n), lambda rng, n: rng.normal(0.2, 1, n)),
    ("jensenshannon", lambda rng, n: rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]), lambda rng, n: rng.choice(4, n)),
    ("hellinger", lambda rng, n: rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]), lambda rng, n: rng.choice(4, n)),
    ("psi", lambda rng, n: rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]), lambda rng, n: rng.choice(4, n)),
    ("kl_div", lambda rng, n: rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]), lambda rng, n: rng.choice(4, n)),
    ("psi", lambda rng, n: rng.choice(4, n), lambda rng, n: rng.choice(4, n)),
]


@pytest.mark.parametrize(("method", "left", "right"), COVERED, ids=[f"{c[0]}-{i}" for i, c in enumerate(COVERED)])
def test_score_intervals_cover_the_score_of_the_populations(method, left, right):
    rng = np.random.default_rng(11)
    big = 400_000
    true = drift({"x": left(rng, big)}, {"x": right(rng, big)}, method=method).columns[0].score
    runs, covered = 80, 0
    for _ in range(runs):
        interval = drift({"x": left(rng, 1500)}, {"x": right(rng, 1100)}, method=method).columns[0].score_interval
        covered += interval.low - 1e-3 <= true <= interval.high + 1e-3
    assert covered / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_hedges_g_and_its_interval_cover_the_true_shift():
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(300):
        u, v = rng.normal(size=40), rng.normal(0.5, 1, 60)
        found = mean_shift(40, u.mean(), u.var(), 60, v.mean(), v.var(), 0.95)
        covered += found.low <= 0.5 <= found.high
    assert 0.92 <= covered / 300 <= 0.98
    assert mean_shift(40, 1.0, 0.0, 60, 1.0, 0.0, 0.95) is None


def test_the_largest_share_change_covers_the_true_one():
    rng = np.random.default_rng(13)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    covered = 0
    for _ in range(300):
        found = share_shift(Counts(rng.multinomial(300, p), rng.multinomial(400, q)), 0.95)
        covered += found.low <= 0.1 <= found.high
    assert covered / 300 >= 0.93
    assert share_shift(Counts(np.array([5]), np.array([7])), 0.95) is None


def test_the_classifiers_interval_is_hanley_and_mcneils():
    # The worked example of their paper: area 0.893, 58 normal and 51 abnormal cases, standard error 0.032.
    found = classifier_auc(0.893, 58, 51, 0.95)
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(0.032, abs=0.0006)


def test_gamma_tails_agree_with_scipy():
    from scipy.special import gammaincc

    for shape in (0.5, 1, 3, 40, 900, 9000):
        for ratio in (0.1, 0.7, 1, 1.3, 3):
            expected = gammaincc(shape, shape * ratio)
            assert gamma_tail(shape, shape * ratio) == pytest.approx(expected, rel=1e-8, abs=1e-280)
    assert chi_square_point(0.05, 3) == pytest.approx(7.814728, rel=1e-6)


def test_the_permutation_moments_of_the_homogeneity_statistic_are_those_of_simulated_splits():
    rng = np.random.default_rng(14)
    together = rng.multinomial(400, rng.dirichlet(np.full(50, 0.5)))
    drawn = rng.multivariate_hypergeometric(together, 150, size=4000)
    found = [homogeneity_moments(Counts(d, together - d)) for d in drawn]
    statistics = np.array([f[0] for f in found])
    assert statistics.mean() == pytest.approx(found[0][1], rel=0.02)
    assert statistics.var() == pytest.approx(found[0][2], rel=0.1)


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([], 0.05) == []
