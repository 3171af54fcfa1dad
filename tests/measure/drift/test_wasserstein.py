"""The one-pass bounds hold, decide, merge, and meet the exact score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.measure.drift.wasserstein import Grid, Summary, bounds, exact

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "pareto": lambda rng, n: rng.pareto(1.2, n),
    "rounded": lambda rng, n: np.round(rng.normal(size=n), 1),
    "integers": lambda rng, n: rng.integers(0, 100, n),
    "wide integers": lambda rng, n: rng.integers(-100_000, 100_000, n),
    "far from zero": lambda rng, n: rng.normal(1e6, 1e-3, n),
    "half zeros": lambda rng, n: np.where(rng.random(n) < 0.5, 0, rng.exponential(size=n)),
    "one outlier": lambda rng, n: np.append(rng.normal(size=n - 1), 10.0 ** rng.integers(2, 16)),
    "constant": lambda rng, n: np.full(n, 3.0),
    "capped": lambda rng, n: np.minimum(rng.normal(size=n), 0.5),
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-9,
}


def oracle(u, v):
    from scipy.stats import wasserstein_distance

    return wasserstein_distance(u, v)


def summaries(u, v):
    whole = u.dtype.kind == "i" and v.dtype.kind == "i"
    grid = Grid.of(u, whole=whole)
    return Summary.of(u, grid), Summary.of(v, grid)


@pytest.mark.parametrize("shape", SHAPES)
def test_bounds_enclose_the_exact_distance_for_every_shape(shape):
    rng = np.random.default_rng(3)
    for _ in range(25):
        n, m = rng.integers(2, 6000, 2)
        u, v = SHAPES[shape](rng, n), SHAPES[shape](rng, m)
        change = rng.integers(4)
        if change == 1:
            v = v + 3
        elif change == 2:
            v = v * 3
        elif change == 3:
            v = v.astype(float) + 0.3 * rng.random()
        true = oracle(u, v)
        low, high = bounds(*summaries(u, v))
        # Rounding of the values themselves, wherever they lie.
        slack = 1e-9 * true + 1e-12 * (np.abs(u).max() + np.abs(v).max())
        assert low - slack <= true <= high + slack
        assert exact(u.astype(float), v.astype(float)) == pytest.approx(true, rel=1e-9, abs=slack)


@pytest.mark.parametrize("shape", ["normal", "cauchy", "pareto", "rounded", "half zeros", "capped", "one outlier"])
def test_bounds_decide_shifts_close_to_the_limit_and_the_lower_one_is_close_to_the_score(shape):
    rng = np.random.default_rng(4)
    u, v = SHAPES[shape](rng, 60_000), SHAPES[shape](rng, 60_000)
    for away in (-0.1, -0.01, -0.002, 0.002, 0.01, 0.1):
        scale = float(np.std(u))
        shifted = v + (0.1 + away) * scale
        true = oracle(u, shifted) / scale
        low, high = (bound / scale for bound in bounds(*summaries(u, shifted)))
        assert low * (1 - 1e-9) <= true <= high * (1 + 1e-9)
        if abs(true - 0.1) > 2e-4:
            assert (low >= 0.1) == (true >= 0.1)
            assert (high < 0.1) == (true < 0.1)
        if true > 0.01:
            assert low == pytest.approx(true, rel=0.01)


def test_integers_on_a_unit_grid_give_the_exact_score():
    rng = np.random.default_rng(5)
    u, v = rng.poisson(40, 70_000), rng.poisson(41, 50_000)
    low, high = bounds(*summaries(u, v))
    assert low == high == pytest.approx(oracle(u, v), rel=1e-12)


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60),
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_bounds_enclose_the_distance_of_any_two_lists(left, right):
    u, v = np.array(left), np.array(right)
    true = oracle(u, v)
    slack = 1e-9 * true + 1e-11 * (np.abs(u).max() + np.abs(v).max()) + 1e-290
    low, high = bounds(*summaries(u, v))
    assert low - slack <= true <= high + slack
    assert exact(u, v) == pytest.approx(true, rel=1e-9, abs=slack)


def test_parts_merge_to_the_summary_of_the_whole():
    rng = np.random.default_rng(6)
    u = rng.standard_cauchy(90_000)
    u[::50] = np.nan
    grid = Grid.of(u)
    whole = Summary.of(u, grid)
    parts = [Summary.of(part, grid) for part in np.array_split(u, 7)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert merged.n == whole.n == 88_200
    assert merged.skipped == whole.skipped == 1_800
    assert (merged.counts == whole.counts).all()
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9)
    assert merged.std == pytest.approx(whole.std, rel=1e-9)
    assert (merged.below == whole.below).all()
    assert (merged.above == whole.above).all()
    v = Summary.of(rng.normal(size=1000), grid)
    assert bounds(merged, v) == pytest.approx(bounds(whole, v), rel=1e-9)


def test_summaries_on_different_grids_refuse_to_merge():
    a, b = np.arange(100.0), np.arange(100.0) * 2
    with pytest.raises(ValueError, match="different grids"):
        Summary.of(a, Grid.of(a)).merge(Summary.of(b, Grid.of(b)))
