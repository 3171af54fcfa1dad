"""What a confusion table tells: F1, Matthews' correlation, macro F1."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure.intervals.normal import Floats, normal_quantile, undefined
from aims_mlflow.measure.intervals.proportions import proportion


def f1_score(hits: float, false_alarms: float, misses: float, level: float) -> Interval:
    """F1 from true positives, false positives and false negatives; null where all three are zero.

    F1 = 2J / (1 + J) rises with the Jaccard index J = TP / (TP + FP + FN), a proportion of the rows that are positive
    or called so. Its limits are those of Wilson's interval for J, put through the same function.
    """
    method = "Wilson (1927) interval of the Jaccard index, transformed"
    jaccard = proportion(hits, hits + false_alarms + misses, level)
    if jaccard.value is None or jaccard.low is None or jaccard.high is None:
        return undefined(level, method)
    # The value by the plain formula: equal to other libraries to the last digit.
    value = 2 * hits / (2 * hits + false_alarms + misses)
    low, high = (2 * j / (1 + j) for j in (jaccard.low, jaccard.high))
    return Interval(value=value, low=low, high=high, level=level, method=method)


@dataclass(frozen=True)
class Cells:
    """The cells of a confusion table that hold rows: class of the truth, class predicted, count."""

    true: np.ndarray
    predicted: np.ndarray
    count: Floats
    classes: int

    @property
    def rows(self) -> float:
        """Rows in all."""
        return float(self.count.sum())

    def truths(self) -> Floats:
        """Rows of each class in the truth."""
        return _counts(self.true, self.count, self.classes)

    def predictions(self) -> Floats:
        """Rows predicted to be of each class."""
        return _counts(self.predicted, self.count, self.classes)

    def hits(self) -> Floats:
        """Rows of each class predicted rightly."""
        right = self.true == self.predicted
        return _counts(self.true[right], self.count[right], self.classes)


def _counts(codes: np.ndarray, weights: Floats, classes: int) -> Floats:
    return np.bincount(codes, weights=weights, minlength=classes).astype(np.float64)


def matthews(cells: Cells, level: float) -> Interval:
    """Matthews' correlation of truth and prediction; null where either holds one class only.

    The k-class form of Gorodkin (2004). Limits by the delta method over the multinomial table on Fisher's z scale
    (Itaya et al. 2025, Statistics in Medicine). Where that variance is zero, as for a perfect classifier, half a row is
    added to every cell of the table for the limits only (Haldane 1956).
    """
    method = "delta method on Fisher's z scale (Itaya et al. 2025)"
    value, variance = _matthews_moments(cells)
    if value is None:
        return undefined(level, method)
    centre, spread = value, variance
    if not spread > 1e-12 or not abs(value) < 1:
        method += ", half a row added to each cell for the limits"
        centre_or_none, spread = _matthews_moments(_smoothed(cells))
        centre = centre_or_none if centre_or_none is not None else 0.0
    reach = normal_quantile(level) * sqrt(spread) / (1 - centre * centre)
    low, high = float(np.tanh(np.arctanh(centre) - reach)), float(np.tanh(np.arctanh(centre) + reach))
    return Interval(value=value, low=min(low, value), high=max(high, value), level=level, method=method)


def _smoothed(cells: Cells) -> Cells:
    k = cells.classes
    table = np.full((k, k), 0.5)
    table[cells.true, cells.predicted] += cells.count
    true, predicted = np.divmod(np.arange(k * k), k)
    return Cells(true, predicted, table.ravel(), k)


def _matthews_moments(cells: Cells) -> tuple[float | None, float]:
    """The correlation and the variance of its estimate."""
    n = cells.rows
    truths, predictions = cells.truths(), cells.predictions()
    right = float(cells.hits().sum())
    # Whole counts as in scikit-learn: the same sums, so the same last digit.
    above = right * n - float(truths @ predictions)
    left, across = n * n - float(predictions @ predictions), n * n - float(truths @ truths)
    if not left > 0 or not across > 0:
        return None, 0.0
    value = above / sqrt(left * across)
    p, t = predictions / n, truths / n
    d_p, d_t = left / n**2, across / n**2
    moved = (cells.true == cells.predicted) - t[cells.predicted] - p[cells.true]
    influence = moved / sqrt(d_p * d_t) + value * (p[cells.predicted] / d_p + t[cells.true] / d_t)
    weight = cells.count / n
    mean = float(weight @ influence)
    return value, max(float(weight @ (influence - mean) ** 2) / n, 0.0)


def macro_f1(cells: Cells, level: float) -> Interval:
    """Plain mean of the classes' F1; null where a class is neither true nor predicted anywhere.

    Limits by the delta method over the multinomial table (Takahashi et al. 2022, Applied Intelligence 52); where that
    variance is zero, the mean of the classes' own limits, Bonferroni over the classes.
    """
    method = "delta method (Takahashi et al. 2022)"
    hits, both = cells.hits(), cells.truths() + cells.predictions()
    if not cells.classes or (both == 0).any():
        return undefined(level, method)
    scores = 2 * hits / both
    value = float(scores.mean())
    slope = scores / both
    gradient = np.where(cells.true == cells.predicted, 2 / both[cells.true], 0.0)
    gradient = (gradient - slope[cells.true] - slope[cells.predicted]) / cells.classes
    variance = float(cells.count @ gradient**2) - float(cells.count @ gradient) ** 2 / cells.rows
    if variance > 1e-15:
        half = normal_quantile(level) * sqrt(variance)
        low, high = value - half, value + half
    else:
        method = "mean of the classes' intervals, Bonferroni"
        tight = 1 - (1 - level) / cells.classes
        table = zip(hits, cells.predictions() - hits, cells.truths() - hits, strict=True)
        parts = [f1_score(float(h), float(f), float(m), tight) for h, f, m in table]
        low, high = (float(np.mean([getattr(part, end) for part in parts])) for end in ("low", "high"))
    return Interval(value=value, low=max(low, 0.0), high=min(high, 1.0), level=level, method=method)
