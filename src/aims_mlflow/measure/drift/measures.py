"""One column measured: score with proven bounds, its sampling noise, its effect size."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Interval
from aims_mlflow.measure.drift import effect, noise, text
from aims_mlflow.measure.drift.distances import STD_FLOOR
from aims_mlflow.measure.drift.noise import Sampling
from aims_mlflow.measure.drift.sample import Counts, Numbers
from aims_mlflow.measure.drift.select import Choice, Plan, Texts
from aims_mlflow.measure.drift.wasserstein import MARGIN, Grid, Summary, bounds, exact_sorted

EXACT_ROWS = 50_000
"""Up to so many rows a side, sorting costs no more than the one-pass bounds, so the score is exact."""


@dataclass(frozen=True)
class Measured:
    """What was found out about a column.

    Attributes:
        score: The score; the lower bound where only bounds are proven (2 % off the exact one at most when fuzzed).
        low: Proven lower bound; equal to the score.
        high: Proven upper bound; equal to the score where it is exact.
        limit: What the score is held against.
        sampling: What sampling alone does to the score.
        effect: Effect size with its interval.
        notes: Remarks for the reason.
    """

    score: float
    low: float
    high: float
    limit: float
    sampling: Sampling
    effect: Interval | None
    notes: tuple[str, ...] = ()


def measure(
    plan: Plan, choice: Choice, confidence: float, reference: Summary | None = None, *, calibrate: bool = False
) -> Measured:
    """Measure one column; ``reference`` is its cached summary.

    ``calibrate`` checks the null probability of an area distance over its limit by permutation (some 50 ms): wanted
    where a false alarm budget is to be kept, since limit theorems are poor on heavy tails.

    Raises:
        InputError: the method is not defined for these values; the message says why.
    """
    if isinstance(plan.data, Texts):
        return _measure_text(plan.data, choice, confidence)
    if choice.method.name == "wasserstein" and isinstance(plan.data, Numbers):
        return _measure_wasserstein(plan.data, choice.threshold, confidence, reference, calibrate=calibrate)
    score = choice.method.score(plan.data)
    sampling = _sampling(choice, plan.data, score, confidence, calibrate=calibrate)
    size = (
        effect.share_shift(plan.data, confidence)
        if isinstance(plan.data, Counts)
        else effect.share_shift(plan.data.counts, confidence)
        if plan.distinct <= 5
        else _mean_shift(plan.data, confidence)
    )
    return Measured(score, score, score, choice.threshold, sampling, size)


def _mean_shift(data: Numbers, confidence: float) -> Interval | None:
    with np.errstate(all="ignore"):
        moments = (data.n, float(data.u.mean()), float(data.u.var()), data.m, float(data.v.mean()), float(data.v.var()))
    return effect.mean_shift(*moments, confidence) if all(map(isfinite, moments)) else None


def _sampling(choice: Choice, data: Numbers | Counts, score: float, confidence: float, *, calibrate: bool) -> Sampling:
    method, limit = choice.method, choice.threshold
    if method.name in {"chisquare", "g_test"}:
        return noise.of_one_sample_test(data.counts if isinstance(data, Numbers) else data, limit)
    if method.direction == "p_value":
        return noise.of_p_value(method, score, limit, confidence)
    if isinstance(data, Counts):
        return noise.of_shares(method, data, score, limit, confidence)
    if method.name == "ed":
        area = noise.noise_of_arrays(data)
        found = area.energy(score, limit, confidence)
        return (
            noise.calibrated(found, area.permutation_p(score, squared=True)) if calibrate and score > limit else found
        )
    return noise.of_shares(method, noise.binned_counts(method, data), score, limit, confidence)


def _measure_text(texts: Texts, choice: Choice, confidence: float) -> Measured:
    rows = len(texts.reference) + len(texts.current)
    if not choice.pinned and rows > text.AUTO_ROWS:
        msg = f"{rows:,} rows of text take seconds to compare; pin the method {choice.method.name!r} to have it done"
        raise InputError(msg)
    found = text.text_score(texts.reference, texts.current, choice.method, choice.threshold)
    sampling = text.text_sampling(found, confidence)
    notes: tuple[str, ...] = ()
    if choice.method.name == "perc_text_content_drift":
        notes = (f"the limit is what a random guess stays below {choice.threshold:.0%} of the time",)
    return Measured(found.auc, found.auc, found.auc, found.limit, sampling, sampling.interval, notes)


def _measure_wasserstein(
    data: Numbers, limit: float, confidence: float, reference: Summary | None, *, calibrate: bool = False
) -> Measured:
    """Bounds first; a sort only where the column is small or the bounds leave the verdict open."""
    small = max(data.n, data.m) <= EXACT_ROWS
    if reference is None or (reference.grid.unit and not data.whole):
        grid = Grid.of(data.reference, whole=data.whole)
        reference = Summary.of(data.reference, grid)
    current = Summary.of(data.current, reference.grid)
    if not (isfinite(reference.m2) and isfinite(current.m2)):
        return _measure_huge(data, limit, confidence, calibrate=calibrate)
    norm, notes = _norm(reference, current)
    low, high = (bound / norm for bound in bounds(reference, current))
    if small or not (low * (1 - MARGIN) >= limit or high * (1 + MARGIN) < limit):
        low = high = exact_sorted(data.u_sorted, data.v_sorted) / norm
    n, m = reference.n, current.n
    variances = reference.m2 / n, current.m2 / m
    pooled = noise.pooled_variance(n, reference.mean, variances[0], m, current.mean, variances[1])
    if small and calibrate:
        area = noise.noise_of_arrays(data)
    else:
        area = noise.AreaNoise(*reference.knots(current), n, m, variances, pooled)
    sampling = area.wasserstein(norm, low, limit, confidence)
    if calibrate and low >= limit:
        sampling = noise.calibrated(sampling, area.permutation_p(low, norm))
    size = effect.mean_shift(n, reference.mean, variances[0], m, current.mean, variances[1], confidence)
    return Measured(low, low, high, limit, sampling, size, notes)


def _measure_huge(data: Numbers, limit: float, confidence: float, *, calibrate: bool) -> Measured:
    """Values whose squares overflow are brought to 1 first; the normed distance does not depend on the scale."""
    largest = max(float(np.abs(data.u).max()), float(np.abs(data.v).max()))
    # Halved once more: the distance of two values of opposite sign must not overflow either.
    scaled = Numbers(data.u / largest / 2, data.v / largest / 2)
    found = _measure_wasserstein(scaled, limit, confidence, None, calibrate=calibrate)
    return Measured(
        found.score, found.low, found.high, found.limit, found.sampling, found.effect,
        ("values too large for their squares were scaled down", *found.notes),
    )  # fmt: skip


def _norm(reference: Summary, current: Summary) -> tuple[float, tuple[str, ...]]:
    """What the distance is divided by: the reference's deviation, without the floor that hides small scales."""
    if reference.std >= STD_FLOOR:
        return reference.std, ()
    rounding = 1e-12 * abs(reference.mean)
    for std, whose in ((reference.std, "reference"), (current.std, "current data, the reference being constant")):
        if std > max(rounding, 0.0):
            if std >= STD_FLOOR:
                break
            why = f"it is under Evidently's floor of {STD_FLOOR}, which would hide drift"
            note = f"scaled by the standard deviation of the {whose}: {why}"
            return std, (note,)
    return STD_FLOOR, ()
