"""Shares of rows, their differences, ratios and means."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure.intervals.normal import Floats, normal_quantile, undefined

WILSON = "Wilson (1927) score interval"
NEWCOMBE = "Newcombe (1998) hybrid score interval"
MOVER_R = "MOVER-R (Donner and Zou 2012) from Wilson intervals"


def wilson_limits(successes: Floats, rows: Floats, level: float) -> tuple[Floats, Floats]:
    """Lower and upper Wilson limits of k proportions at once; NaN where there are no rows.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    z = normal_quantile(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = successes / rows
        centre = share + z * z / (2 * rows)
        half = z * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
        scale = 1 + z * z / rows
        low = np.where(successes == 0, 0.0, (centre - half) / scale)
        high = np.where(successes == rows, 1.0, (centre + half) / scale)
    nothing = rows == 0
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def proportion(successes: float, rows: float, level: float) -> Interval:
    """A proportion with Wilson's score interval; all null without rows."""
    if not rows:
        return undefined(level, WILSON)
    low, high = wilson_limits(np.array([successes], float), np.array([rows], float), level)
    return Interval(value=successes / rows, low=low[0], high=high[0], level=level, method=WILSON)


@dataclass(frozen=True)
class Estimates:
    """k independent estimates with the limits of each, NaN where undefined. The raw material of MOVER."""

    value: Floats
    low: Floats
    high: Floats


def proportions(successes: Floats, rows: Floats, level: float) -> Estimates:
    """K proportions with Wilson limits."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(rows > 0, successes / rows, np.nan)
    return Estimates(value, *wilson_limits(successes, rows, level))


def mover_differences(one: Estimates, two: Estimates) -> Estimates:
    """``one - two``, element by element, from the limits of each (both independent).

    Zou and Donner (2008), "Construction of confidence limits about effect measures", Statistics in Medicine 27. With
    Wilson limits it is Newcombe's method 10 (1998), Statistics in Medicine 17, 873-890.
    """
    change = one.value - two.value
    low = change - np.sqrt((one.value - one.low) ** 2 + (two.high - two.value) ** 2)
    high = change + np.sqrt((one.high - one.value) ** 2 + (two.value - two.low) ** 2)
    return Estimates(change, low, high)


def mover_ratios(one: Estimates, two: Estimates) -> Estimates:
    """``one / two`` of non-negative quantities, element by element; infinite where the upper limit is unbounded.

    MOVER-R: Donner and Zou (2012), Statistical Methods in Medical Research 21, 347-359; Newcombe (2016), same journal,
    25, 1774-1778. Stays defined where a count is zero, which the log (Katz) interval does not.
    """
    product = one.value * two.value
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = one.value / two.value
        below = one.low * (2 * one.value - one.low)
        beneath = two.high * (2 * two.value - two.high)
        low = below / (product + np.sqrt(np.maximum(product**2 - below * beneath, 0)))
        above = one.high * (2 * one.value - one.high)
        over = two.low * (2 * two.value - two.low)
        high = (product + np.sqrt(np.maximum(product**2 - above * over, 0))) / over
    low = np.where(below == 0, 0.0, low)
    high = np.where(over == 0, np.inf, high)
    nothing = np.isnan(ratio) & ~np.isinf(ratio) | (two.value == 0)
    return Estimates(*(np.where(nothing, np.nan, part) for part in (ratio, low, high)))


def difference(k1: float, n1: float, k2: float, n2: float, level: float) -> Interval:
    """Difference of two independent proportions, first less second (Newcombe 1998, method 10)."""
    sides = [proportions(np.array([k], float), np.array([n], float), level) for k, n in ((k1, n1), (k2, n2))]
    return _single(mover_differences(*sides), level, NEWCOMBE)


def ratio(k1: float, n1: float, k2: float, n2: float, level: float) -> Interval:
    """Ratio of two independent proportions, first over second (MOVER-R); the upper limit is null where unbounded."""
    sides = [proportions(np.array([k], float), np.array([n], float), level) for k, n in ((k1, n1), (k2, n2))]
    return _single(mover_ratios(*sides), level, MOVER_R)


def _single(estimate: Estimates, level: float, method: str) -> Interval:
    return Interval(value=estimate.value[0], low=estimate.low[0], high=estimate.high[0], level=level, method=method)


def mean_of_proportions(successes: Floats, rows: Floats, level: float) -> Interval:
    """The plain mean of independent proportions (balanced accuracy, macro recall); null if one has no rows.

    The limits are recovered from Wilson's by MOVER for a sum, Zou and Donner (2008).
    """
    method = "mean of Wilson (1927) intervals by MOVER (Zou and Donner 2008)"
    if not len(rows) or (rows == 0).any():
        return undefined(level, method)
    parts = proportions(successes, rows, level)
    value = float(parts.value.mean())
    low = value - sqrt(float(((parts.value - parts.low) ** 2).sum())) / len(rows)
    high = value + sqrt(float(((parts.high - parts.value) ** 2).sum())) / len(rows)
    return Interval(value=value, low=max(low, 0.0), high=min(high, 1.0), level=level, method=method)
