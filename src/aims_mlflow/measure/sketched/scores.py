"""One column of two profiles: bounds of its score, what sampling alone does to it, its effect size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np

from aims_mlflow.config import DriftPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Interval
from aims_mlflow.measure.drift import effect, noise
from aims_mlflow.measure.drift.distances import STD_FLOOR
from aims_mlflow.measure.drift.measures import Measured
from aims_mlflow.measure.drift.methods import ColumnType
from aims_mlflow.measure.drift.noise import Sampling
from aims_mlflow.measure.drift.sample import Counts
from aims_mlflow.measure.drift.select import Choice
from aims_mlflow.measure.sketched.cells import Cells
from aims_mlflow.measure.sketched.line import Bounded, Line

_LARGEST = 1e300
_SMALLEST = 1e-140
"""A norm under this, in units, is nothing beside the longest distance: its square is no float, and sampling moot."""


@dataclass(frozen=True)
class Task:
    """A column that can be judged."""

    word: str
    of: ColumnType
    rows: tuple[int, int]
    distinct: int
    cells: Callable[[], Cells]
    line: Callable[[], Line] | None = None
    notes: tuple[str, ...] = ()
    fewest: int | None = None
    """Distinct values if there are so few of them as there may be, where that would be another method."""


def measure(task: Task, choice: Choice, policy: DriftPolicy, distinct: int) -> Measured:
    """Bounds of the column's score, and what sampling alone does to it.

    Raises:
        InputError: a profile does not tell it; the message says why.
    """
    name = choice.method.name
    if task.line is not None and name in ("wasserstein", "ks"):
        line = task.line()
        return _wasserstein(line, choice, policy) if name == "wasserstein" else _ks(line, choice, policy)
    if choice.method.of_counts is None or (task.of == "numerical" and distinct > 5):
        msg = f"{choice.method.title} needs the values themselves, which a profile does not tell"
        raise InputError(msg)
    cells = task.cells()
    score = cells.score(choice.method)
    sampling = _sampling(choice, cells.counts, score, policy.confidence)
    size = effect.share_shift(cells.counts, policy.confidence)
    return Measured(score.value, score.low, score.high, choice.threshold, sampling, size)


def _sampling(choice: Choice, counts: Counts, score: Bounded, confidence: float) -> Sampling:
    method, limit = choice.method, choice.threshold
    if method.name in ("chisquare", "g_test"):
        return noise.of_one_sample_test(counts, limit)
    if method.direction == "p_value":
        return noise.of_p_value(method, score.high, limit, confidence)
    return noise.of_shares(method, counts, score.value, limit, confidence)


def _ks(line: Line, choice: Choice, policy: DriftPolicy) -> Measured:
    """Bounds of the two-sample Kolmogorov-Smirnov p-value from those of the largest gap."""
    u, v = line.reference, line.current
    least, most = line.largest_gap()
    high, low = (_ks_p(*pair, u.n, v.n) for pair in (least, most))
    sampling = noise.of_p_value(choice.method, high, choice.threshold, policy.confidence)
    return Measured(high, min(low, high), high, choice.threshold, sampling, _mean_shift(line, policy.confidence))


def _ks_p(a: int, b: int, n: int, m: int) -> float:
    """The p-value of samples of n and m values whose largest gap is ``|a/n - b/m|``: it depends on nothing else."""
    from scipy.stats import ks_2samp

    from aims_mlflow.measure.drift.pvalues import quiet

    return quiet(ks_2samp, np.arange(n) >= a, np.arange(m) >= b)


def _wasserstein(line: Line, choice: Choice, policy: DriftPolicy) -> Measured:
    """Bounds of the normed Wasserstein distance, from those of the area and of the reference's deviation."""
    limit, confidence = choice.threshold, policy.confidence
    area = line.wasserstein()
    norm, notes = _norm(line)
    score = Bounded(_quotient(area.low, norm.high), _quotient(area.value, norm.value), _quotient(area.high, norm.low))
    score = Bounded(score.low, min(max(score.value, score.low), score.high), score.high)
    u, v = line.reference, line.current
    means = line.mean(u).value, line.mean(v).value
    variances = line.deviation(u).value ** 2, line.deviation(v).value ** 2
    pooled = noise.pooled_variance(u.n, means[0], variances[0], v.n, means[1], variances[1])
    noises = noise.AreaNoise(line.points, u.before, v.before, u.n, v.n, variances, pooled)
    if norm.value < _SMALLEST:
        return Measured(*_told(score), limit, Sampling(None, None, None), None, notes)
    sampling = noises.wasserstein(norm.value, score.value, limit, confidence)
    if policy.false_alarm_budget is not None and score.high >= limit:
        sampling = noise.calibrated(sampling, noises.permutation_p(score.value, norm.value))
    return Measured(*_told(score), limit, sampling, _mean_shift(line, confidence), notes)


def _told(score: Bounded) -> tuple[float, float, float]:
    return score.value, score.low, score.high


def _quotient(length: float, norm: float) -> float:
    if length == 0:
        return 0.0
    return min(length / norm, _LARGEST) if norm > 0 else _LARGEST


def _norm(line: Line) -> tuple[Bounded, tuple[str, ...]]:
    """What the area is divided by, in units: the reference's deviation, without the floor that hides small scales.

    The rules are those of the exact path; where the bounds leave open which of them holds, the norm may be any of
    those that may hold.
    """
    own, other = line.deviation(line.reference), line.deviation(line.current)
    floor, rounding = line.in_units(STD_FLOOR), line.in_units(1e-12 * line.largest_mean())
    if own.low > rounding:
        return own, _under_the_floor(own, floor, "reference")
    found: list[tuple[float, float]] = []
    notes: tuple[str, ...] = ()
    if own.high > rounding:
        found.append((max(own.low, rounding), own.high))
        notes = _under_the_floor(own, floor, "reference")
    if other.high > rounding and other.low < floor:
        found.append((max(other.low, min(rounding, floor)), min(other.high, floor)))
        notes = notes or _under_the_floor(other, floor, "current data, the reference being constant")
    if other.low <= rounding or other.high >= floor:
        found.append((floor, floor))
    low, high = min(low for low, _ in found), max(high for _, high in found)
    value = own.value if own.value > rounding else other.value if rounding < other.value < floor else floor
    return Bounded(low, min(max(value, low), high), high), notes


def _under_the_floor(std: Bounded, floor: float, whose: str) -> tuple[str, ...]:
    if std.value >= floor or std.value <= 0:
        return ()
    why = f"it is under Evidently's floor of {STD_FLOOR}, which would hide drift"
    return (f"scaled by the standard deviation of the {whose}: {why}",)


def _mean_shift(line: Line, confidence: float) -> Interval | None:
    u, v = line.reference, line.current
    mean_u, mean_v = line.mean(u).value, line.mean(v).value
    var_u, var_v = line.deviation(u).value ** 2, line.deviation(v).value ** 2
    if not all(map(isfinite, (mean_u, mean_v, var_u, var_v))):
        return None
    return effect.mean_shift(u.n, mean_u, var_u, v.n, mean_v, var_v, confidence)
