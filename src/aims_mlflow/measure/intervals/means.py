"""Means of values and of errors."""

from __future__ import annotations

from math import exp, isfinite, sqrt

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure.intervals.normal import Floats, t_quantile, undefined


def mean(values: Floats, level: float, *, at_least: float | None = None) -> Interval:
    """The mean of n values with Student's interval (by the central limit theorem where they are not normal).

    Args:
        values: The values, finite.
        level: Confidence.
        at_least: A bound the quantity cannot go under; the lower limit is cut there.

    Returns:
        Null limits for a single value, and for fewer than 30 equal ones: they tell nothing of the spread.
    """
    n = len(values)
    if not n:
        return undefined(level, _STUDENT)
    value = float(values.mean())
    deviation = float(values.std(ddof=1)) if n > 1 else float("nan")
    return mean_from_moments(value, deviation, n, level, at_least=at_least)


_STUDENT = "Student's t interval of the mean"


def mean_from_moments(
    value: float, deviation: float, n: int, level: float, *, at_least: float | None = None
) -> Interval:
    """The same from the mean, the standard deviation (divisor n - 1) and the number of values."""
    if n < 2 or (deviation == 0 and n < 30) or not isfinite(deviation) or not isfinite(value):
        return Interval(value=value, level=level, method=f"{_STUDENT}; too few values or no finite spread")
    half = t_quantile(level, n - 1) * deviation / sqrt(n)
    low = value - half if at_least is None else max(value - half, at_least)
    return Interval(value=value, low=low, high=value + half, level=level, method=_STUDENT)


def root_mean_square(errors: Floats, level: float) -> Interval:
    """Root mean squared error: the roots of the limits of the mean square."""
    square = mean(errors**2, level, at_least=0.0)
    value, low, high = (None if v is None else sqrt(v) for v in (square.value, square.low, square.high))
    return Interval(value=value, low=low, high=high, level=level, method=f"{square.method}, of the squares; its root")


def determination(truth: Floats, errors: Floats, level: float) -> Interval:
    """R squared of predictions made elsewhere: 1 - mean squared error / variance of the truth; null if that is zero.

    An approximation: delta method on log(1 - R²), from the influence function of the ratio of two means, free of any
    assumption on the distribution; it needs a few dozen rows.
    """
    method = "delta method on log(1 - R²), an approximation"
    n = len(truth)
    spread = (truth - truth.mean()) ** 2 if n else truth
    total = float(spread.sum())
    if n < 2 or truth.min() == truth.max() or not total > 0 or not isfinite(total):
        return undefined(level, method)
    squares = errors**2
    unexplained = float(squares.sum()) / total
    value = 1 - unexplained
    if not isfinite(unexplained):
        return undefined(level, method)
    if unexplained == 0:
        return Interval(value=value, level=level, method=f"{method}; no error to learn the spread from")
    influence = squares / squares.mean() - spread / spread.mean()
    reach = t_quantile(level, n - 1) * float(influence.std(ddof=1)) / sqrt(n)
    low = 1 - unexplained * exp(min(reach, 700.0))
    return Interval(value=value, low=low, high=1 - unexplained * exp(-reach), level=level, method=method)
