"""Effect sizes with intervals, from moments and counts."""

from __future__ import annotations

from math import exp, lgamma, sqrt

import numpy as np

from aims_mlflow.evidence import Interval
from aims_mlflow.measure.drift.budget import normal_point
from aims_mlflow.measure.drift.noise import wilson
from aims_mlflow.measure.drift.sample import Counts


def mean_shift(
    n: int, mean_n: float, var_n: float, m: int, mean_m: float, var_m: float, confidence: float
) -> Interval | None:
    """Hedges' g: difference of the means (current less reference) in pooled standard deviations, with its interval.

    Variances have divisor n. The interval is the large-sample one of Hedges and Olkin (1985). Null where neither side
    varies or there are fewer than four rows.
    """
    freedom = n + m - 2
    if freedom < 2:
        return None
    pooled = sqrt((n * var_n + m * var_m) / freedom)
    if not pooled > 0 or not np.isfinite(pooled):
        return None
    # Hedges' exact correction of the small-sample bias; its approximation serves where the gammas overflow.
    exact = exp(lgamma(freedom / 2) - lgamma((freedom - 1) / 2)) / sqrt(freedom / 2) if freedom < 300 else None
    g = (mean_m - mean_n) / pooled * (exact if exact is not None else 1 - 3 / (4 * freedom - 1))
    half = normal_point(confidence) * sqrt(1 / n + 1 / m + g * g / (2 * (n + m)))
    return Interval(
        value=g, low=g - half, high=g + half, level=confidence,
        method="Hedges' g, current less reference (Hedges and Olkin 1985)",
    )  # fmt: skip


def share_shift(counts: Counts, confidence: float) -> Interval | None:
    """Largest change of a category's share, with an interval that holds for all categories at once.

    Newcombe's score interval for a difference of shares (1998, method 10), Bonferroni over the categories.
    """
    k, n, m = len(counts.reference), counts.n, counts.m
    if k < 2:
        return None
    p, q = counts.reference / n, counts.current / m
    place = int(np.argmax(np.abs(q - p)))
    first, second = float(p[place]), float(q[place])
    level = 1 - (1 - confidence) / k
    (l1, u1), (l2, u2) = wilson(first, n, level), wilson(second, m, level)
    change = second - first
    low = change - sqrt((second - l2) ** 2 + (u1 - first) ** 2)
    high = change + sqrt((u2 - second) ** 2 + (first - l1) ** 2)
    size = sorted((abs(low), abs(high)))
    return Interval(
        value=abs(change), low=0.0 if low <= 0 <= high else size[0], high=size[1], level=confidence,
        method="largest absolute change of a category's share (Newcombe 1998, Bonferroni over the categories)",
    )  # fmt: skip


def classifier_auc(auc: float, reference: int, current: int, confidence: float) -> Interval:
    """ROC AUC of the classifier that tells the sides apart, with the interval of Hanley and McNeil (1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (current - 1) * (q1 - auc * auc) + (reference - 1) * (q2 - auc * auc)
    half = normal_point(confidence) * sqrt(max(variance, 0.0) / (reference * current))
    return Interval(
        value=auc, low=max(auc - half, 0.0), high=min(auc + half, 1.0), level=confidence,
        method="ROC AUC of a classifier that tells the sides apart (Hanley and McNeil 1982)",
    )  # fmt: skip
