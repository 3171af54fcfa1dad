"""How far sampling alone moves a score: its interval, and how likely so large a score is when nothing has drifted.

Sources. Distribution functions of samples differ from the true ones by a Gaussian process B with covariance
``min(F)(1 - max(F))`` (Donsker). The mean of the area under ``|B|`` and its variance are those of folded normals; its
deviations are bounded by Borell's inequality with the variance of the column itself, because the covariance is
nowhere negative (for the Wasserstein distance see Bobkov and Ledoux 2019, "One-dimensional empirical measures"). The
expected distance of two samples is at least the true one (the distance is convex), so the upper end of an interval
needs no bias. Shares of categories: Jensen-Shannon and Hellinger distances are metrics, so the interval follows from
the triangle inequality and ``8 n d^2 ~ chi-square``; PSI and Kullback-Leibler use the delta method; the null
distribution of all four is that of Pearson's homogeneity statistic, gamma-matched to its exact permutation moments
(Haldane 1940), which also holds for many rare categories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log, pi, sqrt

import numpy as np

from aims_mlflow.evidence import Interval
from aims_mlflow.measure.drift.budget import chi_square_point, chi_square_tail, matched_tail, normal_point
from aims_mlflow.measure.drift.distances import fill_zeros, hellinger_bins, histogram
from aims_mlflow.measure.drift.methods import Method
from aims_mlflow.measure.drift.sample import Counts, Numbers
from aims_mlflow.measure.drift.wasserstein import Floats

DRAWS = 2000
"""Random splits of a permutation test."""
OUTER = 32
"""Outermost values at either end that a permutation test moves one by one."""
GROUPS = 64
"""Cells of the grid on which the variance of the area is integrated."""


@dataclass(frozen=True)
class Sampling:
    """What sampling alone does to a score."""

    interval: Interval | None
    """Where the score of the two populations lies; null where the method has no such thing (an ordinary p-value)."""
    null_p: float | None
    """Probability of a score at least as telling when nothing has drifted; null where it is not known."""
    chance: float | None
    """Probability that the score crosses its limit when nothing has drifted; null where it is not known."""


def of_p_value(method: Method, score: float, limit: float, confidence: float) -> Sampling:
    """An ordinary p-value is its own null probability; a simulated one has a Monte Carlo interval besides."""
    draws = {"TVD": 1000, "empirical_mmd": 100}.get(method.name)
    if draws is None:
        return Sampling(None, score, limit)
    low, high = wilson(score, draws, confidence)
    text = f"Wilson interval of a p-value from {draws:,} permutations"
    interval = Interval(value=score, low=low, high=high, level=confidence, method=text)
    return Sampling(interval, (score * draws + 1) / (draws + 1), limit)


def of_one_sample_test(counts: Counts, limit: float) -> Sampling:
    """Chi-square and G test of Evidently take the reference's shares for exact, so their p is too small."""
    freedom = len(counts.reference) - 1
    if freedom < 1:
        return Sampling(None, 1.0, 0.0)
    inflated = 1 + counts.m / counts.n
    chance = chi_square_tail(chi_square_point(limit, freedom) / inflated, freedom)
    return Sampling(None, homogeneity_p(counts), chance)


def homogeneity_moments(counts: Counts) -> tuple[float, float, float]:
    """Pearson's homogeneity statistic of the 2 x k table, and its permutation mean and variance (Haldane 1940)."""
    together = counts.reference + counts.current
    held = together > 0
    a, t = counts.reference[held].astype(np.float64), together[held].astype(np.float64)
    n, m = float(counts.n), float(counts.m)
    size, k = n + m, len(t)
    statistic = float(np.sum((a * m - (t - a) * n) ** 2 / t)) / (n * m)
    mean = (k - 1) * size / (size - 1)
    if size <= 3 or k < 2:
        return statistic, mean, 2.0 * mean
    v1, w1 = (size - 2) / (size - 1), (size * (1 / n + 1 / m) - 4) / (size - 2)
    v2, w2 = (k - 1) * (size - k) / (size - 1), (size * float(np.sum(1 / t)) - k * k) / (size - 2)
    variance = 2 * size / (size - 3) * (v1 - w1) * (v2 - w2) + size**2 / (size - 1) * w1 * w2
    return statistic, mean, max(variance, 0.0)


def homogeneity_p(counts: Counts) -> float:
    """Probability of so large a homogeneity statistic when both sides come from one population."""
    statistic, mean, variance = homogeneity_moments(counts)
    return matched_tail(statistic, mean, variance)


_SHARE = {"jensenshannon": (8.0, 2), "hellinger": (8.0, 2), "psi": (1.0, 1), "kl_div": (2.0, 1)}
"""Method to c and e: near no drift, ``c * score**e`` is the homogeneity statistic times (1/n + 1/m)."""


