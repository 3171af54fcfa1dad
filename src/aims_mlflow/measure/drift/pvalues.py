"""Drift methods whose score is a p-value. SciPy is imported when one of them is used."""

from __future__ import annotations

import warnings
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.errors import InputError
from aims_mlflow.measure.drift.sample import Counts, Numbers
from aims_mlflow.measure.drift.wasserstein import Floats, Ints

MMD_ROWS = 20_000
"""More rows of both sides together and the kernel matrix (rows squared) is not worth its cost."""
SAME_PERMUTATIONS = 20_000
"""Up to so many rows of both sides the total variation test draws Evidently's own permutations (seed 0)."""


def quiet(test: Any, *args: Any, **kwargs: Any) -> float:
    """The p-value of a SciPy test; its warnings (ties, small samples, capped p-values) are part of the definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(test(*args, **kwargs)[1])


def ks(data: Numbers) -> float:
    """Two-sample Kolmogorov-Smirnov test, two-sided; exact up to 10,000 rows a side."""
    from scipy.stats import ks_2samp

    return quiet(ks_2samp, data.u_sorted, data.v_sorted)


def anderson(data: Numbers) -> float:
    """Two-sample Anderson-Darling test (Scholz and Stephens 1987); the p-value is capped to 0.001-0.25."""
    from scipy.stats import anderson_ksamp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = anderson_ksamp([data.u, data.v])
    return float(result.pvalue)


def cvm(data: Numbers) -> float:
    """Two-sample Cramér-von Mises test (Anderson 1962); exact up to 20 rows a side."""
    n, m = data.n, data.m
    if min(n, m) <= 1:
        msg = "the Cramér-von Mises test needs two values on either side"
        raise InputError(msg)
    if max(n, m) <= 20:
        from scipy.stats import cramervonmises_2samp

        return float(cramervonmises_2samp(data.u, data.v).pvalue)
    u, v = data.u_sorted, data.v_sorted
    # Mid-ranks in the pooled sample: ties, of either side, get the average of their ranks.
    ranks = [_mid_ranks(u, v), _mid_ranks(v, u)]
    size, product = float(n + m), float(n) * m
    rank_sum = sum(k * float(np.sum((r - np.arange(1, k + 1)) ** 2)) for k, r in zip((n, m), ranks, strict=True))
    statistic = rank_sum / (product * size) - (4 * product - 1) / (6 * size)
    mean = (1 + 1 / size) / 6
    variance = (size + 1) * (4 * product * size - 3 * (float(n) ** 2 + float(m) ** 2) - 2 * product)
    variance /= 45 * size**2 * 4 * product
    normed = 1 / 6 + (statistic - mean) / sqrt(45 * variance)
    return 1.0 if normed < 0.003 else max(0.0, 1.0 - _cvm_limit(normed))


def _mid_ranks(own: Floats, other: Floats) -> Floats:
    below = np.searchsorted(own, own, side="left") + np.searchsorted(other, own, side="left")
    up_to = np.searchsorted(own, own, side="right") + np.searchsorted(other, own, side="right")
    ranks: Floats = (below + up_to + 1) / 2
    return ranks


def _cvm_limit(x: float) -> float:
    """Distribution function of the limiting Cramér-von Mises statistic (Csörgő and Faraway 1996, eq. 1.2).

    The series ends at the first term below 1e-7, as Evidently's does; that is its precision.
    """
    from scipy.special import gammaln, kv

    total, k, term = 0.0, 0, 1.0
    while abs(term) >= 1e-7:
        y = 4 * k + 1
        q = y * y / (16 * x)
        term = float(np.exp(gammaln(k + 0.5) - gammaln(k + 1) - q) * kv(0.25, q)) * sqrt(y / x) / np.pi**1.5
        total += term
        k += 1
    return total


def mann_whitney(data: Numbers) -> float:
    """Mann-Whitney U test that the reference is not stochastically smaller: one-sided, as Evidently has it."""
    from scipy.stats import mannwhitneyu

    return quiet(mannwhitneyu, data.u, data.v, alternative="less")


def t_test(data: Numbers) -> float:
    """Student's t test with pooled variance, two-sided."""
    from scipy.stats import ttest_ind

    return quiet(ttest_ind, data.u, data.v)


def epps_singleton(data: Numbers) -> float:
    """Epps-Singleton test (Epps and Singleton 1986)."""
    from scipy.stats import epps_singleton_2samp

    q1, q3 = np.quantile(np.concatenate([data.u, data.v]), [0.25, 0.75])
    if q1 == q3:
        msg = "the Epps-Singleton test needs an interquartile range above 0"
        raise InputError(msg)
    return quiet(epps_singleton_2samp, data.u, data.v)


