"""The widest gap between several groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure.intervals.normal import undefined
from aims_mlflow.measure.intervals.proportions import Estimates, mover_differences, mover_ratios


def largest_gap(groups: Estimates, level: float, method: str) -> tuple[Interval, int, int]:
    """Greatest less smallest of k >= 2 independent estimates, and the places of smallest and greatest.

    ``groups`` holds limits at ``pairwise_level(level, k)``: all pairs' intervals then hold at once, so the greatest
    difference lies between the greatest lower and the greatest upper limit, whichever groups stand at the ends.
    """
    lowest, highest = int(np.argmin(groups.value)), int(np.argmax(groups.value))
    pairs = _pairs(groups, mover_differences)
    value = float(groups.value[highest] - groups.value[lowest])
    low = float(np.minimum(np.maximum(np.max(pairs.low), 0.0), value))
    gap = Interval(value=value, low=low, high=float(np.max(pairs.high)), level=level, method=method)
    return gap, lowest, highest


def smallest_ratio(groups: Estimates, level: float, method: str) -> tuple[Interval, int, int]:
    """Smallest over greatest of k >= 2 independent non-negative estimates, and their places; null where all are 0."""
    lowest, highest = int(np.argmin(groups.value)), int(np.argmax(groups.value))
    if not groups.value[highest] > 0:
        return undefined(level, method), lowest, highest
    pairs = _pairs(groups, mover_ratios)
    value = float(groups.value[lowest] / groups.value[highest])
    # A pair over a rate of 0 has no ratio; its mirror image is among the others. An unknown limit (NaN) stays unknown.
    there = ~np.isnan(pairs.value)
    low = float(np.minimum(np.min(pairs.low[there]), value))
    high = float(np.maximum(np.minimum(np.min(pairs.high[there]), 1.0), value))
    return Interval(value=value, low=low, high=high, level=level, method=method), lowest, highest


def pairwise_level(level: float, groups: int) -> float:
    """Level of each pair's interval so that all pairs of k groups hold at once (Bonferroni)."""
    pairs = groups * (groups - 1) // 2
    return 1 - (1 - level) / max(pairs, 1)


def _pairs(groups: Estimates, combine: Callable[[Estimates, Estimates], Estimates]) -> Estimates:
    k = len(groups.value)
    one, two = (place.ravel() for place in np.meshgrid(np.arange(k), np.arange(k), indexing="ij"))
    other = one != two
    sides = [Estimates(groups.value[i], groups.low[i], groups.high[i]) for i in (one[other], two[other])]
    return combine(*sides)