def of_shares(method: Method, counts: Counts, score: float, limit: float, confidence: float) -> Sampling:
    """A distance between shares of categories (or of the bins of a numeric column)."""
    n, m = counts.n, counts.m
    _, mean, variance = homogeneity_moments(counts)
    factor, power = _SHARE[method.name]
    both = 1 / n + 1 / m
    chance = matched_tail(factor * limit**power / both, mean, variance)
    freedom = int(np.count_nonzero(counts.reference + counts.current)) - 1
    point = chi_square_point((1 - confidence) / 2, freedom) if freedom > 0 else 0.0
    if power == 2:
        half = sqrt(point / (8 * n)) + sqrt(point / (8 * m))
        low, high, text = score - half, score + half, "triangle inequality, chi-square noise of either side's shares"
    else:
        p, q = fill_zeros(counts.reference / n), fill_zeros(counts.current / m)
        ratio = np.log(p / q)
        by_p, by_q = (ratio + 1 - q / p, 1 - ratio - p / q) if method.name == "psi" else (ratio + 1, -p / q)
        error = normal_point(confidence) * sqrt(_variance(p, by_p) / n + _variance(q, by_q) / m)
        low, high = score - error - both * point / factor, score + error
        text = "delta method, chi-square noise of the shares at the lower end"
    interval = Interval(value=score, low=max(low, 0.0), high=high, level=confidence, method=text)
    return Sampling(interval, homogeneity_p(counts), chance)


def _variance(shares: Floats, gradient: Floats) -> float:
    shares = shares / shares.sum()
    return max(float((shares * gradient**2).sum()) - float((shares * gradient).sum()) ** 2, 0.0)


def binned_counts(method: Method, data: Numbers) -> Counts:
    """The counts a binned method compares for a numeric column."""
    if method.name == "hellinger":
        p, q, width = hellinger_bins(data)
        p, q = p * width, q * width
    else:
        p, q = histogram(data)
    kept = (p > 0) | (q > 0)
    return Counts(np.rint(p[kept] * data.n).astype(np.int64), np.rint(q[kept] * data.m).astype(np.int64))


class AreaNoise:
    """Noise of the area between two sample distribution functions.

    Args:
        points: Ascending points, in the column's unit.
        f: Distribution function of the reference just right of each point.
        g: The same of the current data.
        n: Rows of the reference.
        m: Rows of the current data.
        variances: Variance of the reference and of the current data.
        pooled: Variance of both together.
    """

    def __init__(
        self, points: Floats, f: Floats, g: Floats, n: int, m: int, variances: tuple[float, float], pooled: float
    ) -> None:
        self.n, self.m = n, m
        self.variances, self.pooled = variances, pooled
        self.widths = np.diff(points)
        self._outer = f, g
        f, g = (f[:-1] + f[1:]) / 2, (g[:-1] + g[1:]) / 2
        self.each = f * (1 - f) / n + g * (1 - g) / m
        self.share = np.clip((n * f + m * g) / (n + m), 0.0, 1.0)
        self.both = 1 / n + 1 / m

    @cached_property
    def _grid(self) -> tuple[Floats, Floats, Floats]:
        """The widths weighted with the process's deviation and variance, in a few groups, and their correlations."""
        deviation = np.sqrt(self.share * (1 - self.share))
        used = (deviation > 0) & (self.widths > 0)
        weight, share = (self.widths * deviation)[used], self.share[used]
        if not len(weight):
            return np.zeros(1), np.zeros(1), np.ones((1, 1))
        group = np.minimum((np.cumsum(weight) - weight / 2) / weight.sum() * GROUPS, GROUPS - 1).astype(np.int64)
        held = np.bincount(group, weights=weight, minlength=GROUPS).astype(np.float64)
        kept = held > 0
        centre = np.bincount(group, weights=weight * share, minlength=GROUPS)[kept] / held[kept]
        squares = np.bincount(group, weights=weight * deviation[used], minlength=GROUPS)[kept].astype(np.float64)
        low, high = np.minimum.outer(centre, centre), np.maximum.outer(centre, centre)
        return held[kept], squares, np.sqrt(low * (1 - high) / (high * (1 - low)))

    def wasserstein(self, norm: float, score: float, limit: float, confidence: float) -> Sampling:
        """Noise of the area over ``norm``."""
        mean = sqrt(2 / pi) * float(np.sum(self.widths * np.sqrt(self.each))) / norm
        spread = sqrt(self.variances[0] / self.n + self.variances[1] / self.m) / norm
        reach = spread * sqrt(2 * log(2 / (1 - confidence)))
        interval = Interval(
            value=score,
            low=max(score - mean - reach, 0.0),
            high=score + reach,
            level=confidence,
            method="Gaussian process of the distribution functions, Borell's inequality, at the observed spread",
        )
        null_mean = sqrt(2 / pi) * self._null_area / norm
        null_spread = sqrt(self.both * self.pooled) / norm

        def tail(value: float) -> float:
            bound = _borell(value - null_mean, null_spread)
            if bound < 1e-9:
                return bound
            held, _, correlation = self._grid
            folded = (
                np.sqrt(np.maximum(1 - correlation**2, 0)) + correlation * np.arcsin(np.minimum(correlation, 1)) - 1
            )
            variance = 2 / pi * float(held @ folded @ held) * self.both / norm**2
            return min(bound, matched_tail(value, null_mean, variance))

        return Sampling(interval, tail(score), tail(limit))

    def permutation_p(self, score: float, norm: float = 1.0, *, squared: bool = False) -> float:
        """Share of 2,000 random splits of both sides together that lie as far apart.

        No limit theorem is used, so heavy tails are fine.
        The rows are held in some 128 cells, the outermost values in cells of their own; seed 0.
        """
        f, g = self._outer
        n, m = self.n, self.m
        held = np.concatenate([[1], np.diff(f) * n + np.diff(g) * m])
        held[0] = f[0] * n + g[0] * m
        rows = np.rint(np.cumsum(held)).astype(np.int64)
        last = len(rows) - 1
        ends = np.concatenate([np.arange(min(OUTER, last + 1)), np.arange(max(last - OUTER, 0), last + 1)])
        inner = np.searchsorted(rows, np.linspace(0, n + m, GROUPS + 1))
        kept = np.unique(np.clip(np.concatenate([ends, inner]), 0, last))
        cells = np.diff(rows[kept], prepend=0)
        points = np.concatenate([[0.0], np.cumsum(self.widths)])[kept]
        drawn = np.random.default_rng(0).multivariate_hypergeometric(cells, n, size=DRAWS, method="marginals")
        gap = np.abs(np.cumsum(drawn, axis=1) / n - np.cumsum(cells - drawn, axis=1) / m)
        middle = (gap[:, :-1] + gap[:, 1:]) / 2
        distance = np.sqrt(2 * (middle**2 @ np.diff(points))) if squared else middle @ np.diff(points) / norm
        return float(np.count_nonzero(distance >= score) + 1) / (DRAWS + 1)

    @cached_property
    def _null_area(self) -> float:
        return float(np.sum(self.widths * np.sqrt(self.share * (1 - self.share)))) * sqrt(self.both)

    def energy(self, score: float, limit: float, confidence: float) -> Sampling:
        """Noise of the energy distance, whose square is twice the area of the squared difference."""
        mean = sqrt(2 * float(np.sum(self.widths * self.each)))
        reach = mean * sqrt(2 * log(2 / (1 - confidence)))
        interval = Interval(
            value=score,
            low=max(score - mean - reach, 0.0),
            high=score + reach,
            level=confidence,
            method="Gaussian process of the distribution functions, Borell's inequality",
        )
        _, squares, correlation = self._grid
        expected = self.both * float(squares.sum())
        variance = 2 * self.both**2 * float(squares @ correlation**2 @ squares)
        return Sampling(
            interval, matched_tail(score**2 / 2, expected, variance), matched_tail(limit**2 / 2, expected, variance)
        )


