"""The area under the ROC curve."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure.intervals.normal import Floats, normal_quantile, undefined

_SMALL_CLASS = 10
"""Rows of a class under which DeLong's variance is not trusted."""


def roc_auc(scores: Floats, positive: np.ndarray, level: float) -> Interval:
    """Area under the ROC curve of n scores; null without rows of both classes. O(n log n).

    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, with the midrank algorithm of Sun and Xu (2014), IEEE
    Signal Processing Letters 21; limits on the logit scale (Qin and Hotilovac 2008). With fewer than ten rows of a
    class, or no variance (perfect separation), Newcombe's score-type method 5 (2006), Statistics in Medicine 25.
    """
    method = "DeLong et al. (1988) on the logit scale"
    m = int(np.count_nonzero(positive))
    n = len(scores) - m
    if not m or not n:
        return undefined(level, method)
    above, below = scores[positive], scores[~positive]
    ranks = midranks(np.concatenate([above, below]))
    area = (float(ranks[:m].sum()) - m * (m + 1) / 2) / (m * n)
    area = min(max(area, 0.0), 1.0)
    variance = 0.0
    if min(m, n) >= _SMALL_CLASS and 0 < area < 1:
        hit = (ranks[:m] - midranks(above)) / n
        miss = 1 - (ranks[m:] - midranks(below)) / m
        variance = float(np.var(hit, ddof=1)) / m + float(np.var(miss, ddof=1)) / n
    if not variance > 0:
        low, high = _area_limits(area, m, n, level)
        return Interval(value=area, low=low, high=high, level=level, method="Newcombe (2006) method 5")
    reach = normal_quantile(level) * sqrt(variance) / (area * (1 - area))
    centre = log(area / (1 - area))
    low, high = (1 / (1 + exp(-max(min(centre + side * reach, 700), -700))) for side in (-1, 1))
    return Interval(value=area, low=low, high=high, level=level, method=method)


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.concatenate([starts[1:], [len(values)]])
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def _area_limits(area: float, m: int, n: int, level: float) -> tuple[float, float]:
    """The areas from which the one observed is z standard errors away, by bisection."""
    z, typical = normal_quantile(level), (m + n) / 2 - 1

    def spread(theta: float) -> float:
        inner = 1 + typical * (1 - theta) / (2 - theta) + typical * theta / (1 + theta)
        return z * sqrt(theta * (1 - theta) * inner / (m * n))

    def edge(outer: float) -> float:
        inner = area
        for _ in range(60):
            middle = (inner + outer) / 2
            if abs(middle - area) > spread(middle):
                outer = middle
            else:
                inner = middle
        return inner

    return (0.0 if area == 0 else edge(0.0)), (1.0 if area == 1 else edge(1.0))