def mmd(data: Numbers) -> float:
    """Maximum mean discrepancy, RBF kernel of median width, 100 permutations (Gretton and others 2012).

    Evidently draws from the process's random state; here the seed is 0, so the same data give the same score.
    """
    n, m = data.n, data.m
    if min(n, m) < 2:
        msg = "the maximum mean discrepancy test needs two values on either side"
        raise InputError(msg)
    if n + m > MMD_ROWS:
        msg = f"the maximum mean discrepancy test needs rows squared in memory; {n + m:,} rows are over {MMD_ROWS:,}"
        raise InputError(msg)
    values = np.concatenate([data.u, data.v])
    sigma2 = 0.5 * float(np.percentile(_squares(data.u, data.u), 50, method="nearest")) or 0.5
    draws = np.random.RandomState(0)
    in_reference = np.zeros((n + m, 101))
    in_reference[:n, 0] = 1
    for column in range(1, 101):
        in_reference[draws.permutation(n + m)[:n], column] = 1
    within = np.empty((2, 101))
    across = np.zeros(101)
    within[:] = 0
    step = max(1, 4_000_000 // (n + m))
    for start in range(0, n + m, step):
        kernel = np.exp(_squares(values[start : start + step], values) / (-2 * sigma2))
        rows = np.arange(len(kernel))
        kernel[rows, start + rows] = 0
        of_reference = kernel @ in_reference
        total = kernel.sum(axis=1, keepdims=True)
        mine = in_reference[start : start + step]
        within[0] += (mine * of_reference).sum(axis=0)
        within[1] += ((1 - mine) * (total - of_reference)).sum(axis=0)
        across += ((1 - mine) * of_reference).sum(axis=0)
    score = within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * across / (n * m)
    # Equal splits differ by rounding only; they are ties.
    return float(np.mean(score[1:] >= score[0] - 1e-12))


def _squares(x: Floats, y: Floats) -> Floats:
    difference: Floats = x[:, None] - y[None, :]
    return difference * difference


def _chi_square_tail(statistic: float, freedom: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(freedom, statistic)) if freedom > 0 else 1.0


def chi_square(counts: Counts) -> float:
    """Chi-square test of the current counts against the reference's shares, which it takes for exact."""
    expected = counts.reference * (counts.m / counts.n)
    statistic = float(np.sum((counts.current - expected) ** 2 / expected))
    return _chi_square_tail(statistic, len(expected) - 1)


def g_test(counts: Counts) -> float:
    """Likelihood-ratio test of the current counts against the reference's, scaled to the current number of rows.

    Evidently has no scaling and raises where the two sides differ in rows; with equal rows the scores are the same.
    """
    expected = counts.reference * (counts.m / counts.n)
    held = counts.current > 0
    statistic = 2 * float(np.sum(counts.current[held] * np.log(counts.current[held] / expected[held])))
    return _chi_square_tail(max(statistic, 0.0), len(expected) - 1)


def z_test(counts: Counts) -> float:
    """Z test of two proportions, two-sided: the share of the rows outside the first category."""
    if len(counts.reference) == 1:
        return 1.0
    n, m = counts.n, counts.m
    p1 = (n - int(counts.reference[counts.first])) / n
    p2 = (m - int(counts.current[counts.first])) / m
    pooled = (p1 * n + p2 * m) / (n + m)
    spread = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return erfc(abs(p1 - p2) / spread / sqrt(2.0))


def fisher(counts: Counts) -> float:
    """Fisher's exact test of two values, two-sided. Evidently refuses sides of different length; they are fine."""
    from scipy.stats import fisher_exact

    if len(counts.reference) > 2:
        msg = "Fisher's exact test needs a column of two values"
        raise InputError(msg)
    table = np.zeros((2, 2), dtype=np.int64)
    table[0, : len(counts.current)] = counts.current
    table[1, : len(counts.reference)] = counts.reference
    return quiet(fisher_exact, table)


def total_variation(counts: Counts) -> float:
    """Permutation test of the total variation distance, 1,000 permutations.

    Up to 20,000 rows these are Evidently's own permutations (NumPy's legacy generator, seed 0); beyond, the counts
    are drawn from the same distribution directly (multivariate hypergeometric). Distances are compared as whole
    numbers, so ties are ties; Evidently's floating point tells some of them apart.
    """
    n, m = counts.n, counts.m
    together = counts.reference + counts.current

    def distance(of_reference: NDArray[Any]) -> Any:
        return np.abs(of_reference * m - (together - of_reference) * n).sum(axis=-1)

    observed = distance(counts.reference)
    if counts.rows is not None and n + m <= SAME_PERMUTATIONS:
        left, right = counts.rows()
        rows: Ints = np.concatenate([left, right])
        legacy = np.random.RandomState(0)
        drawn = np.stack(
            [np.bincount(rows[legacy.permutation(n + m)[:n]], minlength=len(together)) for _ in range(1000)]
        )
    else:
        drawn = np.random.default_rng(0).multivariate_hypergeometric(together, n, size=1000, method="marginals")
    return float(np.mean(distance(drawn) >= observed))