def _borell(beyond: float, spread: float) -> float:
    if beyond <= 0:
        return 1.0
    return exp(-min((beyond / spread) ** 2 / 2, 700.0)) if spread > 0 else 0.0


def calibrated(sampling: Sampling, permuted: float) -> Sampling:
    """The larger of the two null probabilities; where no random split came near, the limit theorem's stands."""
    if sampling.null_p is None or permuted <= 1 / DRAWS:
        return sampling
    return replace(sampling, null_p=max(sampling.null_p, permuted))


def noise_of_arrays(data: Numbers) -> AreaNoise:
    """Area noise from sorted values, thinned to some 512 points."""
    u, v = data.u_sorted, data.v_sorted
    points = np.concatenate([u, v])
    points.sort(kind="stable")
    places = np.linspace(0, len(points) - 1, 512).astype(np.int64)
    outer = np.arange(min(OUTER, len(points)))
    points = points[np.unique(np.concatenate([outer, places, len(points) - 1 - outer]))]
    f = np.searchsorted(u, points, side="right") / len(u)
    g = np.searchsorted(v, points, side="right") / len(v)
    variances = float(np.var(u)), float(np.var(v))
    return AreaNoise(
        points,
        f,
        g,
        len(u),
        len(v),
        variances,
        pooled_variance(len(u), float(u.mean()), variances[0], len(v), float(v.mean()), variances[1]),
    )


def pooled_variance(n: int, mean_n: float, var_n: float, m: int, mean_m: float, var_m: float) -> float:
    """Variance of both sides together."""
    size = n + m
    return (n * var_n + m * var_m) / size + n * m * ((mean_n - mean_m) / size) ** 2


def wilson(share: float, rows: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share (1927)."""
    z = normal_point(confidence)
    z2 = z * z / rows
    centre = (share + z2 / 2) / (1 + z2)
    half = z * sqrt(share * (1 - share) / rows + z2 / (4 * rows)) / (1 + z2)
    return max(centre - half, 0.0), min(centre + half, 1.0)
